"""Orders, fills, accounts and market data as Coinbase Advanced Trade's JSON. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.emulators.coinbase.exchange_rows import fees, iso
from tests.emulators.coinbase.listing import NAMES, id_of, of_name, plain
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.market import Bar, Levels, Trade
from tests.emulators.crypto.orders import Account, Balance, Fill, Order

TIFS = {
    "GTC": "GOOD_UNTIL_CANCELLED",
    "GTD": "GOOD_UNTIL_DATE_TIME",
    "GTT": "GOOD_UNTIL_DATE_TIME",
    "IOC": "IMMEDIATE_OR_CANCEL",
    "FOK": "FILL_OR_KILL",
}


def status(order: Order) -> str:
    """PENDING, OPEN, FILLED, CANCELLED, EXPIRED, FAILED."""
    if order.status == "EXPIRED":
        return "EXPIRED" if order.reason in ("GTD", "GTT") else "CANCELLED"
    return {"FILLED": "FILLED", "CANCELED": "CANCELLED", "REJECTED": "FAILED"}.get(order.status, "OPEN")


def tif(order: Order) -> str:
    """In Advanced Trade's words."""
    return TIFS["IOC" if order.ticket.at_market else order.ticket.extra.get("tif", order.ticket.tif)]


def trigger_status(order: Order) -> str:
    """INVALID_ORDER_TYPE for an order without a stop."""
    if not order.ticket.waits:
        return "INVALID_ORDER_TYPE"
    return "STOP_TRIGGERED" if order.triggered else "STOP_PENDING"


def kind(order: Order) -> str:
    """MARKET, LIMIT, STOP_LIMIT."""
    return "MARKET" if order.ticket.at_market else ("STOP_LIMIT" if order.ticket.waits else "LIMIT")


def share(order: Order) -> str:
    """completion_percentage."""
    if order.ticket.cost is not None:
        return "100" if order.status == "FILLED" else "0"
    return plain((order.filled * 100 / order.quantity).quantize(Decimal("0.01"))) if order.quantity else "0"


def after_fees(order: Order) -> Decimal:
    """What it has cost, or brought, with fees."""
    return order.turnover + fees(order) * (1 if order.ticket.buys else -1)


def order_row(order: Order) -> dict[str, Any]:
    """Of GET orders/historical/…."""
    ticket = order.ticket
    return {
        "order_id": id_of(order.number),
        "product_id": ticket.instrument.symbol,
        "user_id": of_name("user", ticket.account),
        "order_configuration": configuration(order),
        "side": ticket.side,
        "client_order_id": ticket.client_id,
        "status": status(order),
        "time_in_force": tif(order),
        "created_time": iso(order.created),
        "completion_percentage": share(order),
        "filled_size": plain(order.filled),
        "average_filled_price": plain(order.average),
        "fee": "",
        "number_of_fills": str(len(order.fills)),
        "filled_value": plain(order.turnover),
        "pending_cancel": False,
        "size_in_quote": ticket.cost is not None,
        "total_fees": plain(fees(order)),
        "size_inclusive_of_fees": ticket.cost is not None,
        "total_value_after_fees": plain(after_fees(order)),
        "trigger_status": trigger_status(order),
        "order_type": kind(order),
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": order.status == "FILLED",
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": "" if order.is_open or order.status == "FILLED" else "User requested cancel",
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": plain(order.locked),
        "is_liquidation": False,
        "last_fill_time": iso(order.fills[-1].at) if order.fills else None,
        "edit_history": ticket.extra.get("edits", []),
        "leverage": "",
        "margin_type": "UNKNOWN_MARGIN_TYPE",
        "retail_portfolio_id": of_name("portfolio", ticket.account),
        "originating_order_id": "",
        "attached_order_id": "",
    }


def configuration(order: Order) -> dict[str, Any]:
    """As it was asked for, with what it was changed to."""
    [(name, asked)] = order.ticket.extra["configuration"].items()
    asked = dict(asked)
    if "limit_price" in asked:
        asked["limit_price"] = plain(order.limit or Decimal(0))
        asked["base_size"] = plain(order.quantity)
    if "stop_price" in asked:
        asked["stop_price"] = plain(order.stop or Decimal(0))
    return {name: asked}


def fill_row(fill: Fill) -> dict[str, Any]:
    """Of GET orders/historical/fills."""
    return {
        "entry_id": of_name("entry", fill.number, fill.order).replace("-", ""),
        "trade_id": of_name("trade", fill.number, fill.order),
        "order_id": id_of(fill.order),
        "trade_time": iso(fill.at),
        "trade_type": "FILL",
        "price": plain(fill.price),
        "size": plain(fill.size),
        "commission": plain(fill.fee),
        "product_id": fill.instrument.symbol,
        "sequence_timestamp": iso(fill.at),
        "liquidity_indicator": "MAKER" if fill.maker else "TAKER",
        "size_in_quote": False,
        "user_id": of_name("user", fill.account),
        "side": "BUY" if fill.buys else "SELL",
        "retail_portfolio_id": of_name("portfolio", fill.account),
        "fillSource": "FILL_SOURCE_CLOB",
        "commission_detail_total": {"total_commission": plain(fill.fee)},
    }


def account_row(account: Account, asset: str, balance: Balance) -> dict[str, Any]:
    """Of GET accounts."""
    return {
        "uuid": of_name("account", account.name, asset),
        "name": f"{asset} Wallet",
        "currency": asset,
        "available_balance": {"value": plain(balance.free), "currency": asset},
        "default": True,
        "active": True,
        "created_at": "2023-01-04T06:20:06.456Z",
        "updated_at": "2023-01-04T06:20:07.181Z",
        "deleted_at": None,
        "type": "ACCOUNT_TYPE_FIAT" if asset == "USD" else "ACCOUNT_TYPE_CRYPTO",
        "ready": True,
        "hold": {"value": plain(balance.locked), "currency": asset},
        "retail_portfolio_id": of_name("portfolio", account.name),
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
    }


def old_account_row(account: Account, asset: str, balance: Balance) -> dict[str, Any]:
    """Of GET /v2/accounts: only the whole."""
    name, kind = of_name("account", account.name, asset), "fiat" if asset == "USD" else "crypto"
    return {
        "id": name,
        "name": f"{asset} Wallet",
        "primary": False,
        "type": "fiat" if asset == "USD" else "wallet",
        "currency": {"code": asset, "name": NAMES[asset], "exponent": 8, "type": kind},
        "balance": {"amount": plain(balance.total), "currency": asset},
        "created_at": "2023-01-04T06:20:06Z",
        "updated_at": "2023-01-04T06:20:07Z",
        "resource": "account",
        "resource_path": f"/v2/accounts/{name}",
        "allow_deposits": True,
        "allow_withdrawals": True,
    }


def product_row(each: Instrument, last: Decimal, day: Bar) -> dict[str, Any]:
    """Of GET products."""
    change = (last - day.open) * 100 / day.open if day.open else Decimal(0)
    return {
        "product_id": each.symbol,
        "price": plain(last),
        "price_percentage_change_24h": plain(change.quantize(Decimal("0.0001"))),
        "volume_24h": plain(day.volume),
        "volume_percentage_change_24h": "1.5",
        "base_increment": plain(each.step),
        "quote_increment": plain(each.tick),
        "quote_min_size": plain(each.value),
        "quote_max_size": "150000000",
        "base_min_size": plain(each.least),
        "base_max_size": plain(each.most),
        "base_name": NAMES[each.base],
        "quote_name": NAMES[each.quote],
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": each.quote,
        "base_currency_id": each.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": each.base,
        "quote_display_symbol": each.quote,
        "view_only": False,
        "price_increment": plain(each.tick),
        "display_name": each.symbol,
        "product_venue": "CBE",
        "approximate_quote_24h_volume": plain((day.volume * last).quantize(Decimal("0.01"))),
    }


def pricebook(symbol: str, bids: Levels, asks: Levels, most: int, at: float) -> dict[str, Any]:
    """Of GET product_book and best_bid_ask."""
    sides = {"bids": sorted(bids.items(), reverse=True), "asks": sorted(asks.items())}
    rows = {name: [{"price": plain(p), "size": plain(s)} for p, s in levels[:most]] for name, levels in sides.items()}
    return {"product_id": symbol, **rows, "time": iso(at)}


def trade_row(symbol: str, trade: Trade) -> dict[str, Any]:
    """Of GET products/…/ticker and `market_trades`: its side is that of the order that rested."""
    return {
        "trade_id": str(trade.number),
        "product_id": symbol,
        "price": plain(trade.price),
        "size": plain(trade.size),
        "time": iso(trade.at),
        "side": "BUY" if trade.sells else "SELL",
    }


def candle_row(bar: Bar) -> dict[str, str]:
    """Of GET products/…/candles."""
    values = {name: plain(getattr(bar, name)) for name in ("low", "high", "open", "close", "volume")}
    return {"start": str(bar.start), **values}


# ---------------------------------------------------------------- the streams


def user_row(order: Order) -> dict[str, Any]:
    """An order in the `user` channel."""
    ticket = order.ticket
    words = {"MARKET": "Market", "LIMIT": "Limit", "STOP_LIMIT": "Stop Limit"}
    row = {
        "avg_price": plain(order.average),
        "cancel_reason": "" if order.is_open or order.status == "FILLED" else "User requested cancel",
        "client_order_id": ticket.client_id,
        "completion_percentage": share(order),
        "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
        "cumulative_quantity": plain(order.filled),
        "filled_value": plain(order.turnover),
        "leaves_quantity": plain(order.left) if ticket.cost is None else "0",
        "number_of_fills": str(len(order.fills)),
        "order_id": id_of(order.number),
        "order_side": ticket.side,
        "order_type": words[kind(order)],
        "outstanding_hold_amount": plain(order.locked),
        "post_only": str(ticket.post_only).lower(),
        "product_id": ticket.instrument.symbol,
        "product_type": "SPOT",
        "reject_reason": "",
        "retail_portfolio_id": of_name("portfolio", ticket.account),
        "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
        "status": status(order),
        "time_in_force": tif(order),
        "total_fees": plain(fees(order)),
        "total_value_after_fees": plain(after_fees(order)),
        "trigger_status": trigger_status(order),
        "creation_time": iso(order.created),
        "end_time": ticket.extra.get("end_time", "0001-01-01T00:00:00Z"),
        "start_time": "0001-01-01T00:00:00Z",
    }
    if order.limit is not None:
        row["limit_price"] = plain(order.limit)
    if order.stop is not None:
        row["stop_price"] = plain(order.stop)
    return row


def updates(bids: Levels, asks: Levels, at: float) -> list[dict[str, Any]]:
    """Levels of `level2`: a size of 0 is gone."""
    return [
        {"side": word, "event_time": iso(at), "price_level": plain(price), "new_quantity": plain(size)}
        for word, levels in (("bid", bids), ("offer", asks))
        for price, size in levels.items()
    ]


def ticker_row(each: Instrument, last: Decimal, best: tuple[Decimal, ...], day: Bar) -> dict[str, Any]:
    """Of `ticker` and `ticker_batch`."""
    bid, bid_size, ask, ask_size = best
    change = (last - day.open) * 100 / day.open if day.open else Decimal(0)
    return {
        "type": "ticker",
        "product_id": each.symbol,
        "price": plain(last),
        "volume_24_h": plain(day.volume),
        "low_24_h": plain(day.low),
        "high_24_h": plain(day.high),
        "low_52_w": plain(day.low / 2),
        "high_52_w": plain(day.high * 2),
        "price_percent_chg_24_h": plain(change.quantize(Decimal("0.0001"))),
        "best_bid": plain(bid),
        "best_bid_quantity": plain(bid_size),
        "best_ask": plain(ask),
        "best_ask_quantity": plain(ask_size),
    }


def heartbeat(at: float, count: int) -> dict[str, Any]:
    """Of `heartbeats`, each second."""
    time = datetime.fromtimestamp(at, UTC).isoformat(" ", "microseconds")
    return {"current_time": f"{time[:-6]} +0000 UTC m=+{count}.0", "heartbeat_counter": count}
