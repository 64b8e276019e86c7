"""A monitor and a server on a real socket: events, reconnects, resuming, and how it ends."""

from __future__ import annotations

import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from txgateway_monitor import CHANNELS, Channel, ConnectionState, Monitor, SettingsError, connection

ALL = {"order-notification": 1, "order-data": 1, "execution-notification": 1, "execution-data": 1}
DATA = {"order-data": 1, "execution-data": 1}


@pytest_twisted.ensureDeferred
async def test_events_reach_their_callbacks(stream: Any, heard: Any, monitor: Any) -> None:
    monitor(ALL).connect()
    await heard.authorized()
    stream.say("paper.time: 2013-10-07 09:31:00", "paper.quote.IBM:1 2 3 4", "paper.positions: {}")
    stream.order("A1", "Filled", fill="E1")
    await heard.until("ORDER_DATA")
    assert heard.events == [
        ("CONNECTION", "CONNECTING"),
        ("CONNECTION", "CONNECT_PENDING"),
        ("CONNECTION", "CONNECTED"),
        ("STATUS", ".connected: txGateway 1.0 today on here"),
        ("STATUS", ".Authorized paper 0"),
        ("TIME", "2013-10-07 09:31:00"),
        ("QUOTE", "IBM:1 2 3 4"),
        ("STATUS", "paper.positions: {}"),
        ("EXECUTION", "E1 A A1 Filled"),
        ("EXECUTION_DATA", '{"ORDER_ID": "E1", "ORIGINAL_ORDER_ID": "A1", "seq": 1}'),
        ("ORDER", "A1 A LIMIT Filled"),
        ("ORDER_DATA", '{"permid": "A1", "status": "Filled", "seq": 1}'),
    ]
    assert stream.logins == [{**ALL, "position": True}]


@pytest_twisted.ensureDeferred
async def test_callbacks_by_channel_and_a_default(stream: Any, heard: Any, monitor: Any) -> None:
    given = {"*": None, "TIME": heard, "STATUS": heard}
    watching = monitor(callbacks=given)
    assert given == {"*": None, "TIME": heard, "STATUS": heard}
    watching.set_callback("STATUS", None)
    watching.connect()
    await stream.until(lambda: stream.logins)
    stream.say("paper.quote.IBM:1 2 3 4", "paper.time: 1")
    await heard.until("TIME", "1")
    assert heard.events == [("TIME", "1")]
    with pytest.raises(ValueError, match="no channel 'NEWS'"):
        watching.set_callback("NEWS", None)


@pytest_twisted.ensureDeferred
async def test_commands_and_their_answers(stream: Any, heard: Any, monitor: Any) -> None:
    watching = monitor()
    assert watching.send("status") is False
    watching.connect()
    assert watching.send("status") is False
    await heard.authorized()
    assert watching.send("status") is True
    await heard.until("STATUS", ".status: Up")


@pytest_twisted.ensureDeferred
async def test_a_callback_that_raises_is_logged_and_the_link_stays(
    stream: Any, heard: Any, monitor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(channel: str, text: str) -> bool:
        raise RuntimeError("of mine")

    monitor(callbacks={"*": heard, "TIME": broken}).connect()
    await heard.authorized()
    stream.say("paper.time: 1", "paper.quote.IBM:1 2 3 4")
    await heard.until("QUOTE")
    assert "the callback of TIME raised" in caplog.text
    assert "of mine" in caplog.text
    assert len(stream.logins) == 1


@pytest_twisted.ensureDeferred
async def test_a_callback_that_returns_false_ends_the_monitor(stream: Any, heard: Any, monitor: Any) -> None:
    watching = monitor(callbacks={"*": heard, "TIME": lambda channel, text: False})
    watching.connect()
    await heard.authorized()
    stream.say("paper.time: 1", "paper.quote.IBM:1 2 3 4")
    await heard.until("SHUTDOWN")
    await stream.until(lambda: stream.received[-1] == "exit client requested shutdown")
    assert heard.texts("QUOTE") == []
    assert heard.texts("CONNECTION")[-2:] == ["DISCONNECT_PENDING", "DISCONNECTED"]
    assert watching.send("status") is False


@pytest_twisted.ensureDeferred
async def test_disconnect_and_connect_again(stream: Any, heard: Any, monitor: Any) -> None:
    watching = monitor()
    for times in (1, 2):
        watching.connect()
        await stream.until(lambda times=times: len(stream.logins) == times)
        await watching.disconnect()
        assert watching.connection_state is ConnectionState.DISCONNECTED
    await watching.disconnect()
    assert len(stream.logins) == 2


@pytest_twisted.ensureDeferred
async def test_reconnects_after_a_lost_link_and_after_failed_attempts(stream: Any, heard: Any, monitor: Any) -> None:
    waits: list[int] = []
    watching = monitor(retry=lambda failures: waits.append(failures) or 0.0)
    watching.connect()
    await heard.authorized()
    stream.greets = False
    stream.cut()
    await stream.until(lambda: stream.accepted == 2 and stream.links)
    stream.greets = True
    stream.cut()
    await stream.until(lambda: len(heard.authorizations) == 2)
    assert waits == [0, 1]
    stream.cut()
    await stream.until(lambda: len(stream.logins) == 3)
    assert waits == [0, 1, 0]


@pytest_twisted.ensureDeferred
async def test_attempts_that_fail_are_told_and_repeated(heard: Any, monitor: Any, stream: Any, tmp_path: Path) -> None:
    import socket

    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        watching = monitor()
        watching.port = nobody.getsockname()[1]
        watching.connect()
        await stream.until(lambda: heard.texts("CONNECTION").count("FAILED") == 3)
        await watching.disconnect()
    states = heard.texts("CONNECTION")
    assert states[:5] == ["CONNECTING", "CONNECT_PENDING", "FAILED", "CONNECT_PENDING", "FAILED"]
    assert states[-1] == "DISCONNECTED"


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_said_once_and_not_tried_again(stream: Any, heard: Any, monitor: Any) -> None:
    watching = monitor(password="wrong")
    watching.connect()
    await heard.until("SHUTDOWN")
    assert watching.unauthorized
    assert heard.texts("STATUS")[-1] == ".Authorization required!"
    (error,) = heard.texts("ERROR")
    assert "refused user 'trader', not trying again" in error
    assert "wrong" not in error
    assert [line.split()[0] for line in stream.received] == ["auth"]


@pytest_twisted.ensureDeferred
async def test_credentials_are_in_no_log(
    stream: Any, heard: Any, monitor: Any, credentials: Any, caplog: pytest.LogCaptureFixture
) -> None:
    watching = monitor(ALL, log_level="DEBUG")
    watching.connect()
    await heard.authorized()
    watching.send("orders")
    stream.cut()
    await stream.until(lambda: len(stream.logins) == 2)
    assert ".Authorized paper" in caplog.text
    assert credentials[1] not in caplog.text
    assert credentials[1] not in repr(watching)


@pytest_twisted.ensureDeferred
async def test_nothing_is_missed_or_repeated_over_a_reconnect(stream: Any, heard: Any, monitor: Any) -> None:
    stream.order("OLD")
    monitor(DATA).connect()
    await heard.authorized()
    stream.order("A1")
    stream.order("A1", "Filled", fill="E1")
    await stream.until(lambda: len(heard.data()) == 3)
    stream.cut()
    await stream.until(lambda: not stream.links)
    stream.order("A2")
    stream.order("A3")
    await stream.until(lambda: len(heard.data()) == 5)
    assert heard.data() == [("A1", 2), ("E1", 3), ("A1", 3), ("A2", 4), ("A3", 5)]
    assert [login.get("resume") for login in stream.logins] == [None, 2]


@pytest_twisted.ensureDeferred
async def test_a_server_that_says_no_position_is_resumed_from_the_first_event(
    stream: Any, heard: Any, monitor: Any
) -> None:
    stream.knows_positions = False
    stream.order("OLD")
    monitor(DATA).connect()
    await heard.authorized()
    stream.order("A1")
    await heard.until("ORDER_DATA")
    stream.cut()
    await stream.until(lambda: not stream.links)
    stream.order("A2")
    await stream.until(lambda: len(heard.data()) == 2)
    assert heard.data() == [("A1", 2), ("A2", 3)]


@pytest.mark.parametrize("seed", range(5))
@pytest_twisted.ensureDeferred
async def test_links_that_are_cut_anywhere(stream: Any, heard: Any, monitor: Any, seed: int) -> None:
    chance = random.Random(seed)
    statuses = ["Pending", "Pending", "Accepted", "Filled"]
    for number in range(40):
        stream.order(f"A{number % 7}", chance.choice(statuses), fill=chance.choice(["", f"E{number}"]))
    stream.budgets = [chance.randrange(900) for _ in range(60)]
    monitor(ALL, resume=0).connect()
    expected = [line.removeprefix("paper.") for _, lines in stream.records for line in lines]
    last = expected[-1].removeprefix("order-data ")
    await stream.until(lambda: heard.events[-1] == ("ORDER_DATA", last))
    heard_texts = heard.texts("ORDER", "ORDER_DATA", "EXECUTION", "EXECUTION_DATA")
    assert heard_texts == [
        line.partition("." if line[5:6] == "." or line[9:10] == "." else " ")[2] for line in expected
    ]
    assert len(stream.logins) > 5


@pytest_twisted.ensureDeferred
async def test_a_message_cut_in_its_middle_is_not_half_heard(stream: Any, heard: Any, monitor: Any) -> None:
    stream.budgets = [130, 500]
    monitor(DATA, resume=0).connect()
    await heard.authorized()
    stream.order("A1", fill="E1")
    await stream.until(lambda: len(heard.data()) == 2)
    assert heard.data() == [("E1", 1), ("A1", 1)]
    assert len(stream.logins) == 2


@pytest_twisted.ensureDeferred
async def test_no_event_is_missed_before_the_first_one_that_was_heard(stream: Any, heard: Any, monitor: Any) -> None:
    stream.order("OLD")
    monitor(DATA).connect()
    await heard.authorized()
    stream.cut()
    await stream.until(lambda: not stream.links)
    stream.order("A1")
    await heard.until("ORDER_DATA")
    assert heard.data() == [("A1", 2)]
    assert [login.get("resume") for login in stream.logins] == [None, 1]


@pytest.mark.parametrize(
    ("options", "settings", "sent"),
    [
        ({"order-notification": 1}, {}, None),
        ({"order-data": 1}, {}, "position"),
        ({"position-data": 1}, {}, "position"),
        ({"order-data": 0}, {}, None),
        ({"order-data": 1, "resume": 7}, {}, 7),
        ({"order-data": 1, "resume": 7}, {"resume": 3}, 7),
        ({"order-data": 1}, {"resume": 0}, 0),
        ({"quotes": 1}, {"resume": '{"seq": 9, "seen": ["order A"], "notes": []}'}, 8),
    ],
)
@pytest_twisted.ensureDeferred
async def test_where_the_first_login_resumes(stream: Any, monitor: Any, options: Any, settings: Any, sent: Any) -> None:
    monitor(options, **settings).connect()
    await stream.until(lambda: stream.logins)
    more = {None: {}, "position": {"position": True}}.get(sent, {"resume": sent})
    assert stream.logins[0] == {**options, **more}


@pytest.mark.parametrize(
    ("options", "settings"), [({"order-data": 1}, {"resume": False}), ({"order-data": 1, "resume": False}, {})]
)
@pytest_twisted.ensureDeferred
async def test_resuming_may_be_switched_off(stream: Any, heard: Any, monitor: Any, options: Any, settings: Any) -> None:
    monitor(options, **settings).connect()
    await heard.authorized()
    stream.order("A1")
    await heard.until("ORDER_DATA")
    stream.cut()
    await stream.until(lambda: len(stream.logins) == 2)
    assert stream.logins == [{"order-data": 1}] * 2


@pytest_twisted.ensureDeferred
async def test_a_file_takes_the_place_to_the_next_run(stream: Any, heard: Any, monitor: Any, tmp_path: Path) -> None:
    place = tmp_path / "place"
    first = monitor(ALL, resume_file=place)
    first.connect()
    await heard.authorized()
    stream.order("A1", fill="E1")
    await heard.until("ORDER_DATA")
    await first.disconnect()
    stream.order("A2")
    monitor(ALL, resume_file=place).connect()
    await stream.until(lambda: len(heard.data()) == 3)
    assert heard.data() == [("E1", 1), ("A1", 1), ("A2", 2)]
    assert heard.texts("ORDER", "EXECUTION") == ["E1 A A1 Accepted", "A1 A LIMIT Accepted", "A2 A LIMIT Accepted"]


@pytest_twisted.ensureDeferred
async def test_the_position_is_kept_after_its_event_was_handled(stream: Any, heard: Any, monitor: Any) -> None:
    steps: list[tuple[str, int]] = []
    callbacks = {"*": heard, "ORDER_DATA": lambda _, text: not steps.append(("event", json.loads(text)["seq"]))}
    watching = monitor(DATA, callbacks=callbacks, position=lambda text: steps.append(("kept", json.loads(text)["seq"])))
    watching.connect()
    await heard.authorized()
    stream.order("A1")
    stream.order("A2")
    stream.say("paper.time: 1")
    await heard.until("TIME")
    assert steps == [("kept", 0), ("event", 1), ("kept", 1), ("event", 2), ("kept", 2)]


@pytest_twisted.ensureDeferred
async def test_a_position_that_cannot_be_kept_is_logged(
    stream: Any, heard: Any, monitor: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monitor(DATA, resume_file=tmp_path / "no such folder" / "place").connect()
    await heard.authorized()
    stream.order("A1")
    stream.say("paper.time: 1")
    await heard.until("TIME")
    assert "the position could not be kept" in caplog.text
    assert heard.data() == [("A1", 1)]


@pytest_twisted.ensureDeferred
async def test_another_journal_is_told(stream: Any, heard: Any, monitor: Any) -> None:
    stream.knows_positions = False
    stream.order("A1", seq=500)
    monitor(DATA, resume=499).connect()
    await heard.until("ORDER_DATA")
    stream.records.clear()
    stream.order("B1", seq=3)
    stream.order("B1", seq=4)
    stream.order("A2", seq=501)
    await stream.until(lambda: len(heard.data()) == 2)
    assert heard.data() == [("A1", 500), ("A2", 501)]
    (error,) = heard.texts("ERROR")
    assert "sends events before 500" in error


@pytest_twisted.ensureDeferred
async def test_another_journal_is_followed_when_its_position_is_known(stream: Any, heard: Any, monitor: Any) -> None:
    stream.order("A1", seq=500)
    monitor(DATA, resume=499).connect()
    await heard.until("ORDER_DATA")
    stream.records.clear()
    stream.cut()
    stream.order("B1", seq=7)
    await heard.until("STATUS", ".Authorized paper 7")
    stream.order("B2")
    await stream.until(lambda: len(heard.data()) == 2)
    assert heard.data() == [("A1", 500), ("B2", 8)]
    (error,) = heard.texts("ERROR")
    assert "ends at 7, before the last event seen here, 500" in error


@pytest_twisted.ensureDeferred
async def test_a_silent_server_is_probed_and_the_answer_is_not_shown(stream: Any, heard: Any, monitor: Any) -> None:
    watching = monitor(silence=0.02)
    watching.connect()
    await stream.until(lambda: stream.received.count("status") == 3)
    assert ".status: Up" not in heard.texts("STATUS")
    watching.send("status")
    await heard.until("STATUS", ".status: Up")
    assert len(stream.logins) == 1


@pytest_twisted.ensureDeferred
async def test_a_server_that_answers_nothing_is_left(
    stream: Any, monitor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "PROBE_WAIT", 0.02)
    stream.answers_status = False
    monitor(silence=0.02).connect()
    await stream.until(lambda: len(stream.logins) == 2)
    assert "the gateway has gone silent" in caplog.text


@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_greet_is_left(stream: Any, heard: Any, monitor: Any) -> None:
    stream.greets = False
    monitor(silence=0.02).connect()
    await stream.until(lambda: heard.texts("CONNECTION").count("CONNECTED") == 2)


@pytest_twisted.ensureDeferred
async def test_junk_costs_the_link_and_not_the_monitor(
    stream: Any, heard: Any, monitor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monitor(DATA).connect()
    await heard.authorized()
    stream.order("A1")
    await heard.until("ORDER_DATA")
    stream.links[0].transport.write(b"what is this")
    await stream.until(lambda: len(stream.logins) == 2)
    stream.order("A2")
    await stream.until(lambda: len(heard.data()) == 2)
    assert "cannot be read, connecting anew" in caplog.text


def test_ticks_come_from_the_monitors_reactor() -> None:
    clock, ticks = Clock(), []
    watching = Monitor(reactor=clock, callbacks={"*": None, "TICK": lambda channel, now: not ticks.append(now)})
    ticker = watching.set_tick_interval(5)
    clock.pump([5, 5])
    assert len(ticks) == 3
    assert all(isinstance(tick, float) for tick in ticks)
    watching.stop_ticker(ticker)
    watching.stop_ticker(ticker)
    assert not clock.getDelayedCalls()


def test_what_a_monitor_is_made_with(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("TXTRADER_TCP_PORT", "1234")
    watching = Monitor("10.0.0.1", username="me")
    assert (watching.host, watching.port, watching.username) == ("10.0.0.1", 1234, "me")
    assert watching.connection_state is ConnectionState.INITIALIZING
    assert sorted(CHANNELS) == sorted(channel.name for channel in Channel)
    with pytest.raises(ValueError, match="options must be a dict"):
        Monitor(options="quotes")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="cannot carry a password with spaces"):
        Monitor(password="two words")
    Monitor(callbacks={"NEWS": None})
    assert "there is no channel 'NEWS'" in caplog.text


def test_the_default_prints(capsys: pytest.CaptureFixture[str]) -> None:
    watching = Monitor()
    watching.changed(ConnectionState.CONNECTED)
    assert capsys.readouterr().out == "CONNECTION: CONNECTED\n"


def test_the_log_level(caplog: pytest.LogCaptureFixture) -> None:
    Monitor(log_level="error")
    assert logging.getLogger("txgateway_monitor").level == logging.ERROR
    Monitor()
    assert logging.getLogger("txgateway_monitor").level == logging.WARNING


@pytest_twisted.ensureDeferred
async def test_cancel_on_disconnect_is_asked_for_again_at_each_connection(
    stream: Any, heard: Any, monitor: Any
) -> None:
    guard = {"order-notification": 1, "cancel-on-disconnect": 5, "lease": "algo"}
    monitor(guard, silence=0).connect()
    await heard.authorized()
    stream.say(".lease lease-7 5")
    await heard.until("STATUS", ".lease lease-7 5")
    stream.cut()
    await stream.until(lambda: len(stream.logins) == 2)
    assert stream.logins == [guard, guard]
