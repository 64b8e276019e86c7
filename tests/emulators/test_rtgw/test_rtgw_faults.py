"""The emulated rtgw misbehaves when it is told to, each fault as it says, seen over a socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.emulators.rtgw.process import Rtgw
from tests.emulators.test_rtgw.rawclient import ORDERS, PATIENCE, RawClient, limit, order

Make = Callable[[], RawClient]
ACCEPTED = ("UserSubmitOrder PENDING", "ExchangeAcceptOrder COMPLETED", "UserSubmitOrder LIVE")
FILLED = ("ExchangeTradeOrder COMPLETED", "UserSubmitOrder COMPLETED")
TRADE = FILLED[0]


def resting(desk: RawClient, poker: RawClient, volume: int = 100) -> str:
    """A limit order that rests, told to the desk; its id."""
    poker.poke(limit("a", "150.00", volume))
    return str(desk.told(*ACCEPTED)[0]["ORDER_ID"])


def cancel(poker: RawClient, name: str) -> None:
    poker.poke(f"TYPE=UserSubmitCancel,REFERS_TO_ID={name}")


def change(poker: RawClient, name: str, values: str) -> None:
    poker.poke(f"TYPE=UserSubmitChange,REFERS_TO_ID={name},{values}")


def unanswered(poker: RawClient, fields: str) -> None:
    """A poke of which no answer comes; that none has is known from what is asked next."""
    name = poker.connect(ORDERS)
    poker.send(f"poke {name} ORDERS;*;!{fields}")


@pytest.fixture
def poker(link: Make) -> RawClient:
    return link()


def test_lost_ack(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    rtgw.do("fault", name="lost_ack")
    unanswered(poker, limit("a", "150"))
    assert len(poker.request("ORDERS;*;")) == 2, "it is in the book"
    assert desk.is_silent()
    rtgw.do("fill", id="a", volume=100)
    desk.told(*FILLED)
    poker.poke(limit("b", "150"))
    assert {row["CLIENT_ORDER_ID"] for row in desk.told(*ACCEPTED)[::2]} == {"b"}


def test_lost_ack_of_an_order_that_stays_pending_for_a_while(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    rtgw.do("hold")
    rtgw.do("fault", name="lost_ack")
    unanswered(poker, limit("a", "150"))
    poker.request("ORDERS;*;")
    rtgw.do("accept", id="a")
    rtgw.do("hold", on=False)
    rtgw.do("kill", id="a")
    assert desk.told("ExchangeKillOrder COMPLETED", "UserSubmitOrder DELETED")[1]["CLIENT_ORDER_ID"] == "a"


def test_lost_poke(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    rtgw.do("fault", name="lost_poke")
    unanswered(poker, order("a"))
    assert poker.request("ORDERS;*;") == [None]
    assert desk.is_silent()


def test_refused_poke(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    rtgw.do("fault", name="refused_poke")
    name = poker.connect(ORDERS)
    poker.send(f"poke {name} ORDERS;*;!{order('a')}")
    assert poker.expect("ack", name) == "POKE_FAILED"
    assert poker.request("ORDERS;*;") == [None]
    assert desk.is_silent()


def test_refused_connect(client: RawClient, rtgw: Rtgw) -> None:
    rtgw.do("fault", name="refused_connect")
    client.send(f"connect x {ORDERS}")
    assert client.expect("ack", "x") == "CONNECTION PENDING"
    assert client.expect("status", "x") == {"msg": "OnInitAck", "status": "0"}
    client.connect(ORDERS)


def test_broken_request(client: RawClient, rtgw: Rtgw) -> None:
    rtgw.do("fault", name="broken_request")
    name = client.connect(ORDERS)
    client.send(f"request {name} ACCOUNT;*;")
    assert client.expect("ack", name) == "REQUEST_OK"
    assert client.expect("response", name)["complete"] is False
    assert client.expect("status", name)["msg"] == "OnTerminate"
    assert len(client.request("ACCOUNT;*;")) == 2


def test_late_fill(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    rtgw.do("fault", name="late_fill", seconds=0.05)
    poker.poke(order("a"))
    rows = desk.told(*ACCEPTED, "UserSubmitOrder COMPLETED", TRADE)
    assert rows[4]["VOLUME_TRADED"] == rows[3]["VOLUME_TRADED"] == 100


def test_duplicated_fill(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    rtgw.do("fault", name="duplicated_fill")
    poker.poke(order("a"))
    rows = desk.told(*ACCEPTED, *FILLED, TRADE)
    assert rows[3] == rows[5]
    assert rtgw.do("net")["EMU.TEST.DESK.ONE"] == {"IBM": 100}


def test_reordered_fills(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    name = resting(desk, poker)
    rtgw.do("fault", name="reordered_fills", seconds=PATIENCE)
    rtgw.do("fill", id=name, volume=30)
    rtgw.do("fill", id=name, volume=70)
    rows = desk.told("UserSubmitOrder LIVE", TRADE, TRADE, "UserSubmitOrder COMPLETED")
    assert [row["VOLUME"] for row in rows[1:3]] == [70, 30]


def test_several_reordered_fills_are_told_backwards(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    name = resting(desk, poker)
    rtgw.do("fault", name="reordered_fills", seconds=PATIENCE, count=2)
    for volume in (10, 20, 30):
        rtgw.do("fill", id=name, volume=volume)
    rows = desk.told("UserSubmitOrder LIVE", "UserSubmitOrder LIVE", TRADE, TRADE, TRADE, "UserSubmitOrder LIVE")
    assert [row["VOLUME"] for row in rows[2:5]] == [30, 20, 10]


def test_a_reordered_fill_that_has_no_next_one_is_told_in_the_end(
    desk: RawClient, poker: RawClient, rtgw: Rtgw
) -> None:
    rtgw.do("fault", name="reordered_fills", seconds=0.05)
    poker.poke(order("a"))
    desk.told(*ACCEPTED, "UserSubmitOrder COMPLETED", TRADE)


def test_fill_after_cancel(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    name = resting(desk, poker)
    rtgw.do("fault", name="fill_after_cancel", seconds=0.05)
    cancel(poker, name)
    desk.told("UserSubmitCancel PENDING", "UserSubmitCancel COMPLETED", "ExchangeKillOrder COMPLETED")
    rows = desk.told("UserSubmitOrder DELETED", TRADE, "UserSubmitOrder DELETED")
    assert [row["VOLUME_TRADED"] for row in rows] == [0, 50, 50]
    assert rtgw.do("net")["EMU.TEST.DESK.ONE"] == {"IBM": 50}


def test_cancel_race(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    name = resting(desk, poker)
    rtgw.do("fault", name="cancel_race")
    cancel(poker, name)
    rows = desk.told("UserSubmitCancel PENDING", *FILLED, "UserSubmitCancel DELETED", "UserSubmitOrder COMPLETED")
    assert rows[3]["REASON"] == "Too late to cancel"


def test_half_replace(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    name = resting(desk, poker)
    rtgw.do("fault", name="half_replace")
    change(poker, name, "PRICE=151,VOLUME=60")
    rows = desk.told("UserSubmitChange PENDING", "UserSubmitChange COMPLETED", "UserSubmitOrder LIVE")
    assert [(row["PRICE"], row["VOLUME"]) for row in rows] == [(151, 60), (151, 60), (151, 100)]


def test_rejected_replace(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    name = resting(desk, poker)
    rtgw.do("fault", name="rejected_replace")
    change(poker, name, "PRICE=151")
    rows = desk.told("UserSubmitChange PENDING", "UserSubmitChange DELETED", "UserSubmitOrder LIVE")
    assert (rows[1]["REASON"], rows[2]["PRICE"]) == ("Rejected by the exchange", 150)


def test_rejected_order(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    rtgw.do("fault", name="rejected_order", symbol="IBM")
    poker.poke(order("a"))
    desk.told("UserSubmitOrder PENDING", "ClerkReject COMPLETED", "UserSubmitOrder DELETED")


@pytest.mark.parametrize("how", ["fault", "control"])
def test_id_rollback(desk: RawClient, poker: RawClient, rtgw: Rtgw, how: str) -> None:
    poker.poke(order("a"))
    first = desk.told(*ACCEPTED, *FILLED)[0]["ORDER_ID"]
    rtgw.do("fault", name="id_rollback") if how == "fault" else rtgw.do("roll_back", to=0)
    poker.poke(limit("b", "150"))
    again = desk.told(*ACCEPTED)[0]
    assert (again["ORDER_ID"], again["CLIENT_ORDER_ID"]) == (first, "b")
    assert len(poker.request("ORDERS;*;")) == 2


def test_mute_feed(client: RawClient, rtgw: Rtgw) -> None:
    client.advise("LIVEQUOTE;BID;DISP_NAME='IBM'")
    rtgw.do("fault", name="mute_feed")
    for bid in ("185.01", "185.02"):
        rtgw.do("quote", symbol="IBM", bid=bid, ask="185.20")
    assert client.update() == {"BID": 185.02}
    rtgw.do("fault", name="mute_feed", seconds=PATIENCE)
    for bid in ("185.03", "185.04"):
        rtgw.do("quote", symbol="IBM", bid=bid, ask="185.20")
    assert client.request("LIVEQUOTE;BID;DISP_NAME='IBM'") == [{"BID": 185.04}], "the link stands, and nothing came"


def test_muted_quotes_orders_and_clock(desk: RawClient, poker: RawClient, rtgw: Rtgw) -> None:
    desk.advise("LIVEQUOTE;BID;DISP_NAME='IBM'")
    for what in ("quotes", "orders", "clock"):
        rtgw.do("mute", what=what)
    rtgw.do("quote", symbol="IBM", bid="185.01", ask="185.20")
    poker.poke(order("a"))
    name = poker.connect("TA_SRV;LIVEQUOTE")
    poker.send(f"request {name} LIVEQUOTE;TRDTIM_1;DISP_NAME='$TIME'")
    assert len(poker.request("ORDERS;*;")) == 3, "the clock has not answered"
    assert desk.is_silent()
    rtgw.do("unmute")
    rtgw.do("quote", symbol="IBM", bid="185.02", ask="185.20")
    assert desk.update() == {"BID": 185.02}


@pytest.mark.parametrize("how", ["fault", "control"])
def test_half_open(desk: RawClient, poker: RawClient, link: Make, rtgw: Rtgw, how: str) -> None:
    if how == "fault":
        rtgw.do("fault", name="half_open")
        unanswered(poker, order("a"))
        desk.request("ACCOUNT;*;")
    else:
        rtgw.do("freeze")
        poker.send(f"connect x {ORDERS}")
    other = link()
    rtgw.do("send", line='{"type":"system","id":"","data":{"msg":"hello"}}')
    assert other.read()["data"]["msg"] == "hello"
    assert poker.is_silent()
    assert other.request("ORDERS;*;") == [None], "the poke was not taken up"


@pytest.mark.parametrize("when", ["before", "after"])
def test_dropped_link(desk: RawClient, poker: RawClient, rtgw: Rtgw, when: str) -> None:
    rtgw.do("fault", name="dropped_link", when=when)
    unanswered(poker, limit("a", "150"))
    with pytest.raises(EOFError):
        poker.read()
    if when == "after":
        desk.told(*ACCEPTED)
    rows = desk.request("ORDERS;*;CURRENT_STATUS='LIVE'")
    assert [row and row["CLIENT_ORDER_ID"] for row in rows] == (["a"] if when == "after" else [None])


def test_drop(client: RawClient, link: Make, rtgw: Rtgw) -> None:
    rtgw.do("drop", seconds=0.1)
    with pytest.raises(EOFError):
        client.read()
    assert reconnected(link).request("ORDERS;*;") == [None]


def reconnected(link: Make) -> RawClient:
    """A new link, as soon as one can be had."""
    while True:
        try:
            return link()
        except (ConnectionRefusedError, ConnectionResetError, EOFError):
            continue


@pytest.mark.parametrize("arrives", [True, False])
def test_rate_limit(desk: RawClient, poker: RawClient, rtgw: Rtgw, arrives: bool) -> None:
    rtgw.do("fault", name="rate_limit", arrives=arrives, seconds=0.02)
    poker.poke(limit("a", "150"), status="0")
    poker.poke(limit("b", "150")) if not arrives else None
    rows = desk.told(*ACCEPTED)
    assert rows[0]["CLIENT_ORDER_ID"] == ("a" if arrives else "b")


def test_slow_broker(client: RawClient, rtgw: Rtgw) -> None:
    slow, quick = client.connect(ORDERS), client.connect(ORDERS)
    rtgw.do("fault", name="slow_broker", when="request", seconds=0.1)
    client.send(f"request {slow} ACCOUNT;*;")
    client.send(f"request {quick} ORDERS;*;")
    client.expect("ack", quick)
    client.expect("response", quick)
    assert client.expect("ack", slow) == "REQUEST_OK"


@pytest.mark.parametrize("how", ["fault", "control"])
def test_an_advise_that_ends(desk: RawClient, poker: RawClient, rtgw: Rtgw, how: str) -> None:
    if how == "fault":
        rtgw.do("fault", name="terminated_advise")
        poker.poke(limit("a", "150"))
        desk.told(*ACCEPTED)
    else:
        assert rtgw.do("terminate", table="ORDERS") == 1
    assert desk.read()["data"]["msg"] == "OnTerminate"
    poker.poke(limit("b", "150"))
    assert desk.request("ACCOUNT;*;"), "no more updates, and the link stands"


@pytest.mark.parametrize("name", ["restart", "restart_empty"])
def test_restart(desk: RawClient, poker: RawClient, link: Make, rtgw: Rtgw, name: str) -> None:
    rtgw.do("fault", name=name, seconds=0.05)
    unanswered(poker, order("a"))
    for each in (desk, poker):
        with pytest.raises(EOFError):
            each.read()
    assert "POKE_OK" not in [message["data"] for message in poker.heard]
    rows = reconnected(link).request("ORDERS;*;TYPE='UserSubmitOrder'")
    assert [row and row["CLIENT_ORDER_ID"] for row in rows] == (["a"] if name == "restart" else [None])
    assert rtgw.do("net")["EMU.TEST.DESK.ONE"] == ({"IBM": 100} if name == "restart" else {})


def test_what_a_state_file_remembers_over_kill_9(tmp_path: Path) -> None:
    state = tmp_path / "state"
    rtgw = Rtgw("--tick", "0", "--state", str(state)).start()
    try:
        rtgw.do("quote", symbol="IBM", bid="185.10", ask="185.20", ask_size=30)
        client = RawClient(rtgw.port)
        client.poke(order("a"))
        client.poke(limit("b", "150"))
        before = client.request("ORDERS;*;")
        client.close()
        rtgw.kill()
        with state.open("a") as file:
            file.write('{"row": {"ORDER_ID"')
        rtgw.start()
        client = RawClient(rtgw.port)
        assert client.request("ORDERS;*;") == before
        assert rtgw.do("net")["EMU.TEST.DESK.ONE"] == {"IBM": 30}
        rtgw.do("quote", symbol="IBM", bid="149.00", ask="149.50")
        assert rtgw.do("net")["EMU.TEST.DESK.ONE"] == {"IBM": 200}, "both orders still work"
        rtgw.do("hold")
        rtgw.do("order", CLIENT_ORDER_ID="c", VOLUME=5)
        rtgw.do("restart", memory=True, seconds=0)
        assert rtgw.do("net")["EMU.TEST.DESK.ONE"] == {"IBM": 205}, "and what was pending has been decided"
        rtgw.do("restart", memory=False, seconds=0)
        assert rtgw.do("net")["EMU.TEST.DESK.ONE"] == {}
        client.close()
        rtgw.kill()
        rtgw.start()
        assert rtgw.do("request", query="ORDERS;*;") == [None]
    finally:
        rtgw.end()
