"""The wire: however its bytes are cut, whatever comes, and the life of a logical connection."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway.brokers.rtx.protocol import (
    MAX_COMMAND,
    Ack,
    Answered,
    BadCommand,
    Decoder,
    Ended,
    Failed,
    Garbled,
    Message,
    News,
    Phase,
    Question,
    Response,
    Status,
    System,
    Talk,
    Update,
    Verb,
    WireError,
    advise,
    decode,
    line,
    poke,
    request,
)

RECORDINGS = Path(__file__).parent / "recordings"
EVERYTHING = b"".join(path.read_bytes() for path in sorted(RECORDINGS.glob("*.jsonl")))


def test_a_start_is_read() -> None:
    messages = Decoder().receive((RECORDINGS / "start.jsonl").read_bytes())
    assert messages[0] == System("startup", "rtgw 1.0")
    assert isinstance(messages[1], Ack)
    assert messages[1].text == "CONNECTION PENDING"
    assert isinstance(messages[2], Status)
    assert messages[2].good
    assert [each.complete for each in messages if isinstance(each, Response)] == [False, True]


@given(st.lists(st.integers(1, 4000), max_size=60), st.booleans())
def test_bytes_may_be_cut_anywhere(lengths: list[int], blank_lines: bool) -> None:
    data = EVERYTHING.replace(b"\n", b"\n\n\r\n") if blank_lines else EVERYTHING
    decoder, messages, at = Decoder(), [], 0
    for length in lengths:
        messages += decoder.receive(data[at : at + length])
        at += length
    messages += decoder.receive(data[at:])
    assert messages == Decoder().receive(EVERYTHING)
    assert not [each for each in messages if isinstance(each, Garbled)]


@given(st.binary(max_size=400))
def test_any_bytes_are_messages_or_garbled(data: bytes) -> None:
    for message in Decoder().receive(data + b"\n"):
        assert isinstance(message, Message)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


@given(JSON)
def test_any_json_is_a_message_or_garbled(value: Any) -> None:
    for kind in ("ack", "response", "status", "update", "system", "other"):
        assert isinstance(decode(json.dumps({"type": kind, "id": "x", "data": value}).encode()), Message)
    assert isinstance(decode(json.dumps(value).encode()), Garbled)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "1", '{"type":"ack"}', '{"type":"update","id":"x","data":{"row":[1]}}', '{"type":"update","id":"x"}',
     "[" * 100_000, '"\\ud800"', "\xff\xfe"],
)  # fmt: skip
def test_what_is_no_message_is_garbled(text: str) -> None:
    assert isinstance(decode(text.encode("utf-8", "surrogatepass")), Garbled)


def test_no_row_is_an_empty_one() -> None:
    assert decode(b'{"type":"response","id":"x","data":{"row":null,"complete":true}}') == Response("x", {}, True)


def test_prices_keep_every_digit() -> None:
    message = decode(b'{"type":"update","id":"x","data":{"row":{"PRICE":0.1000000000000000055511151231257827}}}')
    assert isinstance(message, Update)
    assert message.row["PRICE"] == Decimal("0.1000000000000000055511151231257827")


def test_a_line_without_an_end_is_given_up() -> None:
    decoder = Decoder(limit=1000)
    assert decoder.receive(b"x" * 999) == []
    with pytest.raises(WireError, match="longer than 1000 bytes"):
        decoder.receive(b"xx")


def test_a_command_is_one_line() -> None:
    assert line("request", "ID", "ACCOUNT;*;") == b"request ID ACCOUNT;*;\n"
    for words in ("a\nb", "a\rb", "a\x00b", "x" * MAX_COMMAND):
        with pytest.raises(BadCommand):
            line("poke", "ID", words)


def test_items() -> None:
    assert request("ORDERS", "*").item == "ORDERS;*;"
    assert advise("ORDERS", "*", "TYPE='ExchangeTradeOrder'").item == "ORDERS;*;TYPE='ExchangeTradeOrder'"
    assert poke("ORDERS", "TYPE=UserSubmitCancel,REFERS_TO_ID=001").item == (
        "ORDERS;*;!TYPE=UserSubmitCancel,REFERS_TO_ID=001"
    )


# ---------------------------------------------------------------- a logical connection


def opened() -> Talk:
    talk = Talk("x", "ACCOUNT_GATEWAY;ORDER")
    assert talk.open() == b"connect x ACCOUNT_GATEWAY;ORDER\n"
    assert talk.receive(Ack("x", "CONNECTION PENDING")) == []
    assert talk.receive(Status("x", "OnInitAck", True)) == [Answered()]
    assert talk.phase is Phase.IDLE
    return talk


def test_a_request_collects_rows_and_is_free_again() -> None:
    talk = opened()
    assert talk.ask(request("ACCOUNT", "*")) == b"request x ACCOUNT;*;\n"
    assert talk.receive(Ack("x", "REQUEST_OK")) == []
    assert talk.receive(Response("x", {"A": 1}, False)) == []
    assert talk.receive(Response("x", {}, False)) == []
    assert talk.receive(Response("x", {"A": 2}, True)) == [Answered(({"A": 1}, {"A": 2}))]
    assert talk.phase is Phase.IDLE
    talk.ask(request("ACCOUNT", "*"))
    talk.receive(Ack("x", "REQUEST_OK"))
    assert talk.receive(Response("x", {}, True)) == [Answered(())]


def test_a_poke_is_done_with_its_status_and_not_before() -> None:
    talk = opened()
    talk.ask(poke("ORDERS", "TYPE=UserSubmitCancel"))
    assert talk.receive(Status("x", "OnOtherAck", True)) == [], "a status that came before the ack is another's"
    assert talk.receive(Ack("x", "POKE_OK")) == []
    assert talk.receive(Status("x", "OnOtherAck", True)) == [Answered()]


def test_an_advise_tells_until_it_is_ended_and_is_free_then() -> None:
    talk = opened()
    question = advise("ORDERS", "*")
    talk.ask(question)
    assert talk.receive(Ack("x", "ADVISE_OK")) == [Answered()]
    assert talk.receive(Status("x", "OnOtherAck", True)) == []
    assert talk.receive(Update("x", {"A": 1})) == [News({"A": 1})]
    assert talk.receive(Update("x", {})) == []
    assert talk.ask(Question(Verb.UNADVISE, question.item)) == b"unadvise x ORDERS;*;\n"
    assert talk.receive(Update("x", {"A": 2})) == []
    assert talk.receive(Ack("x", "UNADVISE_OK")) == []
    assert talk.receive(Status("x", "OnOtherAck", True)) == [Answered()]
    assert talk.phase is Phase.IDLE


def test_it_is_over_when_the_other_side_says_so() -> None:
    for begin in (lambda talk: None, lambda talk: talk.ask(request("A", "*")), lambda talk: talk.ask(advise("A", "*"))):
        talk = opened()
        begin(talk)
        (ended,) = talk.receive(Status("x", "OnTerminate", True))
        assert isinstance(ended, Ended)
        assert talk.receive(Ack("x", "REQUEST_OK")) == [], "what comes later means nothing"
        with pytest.raises(ValueError, match="ENDED"):
            talk.ask(request("A", "*"))


@pytest.mark.parametrize("answer", [Ack("x", "POKE_FAILED"), Status("x", "OnOtherAck", False)])
def test_another_answer_is_a_failure(answer: Message) -> None:
    talk = opened()
    talk.ask(poke("ORDERS", "TYPE=UserSubmitCancel"))
    (failed,) = talk.receive(answer)
    assert isinstance(failed, Failed)


@pytest.mark.parametrize("answer", [Ack("x", "NO_SUCH_SERVICE"), Status("x", "OnInitAck", False)])
def test_a_refused_connect_is_the_end(answer: Message) -> None:
    talk = Talk("x", "NO;SERVICE")
    (ended,) = talk.receive(answer)
    assert isinstance(ended, Ended)


def test_an_advise_that_fails_is_over() -> None:
    talk = opened()
    talk.ask(advise("ORDERS", "*"))
    talk.receive(Ack("x", "ADVISE_OK"))
    (ended,) = talk.receive(Status("x", "OnOtherAck", False))
    assert isinstance(ended, Ended)


def test_one_question_at_a_time() -> None:
    talk = opened()
    talk.ask(request("A", "*"))
    with pytest.raises(ValueError, match="ASKED"):
        talk.ask(request("B", "*"))


@given(
    st.lists(
        st.sampled_from(
            [Ack("x", "CONNECTION PENDING"), Ack("x", "REQUEST_OK"), Ack("x", "POKE_OK"), Ack("x", "ADVISE_OK"),
             Ack("x", "NO"), Status("x", "OnInitAck", True), Status("x", "OnOtherAck", True),
             Status("x", "OnOtherAck", False), Status("x", "OnTerminate", True), Response("x", {"A": 1}, False),
             Response("x", {}, True), Update("x", {"A": 1}), request("A", "*"), advise("A", "*"), poke("A", "B=C")]
        ),
        max_size=30,
    )
)  # fmt: skip
def test_nothing_that_comes_breaks_it(happenings: list[Any]) -> None:
    talk = Talk("x", "A;B")
    for each in happenings:
        if not isinstance(each, Question):
            talk.receive(each)
        elif talk.phase is Phase.IDLE:
            talk.ask(each)


def test_what_has_no_value_spoils_nothing_else_of_its_row() -> None:
    message = decode(b'{"type":"update","id":"x","data":{"row":{"PRICE":NaN,"LOW_1":-Infinity,"TYPE":"A"}}}')
    assert message == Update("x", {"PRICE": None, "LOW_1": None, "TYPE": "A"})


def test_a_letter_of_another_alphabet_spoils_no_line() -> None:
    line = '{"type":"response","id":"x","data":{"row":{"COMPANY_NAME":"Nestl\u00e9"},"complete":true}}'
    message = decode(line.encode("latin-1"))
    assert isinstance(message, Response)
    assert message.complete
    assert str(message.row["COMPANY_NAME"]).startswith("Nestl")
