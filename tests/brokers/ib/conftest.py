"""Trials of the tws broker on an emulated TWS of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.emulators.tws.control import Control
from txgateway.brokers.conformance.trial import Trial

Trials = Callable[..., Trial]


@pytest_twisted.async_yield_fixture
async def trials(tmp_path: Path) -> AsyncIterator[Trials]:
    """Makes trials that have not begun yet, with a clock and options of their subject; all are ended."""
    from tests.brokers.ib.subject import Tws  # it takes the reactor that pytest-twisted has installed by then

    made: list[Trial] = []

    def make(clock: Callable[[], datetime] | None = None, **options: Any) -> Trial:
        subject = Tws(tmp_path, **options)
        subject.clock = clock or subject.clock
        made.append(Trial(subject))
        return made[-1]

    yield make
    for each in made:
        await each.end()


@pytest_twisted.async_fixture
async def trial(trials: Trials) -> Trial:
    """One that has begun: the broker may be asked."""
    made = trials()
    await made.begin()
    return made


@pytest.fixture
def tws(trial: Trial) -> Control:
    """Its emulated TWS."""
    control: Control = trial.subject.control
    return control


async def begin_anew(trial: Trial) -> None:
    """The broker ends, and another on the same files begins, which has been told nothing."""
    await trial.stop()
    told: list[Any] = []
    trial.broker, trial.told = trial.subject.make(told.append), told
    await trial.begin()
