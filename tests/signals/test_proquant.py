"""ProQuant's language: what its events ask for, and the answers that it understands, byte for byte."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from txgateway.model.errors import Reason
from txgateway.model.integration import Step
from txgateway.model.order import Side
from txgateway.model.signal import Act, Amount, Answer, Source, SourceKind
from txgateway.signals import BadSignal, Message, Post, Refusal, WrongSecret
from txgateway.signals.proquant import HEADER, ProQuant

SECRET = "baz-baz-baz-baz"
SOURCE = Source(name="gold", kind=SourceKind.PROQUANT, account="ACC", secret=SECRET)
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
SENT = datetime(2019, 2, 8, 11, 1, 30, 730_000, tzinfo=UTC)
INTEGRATION = {
    "name": "someone@foo.bar",
    "description": "Foo Bar FX",
    "imageUrl": "https://foo.bar/logo.png",
    "webhook": {"url": "https://foo.bar/api/proquant", "headers": {"x-foo-bar-api-token": "baz"}},
}
STRATEGY = {"id": "6bbc583bf6d70605bbbc892f66367ab7", "name": "Gold High-Risk"}
SIGNAL = {
    "direction": "BUY",
    "ticker": "XAUUSD",
    "quantity": 10,
    "strategy": STRATEGY,
    "proquantPositionId": "960fe1a63d264d0f4e19a0ebf385497e",
}


def event(kind: Any, data: Any = None, **more: Any) -> dict[str, Any]:
    return {"timestamp": 1549623690730, "type": kind, "integration": INTEGRATION, "data": data, **more}


def read(body: Any) -> Message:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ProQuant().read(SOURCE, Post(data, NOW))


def v1(kind: Any, data: Any = None, **more: Any) -> Message:
    return read({"v1": {"deprecation": None, "event": event(kind, data, **more)}})


def test_an_open_is_of_so_many_units_for_its_strategy() -> None:
    message = v1("SIGNAL_OPEN", SIGNAL)
    (told,) = message.instructions
    assert (told.act, told.side, told.symbol, told.amount) == (Act.OPEN, Side.BUY, "XAUUSD", Amount(Decimal(10)))
    assert (told.strategy, told.strategy_name) == (STRATEGY["id"], "Gold High-Risk")
    assert told.reference == SIGNAL["proquantPositionId"]
    assert message.sent == SENT
    assert message.key == f"SIGNAL_OPEN|{SIGNAL['proquantPositionId']}|1549623690730"
    assert message.warnings == ()


def test_a_close_is_of_all_that_the_strategy_holds_whatever_else_it_says() -> None:
    for data in (SIGNAL, {**SIGNAL, "quantity": None, "direction": "?"}):
        (told,) = v1("SIGNAL_CLOSE", data).instructions
        assert (told.act, told.side, told.symbol, told.amount) == (Act.CLOSE, None, "XAUUSD", None)


def test_a_reopen_is_in_the_direction_that_it_names() -> None:
    (told,) = v1("SIGNAL_REOPEN", {**SIGNAL, "direction": "SELL", "quantity": 0.5}).instructions
    assert (told.act, told.side, told.amount) == (Act.REOPEN, Side.SELL, Amount(Decimal("0.5")))


def test_older_payloads_name_an_instrument() -> None:
    older = {("instrument" if name == "ticker" else name): value for name, value in SIGNAL.items()}
    assert v1("SIGNAL_OPEN", older) == v1("SIGNAL_OPEN", SIGNAL)


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("INTEGRATION_APPROVED", Step.APPROVED),
        ("INTEGRATION_REJECTED", Step.REJECTED),
        ("INTEGRATION_DELETED", Step.DELETED),
    ],
)
def test_an_integration_s_life_is_news_and_nothing_to_do(kind: str, step: Step) -> None:
    message = v1(kind)
    assert message.instructions == ()
    assert (message.news.step, message.news.name, message.news.description) == (step, "someone@foo.bar", "Foo Bar FX")
    assert message.sent == SENT


@pytest.mark.parametrize(("kind", "step"), [("STRATEGY_ENABLED", Step.ENABLED), ("STRATEGY_DISABLED", Step.DISABLED)])
def test_a_strategy_s_life_is_news_too(kind: str, step: Step) -> None:
    message = v1(kind, STRATEGY)
    assert message.instructions == ()
    assert (message.news.step, message.news.strategy, message.news.strategy_name) == (step, *STRATEGY.values())
    assert message.key == f"{kind}|{STRATEGY['id']}|1549623690730"


@pytest.mark.parametrize("data", [None, 7, {"anything": []}])
def test_what_is_unknown_is_nothing_to_us(data: Any) -> None:
    message = v1("POSITION_DREAMT_OF", data, timestamp=None, integration=None)
    assert message.instructions == ()
    assert "POSITION_DREAMT_OF" in message.about
    assert ProQuant().accepted("S1", message, Post(b"", NOW)) == Answer(200, "", ())


def test_the_newest_version_that_is_known_is_taken_and_its_end_is_a_warning() -> None:
    body = {
        "v1": {"deprecation": "2020-01-01T00:00:00.000Z", "event": event("SIGNAL_OPEN", SIGNAL)},
        "v2": {"deprecation": None, "event": {"what": "who knows"}},
    }
    message = read(body)
    assert len(message.instructions) == 1
    (warning,) = message.warnings
    assert warning == "ProQuant ends v1 of its events on '2020-01-01': update the gateway before. It has 'v2' already."
    assert message.news.ending == warning


def test_without_a_known_version_the_gateway_is_to_be_updated() -> None:
    with pytest.raises(BadSignal, match=r"\(v1\), but 'v2': the gateway needs an update"):
        read({"v2": {"deprecation": None, "event": event("SIGNAL_OPEN", SIGNAL)}})


def test_deliveries_of_one_event_have_one_key_and_others_another() -> None:
    first = v1("SIGNAL_OPEN", SIGNAL).key
    assert v1("SIGNAL_OPEN", SIGNAL, timestamp="1549623690730.0").key == first
    assert v1("SIGNAL_REOPEN", SIGNAL).key != first
    assert v1("SIGNAL_OPEN", SIGNAL, timestamp=1549623690731).key != first
    assert v1("SIGNAL_OPEN", {**SIGNAL, "proquantPositionId": "another"}).key != first
    nameless = [{**SIGNAL, "proquantPositionId": None, "strategy": {"id": each}} for each in ("one", "two")]
    assert v1("SIGNAL_OPEN", nameless[0]).key != v1("SIGNAL_OPEN", nameless[1]).key


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b'{"v1"', "JSON"),
        (b"\xff", "UTF-8"),
        ([], "object"),
        ({}, "nothing"),
        ({"v1": None}, "v1 is 'None'"),
        ({"v1": {"deprecation": None}}, "v1.event is 'None'"),
        ({"v1": {"event": event(None)}}, "v1.event.type"),
        ({"v1": {"event": event("SIGNAL_OPEN", None)}}, "v1.event.data is 'None'"),
        ({"v1": {"event": event("SIGNAL_OPEN", SIGNAL, timestamp=None)}}, "timestamp"),
        ({"v1": {"event": event("SIGNAL_OPEN", SIGNAL, timestamp=1e29)}}, "milliseconds since 1970"),
        ({"v1": {"event": event("SIGNAL_OPEN", {**SIGNAL, "direction": "UP"})}}, "neither BUY nor SELL"),
        ({"v1": {"event": event("SIGNAL_OPEN", {**SIGNAL, "direction": ["BUY"]})}}, "neither BUY nor SELL"),
        ({"v1": {"event": event("SIGNAL_OPEN", {**SIGNAL, "quantity": 0})}}, "above zero"),
        ({"v1": {"event": event("SIGNAL_OPEN", {**SIGNAL, "quantity": "-1"})}}, "above zero"),
        ({"v1": {"event": event("SIGNAL_OPEN", {**SIGNAL, "quantity": "NaN"})}}, "quantity 'NaN'"),
        ({"v1": {"event": event("SIGNAL_OPEN", {**SIGNAL, "quantity": True})}}, "quantity 'True'"),
        ({"v1": {"event": event("SIGNAL_OPEN", {**SIGNAL, "ticker": None})}}, "data.ticker 'None'"),
        ({"v1": {"event": event("SIGNAL_OPEN", {**SIGNAL, "ticker": " "})}}, "data.ticker"),
        ({"v1": {"event": event("SIGNAL_CLOSE", {**SIGNAL, "strategy": None})}}, "data.strategy is 'None'"),
        ({"v1": {"event": event("SIGNAL_CLOSE", {**SIGNAL, "strategy": {"id": ""}})}}, "strategy.id"),
        ({"v1": {"event": event("SIGNAL_CLOSE", {**SIGNAL, "proquantPositionId": []})}}, "proquantPositionId"),
        ({"v1": {"event": event("STRATEGY_ENABLED", None)}}, "data is 'None'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(body: Any, word: str) -> None:
    with pytest.raises(BadSignal) as refused:
        read(body)
    assert word in str(refused.value)


def test_what_people_wrote_is_no_reason_to_refuse_a_signal() -> None:
    message = v1("SIGNAL_OPEN", {**SIGNAL, "strategy": {"id": "s", "name": "a\nb" * 300}}, integration=[1])
    assert message.instructions[0].strategy_name.startswith("a ba b")
    assert len(message.instructions[0].strategy_name) == 200


# ---------------------------------------------------------------- who it is


def test_the_secret_is_in_a_header_or_ends_the_url() -> None:
    for post in (
        Post(b"", NOW, headers={HEADER: SECRET}),
        Post(b"", NOW, headers={"authorization": f"Bearer {SECRET}"}),
        Post(b"", NOW, rest=f"{SECRET}/"),
    ):
        ProQuant().verify(SOURCE, post)
    for post in (
        Post(b"", NOW),
        Post(b"", NOW, headers={HEADER: SECRET[:-1]}),
        Post(b"", NOW, headers={HEADER: "Bazé"}, rest="x"),
        Post(b"", NOW, headers={"authorization": f"Basic {SECRET}"}),
        Post(b"", NOW, query={"token": SECRET}),
    ):
        with pytest.raises(WrongSecret):
            ProQuant().verify(SOURCE, post)


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (Reason.INSUFFICIENT_FUNDS, "InsufficientFunds"),
        (Reason.QUANTITY_TOO_LOW, "QuantityTooLow"),
        (Reason.QUANTITY_TOO_HIGH, "QuantityTooHigh"),
        (Reason.BAD_LOT, "InvalidQuantityPrecision"),
        (Reason.UNKNOWN_SYMBOL, "UnsupportedInstrument"),
        (Reason.POSITION_EXISTS, "PositionAlreadyExists"),
        (Reason.MARKET_CLOSED, "MarketClosed"),
        (Reason.NO_POSITION, "PositionNotFound"),
        (Reason.NOT_ALLOWED, "InvalidCredentials"),
    ],
)
def test_every_error_type_byte_for_byte(reason: Reason, kind: str) -> None:
    answer = ProQuant().refused(Refusal(reason, "Why."), 400)
    assert answer == Answer(400, '{"type":"' + kind + '"}', (("x-proquant-error", "1"),))


@given(some.sampled_from(list(Reason)), some.integers(100, 599))
def test_whatever_the_reason_proquant_sees_an_error(reason: Reason, status: int) -> None:
    answer = ProQuant().refused(Refusal(reason, "Why."), status)
    assert answer.status >= 400
    assert bool(answer.headers) == answer.body.startswith('{"type":')
    assert answer.headers or answer.body == "Why."


# ---------------------------------------------------------------- nonsense

_JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=30),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_KINDS = some.sampled_from(
    ["INTEGRATION_APPROVED", "STRATEGY_ENABLED", "SIGNAL_OPEN", "SIGNAL_CLOSE", "SIGNAL_REOPEN", "OTHER"]
)


def only_bad_signals(data: bytes) -> None:
    """Read, or refused in a sentence that can be shown; nothing else."""
    refused = ""
    try:
        message = read(data)
    except BadSignal as error:
        refused, message = str(error), Message()
    assert refused.isprintable()
    assert len(refused) < 600
    for instruction in message.instructions:
        assert instruction.strategy
        assert instruction.symbol
        assert instruction.amount is None or 0 < instruction.amount.value < Decimal(10) ** 31
    json.dumps(message.about).encode()


@given(some.binary(max_size=200))
@example(b'{"v1": {"event": {"type": "SIGNAL_OPEN", "timestamp": ' + b"9" * 5000 + b"}}}")
@example(b"[" * 100_000)
def test_bytes_are_read_or_refused(data: bytes) -> None:
    only_bad_signals(data)


@given(some.dictionaries(some.sampled_from(["v1", "v2", ""]), _JSON))
def test_any_json_is_read_or_refused(body: Any) -> None:
    only_bad_signals(json.dumps(body).encode())


@given(_KINDS, some.dictionaries(some.sampled_from([*SIGNAL, "instrument", "id", "name"]), _JSON), _JSON, _JSON, _JSON)
def test_nonsense_inside_an_event_is_read_or_refused(kind: str, data: Any, one: Any, two: Any, end: Any) -> None:
    for changed in ({}, {"timestamp": one}, {"integration": two}, {"data": one}):
        for inside in (data, {**SIGNAL, **data}, {**SIGNAL, "strategy": data}):
            body = {"v1": {"deprecation": end, "event": {**event(kind, inside), **changed}}}
            only_bad_signals(json.dumps(body).encode())
