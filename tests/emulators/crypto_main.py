"""An emulated crypto exchange by hand; without the package that it needs, a sentence."""

from __future__ import annotations

import sys
from importlib import import_module

MISSING = (
    "needs aiohttp, which is not installed: run `pip install --editable '.[crypto]'` in the folder of txgateway's "
    "source, with the Python that runs this (`.venv/bin/pip` after `make run`)."
)


def main(name: str, emulator: str, control: str = "") -> None:
    """Run the emulator of that class in `tests.emulators.NAME.server` until it is killed."""
    try:
        import_module("aiohttp")
    except ModuleNotFoundError:
        sys.exit(f"python -m tests.emulators.{name}: {MISSING}")
    server = import_module(f"tests.emulators.{name}.server")
    process = import_module("tests.emulators.crypto.process")
    process.main(getattr(server, emulator), *([getattr(server, control)] if control else []))
