"""ProQuant's signals at the desk: answered with what they came to, one position a strategy, and each event once."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.desk import D, outcome
from tests.signals.house import SECRET, House
from tests.signals.test_proquant import SIGNAL, event
from txgateway.model.account import AccountReport
from txgateway.model.instrument import Instrument, Session
from txgateway.model.signal import Answer, Outcome, Source, SourceKind
from txgateway.signals.proquant import ProQuant

SOURCE = Source(name="pq", kind=SourceKind.PROQUANT, account="ACC", secret=SECRET)
DONE = Answer(200)


def house(**changes: Any) -> House:
    return House(replace(SOURCE, **changes), languages={SourceKind.PROQUANT: ProQuant()}).up()


class At:
    """Moments, each another."""

    moment = 1_772_460_000_000

    @classmethod
    def next(cls) -> int:
        cls.moment += 1
        return cls.moment


def body(kind: str, moment: int | None = None, **data: Any) -> dict[str, Any]:
    signal = {**SIGNAL, "ticker": "IBM", **data}
    return {"v1": {"deprecation": None, "event": event(kind, signal, timestamp=moment or At.next())}}


def begin(house: House, kind: str, moment: int | None = None, **data: Any) -> Deferred[Answer]:
    return house.begin("pq", **body(kind, moment, **data))


def told(house: House, kind: str, moment: int | None = None, **data: Any) -> Answer:
    done = begin(house, kind, moment, **data)
    house.bench.turn()
    answer: Answer = outcome(done)
    return answer


def error(kind: str) -> Answer:
    return Answer(400, '{"type":"' + kind + '"}', (("x-proquant-error", "1"),))


def test_open_reopen_and_close_are_the_strategy_s() -> None:
    at = house()
    assert told(at, "SIGNAL_OPEN") == DONE
    assert told(at, "SIGNAL_REOPEN", direction="SELL", quantity=20) == DONE
    assert told(at, "SIGNAL_CLOSE") == DONE
    assert at.sent == [("BUY", 10, "IBM"), ("SELL", 10, "IBM"), ("SELL", 20, "IBM"), ("BUY", 20, "IBM")]
    assert not at.bench.gateway.state.strategies.positions


def test_a_reopen_without_a_position_opens() -> None:
    at = house()
    assert told(at, "SIGNAL_REOPEN", direction="SELL") == DONE
    assert at.sent == [("SELL", 10, "IBM")]


def test_one_position_a_strategy_judged_by_what_was_taken_in() -> None:
    at = house()
    answers = [begin(at, "SIGNAL_OPEN"), begin(at, "SIGNAL_OPEN"), begin(at, "SIGNAL_OPEN", strategy={"id": "other"})]
    at.bench.turn()
    assert [outcome(each) for each in answers] == [DONE, error("PositionAlreadyExists"), DONE]
    assert told(at, "SIGNAL_OPEN", ticker="AAPL") == error("PositionAlreadyExists")
    assert told(at, "SIGNAL_REOPEN", ticker="AAPL") == error("PositionAlreadyExists")
    assert "holds 10 IBM in ACC already" in at.signal.text
    assert told(at, "SIGNAL_CLOSE") == DONE
    assert told(at, "SIGNAL_OPEN", ticker="AAPL") == DONE
    assert at.sent[-1] == ("BUY", 10, "AAPL")


def test_one_position_also_while_the_first_is_under_way_in_another_symbol() -> None:
    at = house()
    answers = [begin(at, "SIGNAL_OPEN"), begin(at, "SIGNAL_OPEN", ticker="AAPL")]
    at.bench.turn()
    assert [outcome(each) for each in answers] == [DONE, error("PositionAlreadyExists")]
    assert at.sent == [("BUY", 10, "IBM")]


def test_a_close_closes_all_that_is_held_by_then_also_when_what_was_under_way_is_not_filled() -> None:
    at = house()
    told(at, "SIGNAL_OPEN", direction="SELL", quantity=4)
    at.bench.broker.mode = "accept"
    told(at, "SIGNAL_REOPEN", direction="BUY", quantity=1)
    assert at.sent[1:] == [("BUY", 4, "IBM"), ("BUY", 1, "IBM")]  # neither is filled, and the close ends both
    at.bench.broker.mode = "fill"
    assert told(at, "SIGNAL_CLOSE") == DONE
    at.bench.turn(6)
    assert at.sent[3:] == [("BUY", 4, "IBM")]
    assert not at.bench.gateway.state.strategies.positions


def test_two_closes_close_once() -> None:
    at = house()
    told(at, "SIGNAL_OPEN")
    answers = [begin(at, "SIGNAL_CLOSE"), begin(at, "SIGNAL_CLOSE")]
    at.bench.turn()
    assert [outcome(each) for each in answers] == [DONE, error("PositionNotFound")]
    assert at.sent == [("BUY", 10, "IBM"), ("SELL", 10, "IBM")]


@pytest.mark.parametrize(
    ("changes", "data", "kind"),
    [
        ({}, {"quantity": 0.5}, "InvalidQuantityPrecision"),
        ({"rounding": True}, {"quantity": 0.5}, "QuantityTooLow"),
        ({}, {"ticker": "NOSUCH"}, "UnsupportedInstrument"),
        ({"symbols": {"IBM": "NOSUCH"}}, {}, "UnsupportedInstrument"),
        ({"account": "NOBODY"}, {}, "InvalidCredentials"),
    ],
)
def test_a_refusal_is_in_proquant_s_words(changes: dict[str, Any], data: dict[str, Any], kind: str) -> None:
    at = house(**changes)
    assert told(at, "SIGNAL_OPEN", **data) == error(kind)
    assert at.sent == []
    assert at.signal.outcome is Outcome.REFUSED


def test_what_proquant_has_no_word_for_is_an_error_without_its_header() -> None:
    at = house()
    answer = told(at, "SIGNAL_OPEN", direction="BUY", quantity=-1)
    assert (answer.status, answer.headers) == (400, ())
    assert "above zero" in answer.body


def test_a_delivery_again_is_answered_as_before_and_sends_nothing_also_after_a_restart() -> None:
    at = house()
    moment = At.next()
    first = told(at, "SIGNAL_OPEN", moment)
    refused = told(at, "SIGNAL_OPEN", moment + 1)
    assert [told(at, "SIGNAL_OPEN", moment), told(at, "SIGNAL_OPEN", moment + 1)] == [first, refused]
    told(at, "SIGNAL_CLOSE")
    after = at.restart().up()
    assert told(after, "SIGNAL_OPEN", moment) == first == DONE
    assert told(after, "SIGNAL_OPEN", moment + 1) == refused == error("PositionAlreadyExists")
    assert after.sent == [("BUY", 10, "IBM"), ("SELL", 10, "IBM")]


@pytest.mark.parametrize(
    ("rules", "quantity", "kind"),
    [
        ({"min_quantity": D(20)}, 10, "QuantityTooLow"),
        ({"min_notional": D(10_000)}, 10, "QuantityTooLow"),
        ({"max_quantity": D(5)}, 10, "QuantityTooHigh"),
        ({"lot_size": D(100)}, 10, "InvalidQuantityPrecision"),
        ({"session": Session(time(3), time(3, 1), "America/New_York")}, 10, "MarketClosed"),
    ],
)
def test_the_instrument_s_rules_are_answered_in_proquant_s_words(rules: Any, quantity: int, kind: str) -> None:
    at = house()

    async def instrument(symbol: str) -> Instrument:
        return Instrument(symbol=symbol, venue="paper", **rules)

    at.bench.broker.instrument = instrument  # type: ignore[method-assign]
    at.bench.broker.now = at.bench.now  # type: ignore[attr-defined]
    assert told(at, "SIGNAL_OPEN", quantity=quantity) == error(kind)
    assert at.sent == []


def test_what_was_taken_in_before_is_spent_until_the_broker_knows_of_it() -> None:
    at = house()

    async def balances(account: str) -> AccountReport:
        return AccountReport(account, D(1500), values={"buying_power": D(1500)})

    at.bench.broker.balances = balances  # type: ignore[method-assign]
    answers = [begin(at, "SIGNAL_OPEN", strategy={"id": each}) for each in ("one", "two")]
    at.bench.turn()
    assert [outcome(each) for each in answers] == [DONE, error("InsufficientFunds")]
    assert "has 499.90 to buy with" in at.signal.text
    assert at.carrier.promised("ACC") == 0
    assert told(at, "SIGNAL_OPEN", strategy={"id": "two"}) == DONE  # what the first cost is for the broker to say now
    assert len(at.sent) == 2


def test_a_reopen_may_spend_what_its_close_frees() -> None:
    at = house()
    told(at, "SIGNAL_OPEN")  # 10 at 100

    async def balances(account: str) -> AccountReport:
        return AccountReport(account, D(1500), values={"buying_power": D(500)})

    at.bench.broker.balances = balances  # type: ignore[method-assign]
    assert told(at, "SIGNAL_OPEN", strategy={"id": "other"}) == error("InsufficientFunds")
    assert told(at, "SIGNAL_REOPEN", direction="SELL") == DONE
    assert told(at, "SIGNAL_REOPEN", direction="BUY", quantity=20) == error("InsufficientFunds")
    assert at.sent[1:] == [("SELL", 10, "IBM"), ("SELL", 10, "IBM")]
