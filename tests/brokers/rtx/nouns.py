"""Orders and recorded rows for the tests of this folder."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytz

from txgateway.brokers.rtx.protocol import Decoder, Response, Row, Update
from txgateway.brokers.rtx.translate import OrderRow, order_row
from txgateway.model.order import Order, OrderStatus, OrderType, Side, TimeInForce

D = Decimal
ZONE = pytz.timezone("America/New_York")
NOW = datetime(2024, 3, 1, 15, 0, 30, tzinfo=UTC)
ACCOUNT = "DEMO.TEST.CLIENT.MARGIN"
RECORDINGS = Path(__file__).parent / "recordings"


def rows(name: str) -> list[Row]:
    """The rows of a recording."""
    messages = Decoder().receive((RECORDINGS / f"{name}.jsonl").read_bytes())
    return [each.row for each in messages if isinstance(each, Response | Update)]


def order_rows(name: str) -> list[OrderRow]:
    """The same, of ORDERS."""
    found = [order_row(row, ZONE) for row in rows(name)]
    assert None not in found
    return [row for row in found if row is not None]


def make_order(**terms: Any) -> Order:
    """An order to buy 100 IBM at 185.50."""
    made: dict[str, Any] = {
        "order_id": "A1B2C3D4E5F6G7H8J9K0",
        "client_order_id": "mine",
        "venue": "rtx",
        "account": ACCOUNT,
        "symbol": "IBM",
        "side": Side.BUY,
        "quantity": D(100),
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
        "limit_price": D("185.50"),
        "created": NOW,
        "day": NOW.date(),
        "status": OrderStatus.PENDING_NEW,
        "updated": NOW,
        "seq": 1,
        **terms,
    }
    return Order(**made)
