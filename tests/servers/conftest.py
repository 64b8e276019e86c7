"""A house for each test, of the kind that the folder has, and no logged failure anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogLevel, formatEvent, globalLogPublisher


@pytest.fixture(autouse=True)
def logged_failures() -> Iterator[list[str]]:
    """Any failure in the log fails the test, unless the test takes it out."""
    failures: list[str] = []

    def watch(event: dict[str, Any]) -> None:
        if event.get("log_level", LogLevel.debug) >= LogLevel.error or event.get("log_failure") is not None:
            failures.append(f"{formatEvent(event)} {event.get('log_failure')}")

    globalLogPublisher.addObserver(watch)
    yield failures
    globalLogPublisher.removeObserver(watch)
    assert failures == []


@pytest_twisted.async_yield_fixture()
async def build(house_kind: Callable[..., Any]) -> AsyncIterator[Callable[..., Awaitable[Any]]]:
    """Builds and opens houses; they are taken down after the test."""
    from twisted.internet import reactor

    houses: list[Any] = []

    async def make(up: bool = True, **given: Any) -> Any:
        house = house_kind(reactor, **given)
        await house.open(up)
        houses.append(house)
        return house

    yield make
    for house in houses:
        await house.close()


@pytest_twisted.async_fixture()
async def house(build: Callable[..., Awaitable[Any]]) -> Any:
    """A house that is up."""
    return await build()
