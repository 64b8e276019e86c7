"""The emulated rtgw's matching, and the rows that it makes of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.rtgw.book import Book
from tests.emulators.rtgw.market import Market
from tests.emulators.rtgw.orders import Account, Row
from tests.emulators.rtgw.tables import position_rows

NOW = datetime(2026, 3, 4, 11, 0)  # noqa: DTZ001
NAME = "EMU.TEST.DESK.ONE"


class Desk:
    """A book with one account and a quote of 10.00 (500) to 10.10 (300); what is told is kept."""

    def __init__(self, **options: Any) -> None:
        self.market = Market("7")
        self.account = Account(NAME, D(100_000), {"IBM": 20, "SPY": -5})
        self.book = Book(self.market, [self.account], lambda: NOW, **options)
        self.rows: list[Row] = []
        self.log: list[dict[str, Any]] = []
        self.book.tell = self.rows.append
        self.book.remember = lambda entry: self.log.append(
            {**entry, "row": dict(entry["row"])} if "row" in entry else entry
        )
        self.quote()

    def quote(self, bid: str = "10.00", ask: str = "10.10", bid_size: int = 500, ask_size: int = 300) -> None:
        self.market.pin("IBM", NOW, D(bid), D(ask), bid_size, ask_size)
        self.book.match("IBM")

    def poke(self, volume: Any = 100, side: str = "Buy", **more: Any) -> str:
        fields = dict(zip(("BANK", "BRANCH", "CUSTOMER", "DEPOSIT"), NAME.split("."), strict=True))
        fields |= {"BUYORSELL": side, "GOOD_UNTIL": "DAY", "EXIT_VEHICLE": "DEMO", "DISP_NAME": "IBM", "STYP": "1"}
        fields |= {"PRICE_TYPE": "Market", "VOLUME_TYPE": "AsEntered", "VOLUME": volume, "TYPE": "UserSubmitOrder"}
        return self.book.poke({name: str(value) for name, value in (fields | more).items()})

    def limit(self, price: str, volume: int = 100, side: str = "Buy", **more: Any) -> str:
        return self.poke(volume, side, PRICE_TYPE="AsEntered", PRICE=price, **more)

    def change(self, name: str, **values: Any) -> Row:
        """Poke a change; its own row as it ended."""
        fields = {"TYPE": "UserSubmitChange", "REFERS_TO_ID": name}
        self.book.poke(fields | {key: str(value) for key, value in values.items()})
        return [row for row in self.rows if row["TYPE"] == "UserSubmitChange"][-1]

    def cancel(self, name: str) -> None:
        self.book.poke({"TYPE": "UserSubmitCancel", "REFERS_TO_ID": name})

    def own(self, name: str) -> Row:
        return self.book.rows[name]

    def fills(self, name: str) -> list[tuple[int, float]]:
        rows = self.book.rows.values()
        wanted = [row for row in rows if (row["TYPE"], row["ORIGINAL_ORDER_ID"]) == ("ExchangeTradeOrder", name)]
        return [(row["VOLUME"], row["PRICE"]) for row in wanted]

    def told(self) -> list[str]:
        return [f"{row['TYPE']} {row['CURRENT_STATUS']}" for row in self.rows]


def test_a_market_order_takes_what_is_shown_and_waits_for_the_next_quote() -> None:
    desk = Desk()
    name = desk.poke(400, CLIENT_ORDER_ID="a")
    assert desk.told() == [
        "UserSubmitOrder PENDING",
        "ExchangeAcceptOrder COMPLETED",
        "UserSubmitOrder LIVE",
        "ExchangeTradeOrder COMPLETED",
        "UserSubmitOrder LIVE",
    ]
    assert {row["ORIGINAL_ORDER_ID"] for row in desk.rows} == {name}
    assert [row.get("CLIENT_ORDER_ID") for row in desk.rows] == ["a", None, "a", None, "a"]
    trade = desk.rows[3]
    assert (trade["VOLUME"], trade["PRICE"], trade["VOLUME_TRADED"], trade["ORDER_RESIDUAL"]) == (300, 10.1, 300, 100)
    assert trade["ORDER_ID"] != name
    desk.book.match("IBM")
    assert desk.fills(name) == [(300, 10.1)], "nothing more is shown"
    desk.quote(ask="10.30")
    assert desk.fills(name) == [(300, 10.1), (100, 10.3)]
    own = desk.own(name)
    assert (own["CURRENT_STATUS"], own["VOLUME_TRADED"], own["ORIGINAL_VOLUME"], own["AVG_PRICE"]) == (
        *("COMPLETED", 400, 400),
        pytest.approx(10.15),
    )
    assert desk.account.cash == D(100_000) - 300 * D("10.10") - 100 * D("10.30")
    assert desk.account.net("IBM") == 420


def test_orders_share_what_is_shown_in_the_order_they_came() -> None:
    desk = Desk()
    names = [desk.limit("9.00", 200) for _ in range(3)]
    desk.quote(bid="8.90", ask="9.00", ask_size=500)
    assert [desk.fills(name) for name in names] == [[(200, 9.0)], [(200, 9.0)], [(100, 9.0)]]


@pytest.mark.parametrize(("side", "resting", "reached"), [("Buy", "9.95", "9.90"), ("Sell", "10.15", "10.20")])
def test_a_limit_order_is_filled_at_its_price_or_better(side: str, resting: str, reached: str) -> None:
    desk = Desk()
    name = desk.limit(resting, side=side)
    assert desk.own(name)["CURRENT_STATUS"] == "LIVE"
    desk.quote(bid=reached, ask=reached)
    assert desk.fills(name) == [(100, float(reached))]


@pytest.mark.parametrize(("side", "stop", "short", "there"), [("Buy", 11, "10.99", "11"), ("Sell", 9, "9.01", "9")])
def test_a_stop_is_reached_by_a_trade(side: str, stop: int, short: str, there: str) -> None:
    desk = Desk()
    desk.market.trade("IBM", D("10.05"), 1, NOW)
    name = desk.poke(side=side, PRICE_TYPE="Stop", STOP_PRICE=stop)
    desk.market.trade("IBM", D(short), 1, NOW)
    desk.book.match("IBM")
    assert desk.own(name)["CURRENT_STATUS"] == "LIVE"
    desk.market.trade("IBM", D(there), 1, NOW)
    desk.book.match("IBM")
    assert desk.fills(name) == [(100, 10.1 if side == "Buy" else 10.0)]


def test_a_stop_limit_is_a_limit_order_once_it_is_reached() -> None:
    desk = Desk()
    desk.market.trade("IBM", D("10.05"), 1, NOW)
    name = desk.poke(PRICE_TYPE="StopLimit", STOP_PRICE="10.06", PRICE="10.08")
    desk.market.trade("IBM", D("10.06"), 1, NOW)
    desk.book.match("IBM")
    assert desk.fills(name) == []
    desk.market.trade("IBM", D("10.00"), 1, NOW)
    desk.quote(bid="10.00", ask="10.08")
    assert desk.fills(name) == [(100, 10.08)]


def test_an_empty_side_fills_nothing() -> None:
    desk = Desk()
    desk.quote(ask_size=0)
    assert desk.fills(desk.poke()) == []


def test_immediate_or_cancel_and_fill_or_kill() -> None:
    desk = Desk()
    rest = desk.limit("10.10", 400, GOOD_UNTIL="IOC")
    assert (desk.fills(rest), desk.own(rest)["CURRENT_STATUS"]) == ([(300, 10.1)], "DELETED")
    desk.quote()
    whole = desk.limit("10.10", 300, GOOD_UNTIL="IOC", VOLUME_TYPE="AON")
    assert desk.own(whole)["CURRENT_STATUS"] == "COMPLETED"
    desk.quote()
    none = desk.limit("10.10", 301, GOOD_UNTIL="IOC", VOLUME_TYPE="AON")
    assert (desk.fills(none), desk.own(none)["REASON"]) == ([], "Immediate or cancel")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"DEPOSIT": "NOBODY"}, "Unknown account"),
        ({"BUYORSELL": "Hold"}, "BUYORSELL is Buy, Sell or SellShort"),
        ({"VOLUME": 0}, "Invalid volume"),
        ({"VOLUME": -1}, "Invalid volume"),
        ({"VOLUME": 10**9}, "Invalid volume"),
        ({"PRICE_TYPE": "TrailingStop"}, "PRICE_TYPE not supported"),
        ({"PRICE_TYPE": "AsEntered"}, "PRICE missing"),
        ({"PRICE_TYPE": "StopLimit", "PRICE": 1}, "STOP_PRICE missing"),
        ({"GOOD_UNTIL": "NEVER"}, "GOOD_UNTIL not supported"),
        ({"VOLUME_TYPE": "AON"}, "VOLUME_TYPE not supported"),
        ({"EXIT_VEHICLE": ""}, "EXIT_VEHICLE missing"),
        ({"TICKET_ID": "nosuch"}, "TICKET_ID is no live ticket for that much of this symbol"),
    ],
)
def test_a_clerk_rejects(more: dict[str, Any], reason: str) -> None:
    desk = Desk()
    name = desk.poke(**more)
    told = ["UserSubmitOrder PENDING", "ClerkReject COMPLETED", "UserSubmitOrder DELETED"]
    assert (desk.told(), desk.own(name)["REASON"]) == (told, reason)


@pytest.mark.parametrize(
    "more", [{"DISP_NAME": "NOSUCH"}, {"VOLUME": "1.5"}, {"VOLUME": "x"}, {"PRICE": "NaN"}, {"PRICE": "1e999999999"}]
)
def test_what_cannot_be_an_order_is_deleted_at_once(more: dict[str, Any]) -> None:
    desk = Desk()
    desk.poke(**more)
    assert desk.told() == ["UserSubmitOrder DELETED"]


def test_a_cancel_kills() -> None:
    desk = Desk()
    name = desk.limit("9.00")
    desk.rows.clear()
    desk.cancel(name)
    told = ["UserSubmitCancel PENDING", "UserSubmitCancel COMPLETED", "ExchangeKillOrder COMPLETED"]
    assert desk.told() == [*told, "UserSubmitOrder DELETED"]
    assert {row["REASON"] for row in desk.rows[2:]} == {"User cancel"}
    desk.rows.clear()
    desk.cancel(name)
    assert desk.told() == ["UserSubmitCancel PENDING", "UserSubmitCancel DELETED", "UserSubmitOrder DELETED"]
    assert desk.rows[1]["REASON"] == "Too late to cancel"
    desk.quote(ask="9.00")
    assert desk.fills(name) == []


def test_a_killed_order_may_end_cancelled() -> None:
    desk = Desk(killed="CANCELLED")
    name = desk.limit("9.00")
    desk.rows.clear()
    desk.cancel(name)
    assert desk.told() == ["UserSubmitCancel PENDING", "UserSubmitCancel COMPLETED", "UserSubmitOrder CANCELLED"]


def test_a_cancel_of_nothing() -> None:
    desk = Desk()
    desk.cancel("nosuch")
    assert desk.told() == ["UserSubmitCancel DELETED"]
    assert desk.rows[0]["REASON"] == "Order not found"


def test_a_change_of_price_and_volume_can_fill_at_once() -> None:
    desk = Desk()
    name = desk.limit("9.00", 100)
    desk.rows.clear()
    assert desk.change(name, PRICE="10.10", VOLUME=250)["CURRENT_STATUS"] == "COMPLETED"
    assert desk.told()[:3] == ["UserSubmitChange PENDING", "UserSubmitChange COMPLETED", "UserSubmitOrder LIVE"]
    assert desk.fills(name) == [(250, 10.1)]
    own = desk.own(name)
    assert (own["CURRENT_STATUS"], own["VOLUME"], own["ORIGINAL_VOLUME"], own["PRICE"]) == ("COMPLETED", 250, 250, 10.1)


@pytest.mark.parametrize("values", [{"VOLUME": 300}, {"VOLUME": 0}, {"VOLUME": "x"}, {"PRICE": -1}, {"PRICE": "x"}])
def test_a_change_that_cannot_be_leaves_the_order_as_it_was(values: dict[str, Any]) -> None:
    desk = Desk()
    name = desk.limit("10.10", 400)
    before = desk.own(name)["VOLUME"], desk.own(name)["PRICE"], desk.own(name)["CURRENT_STATUS"]
    changed = desk.change(name, **values)
    assert changed["CURRENT_STATUS"] == "DELETED"
    assert changed["REASON"]
    assert (desk.own(name)["VOLUME"], desk.own(name)["PRICE"], desk.own(name)["CURRENT_STATUS"]) == before
    desk.quote(ask="10.00")
    assert sum(size for size, _ in desk.fills(name)) == 400


def test_a_change_of_a_filled_order_is_too_late() -> None:
    desk = Desk()
    name = desk.poke()
    assert desk.change(name, PRICE="1", VOLUME=200)["REASON"] == "Too late to cancel"
    assert desk.told()[-1] == "UserSubmitOrder COMPLETED"


def test_a_ticket_is_worked_by_children_whose_fills_it_shows_too() -> None:
    desk = Desk()
    ticket = desk.poke(100, TYPE="UserSubmitStagedOrder")
    assert desk.told() == ["UserSubmitStagedOrder LIVE"]
    child = desk.book.work(ticket, 60)
    assert desk.fills(child) == desk.fills(ticket) == [(60, 10.1)]
    assert (desk.own(ticket)["CURRENT_STATUS"], desk.own(ticket)["ORDER_RESIDUAL"]) == ("LIVE", 40)
    assert desk.own(desk.book.work(ticket, 41))["CURRENT_STATUS"] == "DELETED", "more than is left"
    desk.book.work(ticket, 40)
    assert desk.own(ticket)["CURRENT_STATUS"] == "COMPLETED"
    trades = [row for row in desk.rows if row["TYPE"] == "ExchangeTradeOrder"]
    assert [row["FILL_ID"] for row in trades] == ["fill-000001", "fill-000001", "fill-000002", "fill-000002"]
    assert desk.account.net("IBM") == 120, "what a ticket shows is counted once"


def test_a_ticket_is_cancelled_and_changed() -> None:
    desk = Desk()
    ticket = desk.poke(100, TYPE="UserSubmitStagedOrder")
    assert desk.change(ticket, VOLUME=50)["CURRENT_STATUS"] == "COMPLETED"
    desk.cancel(ticket)
    assert (desk.own(ticket)["CURRENT_STATUS"], desk.own(ticket)["VOLUME"]) == ("DELETED", 50)
    assert desk.fills(ticket) == []


def test_the_day_ends_for_day_orders() -> None:
    desk = Desk()
    day, lasting = desk.limit("9.00"), desk.limit("9.00", GOOD_UNTIL="GTC")
    assert desk.book.end_day() == 1
    assert [desk.own(name)["CURRENT_STATUS"] for name in (day, lasting)] == ["DELETED", "LIVE"]


def test_a_client_id_sent_twice_is_two_orders_and_a_violation() -> None:
    desk = Desk()
    assert desk.poke(10, CLIENT_ORDER_ID="a") != desk.poke(10, CLIENT_ORDER_ID="a")
    assert desk.account.net("IBM") == 40
    assert len(desk.book.violations) == 1


def test_positions_add_up() -> None:
    desk = Desk()
    desk.poke(30)
    desk.poke(80, "SellShort")
    rows = {row["DISP_NAME"]: row for row in position_rows(desk.account)}
    sizes = {symbol: {k: v for k, v in row.items() if "POS" in k and k != "DEPOSIT"} for symbol, row in rows.items()}
    assert sizes == {"IBM": {"LONGPOS0": 20, "LONGPOS": 30, "SHORTPOS": 80}, "SPY": {"SHORTPOS0": 5}}
    assert desk.account.net("IBM") == -30


def test_ids_that_begin_again_never_take_a_working_orders() -> None:
    desk = Desk()
    working, ended = desk.limit("9.00"), desk.poke()
    desk.book.last_id = 0
    new = desk.limit("9.00")
    assert new == ended
    assert desk.own(working)["CURRENT_STATUS"] == "LIVE"
    assert desk.fills(new) == []


actions = st.one_of(
    st.tuples(st.just("poke"), st.integers(1, 900), st.sampled_from(["Buy", "Sell"])),
    st.tuples(st.just("limit"), st.integers(1, 900), st.sampled_from(["9.99", "10.05", "10.10"])),
    st.tuples(st.just("quote"), st.sampled_from(["9.80", "9.99", "10.05"]), st.integers(0, 700)),
    st.tuples(st.just("cancel"), st.integers(0, 9), st.none()),
    st.tuples(st.just("change"), st.integers(0, 9), st.integers(1, 900)),
)


@given(st.lists(actions, max_size=25))
def test_rows_money_and_positions_always_add_up_and_are_remembered(acts: list[tuple[str, Any, Any]]) -> None:
    desk, names = Desk(), []
    for what, first, second in acts:
        if what == "poke":
            names.append(desk.poke(first, second))
        elif what == "limit":
            names.append(desk.limit(second, first))
        elif what == "quote":
            desk.quote(first, str(D(first) + D("0.05")), second, second)
        elif names and what == "cancel":
            desk.cancel(names[first % len(names)])
        elif names:
            desk.change(names[first % len(names)], VOLUME=second)
    bought = sold = 0
    cash = D(100_000)
    for name in names:
        own, filled = desk.own(name), desk.fills(name)
        size = sum(each for each, _ in filled)
        assert own["VOLUME_TRADED"] == size <= own["VOLUME"]
        assert (own["CURRENT_STATUS"] == "COMPLETED") == (size == own["VOLUME"])
        buys = own["BUYORSELL"] == "Buy"
        bought, sold = bought + size * buys, sold + size * (not buys)
        cash += sum(each * D(str(price)) for each, price in filled) * (-1 if buys else 1)
    assert desk.account.net("IBM") == 20 + bought - sold
    assert desk.account.cash == cash
    again = Desk()
    again.book.recall(desk.log)
    assert again.book.rows == desk.book.rows
    assert again.account == desk.account
    assert {s: list(o) for s, o in again.book.live.items() if o} == {s: list(o) for s, o in desk.book.live.items() if o}
    assert again.book.last_id == desk.book.last_id
