"""Integrations: their life by what senders say, in whatever order it comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest

from tests.desk import outcome
from tests.signals.house import House
from tests.signals.test_proquant import STRATEGY, event
from tests.signals.test_proquant_desk import DONE, SOURCE, At, body, house
from txgateway.integrations import KEPT, Integrations
from txgateway.model.events import IntegrationChanged
from txgateway.model.integration import Integration, Step
from txgateway.state import State

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def changed(step: Step, sent: int | None = None, **more: Any) -> IntegrationChanged:
    said = None if sent is None else NOW + timedelta(seconds=sent)
    values: dict[str, Any] = {"source": "pq", "account": "ACC", "name": "me", "time": NOW, "sent": said, **more}
    return IntegrationChanged(step=step, **values)


def folded(*events: IntegrationChanged) -> Integration:
    fold = Integrations()
    for each in events:
        fold.take(each)
    (found,) = fold.dump()
    again = Integrations()
    again.load(msgspec.json.encode(found))
    assert again.known == fold.known
    return found


@pytest.mark.parametrize(
    ("steps", "last"),
    [
        ([Step.ASKED], Step.ASKED),
        ([Step.ASKED, Step.FAILED], Step.FAILED),
        ([Step.ASKED, Step.REQUESTED], Step.REQUESTED),
        ([Step.ASKED, Step.APPROVED, Step.REQUESTED], Step.APPROVED),
        ([Step.ASKED, Step.REQUESTED, Step.REJECTED], Step.REJECTED),
        ([Step.ASKED, Step.REQUESTED, Step.APPROVED, Step.DELETED], Step.DELETED),
        ([Step.ASKED, Step.REQUESTED, Step.REJECTED, Step.ASKED], Step.ASKED),
        ([Step.ENABLED], Step.APPROVED),
    ],
)
def test_the_steps_of_a_life(steps: list[Step], last: Step) -> None:
    assert folded(*(changed(each) for each in steps)).step is last


def test_by_the_sender_s_clock_the_later_word_stands() -> None:
    life = [changed(Step.APPROVED, 1), changed(Step.REJECTED, 2), changed(Step.DELETED, 3)]
    for order in permutations(life):
        assert folded(*order).step is Step.DELETED
    told = [changed(Step.ENABLED, 1, strategy="s"), changed(Step.DISABLED, 2, strategy="s")]
    for both in permutations(told):
        assert not folded(*both).strategies["s"].enabled


def test_a_clock_of_the_sender_that_is_late_does_not_hide_an_approval() -> None:
    assert folded(changed(Step.ASKED), changed(Step.REQUESTED), changed(Step.APPROVED, -3600)).step is Step.APPROVED


def test_who_is_deleted_has_no_strategies_and_a_warning_stays() -> None:
    life = [changed(Step.ENABLED, 1, strategy="s"), changed(Step.ENDING, text="Soon."), changed(Step.DELETED, 2)]
    found = folded(*life)
    assert (found.strategies, found.warning) == ({}, "Soon.")
    assert folded(*life, changed(Step.ENDING)).warning == ""


def test_they_are_bounded() -> None:
    fold = Integrations()
    for at in range(KEPT + 5):
        fold.take(changed(Step.APPROVED, name=f"n{at}"))
    for at in range(KEPT + 5):
        fold.take(changed(Step.ENABLED, name="n1004", strategy=f"s{at}"))
    assert len(fold.known) == KEPT
    assert len(fold.known["pq", "n1004"].strategies) == KEPT


# ---------------------------------------------------------------- at the desk


def send(at: House, message: dict[str, Any]) -> None:
    done = at.begin("pq", **message)
    at.bench.turn()
    assert outcome(done) == DONE


def tell(at: House, kind: str, data: Any = None) -> None:
    send(at, {"v1": {"deprecation": None, "event": event(kind, data, timestamp=At.next())}})


def test_what_the_user_does_is_on_record_and_survives_a_restart() -> None:
    at = house()
    tell(at, "INTEGRATION_APPROVED")
    tell(at, "STRATEGY_ENABLED", STRATEGY)
    tell(at, "STRATEGY_ENABLED", {"id": "other", "name": "Other"})
    tell(at, "STRATEGY_DISABLED", {"id": "other"})
    for each in (at, at.restart()):
        state = each.bench.gateway.state
        (found,) = state.integrations.of("pq")
        assert (found.name, found.step) == ("someone@foo.bar", Step.APPROVED)
        shown = [(one.name, one.enabled) for one in found.strategies.values()]
        assert shown == [("Gold High-Risk", True), ("Other", False)]
        assert State.load(state.dump()).integrations == state.integrations
    assert at.sent == []


def test_the_end_of_a_version_is_on_record_once_and_taken_back_once() -> None:
    at = house()
    for deprecation in (None, "2030-01-01T00:00:00.000Z", "2030-01-01T00:00:00.000Z", None, None):
        message = body("SIGNAL_CLOSE")
        message["v1"]["deprecation"] = deprecation
        done = at.begin("pq", **message)
        at.bench.turn()
        assert outcome(done).status == 400  # nothing to close; what is ending is heard all the same
    records = [each.event for each in at.bench.journal.records(0) if isinstance(each.event, IntegrationChanged)]
    assert [each.text.partition(" on ")[2] for each in records] == ["'2030-01-01': update the gateway before.", ""]
    assert at.bench.gateway.state.integrations.warning("pq") == ""


def test_sources_do_not_share_their_integrations() -> None:
    at = House(SOURCE, replace(SOURCE, name="other"), languages=house().languages).up()
    tell(at, "INTEGRATION_APPROVED")
    done = at.begin("other", v1={"event": event("INTEGRATION_REJECTED", timestamp=At.next())})
    at.bench.turn()
    outcome(done)
    integrations = at.bench.gateway.state.integrations
    assert [each.step for each in integrations.of("pq")] == [Step.APPROVED]
    assert [each.step for each in integrations.of("other")] == [Step.REJECTED]
