"""The ports of a program between two of its lives: whoever asks for any free port meanwhile is given another."""

from __future__ import annotations

import socket
from contextlib import suppress

_kept: dict[int, socket.socket] = {}


def keep(*ports: int) -> None:
    """Hold what a program that has ended listened on, without listening: it binds them again beside this."""
    for port in filter(None, ports):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody has it by now
            held.bind(("127.0.0.1", port))
            _kept.setdefault(port, held)
        if _kept.get(port) is not held:
            held.close()


def release(*ports: int) -> None:
    """It listens again, or never will."""
    for port in ports:
        held = _kept.pop(port, None)
        if held is not None:
            held.close()
