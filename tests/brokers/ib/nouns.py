"""Orders of ours, and ib_async's own objects, as TWS would have them decoded."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from ib_async import Contract, ContractDetails
from ib_async import Execution as IbExecution
from ib_async import Order as IbOrder

from txgateway.model.order import Order, OrderStatus, OrderType, Side, TimeInForce

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
ID = "01JDF3N8Q0ABCDEFGHJK"
D = Decimal


def an_order(**terms: Any) -> Order:
    made: dict[str, Any] = {
        "order_id": ID,
        "client_order_id": "mine",
        "venue": "tws",
        "account": "DU1",
        "symbol": "IBM",
        "side": Side.BUY,
        "quantity": D(100),
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "limit_price": D("101.5"),
        "created": NOW,
        "day": date(2026, 11, 24),
        "status": OrderStatus.PENDING_NEW,
        "updated": NOW,
        "seq": 1,
    }
    return Order(**{**made, **terms})


def ibm() -> Contract:
    return Contract(secType="STK", conId=8314, symbol="IBM", exchange="SMART", primaryExchange="NYSE", currency="USD")


def details(contract: Contract | None = None, **more: Any) -> ContractDetails:
    made: dict[str, Any] = {"longName": "INTL BUSINESS MACHINES CORP", "minTick": 0.01, "minSize": 0.0001}
    return ContractDetails(contract=contract or ibm(), **{**made, **more})


def theirs(**more: Any) -> IbOrder:
    """An order as openOrder has it."""
    made: dict[str, Any] = {
        "orderId": 7,
        "clientId": 3,
        "permId": 1234567,
        "action": "BUY",
        "totalQuantity": 100.0,
        "orderType": "LMT",
        "lmtPrice": 101.5,
        "auxPrice": 0.0,
        "tif": "DAY",
        "orderRef": ID,
        "account": "DU1",
    }
    return IbOrder(**{**made, **more})


def a_fill(**more: Any) -> IbExecution:
    made: dict[str, Any] = {
        "execId": "0000e0d5.6553c6ae.01.01",
        "time": NOW,
        "acctNumber": "DU1",
        "exchange": "NYSE",
        "side": "BOT",
        "shares": 40.0,
        "price": 101.25,
        "permId": 1234567,
        "clientId": 3,
        "orderId": 7,
        "cumQty": 40.0,
        "avgPrice": 101.25,
        "orderRef": ID,
    }
    return IbExecution(**{**made, **more})
