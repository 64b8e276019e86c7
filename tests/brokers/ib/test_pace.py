"""What leaves when: paced, in one piece, cancels first, and never before their own orders."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.brokers.ib.conftest import Trials
from tests.brokers.ib.test_brackets import three
from tests.emulators.tws.control import Control
from txgateway.brokers.conformance.trial import Trial
from txgateway.brokers.ib import session
from txgateway.brokers.ib.client import Inbox, Late, PacedClient
from txgateway.brokers.ib.lanes import Piece, Urgency
from txgateway.model.errors import Refused, Unsupported
from txgateway.model.events import OrderAccepted, OrderCanceled
from txgateway.model.order import Order, Origin


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


def place(client: PacedClient, *keys: str, urgency: Urgency = Urgency.ORDER, until: float | None = None) -> Piece:
    """New orders; the numbers that they leave with are their places among all that left before."""

    def write() -> None:
        for key in keys:
            client.sendMsg(f"3\0{key}\0")

    return client.put(Piece(urgency, write, keys, len(keys), places=True, until=until))


def change(client: PacedClient, key: str) -> None:
    client.put(Piece(Urgency.ORDER, lambda: client.sendMsg(f"3\0{key}\0changed\0"), [key]))


def cancel(client: PacedClient, key: str) -> None:
    client.end(key, lambda: client.sendMsg(f"4\x001\0{key}\0"))


def ask(client: PacedClient, name: str) -> Piece:
    return client.put(Piece(Urgency.QUESTION, lambda: client.sendMsg(f"7\0{name}\0")))


def written(wire: Wire) -> list[str]:
    return [each[4:].decode() for each in wire.written]


def test_what_is_joined_leaves_in_one_piece_when_there_is_room_for_all() -> None:
    clock = Clock()
    client, wire = paced(clock, 8)
    for number in range(4):
        place(client, f"{number}")
    place(client, "4", "5", "6")
    place(client, "7")
    assert len(wire.written) == 4, "six orders a second leave, and there is room for two: three wait together"
    clock.advance(1.3)
    assert len(wire.written) == 6
    assert all(f"3\0{number}\0".encode() in wire.written[4] for number in (4, 5, 6))

    def broken() -> None:
        client.sendMsg("3\x008\0")
        raise ZeroDivisionError

    failed: list[Any] = []
    client.put(Piece(Urgency.ORDER, broken, ["8"])).done.addErrback(failed.append)
    clock.advance(2)
    assert len(wire.written) == 6, "a bracket that could not be made whole is not sent"
    assert [each.check(ZeroDivisionError) for each in failed] == [ZeroDivisionError]


def test_the_frames_in_one_write_are_whole_frames() -> None:
    client, wire = paced(Clock(), 45)
    place(client, "1", "2")
    (together,) = wire.written
    assert together == client._prefix(b"3\x001\0") + client._prefix(b"3\x002\0")


def test_a_cancel_never_overtakes_its_own_order() -> None:
    clock = Clock()
    client, wire = paced(clock, 8)
    for number in range(1, 9):
        place(client, f"{number}")
    change(client, "8")
    for _ in range(3):
        cancel(client, "8")
    cancel(client, "1")
    clock.advance(1.3)
    first = written(wire)[6:]
    assert first[:4] == ["4\x001\x001\0", "3\x008\0", "3\x008\0changed\0", "4\x001\x008\0"] or first[:4] == [
        "3\x008\0",
        "3\x008\0changed\0",
        "4\x001\x008\0",
        "4\x001\x001\0",
    ]
    assert first[4:] == ["3\x007\0"], "and of one order one cancel is enough"


def test_what_has_not_left_is_taken_back() -> None:
    clock = Clock()
    client, wire = paced(clock, 8)
    for number in range(1, 7):
        place(client, f"{number}")
    place(client, "7")
    place(client, "8", "9", "10")
    change(client, "1")
    assert client.take_back("1") is None, "it has left: what waits is a change"
    assert client.take_back("9") is None, "a child does not end its bracket"
    for key, keys in (("7", ("7",)), ("8", ("8", "9", "10"))):
        piece = client.take_back(key)
        assert piece is not None
        assert piece.keys == keys
    assert client.take_back("8") is None
    clock.advance(1.3)
    assert written(wire)[6:] == ["3\x001\0changed\0"]


def test_a_cancel_may_leave_while_orders_wait_for_their_turn() -> None:
    client, wire = paced(Clock(), 45)
    for number in range(100):
        place(client, f"{number}")
    assert len(wire.written) == 43
    cancel(client, "1")
    assert written(wire)[43:] == ["4\x001\x001\0"], "two of a second are left free for it"


def test_what_closes_and_what_is_asked_does_not_wait_behind_a_long_row_of_cancels() -> None:
    clock = Clock()
    client, wire = paced(clock, 45)
    for number in range(600):
        cancel(client, f"{number}")
    for number in range(600):
        place(client, f"new {number}")
    asked = [ask(client, f"{number}") for number in range(5)]
    closing = place(client, "closing", urgency=Urgency.CLOSE)
    assert not closing.left
    clock.advance(1.25)
    assert closing.left
    assert all(each.left for each in asked)
    sent = written(wire)[45:]
    assert sent[0] == "3\0closing\0"
    clock.pump([0.05] * 100)
    kinds = [each[:1] for each in written(wire)[45:]]
    assert kinds.count("3") > 20, "nothing starves"
    assert kinds.count("4") > 3 * kinds.count("3")


def test_a_bracket_finds_room_in_a_long_row_of_cancels() -> None:
    clock = Clock()
    client, _ = paced(clock, 45)
    for number in range(600):
        cancel(client, f"{number}")
        clock.advance(0.001)
    bracket = place(client, "1", "2", "3")
    clock.pump([0.001] * 2600)
    assert bracket.left


def test_what_waited_too_long_is_not_sent() -> None:
    clock = Clock()
    client, wire = paced(clock, 8)
    late: list[Any] = []
    for number in range(100):
        place(client, f"{number}", until=clock.seconds() + 5).done.addErrback(late.append)
    change(client, "99")
    clock.pump([0.25] * 200)
    assert len(late) + len(wire.written) == 101
    assert len(late) == 76
    assert all(each.check(Late) for each in late)
    assert written(wire)[-1] == "3\x0099\0changed\0"


def test_what_is_canceled_is_never_too_late() -> None:
    """A bracket of which a child is canceled must not leave after it was given up, nor the cancel alone."""
    clock = Clock()
    client, wire = paced(clock, 8)
    for number in range(100):
        place(client, f"{number}", until=5).done.addErrback(lambda _: None)
    place(client, "entry", "child", until=5)
    cancel(client, "child")
    clock.pump([0.25] * 100)
    sent = written(wire)
    assert any("3\0child" in each for each in sent)
    assert next(n for n, each in enumerate(sent) if "3\0child" in each) < sent.index("4\x001\0child\0")


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


@pytest_twisted.ensureDeferred
async def test_an_order_that_had_no_turn_is_refused_and_never_sent(
    trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "TURN_SECONDS", 0.5)
    trial = trials(rate=45)
    await trial.begin()
    await trial.rest()
    orders = [trial.order() for _ in range(60)]
    answers: dict[str, Any] = {}
    for order in orders:
        work = Deferred.fromCoroutine(trial.broker.submit(order))
        work.addBoth(lambda answer, name=order.order_id: answers.__setitem__(name, answer))
    last = orders[-1]
    with pytest.raises(Unsupported, match="waits here for its turn"):
        await trial.ask(trial.broker.lookup(last))
    await trial.until(lambda: len(answers) == 60, "all have an answer")
    refused = {name for name, answer in answers.items() if answer is not None}
    assert last.order_id in refused
    assert len(refused) < 60
    assert all(answers[name].check(Refused) for name in refused), "definite: no doubt"
    assert "was not sent" in answers[last.order_id].getErrorMessage()
    await trial.still()
    assert known(trial.subject.control).isdisjoint(refused)


@pytest_twisted.ensureDeferred
async def test_what_closes_overtakes_orders_and_all_are_taken(trials: Trials) -> None:
    """TWS refuses (103) a number below those that it has seen: numbers are those of the order of leaving."""
    trial = trials(rate=45)
    await trial.begin()
    await trial.rest()
    orders, answers = [trial.order() for _ in range(60)], list[Any]()
    send(trial, orders, answers)
    closing = trial.order(origin=Origin.FLATTEN)
    await trial.broker.submit(closing)
    assert not all(trial.events(order, OrderAccepted) for order in orders)
    await trial.until(lambda: all(trial.events(each, OrderAccepted) for each in [*orders, closing]), "all are accepted")
    assert answers == [None] * 60


@pytest_twisted.ensureDeferred
async def test_an_order_that_waits_when_the_link_breaks_was_surely_not_sent(trials: Trials) -> None:
    trial = trials(rate=45)
    await trial.begin()
    await trial.rest()
    orders, answers = [trial.order() for _ in range(60)], list[Any]()
    send(trial, orders, answers)
    trial.subject.control.do_drop()
    await trial.until(lambda: len(answers) == 60, "all have an answer")
    refused = [each for each in answers if each is not None and each.check(Refused)]
    assert len(refused) >= 15
    assert all("Nothing was done" in each.getErrorMessage() for each in refused)
    trial.subject.control.do_clear()
    await trial.until(lambda: trial.broker._session is not None and trial.broker._session.ready, "it is back")
    sent = 60 - len(refused)
    assert len(known(trial.subject.control)) - 1 <= sent
