"""The emulator as a process of its own, for tests that block."""

from __future__ import annotations

from tests.emulators.process import Process


class Rtgw(Process):
    """The emulated rtgw."""

    module = "tests.emulators.rtgw"
