"""Whatever is sent and whatever the market does: properties of the counterparty, against figures kept apart from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from txgateway.brokers.paper.accounts import Account, Holding
from txgateway.brokers.paper.book import Book
from txgateway.brokers.paper.commission import Commission
from txgateway.brokers.paper.exchange import Exchange
from txgateway.brokers.paper.options import Opening
from txgateway.brokers.paper.sessions import Sessions
from txgateway.brokers.paper.turn import Turn, Worth
from txgateway.model.events import MOVES, Executed, OrderReplaced
from txgateway.model.market import Quote, Trade
from txgateway.model.order import CLOSED, TABLE, Move, OrderStatus

D = Decimal
NAMES = ("MARGIN", "CASH")
prices = st.integers(9_900, 10_100).map(lambda cents: D(cents) / 100)
sizes = st.sampled_from([100, 1, 50, 300, 1000, 0])
spreads = st.sampled_from([1, 2, 5, 20, 0, -2]).map(lambda cents: D(cents) / 100)
tickets = st.sampled_from([None, None, None, None, "tag"])

send = st.tuples(
    st.just("send"),
    st.sampled_from(NAMES),
    st.sampled_from(["BUY", "SELL", "SELL_SHORT"]),
    st.sampled_from([1, 40, 100, 250, 700]),
    st.sampled_from(["MARKET", "LIMIT", "STOP", "STOP_LIMIT"]),
    st.sampled_from(["DAY", "GTC", "IOC", "FOK"]),
    prices,
    prices,
    tickets,
)
quote = st.tuples(st.just("quote"), prices, sizes, spreads, sizes)
trade = st.tuples(st.just("trade"), prices, st.sampled_from([1, 50, 100, 500]))
change = st.tuples(
    st.sampled_from(["cancel", "replace", "release"]), st.integers(0, 50), st.sampled_from([1, 60, 300]), prices
)
night = st.tuples(st.just("night"))
actions = st.lists(st.one_of(send, send, send, quote, quote, trade, change, night), min_size=20, max_size=80)


class Witness:
    """Keeps its own books of everything told, and objects when something cannot be."""

    def __init__(self, quoted: bool) -> None:
        self.quoted = quoted
        self.shown: Any = None
        self.left = {"BUY": D(0), "SELL": D(0), "TRADE": D(0)}
        self.orders: dict[str, Any] = {}
        self.status: dict[str, OrderStatus] = {}
        self.filled: dict[str, Decimal] = defaultdict(D)
        self.value: dict[str, Decimal] = defaultdict(D)
        self.paid: dict[str, Decimal] = defaultdict(D)
        self.cash = dict.fromkeys(NAMES, D(100_000))
        self.held = dict.fromkeys(NAMES, D(0))
        self.ids: set[str] = set()

    def show(self, event: Quote | Trade) -> None:
        if isinstance(event, Quote) and self.quoted:
            self.shown = event
            good = event.bid_size > 0 and event.ask_size > 0 and event.bid < event.ask
            self.left = {"BUY": event.ask_size, "SELL": event.bid_size} if good else {"BUY": D(0), "SELL": D(0)}
        elif isinstance(event, Trade) and not self.quoted:
            self.shown, self.left = event, {"TRADE": event.size}

    def see(self, event: Any) -> None:
        self.move(event)
        if isinstance(event, OrderReplaced):
            terms = {"quantity": event.quantity, "limit_price": event.limit_price, "stop_price": event.stop_price}
            self.orders[event.order_id] = replace(self.orders[event.order_id], **terms)
        if isinstance(event, Executed):
            self.fill(event.execution)

    def move(self, event: Any) -> None:
        """Only moves that the order table has."""
        status = self.status[event.order_id]
        move = MOVES.get(type(event))
        if isinstance(event, Executed):
            order = self.orders[event.order_id]
            done = self.filled[event.order_id] + event.execution.quantity == order.quantity
            move = Move.FILL_ALL if done else Move.FILL
        if move in (Move.REPLACE, Move.REFUSE_REPLACE) and status not in CLOSED | {OrderStatus.STAGED}:
            return
        if move in (Move.REPLACE, Move.REFUSE_REPLACE, Move.REFUSE_CANCEL):
            return
        assert move in TABLE[status], f"{status} cannot take {move}"
        assert status not in CLOSED
        after = TABLE[status][move]
        assert after is not None
        self.status[event.order_id] = after

    def fill(self, fill: Any) -> None:
        order = self.orders[fill.order_id]
        assert fill.execution_id not in self.ids
        self.ids.add(fill.execution_id)
        side = "BUY" if order.side == "BUY" else "SELL"
        if self.quoted:
            assert fill.price == (self.shown.ask if side == "BUY" else self.shown.bid)
            self.left[side] -= fill.quantity
            assert self.left[side] >= 0
        else:
            assert fill.price == self.shown.price
            self.left["TRADE"] -= fill.quantity
            assert self.left["TRADE"] >= 0
        assert fill.quantity > 0
        if order.limit_price is not None:
            assert fill.price <= order.limit_price if side == "BUY" else fill.price >= order.limit_price
        self.filled[order.order_id] += fill.quantity
        self.value[order.order_id] += fill.quantity * fill.price
        self.paid[order.order_id] += fill.commission
        filled, value = self.filled[order.order_id], self.value[order.order_id]
        assert filled <= order.quantity
        assert (fill.cumulative_quantity, fill.leaves_quantity) == (filled, order.quantity - filled)
        assert fill.order_average_price == value / filled
        owed = min(max(filled * D("0.005"), D(1)), value / 100).quantize(D("0.01"), ROUND_HALF_UP)
        assert self.paid[order.order_id] == owed
        signed = fill.quantity if side == "BUY" else -fill.quantity
        self.held[order.account] += signed
        self.cash[order.account] -= signed * fill.price + fill.commission
        assert self.held["CASH"] >= 0
        assert self.cash["CASH"] >= 0


class Play:
    """One floor, one witness, one book, and the orders sent so far."""

    def __init__(self, floor: Any, quoted: bool, book: Book) -> None:
        self.floor, self.witness, self.book = floor, Witness(quoted), book
        self.sent: list[Any] = []

    def act(self, action: tuple[Any, ...]) -> None:
        getattr(self, action[0] if action[0] not in ("cancel", "replace", "release") else "change")(*action)
        turn = self.floor.exchange.turn
        if turn.changed:
            self.book.write(turn)
        for event in self.floor.turn():
            self.witness.see(event)
        self.check()

    def send(self, _: str, account: str, side: str, quantity: int, kind: str, tif: str, *rest: Any) -> None:
        limit, stop, tag = rest
        terms = {"limit": limit if "LIMIT" in kind else None, "stop": stop if "STOP" in kind else None}
        self.floor.number += 1
        order = self.floor.make(self.floor.number, side, quantity, account=account, tif=tif, tag=tag, **terms)
        self.witness.orders[order.order_id] = order
        self.witness.status[order.order_id] = order.status
        self.sent.append(order)
        self.floor.exchange.submit(order, self.floor.now)

    def quote(self, _: str, bid: Decimal, bid_size: int, spread: Decimal, ask_size: int) -> None:
        self.show(lambda now: Quote("IBM", bid, D(bid_size), bid + spread, D(ask_size), now))

    def trade(self, _: str, price: Decimal, size: int) -> None:
        self.show(lambda now: Trade("IBM", price, D(size), now))

    def show(self, make: Callable[[Any], Any]) -> None:
        self.floor.later(seconds=1)
        event = make(self.floor.now)
        self.floor.prices["IBM"] = event.bid if isinstance(event, Quote) else event.price
        self.witness.show(event)
        self.floor.exchange.show(event)

    def change(self, what: str, number: int, quantity: int, price: Decimal) -> None:
        if not self.sent:
            return
        order = self.sent[number % len(self.sent)]
        exchange, now = self.floor.exchange, self.floor.now
        if what == "cancel":
            exchange.cancel(order, now)
        elif what == "replace":
            limit = price if order.limit_price is not None else None
            exchange.replace(replace(order, asked_quantity=D(quantity), asked_limit_price=limit), now)
        elif self.witness.status[order.order_id] is OrderStatus.STAGED:
            self.witness.status[order.order_id] = OrderStatus.PENDING_NEW
            assert exchange.release(order, now)

    def night(self, _: str) -> None:
        self.floor.later(days=1)
        self.floor.exchange.expire(self.floor.now)

    def check(self) -> None:
        """What must be true after every turn."""
        exchange = self.floor.exchange
        still = {order_id for order_id, status in self.witness.status.items() if status not in CLOSED}
        assert set(exchange.open) == still
        for name, account in exchange.accounts.items():
            assert account.cash["USD"] == self.witness.cash[name]
            assert account.quantity("IBM") == self.witness.held[name]
            assert account.reserved >= 0
            live = [each for each in exchange.open.values() if each.account == name and each.status != "STAGED"]
            assert live or account.reserved == 0
        for order_id, held in exchange.open.items():
            assert held.filled == self.witness.filled[order_id]
            assert held.leaves > 0

    def check_book(self) -> None:
        """A new exchange out of the book is the same one."""
        ours = self.floor.exchange
        accounts = {}
        for name, account in ours.accounts.items():
            again = Account("paper", name, account.margin, Commission(), Worth(self.floor))
            stored = self.book.accounts().get(name)
            again.cash = stored.cash if stored else {"USD": D(100_000)}
            again.realized = stored.realized if stored else D(0)
            accounts[name] = again
        for each in self.book.positions():
            accounts[each.position.account].holdings[each.position.symbol] = Holding(
                each.position, each.asset_class, each.currency
            )
        theirs = Exchange(
            "paper",
            self.floor,
            accounts,
            Sessions("America/New_York"),
            Commission(),
            self.book.numbers(),
            self.book.find,
        )
        theirs.restore(self.book.open_orders())
        assert [each.report() for each in theirs.open.values()] == [each.report() for each in ours.open.values()]
        for name, account in ours.accounts.items():
            assert accounts[name].cash == account.cash
            assert accounts[name].holdings == account.holdings
            assert accounts[name].reserved == account.reserved
            assert accounts[name].realized == account.realized
        assert theirs.turn == Turn()


# No parametrize beside given: pytest-twisted 1.14 calls the first parameter's test again for the second.
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(quoted=st.booleans(), todo=actions)
def test_every_fill_was_possible_and_every_cent_is_there(
    make_floor: Callable[..., Any], quoted: bool, todo: list[tuple[Any, ...]]
) -> None:
    floor = make_floor(None, quoted, a=Opening("MARGIN", True, D(100_000)), b=Opening("CASH", False, D(100_000)))
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        book = Book(Path(folder) / "book.sqlite3", "paper")
        book.open(floor.now, floor.now)
        play = Play(floor, quoted, book)
        play.quote("quote", D(100), 300, D("0.05"), 300)
        play.trade("trade", D(100), 300)
        for action in todo:
            play.act(action)
        play.check_book()
        book.close()
