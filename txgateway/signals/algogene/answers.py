"""The answers, member for member as algogene.com gives them: prices and volumes are floats, times are UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from txgateway.model.account import AccountReport
from txgateway.model.instrument import AssetClass
from txgateway.model.market import Bar, Period, Quote, Unit
from txgateway.model.order import Side
from txgateway.model.signal import Answer
from txgateway.signals import json_answer

ZERO = Decimal(0)
MARKETS = {
    AssetClass.STOCK: ("EQ", "SPOT"),
    AssetClass.FUTURE: ("COM", "FUT"),
    AssetClass.OPTION: ("EQ", "OPT"),
    AssetClass.FOREX: ("FX", "SPOT"),
    AssetClass.CRYPTO: ("CRYPTO", "SPOT"),
    AssetClass.PERPETUAL: ("CRYPTO", "FUT"),
    AssetClass.INDEX: ("INDEX", "SPOT"),
}
"""(market, product_type) in ALGOGENE's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One trade as it is shown: what of it is open, or what still waits to be filled.

    `instrument` is the script's name, `symbol` the venue's. `price` is what it was filled at, or its limit.
    """

    trade_id: str
    instrument: str
    symbol: str
    side: Side
    volume: Decimal
    price: Decimal
    time: datetime
    broker: str
    asset_class: AssetClass
    reference: str = ""
    take_profit: Decimal = ZERO
    stop_loss: Decimal = ZERO
    hold_seconds: int = 0
    profit: Decimal = ZERO
    good_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """An instrument's quote, by the script's name."""

    instrument: str
    quote: Quote


def stamp(moment: datetime) -> str:
    """A time, always with microseconds: clients compare it as a string, and read it by a fixed pattern."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def refusal(text: str, status: int = 400) -> Answer:
    """What is not done, and why."""
    return json_answer(status, {"res": text})


def session(token: str, until: datetime) -> Answer:
    """A session's token, and when it ends."""
    return json_answer(200, {"res": {"expired_utc": stamp(until), "token": token}})


def opened(trade_id: str, now: datetime) -> Answer:
    """An order was taken in: its tradeID is an int here, and a text where the trade is shown."""
    return json_answer(200, {"status": "PENDING_TO_FILL", "timestamp_utc": stamp(now), "tradeID": int(trade_id)})


def submitted(what: str, trade_ids: Iterable[str], rest: str = "") -> Answer:
    """A request for some trades was taken in; a comma behind each of them, as algogene.com writes it."""
    named = "".join(f"'{each}'," for each in trade_ids)
    return json_answer(200, {"res": f"{what} {named}{rest}", "status": "SUCCESS"})


def updated(text: str) -> Answer:
    """A change was taken in."""
    return json_answer(200, {"res": text, "status": "SUCCESS"})


def opened_trades(trades: Iterable[Trade]) -> Answer:
    """The open trades."""
    return _listed([_opened(each) for each in trades])


def pending_trades(trades: Iterable[Trade]) -> Answer:
    """The trades whose entry still waits at the venue."""
    return _listed([_pending(each) for each in trades])


def one_trade(trade_id: str, open_trades: list[Trade], pending: list[Trade]) -> Answer:
    """One trade, open or not yet filled: listed, and its members beside."""
    rows = [_opened(each) for each in open_trades] or [_pending(each) for each in pending]
    shown = {name: value for row in rows[:1] for name, value in row.items() if name in _OF_ONE}
    status = ("PARTIAL_FILLED" if pending else "FILLED") if open_trades else "PENDING"
    reference = rows[0]["order_Ref"] if rows else ""
    more = {**shown, "err_msg": "", "orderRef": reference, "status": status, "tradeID": trade_id} if rows else {}
    return json_answer(200, {"count": len(rows), **dict(sorted({**more, "res": rows}.items()))})


_OF_ONE = frozenset(
    {"buysell", "expiry", "holdtime", "instrument", "price", "right", "stopLossLevel", "strike", "symbol"}
    | {"takeProfitLevel", "timeinforce", "timestamp", "volume"}
)


def _listed(rows: list[dict[str, Any]]) -> Answer:
    return json_answer(200, {"count": len(rows), "res": rows})


def _opened(trade: Trade) -> dict[str, Any]:
    return dict(sorted({**_row(trade), "unrealizedPL": float(trade.profit)}.items()))


def _pending(trade: Trade) -> dict[str, Any]:
    return dict(sorted({**_row(trade), "timeinforce": float(trade.good_seconds)}.items()))


def _row(trade: Trade) -> dict[str, Any]:
    market, product = MARKETS[trade.asset_class]
    name, expiry, right, strike = _contract(trade.instrument)
    return {
        "broker": trade.broker,
        "buysell": trade.side.sign,
        "channel": "api",
        "expiry": expiry,
        "holdtime": float(trade.hold_seconds),
        "instrument": name,
        "market": market,
        "openclose": "open",
        "order_Ref": trade.reference,
        "price": float(trade.price),
        "product_type": product,
        "right": right,
        "stopLossLevel": float(trade.stop_loss),
        "strike": strike,
        "symbol": trade.symbol,
        "takeProfitLevel": float(trade.take_profit),
        "timestamp": stamp(trade.time),
        "trade_ID": trade.trade_id,
        "volume": float(trade.volume),
    }


def named(instrument: str, expiry: str, right: str, strike: Decimal | None) -> str:
    """One name for an instrument and, for a future or an option, its contract: what a source's symbols map."""
    parts = (instrument, expiry, right, f"{strike.normalize():f}" if strike else "")
    return " ".join(each for each in parts if each)


def _contract(symbol: str) -> tuple[str, str, str, float]:
    """The instrument, expiry, right and strike that a name was made of."""
    name, *parts = symbol.split(" ")
    expiry = next((each for each in parts if each.isdecimal() and len(each) >= 6), "")
    right = next((each for each in parts if each in ("C", "P")), "")
    try:
        strike = float(parts[-1]) if right and parts[-1] != right else 0.0
    except ValueError:
        strike = 0.0
    return name, expiry, right, strike


# ---------------------------------------------------------------- the account


def accounts(named_accounts: Iterable[tuple[str, str, AccountReport, bool]], now: datetime) -> Answer:
    """Accounts by (accountid, runmode, the broker's word, whether it trades)."""
    rows = [
        {
            "NAV": float(report.equity),
            "accountid": accountid,
            "availableBalance": float(_available(report)),
            "isTrading": trades,
            "lastUpdatedTime": stamp(now),
            "marginUsed": _value(report, "margin_used"),
            "realizedPL": _value(report, "realized_pnl"),
            "runmode": runmode,
            "unrealizedPL": _value(report, "unrealized_pnl"),
        }
        for accountid, runmode, report, trades in named_accounts
    ]
    return _listed(rows)


def balance(report: AccountReport, currency: str, now: datetime) -> Answer:
    """What an account is worth."""
    return json_answer(
        200,
        {
            "BaseCurrency": currency,
            "NAV": float(report.equity),
            "available_Balance": float(_available(report)),
            "margin_Used": _value(report, "margin_used"),
            "realized_PL": _value(report, "realized_pnl"),
            "timestamp": stamp(now),
            "unrealized_PL": _value(report, "unrealized_pnl"),
        },
    )


def positions(held: Iterable[tuple[str, Decimal, Decimal, datetime | None]]) -> Answer:
    """Positions by (instrument, units, worth, time of the last execution)."""
    rows = {
        name: {
            "LastTradeTime": stamp(last) if last is not None else "",
            "MarketValue": float(worth),
            "Position": float(units),
            "netVolume": float(units),
        }
        for name, units, worth, last in held
    }
    return json_answer(200, {"count": len(rows), "res": rows})


def _available(report: AccountReport) -> Decimal:
    available = report.values.get("available")
    return available if isinstance(available, Decimal) else report.cash


def _value(report: AccountReport, name: str) -> float:
    value = report.values.get(name)
    return float(value) if isinstance(value, Decimal) else 0.0


# ---------------------------------------------------------------- the market


def prices(found: Iterable[Price]) -> Answer:
    """Quotes by instrument."""
    rows = {
        each.instrument: {
            "askOrderBook": _book(each.quote.ask, each.quote.ask_size),
            "askPrice": float(each.quote.ask),
            "askSize": float(each.quote.ask_size),
            "bidOrderBook": _book(each.quote.bid, each.quote.bid_size),
            "bidPrice": float(each.quote.bid),
            "bidSize": float(each.quote.bid_size),
            "timestamp": stamp(each.quote.time),
        }
        for each in found
    }
    return json_answer(200, {"count": len(rows), "res": rows})


def _book(price: Decimal, size: Decimal) -> list[list[float]]:
    return [[float(price), float(size)]] if size > 0 else []


def instruments(names: Iterable[str]) -> Answer:
    """The names of all that can be traded."""
    known = sorted(set(names))
    return json_answer(200, {"count": len(known), "res": known})


def history(instrument: str, symbol: str, bars: Iterable[Bar], period: Period) -> Answer:
    """Bars, oldest first, each by the time of its end; a day by its date. A bar's close stands for its bid and ask."""
    name, expiry, right, strike = _contract(instrument)
    rows = [
        {
            "a": float(bar.close),
            "ab": [],
            "b": float(bar.close),
            "bb": [],
            "c": float(bar.close),
            "expiry": expiry,
            "h": float(bar.high),
            "instrument": name,
            "l": float(bar.low),
            "m": float(bar.close),
            "o": float(bar.open),
            "right": right,
            "strike": strike,
            "symbol": symbol,
            "t": ended(bar, period).strftime("%Y-%m-%d %H:%M:%S"),
            "v": float(bar.volume),
        }
        for bar in bars
    ]
    return _listed(rows)


def ended(bar: Bar, period: Period) -> datetime:
    """The time by which a bar is known, UTC."""
    start = bar.time.astimezone(UTC)
    return start + timedelta(minutes=period.count) if period.unit is Unit.MINUTE else start
