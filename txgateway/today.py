"""What ended on a venue's trading day, packed: a hundred thousand orders a day must not fill the memory. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from txgateway import codec
from txgateway.model.difference import Difference

TAGS = frozenset("CKBELG")
"""What the lines of a day begin with, but for the first."""
RESOLVED_KEPT = 10_000
"""Differences of the day that are gone: the latest so many of a venue (the journal has all)."""


@dataclass(slots=True)
class Day:
    """What ended on a venue's trading day: orders and executions as JSON, with the keys that find them.

    `loose` has the quantity and value executed of orders that we do not know, by the broker's id; `resolved` the
    differences that are gone.
    """

    day: date | None = None
    orders: dict[str, bytes] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    brokers: dict[str, str] = field(default_factory=dict)
    executions: dict[str, bytes] = field(default_factory=dict)
    loose: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    resolved: list[Difference] = field(default_factory=list)

    def settle(self, difference: Difference) -> None:
        """A difference is gone."""
        self.resolved.append(difference)
        del self.resolved[:-RESOLVED_KEPT]

    def copy(self) -> Day:
        """The day as it is now, unmoved by what comes."""
        return Day(
            self.day,
            self.orders.copy(),
            self.clients.copy(),
            self.brokers.copy(),
            self.executions.copy(),
            self.loose.copy(),
            self.resolved.copy(),
        )

    def dump(self, venue: str) -> Iterator[bytes]:
        """The day as lines of a snapshot; the first begins it."""
        yield codec.encode_line("D", venue, self.day.isoformat() if self.day else "", b"null")
        for order_id, packed in self.orders.items():
            yield codec.encode_line("C", order_id, "", packed)
        for key, order_id in self.clients.items():
            yield codec.encode_line("K", key, order_id, b"null")
        for key, order_id in self.brokers.items():
            yield codec.encode_line("B", key, order_id, b"null")
        for execution_id, packed in self.executions.items():
            yield codec.encode_line("E", execution_id, "", packed)
        for key, figures in self.loose.items():
            yield codec.encode_line("L", key, "", codec.encode(figures))
        for difference in self.resolved:
            yield codec.encode_line("G", "", "", codec.encode(difference))

    def load(self, tag: str, a: str, b: str, body: bytes) -> None:
        """Take in one of the lines that `dump` wrote after the first."""
        if tag == "C":
            self.orders[a] = body
        elif tag == "K":
            self.clients[a] = b
        elif tag == "B":
            self.brokers[a] = b
        elif tag == "E":
            self.executions[a] = body
        elif tag == "L":
            quantity, value = codec.decode_any(body)
            self.loose[a] = (Decimal(quantity), Decimal(value))
        else:
            self.resolved.append(codec.decode_difference(body))
