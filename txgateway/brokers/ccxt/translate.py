"""ccxt's unified words (its numbers texts) -> ours, and our orders -> what is asked of ccxt. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from txgateway.brokers.ccxt.frames import amount, force_of, moment, number, price, unique
from txgateway.brokers.ccxt.words import Fill, Held, Seen
from txgateway.model.account import AccountReport, Balance, Position
from txgateway.model.errors import GatewayError
from txgateway.model.execution import Execution
from txgateway.model.instrument import AssetClass, Instrument, Session
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType, Side, TimeInForce

ZERO = Decimal(0)
S = OrderStatus
DAYS = Session(time(0), time(0), "UTC", always=True)
"""These markets never close, and their days are those of UTC."""

_STATUS = {
    "open": S.NEW,
    "closed": S.FILLED,
    "canceled": S.CANCELED,
    "canceling": S.NEW,
    "expired": S.EXPIRED,
    "rejected": S.REJECTED,
}
_TYPES = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
    "stop_market": OrderType.STOP,
    "stop_loss": OrderType.STOP,
    "take_profit": OrderType.STOP,
    "take_profit_market": OrderType.STOP,
    "stop_limit": OrderType.STOP_LIMIT,
    "stop_loss_limit": OrderType.STOP_LIMIT,
    "take_profit_limit": OrderType.STOP_LIMIT,
    "limit_maker": OrderType.LIMIT,
    "post_only": OrderType.LIMIT,
    "ioc": OrderType.LIMIT,
    "fok": OrderType.LIMIT,
}


def plain(value: Decimal) -> str:
    """A number as exchanges write it."""
    return f"{value.normalize():f}" if value else "0"


# ---------------------------------------------------------------- orders


def seen(order: Mapping[str, Any], name: str) -> Seen | None:
    """An order of ccxt's; None where it has no id."""
    broker_id = order.get("id")
    if not broker_id:
        return None
    status = _STATUS.get(str(order.get("status")), S.UNKNOWN)
    filled, quantity = number(order.get("filled")), price(order.get("amount"))
    if status is S.NEW and filled:
        status = S.PARTIALLY_FILLED
    if status is S.FILLED and filled is not None and quantity is not None and filled < quantity:
        status = S.CANCELED
    form = str(order.get("type") or "").lower()
    stop = price(order.get("triggerPrice")) or price(order.get("stopPrice"))
    order_type = _TYPES.get(form)
    if stop is not None and order_type in (OrderType.LIMIT, OrderType.MARKET):
        order_type = OrderType.STOP_LIMIT if order_type is OrderType.LIMIT else OrderType.STOP
    limit = price(order.get("price")) if order_type is None or order_type.has_limit else None
    when = order.get("lastUpdateTimestamp") or order.get("lastTradeTimestamp") or order.get("timestamp")
    side = order.get("side")
    return Seen(
        name=name,
        broker_id=str(broker_id),
        symbol=str(order.get("symbol") or ""),
        status=status,
        time=moment(when) if when else datetime.now(UTC),
        side=None if side is None else Side.BUY if side == "buy" else Side.SELL,
        order_type=order_type,
        time_in_force=force_of(order.get("timeInForce")),
        quantity=quantity,
        limit=limit,
        stop=stop,
        filled=filled,
        average=price(order.get("average")),
        whole=quantity is not None and side is not None,
    )


def fill(trade: Mapping[str, Any], name: str, market_id: str, plain_ids: bool, time_key: str = "") -> Fill | None:
    """A fill of ccxt's; None where it lacks what a fill is. Under `time_key` it has its time in seconds, exactly."""
    identity, quantity, each = trade.get("id"), amount(trade.get("amount")), amount(trade.get("price"))
    if not identity or not quantity or not each or not trade.get("timestamp"):
        return None
    broker_id = str(trade.get("order") or "")
    seconds = str((trade.get("info") or {}).get(time_key) or "")
    when = moment(Decimal(seconds) * 1000) if "." in seconds else moment(trade["timestamp"])
    fee: Mapping[str, Any] = trade.get("fee") or {}
    several: Sequence[Mapping[str, Any]] = trade.get("fees") or ()
    if fee.get("cost") is None and len({each.get("currency") for each in several}) == 1:
        total = sum((amount(each.get("cost")) for each in several), ZERO)
        fee = {"cost": total, "currency": several[0].get("currency")}
    return Fill(
        execution_id=str(identity) if plain_ids else unique(market_id, identity, broker_id),
        name=name,
        broker_id=broker_id,
        symbol=str(trade.get("symbol") or ""),
        side=Side.BUY if trade.get("side") == "buy" else Side.SELL,
        quantity=quantity,
        price=each,
        time=when,
        fee=number(fee.get("cost")),
        fee_currency=str(fee.get("currency") or ""),
        maker=trade.get("takerOrMaker") == "maker",
    )


@dataclass(frozen=True, slots=True)
class Stop:
    """The parameter of a stop price; `kind` are the words for a sale's and a purchase's, where one must be said."""

    price: str = "stopPrice"
    kind: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What ccxt's create_order is given."""

    symbol: str
    form: str
    side: str
    quantity: str
    limit: str | None
    params: Mapping[str, Any]


def sent(order: Order, client: str, collar: Decimal | None, key: str, stop: Stop) -> Sent:
    """An order as it is sent, with the client's id under `key`.

    `collar`: the limit of a market order that is sent as a limit order. `stop`: how a stop price is told.
    """
    limit = order.limit_price
    params: dict[str, Any] = {key: client}
    form = "limit" if order.order_type.has_limit else "market"
    if collar is not None:
        form, limit = "limit", collar
        params["timeInForce"] = "IOC"
    elif form == "limit":
        params["timeInForce"] = order.time_in_force.value
    if order.order_type.has_stop:
        assert order.stop_price is not None
        params[stop.price] = plain(order.stop_price)
        if stop.kind is not None:
            params["stop"] = stop.kind[order.side.sign > 0]
    side = "buy" if order.side is Side.BUY else "sell"
    price_of = None if limit is None else plain(limit)
    return Sent(order.symbol, form, side, plain(order.quantity), price_of, params)


def report(found: Seen, order: Order | None, account: str, order_id: str | None, reason: Any = None) -> OrderReport:
    """An order for who asked. What the exchange does not say of an order of ours is as it was ordered."""
    kind = order.order_type if order is not None else found.order_type or OrderType.LIMIT
    force = order.time_in_force if order is not None else found.time_in_force or TimeInForce.GTC
    quantity = found.quantity
    if quantity is None:
        quantity = order.quantity if order is not None else found.filled or ZERO
    limit, stop = found.limit, found.stop
    if order is not None:
        limit = limit if limit is not None else order.limit_price
        stop = stop if stop is not None else order.stop_price
    side = order.side if order is not None else found.side or Side.BUY
    return OrderReport(
        broker_order_id=found.broker_id,
        account=account,
        symbol=found.symbol or (order.symbol if order is not None else ""),
        side=side,
        quantity=quantity,
        order_type=kind,
        status=found.status,
        time=found.time,
        order_id=order_id,
        time_in_force=force,
        limit_price=limit if kind.has_limit else None,
        stop_price=stop if kind.has_stop else None,
        filled_quantity=found.filled or ZERO,
        average_price=found.average or ZERO,
        reason=reason,
        text=found.text,
    )


# ---------------------------------------------------------------- executions


def execution(venue: str, account: str, its: Fill, market: Mapping[str, Any] | None, order_id: str) -> Execution:
    """A fill as an execution, in the market's quote currency.

    A fee in the currency that was bought is kept back of it (`taken`), and is no commission then, nor is one in a third
    currency (`fee`): it has no price here. What is not told is estimated by the market's rates.
    """
    quote = str((market or {}).get("quote") or its.symbol.partition("/")[2].partition(":")[0] or "USD")
    base = str((market or {}).get("base") or its.symbol.partition("/")[0])
    settle = str((market or {}).get("settle") or quote)
    spot = (market or {}).get("spot") is not False
    fee, taken = its.fee, ZERO
    if fee is None and market is not None:
        rate = amount(market.get("maker" if its.maker else "taker"))
        fee, currency = its.quantity * (price(market.get("contractSize")) or 1) * its.price * rate, settle
    else:
        fee, currency = fee or ZERO, its.fee_currency
    commission, other = ZERO, ZERO
    if currency in (quote, settle, ""):
        commission = fee
    elif currency == base and spot:
        taken = fee
    else:
        other = fee
    return Execution(
        execution_id=its.execution_id,
        venue=venue,
        account=account,
        symbol=its.symbol,
        side=its.side,
        quantity=its.quantity,
        price=its.price,
        time=its.time,
        order_id=order_id,
        broker_order_id=its.broker_id,
        commission=commission,
        currency=settle if not spot else quote,
        cumulative_quantity=its.cumulative or ZERO,
        taken=taken,
        fee=other,
        fee_currency=currency if other else "",
    )


# ---------------------------------------------------------------- balances, positions


def moved(its: Fill, market: Mapping[str, Any]) -> dict[str, Decimal]:
    """By how much a fill moves each currency: of a perpetual by its fee alone, for it is not paid for."""
    found: dict[str, Decimal] = {}
    if market.get("spot"):
        units = its.quantity * its.side.sign
        found[str(market.get("base"))] = units
        found[str(market.get("quote"))] = -units * its.price
    if its.fee:
        currency = its.fee_currency or str(market.get("settle") or market.get("quote"))
        found[currency] = found.get(currency, ZERO) - its.fee
    return found


def held(balance: Mapping[str, Any], wallet: str = "") -> list[Held]:
    """ccxt's balances, currency by currency. Where ccxt's total is another, `wallet` is the total's own name."""
    totals = dict(balance.get("total") or {})
    info = balance.get("info")
    for each in (info.get("assets") or ()) if wallet and isinstance(info, Mapping) else ():
        if each.get("asset") in totals and number(each.get(wallet)) is not None:
            totals[each["asset"]] = each[wallet]
    used = balance.get("used") or {}
    return [
        Held(currency=str(currency), total=amount(total), used=number(used.get(currency)))
        for currency, total in totals.items()
        if number(total) is not None
    ]


def account_report(account: str, balances: Iterable[Held], quotes: Sequence[str]) -> AccountReport:
    """What an account holds. Its cash is what it has of the first quote currency that it has any of."""
    found = {each.currency: each for each in balances if each.total or each.used}
    cash_in = next((each for each in quotes if each in found), quotes[0] if quotes else "USD")
    rows = [
        Balance(each.currency, each.total, each.total - (each.used or ZERO), each.used or ZERO)
        for each in sorted(found.values(), key=lambda row: row.currency)
    ]
    cash = found[cash_in].total if cash_in in found else ZERO
    return AccountReport(account, cash, tuple(rows), {"currency": cash_in})


def spot_positions(
    venue: str, account: str, balances: Iterable[Held], pairs: Mapping[str, str], quotes: Sequence[str]
) -> list[Position]:
    """What is held of each currency that is no cash, as a position in its pair (`pairs`: currency -> pair)."""
    return [
        Position(venue, account, pairs[each.currency], each.total)
        for each in balances
        if each.total and each.currency in pairs and each.currency not in quotes
    ]


def shared(markets: Mapping[str, Any], symbols: Iterable[str]) -> dict[str, list[str]]:
    """The coins that several of these pairs are of, each with them."""
    found: dict[str, list[str]] = {}
    for symbol in symbols:
        if symbol in markets:
            found.setdefault(str(markets[symbol].get("base")), []).append(symbol)
    return {coin: pairs for coin, pairs in found.items() if len(pairs) > 1}


def swap_positions(venue: str, account: str, positions: Iterable[Mapping[str, Any]]) -> list[Position]:
    """ccxt's positions; GatewayError when a symbol is held long and short at once (hedge mode)."""
    found: dict[str, list[Position]] = {}
    for each in positions:
        size, symbol = amount(each.get("contracts")), str(each.get("symbol"))
        if not size:
            continue
        made = Position(
            venue,
            account,
            symbol,
            -size if each.get("side") == "short" else size,
            amount(each.get("entryPrice")),
            mark_price=price(each.get("markPrice")),
            liquidation_price=price(each.get("liquidationPrice")),
            leverage=price(each.get("leverage")),
            unrealized_profit=number(each.get("unrealizedPnl")),
        )
        held = found.setdefault(symbol, [])
        if held and (held[0].quantity > 0) != (made.quantity > 0):
            text = (
                f"Account {account} at {venue} holds {symbol} long and short at once (position mode HEDGE), and "
                "positions here are net: close one of the two at the exchange, and leave that mode."
            )
            raise GatewayError(text)
        held.append(made)
    return [_together(held) for _, held in sorted(found.items())]


def _together(held: Sequence[Position]) -> Position:
    """What an exchange lists in parts, all of one side; they have no liquidation price in common."""
    if len(held) == 1:
        return held[0]
    quantity = sum((each.quantity for each in held), ZERO)
    cost = sum((each.quantity * each.average_price for each in held), ZERO)
    profit = sum((each.unrealized_profit or ZERO for each in held), ZERO)
    return replace(
        held[0], quantity=quantity, average_price=cost / quantity, liquidation_price=None, unrealized_profit=profit
    )


# ---------------------------------------------------------------- instruments


def instrument(venue: str, market: Mapping[str, Any]) -> Instrument:
    """A market's trading rules."""
    precision, limits = market.get("precision") or {}, market.get("limits") or {}

    def limit(kind: str, end: str) -> Decimal:
        return amount((limits.get(kind) or {}).get(end))

    lot = amount(precision.get("amount")) or Decimal("0.00000001")
    return Instrument(
        symbol=str(market["symbol"]),
        venue=venue,
        fullname=f"{market.get('base')} for {market.get('quote')}" + (" (perpetual)" if market.get("swap") else ""),
        asset_class=AssetClass.PERPETUAL if market.get("swap") else AssetClass.CRYPTO,
        currency=str(market.get("settle") or market.get("quote") or "USD"),
        exchange=str(market.get("id") or ""),
        tick_size=amount(precision.get("price")) or Decimal("0.00000001"),
        lot_size=lot,
        min_quantity=limit("amount", "min") or lot,
        max_quantity=limit("amount", "max"),
        min_notional=limit("cost", "min"),
        multiplier=amount(market.get("contractSize")) or Decimal(1),
        shortable=bool(market.get("swap")),
        session=DAYS,
        raw={"id": str(market.get("id")), "type": str(market.get("type"))},
    )


def elsewhere(symbol: str, market: Mapping[str, Any] | None, kind: str) -> bool:
    """Whether a pair is of the key's other market, spot or contracts: what happens in it is no matter of this one."""
    if not kind or not symbol:
        return False
    spot = (market or {}).get("spot")
    if spot is None:
        if "/" not in symbol:
            return False  # an id that ccxt could not read: of which market it is nobody knows
        spot = ":" not in symbol
    return bool(spot) is not (kind == "spot")


def traded(market: Mapping[str, Any], kind: str, symbols: Sequence[str]) -> bool:
    """Whether a market is open to orders, of the kind that is traded here, and not left out."""
    if market.get("active") is False or market.get("type") not in ((kind,) if kind else ("spot", "swap")):
        return False
    if market.get("inverse"):
        return False
    return not symbols or any(each in (market["symbol"], market.get("quote")) for each in symbols)


def replaced(found: Seen) -> Seen:
    """The same, as the answer to a replace."""
    return replace(found, replaced=True)
