"""What the gateway says, message by message, as the fields of a server version. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.emulators.tws.contracts import STOCK_ORDERS, Contract
from tests.emulators.tws.market import DAY, ZONE, Bar, sessions
from tests.emulators.tws.orders import Execution, Held, Order
from tests.emulators.tws.wire import UNSET_DOUBLE, UNSET_INTEGER

Fields = list[Any]


def error(version: int, number: int, code: int, text: str) -> Fields:
    """4: `number` is the order's or request's id, -1 for none."""
    return [4, 2, number, code, text, *([""] if version >= 166 else [])]


def stamp(at: datetime, zone: ZoneInfo = ZONE) -> str:
    """20261124 09:30:00 US/Eastern."""
    return f"{at.astimezone(zone):%Y%m%d %H:%M:%S} {zone.key}"


def named(contract: Contract, exchange: str, no_right: str = "") -> Fields:
    """A contract's eleven fields in most messages: conId to tradingClass."""
    return [
        *(contract.con_id, contract.symbol, contract.kind, contract.expiry, contract.strike),
        *(contract.right or no_right, contract.multiplier, exchange, contract.currency),
        *(contract.local, contract.trading_class),
    ]


def short(price: Decimal) -> Decimal:
    """An average without the digits that nobody reads."""
    return price.quantize(Decimal("0.00000001")).normalize()


# -------------------------------------------------------------------- orders


def order_status(order: Order) -> Fields:
    """3."""
    return [
        *(3, order.id, order.status, order.filled, order.left, short(order.average), order.perm),
        *(order.ticket.parent, order.last_price, order.client, order.why_held, 0),
    ]


def _prices(order: Order) -> Fields:
    """A price that there is not is shown as 0."""
    return [order.ticket.limit or "0.0", order.ticket.stop or "0.0"]


def _body(version: int, order: Order) -> Fields:
    ticket = order.ticket
    return [
        *(ticket.action, ticket.quantity, ticket.kind, *_prices(order), ticket.tif, ticket.oca_group, ticket.account),
        *("O", 0, ticket.ref),
    ]


def open_order(version: int, order: Order, state: Fields | None = None) -> Fields:
    """5. `state`: the thirteen fields from initMarginBefore to maxCommission and its currency of a what-if."""
    ticket, contract = order.ticket, order.contract
    algo: Fields = [ticket.algo]
    if ticket.algo:
        algo += [len(ticket.algo_params), *(each for pair in ticket.algo_params for each in pair)]
    margins = state or [*([UNSET_DOUBLE] * 9), "", "", "", ""]
    return [
        *(5, order.id, *named(contract, order.exchange, "?"), *_body(version, order)),
        *(order.client, order.perm, ticket.outside, 0, 0, "", ""),
        *("", "", ""),  # faGroup, faMethod, faPercentage
        *([""] if version < 177 else []),
        *(ticket.model, ticket.good_till, "", "", "", 0, "", -1),  # to exemptCode
        *(0, "", "", "", "", "", "", 0, 0, 0, "", ticket.oca_type or 3, 0, 0, ""),  # auctionStrategy to nbboPriceCap
        *(ticket.parent, 0, "", 0, "None", "", 0, "", "", "", "?", 0, 0, ""),  # triggerMethod to delta neutral fields
        *(0, 0, "", "", "", "", ""),  # continuousUpdate to comboLegsDescrip
        *(0, 0, 0),  # no legs, no leg prices, no routing parameters
        *("", "", ""),  # no scale
        "",  # no hedge
        *(0, "", "IB", 0, 0),  # optOutSmartRouting to the delta neutral contract
        *algo,
        *(0, ticket.what_if, order.status, *margins, "", 0, 0),  # solicited to randomizePrice
        0,  # no conditions
        *("None", "", ticket.stop or "", "", "", "", "", 0, "", "", "", "", 0, 0, 0, 0),  # to usePriceMgmtAlgo
        *([""] if version >= 158 else []),  # duration
        *([""] if version >= 160 else []),  # postToAts
        *([0] if version >= 162 else []),  # autoCancelParent
        *(["", "", "", "", ""] if version >= 170 else []),
    ]


def completed_order(version: int, order: Order) -> Fields:
    """101: it has neither the order's id nor its client."""
    ticket = order.ticket
    algo: Fields = [ticket.algo]
    if ticket.algo:
        algo += [len(ticket.algo_params), *(each for pair in ticket.algo_params for each in pair)]
    return [
        *(101, *named(order.contract, order.exchange, "?"), *_body(version, order)),
        *(order.perm, ticket.outside, 0, 0, "", "", "", ""),  # to faPercentage
        *([""] if version < 177 else []),
        *(ticket.model, ticket.good_till, "", "", "", 0, "", -1),  # to exemptCode
        *("", "", "", "", "", "", 0, 0, "", ticket.oca_type or 3),  # startingPrice to ocaType
        *(0, "", 0, "None", "", 0, 0, 0, ""),  # triggerMethod to delta neutral fields
        *(0, 0, "", "", ""),  # continuousUpdate to comboLegsDescrip
        *(0, 0, 0),
        *("", "", ""),
        "",
        *("", "IB", 0, 0),
        *algo,
        *(0, order.status, 0, 0),  # solicited to randomizePrice
        0,
        *("", "", "", 0, 0, "", order.filled, 0, 0, "", 0, 0),  # trailStopPrice to routeMarketableToBbo
        *(0, order.completed_at, order.completed_how),
        *(["", "", "", "", ""] if version >= 170 else []),
    ]


def execution(version: int, number: int, fill: Execution) -> Fields:
    """11: `number` is the request's id, -1 for a live one. An order entered by hand has no id."""
    return [
        *(
            11,
            number,
            fill.order or UNSET_INTEGER,
            *named(fill.contract, fill.exchange),
            fill.id,
            stamp(fill.at),
            fill.account,
        ),
        *(fill.exchange, "BOT" if fill.buys else "SLD", fill.size, fill.price, fill.perm, fill.client, 0),
        *(fill.so_far, short(fill.average), fill.ref, "", "", "", 1),
        *([0] if version >= 178 else []),
    ]


def commission(fill: Execution) -> Fields:
    """59."""
    realized = UNSET_DOUBLE if fill.realized is None else fill.realized
    return [59, 1, fill.id, fill.commission, fill.contract.currency, realized, UNSET_DOUBLE, ""]


# -------------------------------------------------------------------- contracts


def contract_details(version: int, number: int, contract: Contract, now: datetime) -> Fields:
    """10."""
    old = version < 164
    exchanges = ",".join(contract.exchanges)
    shown = contract.exchanges[0]
    regular, wide = (_hours(contract, now, each) for each in (True, False))
    return [
        *(10, *([8] if old else []), number, contract.symbol, contract.kind, contract.expiry, contract.strike),
        *(contract.right, shown, contract.currency, contract.local, contract.trading_class),
        *(contract.trading_class, contract.con_id, contract.tick, *([1] if old else [])),
        *(contract.multiplier, STOCK_ORDERS, exchanges, 1, contract.under, contract.long_name, contract.primary),
        *(contract.expiry[:6], "", "", "", contract.zone, wide, regular, "", "", 0),
        *(1, contract.symbol if contract.expiry else "", "STK" if contract.under else "", rule_of(contract)),
        *(contract.expiry, "COMMON" if contract.kind == "STK" else ""),
        *([contract.lot] if version == 163 else []),
        *([contract.lot, contract.lot, contract.lot] if version >= 164 else []),
    ]


def rule_of(contract: Contract) -> int:
    """A market rule's number: the tick in hundred thousandths."""
    return int(contract.tick * 100000)


def _hours(contract: Contract, now: datetime, regular: bool) -> str:
    """20261124:0930-20261124:1600;20261128:CLOSED;… for a week, in the contract's zone."""
    zone, first = ZoneInfo(contract.zone), now.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [first + timedelta(days=count) for count in range(7)]
    said = {f"{day:%Y%m%d}": f"{day:%Y%m%d}:CLOSED" for day in days}
    for pair in sessions(contract, days[0], days[-1] + timedelta(days=1), regular):
        start, end = (at.astimezone(zone) for at in pair)
        said[f"{pair[0]:%Y%m%d}"] = f"{start:%Y%m%d:%H%M}-{end:%Y%m%d:%H%M}"
    return ";".join(said.values())


# -------------------------------------------------------------------- accounts


def position(account: str, held: Held) -> Fields:
    """61."""
    return [61, 3, account, *named(held.contract, ""), held.size, held.cost.quantize(Decimal("0.000001"))]


def portfolio(account: str, held: Held, price: Decimal) -> Fields:
    """7."""
    contract, worth = held.contract, price * held.contract.times
    values = (price, held.size * worth, held.cost, held.size * (worth - held.cost), held.realized)
    return [
        *(7, 8, contract.con_id, contract.symbol, contract.kind, contract.expiry, contract.strike),
        *(contract.right or "0", contract.multiplier, contract.primary or contract.exchange, contract.currency),
        *(contract.local, contract.trading_class, held.size, *(each.quantize(Decimal("0.000001")) for each in values)),
        account,
    ]


# -------------------------------------------------------------------- bars


def bar_time(bar: Bar, seconds: int, style: int, zone: ZoneInfo) -> str:
    """A day's is its date; another's the time in the contract's zone, or epoch seconds in style 2."""
    if seconds >= DAY:
        return f"{bar.start:%Y%m%d}"
    return str(int(bar.start.timestamp())) if style == 2 else stamp(bar.start, zone)


def history(number: int, bars: Iterable[tuple[str, Bar]], start: datetime, end: datetime, trades: bool) -> Fields:
    """17."""
    rows = [
        (
            at,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            *((bar.volume, bar.average, bar.volume // 100) if trades else (-1,) * 3),
        )
        for at, bar in bars
    ]
    return [17, number, stamp(start), stamp(end), len(rows), *(each for row in rows for each in row)]


def history_update(number: int, at: str, bar: Bar) -> Fields:
    """90."""
    prices = (bar.open, bar.close, bar.high, bar.low, bar.average, bar.volume)
    return [90, number, bar.volume // 100, at, *prices]
