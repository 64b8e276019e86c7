"""A venue that is configured no more: what is known of it is told, can be ended, and holds nothing else up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.rooms.test_service import ME, settings
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import VenueStatus
from txgateway.model.order import OrderStatus
from txgateway.service import make_service

LIMIT = {"account": "ONE", "symbol": "IBM", "side": "BUY", "quantity": "1", "order_type": "LIMIT", "limit_price": "1"}


@asynccontextmanager
async def venues(folder: Path, *names: str) -> AsyncIterator[Any]:
    """A daemon of paper venues, each with an account of its own; all of them up."""
    toml = folder / "venues.toml"
    tables = (f'[venues.{name}]\nkind = "paper"\naccounts = ["{name.upper()}"]\n' for name in names)
    toml.write_text("".join(tables))
    given: list[Any] = [settings(folder, CONFIG=str(toml), RISK="price_collar=off"), reactor]
    service = make_service(*given)
    service.prepare()
    service.startService()
    try:
        while not all(service.gateway.intake.status[name] is VenueStatus.UP for name in names):
            await deferLater(reactor, 0.001)  # type: ignore[arg-type]
        yield service
    finally:
        await service.stopService()
    assert not service.failed


async def call(service: Any, name: str, **arguments: Any) -> Any:
    return await service.api.call(name, ME, arguments)


@pytest_twisted.ensureDeferred
async def test_a_venue_that_is_configured_no_more(tmp_path: Path) -> None:
    async with venues(tmp_path, "one", "two") as service:
        order = (await call(service, "submit_order", **LIMIT)).order
        ticket = (await call(service, "submit_order", **LIMIT, tag="desk")).order
        assert (order.status, ticket.status) == (OrderStatus.NEW, OrderStatus.STAGED)
    async with venues(tmp_path, "two") as service:
        state = service.gateway.state
        assert list(service.brokers) == ["two", "one"]
        shown = service.api.call("query_venues", ME, {})["one"]
        assert (shown.status, shown.kind, shown.can, shown.accounts) == (VenueStatus.DOWN, "none", (), ())
        assert "is configured no more" in shown.last_error
        doubted = state.working[order.order_id]
        assert (doubted.status, doubted.reason) == (OrderStatus.UNKNOWN, Reason.VENUE_DOWN)
        assert "resolve_order" in doubted.text
        service.gateway.tickets.watch()
        other = (await call(service, "submit_order", **{**LIMIT, "account": "TWO"})).order
        assert other.status is OrderStatus.NEW
        refused = (await call(service, "submit_order", **LIMIT)).order
        assert refused.reason is Reason.UNKNOWN_ACCOUNT
        with pytest.raises(Refused):
            await call(service, "replace_order", id=order.order_id, quantity="2")
        assert (await call(service, "cancel_order", id=order.order_id)).status is OrderStatus.UNKNOWN
        for each in (order, ticket):
            resolved = await call(service, "resolve_order", id=each.order_id, status="CANCELED", reason="it is gone")
            assert resolved.status is OrderStatus.CANCELED
        report = await call(service, "flatten", scope="gateway", reason="enough")
        assert report.flat
    async with venues(tmp_path, "two") as service:
        assert list(service.brokers) == ["two"], "nothing is known of it any more"


@pytest_twisted.ensureDeferred
async def test_a_venue_that_is_configured_again_says_what_became_of_its_orders(tmp_path: Path) -> None:
    async with venues(tmp_path, "one", "two") as service:
        order = (await call(service, "submit_order", **LIMIT)).order
        ticket = (await call(service, "submit_order", **LIMIT, tag="desk")).order
    async with venues(tmp_path, "two") as service:
        assert {each.status for each in service.gateway.state.working.values()} == {OrderStatus.UNKNOWN}
    async with venues(tmp_path, "one", "two") as service:
        working = service.gateway.state.working
        assert working[order.order_id].status is OrderStatus.NEW
        assert working[ticket.order_id].status is OrderStatus.STAGED
