"""Orders, fills, accounts and market data as Coinbase Exchange's JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.emulators.coinbase.listing import NAMES, id_of, of_name, places, plain
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.market import Bar, Levels, Trade
from tests.emulators.crypto.orders import Account, Balance, Fill, Order

ENDED = {"FILLED": "filled", "CANCELED": "canceled", "EXPIRED": "canceled", "REJECTED": "rejected"}


def iso(at: float) -> str:
    """As Coinbase says times."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def side(buys: bool) -> str:
    """In small letters."""
    return "buy" if buys else "sell"


def is_stop(order: Order) -> str:
    """`loss`, `entry`, or nothing."""
    ticket = order.ticket
    if not ticket.waits:
        return ""
    return "entry" if ticket.buys == ticket.kind.startswith("STOP") else "loss"


def fees(order: Order) -> Decimal:
    """In dollars."""
    return sum(order.fees().values(), Decimal(0))


def order_row(order: Order, fresh: bool = False) -> dict[str, Any]:
    """Of GET /orders/…; `fresh`: as POST /orders answers, before anything has happened to it."""
    ticket, stop = order.ticket, is_stop(order)
    filled = Decimal(0) if fresh else order.filled
    row: dict[str, Any] = {
        "id": id_of(order.number),
        "product_id": ticket.instrument.symbol,
        "profile_id": of_name("profile", ticket.account),
        "side": side(ticket.buys),
        "type": "market" if ticket.at_market else "limit",
        "post_only": ticket.post_only,
        "created_at": iso(order.created),
        "fill_fees": places(Decimal(0) if fresh else fees(order), 16),
        "filled_size": places(filled),
        "executed_value": places(Decimal(0) if fresh else order.turnover, 16),
        "market_type": "spot",
        "status": "pending" if fresh else status(order),
        "settled": not fresh and order.status == "FILLED",
    }
    if ticket.cost is None:
        row["size"] = places(order.quantity)
    else:
        row |= {"funds": places(ticket.cost, 16), "specified_funds": places(ticket.extra["funds"], 16)}
    if not ticket.at_market:
        row |= {"price": places(order.limit or Decimal(0)), "time_in_force": ticket.extra.get("tif", ticket.tif)}
    row |= {name: ticket.extra[name] for name in ("expire_time", "stp") if name in ticket.extra}
    if ticket.client_id:
        row["client_oid"] = ticket.client_id
    if stop:
        row |= {"stop": stop, "stop_price": places(order.stop or Decimal(0))}
        if order.triggered and not fresh:
            row["triggered_at"] = iso(order.updated)
    if not order.is_open and not fresh:
        row |= {"done_at": iso(order.updated), "done_reason": ENDED[order.status]}
    return row


def status(order: Order) -> str:
    """pending, active (a stop waits), open, done."""
    if not order.is_open:
        return "done"
    return "open" if order.triggered else "active"


def fill_row(fill: Fill) -> dict[str, Any]:
    """Of GET /fills."""
    return {
        "created_at": iso(fill.at),
        "trade_id": fill.number,
        "product_id": fill.instrument.symbol,
        "order_id": id_of(fill.order),
        "user_id": of_name("user", fill.account).replace("-", "")[:24],
        "profile_id": of_name("profile", fill.account),
        "liquidity": "M" if fill.maker else "T",
        "price": places(fill.price),
        "size": places(fill.size),
        "fee": places(fill.fee, 16),
        "side": side(fill.buys),
        "settled": True,
        "usd_volume": places(fill.price * fill.size, 16),
        "market_type": "spot",
        "funding_currency": fill.instrument.quote,
    }


def account_row(account: Account, asset: str, balance: Balance) -> dict[str, Any]:
    """Of GET /accounts."""
    return {
        "id": of_name("account", account.name, asset),
        "currency": asset,
        "balance": places(balance.total, 16),
        "hold": places(balance.locked, 16),
        "available": plain(balance.free),
        "profile_id": of_name("profile", account.name),
        "trading_enabled": True,
        "pending_deposit": "0.0000000000000000",
        "display_name": asset,
    }


def product_row(each: Instrument) -> dict[str, Any]:
    """Of GET /products."""
    return {
        "id": each.symbol,
        "base_currency": each.base,
        "quote_currency": each.quote,
        "quote_increment": plain(each.tick),
        "base_increment": plain(each.step),
        "display_name": f"{each.base}/{each.quote}",
        "min_market_funds": plain(each.value),
        "margin_enabled": False,
        "post_only": False,
        "limit_only": False,
        "cancel_only": False,
        "status": "online",
        "status_message": "",
        "trading_disabled": False,
        "fx_stablecoin": False,
        "max_slippage_percentage": "0.02000000",
        "auction_mode": False,
        "high_bid_limit_percentage": "",
    }


def currency_row(asset: str) -> dict[str, Any]:
    """Of GET /currencies."""
    crypto = asset != "USD"
    return {
        "id": asset,
        "name": NAMES[asset],
        "min_size": "0.00000001" if crypto else "0.01",
        "status": "online",
        "message": "",
        "max_precision": "0.00000001" if crypto else "0.01",
        "convertible_to": [],
        "details": {"type": "crypto" if crypto else "fiat", "symbol": None, "min_withdrawal_amount": 0.0001},
        "default_network": NAMES[asset].lower() if crypto else "",
        "supported_networks": [],
        "display_name": asset,
    }


def book_row(sequence: int, bids: Levels, asks: Levels, level: int, at: float) -> dict[str, Any]:
    """Of GET /products/…/book: price, size, how many orders (of level 3: an order's id)."""
    most = {1: 1, 2: 50}.get(level, 1_000_000)
    sides = {"bids": sorted(bids.items(), reverse=True)[:most], "asks": sorted(asks.items())[:most]}
    rows = {
        name: [[plain(price), plain(size), 1 if level < 3 else of_name(price)] for price, size in levels]
        for name, levels in sides.items()
    }
    return {"sequence": sequence, **rows, "auction_mode": False, "auction": None, "time": iso(at)}


def trade_row(trade: Trade) -> dict[str, Any]:
    """Of GET /products/…/trades: its side is that of the order that rested."""
    return {
        "trade_id": trade.number,
        "side": side(trade.sells),
        "size": places(trade.size),
        "price": places(trade.price),
        "time": iso(trade.at),
    }


def ticker_row(trade: Trade | None, last: Decimal, bid: Decimal, ask: Decimal, day: Bar, at: float) -> dict[str, Any]:
    """Of GET /products/…/ticker."""
    return {
        "ask": plain(ask),
        "bid": plain(bid),
        "volume": places(day.volume),
        "trade_id": trade.number if trade else 1,
        "price": plain(last),
        "size": plain(trade.size if trade else Decimal(1)),
        "time": iso(trade.at if trade else at),
    }


def candle_row(bar: Bar) -> list[float | int]:
    """Of GET /products/…/candles: start, low, high, open, close, volume."""
    return [bar.start, *(float(value) for value in (bar.low, bar.high, bar.open, bar.close, bar.volume))]


# ---------------------------------------------------------------- the feed


def _mine(order: Order) -> dict[str, str]:
    account = order.ticket.account
    return {"user_id": of_name("user", account).replace("-", "")[:24], "profile_id": of_name("profile", account)}


def received(order: Order) -> dict[str, Any]:
    """The order is taken, and is about to be matched."""
    ticket = order.ticket
    row = {
        "type": "received",
        "side": side(ticket.buys),
        "product_id": ticket.instrument.symbol,
        "time": iso(order.created),
        "order_id": id_of(order.number),
        "order_type": "market" if ticket.at_market else "limit",
    }
    if ticket.cost is not None:
        row["funds"] = plain(ticket.cost)
    else:
        row["size"] = plain(order.quantity)
    if not ticket.at_market:
        row["price"] = plain(order.limit or Decimal(0))
    if ticket.client_id:
        row["client_oid"] = ticket.client_id
    return row | _mine(order)


def activate(order: Order, at: float) -> dict[str, Any]:
    """A stop order waits."""
    return {
        "type": "activate",
        "product_id": order.ticket.instrument.symbol,
        "timestamp": f"{at:.6f}",
        "order_id": id_of(order.number),
        "stop_type": is_stop(order),
        "side": side(order.ticket.buys),
        "stop_price": plain(order.stop or Decimal(0)),
        "size": plain(order.quantity),
        "funds": "",
        "private": True,
        **_mine(order),
    }


def opened(order: Order, at: float) -> dict[str, Any]:
    """What was not matched rests in the book."""
    return {
        "type": "open",
        "side": side(order.ticket.buys),
        "product_id": order.ticket.instrument.symbol,
        "time": iso(at),
        "price": plain(order.limit or Decimal(0)),
        "order_id": id_of(order.number),
        "remaining_size": plain(order.left),
        **_mine(order),
    }


def done(order: Order, at: float) -> dict[str, Any]:
    """It has left the book, or never was in it."""
    row = {
        "type": "done",
        "side": side(order.ticket.buys),
        "product_id": order.ticket.instrument.symbol,
        "time": iso(at),
        "order_id": id_of(order.number),
        "reason": "filled" if order.status == "FILLED" else "canceled",
    }
    if order.ticket.cost is None:
        row["remaining_size"] = plain(order.left)
    if not order.ticket.at_market:
        row["price"] = plain(order.limit or Decimal(0))
    return row | _mine(order)


def changed(order: Order, at: float, old: Decimal) -> dict[str, Any]:
    """Its size or price was changed while it rested."""
    return {
        "type": "change",
        "reason": "modify_order",
        "time": iso(at),
        "order_id": id_of(order.number),
        "side": side(order.ticket.buys),
        "product_id": order.ticket.instrument.symbol,
        "old_size": plain(old),
        "new_size": plain(order.left),
        "price": plain(order.limit or Decimal(0)),
        **_mine(order),
    }


def match(symbol: str, trade: Trade, maker: str, taker: str) -> dict[str, Any]:
    """A public trade: the side is that of the order that rested."""
    return {
        "type": "match",
        "trade_id": trade.number,
        "maker_order_id": maker,
        "taker_order_id": taker,
        "side": side(trade.sells),
        "size": plain(trade.size),
        "price": plain(trade.price),
        "product_id": symbol,
        "time": iso(trade.at),
    }


def my_match(order: Order, fill: Fill, other: str) -> dict[str, Any]:
    """A trade of ours, as the user channel tells it."""
    me, role = id_of(order.number), "maker" if fill.maker else "taker"
    mine = _mine(order)
    rate = fill.instrument.maker if fill.maker else fill.instrument.taker
    return {
        "type": "match",
        "trade_id": fill.number,
        "maker_order_id": me if fill.maker else other,
        "taker_order_id": other if fill.maker else me,
        "side": side(fill.buys if fill.maker else not fill.buys),
        "size": plain(fill.size),
        "price": plain(fill.price),
        "product_id": fill.instrument.symbol,
        "time": iso(fill.at),
        **mine,
        f"{role}_user_id": mine["user_id"],
        f"{role}_profile_id": mine["profile_id"],
        f"{role}_fee_rate": plain(rate),
    }


def ticker(each: Instrument, trade: Trade, best: Iterable[Decimal], day: Bar) -> dict[str, Any]:
    """`ticker`, at every match: the side is the taker's."""
    bid, bid_size, ask, ask_size = best
    return {
        "type": "ticker",
        "product_id": each.symbol,
        "price": plain(trade.price),
        "open_24h": plain(day.open),
        "volume_24h": places(day.volume),
        "low_24h": plain(day.low),
        "high_24h": plain(day.high),
        "volume_30d": places(day.volume * 30),
        "best_bid": plain(bid),
        "best_bid_size": places(bid_size),
        "best_ask": plain(ask),
        "best_ask_size": places(ask_size),
        "side": side(not trade.sells),
        "time": iso(trade.at),
        "trade_id": trade.number,
        "last_size": plain(trade.size),
    }


def snapshot(symbol: str, bids: Levels, asks: Levels, at: float) -> dict[str, Any]:
    """The first of `level2`."""
    return {
        "type": "snapshot",
        "product_id": symbol,
        "asks": [[plain(price), places(size)] for price, size in sorted(asks.items())],
        "bids": [[plain(price), places(size)] for price, size in sorted(bids.items(), reverse=True)],
        "time": iso(at),
    }


def l2update(symbol: str, bids: Levels, asks: Levels, at: float) -> dict[str, Any]:
    """What has changed: a size of 0 is gone."""
    changes = [[word, plain(p), places(s)] for word, side_ in (("buy", bids), ("sell", asks)) for p, s in side_.items()]
    return {"type": "l2update", "product_id": symbol, "changes": changes, "time": iso(at)}
