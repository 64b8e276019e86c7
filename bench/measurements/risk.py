"""What the pre-trade checks cost an order: judged, and counted as sent, by the desk's own guard, in this process.

Once with the limits that hold by default, once with every limit there is, at four scopes, and a hundred positions held.
The market moves between two orders, so nothing of the last one's can be used again. No limit is met: the longest way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from bench.figures import Figure, at_most
from bench.percentiles import median
from bench.workshop import ACCOUNT, SYMBOLS, Workshop
from txgateway.guard import Guard
from txgateway.model.events import PositionReported, Record
from txgateway.model.instrument import Instrument
from txgateway.model.limits import read_levels
from txgateway.model.market import Mark, Quote, Trade
from txgateway.model.order import OrderRequest, OrderType, Origin, Side
from txgateway.model.scope import Subject
from txgateway.risk import Verdict
from txgateway.state import State

MOST_US = 50.0
HELD = 100
START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
OWNER, VENUE = "bench", "paper"
SCOPES = ("gateway", f"account:{ACCOUNT}", f"owner:{OWNER}", "symbol:*")
EVERY = (
    "restricted=NOSUCH",
    "session_only=1",
    "duplicate_window=0.001:0.002",
    "order_rate=1000000:900000",
    "max_quantity=100000:90000",
    "reference_age=60:30",
    "price_collar=0.5:0.4",
    "max_notional=90000000:80000000",
    "max_position=1000000:900000",
    "max_gross_exposure=900000000000:800000000000",
    "max_daily_loss=900000000:800000000",
    "approval_notional=90000000",
    "execution_budget=1000000/60",
)


def measure(workshop: Workshop) -> Sequence[Figure]:
    """Two lines."""
    every = ",".join(f"{scope}/{limit}" for scope in SCOPES for limit in EVERY)
    crowds = {"the default limits": "", f"every limit at 4 scopes, {HELD} positions": every}
    return [_figure(workshop, name, limits) for name, limits in crowds.items()]


def _figure(workshop: Workshop, name: str, limits: str) -> Figure:
    desk = _Desk(limits)
    desk.judge(workshop.scale.orders // 100)
    spent = median(desk.judge(workshop.scale.orders // 10) for _ in range(workshop.scale.turns))
    return at_most(f"risk cost an order, {name}", "µs", 1e6 * spent, MOST_US)


class _Desk:
    """A guard over a state with positions, and a market that moves with each order."""

    def __init__(self, limits: str) -> None:
        self._now = START
        self._number = 0
        state = State()
        for number in range(HELD):
            symbol = SYMBOLS[number] if number < len(SYMBOLS) else f"SYM{number}"
            event = PositionReported(VENUE, ACCOUNT, symbol, Decimal(100), Decimal(100), START)
            state.apply(Record(state.seq + 1, START, event))
        self._guard = Guard(state, read_levels(limits), self._shown, lambda: self._now, self._seconds)

    def _seconds(self) -> float:
        return self._number / 1000

    def _price(self) -> Decimal:
        return Decimal(10_000 + self._number % 100) / 100

    def _shown(self, venue: str, symbol: str) -> tuple[Mark, Trade]:
        price = self._price()
        return Mark(price, Decimal(100)), Trade(symbol, price, Decimal(1), self._now)

    def judge(self, count: int) -> float:
        """Judge so many orders; seconds for each, without those of the market's moves."""
        spent, quantity, size, cent = 0.0, Decimal(1), Decimal(500), Decimal("0.01")
        for _ in range(max(count, 1)):
            self._number += 1
            self._now += timedelta(milliseconds=1)
            symbol, price = SYMBOLS[self._number % len(SYMBOLS)], self._price()
            quote = Quote(symbol, price - cent, size, price + cent, size, self._now)
            instrument = Instrument(symbol=symbol, venue=VENUE)
            side = Side.BUY if self._number % 2 else Side.SELL
            order = OrderRequest(
                account=ACCOUNT,
                symbol=symbol,
                side=side,
                quantity=quantity,
                order_type=OrderType.LIMIT,
                limit_price=price,
            )
            begun = time.perf_counter()
            subject = Subject(VENUE, ACCOUNT, OWNER, Origin.RPC, symbol)
            decision = self._guard.judge(order, subject, instrument, quote, self._now)
            self._guard.sent(order, subject)
            spent += time.perf_counter() - begun
            assert decision.verdict is Verdict.SEND, decision
        return spent / max(count, 1)
