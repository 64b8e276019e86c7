"""A listener to txgateway's stream: `Monitor` calls your functions with every event, and misses none.

    from txgateway_monitor import Monitor

    def filled(channel, text):
        print(text)
        return True

    Monitor(options={"execution-data": 1}, callbacks={"EXECUTION_DATA": filled, "*": None}).run()

Importing this package installs no reactor, and Twisted is loaded with `Monitor` only: `txgateway_monitor.lines` has the
stream's framing and lines without any sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .channels import CHANNELS, Channel, ConnectionState
from .settings import SettingsError, __version__

if TYPE_CHECKING:
    from .monitor import Monitor

__all__ = ["CHANNELS", "Channel", "ConnectionState", "Monitor", "SettingsError", "__version__"]


def __getattr__(name: str) -> Any:
    """`Monitor`, loaded when it is asked for."""
    if name == "Monitor":
        from .monitor import Monitor

        return Monitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
