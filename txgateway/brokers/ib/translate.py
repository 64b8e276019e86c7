"""Our orders as ib_async's, and ib_async's orders, executions, contracts and accounts as our nouns. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytz
from ib_async import BarData, CommissionReport, Contract, ContractDetails, TagValue
from ib_async import Execution as IbExecution
from ib_async import Order as IbOrder
from ib_async.util import UNSET_DOUBLE

from txgateway.model.account import AccountReport, Balance, Position
from txgateway.model.errors import Reason, Unsupported
from txgateway.model.execution import Execution
from txgateway.model.instrument import AssetClass, Instrument, Session
from txgateway.model.market import Bar, Period, Unit
from txgateway.model.order import Order, OrderStatus, OrderType, Side, TimeInForce

ZERO = Decimal(0)
OURS = re.compile(r"[0-9A-HJKMNP-TV-Z]{20}")
"""How the ids of a txgateway look: an orderRef like this is one, another may stand for many orders of somebody."""

# ---------------------------------------------------------------- numbers


def decimal(value: Any) -> Decimal | None:
    """A number as TWS wrote it; None for what it leaves unset."""
    if value is None or value == "" or value == UNSET_DOUBLE:
        return None
    made = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not made.is_finite():
        return None
    return made.quantize(Decimal(1)) if made == made.to_integral_value() else made.normalize()


def amount(value: Any) -> Decimal:
    """A number that is nought where TWS leaves it unset."""
    return decimal(value) or ZERO


def plain(value: Decimal) -> Any:
    """As it is sent: digits, never an exponent, whatever type ib_async says that its fields are."""
    return f"{value:f}"


# ---------------------------------------------------------------- routes


ALGOS = {
    each.upper(): each
    for each in (
        "Adaptive",
        "ArrivalPx",
        "ClosePx",
        "DarkIce",
        "MinImpact",
        "PctVol",
        "Twap",
        "Vwap",
        "BalanceImpactRisk",
    )
}
DEFAULT_ROUTES = frozenset({"", "DEMO", "SMART"})
FLAGS = ("outsideRth", "hidden", "allOrNone")


@dataclass(frozen=True, slots=True)
class Route:
    """Where an order goes: an exchange (empty: as IB thinks best), or an algorithm with its parameters."""

    exchange: str = ""
    algo: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, bool] = field(default_factory=dict)


def read_route(text: str) -> Route:
    """`SMART`, an exchange, or `{"Adaptive": {"adaptivePriority": "Normal", "outsideRth": true}}`; else ValueError."""
    name = text.strip()
    parameters: dict[str, Any] = {}
    if name.startswith("{"):
        try:
            made = json.loads(name)
        except ValueError:
            raise ValueError("the route is no JSON") from None
        if not isinstance(made, dict) or len(made) != 1:
            raise ValueError("a route is one name, or one name with its parameters")
        name, given = next(iter(made.items()))
        parameters = given if given is not None else {}
        if not isinstance(parameters, dict):
            raise ValueError("the parameters of a route are an object")
    flags = {each: _flag(each, parameters[each]) for each in FLAGS if each in parameters}
    rest = {str(key): str(value) for key, value in parameters.items() if key not in FLAGS}
    algo = ALGOS.get(name.upper(), "")
    if rest and not algo:
        raise ValueError(f"the route {name} has no parameter {next(iter(rest))}; those known are {', '.join(FLAGS)}")
    if algo:
        return Route("", algo, rest, flags)
    if name.upper() in DEFAULT_ROUTES:
        return Route("", "", {}, flags)
    if not re.fullmatch(r"[A-Z0-9.]{1,16}", name.upper()):
        raise ValueError(f"{name!r} is neither an exchange nor one of {', '.join(ALGOS.values())}")
    return Route(name.upper(), "", {}, flags)


def _flag(name: str, value: Any) -> bool:
    if value in (True, "true", "1", 1):
        return True
    if value in (False, "false", "0", 0):
        return False
    raise ValueError(f"{name} is true or false, not {value!r}")


# ---------------------------------------------------------------- orders out


TYPES = {OrderType.MARKET: "MKT", OrderType.LIMIT: "LMT", OrderType.STOP: "STP", OrderType.STOP_LIMIT: "STP LMT"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be changed of an order that works."""

    quantity: Decimal
    limit: Decimal | None = None
    stop: Decimal | None = None


def terms_of(order: Order) -> Terms:
    """What is ordered."""
    return Terms(order.quantity, order.limit_price, order.stop_price)


def asked_of(order: Order, now: Terms) -> Terms:
    """What a replace asks for: what it does not name stays as it is now."""
    return Terms(
        now.quantity if order.asked_quantity is None else order.asked_quantity,
        now.limit if order.asked_limit_price is None else order.asked_limit_price,
        now.stop if order.asked_stop_price is None else order.asked_stop_price,
    )


def ib_order(order: Order, number: int, terms: Terms, route: Route, parent: int = 0, transmit: bool = True) -> IbOrder:
    """An order as it is sent. A short sale is a sale: IB finds the shares by itself.

    `parent` is the number of an attached exit's entry. What is not to `transmit` TWS holds until one of its bracket is.
    """
    made = IbOrder(
        orderId=number,
        action="BUY" if order.side is Side.BUY else "SELL",
        totalQuantity=plain(terms.quantity),
        orderType=TYPES[order.order_type],
        tif=order.time_in_force.value,
        orderRef=order.order_id,
        account=order.account,
        parentId=parent,
        transmit=transmit,
    )
    for flag, value in route.flags.items():
        setattr(made, flag, value)
    set_prices(made, terms)
    if route.algo:
        made.algoStrategy = route.algo
        made.algoParams = [TagValue(*each) for each in route.parameters.items()]
    return made


def set_prices(made: IbOrder, terms: Terms) -> None:
    """Give an order its prices; what it has none of stays unset."""
    if terms.limit is not None:
        made.lmtPrice = plain(terms.limit)
    if terms.stop is not None:
        made.auxPrice = plain(terms.stop)


def keep_group(made: IbOrder, held: IbOrder | None) -> None:
    """A change names the group that TWS shows: IB lets nobody move an order to another, or out of it."""
    if held is not None:
        made.ocaGroup, made.ocaType = held.ocaGroup, held.ocaType


def changed(held: IbOrder, number: int, terms: Terms) -> IbOrder:
    """An order that we did not build, with other terms; the rest as TWS shows it."""
    made = replace(held, orderId=number, totalQuantity=plain(terms.quantity))
    set_prices(made, terms)
    return made


# ---------------------------------------------------------------- orders in


_TYPES_IN = {
    **{word: kind for kind, word in TYPES.items()},
    "TRAIL": OrderType.STOP,
    "MIT": OrderType.STOP,
    "TRAIL LIMIT": OrderType.STOP_LIMIT,
    "TRAILLMT": OrderType.STOP_LIMIT,
    "LIT": OrderType.STOP_LIMIT,
    "LOC": OrderType.LIMIT,
    "REL": OrderType.LIMIT,
}
LIVE = frozenset({"PreSubmitted", "Submitted", "PendingCancel", "ValidationError", "ApiUpdate"})
"""IB has the order."""
SENT = frozenset({"PendingSubmit", "ApiPending"})
"""TWS has it, and IB may."""
CANCELED = frozenset({"Cancelled", "ApiCancelled"})
FILLED, INACTIVE = "Filled", "Inactive"


def type_in(word: str) -> OrderType:
    """The nearest type: what others send may be of types that we have not."""
    return _TYPES_IN.get(word.upper(), OrderType.MARKET)


def time_in_force_in(word: str) -> TimeInForce:
    """How long it works; what we have no word for ends with the day, as far as we know."""
    found = TimeInForce.__members__.get(word.upper(), TimeInForce.DAY)
    return TimeInForce.GTC if word.upper() == "GTD" else found


def terms_in(order: IbOrder) -> Terms:
    """The terms that TWS shows of an order. Prices that do not belong to its type come as 0, and are none."""
    kind = type_in(order.orderType)
    return Terms(
        amount(order.totalQuantity),
        decimal(order.lmtPrice) if kind.has_limit else None,
        decimal(order.auxPrice) if kind.has_stop else None,
    )


def side_in(action: str) -> Side:
    """The side of an order or (BOT, SLD) of an execution."""
    if action.upper() in ("BUY", "BOT"):
        return Side.BUY
    return Side.SELL_SHORT if action.upper() == "SSHORT" else Side.SELL


def status_in(status: str, filled: Decimal) -> OrderStatus:
    """FIX's word for IB's."""
    if status in CANCELED:
        return OrderStatus.CANCELED
    if status == INACTIVE:
        return OrderStatus.CANCELED if filled else OrderStatus.REJECTED
    if status == FILLED:
        return OrderStatus.FILLED
    return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.NEW


def ours(reference: str, sent: Iterable[str]) -> bool:
    """Whether an orderRef is an order id of a txgateway."""
    return bool(reference) and (reference in sent or OURS.fullmatch(reference) is not None)


# ---------------------------------------------------------------- executions


_REVISED = re.compile(r"([0-9a-f]+\.[0-9a-f]+\.\d\d)\.\d\d", re.IGNORECASE)


def execution_id(text: str) -> str:
    """An execution's id. A correction has another number behind the last dot, and is of the same execution."""
    found = _REVISED.fullmatch(text)
    return f"{found[1]}.01" if found else text


def execution(
    venue: str, symbol: str, contract: Contract, its: IbExecution, order_id: str, fee: CommissionReport | None
) -> Execution:
    """One fill. What it cost in another currency than the contract's own is its fee."""
    currency = contract.currency or (fee.currency if fee else "") or "USD"
    cost = amount(fee.commission) if fee is not None else ZERO
    another = fee.currency if fee is not None and cost and fee.currency not in ("", currency) else ""
    return Execution(
        execution_id=execution_id(its.execId),
        venue=venue,
        account=its.acctNumber,
        symbol=symbol,
        side=side_in(its.side),
        quantity=amount(its.shares),
        price=amount(its.price),
        time=its.time.astimezone(UTC),
        order_id=order_id,
        broker_order_id=str(its.permId) if its.permId else "",
        commission=ZERO if another else cost,
        currency=currency,
        fee=cost if another else ZERO,
        fee_currency=another,
        exchange=its.exchange,
        cumulative_quantity=amount(its.cumQty),
        order_average_price=amount(its.avgPrice),
    )


# ---------------------------------------------------------------- positions, accounts


def position(venue: str, account: str, symbol: str, contract: Contract, quantity: float, cost: float) -> Position:
    """A holding. IB's cost of a future or an option is of the contract: ours is a price, of a unit."""
    unit = decimal(contract.multiplier) or Decimal(1)
    return Position(venue, account, symbol, amount(quantity), amount(cost) / unit)


_NAMES = {
    "equity": "NetLiquidation",
    "available": "AvailableFunds",
    "buying_power": "BuyingPower",
    "margin_used": "MaintMarginReq",
    "unrealized_pnl": "UnrealizedPnL",
    "realized_pnl": "RealizedPnL",
    "account_type": "AccountType",
}
"""Our names for what every venue has, and IB's."""
Value = tuple[str, str, str]
"""IB's tag, its value, its currency."""


def account_report(account: str, values: Sequence[Value]) -> AccountReport | None:
    """An account by IB's own tags (`Tag`, `Tag-CUR` for a currency that is not the account's) and by our names.

    None while its cash is not among them.
    """
    base = next((currency for tag, _, currency in values if tag == "NetLiquidation" and currency), "USD")
    found: dict[str, Decimal | str] = {}
    cash: dict[str, Decimal] = {}
    for tag, text, currency in values:
        value = _value(text)
        found[tag if currency in ("", base, "BASE") and tag not in found else f"{tag}-{currency or base}"] = value
        if tag == "CashBalance" and currency not in ("", "BASE") and isinstance(value, Decimal):
            cash[currency] = value
    whole = found.get("TotalCashValue", found.get("CashBalance"))
    if not isinstance(whole, Decimal):
        return None
    available = found.get("AvailableFunds")
    free = available if isinstance(available, Decimal) else cash.get(base, whole)
    balances = [Balance(base, cash.get(base, whole if not cash else ZERO), free)]
    balances += [Balance(name, each, each) for name, each in sorted(cash.items()) if name != base and each]
    named = {name: found[tag] for name, tag in _NAMES.items() if tag in found}
    return AccountReport(account, whole, tuple(balances), {**found, "currency": base, "cash": whole, **named})


def _value(text: str) -> Decimal | str:
    if not re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d{1,2})?", text):
        return text
    return Decimal(text)


# ---------------------------------------------------------------- instruments


CLASSES = {
    "STK": AssetClass.STOCK,
    "FUT": AssetClass.FUTURE,
    "OPT": AssetClass.OPTION,
    "FOP": AssetClass.OPTION,
    "CASH": AssetClass.FOREX,
    "CRYPTO": AssetClass.CRYPTO,
    "IND": AssetClass.INDEX,
}


def instrument(venue: str, symbol: str, details: ContractDetails) -> Instrument:
    """The rules of a contract. Only crypto is traded here in parts of a unit."""
    contract = details.contract
    assert contract is not None
    kind = CLASSES.get(contract.secType, AssetClass.STOCK)
    parts = kind is AssetClass.CRYPTO
    step = (decimal(details.sizeIncrement) if parts else None) or (Decimal("0.00000001") if parts else Decimal(1))
    least = (decimal(details.minSize) if parts else None) or step
    named = {"conId": contract.conId, "localSymbol": contract.localSymbol, "tradingClass": contract.tradingClass}
    raw = {
        **named,
        "secType": contract.secType,
        "primaryExchange": contract.primaryExchange,
        "validExchanges": details.validExchanges,
        "lastTradeDate": contract.lastTradeDateOrContractMonth,
        "category": details.category,
        "industry": details.industry,
        "tradingHours": details.tradingHours,
    }
    return Instrument(
        symbol=symbol,
        venue=venue,
        fullname=details.longName,
        cusip=details.cusip,
        asset_class=kind,
        currency=contract.currency or "USD",
        exchange=contract.primaryExchange or contract.exchange,
        tick_size=decimal(details.minTick) or Decimal("0.01"),
        lot_size=step,
        min_quantity=least,
        multiplier=decimal(contract.multiplier) or Decimal(1),
        shortable=kind is not AssetClass.CRYPTO,
        session=_session(details),
        raw={name: str(value) for name, value in raw.items() if value},
    )


_HOURS = re.compile(r"(\d{8}):(\d{4})-(\d{8}):(\d{4})")


def _session(details: ContractDetails) -> Session | None:
    """The first day's regular hours; None where they go over midnight, or are not told."""
    found = _HOURS.search(details.liquidHours)
    try:
        zone = pytz.timezone(details.timeZoneId.split(" ")[0]).zone
        if found is None or found[1] != found[3] or zone is None:
            return None
        opens, closes = (time(int(each[:2]), int(each[2:])) for each in (found[2], found[4]))
    except (pytz.UnknownTimeZoneError, ValueError):
        return None
    return Session(opens, closes, zone) if opens < closes else None


# ---------------------------------------------------------------- bars


_SIZES = {
    (1, Unit.MINUTE): "1 min",
    **{(count, Unit.MINUTE): f"{count} mins" for count in (2, 3, 5, 10, 15, 20, 30)},
    (60, Unit.MINUTE): "1 hour",
    **{(count * 60, Unit.MINUTE): f"{count} hours" for count in (2, 3, 4, 8)},
    (1, Unit.DAY): "1 day",
    (1, Unit.WEEK): "1 week",
    (1, Unit.MONTH): "1 month",
}
_SHOWN = {"CASH": "MIDPOINT", "CRYPTO": "AGGTRADES"}


@dataclass(frozen=True, slots=True)
class BarQuestion:
    """What is asked of IB's historical data: up to `end`, as far back as `duration` says."""

    end: str
    duration: str
    size: str
    show: str


def bar_question(kind: str, period: Period, start: datetime, end: datetime) -> BarQuestion:
    """The question whose answer has the bars of [start, end); Unsupported for periods that IB does not have."""
    size = _SIZES.get((period.count, period.unit))
    if size is None:
        raise Unsupported(
            "IB has bars of 1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 480 minutes, 1 day, week, month."
        )
    if period.unit is not Unit.MINUTE:
        end += timedelta(days=1)
    span = end - start
    days = span // timedelta(days=1) + 1
    seconds = int(-(-span.total_seconds() // 60) * 60)
    if period.unit is Unit.MONTH:
        duration = f"{days // 28 + 1} M" if days < 336 else f"{days // 365 + 1} Y"
    elif period.unit is Unit.WEEK:
        duration = f"{days // 7 + 1} W" if days < 350 else f"{days // 365 + 1} Y"
    elif period.unit is Unit.MINUTE and seconds <= 86400:
        duration = f"{seconds} S"
    else:
        duration = f"{days} D" if days <= 365 else f"{days // 365 + 1} Y"
    return BarQuestion(end.astimezone(UTC).strftime("%Y%m%d-%H:%M:%S"), duration, size, _SHOWN.get(kind, "TRADES"))


def bars(symbol: str, rows: Iterable[BarData], start: datetime, end: datetime, zone: Any) -> list[Bar]:
    """The bars in [start, end), oldest first, each once. Days, weeks and months begin at midnight of the zone."""
    found: dict[datetime, Bar] = {}
    for row in rows:
        at = _bar_time(row.date, zone)
        figures = [decimal(each) for each in (row.open, row.high, row.low, row.close)]
        opened, high, low, close = figures
        if at is None or opened is None or high is None or low is None or close is None or not start <= at < end:
            continue
        found[at] = Bar(symbol, at, opened, high, low, close, max(ZERO, amount(row.volume)))
    return [found[at] for at in sorted(found)]


def _bar_time(text: Any, zone: Any) -> datetime | None:
    if isinstance(text, datetime):
        return text.astimezone(UTC)
    if isinstance(text, date):
        return _midnight(text, zone)
    word = str(text).strip()
    if re.fullmatch(r"\d{8}", word):
        return _midnight(date.fromisoformat(word), zone)
    return datetime.fromtimestamp(int(word), UTC) if word.isdigit() else None


def _midnight(day: date, zone: Any) -> datetime:
    local: datetime = zone.localize(datetime.combine(day, time()))
    return local.astimezone(UTC)


def end_reason(time_in_force: TimeInForce, asked: bool) -> Reason:
    """Why an order ended without a word of a refusal."""
    if not asked and time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        return Reason.NOT_FILLABLE
    return Reason.USER
