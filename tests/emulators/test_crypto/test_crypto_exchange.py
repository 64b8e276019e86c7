"""The exchange that the emulated venues share: what is refused, what is filled, and that no money is made or lost."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.crypto.exchange import Exchange, Moved
from tests.emulators.crypto.instruments import perp, spot
from tests.emulators.crypto.market import Market
from tests.emulators.crypto.orders import Account, Balance, Order, Refused, Ticket, Told

D = Decimal
SPOT, SWAP = spot("BTC", "USDT", "BTCUSDT"), perp("BTC", "USDT", "BTCUSDT")
DOLLARS = spot("ETH", "USDT", "ETH-USDT", fee_in="quote")


class Desk:
    """An exchange whose market stands at 49999.9 to 50000.1, and what it tells."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0
        self.market = Market((SPOT, SWAP, DOLLARS), "7", lambda: self.time)
        spots = {"USDT": Balance(D(1_000_000)), "BTC": Balance(D(10)), "ETH": Balance(D(100))}
        self.account = Account("main", "k", "s", wallets={"spot": spots, "perp": {"USDT": Balance(D(100_000))}})
        self.exchange = Exchange(self.market, [self.account], lambda: self.time)
        self.told: list[Told] = []
        self.moves: list[Moved] = []
        self.exchange.tell, self.exchange.moved = self.told.append, self.moves.append
        for each in (SPOT, SWAP):
            self.quote("49999.9", "50000.1", each=each)

    def quote(self, bid: str, ask: str, size: str = "1", each: Any = SPOT) -> None:
        with self.exchange.moment():
            self.market.set_quote(self.exchange.tape(each), D(bid), D(ask), D(size), D(size))
            self.exchange.match(each)

    def place(self, side: str = "BUY", quantity: str | None = "1", each: Any = SPOT, **more: Any) -> Order:
        values = {name: D(more.pop(name)) for name in ("limit", "stop", "cost") if name in more}
        kind = more.pop("kind", "LIMIT" if "limit" in values else "MARKET")
        size = None if quantity is None else D(quantity)
        ticket = Ticket(account="main", instrument=each, side=side, quantity=size, kind=kind, **values, **more)
        return self.exchange.place(ticket)

    def kinds(self) -> list[str]:
        told, self.told[:] = [each.kind for each in self.told], []
        return told

    def free(self, asset: str = "USDT", wallet: str = "spot") -> tuple[Decimal, Decimal]:
        balance = self.account.balance(wallet, asset)
        return balance.free, balance.locked


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.kinds()
    made.moves.clear()
    return made


def test_a_resting_order_locks_money_and_is_filled_at_its_price(desk: Desk) -> None:
    order = desk.place(limit="49000", client_id="a")
    assert desk.free() == (D(951_000), D(49_000))
    assert desk.moves[-1].diff.bids == {D(49000): D(1)}
    desk.quote("48000", "48990", size="0.4")
    assert (order.status, order.filled, order.average) == ("FILLED", D(1), D(49000)), "several levels crossed it"
    assert desk.free() == (D(951_000), D(0))
    assert desk.free("BTC")[0] == D("10.999"), "the fee is taken from what was bought"
    assert desk.kinds() == ["new", "balance", "fill", "fill", "fill", "balance"]
    assert [trade.sells for trade in desk.moves[-1].trades] == [True] * 3


def test_a_market_order_walks_the_levels(desk: Desk) -> None:
    order = desk.place(quantity="2.5")
    assert [(fill.price, fill.size) for fill in order.fills] == [
        (D("50000.1"), D(1)),
        (D("50000.11"), D(1)),
        (D("50000.13"), D("0.5")),
    ]
    assert order.status == "FILLED"
    assert desk.moves[-1].diff.asks == {D("50000.1"): 0, D("50000.11"): 0, D("50000.13"): D("0.5")}
    assert desk.exchange.best(SPOT)[2:] == (D("50000.13"), D("0.5"))
    sold = desk.place("SELL", quantity=None, cost="1000")
    assert (sold.status, sold.filled) == ("FILLED", D("0.02000")), "as much as is worth so much"


def test_an_order_larger_than_the_market_ends(desk: Desk) -> None:
    desk.quote("49999.9", "50000.1", size="0.1")
    order = desk.place("SELL", quantity="9")
    assert (order.status, order.filled) == ("EXPIRED", D(2))
    assert desk.place("SELL", "5", limit="100", tif="FOK").status == "EXPIRED"
    assert desk.free("BTC") == (D(8), D(0))


def test_our_own_orders_trade_with_each_other(desk: Desk) -> None:
    resting = desk.place("SELL", limit="50000")
    taker = desk.place(quantity="1")
    assert (resting.status, taker.status, taker.average) == ("FILLED", "FILLED", D(50000))
    assert (resting.fills[0].maker, taker.fills[0].maker) == (True, False)
    assert resting.fills[0].number == taker.fills[0].number


def test_stops_wait_for_a_trade(desk: Desk) -> None:
    stop = desk.place("SELL", kind="STOP", stop="49000")
    limited = desk.place("SELL", kind="STOP_LIMIT", stop="49000", limit="60000")
    profit = desk.place("SELL", kind="TAKE_PROFIT", stop="51000")
    assert not stop.triggered
    assert all(order.locked == 1 for order in (stop, limited, profit))
    desk.kinds()
    desk.exchange.others_trade(SPOT, D(49000), D(1))
    assert (stop.status, limited.status, limited.triggered, profit.status) == ("FILLED", "NEW", True, "NEW")
    assert desk.kinds() == ["triggered", "fill", "triggered", "balance"]
    desk.exchange.others_trade(SPOT, D(51000), D(1))
    assert profit.status == "FILLED"


@pytest.mark.parametrize(
    ("why", "more"),
    [
        ("tick", {"limit": "49000.001"}),
        ("tick", {"limit": "NaN"}),
        ("tick", {"limit": "-1"}),
        ("step", {"quantity": "0.000001"}),
        ("step", {"quantity": "Infinity"}),
        ("least", {"quantity": "0"}),
        ("least", {"quantity": "-1"}),
        ("most", {"quantity": "9001"}),
        ("value", {"quantity": "0.00001", "limit": "100"}),
        ("value", {"quantity": None, "cost": "NaN"}),
        ("missing", {"quantity": None}),
        ("missing", {"kind": "LIMIT"}),
        ("missing", {"kind": "STOP"}),
        ("side", {"side": "HOLD"}),
        ("balance", {"quantity": "100", "limit": "49000"}),
        ("balance", {"side": "SELL", "quantity": "11"}),
        ("balance", {"quantity": None, "cost": "1000001"}),
        ("duplicate", {"client_id": "a", "limit": "40000", "quantity": "0.1"}),
        ("post_only", {"limit": "50000.1", "post_only": True}),
        ("triggers", {"kind": "STOP", "stop": "40000"}),
        ("reduce_only", {"each": SWAP, "reduce_only": True}),
        ("position_side", {"each": SWAP, "position_side": "LONG"}),
        ("margin", {"each": SWAP, "quantity": "50"}),
    ],
)
def test_what_is_refused(desk: Desk, why: str, more: dict[str, Any]) -> None:
    desk.place(limit="40000", client_id="a")
    before = (desk.free(), desk.exchange.last_order)
    with pytest.raises(Refused) as refused:
        desk.place(**more)
    assert refused.value.why == why
    assert (desk.free(), desk.exchange.last_order) == before


def test_cancels_and_changes(desk: Desk) -> None:
    order = desk.place(limit="49000", client_id="a")
    desk.exchange.replace(order, quantity=D(2), limit=D(48000))
    assert desk.free() == (D(904_000), D(96_000))
    with pytest.raises(Refused, match="nothing would change"):
        desk.exchange.replace(order, quantity=D(2))
    with pytest.raises(Refused, match="enough"):
        desk.exchange.replace(order, quantity=D(100))
    desk.exchange.replace(order, limit=D("50001"))
    assert order.status == "FILLED", "it crosses, and takes"
    with pytest.raises(Refused, match="FILLED"):
        desk.exchange.cancel(order)
    other = desk.place(limit="49000", client_id="a")
    assert desk.exchange.find("main", client_id="a") is other
    assert desk.exchange.cancel(other).status == "CANCELED"
    assert desk.kinds() == [
        *("new", "balance", "replaced", "balance", "replaced", "fill", "fill", "balance"),
        *("new", "balance", "canceled", "balance"),
    ]


def test_fees_in_the_quote_asset_are_locked_too(desk: Desk) -> None:
    order = desk.place(limit="2000", each=DOLLARS)
    assert order.locked == D(2002)
    desk.exchange.fill(order, D(1))
    assert (desk.free(), desk.free("ETH")[0]) == ((D(997_998), D(0)), D(101))


def test_a_perpetual_position(desk: Desk) -> None:
    desk.place(quantity="1", each=SWAP)
    position = desk.account.position(SWAP)
    assert (position.size, position.entry, desk.free(wallet="perp")[0]) == (D(1), D("50000.1"), D("99974.99995"))
    assert desk.told[-1].positions[0].size == 1
    desk.quote("49999.9", "50000.1", each=SWAP)
    desk.exchange.set_leverage("main", SWAP, 50)
    assert desk.exchange.position_margin(desk.account, position) == D(1000)
    with pytest.raises(Refused, match="1 to 125"):
        desk.exchange.set_leverage("main", SWAP, 126)
    assert desk.exchange.liquidation_price(desk.account, position) == 0
    with pytest.raises(Refused, match="positions"):
        desk.exchange.set_hedged("main", True)
    assert desk.exchange.fund(SWAP, D("0.0001")) == D("0.0001")
    assert (desk.told[-1].reason, desk.told[-1].balances["USDT"][1]) == ("funding", D(-5))
    turned = desk.place("SELL", quantity="3", each=SWAP, limit="49999")
    assert (position.size, position.entry) == (D(-2), D("49999.7"))
    assert turned.fills[0].realized == D("-0.2")
    closed = desk.place(quantity="5", each=SWAP, reduce_only=True)
    assert (closed.filled, closed.status, position.size, position.entry) == (D(2), "EXPIRED", 0, 0)


def test_a_position_is_liquidated(desk: Desk) -> None:
    desk.exchange.set_leverage("main", SWAP, 100)
    desk.account.balance("perp", "USDT").free = D(1000)
    desk.place(quantity="1", each=SWAP)
    resting = desk.place(quantity="0.001", each=SWAP, limit="49000")
    ends = desk.exchange.liquidation_price(desk.account, desk.account.position(SWAP))
    assert D(49100) < ends < D(49300)
    desk.exchange.tape(SWAP).mark = ends
    desk.exchange.match(SWAP)
    assert (desk.account.position(SWAP).size, resting.status) == (0, "CANCELED")
    assert 0 < desk.free(wallet="perp")[0] < 200


def test_hedge_mode(desk: Desk) -> None:
    desk.exchange.set_hedged("main", True)
    desk.place(quantity="1", each=SWAP, position_side="LONG")
    desk.place("SELL", quantity="2", each=SWAP, position_side="SHORT")
    assert {key[1]: each.size for key, each in desk.account.positions.items()} == {"LONG": D(1), "SHORT": D(-2)}
    with pytest.raises(Refused, match="fit"):
        desk.place(quantity="1", each=SWAP)
    sold = desk.place("SELL", quantity="5", each=SWAP, position_side="LONG")
    assert sold.filled == 1


def test_faults_of_the_exchange(desk: Desk) -> None:
    faults = desk.exchange.faults
    faults.set("cancel_race", symbol="BTC-USDT")
    with pytest.raises(Refused, match="FILLED"):
        desk.exchange.cancel(desk.place(limit="40000"))
    assert desk.kinds() == ["new", "balance", "fill", "balance"]
    faults.set("fill_after_cancel", seconds=0)
    order = desk.exchange.cancel(desk.place(limit="40000"))
    assert (order.status, order.filled) == ("CANCELED", D("0.5"))
    assert [k for k in desk.kinds() if k != "balance"] == ["new", "canceled", "fill"]
    faults.set("half_replace")
    order = desk.exchange.replace(desk.place(limit="40000"), quantity=D(2), limit=D(41000))
    assert (order.quantity, order.limit) == (D(1), D(41000))
    faults.set("untold_fee", seconds=0.1)
    before = sum(desk.free())
    desk.place(limit="40000")
    assert sum(desk.free()) == before, "it is paid back (later is at once here)"
    for kind, do in {
        "rejected_order": lambda: desk.place(limit="40000"),
        "rejected_replace": lambda: desk.exchange.replace(order, limit=D(40000)),
        "rejected_cancel": lambda: desk.exchange.cancel(order),
    }.items():
        faults.set(kind)
        with pytest.raises(Refused, match="not want"):
            do()
    with pytest.raises(ValueError, match="there are"):
        faults.set("nonsense")


def test_bars_go_on_where_the_path_ends(desk: Desk) -> None:
    tape, begun = desk.exchange.tape(SPOT), int(desk.time)
    past = desk.market.bars(tape, 60, begun - 3600, begun + 600)
    assert len(past) == 60
    assert all(b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in past)
    desk.time += 120
    desk.exchange.others_trade(SPOT, D(50100), D(2))
    desk.time += 120
    newer = desk.market.bars(tape, 60, desk.time // 60 * 60 - 180, desk.time + 1)
    assert [bar.close for bar in newer[-3:]] == [D(50100)] * 3
    assert sum(bar.volume for bar in newer[-3:]) == 2


def test_a_market_that_ticks_is_the_same_again() -> None:
    seen = []
    for _ in range(2):
        desk = Desk()
        desk.exchange.tape(SPOT).pinned = False
        for _ in range(20):
            desk.time += 1
            desk.exchange.step(SPOT)
        seen.append([(m.diff, m.trades) for m in desk.moves])
        numbers = [m.diff for m in desk.moves if m.diff and m.instrument is SPOT]
        assert all(a.last == b.previous and b.first == a.last + 1 for a, b in pairwise(numbers))
    assert seen[0] == seen[1]
    assert len(seen[0]) > 20


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["place", "market", "cancel", "replace", "quote", "trade"]),
        st.sampled_from(["BUY", "SELL"]),
        st.integers(48_000, 52_000),
        st.integers(1, 300),
    ),
    max_size=40,
)


@given(MOVES)
def test_no_money_is_made_or_lost(moves: list[tuple[str, str, int, int]]) -> None:
    desk = Desk()
    exchange, account = desk.exchange, desk.account
    for what, side, price, size in moves:
        quantity, orders = str(D(size) / 100), list(exchange.open.values())
        try:
            if what == "place":
                desk.place(side, quantity, limit=str(price))
            elif what == "market":
                desk.place(side, quantity)
            elif what == "quote":
                desk.quote(str(price - 1), str(price + 1), quantity)
            elif what == "trade":
                exchange.others_trade(SPOT, D(price), D(quantity))
            elif orders and what == "cancel":
                exchange.cancel(orders[size % len(orders)])
            elif orders:
                exchange.replace(orders[size % len(orders)], D(quantity), D(price))
        except Refused:
            pass
        bids, asks = exchange.view(SPOT)
        assert not bids or not asks or max(bids) < min(asks), "the book is not crossed"
    fills = exchange.fills
    bought = sum((f.size if f.buys else -f.size) - (f.fee if f.buys else 0) for f in fills)
    paid = sum((f.price * f.size if f.buys else -f.price * f.size) + (0 if f.buys else f.fee) for f in fills)
    assert sum(desk.free("BTC")) == 10 + bought
    assert sum(desk.free()) == 1_000_000 - paid
    locked = sum(o.left * o.limit for o in exchange.open.values() if o.ticket.buys)
    assert desk.free()[1] == locked
    assert all(free >= 0 and held >= 0 for free, held in (desk.free(), desk.free("BTC")))
    assert not [o for o in exchange.orders.values() if o.is_open != (o.number in exchange.open)]
    told = {t.balances["USDT"][0].total for t in desk.told if t.kind == "balance" and "USDT" in t.balances}
    assert not told or sum(desk.free()) in told
    assert account.name == "main"
