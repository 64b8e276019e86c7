"""Cancel on disconnect: whose orders end when a connection has gone, when, and when not."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.desk import EVERYTHING, Bench, outcome, request
from txgateway.brokers import Can
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import LeaseEnded, LeaseLost, LeaseTaken, OrderAccepted, OrderCanceled
from txgateway.model.order import Order, OrderStatus, OrderType, Origin
from txgateway.state import State

S = OrderStatus


def desk(can: Can = EVERYTHING) -> Bench:
    bench = Bench()
    bench.broker.can = can
    bench.broker.mode = "accept"
    return bench.up()


def take(bench: Bench, seconds: float = 5.0, name: str = "", user: str = "me", holder: str = "A") -> str:
    return bench.gateway.leases.take(user, name, seconds, holder)


def lose(bench: Bench, lease: str, holder: str = "A") -> None:
    bench.gateway.leases.lost(lease, holder)
    bench.turn()


def send(bench: Bench, lease: str, **terms: Any) -> Order:
    rest: dict[str, Any] = {"order_type": OrderType.LIMIT, "limit_price": D(90), **terms}
    order: Order = bench.do(bench.gateway.submit(request(**rest), "me", Origin.STREAM, lease)).order
    return order


def status(bench: Bench, order: Order) -> OrderStatus:
    found = bench.gateway.state.order(order.order_id)
    assert found is not None
    return found.status


def run(bench: Bench, seconds: int) -> None:
    for _ in range(seconds):
        bench.turn(1)


def on_the_book(bench: Bench, *orders: Order) -> None:
    """Have the broker show these orders as working, as after a restart."""
    for at, order in enumerate(orders, 1):
        bench.broker.hold(order, broker_order_id=f"B{at}")


def events(bench: Bench, kind: type) -> list[Any]:
    return [each.event for each in bench.journal.records() if isinstance(each.event, kind)]


def test_the_orders_of_a_lost_lease_end_after_its_seconds_and_no_others() -> None:
    bench = desk()
    lease, other = take(bench), take(bench, user="you", holder="B")
    mine, unguarded, theirs = send(bench, lease), send(bench, ""), send(bench, other)
    lose(bench, lease)
    run(bench, 4)
    assert status(bench, mine) is S.NEW
    run(bench, 2)
    assert status(bench, mine) is S.CANCELED
    assert (status(bench, unguarded), status(bench, theirs)) == (S.NEW, S.NEW)
    ended = bench.gateway.state.order(mine.order_id)
    assert ended is not None
    assert (ended.reason, "has been gone for 5 s" in ended.text) == (Reason.DISCONNECTED, True)
    assert [each.lease for each in events(bench, LeaseEnded)] == [lease]
    assert list(bench.gateway.state.leases) == [other]


def test_a_lease_with_nothing_open_ends_with_its_connection() -> None:
    bench = desk()
    lease = take(bench, 86400.0)
    done = send(bench, lease)
    bench.do(bench.gateway.cancel(done.order_id, "me"))
    lose(bench, lease)
    assert bench.gateway.state.leases == {}
    with pytest.raises(Refused, match="was not sent"):
        send(bench, lease)


def test_with_no_seconds_the_orders_end_at_once() -> None:
    bench = desk()
    lease = take(bench, 0)
    order = send(bench, lease)
    lose(bench, lease)
    assert status(bench, order) is S.CANCELED


def test_a_new_connection_of_the_same_user_takes_a_lost_lease_up() -> None:
    bench = desk()
    lease = take(bench)
    order = send(bench, lease)
    lose(bench, lease)
    run(bench, 4)
    assert take(bench, user="you", holder="B") != lease
    assert take(bench, name="algo", holder="C") != lease
    assert take(bench, 60, holder="D") == lease
    run(bench, 30)
    assert status(bench, order) is S.NEW
    lose(bench, lease, "D")
    run(bench, 59)
    assert status(bench, order) is S.NEW
    run(bench, 2)
    assert status(bench, order) is S.CANCELED


def test_a_named_lease_is_taken_from_a_connection_that_only_seems_to_be_there() -> None:
    bench = desk()
    lease = take(bench, 0, "algo")
    order = send(bench, lease)
    assert take(bench, 0, "algo", holder="B") == lease
    lose(bench, lease, "A")
    run(bench, 5)
    assert status(bench, order) is S.NEW
    lose(bench, lease, "B")
    assert status(bench, order) is S.CANCELED


def test_two_connections_without_names_have_a_lease_each() -> None:
    bench = desk()
    first, second = take(bench, 0), take(bench, 0, holder="B")
    assert first != second
    orders = send(bench, first), send(bench, second)
    lose(bench, first)
    assert [status(bench, each) for each in orders] == [S.CANCELED, S.NEW]


def test_a_lease_is_changed_and_given_up_by_its_own_connection() -> None:
    bench = desk()
    leases = bench.gateway.leases
    lease = leases.hold("me", "", 5, "", "A")
    order = send(bench, lease)
    assert leases.hold("me", "other name", 60, lease, "A") == lease
    assert bench.gateway.state.leases[lease].seconds == 60
    assert leases.hold("me", "", None, lease, "B") == ""
    assert lease in bench.gateway.state.leases, "another's is not given up"
    assert leases.hold("me", "", None, lease, "A") == ""
    lose(bench, lease)
    run(bench, 70)
    assert status(bench, order) is S.NEW
    assert bench.gateway.state.leases == {}


def test_what_a_connection_sent_as_another_user_is_lost_with_that_user() -> None:
    bench = desk()
    leases = bench.gateway.leases
    first = leases.hold("me", "", 0, "", "A")
    order = send(bench, first)
    second = leases.hold("you", "", 0, first, "A")
    bench.turn()
    assert second != first
    assert status(bench, order) is S.CANCELED


@pytest.mark.parametrize("can", [EVERYTHING, ~Can(0)])
def test_tickets_are_open_orders_too(can: Can) -> None:
    bench = desk(can)
    lease = take(bench, 0)
    ticket = send(bench, lease, tag="t")
    assert ticket.status is S.STAGED
    lose(bench, lease)
    assert status(bench, ticket) is S.CANCELED


def test_an_order_that_was_on_its_way_when_its_lease_ended_is_not_sent() -> None:
    bench = desk()
    lease = take(bench, 0)
    instrument = bench.broker.instrument
    price: Deferred[None] = Deferred()

    async def slow(symbol: str) -> Any:
        await price
        return await instrument(symbol)

    bench.broker.instrument = slow  # type: ignore[method-assign]
    late = Deferred.fromCoroutine(bench.gateway.submit(request(client_order_id="k"), "me", Origin.STREAM, lease))
    lose(bench, lease)
    price.callback(None)
    bench.turn()
    with pytest.raises(Refused) as caught:
        outcome(late)
    assert caught.value.reason is Reason.DISCONNECTED
    assert bench.broker.sent == []
    bench.broker.instrument = instrument  # type: ignore[method-assign]
    assert send(bench, "", client_order_id="k").status is S.NEW, "its key is free: it was never sent"


def test_an_order_not_yet_on_disk_is_cancelled_too() -> None:
    bench = desk()
    lease = take(bench, 0)
    bench.turn()
    bench.journal.hold = True
    Deferred.fromCoroutine(bench.gateway.submit(request(client_order_id="k"), "me", Origin.STREAM, lease))
    bench.turn()
    lose(bench, lease)
    bench.journal.hold = False
    bench.journal.sync()
    run(bench, 2)
    order = bench.gateway.state.find_client("ACC", "k")
    assert order is not None
    assert order.status is S.CANCELED


def test_a_cancel_that_the_venue_cannot_take_now_is_sent_when_it_can() -> None:
    bench = desk()
    lease = take(bench)
    order = send(bench, lease)
    on_the_book(bench, order)
    bench.broker.stopService()
    lose(bench, lease)
    run(bench, 20)
    assert bench.broker.canceled == []
    assert take(bench, holder="B") != lease, "it is too late to take it up: its orders are being cancelled"
    bench.up()
    run(bench, 1)
    assert status(bench, order) is S.CANCELED


def test_a_cancel_without_an_answer_is_sent_again_ever_more_seldom() -> None:
    bench = desk()
    lease = take(bench, 0)
    order = send(bench, lease)
    bench.broker.mode = "mute"
    lose(bench, lease)
    run(bench, 100)
    assert len(bench.broker.canceled) == 6, "at 0, 3, 9, 21, 45 and 93 s"
    bench.gateway.report(OrderAccepted(order.order_id, "B1", bench.now()))
    bench.gateway.report(OrderCanceled(order.order_id, Reason.USER, "", bench.now()))
    run(bench, 1)
    assert bench.gateway.state.leases == {}
    assert bench.gateway.state.order(order.order_id).reason is Reason.DISCONNECTED  # type: ignore[union-attr]


def test_a_daemon_that_dies_takes_its_connections_with_it() -> None:
    bench = desk()
    lease, gone = take(bench, 5, "algo"), take(bench, 60, holder="B")
    order, other = send(bench, lease), send(bench, gone)
    on_the_book(bench, order, other)
    lose(bench, gone, "B")
    again = bench.restart()
    run(again, 30)
    assert again.broker.canceled == [], "not before the venue is UP"
    again.up()
    run(again, 4)
    assert status(again, order) is S.NEW
    run(again, 4)
    assert (status(again, order), status(again, other)) == (S.CANCELED, S.NEW)
    run(again, 60)
    assert status(again, other) is S.CANCELED
    assert again.gateway.state.leases == {}


def test_a_lease_is_taken_up_again_after_a_restart() -> None:
    bench = desk()
    lease = take(bench, 5, "algo")
    order = send(bench, lease)
    on_the_book(bench, order)
    again = bench.restart().up()
    run(again, 3)
    assert take(again, 5, "algo", holder="new") == lease
    run(again, 30)
    assert status(again, order) is S.NEW


def test_a_daemon_that_stops_in_order_cancels_nothing() -> None:
    bench = desk()
    lease = take(bench, 0)
    order = send(bench, lease)
    bench.gateway.stopping = True
    lose(bench, lease)
    run(bench, 5)
    assert status(bench, order) is S.NEW
    assert events(bench, LeaseLost) == []
    assert lease in bench.restart().gateway.state.leases


def test_leases_are_in_the_snapshot() -> None:
    bench = desk()
    lease, _ = take(bench), take(bench, 0.5, "algo", holder="B")
    order = send(bench, lease)
    lose(bench, lease)
    state = bench.gateway.state
    again = State.load(state.dump())
    assert again.leases == state.leases
    assert again.working[order.order_id].lease == lease
    assert list(again.dump()) == list(state.dump())
    assert len(events(bench, LeaseTaken)) == 2
