"""A house for each test, and no logged failure anywhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_twisted
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

if TYPE_CHECKING:
    from tests.servers.http.house import House


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


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged about HTTP calls, as people read it."""
    found: list[str] = []

    def watch(event: dict[str, Any]) -> None:
        text = formatEvent(event)
        if "HTTP" in text:
            found.append(text)

    globalLogPublisher.addObserver(watch)
    yield found
    globalLogPublisher.removeObserver(watch)


@pytest_twisted.async_yield_fixture()
async def build() -> AsyncIterator[Callable[..., Awaitable[House]]]:
    """Builds and opens houses; they are taken down after the test."""
    from twisted.internet import reactor

    from tests.servers.http.house import House

    houses: list[House] = []

    async def make(up: bool = True, **given: Any) -> House:
        house = House(reactor, **given)
        await house.open(up)
        houses.append(house)
        return house

    yield make
    for house in houses:
        await house.close()


@pytest_twisted.async_fixture()
async def house(build: Callable[..., Awaitable[House]]) -> House:
    """A house that is up."""
    return await build()
