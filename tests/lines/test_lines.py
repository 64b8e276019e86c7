"""The stream's language: bytes into messages, messages into requests, news into lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from txgateway import bulletins, lines
from txgateway.bulletins import DATA, LINE, LINES, News
from txgateway.lines import BrokenNetstring, Guard, Login, Netstrings, Options, Request, netstring
from txgateway.model.errors import BadArgument, NotUp, Reason, Refused, TimedOut, Unsupported
from txgateway.model.events import VenueStatus

# ---------------------------------------------------------------- bytes


@given(some.lists(some.binary(max_size=300)), some.lists(some.integers(1, 50)))
def test_netstrings_come_back_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    sent, decoder, got = b"".join(map(netstring, messages)), Netstrings(), []
    for cut in cuts:
        got += decoder.receive(sent[:cut])
        sent = sent[cut:]
    got += decoder.receive(sent)
    assert got == messages
    assert not decoder.partial


@given(some.binary(max_size=200))
def test_junk_is_refused_or_waited_for_never_more_than_the_limit(junk: bytes) -> None:
    decoder = Netstrings(50)
    try:
        got = list(decoder.receive(junk))
    except BrokenNetstring:
        return
    assert b"".join(map(netstring, got)) == junk[: len(junk) - len(decoder._buffer)]
    assert len(decoder._buffer) <= 50 + 4


def test_good_messages_before_a_broken_one_are_given() -> None:
    got = []
    with pytest.raises(BrokenNetstring, match="which is no netstring's length"):
        got.extend(Netstrings().receive(b"2:hi,3:abc,nonsense"))
    assert got == [b"hi", b"abc"]


@pytest.mark.parametrize(
    ("junk", "why"),
    [
        (b"51:", "above the limit of 50"),
        (b"100:", "no netstring's length"),
        (b"01:a,", "no netstring's length"),
        (b"-1:", "no netstring's length"),
        (b" 1:a,", "no netstring's length"),
        (b"1:ab", "does not end with a comma"),
    ],
)
def test_what_is_no_netstring(junk: bytes, why: str) -> None:
    with pytest.raises(BrokenNetstring, match=why):
        list(Netstrings(50).receive(junk))


# ---------------------------------------------------------------- what clients say


@pytest.mark.parametrize(
    ("text", "method", "arguments", "before"),
    [
        ("add ibm", "add_symbol", {"symbol": "ibm"}, "ch.symbol: "),
        ("del IBM", "del_symbol", {"symbol": "IBM"}, "ch.symbol: "),
        ("query IBM", "query_symbol", {"symbol": "IBM"}, "ch.symbol: "),
        ("querydata IBM", "query_symbol_data", {"symbol": "IBM"}, "ch.symbol-data: "),
        ("symbols", "query_symbols", {"data": True}, "ch.symbols: "),
        ("accounts", "query_accounts", {}, "ch.accounts: "),
        ("setaccount A", "set_account", {"account": "A"}, ""),
        ("positions", "query_positions", {}, "ch.positions: "),
        ("orders", "query_orders", {}, "ch.orders: "),
        ("tickets", "query_tickets", {}, "ch.tickets: "),
        ("executions", "query_executions", {}, "ch.executions: "),
        (" cancel  17 ", "cancel_order", {"id": "17"}, ""),
        ("globalcancel", "global_cancel", {}, ""),
        ("shutdown it is late", "shutdown", {"message": "it is late"}, ""),
        (
            "marketorder A R IBM -5",
            "market_order",
            {"account": "A", "route": "R", "symbol": "IBM", "quantity": "-5"},
            "",
        ),
        (
            "limitorder A R IBM 9.5 5 key",
            "limit_order",
            {
                "account": "A",
                "route": "R",
                "symbol": "IBM",
                "limit_price": "9.5",
                "quantity": "5",
                "client_order_id": "key",
            },
            "",
        ),
        (
            "stoporder A R IBM 9.5 5",
            "stop_order",
            {"account": "A", "route": "R", "symbol": "IBM", "stop_price": "9.5", "quantity": "5"},
            "",
        ),
        (
            "stoplimitorder A R IBM 9.5 9.6 5",
            "stoplimit_order",
            {
                "account": "A",
                "route": "R",
                "symbol": "IBM",
                "stop_price": "9.5",
                "limit_price": "9.6",
                "quantity": "5",
            },
            "",
        ),
        (
            "stagemarketorder T A R IBM 5",
            "stage_market_order",
            {"tag": "T", "account": "A", "route": "R", "symbol": "IBM", "quantity": "5"},
            "",
        ),
        ("call status", "status", {}, 'ch.result: {"method":"status","result":'),
        ("call status T1", "status", {}, 'ch.result: {"method":"status","tag":"T1","result":'),
        ('call f {"a": {"b": 1}} T', "f", {"a": {"b": 1}}, 'ch.result: {"method":"f","tag":"T","result":'),
    ],
)
def test_commands(text: str, method: str, arguments: dict[str, object], before: str) -> None:
    request = lines.parse(text)
    assert isinstance(request, Request)
    assert (request.method, request.arguments) == (method, arguments)
    assert request.around("ch") == (before, "}" if request.word == "call" else "")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("getbars IBM 1 2013-10-07 09:30:00 2013-10-07 16:00", "2013-10-07 09:30:00", "2013-10-07 16:00"),
        ("getbars IBM D 2013-10-07 2013-10-09", "2013-10-07", "2013-10-09"),
        ("getbars IBM 1 . .", ".", "."),
        ("getbars IBM 1 . . . .", ".", "."),
        ("getbars IBM 1 -10 .", "-10", "."),
        ("getbars IBM 1 -10 . 2013-10-07 16:00", "-10", "2013-10-07 16:00"),
        ("getbars IBM 1 -10 2013-10-07 16:00", "-10", "2013-10-07 16:00"),
        ("getbars IBM 1 2013-10-07 09:30 .", "2013-10-07 09:30", "."),
        ("getbars IBM 1 2013-10-07 . 2013-10-08 .", "2013-10-07", "2013-10-08"),
    ],
)
def test_the_times_of_bars(text: str, start: str, end: str) -> None:
    request = lines.parse(text)
    assert isinstance(request, Request)
    assert (request.arguments["start"], request.arguments["end"]) == (start, end)


@pytest.mark.parametrize("text", ["", "  ", "dance", "AUTH a b", "addIBM", ".help", '{"method":"status"}'])
def test_what_is_no_command(text: str) -> None:
    assert lines.parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "add",
        "add IBM AAPL",
        "orders now",
        "cancel",
        "marketorder A R IBM",
        "marketorder A R IBM 5 key more",
        "stagemarketorder T A R IBM",
        "getbars IBM",
        "getbars IBM 1 .",
        "getbars IBM 1 a b c d e",
        "call",
        "call status {",
        "call status {]}",
        "call status {} two words",
        'call status {"a":NaN}',
        "auth",
        "auth me",
    ],
)
def test_commands_that_are_written_wrong(text: str) -> None:
    with pytest.raises(BadArgument, match=r"[iI]t is written: "):
        lines.parse(text)


def test_a_login_keeps_its_options_as_they_are_written() -> None:
    assert lines.parse('auth me pass:wörd {"a": "b  c"}') == Login("me", "pass:wörd", '{"a": "b  c"}')
    assert lines.parse("auth me word noquotes  notrades") == Login("me", "word", "noquotes  notrades")
    assert lines.parse("auth me word") == Login("me", "word", "")


@given(some.text())
def test_nothing_else_comes_of_any_text(text: str) -> None:
    try:
        said = lines.parse(text)
    except BadArgument:
        return
    assert said is None or isinstance(said, Login | Request)


@pytest.mark.parametrize("text", ["orders", "symbols", "getbars IBM 1 . .", "call query_orders", "call explain_order"])
def test_long_answers_are_known_before(text: str) -> None:
    request = lines.parse(text)
    assert isinstance(request, Request)
    assert request.long


def test_help_and_the_description_have_every_command() -> None:
    assert lines.help_line() == f".commands: {list(lines.WORDS)}"
    assert lines.__doc__ is not None
    assert [word for word in lines.WORDS if word not in lines.__doc__] == []
    assert [option for option in bulletins.OPTIONS if option not in lines.__doc__.replace("`ticket`", "ticket-")] == []


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", set()),
        ("noquotes notrades", {"order-notification"}),
        ("noquotes  notrades", {"noquotes", "notrades"}),
        ("order-data quotes", {"order-data", "quotes"}),
        ('{"order-data":1,"quotes":false,"trades":0,"ticket-data":"yes"}', {"order-data", "ticket-data"}),
    ],
)
def test_options_in_their_three_forms(text: str, wanted: set[str]) -> None:
    assert lines.options(text) == Options(frozenset(wanted))


def test_options_with_values() -> None:
    text = json.dumps({"resume": 0, "venue": "other", "SYMBOL_FIELDS": ["BID", "ASK"]})
    found = lines.options(text)
    assert (found.resume, found.venue, found.symbol_fields, found.position) == (0, "other", ("BID", "ASK"), True)
    assert found.complaints == ()


@given(
    some.recursive(
        some.none() | some.booleans() | some.floats(allow_nan=False, allow_infinity=False) | some.text(), some.lists
    )
)
def test_options_of_any_kind_are_taken_or_complained_about(value: object) -> None:
    found = lines.options_from({"resume": value, "venue": value, "SYMBOL_FIELDS": value})
    assert found.resume is None
    assert isinstance(found.venue, str | None)


@pytest.mark.parametrize(
    ("text", "guard", "complaint"),
    [
        ('{"cancel-on-disconnect":5}', Guard(5.0), ""),
        ('{"cancel-on-disconnect":0,"lease":"algo"}', Guard(0.0, "algo"), ""),
        ('{"cancel-on-disconnect":0.5,"lease":null}', Guard(0.5), ""),
        ('{"cancel-on-disconnect":true}', Guard(0.0), ""),
        ('{"cancel-on-disconnect":false}', Guard(None), ""),
        ('{"cancel-on-disconnect":null}', Guard(None), ""),
        ("order-data cancel-on-disconnect", Guard(0.0), ""),
        ('{"lease":"algo"}', None, ""),
        ('{"cancel-on-disconnect":-1}', None, "your orders stay"),
        ('{"cancel-on-disconnect":86401}', None, "your orders stay"),
        ('{"cancel-on-disconnect":"5"}', None, "your orders stay"),
        ('{"cancel-on-disconnect":[]}', None, "your orders stay"),
        ('{"cancel-on-disconnect":1,"lease":7}', Guard(1.0), "7 is no name"),
        ('{"cancel-on-disconnect":1,"lease":"a\\nb"}', Guard(1.0), "is no name"),
    ],
)
def test_cancel_on_disconnect_is_asked_for(text: str, guard: Guard | None, complaint: str) -> None:
    found = lines.options(text)
    assert found.guard == guard
    assert (complaint in " ".join(found.complaints)) if complaint else not found.complaints


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("order-data lease position", ""),
        ("noquotes notrades", ""),
        ("order-dta", 'option "order-dta" is unknown and asks for nothing: did you mean order-data?'),
        ("cancel-on-disconect order-data", "did you mean cancel-on-disconnect?"),
        (
            "xxxxxxx yyyyyyy",
            'option "xxxxxxx" and 1 more is unknown and asks for nothing: there are SYMBOL',
        ),
        ("x" * 60_000, "xxx… is unknown"),
    ],
)
def test_a_name_that_nobody_knows_is_said(wanted: str, said: str) -> None:
    found = lines.unknown_options(frozenset(wanted.split()), frozenset({"order-data", "quotes"}))
    assert (said in found) if said else not found
    assert len(found) < 300


def test_options_that_are_no_json() -> None:
    assert "cannot be read" in lines.options('{"a":1,"a":2}').complaints[0]


# ---------------------------------------------------------------- what the server says


def test_failures() -> None:
    request, call = lines.parse("add IBM"), lines.parse("call add_symbol {} T")
    assert isinstance(request, Request)
    assert isinstance(call, Request)
    assert request.failed("ch", TimedOut("no answer")) == ".error: no answer"
    assert call.failed("ch", NotUp("wait")) == (
        'ch.result: {"method":"add_symbol","tag":"T","error":{"message":"wait","reason":"NOT_UP"}}'
    )
    refused = '{"status":"Error","errorMsg":"no","reason":"HALTED"}'
    assert request.failed("ch", Refused(Reason.HALTED, "no")) == f"ch.symbol: {refused}"
    assert call.failed("ch", Refused(Reason.HALTED, "no")).endswith(f'"result":{refused}}}')
    assert '"reason":"UNSUPPORTED"' in request.failed("ch", Unsupported("it cannot"))


def test_parts_of_the_news() -> None:
    wanted = frozenset({"order-notification", "order-data", "quotes", "status-data"})
    parts = {
        kind: LINES.part(kind, wanted) for kind in ("order", "ticket", "quote", "trade", "status", "time", "error")
    }
    assert parts == {
        "order": LINE | DATA,
        "ticket": 0,
        "quote": LINE,
        "trade": 0,
        "status": DATA,
        "time": LINE,
        "error": LINE,
    }
    news = News("order", "order.1 A T S", b'{"a":1}', 7)
    assert LINES.news("ch", news, LINE) == b"16:ch.order.1 A T S,"
    assert LINES.news("ch", news, DATA) == b'21:ch.order-data {"a":1},'
    assert LINES.news("ch", news, LINE | DATA) == b'16:ch.order.1 A T S,21:ch.order-data {"a":1},'


def test_an_errors_text_is_one_line() -> None:
    assert bulletins.news_of_error("17", "two\r\nlines").line == "error: 17 two lines"


def test_words_for_a_venues_status() -> None:
    words = {status: bulletins.connection_word(status, been_up=True) for status in VenueStatus}
    assert list(words.values()) == ["Disconnected", "Pending", "Initializing", "Up", "Shutdown"]
    assert bulletins.connection_word(VenueStatus.DOWN, been_up=False) == "Startup"
