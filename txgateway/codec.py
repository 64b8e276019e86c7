"""Our own JSON for the nouns: how a record's body stands in the journal, and an order in a snapshot. Pure.

Decimals and times are strings, so nothing is rounded; reading gives back exactly what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any, Generic, TypeVar, get_args, get_type_hints

import msgspec

from txgateway.model.account import Position
from txgateway.model.book import Book
from txgateway.model.credential import Token
from txgateway.model.difference import Difference
from txgateway.model.errand import Errand
from txgateway.model.events import Event, LimitChanged
from txgateway.model.execution import Execution
from txgateway.model.halts import Flatten, Halt
from txgateway.model.lease import Lease
from txgateway.model.order import Order, OrderUpdate

T = TypeVar("T")

encode = msgspec.json.Encoder().encode
"""Any noun as JSON bytes."""

KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}
_EVENTS: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}
decode_position = msgspec.json.Decoder(Position).decode
"""A position from its JSON."""
decode_halts = msgspec.json.Decoder(list[Halt]).decode
"""Halts from their JSON."""
decode_flattens = msgspec.json.Decoder(list[Flatten]).decode
"""Flattens from their JSON."""
decode_errands = msgspec.json.Decoder(list[Errand]).decode
"""Errands from their JSON."""
decode_difference = msgspec.json.Decoder(Difference).decode
"""A difference from its JSON."""
decode_leases = msgspec.json.Decoder(list[Lease]).decode
"""Leases from their JSON."""
decode_book = msgspec.json.Decoder(Book).decode
"""A book from its JSON."""
decode_limit = msgspec.json.Decoder(LimitChanged).decode
"""A changed limit from its JSON."""
decode_token = msgspec.json.Decoder(Token).decode
"""A token from its JSON."""
decode_any = msgspec.json.Decoder().decode
"""Plain dicts, lists, strings and numbers from JSON."""


class Shape(Generic[T]):
    """A noun's members in their order: taken apart, put together and changed at several times dataclasses' speed.

    As JSON they are an array: half the size of an object with names.
    """

    def __init__(self, noun: type[T]) -> None:
        hints = get_type_hints(noun)
        names = [each.name for each in fields(noun)]  # type: ignore[arg-type]
        self.values: Callable[[T], tuple[Any, ...]] = attrgetter(*names)
        """The members of a noun."""
        self.at = {name: at for at, name in enumerate(names)}
        self._noun = noun
        self._put = [getattr(noun, name).__set__ for name in names]
        self._decode = msgspec.json.Decoder(tuple[tuple(_row_type(hints[name]) for name in names)]).decode  # type: ignore[misc]

    def made(self, values: Iterable[Any]) -> T:
        """The noun with these members."""
        noun: T = object.__new__(self._noun)
        for put, value in zip(self._put, values, strict=True):
            put(noun, value)
        return noun

    def changed(self, noun: T, changes: Mapping[str, Any]) -> T:
        """The noun with some members changed."""
        values = list(self.values(noun))
        for name, value in changes.items():
            values[self.at[name]] = value
        return self.made(values)

    def decode(self, packed: bytes) -> list[Any]:
        """The members in JSON."""
        return list(self._decode(packed))


def _row_type(hint: Any) -> Any:
    if hint != tuple[OrderUpdate, ...]:
        return hint
    hints = get_type_hints(OrderUpdate)
    return tuple[tuple[tuple(hints[each.name] for each in fields(OrderUpdate))], ...]  # type: ignore[misc]


UPDATE = Shape(OrderUpdate)
ORDER = Shape(Order)
EXECUTION = Shape(Execution)
_UPDATES = ORDER.at["updates"]


def pack_order(order: Order) -> bytes:
    """An order in its shortest JSON: how closed ones are kept."""
    values = list(ORDER.values(order))
    values[_UPDATES] = [UPDATE.values(update) for update in order.updates]
    return encode(values)


def unpack_order(packed: bytes) -> Order:
    """What `pack_order` packed."""
    values = ORDER.decode(packed)
    values[_UPDATES] = tuple([UPDATE.made(update) for update in values[_UPDATES]])
    return ORDER.made(values)


def pack_execution(execution: Execution) -> bytes:
    """An execution in its shortest JSON."""
    return encode(EXECUTION.values(execution))


def unpack_execution(packed: bytes) -> Execution:
    """What `pack_execution` packed."""
    return EXECUTION.made(EXECUTION.decode(packed))


_decode_line = msgspec.json.Decoder(tuple[str, str, str, msgspec.Raw]).decode


def encode_line(tag: str, a: str, b: str, body: bytes) -> bytes:
    """One line of a snapshot: a tag, two keys, and a body that is JSON already."""
    return encode((tag, a, b, msgspec.Raw(body))) + b"\n"


def decode_line(line: bytes) -> tuple[str, str, str, bytes]:
    """What `encode_line` wrote; ValueError when it is not that."""
    try:
        tag, a, b, body = _decode_line(line)
    except msgspec.MsgspecError as error:
        raise ValueError(f"a snapshot's line cannot be read: {error}") from None
    return tag, a, b, bytes(body)


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
