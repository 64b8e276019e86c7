"""Run the emulator by hand: `python -m tests.emulators.coinbase --port 0`. Says in one JSON line where it listens."""

from tests.emulators.coinbase.server import CoinbaseControl, CoinbaseEmulator
from tests.emulators.crypto.process import main

if __name__ == "__main__":
    main(CoinbaseEmulator, CoinbaseControl)
