"""Tickets: every kind of order can wait for a person, wherever it is held, and none waits for ever."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from tests.desk import EVERYTHING, Bench
from txgateway.brokers import Can
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import OrderExpired
from txgateway.model.order import Order, OrderStatus, OrderType, Side, TimeInForce
from txgateway.state import State
from txgateway.tickets import TicketRules

S = OrderStatus
PRICES: dict[OrderType, dict[str, D]] = {
    OrderType.MARKET: {},
    OrderType.LIMIT: {"limit_price": D(99)},
    OrderType.STOP: {"stop_price": D(101)},
    OrderType.STOP_LIMIT: {"stop_price": D(101), "limit_price": D(102)},
}


def desk(can: Can = EVERYTHING, **rules: Any) -> Bench:
    bench = Bench(tickets=TicketRules(**rules))
    bench.broker.can = can
    bench.broker.mode = "accept"
    return bench.up()


def stage(bench: Bench, **terms: Any) -> Order:
    ticket: Order = bench.submit(**{"tag": "t", **terms}).order
    assert ticket.status is S.STAGED
    return ticket


def now(bench: Bench, order: Order) -> Order:
    found: Order | None = bench.do(bench.gateway.history.find(order.order_id))
    assert found is not None
    return found


def held_by_broker(bench: Bench, order: Order) -> None:
    """Have the broker show the ticket that it holds, as after a restart."""
    bench.broker.hold(order, S.STAGED, broker_order_id="B1")


@pytest.mark.parametrize("time_in_force", TimeInForce)
@pytest.mark.parametrize("order_type", OrderType)
def test_the_gateway_holds_a_ticket_of_every_kind(order_type: OrderType, time_in_force: TimeInForce) -> None:
    bench = desk()
    terms = {"order_type": order_type, "time_in_force": time_in_force, "side": Side.SELL, **PRICES[order_type]}
    ticket = stage(bench, **terms, client_order_id="k")
    assert bench.broker.sent == []
    again = bench.restart().up()
    assert again.submit(**terms, tag="t", client_order_id="k").replayed
    assert now(again, ticket) == ticket, "a reconciliation leaves what the broker never had"
    order = again.do(again.gateway.approve(ticket.order_id, "boss"))
    assert order.status is S.NEW
    [sent] = again.broker.sent
    shown = (sent.order_type, sent.time_in_force, sent.side, sent.limit_price, sent.stop_price)
    prices = PRICES[order_type]
    assert shown == (order_type, time_in_force, Side.SELL, prices.get("limit_price"), prices.get("stop_price"))
    other = stage(again, **terms)
    assert again.do(again.gateway.reject(other.order_id, "no", "boss")).reason is Reason.TICKET_REJECTED
    assert len(again.broker.sent) == 1


def test_a_ticket_that_breaks_a_rule_is_refused_when_it_is_staged() -> None:
    bench = desk()
    order = bench.submit(tag="t", order_type=OrderType.LIMIT, limit_price=D("1.001")).order
    assert (order.status, order.reason) == (S.DENIED, Reason.BAD_TICK)
    assert bench.gateway.state.tickets == set()


def test_a_ticket_is_checked_again_when_it_is_approved() -> None:
    bench = desk()
    ticket = stage(bench)
    bench.broker.can = EVERYTHING & ~Can.MARKET
    with pytest.raises(Refused) as caught:
        bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    assert caught.value.reason is Reason.UNSUPPORTED
    bench.broker.stopService()
    with pytest.raises(Refused) as caught:
        bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    assert caught.value.reason is Reason.VENUE_DOWN
    assert now(bench, ticket).status is S.STAGED


def test_a_ticket_expires_after_so_many_seconds() -> None:
    bench = desk(seconds=60)
    early, late = stage(bench), stage(bench, time_in_force=TimeInForce.GTC)
    bench.turn(59)
    assert bench.do(bench.gateway.approve(early.order_id, "boss")).status is S.NEW
    again = bench.restart()
    again.clock.advance(61)
    again.turn(1)
    expired = now(again, late)
    assert expired.status is S.EXPIRED
    assert [each.event for each in expired.updates] == ["OrderSubmitted", "OrderExpired"]
    assert "within 60 s" in expired.updates[-1].text
    assert again.gateway.state.tickets == set()
    assert now(again, early).status is not S.EXPIRED, "what was approved is an order like any other"


def test_a_ticket_is_not_approved_in_the_moment_before_its_end_is_noticed() -> None:
    bench = desk(seconds=60)
    ticket = stage(bench)
    bench.clock.rightNow += 60.5
    with pytest.raises(Refused, match="within 60 s") as caught:
        bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    assert caught.value.reason is Reason.TICKET_EXPIRED
    assert now(bench, ticket).status is S.EXPIRED
    assert bench.broker.sent == []


def test_a_ticket_for_the_day_ends_with_the_day_and_a_gtc_one_waits_on() -> None:
    bench = desk()
    tickets = {each: stage(bench, time_in_force=each) for each in (TimeInForce.DAY, TimeInForce.IOC, TimeInForce.GTC)}
    bench.turn(3600)
    assert bench.gateway.state.tickets == {each.order_id for each in tickets.values()}
    bench.turn(86400)
    bench.turn(1)
    assert bench.gateway.state.tickets == {tickets[TimeInForce.GTC].order_id}
    ended = now(bench, tickets[TimeInForce.DAY])
    assert (ended.status, "trading day, 2026-03-02" in ended.updates[-1].text) == (S.EXPIRED, True)
    assert bench.do(bench.gateway.approve(tickets[TimeInForce.GTC].order_id, "boss")).status is S.NEW


def test_a_broker_that_holds_a_ticket_is_asked_to_end_it() -> None:
    bench = desk(~Can(0), seconds=60)
    ticket = stage(bench)
    bench.turn(61)
    assert [each.order_id for each in bench.broker.canceled] == [ticket.order_id]
    ended = now(bench, ticket)
    assert (ended.status, ended.reason) == (S.CANCELED, Reason.TICKET_EXPIRED)


def test_a_broker_that_does_not_answer_or_is_away_is_asked_again() -> None:
    bench = desk(~Can(0), seconds=60)
    ticket = stage(bench)
    held_by_broker(bench, ticket)
    bench.broker.mode = "mute"
    for _ in range(125):
        bench.turn(1)
    assert [each.order_id for each in bench.broker.canceled] == [ticket.order_id] * 2
    with pytest.raises(Refused, match="within 60 s"):
        bench.do(bench.gateway.approve(ticket.order_id, "boss"))
    bench.broker.stopService()
    for _ in range(100):
        bench.turn(1)
    assert len(bench.broker.canceled) == 2
    bench.broker.mode = "accept"
    bench.up()
    bench.turn(1)
    assert now(bench, ticket).status is S.CANCELED


def test_four_eyes() -> None:
    bench = desk(four_eyes=True)
    ticket = stage(bench)
    with pytest.raises(Refused, match="me sent ticket") as caught:
        bench.do(bench.gateway.approve(ticket.order_id, "me"))
    assert caught.value.reason is Reason.FOUR_EYES
    assert bench.do(bench.gateway.approve(ticket.order_id, "boss")).status is S.NEW
    other = stage(bench)
    assert bench.do(bench.gateway.reject(other.order_id, "", "me")).status is S.CANCELED


def test_what_waits_is_known_after_a_snapshot_and_a_replay() -> None:
    bench = desk(seconds=60)
    stage(bench)
    gone, kept = stage(bench), stage(bench)
    bench.do(bench.gateway.reject(gone.order_id, "", "boss"))
    state = bench.gateway.state
    assert len(state.tickets) == 2
    assert kept.order_id in state.tickets
    assert State.load(state.dump()).tickets == bench.restart().gateway.state.tickets == state.tickets


def test_a_ticket_that_expired_is_a_record() -> None:
    bench = desk(seconds=1)
    stage(bench)
    bench.turn(2)
    [record] = [each for each in bench.journal.records() if isinstance(each.event, OrderExpired)]
    assert record.event.time - bench.now() < timedelta(seconds=1)
