"""Killed after any record, the next daemon on the same broker ends where the first one would have: nothing twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from twisted.internet.task import Clock

from tests.desk import Bench, ChosenBroker, D
from tests.signals.house import TV, House
from txgateway.chain import to_row
from txgateway.journal.memory import MemoryJournal
from txgateway.model.errors import Reason
from txgateway.model.events import Executed, OrderAccepted, OrderCanceled
from txgateway.model.order import OrderStatus, OrderType
from txgateway.model.signal import Act, Outcome, SourceKind
from txgateway.signals.generic import Generic

NEVER = 10**9
WORKS = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


class Mortal(MemoryJournal):
    """Writes so many records, and nothing after them; `told`: whether the daemon still learns of the last."""

    def __init__(self, life: int = NEVER, told: bool = True) -> None:
        super().__init__()
        self.life, self.told, self.dead = life, told, False
        self._held: dict[int, Any] = {}

    def append(self, record: Any, keys: Any = ()) -> None:
        super().append(record)
        self._held[record.seq] = keys

    def sync(self) -> None:
        waiting, self._waiting = self._waiting, []
        for record in waiting:
            if self.dead:
                return
            self.rows.append(to_row(self.open()[1], record))
            for key in self._held.pop(record.seq):
                self._keys.setdefault((key.kind, key.value), key.order_id)
            self.dead = len(self.rows) >= self.life
            if not self.dead or self.told:
                self._synced(record.seq)


class Market(ChosenBroker):
    """Market orders fill at once, limit orders for a part, stops rest; it shows, and cancels, what it has."""

    async def submit(self, order: Any) -> None:
        self.sent.append(order)
        market = order.order_type is OrderType.MARKET
        filled = order.quantity if market else D(5) if order.limit_price else D(0)
        fill = self.fill(order, filled) if filled else None
        self.hold(order, OrderStatus.FILLED if market else WORKS[bool(filled)], broker_order_id=f"B{len(self.sent)}")
        self.report(OrderAccepted(order.order_id, f"B{len(self.sent)}", self.now()))
        if fill is not None:
            self.report(Executed(fill, self.now()))

    async def cancel(self, order: Any) -> None:
        self.canceled.append(order)
        self.book[order.order_id] = replace(self.book[order.order_id], status=OrderStatus.CANCELED)
        self.report(OrderCanceled(order.order_id, Reason.USER, "", self.now()))

    async def replace(self, order: Any) -> None:
        quantity = order.asked_quantity or order.quantity
        self.book[order.order_id] = replace(self.book[order.order_id], quantity=quantity)
        await super().replace(order)


class Wide(Generic):
    """The generic language with REOPEN, which only other senders have."""

    def read(self, source: Any, post: Any) -> Any:
        message = super().read(source, post)
        reopens = [
            replace(each, act=Act.REOPEN) if each.reference == "reopen" else each for each in message.instructions
        ]
        return replace(message, instructions=tuple(reopens))


class Outcomes(Wide):
    """The same for a sender whose answer carries the outcome."""

    outcome = True


IBM = {"symbol": "IBM"}
BUY, SELL = {"symbol": "IBM", "side": "BUY"}, {"symbol": "IBM", "side": "SELL"}
CLOSE, CANCEL = {"symbol": "IBM", "side": "CLOSE"}, {"symbol": "IBM", "side": "CANCEL"}
SAFE, SAFE_SHORT = {"stop_loss": 90}, {"stop_loss": 110}
LIMIT = {"type": "LIMIT", "price": 80}
REOPEN = {"reference": "reopen"}
AAPL = {"symbol": "AAPL", "side": "BUY"}
SCENARIOS: dict[str, tuple[list[dict[str, Any]], int]] = {
    "order": ([{**BUY, "quantity": 100}], 100),
    "close": ([{**BUY, "quantity": 100}, CLOSE], 0),
    "close part": ([{**BUY, "quantity": 100}, {**CLOSE, "quantity": "50%"}], 50),
    "close with exits": ([{**BUY, "quantity": 100, **SAFE}, CLOSE], 0),
    "close with exits, then another": ([{**BUY, "quantity": 100, **SAFE}, CLOSE, {**BUY, "quantity": 30}], 30),
    "close, part with exits": ([{**BUY, "quantity": 60, **SAFE}, {**BUY, "quantity": 40}, CLOSE], 0),
    "close of 80, 60 with exits": (
        [{**BUY, "quantity": 60, **SAFE}, {**BUY, "quantity": 40}, {**CLOSE, "quantity": 80}],
        20,
    ),
    "sell what has exits": ([{**BUY, "quantity": 100, **SAFE}, {**SELL, "quantity": 100}], 0),
    "sell more than has exits": ([{**BUY, "quantity": 100, **SAFE}, {**SELL, "quantity": 150}], -50),
    "through zero": ([{**BUY, "quantity": 100}, {**SELL, "quantity": 150}], -50),
    "through zero, with exits": ([{**BUY, "quantity": 100}, {**SELL, "quantity": 150, **SAFE_SHORT}], -50),
    "through zero, exits on both": (
        [{**BUY, "quantity": 100, **SAFE}, {**SELL, "quantity": 150, **SAFE_SHORT}],
        -50,
    ),
    "target through zero": ([{**IBM, "target": 100}, {**IBM, "target": -50}], -50),
    "target through zero, exits on both": ([{**IBM, "target": 100, **SAFE}, {**IBM, "target": -50, **SAFE_SHORT}], -50),
    "reopen": ([{**BUY, "quantity": 100}, {**SELL, "quantity": 70, **REOPEN}], -70),
    "reopen the same way": ([{**BUY, "quantity": 100}, {**BUY, "quantity": 70, **REOPEN}], 70),
    "reopen, exits on both": (
        [{**BUY, "quantity": 100, **SAFE}, {**SELL, "quantity": 70, **SAFE_SHORT, **REOPEN}],
        -70,
    ),
    "close over a resting entry": ([{**BUY, "quantity": 100}, {**BUY, "quantity": 50, **LIMIT}, CLOSE], 0),
    "cancel, then rest anew": (
        [{**BUY, "quantity": 50, **LIMIT}, {"signals": [CANCEL, {**BUY, "quantity": 20, **LIMIT}]}],
        10,
    ),
    "batch: close, then open": ([{**BUY, "quantity": 100}, {"signals": [CLOSE, {**BUY, "quantity": 30}]}], 30),
    "batch: close with exits, then open": (
        [{**BUY, "quantity": 100, **SAFE}, {"signals": [CLOSE, {**BUY, "quantity": 30}, {**AAPL, "quantity": 5}]}],
        30,
    ),
    "batch: nothing to do, then open": ([{"signals": [{**IBM, "target": 0}, {**BUY, "quantity": 30}]}], 30),
    "batch of three": ([{"signals": [{**BUY, "quantity": each} for each in (10, 20, 30)]}], 60),
    "batch of two symbols": ([{"signals": [{**IBM, "target": 0}, {**AAPL, "quantity": 5}]}, {**BUY, "quantity": 7}], 7),
}
"""What is sent, and what of IBM is held at the end."""


class Life:
    """A daemon that is killed, and the next one, with a sender that sends again what was not answered."""

    def __init__(self, language: Generic) -> None:
        self.broker = Market(Clock())
        self.language = language
        self.passed = 0.0

    def run(self, bodies: list[dict[str, Any]], life: int = NEVER, told: bool = True) -> int:
        """Send what there is to send, through one death; how many records the first life had."""
        journal = Mortal(life, told)
        house = self._house(journal)
        rest = list(bodies)
        while rest and not journal.dead:
            if not self._send(house, rest[0], len(bodies) - len(rest)):
                break
            rest.pop(0)
        lived = len(journal.rows)
        if journal.dead:
            again = MemoryJournal()
            again.rows, again._keys = list(journal.rows), dict(journal._keys)
            house = self._house(again)
            for done, body in enumerate(rest):
                assert self._send(house, body, len(bodies) - len(rest) + done)
        self.house = house
        for _ in range(8):
            house.bench.turn(5)
        return lived

    def _house(self, journal: MemoryJournal) -> House:
        languages = {SourceKind.GENERIC: self.language}
        house = House(replace(TV, max_age=3600), bench=Bench(journal, self.broker), languages=languages)
        house.bench.clock.advance(self.passed + 10)
        house.bench.broker.startService()
        for _ in range(8):
            house.bench.turn(1)
        return house

    def _send(self, house: House, body: dict[str, Any], number: int) -> bool:
        done = house.begin(**body, id=f"n{number}")
        for _ in range(4):
            house.bench.turn(1)
        self.passed = house.bench.clock.seconds()
        box: list[Any] = []
        done.addBoth(box.append)
        return bool(box)

    def end(self) -> dict[str, Any]:
        """Where it all ended, at the broker and in the strategies' books."""
        held: Counter[str] = Counter()
        for fill in self.broker.fills:
            held[fill.symbol] += fill.signed_quantity  # type: ignore[assignment]
        works = [
            (each.side, each.symbol, each.quantity - each.filled_quantity, each.order_type, each.limit_price)
            for each in self.broker.book.values()
            if each.status in WORKS
        ]
        state = self.house.bench.gateway.state
        return {
            "held": {symbol: quantity for symbol, quantity in held.items() if quantity},
            "works": sorted(works, key=str),
            "strategy": {symbol: self.house.held(symbol=symbol) for symbol in ("IBM", "AAPL")},
            "outcomes": [each.outcome for each in state.strategies.signals.values()],
        }


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize("language", [Wide(), Outcomes()], ids=["plain", "outcome"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_after_any_record_it_ends_the_same(name: str, language: Generic, told: bool) -> None:
    bodies, held = SCENARIOS[name]
    alive = Life(language)
    records = alive.run(bodies)
    end = alive.end()
    assert end["held"].get("IBM", 0) == end["strategy"]["IBM"] == held
    assert end["outcomes"] == [Outcome.DONE] * len(bodies)
    wrong = {}
    for life in range(1, records + 1):
        killed = Life(language)
        killed.run(bodies, life, told)
        again = [
            key for key, times in Counter(each.client_order_id for each in killed.broker.sent).items() if times > 1
        ]
        if killed.end() != end or again:
            wrong[life, killed.house.bench.journal.rows[life - 1].kind] = (killed.end(), killed.house.sent, again)
    assert not wrong, "\n".join([f"wanted {end}", *(f"killed after {key}: {found}" for key, found in wrong.items())])


STEPS = some.sampled_from(
    [
        {**BUY, "quantity": 40},
        {**SELL, "quantity": 40},
        {**BUY, "quantity": 30, **SAFE},
        {**SELL, "quantity": 70, **SAFE_SHORT},
        {**BUY, "quantity": 20, **LIMIT},
        {**AAPL, "quantity": 5},
        {**IBM, "target": 25},
        {**IBM, "target": -15, **SAFE_SHORT},
        {**IBM, "target": 0},
        {**BUY, "quantity": 35, **SAFE, **REOPEN},
        {**SELL, "quantity": 45, **REOPEN},
        CLOSE,
        {**CLOSE, "quantity": "50%"},
        {**CLOSE, "quantity": 20},
        CANCEL,
        {"side": "CANCEL"},
    ]
)
BODIES = some.lists(
    some.one_of(STEPS, some.lists(STEPS, min_size=2, max_size=3).map(lambda steps: {"signals": steps})),
    min_size=1,
    max_size=4,
)


BESIDE_A_LIMIT = [{**SELL, "quantity": 40}, {**BUY, "quantity": 20, **LIMIT}, {**BUY, "quantity": 30, **SAFE}]


@settings(deadline=None, max_examples=60)
@example(
    [{**SELL, "quantity": 40}, {**BUY, "quantity": 20, **LIMIT}, {**BUY, "quantity": 30, **SAFE}], 60, True, Wide()
)
@given(BODIES, some.integers(1, 60), some.booleans(), some.sampled_from([Wide(), Outcomes()]))
def test_whatever_is_sent_a_kill_changes_nothing(
    bodies: list[dict[str, Any]], life: int, told: bool, language: Generic
) -> None:
    alive, killed = Life(language), Life(language)
    alive.run(bodies)
    killed.run(bodies, life, told)
    end, wanted = killed.end(), alive.end()
    assert all(end[name] == wanted[name] for name in ("held", "works", "strategy")), (end, wanted)
    held = end["held"].get("IBM", D(0))
    assert held == end["strategy"]["IBM"]
    stops = [(side, left) for side, symbol, left, order_type, _ in end["works"] if order_type is OrderType.STOP]
    assert sum(left for _, left in stops) <= abs(held)  # no exit would open
    assert all(side.sign * held < 0 for side, _ in stops)
    assert Outcome.PENDING not in end["outcomes"] + wanted["outcomes"]
    keys = Counter(each.client_order_id for each in killed.broker.sent)
    assert not [key for key, times in keys.items() if times > 1]
