"""The emulated rtgw over a real socket: every command, every table, and what is not understood."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.daemon import ROOT
from tests.emulators.rtgw.process import Rtgw
from tests.emulators.test_rtgw.rawclient import ORDERS, QUOTES, RawClient, limit, order

Make = Callable[[], RawClient]
NAME = "BANK='EMU',BRANCH='TEST',CUSTOMER='DESK',DEPOSIT='ONE'"
BARS = "DISP_NAME,TRD_DATE,TRDTIM_1,OPEN_PRC,HIGH_1,LOW_1,SETTLE,ACVOL_1"


def test_a_request_gives_one_row_a_line_and_says_which_is_the_last(client: RawClient) -> None:
    rows = client.request("ACCOUNT;*;")
    assert rows == [
        {"BANK": "EMU", "BRANCH": "TEST", "CUSTOMER": "DESK", "DEPOSIT": deposit} for deposit in ("ONE", "TWO")
    ]
    assert [m["data"]["complete"] for m in client.heard if m["type"] == "response"] == [False, True]


def test_nothing_found_is_one_row_null(client: RawClient) -> None:
    assert client.request("ORDERS;*;") == [None]
    assert client.request("POSITION;*;") == [None]
    assert client.request("DEPOSIT;*;BANK='.'") == [None]
    assert client.request(f"DEPOSIT;NOPE,NEITHER;{NAME}") == [None]


def test_account_data(client: RawClient) -> None:
    assert client.request(f"DEPOSIT;EXCESS_EQ,NOPE;{NAME}") == [{"EXCESS_EQ": 1_000_000.0, "NOPE": "Error 0"}]


def test_the_clock(client: RawClient, rtgw: Rtgw) -> None:
    query = "LIVEQUOTE;DISP_NAME,TRDTIM_1,TRD_DATE;DISP_NAME='$TIME'"
    row = client.request(query)[0]
    assert row is not None
    assert (row["DISP_NAME"], row["TRD_DATE"], row["TRDTIM_1"][:3]) == ("$TIME", "2026-03-04", "11:")
    rtgw.do("login", ok=False)
    row = client.request(query)[0]
    rtgw.do("login", ok=True)
    assert row is not None
    assert (row["TRDTIM_1"], row["TRD_DATE"]) == ("Error 17", "Error 17")


def test_a_symbol_its_errors_and_one_that_is_unknown(client: RawClient, rtgw: Rtgw) -> None:
    row = client.request("LIVEQUOTE;*;DISP_NAME='IBM'")[0]
    assert row is not None
    assert (row["COMPANY_NAME"], row["CUSIP"]) == ("International Business Machines", "459200101")
    assert (row["STARTTIME"], row["STOPTIME"]) == ("09:30:00", "16:00:00")
    assert (row["BID"], row["BIDSIZE"], row["ASK"], row["EARNINGS"]) == (185.1, 1000, 185.2, "Error 2")
    assert client.request("LIVEQUOTE;BID,NOPE;DISP_NAME='IBM'") == [{"BID": 185.1, "NOPE": "Error 0"}]
    rtgw.do("spoil", symbol="IBM", BID="Error 256")
    assert client.request("LIVEQUOTE;BID;DISP_NAME='IBM'") == [{"BID": "Error 256"}]
    rtgw.do("spoil", symbol="IBM")
    unknown = client.request("LIVEQUOTE;*;DISP_NAME='NOSUCH'")[0]
    assert unknown is not None
    assert "SYMBOL_ERROR" in unknown


def test_bars(client: RawClient) -> None:
    span = "STARTDATE='2026/03/03',CHART_STARTTIME='15:50',STOPDATE='2026/03/04',CHART_STOPTIME='09:40'"
    row = client.request(f"INTRADAY;{BARS};DISP_NAME='IBM',BARINTERVAL=5,{span}")[0]
    assert row is not None
    assert row["DISP_NAME"] == "IBM"
    assert row["TRDTIM_1"] == ["15:50:00", "15:55:00", "09:30:00", "09:35:00"]
    assert {len(values) for name, values in row.items() if name != "DISP_NAME"} == {4}
    days = client.request(f"DAILY;{BARS};DISP_NAME='IBM',BARINTERVAL=0,{span}")[0]
    assert days is not None
    assert (days["TRD_DATE"], days["TRDTIM_1"]) == (["2026-03-03", "2026-03-04"], "Error 17")
    none = client.request(f"DAILY;{BARS};DISP_NAME='NOSUCH',BARINTERVAL=0,{span}")[0]
    assert none is not None
    assert set(none.values()) == {"NOSUCH", "Error 17"}


def test_an_advise_tells_only_what_changes_and_ends_with_unadvise(client: RawClient, rtgw: Rtgw) -> None:
    query = "LIVEQUOTE;TRD_DATE,TRDTIM_1,TRDPRC_1,BID,BIDSIZE,ASK,ASKSIZE;DISP_NAME='IBM'"
    name = client.advise(query)
    rtgw.do("quote", symbol="IBM", bid="185.11", ask="185.20")
    assert client.update() == {"BID": 185.11, "BIDSIZE": 1000, "ASK": 185.2, "ASKSIZE": 1000}
    rtgw.do("quote", symbol="IBM", bid="185.11", ask="185.20")
    rtgw.do("trade", symbol="IBM", price="185.15")
    assert set(client.update()) == {"TRD_DATE", "TRDTIM_1", "TRDPRC_1"}
    rtgw.do("quote", symbol="IBM", bid="185.11", ask="185.20", ask_size=0)
    assert client.update()["ASK"] == "Error 2"
    client.send(f"unadvise {name} {query}")
    assert client.expect("ack", name) == "UNADVISE_OK"
    assert client.expect("status", name) == {"msg": "OnOtherAck", "status": "1"}
    rtgw.do("quote", symbol="IBM", bid="185.00", ask="185.20")
    assert client.request("LIVEQUOTE;BID;DISP_NAME='IBM'") == [{"BID": 185.0}]
    client.send(f"request {name} LIVEQUOTE;BID;DISP_NAME='IBM'")
    assert client.expect("ack", name) == "REQUEST_OK"
    assert rtgw.do("status")["violations"] == []


def test_adviserequest_tells_what_is_and_what_comes(client: RawClient, rtgw: Rtgw) -> None:
    name = client.connect(QUOTES)
    client.send(f"adviserequest {name} LIVEQUOTE;BID;DISP_NAME='IBM'")
    assert client.expect("ack", name) == "ADVISE_REQUEST_OK"
    assert client.expect("response", name) == {"row": {"BID": 185.1}, "complete": True}
    assert client.expect("status", name)["msg"] == "OnOtherAck"
    rtgw.do("quote", symbol="IBM", bid="185.00", ask="185.20")
    assert client.update() == {"BID": 185.0}


def test_an_order_is_told_to_every_advise_that_it_fits(link: Make) -> None:
    all_of_them, fills, poker = link(), link(), link()
    all_of_them.advise("ORDERS;*;")
    fills.advise("ORDERS;ORDER_ID,TYPE,CURRENT_STATUS,VOLUME;TYPE='ExchangeTradeOrder'")
    poker.poke(order("a", 250, STRAT_PARAMETERS="1\x1f2\x01"))
    rows = all_of_them.told(
        *("UserSubmitOrder PENDING", "ExchangeAcceptOrder COMPLETED", "UserSubmitOrder LIVE"),
        *("ExchangeTradeOrder COMPLETED", "UserSubmitOrder COMPLETED"),
    )
    assert rows[0]["CLIENT_ORDER_ID"] == "a"
    assert rows[0]["STRAT_PARAMETERS"] == "1\x1f2\x01"
    fill = {"ORDER_ID": rows[3]["ORDER_ID"], "TYPE": "ExchangeTradeOrder", "CURRENT_STATUS": "COMPLETED", "VOLUME": 250}
    assert fills.told("ExchangeTradeOrder COMPLETED") == [fill]
    assert poker.request(f"ORDERS;*;ORIGINAL_ORDER_ID='{rows[0]['ORDER_ID']}',TYPE='ExchangeTradeOrder'") == [rows[3]]
    position = poker.request("POSITION;*;")[0]
    assert position is not None
    assert (position["DISP_NAME"], position["LONGPOS"]) == ("IBM", 250)


def test_orders_outlive_the_link(link: Make) -> None:
    first = link()
    first.poke(limit("a", 1))
    first.close()
    assert [row and row["CLIENT_ORDER_ID"] for row in link().request("ORDERS;*;CURRENT_STATUS={'LIVE'}")] == ["a"]


def test_latency_and_a_person_who_decides(desk: RawClient, link: Make, rtgw: Rtgw) -> None:
    poker = link()
    rtgw.do("latency", seconds=0.02)
    poker.poke(order("slow"))
    desk.told("UserSubmitOrder PENDING", "ExchangeAcceptOrder COMPLETED", "UserSubmitOrder LIVE")
    desk.told("ExchangeTradeOrder COMPLETED", "UserSubmitOrder COMPLETED")
    rtgw.do("latency", seconds=0)
    rtgw.do("hold")
    poker.poke(limit("held", 1))
    poker.poke(limit("refused", 1))
    desk.told("UserSubmitOrder PENDING", "UserSubmitOrder PENDING")
    rtgw.do("accept", id="held")
    desk.told("ExchangeAcceptOrder COMPLETED", "UserSubmitOrder LIVE")
    rtgw.do("reject", id="refused", reason="No.")
    assert desk.told("ClerkReject COMPLETED", "UserSubmitOrder DELETED")[0]["REASON"] == "No."
    rtgw.do("fill", id="held", volume=40, price="0.99")
    assert desk.told("ExchangeTradeOrder COMPLETED", "UserSubmitOrder LIVE")[0]["PRICE"] == 0.99
    rtgw.do("kill", id="held", reason="Halted")
    killed = desk.told("ExchangeKillOrder COMPLETED", "UserSubmitOrder DELETED")[1]
    assert (killed["VOLUME_TRADED"], killed["REASON"]) == (40, "Halted")


def test_a_rush_is_a_new_quote_each_time_until_it_ends(client: RawClient, rtgw: Rtgw) -> None:
    name = client.connect(QUOTES)
    client.send(f"advise {name} LIVEQUOTE;BID,ASK;DISP_NAME='IBM'")
    assert client.expect("ack", name) == "ADVISE_OK"
    assert client.expect("status", name)["status"] == "1"
    rtgw.do("rush", symbols=["IBM"])
    rows = [client.expect("update", name)["row"] for _ in range(4000)]
    told = rtgw.do("rush", symbols=[])
    assert {(row["BID"], row["ASK"]) for row in rows} == {(185.11, 185.21), (185.1, 185.2)}
    assert all(row != before for before, row in pairwise(rows))
    for _ in range(told - len(rows)):
        client.expect("update", name)
    assert rtgw.do("rush", symbols=[]) == told
    assert client.is_silent()


def test_execute_and_terminate(client: RawClient, rtgw: Rtgw) -> None:
    name = client.connect(ORDERS)
    client.send(f"execute {name} anything")
    assert client.expect("ack", name) == "EXECUTE_OK"
    client.send(f"terminate {name} 1")
    assert client.expect("ack", name) == "TERMINATE_OK"
    assert rtgw.do("status")["connections"] == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("request {} ORDERS;*", "two semicolons"),
        ("request {} NOSUCH;*;", "no table"),
        ("request {} LIVEQUOTE;*;DISP_NAME='IBM'", "no table"),
        ("advise {} ACCOUNT;*;", "no advise"),
        ("unadvise {} ORDERS;*;", "no advise"),
        ("poke {} ORDERS;*;!TYPE=ExchangeTradeOrder", "TYPE"),
        ("poke {} ORDERS;*;!A=1,A=2", "twice"),
        ("dance {} now", "unknown command"),
        ("request nosuch ORDERS;*;", "unknown connection"),
    ],
)
def test_what_is_not_understood_is_refused_and_noted(client: RawClient, rtgw: Rtgw, command: str, why: str) -> None:
    client.send(command.format(client.connect(ORDERS)))
    message = client.read()
    assert (message["type"], "ERROR" in message["data"]) == ("ack", True)
    assert why in rtgw.do("status")["violations"][0]
    assert client.request("ORDERS;*;") == [None], "the link goes on"


def test_an_unknown_service_and_an_advise_that_is_not_kept(client: RawClient, rtgw: Rtgw) -> None:
    client.send("connect x NO;SUCH")
    client.expect("ack", "x")
    assert client.expect("status", "x") == {"msg": "OnInitAck", "status": "0"}
    name = client.advise("ORDERS;*;")
    client.send(f"request {name} ACCOUNT;*;")
    client.expect("ack", name)
    assert [text.split(" ", 1)[0] for text in rtgw.do("status")["violations"]] == ["unknown", "request"]


def test_the_controls_answer_what_is_wrong(rtgw: Rtgw) -> None:
    assert {"fault", "quote", "restart", "help"} <= set(rtgw.do("help"))
    for command, arguments in {
        "nosuch": {},
        "fault": {"name": "x"},
        "quote": {"symbol": "X", "bid": 1, "ask": 2},
    }.items():
        with pytest.raises(AssertionError, match="there are"):
            rtgw.do(command, **arguments)
    with pytest.raises(AssertionError, match="no order"):
        rtgw.do("kill", id="nosuch")


def test_by_hand(tmp_path: Path) -> None:
    """The command of the docstring; the control port; accounts and positions of one's own; the market moves."""
    command = [sys.executable, "-m", "tests.emulators.rtgw", "--port", "0", "--control", "0", "--tick", "0.01"]
    more = ["--account", "A.B.C.D", "--position", "A.B.C.D:SPY:-5", "--cash", "500"]
    process = subprocess.Popen(
        [*command, *more], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        client = RawClient(ports["port"])
        assert client.request("POSITION;*;") == [
            {"BANK": "A", "BRANCH": "B", "CUSTOMER": "C", "DEPOSIT": "D", "DISP_NAME": "SPY", "SHORTPOS0": 5}
        ]
        client.advise("LIVEQUOTE;BID,ASK;DISP_NAME='SPY'")
        assert client.update()["BID"] < client.update()["ASK"]
        with socket.create_connection(("127.0.0.1", ports["control"]), timeout=20) as control:
            control.sendall(b'{"do": "net"}\nnonsense\n')
            answers = control.makefile()
            assert json.loads(answers.readline()) == {"ok": {"A.B.C.D": {"SPY": -5}}}
            assert "error" in json.loads(answers.readline())
        client.close()
    finally:
        process.terminate()
        assert process.wait(20) == 0
        process.stdout.close()  # type: ignore[union-attr]
