"""The book's rows: orders, fills and accounts to and from text and whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from txgateway.brokers.paper.held import Fill, Held
from txgateway.model.errors import Reason
from txgateway.model.instrument import AssetClass
from txgateway.model.order import OrderStatus, OrderType, Side, TimeInForce

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account as the book has it."""

    cash: dict[str, Decimal] = field(default_factory=dict)
    realized: Decimal = Decimal(0)
    commissions: Decimal = Decimal(0)


def order_row(held: Held) -> tuple[Any, ...]:
    """An order as a row of `orders`."""
    return (
        held.number,
        held.order_id,
        held.account,
        held.symbol,
        held.side.value,
        str(held.quantity),
        held.order_type.value,
        held.time_in_force.value,
        _text(held.limit_price),
        _text(held.stop_price),
        micro(held.received),
        held.status.value,
        held.asset_class.value,
        held.currency,
        held.cusip,
        held.priority,
        held.triggered,
        None if held.expires is None else micro(held.expires),
        str(held.filled),
        str(held.value),
        str(held.commission),
        str(held.reserve_price),
        held.reason.value if held.reason else None,
        held.text,
        held.called,
    )


def order_changes(held: Held) -> tuple[Any, ...]:
    """What of an order may have changed, and its number."""
    return (
        str(held.quantity),
        _text(held.limit_price),
        _text(held.stop_price),
        held.status.value,
        held.priority,
        held.triggered,
        None if held.expires is None else micro(held.expires),
        str(held.filled),
        str(held.value),
        str(held.commission),
        str(held.reserve_price),
        held.reason.value if held.reason else None,
        held.text,
        held.number,
    )


def held_of(row: Sequence[Any]) -> Held:
    """A row of `orders` as an order."""
    return Held(
        number=row[0],
        order_id=row[1],
        account=row[2],
        symbol=row[3],
        side=Side(row[4]),
        quantity=Decimal(row[5]),
        order_type=OrderType(row[6]),
        time_in_force=TimeInForce(row[7]),
        limit_price=_number(row[8]),
        stop_price=_number(row[9]),
        received=moment_of(row[10]),
        status=OrderStatus(row[11]),
        asset_class=AssetClass(row[12]),
        currency=row[13],
        cusip=row[14],
        priority=row[15],
        triggered=bool(row[16]),
        expires=None if row[17] is None else moment_of(row[17]),
        filled=Decimal(row[18]),
        value=Decimal(row[19]),
        commission=Decimal(row[20]),
        reserve_price=Decimal(row[21]),
        reason=Reason(row[22]) if row[22] else None,
        text=row[23],
        called=row[24],
        written=True,
    )


def fill_row(fill: Fill) -> tuple[Any, ...]:
    """A fill as a row of `executions`."""
    return (
        fill.number,
        fill.order_number,
        str(fill.quantity),
        str(fill.price),
        str(fill.commission),
        micro(fill.time),
        str(fill.order_quantity),
        str(fill.cumulative),
        str(fill.value),
    )


def fill_of(row: Sequence[Any]) -> Fill:
    """A row of `executions` as a fill."""
    number, order_number, quantity, price, commission, time, order_quantity, cumulative, value = row
    amounts = (Decimal(quantity), Decimal(price), Decimal(commission))
    sums = (Decimal(order_quantity), Decimal(cumulative), Decimal(value))
    return Fill(number, order_number, *amounts, moment_of(time), *sums)


def account_row(name: str, account: Any) -> tuple[str, ...]:
    """An account as a row of `accounts`."""
    cash = " ".join([f"{currency}={amount}" for currency, amount in account.cash.items()])
    return name, cash, str(account.realized), str(account.commissions)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def account_of(cash: str, realized: str, commissions: str) -> StoredAccount:
    """Columns of `accounts` as an account."""
    amounts = (each.partition("=") for each in cash.split())
    by_currency = {currency: Decimal(amount) for currency, _, amount in amounts}
    return StoredAccount(by_currency, Decimal(realized), Decimal(commissions))


def micro(moment: datetime) -> int:
    """Microseconds of UTC."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(microseconds: int) -> datetime:
    """Microseconds of UTC as a moment."""
    return EPOCH + microseconds * MICROSECOND
