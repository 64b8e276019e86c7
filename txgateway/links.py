"""A link whose other end vanishes without a word: noticed in seconds instead of hours."""

from __future__ import annotations

import socket
from typing import Any

IDLE, BETWEEN, PROBES = 5, 2, 3
"""Seconds of silence until the kernel asks, seconds between its questions, and how many may stay unanswered."""
_OPTIONS = {"TCP_KEEPIDLE": IDLE, "TCP_KEEPINTVL": BETWEEN, "TCP_KEEPCNT": PROBES}
_UNANSWERED = {"TCP_USER_TIMEOUT": 1000 * (IDLE + BETWEEN * PROBES)}
"""Milliseconds that what was sent may stay unacknowledged."""


def watch_link(transport: Any) -> None:
    """Have the kernel end a TCP connection, below whatever TLS, about ten seconds after its other end is gone."""
    while getattr(transport, "transport", None) is not None:
        transport = transport.transport
    link = transport.getHandle()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {**_OPTIONS, **_UNANSWERED}.items():
        option = getattr(socket, name, None)
        if option is not None:
            link.setsockopt(socket.IPPROTO_TCP, option, value)
