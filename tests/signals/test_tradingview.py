"""TradingView's alerts: every convention of their messages, what is refused, and by what deliveries are told apart."""

from __future__ import annotations

import json
from dataclasses import fields as members
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txgateway.model.errors import Reason
from txgateway.model.signal import Act, Amount, Instruction, Measure, Semantics, Sizing, Source, SourceKind
from txgateway.signals import BadSignal, Message, Post, Refusal, WrongSecret, redacted
from txgateway.signals.tradingview import WINDOW, TradingView
from txgateway.signals.tradingview.words import NAMES, SIDES

PAYLOADS = Path(__file__).parent / "payloads" / "tradingview"
SECRET = "correct-horse-battery"
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
PLAIN = Source(name="tv", kind=SourceKind.TRADINGVIEW, account="API_ACCOUNT", secret=SECRET)
BASE = {"passphrase": SECRET, "ticker": "AAPL"}
language = TradingView()


def post(body: Any, **more: Any) -> Post:
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Post(body=data, time=NOW, **more)


def read(body: Any, source: Source = PLAIN) -> tuple[Instruction, ...]:
    """As the gateway does: first the proof, then the words."""
    request = post(body)
    language.verify(source, request)
    return language.read(source, request).instructions


def one(source: Source = PLAIN, **body: Any) -> Instruction:
    found = read({**BASE, **body}, source)
    assert len(found) == 1
    return found[0]


def refusal(body: Any, source: Source = PLAIN) -> str:
    with pytest.raises(BadSignal) as caught:
        language.read(source, post(body))
    assert SECRET not in str(caught.value)
    return str(caught.value)


def source_of(changes: dict[str, Any]) -> Source:
    if "semantics" in changes:
        changes = {**changes, "semantics": Semantics(changes["semantics"])}
    return replace(PLAIN, **changes)


def told(instruction: Instruction) -> dict[str, Any]:
    """What of an instruction is not as it is by default."""
    empty = Instruction(act=instruction.act)
    values = {each.name: getattr(instruction, each.name) for each in members(Instruction)}
    changed = {name: value for name, value in values.items() if name == "act" or value != getattr(empty, name)}
    return {name: f"{each:f}" if isinstance(each, Decimal) else str(each) for name, each in changed.items()}


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("*.txt")))
def test_a_message_as_it_is_sent(name: str) -> None:
    expected = json.loads((PAYLOADS / f"{name}.expected.json").read_text())
    source = source_of(expected.get("source", {}))
    body = (PAYLOADS / f"{name}.txt").read_bytes()
    assert [told(each) for each in read(body, source)] == expected["instructions"]


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("*.txt")))
def test_what_is_kept_of_a_message_reads_the_same(name: str) -> None:
    """So that a stored signal can be gone over again."""
    expected = json.loads((PAYLOADS / f"{name}.expected.json").read_text())
    hidden = (PAYLOADS / f"{name}.txt").read_bytes().replace(SECRET.encode(), b"*" * len(SECRET))
    found = language.read(source_of(expected.get("source", {})), post(redacted(hidden)))
    assert [told(each) for each in found.instructions] == expected["instructions"]


# ---------------------------------------------------------------- the secret


@pytest.mark.parametrize("name", NAMES["secret"].split())
def test_the_secret_is_a_member(name: str) -> None:
    body = {"ticker": "AAPL", "action": "buy", "qty": 1}
    language.verify(PLAIN, post({**body, name: SECRET}))
    language.verify(PLAIN, post({**body, name.upper(): SECRET}))
    language.verify(PLAIN, post({**body, "auth": {name: SECRET}}))
    with pytest.raises(WrongSecret):
        language.verify(PLAIN, post({**body, name: SECRET + "x"}))


@pytest.mark.parametrize("rest", [SECRET, f"{SECRET}/", SECRET.replace("-", "%2D")])
def test_the_secret_is_the_end_of_the_url(rest: str) -> None:
    language.verify(PLAIN, post({"ticker": "AAPL"}, rest=rest))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        "null",
        "7",
        "secret=",
        '{"passphrase": ""}',
        '{"passphrase": null}',
        json.dumps({"comment": SECRET}),
    ],
)
def test_nothing_else_is_a_proof(body: str) -> None:
    for source in (PLAIN, replace(PLAIN, secret="")):
        with pytest.raises(WrongSecret):
            language.verify(source, post(body, rest="wrong"))


def test_a_source_without_a_secret_takes_nothing() -> None:
    with pytest.raises(WrongSecret):
        language.verify(replace(PLAIN, secret=""), post({"passphrase": ""}, rest=""))


def test_who_proves_himself_is_told_what_is_wrong_with_the_message() -> None:
    body = json.dumps({**BASE, "action": "buy", "quantity": float("nan")})
    language.verify(PLAIN, post(body))
    assert "NaN at line 1" in refusal(body)
    language.verify(PLAIN, post(f"buy IBM, secret = {SECRET}, qty=1"))


# ---------------------------------------------------------------- what is no message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe", "not UTF-8"),
        ('{"a": 1,\n "quantity": {{strategy.order.contracts}}}', "{{strategy.order.contracts}} at line 2, column 14"),
        ('{"a": 1, "quantity": NaN}', "NaN at line 1, column 22 (by 'quantity')"),
        ('{"a": 1, "quantity": -Infinity}', "-Infinity at line 1, column 22"),
        ('{"a": 1, "quantity": }', "line 1, column 22 (by 'quantity'): a value is missing"),
        ('{"comment": "say "hi" now", "a": 1}', "line 1, column 19 (by 'comment')"),
        ("{'a': 1}", "single ones"),
        ("{“a”: 1}", "typographic quotes"),
        ('{"a": 1', "line 1, column"),
        ('{"a": 1} and more', "text behind the order"),
        ('{"comment": "a\nb"}', "line break inside a text"),
        (json.dumps({"comment": "x" * 40_000}), "40015 bytes"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ("[]", "empty list"),
        ('{"orders": []}', "empty list"),
        ("[1]", "each must be a JSON object"),
        ('{"orders": [1]}', "must be a JSON object"),
        ("[" * 100 + "]" * 100, "nested deeper"),
        ("buy AAPL 10", "Line 1, column 1"),
        ("side=buy AAPL", "Line 1, column 10"),
        ("side=buy side=sell", "given twice"),
        ("side=buy\nside=sell", "given twice"),
        ("a=" + "x" * 3000, "longer than"),
        ("\n".join(["side=buy symbol=A qty=1"] * 101), "101 orders"),
        ("{}" * 200, "more than 100 orders"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_place(body: Any, said: str) -> None:
    assert said in refusal(body)


def test_a_line_that_is_not_like_the_template() -> None:
    source = replace(PLAIN, template="{side} {symbol} {quantity}")
    assert "Line 2 is not written" in refusal("buy AAPL 1\nbuy AAPL", source)


def test_a_mapping_that_does_not_fit_the_body() -> None:
    source = replace(PLAIN, mapping={"symbol": "length(pair)", "side": "what"})
    assert "expression for symbol does not fit" in refusal('{"pair": 1}', source)


@pytest.mark.parametrize("name", ["ticker", "action", "quantity", "id", "strategy_name", "stop_loss"])
def test_a_placeholder_that_is_left_in_what_is_used(name: str) -> None:
    said = refusal({**BASE, "action": "buy", "quantity": 1, name: "{{strategy.order.id}}"})
    assert "{{strategy.order.id}} at line 1, column" in said


# ---------------------------------------------------------------- what is not understood is refused, not left out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "nothing says what to do"),
        ({"action": "hold"}, "no word for a side"),
        ({"action": 1}, "no word for a side"),
        ({"action": "buy", "direction": "short"}, "do not say one thing"),
        ({"action": "buy", "order": "sell"}, "do not say one thing"),
        ({"action": "entry"}, "do not say one thing"),
        ({"action": "exit_long", "direction": "short"}, "do not say one thing"),
        ({"action": "exit_long", "side": "buy"}, "do not say one thing"),
        ({"action": "close", "side": "enter"}, "do not say one thing"),
        ({"action": "close", "side": "cancel"}, "do not say one thing"),
        ({"action": "buy", "ticker": "AAPL", "symbol": "IBM"}, "ticker says 'AAPL', symbol says 'IBM'"),
        ({"action": "buy", "ticker": ["AAPL"]}, "ticker"),
        ({"action": "buy", "ticker": ""}, "no symbol"),
        ({"action": "buy", "ticker": "x" * 101}, "no text of 1 to 100"),
        ({"action": "buy", "quantity": 1, "contracts": 2}, "quantity says '1', contracts says '2'"),
        ({"action": "buy", "quantity": 0}, "above zero"),
        ({"action": "buy", "quantity": -1}, "above zero"),
        ({"action": "buy", "quantity": "NaN"}, "no number that can be traded"),
        ({"action": "buy", "quantity": "ten"}, "no number"),
        ({"action": "buy", "quantity": True}, "no number"),
        ({"action": "buy", "quantity": [1]}, "no number"),
        ({"action": "buy", "quantity": "1e40"}, "no number that can be traded"),
        ({"action": "buy", "quantity": 1, "quantity_type": "lots"}, "not understood"),
        ({"action": "buy", "quantity": "5%", "quantity_type": "units"}, "not understood"),
        ({"action": "close", "quantity": "50$"}, "not understood"),
        ({"position_size": "NaN"}, "no number"),
        ({"market_position": "long"}, "market_position alone"),
        ({"market_position": "up", "market_position_size": 1}, "none of long, short, flat"),
        ({"market_position_size": 1}, "needs a market_position"),
        ({"market_position": "flat", "position_size": 3}, "does not fit"),
        ({"market_position": "long", "position_size": -3}, "does not fit"),
        ({"action": "buy", "market_position": "long", "market_position_size": 0}, "does not fit"),
        ({"action": "buy", "type": "trailing"}, "no order type"),
        ({"action": "buy", "type": "limit"}, "needs a limit price"),
        ({"action": "buy", "type": "stop"}, "needs a stop price"),
        ({"action": "buy", "type": "stop_limit", "stop": 5}, "needs a limit price"),
        ({"action": "buy", "type": "market", "stop": 5}, 'A stop loss is called "stop_loss"'),
        ({"action": "buy", "type": "limit", "limit": 5, "stop": 5}, "takes no stop price"),
        ({"action": "buy", "limit": 0}, "above zero"),
        ({"action": "buy", "limit": 1, "limit_price": 2}, "limit says '1'"),
        ({"action": "buy", "stop_loss": 0}, "above zero"),
        ({"action": "buy", "stop_loss": "100%"}, "below 100"),
        ({"action": "buy", "stop_loss": "soon"}, "not understood"),
        ({"action": "buy", "stop_loss": {"ticks": 5}}, "not understood"),
        ({"action": "buy", "stop_loss": {"percent": 5, "price": 4}}, "not understood"),
        ({"action": "buy", "take_profit": [1]}, "not understood"),
        ({"action": "buy", "tif": "forever"}, "none of"),
        ({"action": "buy", "reduce_only": "perhaps"}, "neither true nor false"),
        ({"action": "buy", "strategy_name": {"a": 1}}, "strategy_name"),
        ({"action": "buy", "client_order_id": "x:sl"}, "client_order_id"),
        ({"action": "buy", "client_order_id": "sig:1"}, "client_order_id"),
        ({"action": "buy", "maxLag": 20}, "tells no time"),
        ({"action": "buy", "maxLag": 0, "time": 1}, "above zero"),
        ({"action": "buy", "maxLag": "soon", "time": 1}, "no number"),
        ({"action": "buy", "maxLag": 20, "time": "noon"}, "no time"),
    ],
)
def test_what_is_not_understood(body: dict[str, Any], said: str) -> None:
    assert said in refusal({**BASE, **body})


def test_a_batch_is_taken_whole_or_not_at_all_and_says_which_order_is_wrong() -> None:
    good = {**BASE, "action": "buy", "quantity": 1}
    assert refusal([good, {**good, "action": "?"}, good]).startswith("Order 2 of 3: action")


# ---------------------------------------------------------------- what stands before what


def test_an_order_stands_before_the_position_unless_the_source_says_target() -> None:
    both = {"action": "sell", "contracts": 6, "position_size": -3}
    assert one(**both).act is Act.ORDER
    found = one(replace(PLAIN, semantics=Semantics.TARGET), **both)
    assert (found.act, found.target, found.side, found.amount) == (Act.TARGET, Decimal(-3), None, None)


def test_a_side_without_a_quantity_leaves_it_to_the_position_or_to_the_source() -> None:
    assert one(action="buy", position_size=3).target == 3
    assert one(action="buy").amount is None
    assert one(action="sell", market_position="flat").act is Act.CLOSE


def test_an_exit_that_leaves_something_is_a_target() -> None:
    assert one(action="exit", position_size=2).target == 2
    assert one(action="exit", position_size=-2).target == -2
    assert one(action="exit", position_size=2, quantity=1).amount == Amount(Decimal(1))
    assert one(action="close_all", position_size=2).act is Act.CLOSE


@pytest.mark.parametrize("semantics", [*Semantics])
@pytest.mark.parametrize("sizing", [Sizing.AS_SENT, Sizing.PERCENT])
@pytest.mark.parametrize(
    "body",
    [
        {"action": "sell", "contracts": 10, "market_position": "flat", "market_position_size": "0"},
        {"action": "buy", "contracts": 10, "market_position": "flat", "market_position_size": "0"},
        {"action": "sell", "contracts": 10, "market_position": "flat"},
        {"action": "sell", "contracts": "5%", "market_position": "FLAT"},
        {"action": "sell", "market_position": "flat"},
        {"action": "exit_long", "contracts": 10, "market_position": "flat"},
        {"action": "sell", "contracts": 10, "position_size": "0"},
        {"action": "sell", "contracts": 10, "position_size": -0.0},
        {"action": "close", "contracts": 10, "position_size": 0},
        {"market_position": "flat", "market_position_size": 0},
        {"market_position": "flat"},
    ],
)
def test_flat_is_flat(semantics: Semantics, sizing: Sizing, body: dict[str, Any]) -> None:
    """All that the strategy holds, whichever way: a close never opens."""
    found = one(replace(PLAIN, semantics=semantics, sizing=sizing, size=Decimal(2)), **body)
    assert told(found) == {"act": "CLOSE", "symbol": "AAPL"}


def test_a_position_without_a_side_is_a_target_and_a_cancel_is_a_cancel() -> None:
    assert told(one(position_size=0)) == {"act": "TARGET", "symbol": "AAPL", "target": "0"}
    assert one(action="cancel", market_position="flat", market_position_size=0).act is Act.CANCEL


@pytest.mark.parametrize("semantics", [Semantics.ORDERS, Semantics.ONE_POSITION])
def test_a_side_against_the_position_is_an_exit_in_part(semantics: Semantics) -> None:
    source = replace(PLAIN, semantics=semantics)
    found = one(source, action="sell", contracts=4, market_position="long", market_position_size=6)
    assert told(found) == {"act": "CLOSE", "symbol": "AAPL", "side": "SELL", "amount": "4"}
    found = one(source, action="buy", contracts=4, position_size=-6)
    assert told(found) == {"act": "CLOSE", "symbol": "AAPL", "side": "BUY", "amount": "4"}
    found = one(source, action="buy", contracts=4, market_position="short")
    assert (found.act, found.side) == (Act.CLOSE, "BUY")


def test_an_entry_of_the_one_position_names_it_by_its_size() -> None:
    source = replace(PLAIN, semantics=Semantics.ONE_POSITION)
    short = {"market_position": "short", "market_position_size": "3"}
    wanted = {"act": "ORDER", "symbol": "AAPL", "side": "SELL", "amount": "3", "target": "-3"}
    assert told(one(source, action="sell", contracts=8, **short)) == wanted
    assert told(one(source, action="sell", **short)) == wanted
    assert told(one(source, action="sell", contracts=8, position_size=-3)) == wanted
    assert one(source, action="sell", contracts="5%", **short).amount == Amount(Decimal(5), Measure.PERCENT)
    assert one(source, action="sell", contracts=8).target is None
    assert one(action="sell", contracts=8, **short).amount == Amount(Decimal(8))


def test_an_unsigned_position_size_takes_its_sign_from_market_position() -> None:
    assert one(market_position="short", position_size=3).target == -3
    assert one(market_position="short", position_size=-3).target == -3
    assert one(market_position="long", position_size=3).target == 3


def test_market_position_is_a_side_where_the_source_means_targets() -> None:
    found = one(replace(PLAIN, semantics=Semantics.TARGET), market_position="short", quantity=4)
    assert (found.act, found.side, found.amount) == (Act.ORDER, "SELL", Amount(Decimal(4)))


def test_a_price_alone_makes_no_limit_order() -> None:
    found = one(action="buy", quantity=1, price=180.5)
    assert (found.order_type, found.limit_price) == (None, None)
    assert one(action="buy", quantity=1, price=180.5, type="market").limit_price is None
    assert one(action="buy", quantity=1, price=180.5, type="limit").limit_price == Decimal("180.5")
    assert one(action="buy", quantity=1, price=180.5, limit=179).limit_price == Decimal(179)


def test_words_that_close_beside_words_that_name_what() -> None:
    assert one(action="close", direction="short").side == "BUY"
    assert one(action="close", side="sell").side == "SELL"
    assert one(action="exit_long", side="sell").side == "SELL"
    assert one(action="exit", order="flat").side is None


def test_type_may_say_whether_it_is_an_entry_or_an_exit() -> None:
    assert (one(action="sell", type="exit").act, one(action="sell", type="exit").side) == (Act.CLOSE, "SELL")
    assert one(action="sell", type="entry", qty=1).act is Act.ORDER
    assert one(type="buy", qty=1).side == "BUY"
    assert "do not say one thing" in refusal({**BASE, "action": "sell", "type": "buy"})
    assert one(action="sell", type="exit", order_type="market").act is Act.CLOSE


def test_the_type_is_one() -> None:
    assert one(action="buy", order="limit", type="entry", price=5).order_type == "LIMIT"
    assert one(action="buy", order_type="limit", type="alert", price=5).order_type == "LIMIT"
    assert "name two order types" in refusal({**BASE, "action": "buy", "order_type": "limit", "type": "market"})
    assert "name two order types" in refusal({**BASE, "action": "buy", "order": "limit", "type": "market"})


def test_order_may_be_the_type_beside_an_action() -> None:
    assert one(action="buy", quantity=1, order="limit", price=5).limit_price == 5
    assert one(action="buy", quantity=1, order="buy").side == "BUY"


def test_the_volume_of_a_bar_is_no_quantity() -> None:
    bar = {"open": 1, "high": 2, "low": 1, "close": 2, "volume": 1_250_000}
    assert one(action="buy", **bar).amount is None
    assert one(action="buy", bar=bar).amount is None
    assert read({"passphrase": SECRET, "data": {"ticker": "AAPL", "action": "buy", **bar}})[0].amount is None
    assert one(action="buy", qty=3, volume=1_250_000).amount == Amount(Decimal(3))
    lone = language.read(PLAIN, post({**BASE, "action": "buy", "volume": 3}))
    assert lone.instructions[0].amount == Amount(Decimal(3))
    assert "the whole market traded" in lone.warnings[0]


def test_a_close_in_part() -> None:
    assert one(action="close", quantity="50%").amount == Amount(Decimal(50), Measure.PERCENT)
    assert str(one(action="close", quantity="50%")) == "CLOSE 50% AAPL"
    assert one(action="close", quantity=5).amount == Amount(Decimal(5))


def test_what_is_null_or_empty_is_not_said() -> None:
    found = one(action="buy", quantity=1, limit=None, stop="", stop_loss=" ", type=None, strategy="")
    assert told(found) == {"act": "ORDER", "symbol": "AAPL", "side": "BUY", "amount": "1"}


def test_a_number_keeps_its_digits() -> None:
    assert one(action="buy", quantity=0.1).amount == Amount(Decimal("0.1"))
    assert one(action="buy", quantity="$12.50").amount == Amount(Decimal("12.50"), Measure.MONEY)
    assert one(action="buy", quantity=1, ticker=7203).symbol == "7203"


@pytest.mark.parametrize("word", sorted(SIDES))
def test_words_for_a_side_in_any_letters(word: str) -> None:
    body = {
        "action": word.upper(),
        "quantity": 1,
        **({"direction": "long"} if word in ("enter", "entry", "open") else {}),
    }
    assert one(**body).act in (Act.ORDER, Act.CLOSE, Act.CANCEL)


# ---------------------------------------------------------------- freshness


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T14:59:30Z",
        "2026-03-02 14:59:30",
        1772463570,
        "1772463570",
        1772463570000,
        "2026-03-02T15:59:30+01:00",
    ],
)
def test_the_senders_clock(written: Any) -> None:
    for name in ("time", "timestamp", "timenow", "alertTimestamp"):
        message = language.read(PLAIN, post({**BASE, "action": "buy", name: written, "maxLag": "20s"}))
        assert message.sent == NOW - timedelta(seconds=30)
        assert message.max_age == 20


def test_timenow_is_surer_than_time_which_may_be_the_bars() -> None:
    body = {**BASE, "action": "buy", "time": "2026-03-02T14:00:00Z", "timenow": "2026-03-02T14:59:59Z"}
    assert language.read(PLAIN, post(body)).sent == NOW - timedelta(seconds=1)
    assert language.read(PLAIN, post({**BASE, "action": "buy", "bar": {"time": "2026-03-02T14:00:00Z"}})).sent is None


def test_a_time_that_cannot_be_read_matters_only_where_the_age_is_limited() -> None:
    body = {**BASE, "action": "buy", "time": "noon"}
    assert language.read(PLAIN, post(body)).sent is None
    limited = replace(PLAIN, max_age=60)
    assert "no time" in refusal(body, limited)
    assert "tells no time" in refusal({**BASE, "action": "buy"}, limited)


# ---------------------------------------------------------------- duplicates


def key(source: Source = PLAIN, **body: Any) -> str:
    return language.read(source, post({**BASE, "action": "buy", "quantity": 1, **body})).key


@pytest.mark.parametrize("name", ["id", "alert_id", "nonce", "alertTimestamp"])
def test_a_senders_mark_tells_alerts_apart(name: str) -> None:
    first = key(**{name: "2026-03-02T14:59:30Z"})
    assert first
    assert key(**{name: "2026-03-02T14:59:30Z"}, price=1) == first
    assert key(**{name: "2026-03-02T14:59:31Z"}) != first
    assert key(**{name: "2026-03-02T14:59:30Z"}, ticker="IBM") != first
    assert key(**{name: "2026-03-02T14:59:30Z"}, quantity=2) != first


def test_the_name_of_an_order_is_no_mark() -> None:
    """`{{strategy.order.id}}` is "Long" each time: as a key it would swallow every entry after the first."""
    assert key(id="Long") == ""
    assert key(order={"id": "2026-03-02T14:59:30Z"}) == ""
    warnings = language.read(PLAIN, post({**BASE, "action": "buy", "id": "Long"})).warnings
    assert "{{timenow}}" in warnings[0]
    assert key(id=17) == ""
    assert not language.read(PLAIN, post({**BASE, "action": "buy", "id": 1772463570})).warnings
    assert key(id=1772463570) != ""
    assert key(id="5f2d-9a11-8c04") != ""
    assert key(nonce="a") != ""


def test_a_batch_has_a_key_when_each_of_it_is_marked() -> None:
    a, b = ({**BASE, "action": "buy", "quantity": 1, "id": number} for number in (100001, 100002))
    assert language.read(PLAIN, post([a, b])).key != language.read(PLAIN, post([b, a])).key
    assert language.read(PLAIN, post([a, {**b, "id": None}])).key == ""


def test_the_window_is_between_the_last_delivery_again_and_the_next_minute() -> None:
    attempts, timeout, pause = 4, 3, 5
    last = (attempts - 1) * (timeout + pause) + timeout
    assert last < WINDOW < 60 - 2 * timeout


# ---------------------------------------------------------------- answers


def test_answers() -> None:
    message = language.read(PLAIN, post({**BASE, "action": "buy"}))
    assert json.loads(language.accepted("S1", message, post("")).body) == {"status": "Accepted", "id": "S1"}
    answer = language.refused(Refusal(Reason.BAD_SIGNAL, "No."), 400)
    assert (answer.status, json.loads(answer.body)["reason"]) == (400, "BAD_SIGNAL")


# ---------------------------------------------------------------- nonsense

WORDS = st.sampled_from(
    [*(name for names in NAMES.values() for name in names.split()), "strategy", "bar", "order", "orders", "x"]
)
VALUES = (
    st.sampled_from(
        [
            "buy",
            "sell",
            "flat",
            "close",
            "exit_long",
            "AAPL",
            "BINANCE:BTCUSDT.P",
            "1",
            "50%",
            "300$",
            "%",
            "$",
            "-0",
            "NaN",
            "1e999",
            "1e-40",
            "{{ticker}}",
            "2026-03-02T14:59:30Z",
            "0001-01-01T00:00:00+23:59",
            "9" * 400,
            "limit",
            "stop",
            "",
        ]
    )
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
)
BODIES = st.recursive(
    VALUES, lambda each: st.lists(each, max_size=3) | st.dictionaries(WORDS, each, max_size=6), max_leaves=12
)
SOURCES = st.builds(
    lambda semantics, mapping, template, age: replace(
        PLAIN, semantics=semantics, mapping=mapping, template=template, max_age=age
    ),
    st.sampled_from(Semantics),
    st.sampled_from(
        [{}, {"symbol": "ticker", "side": "to_string(@)"}, {"side": "max(orders)", "quantity": "order.size * 1"}]
    ).filter(lambda mapping: "order.size * 1" not in mapping.values()),
    st.sampled_from(["", "{side} {symbol} {quantity}", "{symbol}|{side}[|{quantity}]"]),
    st.sampled_from([None, 60.0]),
)


def understood(source: Source, body: bytes) -> None:
    """It is read, or refused in its own words; nothing else ever."""
    request = Post(body=body, time=NOW, rest="")
    said = ""
    try:
        language.verify(source, request)
    except WrongSecret as error:
        said = str(error)
    assert len(said) < 400
    try:
        message = language.read(source, request)
    except BadSignal as error:
        said = str(error)
    else:
        sane(message)
    assert len(said) < 1500


def sane(message: Message) -> None:
    """It asks for something, and for nothing that is none."""
    assert message.instructions
    for each in message.instructions:
        assert each.symbol or each.act is Act.CANCEL
        assert each.amount is None or each.amount.value > 0
        assert (each.side is not None) or each.act is not Act.ORDER


@settings(max_examples=300, deadline=None)
@given(SOURCES, BODIES)
def test_any_json_is_read_or_refused(source: Source, body: Any) -> None:
    understood(source, json.dumps(body).encode())


@settings(max_examples=300, deadline=None)
@given(SOURCES, st.binary(max_size=200) | st.text(alphabet='{}[]",:=|ab1. \n', max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(source: Source, body: bytes) -> None:
    understood(source, body)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(WORDS, VALUES, max_size=8), st.integers(0, 120), st.binary(max_size=3), st.integers(0, 4))
def test_nearly_a_message_is_read_or_refused(body: dict[str, Any], at: int, put: bytes, cut: int) -> None:
    text = json.dumps({**BASE, "action": "buy", **body}).encode()
    understood(PLAIN, text[:at] + put + text[at + cut :])
