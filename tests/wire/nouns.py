"""Orders, executions and tickers as the desk makes them: by applying events to a state."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytz

from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRequested,
    Event,
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
    Record,
    ReplaceRequested,
    TicketApproved,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Quote, Ticker, Trade
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType, Origin, Side, Terms, TimeInForce
from txgateway.state import Change, State
from txgateway.wire import Flags

NEW_YORK = pytz.timezone("America/New_York")
FLAGS = Flags(NEW_YORK)
START = datetime(2013, 10, 7, 13, 31, 0, 250000, tzinfo=UTC)
ID = "01JD3X0Q9P7F4ZK2M8TB"


def at(seconds: float) -> datetime:
    """A moment so long after the first."""
    return START + timedelta(seconds=seconds)


def terms(**changes: Any) -> Terms:
    """A market order for 100 IBM, with changes."""
    usual: dict[str, Any] = {
        "order_id": ID,
        "client_order_id": "my-1",
        "venue": "paper",
        "account": "API_ACCOUNT",
        "symbol": "IBM",
        "side": Side.BUY,
        "quantity": D("100"),
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.DAY,
        "created": START,
        "day": date(2013, 10, 7),
        "route": "DEMO",
        "owner": "txtrader_user",
        "cusip": "459200101",
        "currency": "USD",
    }
    return Terms(**{**usual, **changes})


def fill(quantity: str, price: str, number: int = 1, **changes: Any) -> Executed:
    """A fill of the order."""
    usual: dict[str, Any] = {
        "execution_id": f"E-{number}",
        "venue": "paper",
        "account": "API_ACCOUNT",
        "symbol": "IBM",
        "side": Side.BUY,
        "quantity": D(quantity),
        "price": D(price),
        "time": at(number),
        "order_id": ID,
        "broker_order_id": "P-1",
        "commission": D("1.00"),
        "exchange": "NYS",
    }
    return Executed(Execution(**{**usual, **changes}), at(number))


def changes(events: Iterable[Event]) -> list[Change]:
    """What the events do, one after the other, to a fresh state."""
    state = State()
    return [state.apply(Record(seq, at(seq), event)) for seq, event in enumerate(events, 1)]


def order(*events: Event) -> Order:
    """The order that the events lead to."""
    found = changes(events)[-1].order
    assert found is not None
    return found


def execution(*events: Event) -> Execution:
    """The execution that the last of the events is, with its order's figures."""
    found = changes(events)[-1].execution
    assert found is not None
    return found


SUBMITTED, ACCEPTED = OrderSubmitted(terms(), START), OrderAccepted(ID, "P-1", at(1))
LIMIT = {"order_type": OrderType.LIMIT, "limit_price": D("609.999"), "symbol": "BTCUSD", "quantity": D("0.123")}
FOUND = OrderReport(
    broker_order_id="B-77",
    account="API_ACCOUNT",
    symbol="IBM",
    side=Side.SELL_SHORT,
    quantity=D(300),
    order_type=OrderType.STOP_LIMIT,
    status=OrderStatus.PARTIALLY_FILLED,
    time=START,
    filled_quantity=D(100),
    average_price=D("183.1"),
)
STOP_LIMIT = {"limit_price": D("182.90"), "stop_price": D("183.00"), "order_type": OrderType.STOP_LIMIT}

ORDERS: dict[str, Order] = {
    "submitted": order(SUBMITTED),
    "accepted": order(SUBMITTED, ACCEPTED),
    "partly_filled": order(
        OrderSubmitted(terms(**LIMIT, time_in_force=TimeInForce.GTC, route='{"SMART": {"DARK": "Y"}}'), START),
        ACCEPTED,
        fill("0.023", "609.998", symbol="BTCUSD"),
        fill("0.05", "609.9985", 2, symbol="BTCUSD"),
    ),
    "filled": order(SUBMITTED, ACCEPTED, fill("40", "183.10"), fill("60", "183.11", 2)),
    "canceled": order(
        SUBMITTED,
        ACCEPTED,
        fill("40", "183.10"),
        CancelRequested(ID, "txtrader_user", at(2)),
        OrderCanceled(ID, Reason.USER, "", at(3)),
    ),
    "expired": order(SUBMITTED, ACCEPTED, OrderExpired(ID, "The day ended.", at(9))),
    "rejected": order(SUBMITTED, OrderRejected(ID, Reason.INSUFFICIENT_FUNDS, "Not enough cash.", at(1))),
    "denied": order(OrderDenied(terms(quantity=D(0)), Reason.BAD_QUANTITY, "Quantity 0 is not above zero.", START)),
    "unknown": order(SUBMITTED, OrderDoubted(ID, Reason.TIMEOUT, "No answer within 300 s.", at(300))),
    "replacing": order(SUBMITTED, ACCEPTED, ReplaceRequested(ID, D(150), D("183.05"), None, "txtrader_user", at(2))),
    "replaced": order(
        OrderSubmitted(terms(order_type=OrderType.LIMIT, limit_price=D("183.00")), START),
        ACCEPTED,
        ReplaceRequested(ID, D(150), D("183.05"), None, "txtrader_user", at(2)),
        OrderReplaced(ID, D(150), D("183.05"), None, at(3)),
    ),
    "ticket_staged": order(OrderSubmitted(terms(side=Side.SELL, tag="desk 7", **STOP_LIMIT), START)),
    "ticket_released": order(
        OrderSubmitted(terms(side=Side.SELL, tag="desk 7", **STOP_LIMIT), START),
        TicketApproved(ID, "boss", at(1)),
        OrderAccepted(ID, "P-1", at(2)),
    ),
    "external": order(
        ExternalOrderFound(
            terms(side=Side.SELL_SHORT, quantity=D(300), origin=Origin.EXTERNAL, owner="", route="", **STOP_LIMIT),
            FOUND,
            START,
        )
    ),
}

EXECUTION = execution(SUBMITTED, ACCEPTED, fill("40", "183.10"))
CRYPTO_EXECUTION = execution(
    OrderSubmitted(terms(**LIMIT), START),
    ACCEPTED,
    fill("0.00000001", "609.99899999", symbol="BTCUSD", fee=D("0.00075"), fee_currency="BNB"),
)

INSTRUMENT = Instrument(
    symbol="IBM",
    venue="paper",
    fullname="International Business Machines Corp.",
    cusip="459200101",
    raw={"DISP_NAME": "IBM", "STARTTIME": "09:30:00", "STOPTIME": "16:00:00"},
)
TICKER = Ticker(
    name="IBM",
    instrument=INSTRUMENT,
    quote=Quote("IBM", D("183.10"), D(500), D("183.12"), D("300.5"), at(5)),
    last=Trade("IBM", D("183.110"), D(100), at(4)),
    open=D("182.50"),
    high=D("183.2"),
    low=D("182.45"),
    close=D("184.1"),
    volume=D(123456),
    vwap=D("182.9051"),
    bars=(Bar("IBM", START.replace(second=0, microsecond=0), D(183), D("183.2"), D("182.9"), D("183.1"), D(12345)),),
)
QUIET = Ticker(name="IBM", instrument=INSTRUMENT)
