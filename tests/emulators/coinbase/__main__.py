"""Run the emulator by hand: `python -m tests.emulators.coinbase --port 0`. Says in one JSON line where it listens."""

from __future__ import annotations

from tests.emulators.crypto_main import main

if __name__ == "__main__":
    main("coinbase", "CoinbaseEmulator", "CoinbaseControl")
