"""The house of the tests here, and what it logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from twisted.logger import formatEvent, globalLogPublisher

if TYPE_CHECKING:
    from tests.servers.http.house import House


@pytest.fixture
def house_kind() -> type[House]:
    """What is built here."""
    from tests.servers.http.house import House

    return House


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
