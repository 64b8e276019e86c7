"""Changes at a venue that are no orders: on disk before they are sent, sent once, and known afterwards."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.desk import Bench, ChosenBroker, outcome
from txgateway.model.errand import ErrandKind, ErrandOutcome
from txgateway.model.errors import Ambiguous, Reason, Refused, TimedOut
from txgateway.model.events import ErrandBegun, ErrandEnded, VenueStatus
from txgateway.model.venue import EndpointApi, EndpointCall, PositionMode
from txgateway.state import State
from txgateway.stories import sentence

DONE, REFUSED, UNKNOWN = ErrandOutcome.DONE, ErrandOutcome.REFUSED, ErrandOutcome.UNKNOWN
CALL = EndpointCall("order", EndpointApi.PRIVATE, "POST", {"symbol": "BTCUSDT"})


class Perpetual(ChosenBroker):
    """A venue with leverage: what it does with a change is `do` ("", "refuse", "lose", "ignore", "fail")."""

    def __init__(self, clock: Any = None) -> None:
        super().__init__(clock)
        self.margin = D(1)
        self.hedged = PositionMode.ONE_WAY
        self.does = ""
        self.mute = False
        self.changes: list[Any] = []
        self.bench: Any = None
        self.gate: Deferred[None] | None = None

    async def leverage(self, account: str, symbol: str) -> D:
        if self.mute:
            raise TimedOut("Venue paper did not answer leverage within 15 s.")
        return self.margin

    async def position_mode(self, account: str) -> PositionMode:
        return self.hedged

    async def _change(self, what: Any) -> bool:
        self.changes.append(what)
        begun = [each.event for each in self.bench.journal.records() if isinstance(each.event, ErrandBegun)]
        assert begun, "it was sent before it was on disk"
        if self.gate is not None:
            await self.gate
        if self.does == "refuse":
            raise Refused(Reason.REJECTED, "Leverage 500 is not valid.")
        if self.does == "fail":
            raise ZeroDivisionError
        return self.does != "ignore"

    async def set_leverage(self, account: str, symbol: str, leverage: D) -> None:
        if await self._change((account, symbol, leverage)):
            self.margin = leverage
        if self.does in ("lose", "ignore"):
            raise TimedOut("Venue paper did not answer set_leverage within 15 s.")

    async def set_position_mode(self, account: str, mode: PositionMode) -> None:
        if await self._change((account, mode)):
            self.hedged = mode
        if self.does in ("lose", "ignore"):
            raise TimedOut("Venue paper did not answer.")

    async def call_endpoint(self, call: EndpointCall) -> Any:
        await self._change(call)
        if self.does == "lose":
            raise TimedOut("Venue paper did not answer call_endpoint within 15 s.")
        return {"orderId": 7}


@pytest.fixture
def bench() -> Bench:
    return desk()


def desk() -> Bench:
    broker = Perpetual()
    bench = Bench(broker=broker)
    broker.bench = bench
    return bench.up()


def again(bench: Bench) -> Bench:
    """Another life on what is on disk; the same venue."""
    other = bench.restart()
    bench.broker.bench = other  # type: ignore[attr-defined]
    return other


def lever(bench: Bench, leverage: int = 5) -> Any:
    return bench.do(bench.gateway.errands.set_leverage("paper", "ACC", "IBM", D(leverage), "me"))


def errands(bench: Bench) -> list[Any]:
    return [each.event for each in bench.journal.records() if isinstance(each.event, ErrandBegun | ErrandEnded)]


def test_a_change_is_on_disk_then_sent_then_known(bench: Bench) -> None:
    lever(bench)
    begun, ended = errands(bench)
    assert (begun.errand.kind, begun.errand.value, begun.errand.by) == (ErrandKind.LEVERAGE, "5", "me")
    assert (ended.number, ended.outcome) == (begun.errand.number, DONE)
    assert begun.errand.number == next(
        each.seq for each in bench.journal.records() if isinstance(each.event, ErrandBegun)
    )
    assert bench.gateway.state.errands == {}
    assert sentence(begun) == "me asked for leverage 5 at paper (IBM of ACC)."
    assert sentence(ended) == f"Errand {ended.number} at paper is DONE: The venue has changed it."


def test_what_the_venue_refuses_is_refused_and_over(bench: Bench) -> None:
    bench.broker.does = "refuse"  # type: ignore[attr-defined]
    with pytest.raises(Refused, match="not valid"):
        lever(bench, 500)
    assert errands(bench)[-1].outcome is REFUSED
    assert bench.gateway.state.errands == {}


def test_a_lost_answer_is_asked_for(bench: Bench) -> None:
    bench.broker.does = "lose"  # type: ignore[attr-defined]
    lever(bench)
    assert (errands(bench)[-1].outcome, bench.broker.margin) == (DONE, 5)  # type: ignore[attr-defined]


def test_what_may_still_arrive_stays_in_doubt_for_a_while(bench: Bench) -> None:
    bench.broker.does = "ignore"  # type: ignore[attr-defined]
    with pytest.raises(Ambiguous, match="not known yet: paper will be asked again"):
        lever(bench)
    bench.turn(10)
    assert len(bench.gateway.state.errands) == 1
    bench.turn(35)
    ended = errands(bench)[-1]
    assert (ended.outcome, ended.text) == (REFUSED, "Asked later, the venue has 1: it was not done, or changed since.")
    assert len(bench.broker.changes) == 1  # type: ignore[attr-defined]


def test_what_arrives_late_is_found_done(bench: Bench) -> None:
    bench.broker.does = "ignore"  # type: ignore[attr-defined]
    with pytest.raises(Ambiguous):
        lever(bench)
    bench.broker.margin = D("5.0")  # type: ignore[attr-defined]
    bench.turn(31)
    assert errands(bench)[-1].outcome is DONE


def test_doubt_waits_until_the_venue_tells(bench: Bench) -> None:
    bench.broker.does, bench.broker.mute = "ignore", True  # type: ignore[attr-defined]
    with pytest.raises(Ambiguous):
        lever(bench)
    bench.turn(31)
    bench.turn(31)
    assert len(bench.gateway.state.errands) == 1
    bench.broker.mute = False  # type: ignore[attr-defined]
    bench.turn(31)
    assert errands(bench)[-1].outcome is REFUSED


@pytest.mark.parametrize(("arrived", "known"), [(True, DONE), (False, REFUSED)])
def test_after_a_crash_the_venue_is_asked(bench: Bench, arrived: bool, known: ErrandOutcome) -> None:
    bench.broker.gate = Deferred()  # type: ignore[attr-defined]
    Deferred.fromCoroutine(bench.gateway.errands.set_leverage("paper", "ACC", "IBM", D(5), "me"))
    bench.turn()
    other = again(bench)
    assert len(other.gateway.state.errands) == 1
    if arrived:
        other.broker.margin = D(5)  # type: ignore[attr-defined]
    other.clock.advance(60)
    other.up()
    assert errands(other)[-1].outcome is known
    assert len(other.broker.changes) == 1  # type: ignore[attr-defined]


def test_a_mode_is_changed_the_same_way(bench: Bench) -> None:
    bench.broker.does = "lose"  # type: ignore[attr-defined]
    bench.do(bench.gateway.errands.set_position_mode("paper", "ACC", PositionMode.HEDGE, "me"))
    begun, ended = errands(bench)
    assert sentence(begun) == "me asked for position mode HEDGE at paper (ACC)."
    assert ended.outcome is DONE


def test_an_endpoint_gives_its_answer(bench: Bench) -> None:
    answer = bench.do(bench.gateway.errands.call("paper", CALL, "POST order(symbol=BTCUSDT)", "me"))
    assert answer == {"orderId": 7}
    assert [each.outcome for each in errands(bench)[1:]] == [DONE]
    assert sentence(errands(bench)[0]) == "me asked for endpoint POST order(symbol=BTCUSDT) at paper."


def test_of_an_endpoint_nobody_can_tell(bench: Bench) -> None:
    bench.broker.does = "lose"  # type: ignore[attr-defined]
    with pytest.raises(Ambiguous, match="look at paper"):
        bench.do(bench.gateway.errands.call("paper", CALL, "POST order()", "me"))
    assert errands(bench)[-1].outcome is UNKNOWN
    assert bench.gateway.state.errands == {}


def test_an_endpoint_that_a_crash_came_over_is_said_to_be_unknown(bench: Bench) -> None:
    bench.broker.gate = Deferred()  # type: ignore[attr-defined]
    Deferred.fromCoroutine(bench.gateway.errands.call("paper", CALL, "POST order()", "me"))
    bench.turn()
    other = again(bench).up()
    assert errands(other)[-1].outcome is UNKNOWN
    assert len(other.broker.changes) == 1  # type: ignore[attr-defined]


def test_a_link_that_comes_back_ends_no_errand_under_way(bench: Bench) -> None:
    bench.broker.gate = gate = Deferred()  # type: ignore[attr-defined]
    done = Deferred.fromCoroutine(bench.gateway.errands.call("paper", CALL, "POST order()", "me"))
    bench.turn()
    bench.broker.stopService()
    bench.up()
    assert len(bench.gateway.state.errands) == 1
    gate.callback(None)
    bench.turn()
    assert outcome(done) == {"orderId": 7}
    assert errands(bench)[-1].outcome is DONE


def test_a_failure_of_ours_is_doubt_too(bench: Bench) -> None:
    bench.broker.does = "fail"  # type: ignore[attr-defined]
    with pytest.raises(Ambiguous):
        lever(bench)
    assert len(bench.gateway.state.errands) == 1


def test_changes_of_one_venue_go_one_after_another(bench: Bench) -> None:
    bench.broker.gate = gate = Deferred()  # type: ignore[attr-defined]
    work = [bench.gateway.errands.set_leverage("paper", "ACC", "IBM", D(each), "me") for each in (2, 3)]
    done = [Deferred.fromCoroutine(each) for each in work]
    bench.turn()
    assert len(bench.broker.changes) == 1  # type: ignore[attr-defined]
    gate.callback(None)
    bench.turn()
    assert [outcome(each) for each in done] == [None, None]
    assert [each[2] for each in bench.broker.changes] == [2, 3]  # type: ignore[attr-defined]


def test_a_refusal_lets_the_next_one_go(bench: Bench) -> None:
    bench.broker.does = "refuse"  # type: ignore[attr-defined]
    with pytest.raises(Refused):
        lever(bench)
    bench.broker.does = ""  # type: ignore[attr-defined]
    lever(bench, 3)
    assert bench.broker.margin == 3  # type: ignore[attr-defined]


def test_a_venue_that_is_down_is_sent_nothing(bench: Bench) -> None:
    bench.broker.stopService()
    bench.turn()
    assert bench.gateway.intake.status["paper"] is VenueStatus.DOWN
    with pytest.raises(Refused, match="is DOWN"):
        lever(bench)
    assert errands(bench) == []


def test_a_journal_that_fails_lets_nothing_out(bench: Bench) -> None:
    bench.journal.fail_with = OSError("disk full")
    with pytest.raises(Refused, match="disk full"):
        lever(bench)
    with pytest.raises(Refused, match="disk full"):
        bench.do(bench.gateway.errands.call("paper", CALL, "POST order()", "me"))
    bench.journal.fail_with = None
    bench.journal.sync()
    bench.turn()
    assert bench.broker.changes == []  # type: ignore[attr-defined]
    assert [type(each) for each in errands(bench)] == [ErrandBegun, ErrandEnded]
    assert errands(bench)[-1].outcome is REFUSED


def test_a_snapshot_keeps_what_has_not_ended(bench: Bench) -> None:
    bench.broker.does = "ignore"  # type: ignore[attr-defined]
    with pytest.raises(Ambiguous):
        lever(bench)
    state = bench.gateway.state
    loaded = State.load(state.dump())
    assert loaded.errands == state.errands
    assert list(loaded.dump()) == list(state.dump())
