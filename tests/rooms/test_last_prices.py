"""The command for last prices over several venues: whom it asks, what it names, what each may cost the others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal as D
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.desk import EVERYTHING, START, Bench, ChosenBroker, outcome
from txgateway import documents, render, wire
from txgateway.access import Caller
from txgateway.api import COMMANDS, About, Api
from txgateway.api.prices import MOST
from txgateway.bounded import BoundedBroker, Deadlines
from txgateway.brokers import Can
from txgateway.feed import Feed
from txgateway.model.errors import BadArgument, GatewayError, Reason, Refused, TimedOut
from txgateway.model.events import VenueStatus
from txgateway.model.market import LastPrice, NoPrice, Trade
from txgateway.model.order import Origin
from txgateway.relay import Relay

FLAGS = wire.Flags(UTC)


class Exchange(ChosenBroker):
    """Tells the last price of IBM; AAPL was never traded."""

    def __init__(self, venue: str, can: Can = EVERYTHING) -> None:
        super().__init__(Clock(), can)
        self.venue = venue
        self.lists: list[list[str]] = []
        self.error: Exception | None = None
        self.hanging: Deferred[None] | None = None
        self.why: dict[str, GatewayError] = {}

    async def last_prices(self, symbols: Sequence[str]) -> list[LastPrice | NoPrice]:
        self.lists.append(list(symbols))
        if self.error is not None:
            raise self.error
        if self.hanging is not None:
            await self.hanging
        found = [LastPrice(each, D("100.25"), START) for each in symbols if each == "IBM"]
        return [*found, *(NoPrice(each, self.why[each]) for each in symbols if each in self.why)]


class Hall:
    """An API over three venues: two that can be asked, and one that only shows what is subscribed."""

    def __init__(self) -> None:
        self.here, self.there = Exchange("paper"), Exchange("there")
        self.feeding = Exchange("feeding", EVERYTHING & ~Can.LAST_PRICES)
        self.bench = Bench(broker=self.here)
        clock, now = self.bench.clock, self.bench.now
        venues = (self.here, self.there, self.feeding)
        brokers: Any = {each.venue: BoundedBroker(each, Deadlines(), clock, now) for each in venues}
        self.feed = Feed(brokers, "paper", clock, lambda moment: moment.date(), keep_bars=False)
        self.gateway = self.bench.up().gateway
        self.status = self.gateway.intake.status
        self.status["feeding"] = self.status["there"] = VenueStatus.UP
        about = About(
            header="", version="", flags={}, started=START, zone=UTC, default_venue="paper", default_account="ACC",
            default_route="", kinds={}, clock=now, shutdown=lambda text: None,
        )  # fmt: skip
        self.api = Api(self.gateway, self.feed, brokers, about)

    def begin(self, symbols: Any) -> Deferred[Any]:
        """Ask, as a client does."""
        done: Deferred[Any] = Deferred.fromCoroutine(
            self.api.call("query_last_prices", Caller("me", Origin.RPC), {"symbols": symbols})
        )
        return done

    def shown(self, done: Deferred[Any]) -> dict[str, Any]:
        """The answer as its client gets it, which fits the schema that is published."""
        shown: dict[str, Any] = json.loads(render.text(outcome(done), FLAGS))
        schema = documents.result_schema(COMMANDS["query_last_prices"])
        Draft202012Validator({**schema, "components": {"schemas": documents.schemas()}}).validate(shown)
        return shown

    def ask(self, symbols: Any) -> dict[str, Any]:
        return self.shown(self.begin(symbols))

    def reasons(self, symbols: Any) -> dict[str, Any]:
        """Each name's reason; None: it has a price."""
        found = self.ask(symbols)
        assert all((each["price"] is None) is bool(each["reason"]) is bool(each["text"]) for each in found.values())
        return {name: each["reason"] for name, each in found.items()}


@pytest.fixture
def hall() -> Hall:
    return Hall()


def test_each_name_has_a_price_or_why_not(hall: Hall) -> None:
    found = hall.ask("nosuch, ibm,aapl,IBM@nowhere")
    assert list(found) == ["NOSUCH", "IBM", "AAPL", "IBM@nowhere"]
    assert found["IBM"] == {"price": 100.25, "time": "2026-03-02T15:00:00Z", "reason": None, "text": ""}
    reasons = {name: each["reason"] for name, each in found.items() if name != "IBM"}
    assert reasons == {"NOSUCH": "UNKNOWN_SYMBOL", "AAPL": "NO_PRICE", "IBM@nowhere": "UNKNOWN_VENUE"}
    assert "'NOSUCH' is unknown at venue paper: check its spelling." in found["NOSUCH"]["text"]
    assert "'nowhere'" in found["IBM@nowhere"]["text"]


def test_a_broker_says_what_may_be_meant_by_an_unknown_symbol(hall: Hall) -> None:
    hall.there.spelling = lambda symbol: f"did you mean {symbol[:3]}/{symbol[3:]}?"  # type: ignore[attr-defined]
    text = hall.ask("NOSUCH@there")["NOSUCH@there"]["text"]
    assert text == "Symbol 'NOSUCH' is unknown at venue there: did you mean NOS/UCH?"


def test_each_venue_is_asked_once_for_all_of_its_own(hall: Hall) -> None:
    names = ["IBM@there", "IBM", "ibm@paper", "AAPL", "IBM", "AAPL@there"]
    assert list(hall.ask(names)) == ["IBM@there", "IBM", "IBM@paper", "AAPL", "AAPL@there"]
    assert (hall.here.lists, hall.there.lists) == ([["IBM", "AAPL"]], [["IBM", "AAPL"]])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Refused(Reason.VENUE_DOWN, "It is down."), "VENUE_DOWN"),
        (TimedOut("It was silent."), "TIMED_OUT"),
        (GatewayError("It said nonsense."), "VENUE_FAILED"),
        (ZeroDivisionError("oh"), "VENUE_FAILED"),
    ],
)
def test_a_venue_that_fails_is_named_and_costs_the_others_nothing(hall: Hall, error: Exception, reason: str) -> None:
    hall.there.error = error
    assert hall.reasons("IBM@there,IBM,AAPL@there") == {"IBM@there": reason, "IBM": None, "AAPL@there": reason}
    assert hall.reasons("IBM@there") == {"IBM@there": reason}


def test_what_is_the_matter_with_one_symbol_is_said_of_it_alone(hall: Hall) -> None:
    hall.here.why = {
        "AAPL": Refused(Reason.NO_PRICE, "It says 354: not subscribed."),
        "NOSUCH": GatewayError("It says 10197: another session has them."),
        "MSFT": TimedOut("It did not tell MSFT in time."),
    }
    found = hall.ask("IBM,AAPL,NOSUCH,MSFT")
    assert {name: (each["reason"], each["text"]) for name, each in found.items()} == {
        "IBM": (None, ""),
        "AAPL": ("NO_PRICE", "It says 354: not subscribed."),
        "NOSUCH": ("VENUE_FAILED", "It says 10197: another session has them."),
        "MSFT": ("TIMED_OUT", "It did not tell MSFT in time."),
    }


@pytest.mark.parametrize("names", ["IBM@there,AAPL@there", "IBM@there,AAPL@there,IBM"])
def test_a_venue_has_the_time_of_a_question_alone_and_beside_others(hall: Hall, names: str) -> None:
    """A list that a venue answers when it is asked alone is not out of time because another one was asked as well."""
    hall.there.hanging = Deferred()
    done = hall.begin(names)
    hall.bench.clock.advance(Deadlines().symbol - 0.1)
    assert not done.called
    hall.there.hanging.callback(None)
    assert hall.shown(done)["IBM@there"]["price"] == 100.25


def test_a_venue_that_does_not_answer_keeps_the_others_prices_back_so_long_at_most(hall: Hall) -> None:
    hall.there.hanging = Deferred()
    done = hall.begin("IBM@there,IBM")
    assert (hall.there.lists, hall.here.lists) == ([["IBM"]], [["IBM"]]), "each is asked at once"
    hall.bench.clock.advance(Deadlines().symbol + 0.1)
    found = hall.shown(done)
    assert (found["IBM"]["price"], found["IBM@there"]["reason"]) == (100.25, "TIMED_OUT")
    assert hall.there.hanging.called, "it is asked no longer"


def test_a_venue_that_cannot_be_asked_tells_those_of_active_symbols(hall: Hall) -> None:
    assert hall.reasons("IBM@feeding,IBM") == {"IBM@feeding": "UNSUPPORTED", "IBM": None}
    assert "add_symbol IBM first" in hall.ask("IBM@feeding")["IBM@feeding"]["text"]
    done = Deferred.fromCoroutine(hall.feed.add("IBM@feeding", "me"))
    assert hall.reasons("IBM@feeding") == {"IBM@feeding": "NO_PRICE"}
    hall.feed.report("feeding", Trade("IBM", D("99.5"), D(10), START))
    hall.bench.turn()
    assert outcome(done) is not None
    found = hall.ask("IBM@feeding,AAPL@feeding")
    assert found["IBM@feeding"] == {"price": 99.5, "time": "2026-03-02T15:00:00Z", "reason": None, "text": ""}
    assert found["AAPL@feeding"]["reason"] == "UNSUPPORTED"
    hall.status["feeding"] = VenueStatus.DOWN
    assert hall.reasons("IBM@feeding") == {"IBM@feeding": "VENUE_DOWN"}
    assert hall.feeding.lists == []


@pytest.mark.parametrize(
    "symbols",
    ["", ",", "IBM,", ",IBM", "IBM,,AAPL", "@there", [], [""], ["IBM", ""], [None], [["IBM"]], ["IBM", {}], {"a": 1},
     True, [True], "a\0b", 10**6 * "x", ",".join(f"S{at}" for at in range(MOST + 1)), [f"S{at}" for at in range(200)]],
)  # fmt: skip
def test_symbols_that_cannot_be(hall: Hall, symbols: Any) -> None:
    with pytest.raises(BadArgument, match="query_last_prices"):
        hall.ask(symbols)
    assert hall.here.lists == []


@pytest.mark.parametrize(
    ("symbols", "odd"),
    [
        (",".join(["BTC/USDT"] * 90) + ",", "'' as name 91 of 91"),
        ("BTC/USDT,@bin,ETH/USDT", "'@bin' as name 2 of 3"),
        (["IBM", None], "None as name 2 of 2"),
    ],
)
def test_the_odd_name_is_named(hall: Hall, symbols: Any, odd: str) -> None:
    with pytest.raises(BadArgument) as caught:
        hall.ask(symbols)
    assert str(caught.value) == f"query_last_prices: argument 'symbols' has {odd}, which is not a name."


def test_as_many_as_may_be_and_the_same_ones_again(hall: Hall) -> None:
    names = [f"S{at}" for at in range(MOST)]
    assert set(hall.reasons([*names, *names])) == set(names)
    assert hall.here.lists == [names]


def test_a_venue_on_the_prices_of_one_that_cannot_be_asked_has_what_that_shows(hall: Hall) -> None:
    intake = hall.gateway.intake
    intake.connects["feeding"] = 1
    prices = Relay(hall.feed, hall.api.brokers, intake).prices("feeding", "paper")
    prices.follow(lambda event: None, lambda: None)
    Deferred.fromCoroutine(hall.feed.add("IBM@feeding", "me"))
    hall.feed.report("feeding", Trade("IBM", D("99.5"), D(10), START))

    def given() -> Any:
        return outcome(Deferred.fromCoroutine(prices.last_prices(["AAPL", "IBM"])))

    assert given() == [LastPrice("IBM", D("99.5"), START)]
    intake.connects["feeding"] = 2
    assert given() == [], "another link has shown nothing yet"
    hall.status["feeding"] = VenueStatus.DOWN
    with pytest.raises(Refused, match="is DOWN") as caught:
        given()
    assert caught.value.reason is Reason.VENUE_DOWN


def test_numbers_are_names_too(hall: Hall) -> None:
    assert hall.reasons([600519, "ibm"]) == {"600519": "UNKNOWN_SYMBOL", "IBM": None}
