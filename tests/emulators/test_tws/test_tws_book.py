"""The emulated TWS's market, accounts and book, without a socket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.tws.book import Book
from tests.emulators.tws.contracts import PAIRS, STOCKS, Asked, catalogue, find, third_friday
from tests.emulators.tws.faults import Faults
from tests.emulators.tws.history import Pacing, Refused, Wanted, read_end
from tests.emulators.tws.market import DAY, WEEK, Market, rounded
from tests.emulators.tws.matching import Told
from tests.emulators.tws.money import realized, unrealized, values
from tests.emulators.tws.orders import Account, Ticket

D = Decimal
NOW = datetime(2026, 3, 4, 11, 0, tzinfo=ZoneInfo("US/Eastern"))
IBM = next(stock for stock in STOCKS if stock.con_id == 8314)
ES = find(Asked(local="ESH6"), NOW.date())[0]


# -------------------------------------------------------------------- contracts


def test_every_contract_has_an_id_of_its_own_and_is_found_by_it() -> None:
    today = date(2026, 3, 4)
    every = catalogue(today)
    assert all(found.con_id == con_id for con_id, found in every.items())
    assert len({(c.kind, c.local, c.currency, c.primary) for c in every.values()}) == len(every)
    assert find(Asked(), today) == []
    assert third_friday(2026, 12) == date(2026, 12, 18)


def test_an_option_is_the_same_tomorrow() -> None:
    wanted = Asked(symbol="IBM", kind="OPT", expiry="20260320", strike=D(185), right="P", exchange="SMART")
    assert find(wanted, date(2026, 3, 4)) == find(wanted, date(2026, 3, 5)) != []


# -------------------------------------------------------------------- the market


def test_the_same_seed_is_the_same_market() -> None:
    assert Market("a").price(IBM, NOW) == Market("a").price(IBM, NOW) != Market("b").price(IBM, NOW)
    assert Market("a").tape(IBM, NOW) == Market("a").tape(IBM, NOW)


@given(st.integers(0, 10**7), st.sampled_from([*catalogue(NOW.date()).values()]))
def test_a_price_is_whole_ticks_and_near(seconds: int, contract: Any) -> None:
    price = Market("a").price(contract, NOW + timedelta(seconds=seconds))
    assert price > 0
    assert price % contract.tick == 0
    assert contract.kind == "OPT" or abs(price / contract.price - 1) < D("0.16")


def test_a_price_is_never_nothing() -> None:
    assert rounded(0.0001, D("0.01")) == D("0.01")


def test_bars_add_up() -> None:
    market, start = Market("a"), NOW.replace(hour=0, minute=0) - timedelta(days=9)
    days = market.bars(IBM, DAY, start, NOW, True, NOW)
    weeks = market.bars(IBM, WEEK, start, NOW, True, NOW)
    assert [bar.start.weekday() for bar in weeks] == [0, 0]
    assert sum(bar.volume for bar in days) == sum(bar.volume for bar in weeks)
    assert max(bar.high for bar in days) == max(bar.high for bar in weeks)
    assert (weeks[0].open, weeks[-1].close) == (days[0].open, days[-1].close)
    assert all(bar.start.weekday() < 5 for bar in days)


def test_a_market_that_moves() -> None:
    market, moved = Market("a"), []
    tape = market.tape(IBM, NOW)
    for second in range(50):
        moved.append(market.step(IBM, NOW + timedelta(seconds=second)))
        assert tape.bid < tape.ask
        assert tape.low <= tape.last <= tape.high
    assert 10 < sum(moved) < 40
    tape.pinned = True
    assert not market.step(IBM, NOW)
    assert not any(market.step(PAIRS[0], NOW + timedelta(seconds=second)) for second in range(20))


# -------------------------------------------------------------------- money


@given(
    st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(90, 110)), min_size=1), st.sampled_from([IBM, ES])
)
def test_what_is_earned_is_what_there_is_more(trades: list[tuple[int, int]], contract: Any) -> None:
    account = Account("A", D(1_000_000))
    paid = D(0)
    for size, price in trades:
        account.trade(contract, D(size), D(price), D(1))
        paid -= D(size) * D(price) * contract.times + 1
    net = sum(size for size, _ in trades)
    worth = paid + net * D(100) * contract.times
    assert account.held[contract.con_id].size == net
    now = values(account, lambda _: D(100))
    assert abs(D(now["NetLiquidation"][0]) - 1_000_000 - worth) < D("0.02")
    if contract is IBM:
        earned = realized(account) + unrealized(account, lambda _: D(100))
        assert abs(earned - worth) <= len(trades), "commissions of a turn apart"


# -------------------------------------------------------------------- the book


def book() -> tuple[Book, list[Told]]:
    made = Book(Market("a"), [Account("A", D(10**9))], lambda: NOW, faults=Faults())
    told: list[Told] = []
    made.tell = told.append
    tape = made.market.tape(IBM, NOW)
    tape.bid, tape.ask, tape.bid_size, tape.ask_size, tape.last = D("185.10"), D("185.20"), D(100), D(100), D("185.15")
    return made, told


WANTED = Asked(con_id=8314, exchange="SMART")
Step = tuple[str, int, str, int, int, str]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["place", "place", "change", "cancel", "quote", "trade", "day"]),
            st.integers(1, 6),
            st.sampled_from(["BUY", "SELL"]),
            st.integers(1, 300),
            st.integers(18500, 18530),
            st.sampled_from(["MKT DAY", "LMT DAY", "LMT GTC", "LMT IOC", "LMT FOK", "STP GTC", "STP LMT DAY"]),
        ),
        max_size=25,
    )
)
def test_whatever_comes_the_book_adds_up(steps: list[Step]) -> None:
    made, told = book()
    numbers: Callable[[int], int] = lambda which: max(1, made.highest.get(1, 0) - which)  # noqa: E731
    for what, which, action, quantity, cents, words in steps:
        kind, _, tif = words.rpartition(" ")
        price = D(cents) / 100
        ticket = Ticket(
            action, D(quantity), kind, price, price, tif, oca_group="g" if which == 6 else "", oca_type=which % 3
        )
        if what == "place":
            made.place(1, made.next_id(1), WANTED, ticket)
        elif what == "change":
            made.place(1, numbers(which), WANTED, ticket)
        elif what == "cancel":
            made.cancel(1, numbers(which))
        elif what == "day":
            made.end_day()
        else:
            tape = made.market.tape(IBM, NOW)
            if what == "quote":
                tape.bid, tape.ask, tape.bid_size, tape.ask_size = price - D("0.1"), price, D(quantity), D(quantity)
            else:
                made.market.trade(IBM, price, D(quantity), NOW)
            made.match(IBM)
    fills = [each.fill for each in told if each.what == "fill" and each.fill]
    assert len({fill.id for fill in fills}) == len(fills) == len(made.executions)
    for order in made.orders.values():
        mine = [fill for fill in fills if fill.perm == order.perm]
        assert order.filled == sum((fill.size for fill in mine), D(0)) <= max(order.ticket.quantity, order.filled)
        assert (order.status == "Filled") == (order.filled == order.ticket.quantity and order.is_over)
        assert order.is_over == (order.perm not in made.open)
        assert order.ticket.tif not in ("IOC", "FOK") or order.is_over or not order.triggered
    net = sum((fill.size if fill.buys else -fill.size for fill in fills), D(0))
    held = made.accounts["A"].held.get(8314)
    assert net == (held.size if held else 0)


@given(st.integers(18400, 18600), st.sampled_from(["BUY", "SELL"]))
def test_nobody_pays_more_than_the_limit(cents: int, action: str) -> None:
    made, _ = book()
    limit = D(cents) / 100
    order = made.place(1, 1, WANTED, Ticket(action, D(50), "LMT", limit, None, "DAY"))
    assert order is not None
    for fill in made.executions.values():
        assert fill.price <= limit if fill.buys else fill.price >= limit
    reached = limit >= D("185.20") if action == "BUY" else limit <= D("185.10")
    assert (order.status == "Filled") == reached


def test_sixty_requests_for_bars_in_ten_minutes() -> None:
    def wanted(number: int) -> Wanted:
        return Wanted(number, Asked(con_id=number), "", "1 hour", "1 D", True, "TRADES", 1, False)

    pacing = Pacing()
    for number in range(60):
        pacing.check(wanted(number), float(number))
    with pytest.raises(Refused, match="pacing violation"):
        pacing.check(wanted(60), 599.0)
    pacing.check(wanted(60), 600.0)
    pacing.on = False
    pacing.check(wanted(60), 600.0)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("20260304 11:00:00 US/Eastern", NOW),
        ("20260304-16:00:00", NOW),
        ("20260304 11:00:00", NOW),
        ("20260304 17:00:00 Europe/Berlin", NOW),
        ("20260304", NOW.replace(hour=0)),
    ],
)
def test_ends_of_requests_for_bars(text: str, at: datetime) -> None:
    assert read_end(text, NOW) == at
