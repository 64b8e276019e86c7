"""Orders: sending, changing and ending them, and the route they take."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import StrEnum
from typing import Any

from txgateway.access import Caller
from txgateway.api import Api
from txgateway.brokers import Can
from txgateway.commands import Text, Upper, command
from txgateway.gateway import Reply
from txgateway.model.errors import BadArgument, Reason, Refused
from txgateway.model.events import ReplaceRejected
from txgateway.model.exits import RESERVED, ExitPlan, Level, Unit
from txgateway.model.order import Order, OrderRequest, OrderType, Side, TimeInForce
from txgateway.model.rights import Right
from txgateway.model.route import read_route


@command(Right.TRADE, narrow=True)
async def submit_order(
    api: Api,
    caller: Caller,
    account: str,
    symbol: Upper,
    side: str,
    quantity: Decimal,
    order_type: str = "MARKET",
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    time_in_force: str | None = None,
    route: Text | None = None,
    client_order_id: str | None = None,
    tag: str | None = None,
    take_profit: str | None = None,
    stop_loss: str | None = None,
    trailing_stop: str | None = None,
    hold_seconds: int | None = None,
    oco: str | None = None,
) -> Reply:
    """Send an order: side BUY, SELL, SELL_SHORT, BUY_TO_COVER; order_type MARKET, LIMIT, STOP, STOP_LIMIT.

    time_in_force DAY, GTC, IOC or FOK; without it DAY, or GTC at a venue without days. A client_order_id makes it safe
    to send again: the same key gives the same order. With a tag it is staged as a ticket that a person approves. Exits
    are attached to what it fills: take_profit and stop_loss are a price, or "2%" or "1.5 away" from the entry;
    trailing_stop is a distance; hold_seconds closes the position so long after its first fill. Of orders with one oco
    name, what one fills is taken from the others.
    """
    word = side.upper()
    account = _account(api, account)
    request = OrderRequest(
        account=account,
        symbol=_symbol(api, symbol, account),
        side=_side(word),
        quantity=quantity,
        order_type=_word("order_type", order_type.upper(), OrderType),
        limit_price=limit_price,
        stop_price=stop_price,
        time_in_force=_lasting(api, account, time_in_force),
        route=route,
        client_order_id=_client_order_id(client_order_id),
        tag=tag,
        exits=_plan(take_profit, stop_loss, trailing_stop, hold_seconds),
        oco=_oco(oco),
    )
    return await api.gateway.submit(request, caller.user, caller.origin, caller.lease, caller.grant)


@command(Right.TRADE, narrow=True)
async def market_order(
    api: Api,
    caller: Caller,
    account: str,
    route: Text,
    symbol: Upper,
    quantity: Decimal,
    client_order_id: str | None = None,
    time_in_force: str | None = None,
) -> Reply:
    """Submit a market order (quantity below zero sells); gives the order."""
    return await _signed(
        api, caller, account, route, symbol, quantity, OrderType.MARKET, client_order_id, time_in_force
    )


@command(Right.TRADE, narrow=True)
async def limit_order(
    api: Api,
    caller: Caller,
    account: str,
    route: Text,
    symbol: Upper,
    limit_price: Decimal,
    quantity: Decimal,
    client_order_id: str | None = None,
    time_in_force: str | None = None,
) -> Reply:
    """Submit a limit order (quantity below zero sells); gives the order."""
    return await _signed(
        api, caller, account, route, symbol, quantity, OrderType.LIMIT, client_order_id, time_in_force, limit_price
    )


@command(Right.TRADE, narrow=True)
async def stop_order(
    api: Api,
    caller: Caller,
    account: str,
    route: Text,
    symbol: Upper,
    stop_price: Decimal,
    quantity: Decimal,
    client_order_id: str | None = None,
    time_in_force: str | None = None,
) -> Reply:
    """Submit a stop order (quantity below zero sells); gives the order."""
    return await _signed(
        api, caller, account, route, symbol, quantity, OrderType.STOP, client_order_id, time_in_force, None, stop_price
    )


@command(Right.TRADE, narrow=True)
async def stoplimit_order(
    api: Api,
    caller: Caller,
    account: str,
    route: Text,
    symbol: Upper,
    stop_price: Decimal,
    limit_price: Decimal,
    quantity: Decimal,
    client_order_id: str | None = None,
    time_in_force: str | None = None,
) -> Reply:
    """Submit a stop-limit order (quantity below zero sells); gives the order."""
    return await _signed(
        api,
        caller,
        account,
        route,
        symbol,
        quantity,
        OrderType.STOP_LIMIT,
        client_order_id,
        time_in_force,
        limit_price,
        stop_price,
    )


@command(Right.TRADE, narrow=True)
async def stage_market_order(
    api: Api,
    caller: Caller,
    tag: str,
    account: str,
    route: Text,
    symbol: Upper,
    quantity: Decimal,
    client_order_id: str | None = None,
    time_in_force: str | None = None,
) -> Reply:
    """Stage a market order as a ticket that waits for approve_ticket; gives the ticket."""
    return await _signed(
        api, caller, account, route, symbol, quantity, OrderType.MARKET, client_order_id, time_in_force, tag=tag
    )


@command(Right.TRADE, narrow=True)
async def stage_limit_order(
    api: Api,
    caller: Caller,
    tag: str,
    account: str,
    route: Text,
    symbol: Upper,
    limit_price: Decimal,
    quantity: Decimal,
    client_order_id: str | None = None,
    time_in_force: str | None = None,
) -> Reply:
    """Stage a limit order as a ticket; gives the ticket."""
    return await _signed(
        api,
        caller,
        account,
        route,
        symbol,
        quantity,
        OrderType.LIMIT,
        client_order_id,
        time_in_force,
        limit_price,
        tag=tag,
    )


@command(Right.TRADE, narrow=True)
async def stage_stop_order(
    api: Api,
    caller: Caller,
    tag: str,
    account: str,
    route: Text,
    symbol: Upper,
    stop_price: Decimal,
    quantity: Decimal,
    client_order_id: str | None = None,
    time_in_force: str | None = None,
) -> Reply:
    """Stage a stop order as a ticket; gives the ticket."""
    return await _signed(
        api,
        caller,
        account,
        route,
        symbol,
        quantity,
        OrderType.STOP,
        client_order_id,
        time_in_force,
        None,
        stop_price,
        tag,
    )


@command(Right.TRADE, narrow=True)
async def stage_stoplimit_order(
    api: Api,
    caller: Caller,
    tag: str,
    account: str,
    route: Text,
    symbol: Upper,
    stop_price: Decimal,
    limit_price: Decimal,
    quantity: Decimal,
    client_order_id: str | None = None,
    time_in_force: str | None = None,
) -> Reply:
    """Stage a stop-limit order as a ticket; gives the ticket."""
    return await _signed(
        api,
        caller,
        account,
        route,
        symbol,
        quantity,
        OrderType.STOP_LIMIT,
        client_order_id,
        time_in_force,
        limit_price,
        stop_price,
        tag,
    )


@command(Right.TRADE, narrow=True, urgent=True)
async def cancel_order(api: Api, caller: Caller, id: str) -> Order:
    """Ask for an order's end; gives the order after the broker's answer."""
    await _mine(api, caller, id)
    return await api.gateway.cancel(id, caller.user)


@command(Right.TRADE, narrow=True, urgent=True)
async def global_cancel(api: Api, caller: Caller) -> str:
    """Ask for the end of every working order (of the caller's accounts and symbols); tickets stay."""
    api.gateway.cancel_all(caller.user, caller.grant)
    await api.gateway.settled()
    return "global cancel requested"


@command(Right.TRADE, narrow=True)
async def replace_order(
    api: Api,
    caller: Caller,
    id: str,
    quantity: Decimal | None = None,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
) -> Order:
    """Ask for other terms of a working order (what is left out stays); gives the order after the answer."""
    await _mine(api, caller, id)
    order = await api.gateway.replace(id, quantity, limit_price, stop_price, caller.user, caller.grant)
    answer = order.updates[-1]
    if answer.event == ReplaceRejected.__name__ and order.reason is not None:
        text = f"The change was refused: {answer.text or order.reason} The order stays as it was."
        raise Refused(order.reason, text, order.order_id)
    return order


@command(Right.TRADE, narrow=True, urgent=True)
async def cancel_exits(api: Api, caller: Caller, id: str) -> Order:
    """End all that is attached to an entry: its working exits, and its hold time; gives the entry."""
    await _mine(api, caller, id)
    return await api.gateway.end_exits(id, caller.user)


@command(Right.APPROVE, narrow=True)
async def approve_ticket(api: Api, caller: Caller, id: str) -> Order:
    """Release a staged order, which is checked again; gives the order after the broker's answer."""
    await _mine(api, caller, id)
    return await api.gateway.approve(id, caller.user, caller.grant)


@command(Right.APPROVE, narrow=True)
async def reject_ticket(api: Api, caller: Caller, id: str, reason: str = "") -> Order:
    """End a staged order; gives the ticket."""
    await _mine(api, caller, id)
    return await api.gateway.reject(id, reason, caller.user)


@command(Right.TRADE)
async def set_order_route(api: Api, caller: Caller, route: Text) -> dict[str, Any]:
    """Set the route of orders that name none (or ""): a name, {name: {parameter: value}}, or either as JSON.

    An order that names a route goes by that one, without the parameters given here.
    """
    try:
        made = read_route(route)
    except ValueError as error:
        raise BadArgument(f"route {route[:80]!r} cannot be read: {error}.") from None
    api.gateway.change_setting("route", json.dumps(made), caller.user)
    await api.gateway.settled()
    return made


@command(Right.READ, narrow=True)
def get_order_route(api: Api, caller: Caller) -> dict[str, Any]:
    """Give the route of orders that name none, as {name: null or {parameter: value}}."""
    stored = api.gateway.state.settings.get("route")
    found: dict[str, Any] = read_route(api.about.default_route) if stored is None else json.loads(stored)
    return found


async def _mine(api: Api, caller: Caller, order_id: str) -> None:
    """Refuse unless an order is in reach: to who is kept to some accounts, others' orders are not there."""
    grant = caller.grant
    if grant.is_whole:
        return
    order = await api.gateway.history.find(order_id)
    if order is None or not grant.reaches(order.account):
        raise Refused(Reason.NO_SUCH_ORDER, "Order not found", order_id)
    if not grant.covers(order.account, order.symbol):
        only = ", ".join(grant.symbols or ())
        raise Refused(Reason.NOT_ALLOWED, f"This login may not trade {order.symbol}, only {only}.", order_id)


def _account(api: Api, name: str) -> str:
    """An account's name, as the venue writes it when it was given in small letters."""
    return name.upper() if api.gateway.venue_of(name) is None and api.gateway.venue_of(name.upper()) else name


def _symbol(api: Api, symbol: str, account: str) -> str:
    """The symbol at the account's venue; one written with another venue's name is refused."""
    name, _, venue = symbol.partition("@")
    if venue and api.gateway.venue_of(account) not in (None, venue):
        raise Refused(
            Reason.UNKNOWN_VENUE,
            f"Account {account!r} does not trade at venue {venue!r}: use one that does.",
        )
    return name


async def _signed(
    api: Api,
    caller: Caller,
    account: str,
    route: str,
    symbol: Upper,
    quantity: Decimal,
    order_type: OrderType,
    client_order_id: str | None,
    time_in_force: str | None,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    tag: str | None = None,
) -> Reply:
    """An order in txTrader's form: a quantity below zero sells."""
    return await submit_order(
        api,
        caller,
        account,
        symbol,
        "SELL" if quantity < 0 else "BUY",
        abs(quantity),
        order_type,
        limit_price,
        stop_price,
        time_in_force,
        Text(route),
        client_order_id,
        tag,
    )


def _lasting(api: Api, account: str, word: str | None) -> TimeInForce:
    """How long an order works; when it is not said a day, where the venue has days."""
    if word is not None:
        found: TimeInForce = _word("time_in_force", word.upper(), TimeInForce)
        return found
    venue = api.gateway.venue_of(account)
    can = api.brokers[venue].can if venue is not None else Can.DAY
    return TimeInForce.GTC if Can.GTC in can and Can.DAY not in can else TimeInForce.DAY


def _word(name: str, text: str, words: type[StrEnum]) -> Any:
    try:
        return words(text)
    except ValueError:
        raise BadArgument(f"{name} {text!r} is none of {', '.join(each.value for each in words)}.") from None


def _side(word: str) -> Side:
    """FIX's three; BUY_TO_COVER is a buy."""
    try:
        return Side.BUY if word == "BUY_TO_COVER" else Side(word)
    except ValueError:
        raise BadArgument(f"side {word!r} is none of BUY, SELL, SELL_SHORT, BUY_TO_COVER.") from None


def _client_order_id(text: str | None) -> str | None:
    if text is None:
        return None
    if not 0 < len(text) <= 128 or not text.isprintable():
        raise BadArgument("client_order_id must be 1 to 128 printable characters.")
    if RESERVED.search(text):
        raise BadArgument(f"client_order_id {text!r} ends like those that the gateway gives exits: use another.")
    return text


def _plan(
    take_profit: str | None, stop_loss: str | None, trailing_stop: str | None, hold_seconds: int | None
) -> ExitPlan | None:
    """What is to be attached; None for nothing."""
    given = (take_profit, stop_loss, trailing_stop, hold_seconds)
    if all(each is None for each in given):
        return None
    return ExitPlan(
        take_profit=_level("take_profit", take_profit),
        stop_loss=_level("stop_loss", stop_loss),
        trailing_stop=_level("trailing_stop", trailing_stop, Unit.AWAY),
        hold_seconds=hold_seconds,
    )


def _level(name: str, text: str | None, plain: Unit = Unit.PRICE) -> Level | None:
    try:
        return None if text is None else Level.parse(text, plain)
    except ValueError:
        forms = "1.5 or 2%" if plain is Unit.AWAY else "a price, 2%, or 1.5 away"
        raise BadArgument(f"{name} {text[:80]!r} cannot be read: write {forms}.") from None  # type: ignore[index]


def _oco(name: str | None) -> str:
    if name is None:
        return ""
    if not 0 < len(name) <= 64 or not name.isprintable():
        raise BadArgument("oco must be 1 to 64 printable characters.")
    return name
