"""txTrader's words: the only file that knows them. Nouns become the JSON and the stream lines of its published clients.

Prices are JSON numbers with the decimal's own digits (183.1, never cut, never 183.10000000000002); whole sizes are
integers. Upper-case members are the venue-style fields of the released server; ours stand beside them in lower case.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

import msgspec
import ujson

from txgateway.model.errors import BadArgument, Reason, Refused
from txgateway.model.events import (
    CancelKept,
    CancelRejected,
    CancelRequested,
    Executed,
    ExternalOrderFound,
    OrderAccepted,
    OrderCanceled,
    OrderDenied,
    OrderDoubted,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    OrderSubmitted,
    ReplaceRejected,
    ReplaceRequested,
    TicketApproved,
)
from txgateway.model.execution import Execution
from txgateway.model.exits import ExitPlan, Leg, Unit
from txgateway.model.market import Bar, Depth, Quote, Ticker
from txgateway.model.order import Order, OrderStatus, OrderType, OrderUpdate, Origin, Side

DEEPEST = 50
"""Levels of arrays and objects that a client may send; no command needs more than four."""
MOST = 10_000
"""Arrays and objects that a client may send: a batch of a thousand calls has three thousand."""
MOST_VALUES = 50_000
"""Values that a client may send (commas are counted): reading a million takes long enough for others to notice."""
_EXACT = 2**53
"""From here on a float no longer holds every whole number."""


@dataclass(frozen=True, slots=True)
class Flags:
    """What the configuration says about the objects: the (pytz) zone of local times, and which members they have."""

    zone: Any
    ticker: bool = False
    high_low: bool = True
    symbol_barchart: bool = False
    execution_account_format: bool = True


# ---------------------------------------------------------------- JSON


encode = msgspec.json.Encoder().encode
"""The same four times as fast, for the objects that `order` and `execution` give: their numbers are finite."""


def dumps(value: Any) -> bytes:
    """Compact strict JSON; ValueError for what it cannot say: NaN, Infinity, half a surrogate pair, another type."""
    try:
        return ujson.dumps(value, ensure_ascii=False, escape_forward_slashes=False, allow_nan=False).encode()
    except (OverflowError, TypeError) as error:
        raise ValueError(f"no JSON for this value: {error}") from None


def loads(data: bytes) -> Any:
    """Exactly one JSON text; BadArgument, one sentence, for anything else and for a name given twice in one object."""
    try:
        text = data.decode()
        containers = text.count("{") + text.count("[")
        if containers > MOST:
            raise BadArgument(f"The JSON has more than {MOST} arrays and objects.")
        if text.count(",") > MOST_VALUES:
            raise BadArgument(f"The JSON has more than {MOST_VALUES} values.")
        if containers > DEEPEST and _is_deep(text):
            raise BadArgument(f"The JSON is nested deeper than {DEEPEST} levels.")
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise BadArgument("The text is not UTF-8.") from None
    except UnicodeEncodeError:
        raise BadArgument("The JSON has half a surrogate pair in a string, which is no character.") from None
    except ValueError as error:
        raise BadArgument(f"The text is not JSON: {error}.") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice[:80]!r} stands twice in one object")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:80]} is too large")
    return value


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_constant)


def _is_deep(text: str) -> bool:
    """Whether arrays and objects go deeper than the deepest that may be; looked at before they are made."""
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            return True
    return False


_BRACKET = re.compile(r"[\[\]{}]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)', re.DOTALL)
"""A string, or one that never ends."""


# ---------------------------------------------------------------- numbers and times


def number(value: Decimal) -> int | float:
    """A size: an integer when it is whole."""
    size = float(value)
    if size.is_integer():
        return int(size) if -_EXACT < size < _EXACT else int(value)
    return size


price = float
"""A price: always a float, which prints the decimal's own digits."""


def _optional(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


@lru_cache(maxsize=1024)
def iso(moment: datetime) -> str:
    """A moment (UTC) as ISO 8601 with a Z."""
    return moment.isoformat()[:-6] + "Z"


def local_time(moment: datetime, zone: Any) -> str:
    """A moment (UTC) as YYYY-mm-dd HH:MM:SS in a zone."""
    return (moment + _offset(zone, int(moment.timestamp()) // _QUARTER)).isoformat(" ", "seconds")[:19]


_QUARTER = 900
"""Seconds between the moments at which a zone's offset may change: asked once for each, for pytz is slow."""


@lru_cache(maxsize=4096)
def _offset(zone: Any, quarter: int) -> timedelta:
    return datetime.fromtimestamp(quarter * _QUARTER, zone).utcoffset() or timedelta(0)


# ---------------------------------------------------------------- words

S = OrderStatus
_STATUS = {
    S.PENDING_NEW: "Submitted",
    S.STAGED: "Submitted",
    S.UNKNOWN: "Submitted",
    S.NEW: "Accepted",
    S.PARTIALLY_FILLED: "Pending",
    S.PENDING_CANCEL: "Pending",
    S.PENDING_REPLACE: "Pending",
    S.FILLED: "Filled",
    S.CANCELED: "Cancelled",
    S.EXPIRED: "Cancelled",
    S.REJECTED: "Error",
    S.DENIED: "Error",
}
_NATIVE = {
    S.PENDING_NEW: ("UserSubmitOrder", "PENDING"),
    S.STAGED: ("UserSubmitStagedOrder", "PENDING"),
    S.UNKNOWN: ("UserSubmitOrder", "PENDING"),
    S.NEW: ("ExchangeAcceptOrder", "LIVE"),
    S.PARTIALLY_FILLED: ("ExchangeTradeOrder", "LIVE"),
    S.PENDING_CANCEL: ("UserSubmitCancel", "LIVE"),
    S.PENDING_REPLACE: ("UserSubmitChange", "LIVE"),
    S.FILLED: ("ExchangeTradeOrder", "COMPLETED"),
    S.CANCELED: ("UserSubmitCancel", "CANCELLED"),
    S.EXPIRED: ("ExchangeKillOrder", "CANCELLED"),
    S.REJECTED: ("ExchangeKillOrder", "DELETED"),
    S.DENIED: ("ClerkReject", "DELETED"),
}
"""The TYPE and CURRENT_STATUS under which the released server's venue would show an order."""
_EVENT_TYPES = {
    OrderSubmitted: "UserSubmitOrder",
    OrderDenied: "ClerkReject",
    ExternalOrderFound: "UserSubmitOrder",
    OrderAccepted: "ExchangeAcceptOrder",
    OrderRejected: "ExchangeKillOrder",
    Executed: "ExchangeTradeOrder",
    CancelRequested: "UserSubmitCancel",
    OrderCanceled: "UserSubmitCancel",
    CancelRejected: "ExchangeReportStatus",
    CancelKept: "UserSubmitStatus",
    ReplaceRequested: "UserSubmitChange",
    OrderReplaced: "UserSubmitChange",
    ReplaceRejected: "ExchangeReportStatus",
    OrderExpired: "ExchangeKillOrder",
    OrderDoubted: "UserSubmitStatus",
    TicketApproved: "UserSubmitStatus",
}
_UPDATE_TYPES = {event.__name__: native for event, native in _EVENT_TYPES.items()}
_SIDES = {Side.BUY: "Buy", Side.SELL: "Sell", Side.SELL_SHORT: "SellShort"}
_PRICE_TYPES = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "AsEntered",
    OrderType.STOP: "Stop",
    OrderType.STOP_LIMIT: "StopLimit",
}
_BANK = ("BANK", "BRANCH", "CUSTOMER", "DEPOSIT")


def status_of(status: OrderStatus) -> str:
    """An order's status in txTrader's word; UNKNOWN is Submitted, for an Error would make a client send again."""
    return _STATUS[status]


def order_class(order: Order) -> str:
    """`ticket` for a staged order, also after its approval; else `order`."""
    return "order" if order.tag is None else "ticket"


def _first_type(order: Order) -> str:
    return "UserSubmitOrder" if order.tag is None else "UserSubmitStagedOrder"


def _vehicle(route: str) -> str:
    """The name of a route that is written as a name, as {name: parameters}, or as either in JSON."""
    if route[:1] in ("{", '"'):
        try:
            value = json.loads(route)
        except ValueError:
            return route
        return next(iter(value), "") if isinstance(value, dict) else str(value)
    return route


# ---------------------------------------------------------------- orders


def _final(order: Order) -> str:
    """What who sends a refused order again is told: the same key gives the same answer for ever."""
    key = order.client_order_id
    return f"Nothing was sent now: this is what became of the order with client_order_id {key!r}; use a new one."


def order(order: Order, replayed: bool = False) -> dict[str, Any]:
    """The order (or ticket) object; one that was refused, or whose cancel is kept, says why in errorMsg."""
    status = order.status
    kept = order.kept_cancel if order.cancel_by else ""
    word = _STATUS[S.PENDING_CANCEL if kept and status is S.NEW else status]
    side = _SIDES[order.side]
    quantity, filled, average = number(order.quantity), number(order.filled_quantity), float(order.average_price)
    remaining = number(order.quantity - order.filled_quantity) if order.filled_quantity < order.quantity else 0
    limit_price, stop_price = _optional(order.limit_price), _optional(order.stop_price)
    order_id, cusip = order.order_id, order.cusip
    value: dict[str, Any] = {
        "permid": order_id,
        "symbol": order.symbol,
        "cusip": cusip,
        "account": order.account,
        "quantity": quantity,
        "class": "order" if order.tag is None else "ticket",
        "type": _first_type(order),
        "status": word,
        "filled": filled,
        "remaining": remaining,
        "avgfillprice": average,
        "text": f"{side} {quantity} {order.symbol} ({word})",
        "origin": order.venue if order.origin is Origin.EXTERNAL else "client",
        "order_status": status,
        "client_order_id": order.client_order_id,
        "broker_order_id": order.broker_order_id,
        "venue": order.venue,
        "side": order.side,
        "order_type": order.order_type,
        "limit_price": limit_price,
        "stop_price": stop_price,
        "time_in_force": order.time_in_force,
        "route": order.route,
        "owner": order.owner,
        "reason": Reason.VENUE_DOWN if kept else order.reason,
        "commission": float(order.commission),
        "created": iso(order.created),
        "updated": iso(order.updated),
        "seq": order.seq,
    }
    if order.exits is not None:
        value["exits"] = exits(order.exits)
    if order.oco:
        value["oco"] = order.oco
    if order.good_till is not None:
        value["good_till"] = iso(order.good_till)
    if order.leg is not None:
        value["parent"], value["leg"] = order.parent, LEGS[order.leg]
        if order.attached:
            value["attached"] = True
    if word == "Error":
        value["errorMsg"] = order.text or f"Order {order_id} is {status}."
        if replayed:
            value["errorMsg"] = f"{value['errorMsg'].rstrip('.')}. {_final(order)}"
    if kept:
        value["errorMsg"] = kept
    if replayed:
        value["replayed"] = True
    value["updates"] = [_update(each, order_id) for each in order.updates]
    value["raw"] = {
        "ORIGINAL_ORDER_ID": order_id,
        "ORDER_ID": order.broker_order_id or order_id,
        "CLIENT_ORDER_ID": order.client_order_id,
        "DISP_NAME": order.symbol,
        "CUSIP": cusip,
        "ACCOUNT": order.account,
        "BUYORSELL": side,
        "VOLUME": quantity,
        "ORIGINAL_VOLUME": quantity,
        "VOLUME_TRADED": filled,
        "ORDER_RESIDUAL": remaining,
        "AVG_PRICE": average,
        "PRICE": limit_price,
        "STOP_PRICE": stop_price,
        "PRICE_TYPE": _PRICE_TYPES[order.order_type],
        "GOOD_UNTIL": order.time_in_force,
        "EXIT_VEHICLE": _vehicle(order.route),
        "TYPE": native_type(order),
        "CURRENT_STATUS": _NATIVE[status][1],
        "ORDER_TAG": order.tag,
        "CURRENCY": order.currency,
        "ORIGIN": order.origin,
        "REASON": order.text,
    }
    return value


LEGS = {Leg.STOP_LOSS: "stop_loss", Leg.TAKE_PROFIT: "take_profit", Leg.CLOSE: "close", Leg.UNDO: "undo"}
"""What an exit is for its entry, in a word."""


def exits(plan: ExitPlan) -> dict[str, Any]:
    """An entry's exits as they were asked for: a price as a number, a distance as text; what was not asked is null."""
    levels = (plan.take_profit, plan.stop_loss, plan.trailing_stop)
    shown = [None if each is None else float(each.value) if each.unit is Unit.PRICE else str(each) for each in levels]
    take_profit, stop_loss, trailing_stop = shown
    return {
        "take_profit": take_profit,
        "stop_loss": stop_loss,
        "trailing_stop": trailing_stop,
        "hold_seconds": plan.hold_seconds,
    }


def native_type(order: Order) -> str:
    """The TYPE of what happened to an order last; a ticket's own until it is released."""
    native = _NATIVE[order.status][0]
    return _first_type(order) if native == "UserSubmitOrder" else native


def _update(update: OrderUpdate, order_id: str) -> dict[str, Any]:
    fields: dict[str, Any] = {**_update_fields(update.event, update.status)}
    if update.quantity is not None:
        fields["VOLUME"] = number(update.quantity)
    if update.price is not None:
        fields["PRICE"] = float(update.price)
    if update.text:
        fields["REASON"] = update.text
    return {"id": update.id or order_id, "type": fields["TYPE"], "fields": fields, "time": update.time.timestamp()}


@cache
def _update_fields(event: str, status: OrderStatus) -> Mapping[str, str]:
    native = _UPDATE_TYPES.get(event, event)
    return {"TYPE": native, "CURRENT_STATUS": _NATIVE[status][1], "ORDER_STATUS": status, "EVENT": event}


def order_note(order: Order) -> str:
    """The stream's short news of an order: `order.<id> <account> <type> <status>`, without the channel."""
    return f"{order_class(order)}.{order.order_id} {order.account} {native_type(order)} {_STATUS[order.status]}"


def refusal(error: Refused) -> dict[str, Any]:
    """The object that answers a command which was refused."""
    value: dict[str, Any] = {"status": "Error", "errorMsg": error.text, "reason": error.reason}
    if error.order_id is not None:
        value["id" if error.reason is Reason.NO_SUCH_ORDER else "permid"] = error.order_id
    return value


# ---------------------------------------------------------------- executions


def execution(execution: Execution, flags: Flags) -> dict[str, Any]:
    """The execution object: VOLUME and PRICE are this fill's own, AVG_PRICE and VOLUME_TRADED the order's after it."""
    day, _, clock = local_time(execution.time, flags.zone).partition(" ")
    value: dict[str, Any] = {
        "ORDER_ID": execution.execution_id,
        "ORIGINAL_ORDER_ID": execution.order_id,
        "ACCOUNT": execution.account,
        "AVG_PRICE": float(execution.order_average_price),
        "BUYORSELL": _SIDES[execution.side],
        "CURRENCY": execution.currency,
        "CURRENT_STATUS": "COMPLETED",
        "DISP_NAME": execution.symbol,
        "EXCHANGE": execution.exchange,
        "EXIT_VEHICLE": execution.route,
        "FILL_ID": execution.execution_id,
        "ORDER_RESIDUAL": number(execution.leaves_quantity),
        "ORIGINAL_PRICE": None if execution.order_price is None else float(execution.order_price),
        "ORIGINAL_VOLUME": number(execution.order_quantity),
        "PRICE": float(execution.price),
        "PRICE_TYPE": _PRICE_TYPES[execution.order_type] if execution.order_type else "",
        "TIME_STAMP": clock,
        "TIME_ZONE": str(flags.zone),
        "MARKET_TRD_DATE": str(execution.day or day),
        "TRD_TIME": clock,
        "VOLUME": number(execution.quantity),
        "VOLUME_TRADED": number(execution.cumulative_quantity),
        "CUSIP": execution.cusip,
        "VENUE": execution.venue,
        "BROKER_ORDER_ID": execution.broker_order_id,
        "COMMISSION": float(execution.commission),
        "FEE": float(execution.fee),
        "FEE_CURRENCY": execution.fee_currency,
        "TIME": iso(execution.time),
        "seq": execution.seq,
    }
    if not flags.execution_account_format:
        parts = execution.account.split(".")
        value.update(zip(_BANK, [*parts, *[""] * len(_BANK)], strict=False))
    return value


def execution_note(execution: Execution) -> str:
    """The stream's short news of a fill: `execution.<id> <account> <order id> <status>`, without the channel."""
    return f"execution.{execution.execution_id} {execution.account} {execution.order_id} COMPLETED"


# ---------------------------------------------------------------- symbols


def symbol(ticker: Ticker, flags: Flags, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """The symbol object; with `fields`, exactly those raw fields of the venue (or members), empty where unknown."""
    if fields:
        known: Mapping[str, Any] = {**_symbol(ticker, _all(flags)), **ticker.instrument.raw, **_shown(ticker, flags)}
        return {name: known.get(name, "") for name in fields}
    return _symbol(ticker, flags)


def _all(flags: Flags) -> Flags:
    return Flags(flags.zone, ticker=True, high_low=True, symbol_barchart=True)


def _symbol(ticker: Ticker, flags: Flags) -> dict[str, Any]:
    instrument, last, quote = ticker.instrument, ticker.last, ticker.quote
    value: dict[str, Any] = {
        "symbol": ticker.name,
        "last": float(last.price) if last else 0.0,
        "tradetime": local_time(last.time, flags.zone) if last else "00:00:00",
        "size": number(last.size) if last else 0,
        "volume": number(ticker.volume),
        "open": float(ticker.open or 0),
        "close": float(ticker.close or 0),
        "vwap": float(ticker.vwap or 0),
        "fullname": instrument.fullname,
        "cusip": instrument.cusip,
    }
    if flags.high_low:
        value["high"] = float(ticker.high or 0)
        value["low"] = float(ticker.low or 0)
    if flags.ticker:
        value["bid"] = float(quote.bid) if quote else 0.0
        value["bidsize"] = number(quote.bid_size) if quote else 0
        value["ask"] = float(quote.ask) if quote else 0.0
        value["asksize"] = number(quote.ask_size) if quote else 0
    if flags.symbol_barchart:
        value["bars"] = [bar(each, flags.zone) for each in ticker.bars]
    return value


def _shown(ticker: Ticker, flags: Flags) -> dict[str, Any]:
    """What the market shows now, under the venue-style names."""
    value: dict[str, Any] = {
        "DISP_NAME": ticker.name,
        "CUSIP": ticker.instrument.cusip,
        "COMPANY_NAME": ticker.instrument.fullname,
        "ACVOL_1": number(ticker.volume),
        "OPEN_PRC": _optional(ticker.open),
        "HIGH_1": _optional(ticker.high),
        "LOW_1": _optional(ticker.low),
        "HST_CLOSE": _optional(ticker.close),
        "VWAP": _optional(ticker.vwap),
    }
    if ticker.quote:
        quote = ticker.quote
        value.update(BID=float(quote.bid), BIDSIZE=number(quote.bid_size))
        value.update(ASK=float(quote.ask), ASKSIZE=number(quote.ask_size))
    if ticker.last:
        day, _, clock = local_time(ticker.last.time, flags.zone).partition(" ")
        value.update(TRDPRC_1=float(ticker.last.price), TRDVOL_1=number(ticker.last.size))
        value.update(TRD_DATE=day, TRDTIM_1=clock)
    return {name: "" if each is None else each for name, each in value.items()}


def depth(name: str, depth: Depth) -> dict[str, Any]:
    """A book: its sides as [price, size], the best first."""
    return {
        "symbol": name,
        "bids": [[float(each.price), number(each.size)] for each in depth.bids],
        "asks": [[float(each.price), number(each.size)] for each in depth.asks],
        "sequence": depth.sequence,
        "time": iso(depth.time),
    }


def bar(bar: Bar, zone: Any) -> list[Any]:
    """A bar's row: date and time of its start in the zone, open, high, low, close, volume (a whole number)."""
    day, _, clock = local_time(bar.time, zone).partition(" ")
    prices = float(bar.open), float(bar.high), float(bar.low), float(bar.close)
    return [day, clock, *prices, number(bar.volume)]


def quote_line(name: str, quote: Quote) -> str:
    """`quote.SYM:<bid> <bidsize> <ask> <asksize>`, without the channel."""
    bid, ask = float(quote.bid), float(quote.ask)
    return f"quote.{name}:{bid} {number(quote.bid_size)} {ask} {number(quote.ask_size)}"


def trade_line(name: str, last: Decimal, size: Decimal, volume: Decimal) -> str:
    """`trade.SYM:<last> <size> <volume>`, without the channel."""
    return f"trade.{name}:{float(last)} {number(size)} {number(volume)}"
