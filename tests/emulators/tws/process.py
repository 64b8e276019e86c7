"""The emulator as a process of its own, for tests that block."""

from __future__ import annotations

from tests.emulators.process import Process


class Tws(Process):
    """The emulated TWS."""

    module = "tests.emulators.tws"
