"""Results by their type, whole and in pieces; and the renderings that are kept between queries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.wire.nouns import ACCEPTED, EXECUTION, FLAGS, NEW_YORK, ORDERS, START, SUBMITTED, TICKER, changes, fill
from txgateway import render, stories, wire
from txgateway.api import BarRows, Entry, InstrumentReport, Listing, Story, VenueReport
from txgateway.codec import KINDS
from txgateway.gateway import Reply
from txgateway.model.account import AccountReport, Balance, Position
from txgateway.model.events import Record, TradingDayStarted, VenueStatus
from txgateway.model.instrument import Instrument, Session
from txgateway.model.market import Bar
from txgateway.model.order import Order
from txgateway.render import BLOCK, EFFORT, Fragments, News
from txgateway.state import Change

ORDER = ORDERS["filled"]
RECORDS = [change.record for change in changes([SUBMITTED, ACCEPTED, fill("100", "183.1")])]
ENTRIES = [Entry(record, f"{record.seq:064x}") for record in RECORDS]
BARS = [
    Bar("IBM", START + timedelta(minutes=at), D(183), D("183.2"), D("182.9"), D("183.1"), D(at)) for at in range(500)
]
INSTRUMENT = Instrument(
    symbol="IBM", venue="paper", session=Session(time(9, 30), time(16), "America/New_York", calendar="XNYS")
)
VENUE = VenueReport("paper", "fixed", VenueStatus.UP, True, ("A",), ("MARKET", "LIMIT"), START, 0, "")
REPORT = AccountReport("A", D("1000.50"), (Balance("USD", D("1000.5"), D(900), D("100.5")),))


def listing(number: int, **more: Any) -> Listing:
    """So many orders, every third of which is not wanted."""
    orders = {f"{at:020}": replace(ORDER, order_id=f"{at:020}") for at in range(number)}
    return Listing(list(orders), lambda key: orders[key] if int(key) % 3 else None, **more)


RESULTS: dict[str, Any] = {
    "text": "Up",
    "nothing": None,
    "flag": True,
    "names": ["IBM", "AAPL"],
    "order": ORDER,
    "reply": Reply(ORDER, replayed=True),
    "execution": EXECUTION,
    "ticker": TICKER,
    "tickers": {f"S{at}": TICKER for at in range(40)},
    "positions": {"A": {"IBM": Position("paper", "A", "IBM", D(-100), D(183))}, "B": {}},
    "balances": {"A": REPORT},
    "account": {"_cash": D("1000"), "buying_power": D("4000.5"), "type": "margin"},
    "many values": {"_cash": D("1000"), **{f"value{at}": D(at) for at in range(40)}},
    "venues": {"paper": VENUE},
    "instrument": InstrumentReport(INSTRUMENT, ("MARKET",), ("DAY", "GTC")),
    "bars": BarRows(BARS, NEW_YORK),
    "no bars": BarRows((), NEW_YORK),
    "records": ENTRIES * 30,
    "story": Story(ORDER, ENTRIES),
    "listing": listing(300),
    "short listing": listing(1),
    "limited listing": listing(300, limit=70),
    "kept listing": listing(300, kept="orders"),
    "kept page": listing(300, kept="orders", limit=70),
    "executions": {"E-1": EXECUTION},
    "moment": START,
}


@pytest.mark.parametrize("name", RESULTS)
def test_pieces_are_the_whole(name: str) -> None:
    value, fragments = RESULTS[name], Fragments()
    whole = json.loads(wire.dumps(render.render(value, FLAGS)))
    assert json.loads(b"".join(render.pieces(value, FLAGS))) == whole
    for _ in range(3):
        assert json.loads(render.encoded(value, FLAGS, fragments)) == whole


def shown(name: str) -> Any:
    return render.render(RESULTS[name], FLAGS)


def test_shapes() -> None:
    assert shown("positions") == {"A": {"IBM": -100}, "B": {}}
    assert shown("balances") == {"A": {"USD": {"total": 1000.5, "available": 900, "reserved": 100.5}}}
    assert repr(shown("account")) == "{'_cash': 1000.0, 'buying_power': 4000.5, 'type': 'margin'}"
    assert repr(json.loads(b"".join(render.pieces(RESULTS["many values"], FLAGS)))["_cash"]) == "1000.0"
    assert shown("bars")[1] == ["2013-10-07", "09:32:00", 183.0, 183.2, 182.9, 183.1, 1]
    assert shown("reply")["replayed"] is True
    assert len(shown("listing")) == 200
    assert list(shown("limited listing")) == [f"{at:020}" for at in range(105) if at % 3]
    assert shown("venues")["paper"]["status"] == "UP"
    assert shown("instrument")["session"] == {
        "open": "09:30",
        "close": "16:00",
        "timezone": "America/New_York",
        "always": False,
        "calendar": "XNYS",
    }
    assert shown("instrument")["tick_size"] == 0.01


def test_a_story_tells_each_record() -> None:
    told = shown("story")
    assert told["order"]["permid"] == ORDER.order_id
    assert [each["kind"] for each in told["story"]] == ["OrderSubmitted", "OrderAccepted", "Executed"]
    assert told["story"][0]["text"] == (
        "Submitted by txtrader_user (rpc): BUY 100 IBM MARKET DAY for API_ACCOUNT at paper."
    )
    assert told["story"][2]["text"] == "100 IBM filled at 183.1 (execution E-1, commission 1.00 USD)."
    assert told["story"][2]["event"]["execution"]["price"] == "183.1"
    assert shown("records")[1].keys() == {"seq", "time", "kind", "order_id", "event", "hash"}


def test_a_fee_in_a_third_currency_is_in_the_story() -> None:
    filled = fill("2", "610", commission=D(0), fee=D("0.00075"), fee_currency="BNB")
    told = stories._SENTENCES[type(filled)](filled)
    assert told == "2 IBM filled at 610 (execution E-1, fee 0.00075 BNB)."


def test_every_kind_of_record_has_a_sentence() -> None:
    assert set(stories._SENTENCES) == set(KINDS.values())


def test_what_is_long_goes_by_pieces_and_the_rest_does_not() -> None:
    short = {"text", "nothing", "flag", "names", "order", "reply", "positions", "account", "instrument"}
    assert all(
        render.is_long(RESULTS[name]) is (name not in short)
        for name in (*short, "listing", "bars", "records", "tickers")
    )


def test_no_piece_is_much_work() -> None:
    read: list[str] = []
    orders = listing(2000).get

    def get(key: str) -> Any:
        read.append(key)
        return orders(key)

    before = 0
    for _ in render.pieces(Listing(listing(2000).ids, get), FLAGS):
        assert len(read) - before <= EFFORT / 32 + 1
        before = len(read)
    assert len(read) == 2000


def test_a_list_of_which_nothing_is_wanted_still_breathes() -> None:
    breaths = list(render.pieces(Listing(listing(2000).ids, lambda key: None), FLAGS))
    assert b"".join(breaths) == b"{}"
    assert len(breaths) > 50


# what is kept


class Desk:
    """Orders that change, with the fragments listening."""

    def __init__(self, number: int, limit: int = 1 << 25) -> None:
        self.orders: dict[str, Order] = {
            f"{at:020}": replace(ORDER, order_id=f"{at:020}", tag="t" if at % 3 == 0 else None) for at in range(number)
        }
        self.reads = 0
        self.seq = 1
        self.fragments = Fragments(limit)

    def get(self, tickets: bool) -> Callable[[str], Order | None]:
        def get(key: str) -> Order | None:
            self.reads += 1
            return self.orders[key] if (self.orders[key].tag is not None) is tickets else None

        return get

    def query(self, kind: str = "orders", limit: int | None = None) -> Any:
        """What a client gets, after a comparison with what it ought to get."""
        tickets = kind == "tickets"
        value = Listing(sorted(self.orders), self.get(tickets), limit, kind, self.seq)
        given = json.loads(render.encoded(value, FLAGS, self.fragments))
        wanted = {key: each for key, each in self.orders.items() if (each.tag is not None) is tickets}
        assert given == {key: wire_form(each) for key, each in list(wanted.items())[:limit]}
        return given

    def change(self, key: str, **terms: Any) -> None:
        """Let an order change (or come), and tell."""
        self.seq += 1
        self.orders[key] = replace(self.orders.get(key, ORDER), order_id=key, **terms)
        self.fragments.changed(Change(replace(RECORDS[1], seq=self.seq), self.orders[key]))


def wire_form(order: Order) -> Any:
    return json.loads(wire.dumps(wire.order(order)))


def test_a_second_query_reads_nothing() -> None:
    desk = Desk(300)
    assert desk.query() == desk.query() == desk.query()
    assert desk.reads == 300
    desk.query("tickets")
    assert desk.reads == 600
    desk.query("tickets", limit=10)
    desk.query("orders", limit=100)
    assert desk.reads == 600


def test_what_changed_is_read_again_and_nothing_else() -> None:
    desk = Desk(3 * BLOCK)
    for at in (0, 1, BLOCK, 3 * BLOCK - 1):
        desk.query()
        desk.query("tickets")
        reads = desk.reads
        desk.change(f"{at:020}", filled_quantity=D(at))
        desk.query()
        desk.query("tickets")
        assert desk.reads == reads + 2


def test_a_new_order_is_seen_between_old_ones_and_at_the_end() -> None:
    desk = Desk(200)
    desk.query()
    for key in (f"{50:020}x", "9" * 20):
        desk.change(key)
        desk.query()
        desk.query()
    assert desk.reads == 202


def test_what_was_rendered_of_an_earlier_moment_is_not_kept() -> None:
    """A long list is written slowly: what changes meanwhile is shown as it was, once."""
    desk = Desk(200)
    value = Listing(sorted(desk.orders), desk.get(tickets=False), None, "orders", desk.seq)
    slowly = render.pieces(value, FLAGS, desk.fragments)
    next(slowly)
    for key in list(desk.orders):
        desk.change(key, filled_quantity=D(1))
    for _ in slowly:
        assert desk.fragments.size == 0
    desk.query()


def test_only_so_many_changes_are_remembered() -> None:
    desk = Desk(100)
    desk.query()
    seq = desk.seq
    for at in range(30_000):
        desk.fragments.changed(Change(replace(RECORDS[1], seq=seq + at), replace(ORDER, order_id=f"x{at}")))
    assert len(desk.fragments._changed_at) <= 20_001
    desk.fragments.keep("orders", "x1", b"old", seq)
    assert desk.fragments.get("orders", "x1") is None
    desk.fragments.keep("orders", "x1", b"new", seq + 30_000)
    assert desk.fragments.get("orders", "x1") == b"new"


def test_the_bound_holds_and_what_does_not_fit_is_read_each_time() -> None:
    desk = Desk(300, limit=100_000)
    for _ in range(3):
        desk.query()
        assert desk.fragments.size <= 100_000
    assert 300 < desk.reads < 900
    for key in list(desk.orders):
        desk.change(key, filled_quantity=D(1))
    assert desk.fragments.size == 0


def test_a_new_trading_day_begins_with_nothing_kept() -> None:
    desk = Desk(10)
    desk.query()
    day = Record(9, START, TradingDayStarted("paper", date(2013, 10, 8), datetime(2013, 10, 8, 4, tzinfo=UTC)))
    desk.fragments.changed(Change(day))
    assert desk.fragments.size == 0
    desk.query()
    assert desk.reads == 20


def test_a_desks_change_is_news() -> None:
    news: News = Change(RECORDS[0], ORDER)
    assert news.order is ORDER
