"""Run the emulator by hand: `python -m tests.emulators.binance --port 0`. Says in one JSON line where it listens."""

from __future__ import annotations

from tests.emulators.binance.server import Binance, BinanceControl
from tests.emulators.crypto.process import main

if __name__ == "__main__":
    main(Binance, BinanceControl)
