"""What became of each order of a replay, put together from the journal's records and the executions' own times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution as query_executions shows it."""

    id: str
    order: str
    account: str
    buys: bool
    quantity: Decimal
    price: Decimal
    commission: Decimal
    time: datetime


@dataclass(frozen=True, slots=True)
class Terms:
    """An order's terms from a moment on."""

    time: datetime
    quantity: Decimal
    limit: Decimal | None
    stop: Decimal | None


@dataclass(slots=True)
class Life:
    """An order: when the broker took it, on which terms, what it filled, how it ended (None: it works on)."""

    id: str
    account: str
    kind: str
    buys: bool
    tif: str
    asked: Terms
    accepted: datetime | None = None
    terms: list[Terms] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    ended: datetime | None = None
    how: str = ""

    def terms_at(self, fill: Fill) -> list[Terms]:
        """Those under which a fill was made: several when it was in the very second of a replace."""
        ends = [each.time for each in self.terms[1:]] + [fill.time]
        return [each for each, end in zip(self.terms, ends, strict=True) if each.time <= fill.time <= end]

    def terms_before(self, moment: datetime) -> Terms:
        """The last ones given before a moment."""
        return [each for each in self.terms if each.time < moment][-1]

    @property
    def filled(self) -> Decimal:
        """What has been filled."""
        return sum((fill.quantity for fill in self.fills), Decimal(0))

    def filled_before(self, moment: datetime) -> Decimal:
        """What had been filled before a moment."""
        return sum((fill.quantity for fill in self.fills if fill.time < moment), Decimal(0))


def fills_of(executions: Iterable[dict[str, Any]]) -> list[Fill]:
    """The executions, in the order in which the broker made them."""
    return sorted(
        (
            Fill(
                id=each["FILL_ID"],
                order=each["ORIGINAL_ORDER_ID"],
                account=each["ACCOUNT"],
                buys=each["BUYORSELL"] == "Buy",
                quantity=_decimal(each["VOLUME"]),
                price=_decimal(each["PRICE"]),
                commission=_decimal(each["COMMISSION"]),
                time=datetime.fromisoformat(each["TIME"]),
            )
            for each in executions
        ),
        key=lambda fill: fill.id,
    )


def lives_of(journal: Iterable[dict[str, Any]], fills: Iterable[Fill]) -> dict[str, Life]:
    """Every order that was sent, by id."""
    lives: dict[str, Life] = {}
    for entry in journal:
        kind, event = entry["kind"], entry["event"]
        assert kind != "OrderDenied", f"the desk denied an order that the strategies mean well: {event}"
        if kind == "OrderSubmitted":
            terms = event["terms"]
            asked = _terms(terms, datetime.fromisoformat(event["time"]))
            lives[terms["order_id"]] = Life(
                terms["order_id"],
                terms["account"],
                terms["order_type"],
                terms["side"] == "BUY",
                terms["time_in_force"],
                asked,
            )
        elif entry.get("order_id"):
            _live(lives[entry["order_id"]], kind, event)
    for fill in fills:
        lives[fill.order].fills.append(fill)
    for life in lives.values():
        if life.terms and not life.how and life.filled == life.terms[-1].quantity:
            life.ended, life.how = life.fills[-1].time, "FILLED"
    return lives


def _live(life: Life, kind: str, event: dict[str, Any]) -> None:
    """One thing more that happened to an order; its times are the feed's."""
    time = datetime.fromisoformat(event["time"])
    if kind == "OrderAccepted":
        life.accepted = time
        life.terms.append(Terms(time, life.asked.quantity, life.asked.limit, life.asked.stop))
    elif kind == "OrderReplaced":
        life.terms.append(_terms(event, time))
    elif kind in ("OrderCanceled", "OrderExpired", "OrderRejected"):
        life.ended, life.how = time, {"C": "CANCELED", "E": "EXPIRED", "R": "REJECTED"}[kind[5]]


def _terms(given: dict[str, Any], time: datetime) -> Terms:
    limit, stop = (None if given[name] is None else _decimal(given[name]) for name in ("limit_price", "stop_price"))
    return Terms(time, _decimal(given["quantity"]), limit, stop)


def _decimal(number: float | str) -> Decimal:
    return Decimal(str(number))


def commission(quantity: Decimal, value: Decimal) -> Decimal:
    """What an order costs in all, as the paper broker documents it: half a cent a share, at least a dollar an order,

    but never more than one per cent of the value; to the cent.
    """
    plain = max(Decimal("0.005") * quantity, Decimal("1.00"))
    return min(plain, Decimal("0.01") * value).quantize(CENT, ROUND_HALF_UP)
