"""Private frames, as the exchanges' documents have them, in our words: exact, and none left out. Pure.

A decoder gives None for a frame that is not private, and the words of one that is. `Names` reads what is named in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from txgateway.brokers.ccxt.words import Denied, Ended, Fill, Heard, Held, Seen, Word
from txgateway.model.order import OrderStatus, OrderType, Side, TimeInForce

ZERO = Decimal(0)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
S = OrderStatus


@dataclass(frozen=True, slots=True)
class Names:
    """How an exchange's names are read: a client's id as our order id, a market's id as a symbol."""

    order_id: Callable[[str], str]
    symbol: Callable[[str], str]


Decode = Callable[[Any, Names], list[Word] | None]


LARGEST = 60
"""Digits before or after the point: what has more is no amount of anything."""
LAST = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def number(value: Any) -> Decimal | None:
    """A finite number of a size that can be, however it is written; None for anything else."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    if not found.is_finite() or (found and abs(found.adjusted()) > LARGEST):
        return None
    return found


def amount(value: Any) -> Decimal:
    """A number; nought where there is none."""
    return number(value) or ZERO


def price(value: Any) -> Decimal | None:
    """A price; None where it says 0 or nothing."""
    return number(value) or None


def moment(milliseconds: Any) -> datetime:
    """A time out of milliseconds since 1970; the beginning of that where it is none."""
    since = amount(milliseconds)
    return EPOCH + timedelta(milliseconds=int(since)) if 0 <= since <= LAST else EPOCH


def written(text: Any) -> datetime:
    """A time out of its ISO form, in which there may be nanoseconds."""
    head, dot, rest = str(text).partition(".")
    digits = rest.rstrip("Z").partition("+")[0][:6] if dot else ""
    try:
        made = datetime.fromisoformat(head.rstrip("Z") + (f".{digits:0<6}" if digits else ""))
    except ValueError:
        return EPOCH
    return made.replace(tzinfo=UTC) if made.tzinfo is None else made.astimezone(UTC)


def side_of(word: Any) -> Side:
    """BUY or SELL, in whatever letters."""
    return Side.BUY if str(word).upper() == "BUY" else Side.SELL


def force_of(word: Any) -> TimeInForce | None:
    """How long an order works; None where it is not told, or is of a kind that we have not."""
    names = {"GTX": "GTC", "GOOD_UNTIL_CANCELLED": "GTC", "IMMEDIATE_OR_CANCEL": "IOC", "FILL_OR_KILL": "FOK"}
    text = str(word or "").upper()
    return TimeInForce.__members__.get(names.get(text, text))


def unique(market: Any, trade: Any, order: Any) -> str:
    """A fill's id where trades are numbered pair by pair, and one may be two of our fills."""
    return f"{market}-{trade}-{order}"


def _fill_of(order: Seen, *, execution_id: str, size: Any, price: Any, fee: Any, fee_currency: Any, maker: Any) -> Fill:
    """A fill that is told in its order's frame, with which it shares its names, its side and its time."""
    assert order.side is not None
    return Fill(
        execution_id=execution_id,
        name=order.name,
        broker_id=order.broker_id,
        symbol=order.symbol,
        side=order.side,
        quantity=amount(size),
        price=amount(price),
        time=order.time,
        fee=number(fee),
        fee_currency=str(fee_currency or ""),
        maker=bool(maker),
        cumulative=order.filled,
    )


# ---------------------------------------------------------------- Binance, spot and USD-M futures

BINANCE_STATUS: Mapping[str, OrderStatus] = {
    "NEW": S.NEW,
    "PENDING_NEW": S.PENDING_NEW,
    "PARTIALLY_FILLED": S.PARTIALLY_FILLED,
    "FILLED": S.FILLED,
    "CANCELED": S.CANCELED,
    "PENDING_CANCEL": S.PENDING_CANCEL,
    "REJECTED": S.REJECTED,
    "EXPIRED": S.EXPIRED,
    "EXPIRED_IN_MATCH": S.EXPIRED,
    "NEW_INSURANCE": S.NEW,
    "NEW_ADL": S.NEW,
}
_BINANCE_TYPES = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "STOP_LOSS": OrderType.STOP,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT": OrderType.STOP,
    "TAKE_PROFIT_LIMIT": OrderType.STOP_LIMIT,
    "STOP": OrderType.STOP_LIMIT,
    "STOP_MARKET": OrderType.STOP,
    "TAKE_PROFIT_MARKET": OrderType.STOP,
}


def binance(message: Any, names: Names) -> list[Word] | None:
    """Frames of Binance's user data streams."""
    if not isinstance(message, dict):
        return None
    event = message.get("event") if isinstance(message.get("event"), dict) else message
    assert isinstance(event, dict)
    kind = event.get("e")
    if kind == "executionReport":
        return _binance_order(event, event, names)
    if kind == "ORDER_TRADE_UPDATE":
        return _binance_order(event["o"], event, names)
    if kind == "outboundAccountPosition":
        return [
            Held(currency=each["a"], total=amount(each["f"]) + amount(each["l"]), used=amount(each["l"]))
            for each in event["B"]
        ]
    if kind == "ACCOUNT_UPDATE":
        return [Held(currency=each["a"], total=amount(each["wb"])) for each in event["a"].get("B", ())]
    if kind in ("listenKeyExpired", "eventStreamTerminated"):
        return [Ended("Binance ended the private stream: its key expired")]
    if kind in ("balanceUpdate", "ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL", "TRADE_LITE", "ALGO_UPDATE", "listStatus"):
        return []
    result = message.get("result")
    if isinstance(result, dict) and "subscriptionId" in result and message.get("status") == 200:
        return [Heard("user")]
    return None


def _binance_order(order: Mapping[str, Any], event: Mapping[str, Any], names: Names) -> list[Word]:
    symbol, broker_id = names.symbol(order["s"]), str(order["i"])
    name = names.order_id(str(order.get("C") or order.get("c") or ""))
    filled, status = amount(order.get("z")), BINANCE_STATUS.get(str(order.get("X")), S.UNKNOWN)
    when = moment(order.get("T") or event.get("T") or event.get("E"))
    worth = number(order.get("Z"))
    average = price(order.get("ap")) or (worth / filled if worth and filled else None)
    reason = order.get("r") or order.get("er") or ""
    seen = Seen(
        name=name,
        broker_id=broker_id,
        symbol=symbol,
        status=status,
        time=when,
        side=side_of(order.get("S")),
        order_type=_BINANCE_TYPES.get(str(order.get("ot") or order.get("o"))),
        time_in_force=force_of(order.get("f")),
        quantity=price(order.get("q")),
        limit=price(order.get("p")),
        stop=price(order.get("P")) if "Z" in order else price(order.get("sp")),
        filled=filled,
        average=average,
        text="" if reason in ("NONE", "0") else str(reason),
        whole=True,
        replaced=order.get("x") in ("AMENDMENT", "REPLACED"),
    )
    if order.get("x") not in ("TRADE", "CALCULATED") or not amount(order.get("l")):
        return [seen]
    fill = _fill_of(
        seen,
        execution_id=unique(order["s"], order.get("t"), broker_id),
        size=order.get("l"),
        price=order.get("L"),
        fee=order.get("n"),
        fee_currency=order.get("N"),
        maker=order.get("m"),
    )
    return [seen, fill]


# ---------------------------------------------------------------- WOO X

_WOO_STATUS = {
    "NEW": S.NEW,
    "REPLACED": S.NEW,
    "PARTIAL_FILLED": S.PARTIALLY_FILLED,
    "FILLED": S.FILLED,
    "CANCELLED": S.CANCELED,
    "CANCELED": S.CANCELED,
    "REJECTED": S.REJECTED,
    "EXPIRED": S.EXPIRED,
}


def woo(message: Any, names: Names) -> list[Word] | None:
    """Frames of WOO's private stream."""
    if not isinstance(message, dict):
        return None
    topic, event = message.get("topic"), message.get("event")
    if topic == "executionreport":
        return _woo_order(message["data"], names)
    if topic == "balance":
        held = message["data"]["balances"]
        return [
            Held(currency=currency, total=amount(each.get("holding")), used=number(each.get("frozen")))
            for currency, each in held.items()
        ]
    if topic == "position":
        return []
    if event == "auth" and message.get("success"):
        return [Heard("auth")]
    if event == "subscribe" and message.get("success"):
        return [Heard(f"subscription {message.get('id')}")]
    return None


def _woo_order(order: Mapping[str, Any], names: Names) -> list[Word]:
    symbol, broker_id = names.symbol(order["symbol"]), str(order["orderId"])
    client = str(order.get("clientOrderId") or "")
    name = names.order_id(client) if client not in ("", "0") else ""
    kind, when = order.get("msgType", 0), moment(order.get("timestamp"))
    if kind in (1, 2):
        text = str(order.get("reason") or "WOO gave no reason")
        return [Denied("replace" if kind == 1 else "cancel", name, broker_id, text, when, symbol)]
    form = str(order.get("type"))
    seen = Seen(
        name=name,
        broker_id=broker_id,
        symbol=symbol,
        status=_WOO_STATUS.get(str(order.get("status")), S.UNKNOWN),
        time=when,
        side=side_of(order.get("side")),
        order_type=OrderType.MARKET if form == "MARKET" else OrderType.LIMIT,
        time_in_force=TimeInForce.__members__.get(form, TimeInForce.GTC),
        quantity=price(order.get("quantity")),
        limit=price(order.get("price")) if form != "MARKET" else None,
        filled=amount(order.get("totalExecutedQuantity")),
        average=price(order.get("avgPrice")),
        text=str(order.get("reason") or ""),
        whole=True,
        replaced=str(order.get("status")) == "REPLACED",
    )
    if not amount(order.get("tradeId")) or not amount(order.get("executedQuantity")):
        return [seen]
    fill = _fill_of(
        seen,
        execution_id=str(order["tradeId"]),
        size=order.get("executedQuantity"),
        price=order.get("executedPrice"),
        fee=order.get("fee"),
        fee_currency=order.get("feeAsset"),
        maker=order.get("maker"),
    )
    return [seen, fill]


# ---------------------------------------------------------------- Coinbase (Advanced Trade)

COINBASE_STATUS = {
    "PENDING": S.PENDING_NEW,
    "QUEUED": S.PENDING_NEW,
    "OPEN": S.NEW,
    "EDIT_QUEUED": S.NEW,
    "CANCEL_QUEUED": S.NEW,
    "FILLED": S.FILLED,
    "CANCELLED": S.CANCELED,
    "EXPIRED": S.EXPIRED,
    "FAILED": S.REJECTED,
}
_COINBASE_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LIMIT": OrderType.STOP_LIMIT,
    "STOP LIMIT": OrderType.STOP_LIMIT,
}


def coinbase(message: Any, names: Names) -> list[Word] | None:
    """Frames of Coinbase's user channel. It tells of orders; their fills are asked for."""
    if not isinstance(message, dict):
        return None
    if message.get("type") == "error":
        return [Ended(f"Coinbase refused the private stream: {message.get('message') or message.get('reason')}")]
    channel, events = message.get("channel"), message.get("events") or ()
    if channel == "subscriptions":
        subscribed = [each.get("subscriptions") or {} for each in events]
        return [Heard("user")] if any("user" in each for each in subscribed) else None
    if channel != "user":
        return None
    return [_coinbase_order(order, names, message) for event in events for order in event.get("orders") or ()]


def _coinbase_order(order: Mapping[str, Any], names: Names, message: Mapping[str, Any]) -> Seen:
    status = COINBASE_STATUS.get(str(order.get("status")), S.UNKNOWN)
    filled, leaves = amount(order.get("cumulative_quantity")), amount(order.get("leaves_quantity"))
    is_open = status in (S.NEW, S.PENDING_NEW)
    if is_open and filled:
        status = S.PARTIALLY_FILLED
    return Seen(
        name=names.order_id(str(order.get("client_order_id") or "")),
        broker_id=str(order["order_id"]),
        symbol=names.symbol(str(order["product_id"])),
        status=status,
        time=written(message.get("timestamp") or order.get("creation_time")),
        side=side_of(order.get("order_side")),
        order_type=_COINBASE_TYPES.get(str(order.get("order_type")).upper()),
        time_in_force=force_of(order.get("time_in_force")),
        quantity=filled + leaves if is_open and leaves else None,
        limit=price(order.get("limit_price")),
        stop=price(order.get("stop_price")),
        filled=filled,
        average=price(order.get("avg_price")),
        text=str(order.get("reject_Reason") or order.get("reject_reason") or order.get("cancel_reason") or ""),
    )


# ---------------------------------------------------------------- Coinbase Exchange


def coinbaseexchange(message: Any, names: Names) -> list[Word] | None:
    """Frames of Coinbase Exchange's user channel, in which only `received` has our id."""
    if not isinstance(message, dict):
        return None
    kind = message.get("type")
    if kind == "error":
        why = " ".join(str(message[name]) for name in ("message", "reason") if message.get(name))
        return [Ended(f"Coinbase Exchange refused the stream: {why}")]
    if kind == "subscriptions":
        channels = [each.get("name") if isinstance(each, dict) else each for each in message.get("channels") or ()]
        return [Heard("user")] if "user" in channels else None
    if kind in ("received", "open", "change", "done", "activate"):
        return [_exchange_order(str(kind), message, names)] if message.get("order_id") else []
    if kind == "match" and ("maker_fee_rate" in message or "taker_fee_rate" in message):
        return [_exchange_match(message, names)]
    return None


def _exchange_order(kind: str, message: Mapping[str, Any], names: Names) -> Seen:
    size = price(message.get("new_size") if kind == "change" else message.get("size"))
    done = str(message.get("reason") or "")
    status = (S.FILLED if done == "filled" else S.CANCELED) if kind == "done" else S.NEW
    client = str(message.get("client_oid") or "")
    return Seen(
        name=names.order_id(client) if client else "",
        broker_id=str(message["order_id"]),
        symbol=names.symbol(str(message["product_id"])),
        status=status,
        time=written(message.get("time")),
        side=side_of(message["side"]) if "side" in message else None,
        quantity=size if kind == "received" else None,
        limit=price(message.get("price")) if kind in ("received", "open") else None,
        text=done if kind == "done" else "",
    )


def _exchange_match(message: Mapping[str, Any], names: Names) -> Fill:
    maker = "maker_fee_rate" in message
    made_by = side_of(message["side"])
    side = made_by if maker else (Side.SELL if made_by is Side.BUY else Side.BUY)
    broker_id = str(message["maker_order_id" if maker else "taker_order_id"])
    size, each = amount(message["size"]), amount(message["price"])
    rate = amount(message.get("maker_fee_rate" if maker else "taker_fee_rate"))
    product, when = str(message["product_id"]), written(message.get("time"))
    when = when.replace(microsecond=when.microsecond // 1000 * 1000)  # as it is told to who asks
    return Fill(
        execution_id=unique(product, message["trade_id"], broker_id),
        name="",
        broker_id=broker_id,
        symbol=names.symbol(product),
        side=side,
        quantity=size,
        price=each,
        time=when,
        fee=size * each * rate,
        fee_currency=product.partition("-")[2],
        maker=maker,
    )
