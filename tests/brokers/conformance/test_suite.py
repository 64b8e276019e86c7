"""The suite itself: an honest broker passes, and each rule, broken, is found by its case."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest

from tests.brokers.conformance.little import Little, LittleSubject
from tests.brokers.conformance.wrong import WRONG
from tests.brokers.conformance.wrong_under_faults import FAULTY_WRONG
from tests.brokers.contract import Paper, check
from txgateway.brokers import Can
from txgateway.brokers.conformance import Broken, Case, Subject, cases
from txgateway.brokers.paper import PaperBroker
from txgateway.model.events import Executed
from txgateway.model.execution import Execution
from txgateway.model.fault import Fault, FaultKind

ALL = cases(~Can(0))
BY_NUMBER = {case.number: case for case in ALL}
FAULTY = [case for case in ALL if 100 < case.number < 120]
LITTLE = [case for case in cases(Little.can) if case not in FAULTY]


@pytest.mark.parametrize("case", LITTLE, ids=str)
def test_an_honest_broker_passes(case: Case, tmp_path: Path) -> None:
    check(case, LittleSubject(tmp_path))


class Unnamed(Little):
    """Its counterparty takes no id of ours: fills and orders have its own alone."""

    can = Little.can & ~(Can.CLIENT_ORDER_ID | Can.LOOKUP)

    def tell(self, event: Any) -> None:
        super().tell(replace(event, execution=_unnamed(event.execution)) if isinstance(event, Executed) else event)

    async def executions(self, since: Any) -> Any:
        return [_unnamed(each) for each in await super().executions(since)]

    async def open_orders(self) -> Any:
        return [replace(each, order_id=None) for each in await super().open_orders()]


def _unnamed(fill: Execution) -> Execution:
    return replace(fill, order_id="")


@pytest.mark.parametrize("case", [case for case in cases(Unnamed.can) if case not in FAULTY], ids=str)
def test_one_without_our_ids_passes(case: Case, tmp_path: Path) -> None:
    check(case, LittleSubject(tmp_path, Unnamed))


@pytest.mark.parametrize(("number", "kind"), WRONG, ids=lambda value: getattr(value, "__name__", f"C{value}"))
def test_a_wrong_one_fails(number: int, kind: type[Little], tmp_path: Path) -> None:
    case = BY_NUMBER[number]
    with pytest.raises(Broken) as caught:
        check(case, LittleSubject(tmp_path, kind))
    assert case.sentence in str(caught.value)
    assert str(caught.value).startswith(f"C{number:02}-")


def test_each_rule_was_broken() -> None:
    assert {number for number, _ in WRONG} == {case.number for case in LITTLE}


def test_each_fault_has_its_case() -> None:
    assert len(FAULTY) == len(FaultKind)


class Deaf(PaperBroker):
    """Claims faults and has none."""

    def set_fault(self, fault: Fault) -> None:
        pass


@pytest.mark.parametrize("case", FAULTY, ids=str)
def test_a_fault_that_does_not_happen_is_found(case: Case, tmp_path: Path) -> None:
    subject = Paper(tmp_path)
    subject.kind, subject.patience = Deaf, 100
    with pytest.raises(Broken):
        check(case, subject)


@pytest.mark.parametrize("case", FAULTY, ids=str)
def test_who_cannot_inject_skips(case: Case, tmp_path: Path) -> None:
    with pytest.raises(SkipTest):
        check(case, LittleSubject(tmp_path))


class Unskilled(LittleSubject):
    """Has no hand in its counterparty, and names no endpoint."""

    fill = Subject.fill
    endpoint = None


def test_who_cannot_fill_skips(tmp_path: Path) -> None:
    with pytest.raises(SkipTest):
        check(BY_NUMBER[52], Unskilled(tmp_path))


def test_who_names_no_endpoint_skips(tmp_path: Path) -> None:
    with pytest.raises(SkipTest):
        check(BY_NUMBER[129], Unskilled(tmp_path))


@pytest.mark.parametrize(("number", "kind"), FAULTY_WRONG, ids=lambda value: getattr(value, "__name__", f"C{value}"))
def test_what_takes_a_fault_wrongly_fails(number: int, kind: type[PaperBroker], tmp_path: Path) -> None:
    subject = Paper(tmp_path)
    subject.kind, subject.patience = kind, 100
    with pytest.raises(Broken, match=f"^C{number}-"):
        check(BY_NUMBER[number], subject)


def test_each_fault_was_taken_wrongly() -> None:
    assert {number for number, _ in FAULTY_WRONG} == {case.number for case in FAULTY}


def test_cases_are_those_of_the_flags() -> None:
    few = cases(Can.LIMIT | Can.DAY)
    assert {case.needs for case in few} <= {Can(0), Can.LIMIT, Can.LIMIT | Can.DAY}
    assert [case.number for case in cases(Can(0))] == [1, 2, 3, 4, 7, 8, 9, 32, 67, 68, 80, 81, 82, 85, 86]
    numbers: Sequence[int] = [case.number for case in ALL]
    assert numbers == sorted(set(numbers))


def test_every_case_has_its_sentence() -> None:
    assert [str(case) for case in ALL if not case.sentence.endswith(".") or len(case.sentence) < 60] == []
    assert len({case.name for case in ALL}) == len(ALL)


def test_it_needs_nothing_of_the_tests_and_no_pytest() -> None:
    code = (
        "import sys, txgateway.brokers.conformance as suite; assert len(suite.cases()) > 80;"
        "assert not [name for name in sys.modules if name.partition('.')[0] in ('tests', 'pytest')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
