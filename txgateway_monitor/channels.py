"""The names a monitor calls its functions by, and the states of its connection."""

from __future__ import annotations

from enum import Enum


class Channel(Enum):
    """What an event is about; its name is what a callback gets first."""

    STATUS = "status"
    ERROR = "error"
    TIME = "time"
    ORDER = "order"
    ORDER_DATA = "order_data"
    ORDERS = "orders"
    TICKET = "ticket"
    TICKET_DATA = "ticket_data"
    EXECUTION = "execution"
    EXECUTION_DATA = "execution_data"
    EXECUTIONS = "executions"
    QUOTE = "quote"
    TRADE = "trade"
    TICK = "tick"
    CONNECTION = "connection"
    SYMBOL = "symbol"
    SYMBOL_DATA = "symbol_data"
    SHUTDOWN = "shutdown"


CHANNELS = [channel.name for channel in Channel]
"""The names of all channels."""


class ConnectionState(Enum):
    """Where the connection stands; the text of a CONNECTION event."""

    INITIALIZING = "INITIALIZING"
    CONNECTING = "CONNECTING"
    CONNECT_PENDING = "CONNECT_PENDING"
    CONNECTED = "CONNECTED"
    FAILED = "FAILED"
    DISCONNECT_PENDING = "DISCONNECT_PENDING"
    DISCONNECTED = "DISCONNECTED"
    SHUTDOWN = "SHUTDOWN"
