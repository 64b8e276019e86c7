"""What the conformance suite does not ask: accounts, routes, tickets by hand, silence, throttling, odd lines."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from tests.brokers.rtx.subject import ACCOUNT, Rtx
from tests.emulators.rtgw.orders import Account
from txgateway.brokers.conformance import Trial
from txgateway.brokers.rtx import quotes
from txgateway.brokers.rtx.pool import Pool, Urgency
from txgateway.brokers.rtx.protocol import Ack, Response, Status, poke, request
from txgateway.brokers.rtx.throttle import Throttle
from txgateway.model.errors import Ambiguous, GatewayError, Reason, Refused, Unsupported
from txgateway.model.events import Executed, OrderAccepted, OrderCanceled, VenueError, VenueStatus
from txgateway.model.market import Quote
from txgateway.model.order import Order, OrderStatus, OrderType, Origin

OTHER = "EMU.TEST.DESK.TWO"


def trying(folder: Path, **options: Any) -> tuple[Rtx, Trial]:
    subject = Rtx(folder, **options)
    return subject, Trial(subject)


def errors(trial: Trial) -> list[str]:
    return [each.text for each in trial.told if isinstance(each, VenueError)]


@pytest_twisted.ensureDeferred
async def test_the_accounts_are_the_logins_or_those_configured(tmp_path: Path) -> None:
    for options, wanted in (
        ({}, [ACCOUNT, OTHER]),
        ({"accounts": [OTHER]}, [OTHER]),
        ({"accounts": ACCOUNT}, [ACCOUNT, OTHER]),
    ):
        _, trial = trying(tmp_path, **options)
        broker = await trial.begin()
        assert list(broker.accounts()) == wanted
        await trial.end()


@pytest_twisted.ensureDeferred
async def test_without_its_accounts_it_does_not_come_up(tmp_path: Path) -> None:
    _, trial = trying(tmp_path, accounts=["NO.SUCH.ACCOUNT.HERE"])
    trial.broker.startService()
    await trial.until(lambda: any("none of the configured accounts" in each for each in errors(trial)), "it says so")
    assert trial.statuses() == [VenueStatus.CONNECTING]
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_a_ticket_worked_by_hand_is_filled_once(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path)
    await trial.begin()
    ticket = await trial.submit(trial.order(OrderType.MARKET, tag="by hand"))
    subject.control.do_work(ticket.order_id, 4)
    subject.control.do_work(ticket.order_id, 6)
    await trial.until(lambda: trial.filled(ticket) == ticket.quantity, "it is filled")
    await trial.still()
    assert trial.filled(ticket) == ticket.quantity
    assert not [each for each in trial.told if isinstance(each, Executed) and each.order_id != ticket.order_id]
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_a_release_that_is_refused_leaves_the_ticket_waiting_for_another(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path)
    broker = await trial.begin()
    ticket = await trial.submit(trial.order(OrderType.MARKET, tag="twice"))
    subject.control.do_fault("rejected_order")
    with pytest.raises(Refused, match="release of ticket"):
        await broker.release(ticket)
    report = await broker.lookup(ticket)
    assert report is not None
    assert report.status is OrderStatus.STAGED
    await broker.release(ticket)
    await trial.until(lambda: trial.filled(ticket) == ticket.quantity, "it is filled")
    with pytest.raises(GatewayError):
        await broker.release(ticket)
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_a_ticket_that_works_is_canceled_with_what_trades_it(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path)
    broker = await trial.begin()
    ticket = await trial.submit(trial.order(OrderType.LIMIT, tag="works"))
    await broker.release(ticket)
    await trial.until(lambda: len(trial.events(ticket, OrderAccepted)) == 2, "its release is accepted")
    with pytest.raises(Refused, match="is being traded"):
        await trial.replace(ticket, quantity=ticket.quantity * 2)
    await trial.cancel(ticket)
    await trial.until(lambda: trial.events(ticket, OrderCanceled), "it is canceled")
    assert subject.control.do_request("ORDERS;*;CURRENT_STATUS={'LIVE','PENDING'}") == [None]
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_ids_that_are_given_again_mix_nothing_up(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path)
    broker = await trial.begin()
    old = await trial.rest()
    await trial.cancel(old)
    await trial.until(lambda: trial.events(old, OrderCanceled), "the old one is canceled")
    subject.control.do_roll_back()
    new = await trial.rest()
    assert new.broker_order_id == old.broker_order_id
    reports = [await broker.lookup(each) for each in (old, new)]
    assert [each and each.status for each in reports] == [OrderStatus.CANCELED, OrderStatus.NEW]
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_of_a_day_that_its_book_has_not_it_says_nothing(tmp_path: Path) -> None:
    _, trial = trying(tmp_path)
    broker = await trial.begin()
    order = trial.order()
    with pytest.raises(Unsupported, match="begins today"):
        await broker.lookup(replace(order, created=order.created.replace(year=2020)))
    await trial.end()


# ---------------------------------------------------------------- silence


@pytest_twisted.ensureDeferred
async def test_a_mute_advise_of_prices_is_found_and_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotes, "QUIET_SECONDS", 0.2)
    subject, trial = trying(tmp_path)
    await trial.begin()
    trial.broker.subscribe("IBM")
    await trial.until(lambda: any(isinstance(each, Quote) for each in trial.told), "a quote is told")
    subject.control.do_mute("quotes")
    subject.control.do_quote("IBM", "77.10", "77.20")
    await trial.until(
        lambda: any(isinstance(each, Quote) and str(each.bid) == "77.1" for each in trial.told), "it is told"
    )
    assert any("its advise did not tell" in each for each in errors(trial))
    assert trial.statuses() == [VenueStatus.CONNECTING, VenueStatus.RECONCILING]
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_last_prices_are_asked_for_symbol_by_symbol(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path)
    broker = await trial.begin()
    subject.control.do_trade("IBM", "185.15")
    subject.control.do_trade("AAPL", "487.04")
    wanted = ["AAPL", "NOSUCH", "IBM", "it's no 'word'", "A;B", ""]
    found = await trial.ask(broker.last_prices(wanted))
    assert [(each.symbol, str(each.price)) for each in found] == [("AAPL", "487.04"), ("IBM", "185.15")]
    assert all(each.time is not None and each.time <= broker.now() for each in found)
    await trial.stop()
    with pytest.raises(Refused, match="not connected"):
        await trial.ask(broker.last_prices(["IBM"]))
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_a_clock_that_does_not_answer_costs_the_link(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path, silence=0.5)
    await trial.begin()
    subject.control.do_mute("clock")
    await trial.until(lambda: VenueStatus.DOWN in trial.statuses(), "the link is given up")
    subject.control.do_unmute()
    await trial.connected(len(trial.told))
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_lines_that_mean_nothing_are_told_and_cost_nothing(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path)
    await trial.begin()
    for line in ("{", "nonsense", '{"type":"update","id":"nobody","data":{"row":{"TYPE":"X"}}}', "", "null",
                 '{"type":"system","id":"","data":{"msg":"hello","item":"you"}}'):  # fmt: skip
        subject.control.do_send(line)
    await trial.rest()
    assert sum("cannot be understood" in each for each in errors(trial)) == 3
    assert trial.statuses() == [VenueStatus.CONNECTING, VenueStatus.RECONCILING]
    await trial.end()


# ---------------------------------------------------------------- what was not sent


class Lines:
    """A pool whose lines go nowhere, or when they are let."""

    def __init__(self, hold: bool = False) -> None:
        self.hold = hold
        self.waiting: list[Callable[[], bool]] = []
        self.written: list[bytes] = []
        self.pool = Pool(self.write, "rtx")

    def write(self, data: bytes, urgency: Urgency, sent: Callable[[], bool]) -> None:
        if self.hold and not data.startswith(b"connect"):
            self.waiting.append(sent)
            return
        sent()
        self.written.append(data)
        if data.startswith(b"connect"):
            name = data.split()[1].decode()
            self.pool.receive(Ack(name, "CONNECTION PENDING"))
            self.pool.receive(Status(name, "OnInitAck", True))


def outcome(asked: Deferred[Any]) -> list[Any]:
    box: list[Any] = []
    asked.addBoth(box.append)
    return box


def test_a_poke_that_was_sent_is_ambiguous_and_one_that_was_not_is_refused() -> None:
    for hold, kind in ((True, Refused), (False, Ambiguous)):
        lines = Lines(hold)
        box = outcome(lines.pool.ask("A;B", poke("ORDERS", "X=1")))
        lines.pool.lose("gone")
        assert isinstance(box[0].value, kind)
        late = outcome(lines.pool.ask("A;B", request("ORDERS", "*")))
        assert isinstance(late[0].value, Refused)


def test_a_question_that_is_given_up_frees_the_way_for_others() -> None:
    lines = Lines()
    for _ in range(100):
        asked = lines.pool.ask("A;B", request("ORDERS", "*"))
        asked.addErrback(lambda failure: None)
        asked.cancel()
    box = outcome(lines.pool.ask("A;B", poke("ORDERS", "X=1")))
    name = lines.written[-1].split()[1].decode()
    lines.pool.receive(Ack(name, "POKE_OK"))
    lines.pool.receive(Status(name, "OnOtherAck", True))
    assert box == [()]


def test_a_line_that_cannot_be_written_is_refused_and_leaves_the_way_free() -> None:
    lines = Lines()
    box = outcome(lines.pool.ask("A;B", poke("ORDERS", "X=a\nb")))
    assert isinstance(box[0].value, Refused)
    with suppress(Exception):
        lines.pool.ask("A;B", request("ORDERS", "*"))
    assert lines.written[-1].startswith(b"request ")


def test_so_many_a_second_and_cancels_first() -> None:
    clock, written = Clock(), []
    throttle = Throttle(clock, 10, lambda data: written.append((round(clock.seconds(), 3), data)))
    for number in range(15):
        throttle.send(b"q%d" % number, Urgency.QUESTION, lambda: True)
    throttle.send(b"order", Urgency.ORDER, lambda: True)
    throttle.send(b"cancel", Urgency.CANCEL, lambda: True)
    assert [data for _, data in written] == [b"q%d" % number for number in range(10)]
    for _ in range(200):
        clock.advance(0.01)
    assert [data for _, data in written[10:]] == [b"cancel", b"order", *(b"q%d" % number for number in range(10, 15))]
    times = [at for at, _ in written[10:]]
    assert all(later - earlier >= 0.09 for earlier, later in itertools.pairwise(times))
    throttle.send(b"never", Urgency.ORDER, lambda: True)
    throttle.close()


def test_what_was_given_up_before_it_was_written_is_refused_and_never_written() -> None:
    clock, written = Clock(), []
    throttle = Throttle(clock, 1, written.append)
    pool = Pool(throttle.send, "rtx")
    box = outcome(pool.ask("A;B", request("ORDERS", "*")))
    name = written[0].split()[1].decode()
    pool.receive(Ack(name, "CONNECTION PENDING"))
    pool.receive(Status(name, "OnInitAck", True))
    clock.advance(1)
    pool.receive(Response(name, {}, True))
    assert box == [()]
    asked = pool.ask("A;B", poke("ORDERS", "X=1"), Urgency.ORDER)
    box = outcome(asked.addTimeout(0.5, clock))
    clock.advance(0.6)
    assert isinstance(box[0].value, Refused)
    assert "not sent" in str(box[0].value)
    clock.pump([1.0] * 10)
    assert not [line for line in written if line.startswith(b"poke")]


def test_a_connection_that_is_never_made_holds_nobody_up_for_ever() -> None:
    written: list[bytes] = []

    def write(data: bytes, urgency: Urgency, sent: Callable[[], bool]) -> None:
        if sent():
            written.append(data)

    pool = Pool(write, "rtx")
    first = pool.ask("A;B", poke("ORDERS", "X=1"))
    assert isinstance(outcome(first), list)
    first.cancel()
    pool.ask("A;B", poke("ORDERS", "X=2")).addErrback(lambda failure: None)
    assert [line.split()[0] for line in written] == [b"connect", b"connect"]
    name = written[-1].split()[1].decode()
    pool.receive(Ack(name, "CONNECTION PENDING"))
    pool.receive(Status(name, "OnInitAck", True))
    assert b"X=2" in written[-1]


def test_a_connection_that_is_refused_costs_nobody_what_another_can_carry() -> None:
    lines = Lines()
    first = outcome(lines.pool.ask("A;B", poke("ORDERS", "X=1")))
    busy = lines.written[-1].split()[1].decode()

    def refuse(data: bytes, urgency: Urgency, sent: Callable[[], bool]) -> None:
        assert sent()
        lines.written.append(data)
        if data.startswith(b"connect"):
            lines.pool.receive(Status(data.split()[1].decode(), "OnInitAck", False))

    lines.pool._write = refuse
    second = outcome(lines.pool.ask("A;B", poke("ORDERS", "X=2")))
    assert second == []
    lines.pool.receive(Ack(busy, "POKE_OK"))
    lines.pool.receive(Status(busy, "OnOtherAck", True))
    assert first == [()]
    assert b"X=2" in lines.written[-1]


@pytest_twisted.ensureDeferred
async def test_what_happens_in_accounts_that_are_not_ours_is_not_told(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path, accounts=[ACCOUNT])
    await trial.begin()
    parts = dict(zip(("BANK", "BRANCH", "CUSTOMER", "DEPOSIT"), OTHER.split("."), strict=True))
    fields = {**parts, "BUYORSELL": "Buy", "GOOD_UNTIL": "DAY", "EXIT_VEHICLE": "DEMO", "DISP_NAME": "IBM",
              "PRICE_TYPE": "AsEntered", "PRICE": "1", "VOLUME_TYPE": "AsEntered", "VOLUME": "10",
              "TYPE": "UserSubmitOrder"}  # fmt: skip
    name = subject.emulator.do(fields)
    subject.emulator.do({"TYPE": "UserSubmitCancel", "REFERS_TO_ID": str(name)})
    await trial.rest()
    await trial.still()
    assert not [each for each in trial.told if getattr(each, "order_id", "") == name]
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_a_release_that_was_not_sent_can_be_asked_for_again(tmp_path: Path, monkeypatch: Any) -> None:
    _, trial = trying(tmp_path)
    broker = await trial.begin()
    ticket = await trial.submit(trial.order(OrderType.MARKET, tag="twice"))

    async def unsent(self: Any, fields: Any, urgency: Any) -> None:
        raise Refused(Reason.VENUE_DOWN, "it was not sent")

    with monkeypatch.context() as patched:
        patched.setattr("txgateway.brokers.rtx.session.Session.poke", unsent)
        with pytest.raises(Refused, match="not sent"):
            await broker.release(ticket)
    await broker.release(ticket)
    await trial.until(lambda: trial.filled(ticket) == ticket.quantity, "it is filled")
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_an_order_that_the_days_book_began_without_can_be_canceled(tmp_path: Path) -> None:
    _, trial = trying(tmp_path)
    broker: Any = await trial.begin()
    order = await trial.rest()
    book = broker._session.book
    book.entries.clear()
    book.named.clear()
    broker._session.sent.clear()
    await trial.cancel(order)
    await trial.until(lambda: trial.events(order, OrderCanceled), "it is canceled")
    await trial.end()


async def release_unheard(tmp_path: Path, kind: OrderType) -> tuple[Rtx, Trial, Order, str]:
    """A ticket whose release arrived, and nothing of it was heard; the id of the order that trades it."""
    subject, trial = trying(tmp_path, patience=0.3)
    await trial.begin()
    ticket = await trial.submit(trial.order(kind, tag="lost"))
    subject.control.do_fault("lost_ack")
    with pytest.raises(Ambiguous):
        await trial.ask(trial.broker.release(ticket))
    part = next(row for row in subject.control.do_request("ORDERS;*;") if "TICKET_ID" in row)["ORDER_ID"]
    return subject, trial, ticket, part


@pytest_twisted.ensureDeferred
async def test_of_a_release_that_was_not_heard_of_the_history_has_each_fill_once(tmp_path: Path) -> None:
    _, trial, ticket, _ = await release_unheard(tmp_path, OrderType.MARKET)
    fills = await trial.ask(trial.broker.executions(None))
    assert [(each.order_id, each.quantity) for each in fills] == [(ticket.order_id, ticket.quantity)]
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_of_a_release_that_was_not_heard_of_the_fills_are_told_as_the_tickets(tmp_path: Path) -> None:
    subject, trial, ticket, part = await release_unheard(tmp_path, OrderType.LIMIT)
    subject.control.do_fill(part, int(ticket.quantity))
    await trial.until(lambda: trial.filled(ticket) == ticket.quantity, "it is filled")
    await trial.still()
    told = [each for each in trial.told if isinstance(each, Executed | OrderAccepted)]
    assert {each.order_id for each in told} == {ticket.order_id}
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_an_order_of_which_nothing_was_heard_is_asked_about_and_told(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path, patience=0.3)
    await trial.begin()
    order = trial.order()
    subject.control.do_fault("lost_ack")
    with pytest.raises(Ambiguous):
        await trial.ask(trial.broker.submit(order))
    subject.control.do_fill(order.order_id, 4)
    subject.control.do_fill(order.order_id, 6)
    await trial.until(lambda: trial.filled(order) == order.quantity, "it is filled")
    await trial.still()
    assert sorted(each.quantity for each in trial.fills(order)) == [4, 6]
    assert isinstance(trial.events(order)[0], OrderAccepted)
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_an_account_that_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path)
    name = "O'BRIEN.A.B.007"
    subject.emulator.book.accounts[name] = Account(name, Decimal(5))
    subject.emulator.book.accounts["EMU.TEST.DESK.007"] = Account("EMU.TEST.DESK.007", Decimal(7))
    broker = await trial.begin()
    assert name in broker.accounts()
    with pytest.raises(Refused, match="no question and no order"):
        await broker.balances(name)
    with pytest.raises(Refused, match="no question and no order"):
        await broker.submit(trial.order(account=name))
    assert (await broker.balances("EMU.TEST.DESK.007")).values["DEPOSIT"] == "007"
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_a_look_that_fails_is_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotes, "QUIET_SECONDS", 0.2)
    subject, trial = trying(tmp_path)
    broker: Any = await trial.begin()
    broker.subscribe("IBM")
    await trial.until(lambda: any(isinstance(each, Quote) for each in trial.told), "a quote is told")
    subject.control.do_mute("quotes")
    line = broker._session.quotes._lines["IBM"]
    with monkeypatch.context() as patched:
        refused = Refused(Reason.VENUE_DOWN, "not now")
        patched.setattr(broker._session.pool, "ask", lambda *question: fail(refused))
        line.told -= 1
        broker._session.quotes.look()
    assert not line.asked
    subject.control.do_quote("IBM", "77.10", "77.20")
    await trial.until(
        lambda: any(isinstance(each, Quote) and str(each.bid) == "77.1" for each in trial.told), "it is told"
    )
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_a_fill_that_is_taken_back_is_said_and_counts_no_more_for_who_asks_anew(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path)
    broker = await trial.begin()
    order = await trial.rest()
    subject.control.do_fill(order.order_id, 4)
    subject.control.do_fill(order.order_id, 6)
    await trial.until(lambda: trial.filled(order) == 10, "it is filled")
    first, second = trial.fills(order)
    subject.control.do_correct(first.execution_id, 0)
    await trial.until(lambda: any("taken back" in each for each in errors(trial)), "it is said")
    assert [each.execution_id for each in await broker.executions(None)] == [second.execution_id]
    subject.control.do_correct(second.execution_id, 5, "1.25")
    await trial.until(lambda: trial.filled(order) == 5 + 4, "its new figures are told, under the same id")
    (kept,) = await broker.executions(None)
    assert (kept.execution_id, kept.quantity, str(kept.price)) == (second.execution_id, 5, "1.25")
    assert sum("taken back" in each for each in errors(trial)) == 1
    await trial.end()


@pytest_twisted.ensureDeferred
async def test_anothers_order_with_terms_that_ours_cannot_have_is_not_changed_into_one_of_ours(tmp_path: Path) -> None:
    subject, trial = trying(tmp_path)
    await trial.begin()
    for number, (name, word) in enumerate([("PRICE_TYPE", "Limit"), ("GOOD_UNTIL", "20261231")]):
        theirs = f"of-a-person-{number}"
        fields = {"PRICE_TYPE": "AsEntered", "PRICE": "1", "VOLUME": "10", "CLIENT_ORDER_ID": theirs, name: word}
        subject.emulator.book.hold = True
        broker_id = subject.control.do_order(**fields)
        await trial.until(lambda theirs=theirs: theirs in trial.broker._session.book.named, "it is heard of")  # type: ignore[attr-defined, misc]
        order = trial.order(origin=Origin.EXTERNAL, client_order_id=theirs, broker_order_id=broker_id)
        if word == "Limit":
            await trial.replace(order, quantity=Decimal(20))
        else:
            with pytest.raises(Refused, match="GOOD_UNTIL 20261231"):
                await trial.replace(order, quantity=Decimal(20))
    changes = subject.control.do_request("ORDERS;*;TYPE='UserSubmitChange'")
    assert [row["REFERS_TO_ID"] for row in changes] == ["emu-000001"]
    await trial.end()
