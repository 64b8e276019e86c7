"""Our own JSON for the nouns: how a record's body stands in the journal, and an order in a snapshot. Pure.

Decimals and times are strings, so nothing is rounded; reading gives back exactly what was written.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from txgateway.model.account import Position
from txgateway.model.events import Event
from txgateway.model.execution import Execution
from txgateway.model.order import Order

encode = msgspec.json.Encoder().encode
"""Any noun as JSON bytes."""

KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}
_EVENTS: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}
decode_order = msgspec.json.Decoder(Order).decode
"""An order from its JSON."""
decode_execution = msgspec.json.Decoder(Execution).decode
"""An execution from its JSON."""
decode_position = msgspec.json.Decoder(Position).decode
"""A position from its JSON."""
decode_any = msgspec.json.Decoder().decode
"""Plain dicts, lists, strings and numbers from JSON."""


class Keys(msgspec.Struct):
    """The members of a packed order or execution by which it is found, read without the rest."""

    venue: str
    account: str
    order_id: str = ""
    client_order_id: str = ""
    broker_order_id: str = ""


decode_keys = msgspec.json.Decoder(Keys).decode
"""The keys of a packed order or execution."""

_decode_line = msgspec.json.Decoder(tuple[str, str, str, str, msgspec.Raw]).decode


def encode_line(tag: str, a: str, b: str, c: str, body: bytes) -> bytes:
    """One line of a snapshot: a tag, three keys, and a body that is JSON already."""
    return encode((tag, a, b, c, msgspec.Raw(body))) + b"\n"


def decode_line(line: bytes) -> tuple[str, str, str, str, bytes]:
    """What `encode_line` wrote; ValueError when it is not that."""
    try:
        tag, a, b, c, body = _decode_line(line)
    except msgspec.MsgspecError as error:
        raise ValueError(f"a snapshot's line cannot be read: {error}") from None
    return tag, a, b, c, bytes(body)


def kind_of(event: Event) -> str:
    """The name under which an event stands in the journal."""
    return type(event).__name__


def decode_event(kind: str, body: bytes | str) -> Event:
    """The event of that kind; ValueError for a kind this version does not know or a body that is not one."""
    try:
        return _EVENTS[kind].decode(body)  # type: ignore[no-any-return]
    except KeyError:
        raise ValueError(f"unknown kind of record {kind!r}: written by a newer version?") from None
    except msgspec.MsgspecError as error:
        raise ValueError(f"a {kind} record cannot be read: {error}") from None


def to_builtins(value: Any) -> Any:
    """A noun as plain dicts, lists and strings, for people's eyes."""
    return msgspec.to_builtins(value, str_keys=True)
