"""What a venue says that cannot be: it spoils nothing of what is added up, and is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.brokers.conftest import Logged, logged
from tests.desk import Bench, D
from txgateway.model.events import Executed, VenueStatus, VenueStatusChanged
from txgateway.model.order import OrderStatus

__all__ = ["logged"]


@pytest.mark.parametrize(
    "wrong",
    [{"price": D("NaN")}, {"price": D("Infinity")}, {"quantity": D("NaN")}, {"quantity": D(-50)}, {"quantity": D(0)},
     {"commission": D("NaN")}, {"time": "naive"}],
)  # fmt: skip
def test_a_fill_that_cannot_be_is_said_once_and_not_counted(wrong: dict[str, Any], logged: Logged) -> None:
    bench = Bench().up()
    bench.broker.mode = "accept"
    order = bench.submit().order
    if "time" in wrong:
        wrong = {"time": bench.now().replace(tzinfo=None)}
    fill = bench.broker.fill(order, D(100))
    spoiled = replace(fill, **wrong)
    bench.broker.fills = [spoiled] if "time" not in wrong else []
    bench.broker.hold(order, filled_quantity=D(0))
    for _ in range(3):
        bench.broker.report(Executed(spoiled, bench.now()))
        bench.turn()
    bench.up()
    known = bench.gateway.state.order(order.order_id)
    assert known is not None
    assert (known.status, known.filled_quantity) == (OrderStatus.NEW, 0)
    assert not bench.gateway.state.positions.get("ACC")
    logged.expect("it is not taken in")
    bench.broker.fills = [fill]
    bench.broker.report(Executed(fill, bench.now()))
    bench.turn()
    known = bench.gateway.state.order(order.order_id)
    assert known is not None
    assert (known.status, known.average_price) == (OrderStatus.FILLED, 100)


def test_a_negative_price_is_one() -> None:
    bench = Bench().up()
    bench.broker.mode = "accept"
    order = bench.submit().order
    bench.broker.report(Executed(bench.broker.fill(order, D(100), "-37.63"), bench.now()))
    bench.turn()
    assert bench.gateway.state.positions["ACC"]["IBM"].average_price == D("-37.63")


def test_a_venue_that_calls_itself_up_is_reconciled_first() -> None:
    bench = Bench()
    bench.broker.report(VenueStatusChanged("paper", VenueStatus.CONNECTING, "", bench.now()))
    bench.broker.report(VenueStatusChanged("paper", VenueStatus.UP, "", bench.now()))
    assert bench.gateway.intake.status["paper"] is VenueStatus.RECONCILING
    bench.turn()
    assert bench.gateway.intake.status["paper"] is VenueStatus.UP
    assert "paper" in bench.gateway.intake.been_up
    assert "open_orders" in bench.broker.asked
    connects = bench.gateway.intake.connects["paper"]
    bench.broker.report(VenueStatusChanged("paper", VenueStatus.UP, "", bench.now()))
    bench.turn()
    assert (bench.gateway.intake.status["paper"], bench.gateway.intake.connects["paper"]) == (VenueStatus.UP, connects)
