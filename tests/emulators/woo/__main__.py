"""Run the emulator by hand: `python -m tests.emulators.woo --port 0`. Says in one JSON line where it listens."""

from tests.emulators.crypto.process import main
from tests.emulators.woo.server import WooEmulator

if __name__ == "__main__":
    main(WooEmulator)
