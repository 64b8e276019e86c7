"""The house of the tests here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.stream.house import House


@pytest.fixture
def house_kind() -> type[House]:
    """What is built here."""
    from tests.servers.stream.house import House

    return House
