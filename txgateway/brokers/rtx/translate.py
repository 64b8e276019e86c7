"""Orders, accounts and positions between rtgw's fields and ours. Pure.

A field that has no value is missing, null, or the text `Error <number>`. Money and quantities come as numbers or as
text. Times are of the feed's zone, date and time apart: '2024-03-01' and '14:30:05'.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import pytz

from txgateway.brokers.rtx.protocol import Row
from txgateway.model.account import AccountReport, Position
from txgateway.model.order import Order, OrderType, Side, TimeInForce

ZERO = Decimal(0)
ACCOUNT_FIELDS = ("BANK", "BRANCH", "CUSTOMER", "DEPOSIT")
LOGIN_FAILED = "Error 17"
"""What the clock's symbol shows when nobody is logged in behind the gateway."""
NOT_IN_A_VALUE = re.compile(r"[,!\x00-\x1f\x7f]")
"""A comma ends a field, and a mark ends what stands before the fields: either would make another order of it."""
NOT_IN_A_WORD = re.compile(r"[\x00-\x1f\x7f'\",;!={}]")
STRATEGY = ("STRAT_PARAMETERS", "STRAT_REDUNDANT_DATA")
RELEASE = "-R"
"""Behind our order id in the CLIENT_ORDER_ID of the order that releases a ticket."""

SUBMIT, STAGE, CHANGE, CANCEL = "UserSubmitOrder", "UserSubmitStagedOrder", "UserSubmitChange", "UserSubmitCancel"
ACCEPTED, TRADED, KILLED, REJECTED, ADJUSTED = (
    "ExchangeAcceptOrder",
    "ExchangeTradeOrder",
    "ExchangeKillOrder",
    "ClerkReject",
    "AdjustQty",
)

# ---------------------------------------------------------------- fields


def text(row: Row, name: str) -> str:
    """A field as text; empty where it has no value."""
    value = row.get(name)
    if value is None or isinstance(value, dict | list):
        return ""
    word = value.strip() if isinstance(value, str) else str(value).strip()
    return "" if word[:1] in "eE" and is_error(word) else word


def is_error(word: Any) -> bool:
    """Whether this stands for a field without a value."""
    return isinstance(word, str) and word[:6].lower() == "error "


def number(row: Row, name: str) -> Decimal | None:
    """A field as a number; None where it has no value or is none."""
    return to_number(row.get(name))


def to_number(value: Any) -> Decimal | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        found = Decimal(value)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def moment(day: Any, clock: Any, zone: Any) -> datetime | None:
    """A date and a time of the feed's zone, as aware UTC; None where one of them has no value."""
    return _moment(str(day), str(clock), zone)


@lru_cache(maxsize=4096)
def _moment(day: str, clock: str, zone: Any) -> datetime | None:
    """Kept, because the rows of an order are of the same second, and so are those of many orders."""
    try:
        year, month, date = (int(each) for each in re.split(r"[-/]", day)[:3])
        hour, minute, second = (int(each) for each in clock.split(".")[0].split(":")[:3])
        local = zone.localize(datetime(year, month, date, hour, minute, second))  # noqa: DTZ001
        found: datetime = local.astimezone(UTC)
    except (ValueError, OverflowError, pytz.InvalidTimeError):
        return None
    return found


def is_word(word: str) -> bool:
    """Whether a symbol or an id may stand in a question."""
    return 0 < len(word) <= 128 and not NOT_IN_A_WORD.search(word) and word == word.strip()


def where(**fields: str) -> str:
    """A condition: every field is this text."""
    return ",".join(f"{name}='{value}'" for name, value in fields.items())


# ---------------------------------------------------------------- accounts


def account_of(row: Row) -> str:
    """BANK.BRANCH.CUSTOMER.DEPOSIT; empty where a part is missing."""
    parts = [text(row, name) for name in ACCOUNT_FIELDS]
    return ".".join(parts) if all(parts) else ""


def account_fields(account: str) -> list[tuple[str, str]]:
    """The four parts of an account; ValueError when it has not four, or one that cannot be written in a question."""
    parts = account.split(".")
    if len(parts) != len(ACCOUNT_FIELDS) or not all(parts):
        raise ValueError(f"account {account!r} is not written BANK.BRANCH.CUSTOMER.DEPOSIT")
    if not all(map(is_word, parts)):
        raise ValueError(f"account {account!r} has a character that no question and no order can have")
    return list(zip(ACCOUNT_FIELDS, parts, strict=True))


def account_report(account: str, row: Row) -> AccountReport | None:
    """An account's values by name, its cash among them; None where it shows no cash."""
    cash = number(row, "EXCESS_EQ")
    if cash is None:
        return None
    values: dict[str, Decimal | str] = {"_cash": cash}
    for name in row:
        word = text(row, name)
        value = None if name in ACCOUNT_FIELDS else number(row, name)  # 007 is a name
        if word:
            values[name] = word if value is None else value
    return AccountReport(account, cash, (), values)


def positions(venue: str, rows: Iterable[Row], accounts: Sequence[str]) -> list[Position]:
    """What each account holds: long and short, of today and of before, in one signed number."""
    held: dict[tuple[str, str], Decimal] = {}
    costs: dict[tuple[str, str], Decimal] = {}
    for row in rows:
        account, symbol = account_of(row), text(row, "DISP_NAME")
        if account not in accounts or not symbol:
            continue
        signed = ((1, "LONGPOS"), (1, "LONGPOS0"), (-1, "SHORTPOS"), (-1, "SHORTPOS0"))
        quantity = sum((sign * (number(row, name) or ZERO) for sign, name in signed), ZERO)
        held[account, symbol] = held.get((account, symbol), ZERO) + quantity
        cost = number(row, "AVG_PRICE")
        if cost is not None:
            costs[account, symbol] = cost
    return [
        Position(venue, *place, quantity, costs.get(place, ZERO)) for place, quantity in held.items() if quantity != 0
    ]


# ---------------------------------------------------------------- orders, out


_SIDES = {Side.BUY: "Buy", Side.SELL: "Sell", Side.SELL_SHORT: "SellShort"}
_PRICES = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "AsEntered",
    OrderType.STOP: "Stop",
    OrderType.STOP_LIMIT: "StopLimit",
}
_LASTING = {TimeInForce.DAY: "DAY", TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "IOC"}
ALL_OR_NONE = "AON"
_OURS = frozenset(
    {*ACCOUNT_FIELDS, "BUYORSELL", "GOOD_UNTIL", "EXIT_VEHICLE", "DISP_NAME", "PRICE_TYPE", "PRICE", "STOP_PRICE"}
    | {"VOLUME_TYPE", "VOLUME", "CLIENT_ORDER_ID", "TYPE", "REFERS_TO_ID", "ORDER_TAG", "TICKET_ID"}
)

Route = tuple[str, tuple[tuple[str, str], ...]]


def read_route(words: str, default: str) -> Route:
    """A route's name and its parameters as fields, from a name or {name: {parameter: value}}; ValueError if neither."""
    words = words.strip() or default
    value: Any = words
    if words[:1] in ("{", "[", '"'):
        try:
            value = json.loads(words, parse_float=Decimal)
        except (ValueError, RecursionError):
            raise ValueError(f"the route {words[:80]!r} is not JSON") from None
    if isinstance(value, str):
        value = {value: None}
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("a route is one name, or {name: {parameter: value}} with one name")
    name, parameters = next(iter(value.items()))
    if not isinstance(parameters, dict | None):
        raise ValueError(f"the parameters of route {name} must be an object {{parameter: value}}")
    fields = tuple((field, _parameter(field, each)) for field, each in (parameters or {}).items())
    return (_checked("route", name), fields)


def _parameter(name: str, value: Any) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name):
        raise ValueError(f"a route's parameter is a field's name in capitals, not {name!r}")
    if name in _OURS:
        raise ValueError(f"{name} is the order's own field: it cannot be a parameter of its route")
    if name in STRATEGY:
        if not isinstance(value, dict):
            raise ValueError(f"{name} must be an object {{key: value}}")
        pairs = ((_checked(name, key), _checked(f"{name} {key}", each)) for key, each in value.items())
        return "".join(f"{key}\x1f{each}\x01" for key, each in pairs)
    return _checked(name, value)


def _checked(name: str, value: Any) -> str:
    """A value as it may stand in a field."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"{name} must be text or a number")
    word = plain(value) if isinstance(value, Decimal) else str(value)
    if not word or NOT_IN_A_VALUE.search(word):
        raise ValueError(f"{name} is empty, or has a comma, an exclamation mark or a control character in it: {word!r}")
    return word


def plain(value: Decimal) -> str:
    """A number without an exponent, and without zeros that say nothing."""
    word = f"{value:f}"
    return word.rstrip("0").rstrip(".") if "." in word else word


@dataclass(frozen=True, slots=True)
class Terms:
    """What a change leaves or changes of an order."""

    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


def terms_of(order: Order) -> Terms:
    """The order's own."""
    return Terms(order.quantity, order.limit_price, order.stop_price)


def terms_asked(order: Order) -> Terms:
    """Those that a replace asks for; what it does not ask for stays."""
    quantity = order.quantity if order.asked_quantity is None else order.asked_quantity
    limit = order.limit_price if order.asked_limit_price is None else order.asked_limit_price
    stop = order.stop_price if order.asked_stop_price is None else order.asked_stop_price
    return Terms(quantity, limit, stop)


def order_fields(order: Order, terms: Terms, route: Route, exchange: str) -> list[tuple[str, str]]:
    """The fields that every order and every change has; ValueError for what cannot be written."""
    fields = account_fields(order.account)
    fields += [("BUYORSELL", _SIDES[order.side]), ("GOOD_UNTIL", _LASTING[order.time_in_force])]
    fields += [("EXIT_VEHICLE", route[0]), *route[1]]
    if not is_word(order.symbol):
        raise ValueError(f"{order.symbol!r} cannot be a symbol here")
    given = {name for name, _ in route[1]}
    where_traded = (("DISP_NAME", order.symbol), ("STYP", "1"), ("EXCHANGE", exchange))
    fields += [pair for pair in where_traded if pair[0] not in given]
    fields.append(("PRICE_TYPE", _PRICES[order.order_type]))
    if order.order_type.has_stop and terms.stop_price is not None:
        fields.append(("STOP_PRICE", plain(terms.stop_price)))
    if order.order_type.has_limit and terms.limit_price is not None:
        fields.append(("PRICE", plain(terms.limit_price)))
    whole = order.time_in_force is TimeInForce.FOK
    fields += [("VOLUME_TYPE", ALL_OR_NONE if whole else "AsEntered"), ("VOLUME", plain(terms.quantity))]
    return fields


def submit_fields(order: Order, route: Route, exchange: str) -> list[tuple[str, str]]:
    """A new order, or a new ticket."""
    fields = order_fields(order, terms_of(order), route, exchange)
    fields += _tagged(order)
    return [*fields, ("CLIENT_ORDER_ID", order.order_id), ("TYPE", SUBMIT if order.tag is None else STAGE)]


def release_fields(order: Order, ticket_id: str, name: str, route: Route, exchange: str) -> list[tuple[str, str]]:
    """The order, of this name, that trades a ticket."""
    fields = order_fields(order, terms_of(order), route, exchange)
    fields += _tagged(order)
    return [*fields, ("TICKET_ID", ticket_id), ("CLIENT_ORDER_ID", name), ("TYPE", SUBMIT)]


def change_fields(order: Order, broker_id: str, route: Route, exchange: str) -> list[tuple[str, str]]:
    """The same order with the terms that are asked for."""
    fields = order_fields(order, terms_asked(order), route, exchange)
    return [*fields, *_tagged(order), ("REFERS_TO_ID", broker_id), ("TYPE", CHANGE)]


def cancel_fields(broker_id: str) -> list[tuple[str, str]]:
    """The end of an order."""
    return [("TYPE", CANCEL), ("REFERS_TO_ID", broker_id)]


def _tagged(order: Order) -> list[tuple[str, str]]:
    return [("ORDER_TAG", _checked("tag", order.tag))] if order.tag else []


def written(fields: Iterable[tuple[str, str]]) -> str:
    """The fields as a poke has them."""
    return ",".join(f"{name}={value}" for name, value in fields)


# ---------------------------------------------------------------- orders, in


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One row of ORDERS. `row_id` is its own id, `broker_id` that of the order it is about (its own, where it is it).

    On an execution `quantity` and `price` are the fill's; elsewhere the order's.
    """

    row_id: str
    broker_id: str
    client_id: str
    ticket_id: str
    refers_to: str
    kind: str
    status: str
    account: str
    symbol: str
    side: Side | None
    quantity: Decimal
    order_type: OrderType
    price: Decimal | None
    stop_price: Decimal | None
    time_in_force: TimeInForce
    route: str
    traded: Decimal | None
    residual: Decimal | None
    average: Decimal | None
    time: datetime | None
    reason: str
    currency: str
    exchange: str
    order_quantity: Decimal | None
    order_price: Decimal | None
    foreign: str
    """A term that an order of ours cannot have, such as `PRICE_TYPE TrailingStop`; empty where there is none."""

    @property
    def is_main(self) -> bool:
        """Whether it is the order's own row, not one of what happened to it."""
        return self.kind in (SUBMIT, STAGE)


_KINDS = {each.upper(): each for each in (SUBMIT, STAGE, CHANGE, CANCEL, ACCEPTED, TRADED, KILLED, REJECTED, ADJUSTED)}
_SIDE_OF = {"BUY": Side.BUY, "SELL": Side.SELL, "SELLSHORT": Side.SELL_SHORT}
_TYPE_OF: Mapping[str, OrderType] = {
    "MARKET": OrderType.MARKET,
    "ASENTERED": OrderType.LIMIT,
    "LIMIT": OrderType.LIMIT,
    "STOP": OrderType.STOP,
    "TRAILINGSTOP": OrderType.STOP,
    "STOPLIMIT": OrderType.STOP_LIMIT,
    "TRAILINGSTOPLIMIT": OrderType.STOP_LIMIT,
}


def order_row(row: Row, zone: Any) -> OrderRow | None:
    """A row of ORDERS; None when it does not say what it is of."""
    row_id, original = text(row, "ORDER_ID"), text(row, "ORIGINAL_ORDER_ID")
    kind = text(row, "TYPE")
    if not (row_id or original) or not kind:
        return None
    day = text(row, "MARKET_TRD_DATE") or text(row, "TRD_DATE")
    clock = text(row, "TRD_TIME") or text(row, "TRDTIM_1") or text(row, "TIME_STAMP")
    good_until = text(row, "GOOD_UNTIL").upper()
    whole = text(row, "VOLUME_TYPE").upper() == ALL_OR_NONE
    kind = _KINDS.get(kind.upper(), kind)
    quantity = number(row, "VOLUME")
    if quantity is None and kind in (SUBMIT, STAGE):
        quantity = number(row, "ORIGINAL_VOLUME")
    return OrderRow(
        row_id=row_id or original,
        broker_id=original or row_id,
        client_id=text(row, "CLIENT_ORDER_ID"),
        ticket_id=text(row, "TICKET_ID"),
        refers_to=text(row, "REFERS_TO_ID"),
        kind=kind,
        status=text(row, "CURRENT_STATUS").upper(),
        account=account_of(row),
        symbol=text(row, "DISP_NAME"),
        side=_SIDE_OF.get(text(row, "BUYORSELL").upper().replace(" ", "")),
        quantity=quantity or ZERO,
        order_type=_TYPE_OF.get(text(row, "PRICE_TYPE").upper().replace(" ", ""), OrderType.MARKET),
        price=number(row, "PRICE"),
        stop_price=number(row, "STOP_PRICE"),
        time_in_force=_time_in_force(good_until, whole),
        route=text(row, "EXIT_VEHICLE"),
        traded=number(row, "VOLUME_TRADED"),
        residual=number(row, "ORDER_RESIDUAL"),
        average=number(row, "AVG_PRICE"),
        time=moment(day, clock, zone),
        reason=text(row, "REASON"),
        currency=text(row, "CURRENCY"),
        exchange=text(row, "EXCHANGE"),
        order_quantity=number(row, "ORIGINAL_VOLUME"),
        order_price=number(row, "ORIGINAL_PRICE"),
        foreign=_foreign(row) if kind in (SUBMIT, STAGE) else "",
    )


_OF_OURS = {
    "PRICE_TYPE": {*(each.upper() for each in _PRICES.values()), "LIMIT"},
    "GOOD_UNTIL": set(_LASTING.values()),
    "VOLUME_TYPE": {"ASENTERED", ALL_OR_NONE},
}


def _foreign(row: Row) -> str:
    """The first term that would be another one if we wrote the order again."""
    words = ((name, text(row, name)) for name in _OF_OURS)
    return next((f"{name} {word}" for name, word in words if word and word.upper() not in _OF_OURS[name]), "")


def _time_in_force(good_until: str, whole: bool) -> TimeInForce:
    """DAY and DAYPLUS end with the day; a date or GTC does not."""
    if good_until == "IOC":
        return TimeInForce.FOK if whole else TimeInForce.IOC
    return TimeInForce.DAY if good_until.startswith("DAY") or not good_until else TimeInForce.GTC
