"""What leaves when: paced, in one piece, cancels first, and never before their own orders."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.brokers.ib.conftest import Trials
from tests.brokers.ib.test_brackets import three
from tests.emulators.tws.control import Control
from txgateway.brokers.conformance.trial import Trial
from txgateway.brokers.ib.client import Inbox, PacedClient
from txgateway.model.events import OrderAccepted, OrderCanceled
from txgateway.model.order import Order


class Wire:
    """What a client writes, each write by itself."""

    transport = None

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def sendMsg(self, message: bytes) -> None:
        self.written.append(message)


def paced(clock: Clock, rate: int) -> tuple[PacedClient, Wire]:
    client, wire = PacedClient(Inbox(object(), "UTC"), clock, rate), Wire()
    client.conn = wire  # type: ignore[assignment]
    return client, wire


def test_what_is_joined_leaves_in_one_piece_when_there_is_room_for_all() -> None:
    clock = Clock()
    client, wire = paced(clock, 8)
    for number in range(4):
        client.sendMsg(f"3\0{number}\0")
    with client.joined():
        for number in range(4, 7):
            client.sendMsg(f"3\0{number}\0")
    client.sendMsg("3\x007\0")
    assert len(wire.written) == 4, "six orders a second leave, and there is room for two: three wait together"
    clock.advance(1.3)
    assert len(wire.written) == 6
    assert all(f"3\0{number}\0".encode() in wire.written[4] for number in (4, 5, 6))
    with suppress(ZeroDivisionError), client.joined():
        client.sendMsg("3\x008\0")
        raise ZeroDivisionError
    clock.advance(2)
    assert len(wire.written) == 6, "a bracket that could not be made whole is not sent"


def test_the_frames_in_one_write_are_whole_frames() -> None:
    client, wire = paced(Clock(), 45)
    with client.joined():
        client.sendMsg("3\x001\0")
        client.sendMsg("3\x002\0")
    (written,) = wire.written
    assert written == client._prefix(b"3\x001\0") + client._prefix(b"3\x002\0")


def place(client: PacedClient, *numbers: int) -> None:
    with client.joined():
        for number in numbers:
            client.sendMsg(f"3\0{number}\0")


def written(wire: Wire) -> list[str]:
    return [each[4:].decode() for each in wire.written]


def test_a_cancel_never_overtakes_its_own_order() -> None:
    clock = Clock()
    client, wire = paced(clock, 8)
    for number in range(1, 9):
        place(client, number)
    client.sendMsg("3\x008\0changed\0")
    client.sendMsg("4\x001\x008\0")
    client.sendMsg("4\x001\x001\0")
    clock.advance(1.3)
    assert written(wire)[6:10] == ["3\x008\0", "3\x008\0changed\0", "4\x001\x008\0", "4\x001\x001\0"]
    assert written(wire)[10:] == ["3\x007\0"]


def test_what_has_not_left_is_taken_back() -> None:
    clock = Clock()
    client, wire = paced(clock, 8)
    for number in range(1, 7):
        place(client, number)
    place(client, 7)
    place(client, 8, 9, 10)
    client.sendMsg("3\x001\0changed\0")
    assert not client.take_back(1), "it has left: what waits is a change"
    assert not client.take_back(9), "a child does not end its bracket"
    assert list(client.take_back(7)) == [7]
    assert list(client.take_back(8)) == [8, 9, 10]
    assert not client.take_back(8)
    clock.advance(1.3)
    assert written(wire)[6:] == ["3\x001\0changed\0"]


def known(tws: Control) -> set[str]:
    return {each["ref"] for each in tws.do_orders()}


def send(trial: Trial, orders: list[Order], answers: list[Any]) -> None:
    for order in orders:
        Deferred.fromCoroutine(trial.broker.submit(order)).addBoth(answers.append)


@pytest_twisted.ensureDeferred
async def test_no_more_messages_a_second_than_tws_takes_and_cancels_first(trials: Trials) -> None:
    trial = trials(rate=45)
    await trial.begin()
    first = await trial.rest()
    orders = [trial.order() for _ in range(60)]
    send(trial, orders, [])
    await trial.cancel(first)
    await trial.until(lambda: trial.events(first, OrderCanceled), "the cancel is not behind the orders")
    accepted = [order for order in orders if trial.events(order, OrderAccepted)]
    assert len(accepted) < 60
    await trial.until(lambda: all(trial.events(order, OrderAccepted) for order in orders), "all are accepted")


@pytest_twisted.ensureDeferred
async def test_an_order_that_waits_for_its_turn_ends_where_it_is(trials: Trials) -> None:
    """Its cancel must not reach TWS first, be refused there, and leave the order to work."""
    trial = trials(rate=45)
    await trial.begin()
    await trial.rest()
    orders, answers = [trial.order() for _ in range(60)], list[Any]()
    send(trial, orders, answers)
    last = orders[-1]
    await trial.cancel(last)
    assert len(trial.events(last, OrderCanceled)) == 1, "at once"
    await trial.until(lambda: len(answers) == 60, "all have an answer")
    await trial.still()
    assert answers == [None] * 60
    assert known(trial.subject.control).isdisjoint({last.order_id})
    assert len(trial.events(last, OrderCanceled)) == 1
    assert not trial.events(last, OrderAccepted)


@pytest.mark.parametrize("child", [False, True], ids=["its entry", "a child"])
@pytest_twisted.ensureDeferred
async def test_a_bracket_that_waits_for_its_turn(child: bool, trials: Trials) -> None:
    """Its entry takes it back whole; of a child that is canceled TWS must know first."""
    trial = trials(rate=45)
    await trial.begin()
    await trial.rest()
    send(trial, [trial.order() for _ in range(50)], [])
    bracket, answers = three(trial), list[Any]()
    Deferred.fromCoroutine(trial.broker.submit_bracket(bracket[0], bracket[1:])).addBoth(answers.append)
    await trial.cancel(bracket[1] if child else bracket[0])
    ended = bracket[1:] if child else bracket  # TWS cancels both of a group
    await trial.until(lambda: all(trial.events(each, OrderCanceled) for each in ended), "they are canceled")
    await trial.until(lambda: answers == [None], "it has an answer")
    names = {each.order_id for each in bracket}
    assert known(trial.subject.control) & names == (names if child else set())
