"""ALGOGENE's calls as bytes: who sent them, what they ask for, and the answers, member for member."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway.model.errors import Reason
from txgateway.model.exits import Level
from txgateway.model.order import OrderType, Side, TimeInForce
from txgateway.model.signal import Act, Amount, Answer, Instruction, Source, SourceKind
from txgateway.signals import BadSignal, Post, Refusal, WrongSecret, redacted
from txgateway.signals.algogene import Algogene, opening_key, sessions

NOW = datetime(2026, 3, 2, 14, 0, 51, 330180, UTC)
SOURCE = Source(name="random", kind=SourceKind.ALGOGENE, account="ACC", secret="s3cret-key", user="me")
LOGIN = {"user": "me", "api_key": "s3cret-key"}
LANGUAGE = Algogene()
ORDER = {"instrument": "BTCUSD", "buysell": "BUY", "volume": 1, "orderRef": "", "ordertype": "MKT"}


def token(now: datetime = NOW) -> str:
    return str(said(LANGUAGE.session(SOURCE, Post(b"", now)))["res"]["token"])


def said(answer: Answer) -> Any:
    return json.loads(answer.body)


def post(call: str, given: dict[str, Any], now: datetime = NOW) -> Post:
    named = f"{call} 746805590705" if call == "open_order" else call
    return Post(json.dumps({**LOGIN, "token": token(), **given}).encode(), now, call=named)


def read(call: str, given: dict[str, Any]) -> Any:
    return LANGUAGE.read(SOURCE, post(call, given))


def only(call: str, given: dict[str, Any]) -> Instruction:
    found = read(call, given).instructions
    assert len(found) == 1
    instruction: Instruction = found[0]
    return instruction


# ---------------------------------------------------------------- sessions


def test_a_session_lasts_an_hour_and_always_shows_microseconds() -> None:
    on_the_second = NOW.replace(microsecond=0)
    answer = said(LANGUAGE.session(SOURCE, Post(b"", on_the_second)))
    assert answer["res"]["expired_utc"] == "2026-03-02 15:00:51.000000"
    assert str(on_the_second.replace(tzinfo=None)) < answer["res"]["expired_utc"]
    given = answer["res"]["token"]
    assert sessions.is_valid(SOURCE, given, on_the_second + timedelta(hours=1))
    assert not sessions.is_valid(SOURCE, given, on_the_second + timedelta(hours=1, microseconds=1))


def test_a_token_is_one_users_and_one_secrets() -> None:
    given = token()
    second = Source(name="second", kind=SourceKind.ALGOGENE, account="OTHER", secret="s3cret-key", user="me")
    assert sessions.is_valid(second, given, NOW)
    other = Source(name="random", kind=SourceKind.ALGOGENE, account="ACC", secret="s3cret-key", user="other")
    renewed = Source(name="random", kind=SourceKind.ALGOGENE, account="ACC", secret="another", user="me")
    bare = Source(name="random", kind=SourceKind.ALGOGENE, account="ACC")
    assert sessions.is_valid(SOURCE, given, NOW)
    for source in (other, renewed, bare):
        assert not sessions.is_valid(source, given, NOW)
    assert not sessions.is_valid(bare, sessions.token_of(bare, NOW), NOW)
    assert "s3cret" not in given


@given(st.text(max_size=80))
def test_no_other_text_is_a_token(text: str) -> None:
    assert not sessions.is_valid(SOURCE, text, NOW)


@given(st.integers(0, 60), st.characters(codec="ascii"))
def test_a_token_with_a_letter_changed_is_none(at: int, letter: str) -> None:
    given = token()
    changed = given[:at] + letter + given[at + 1 :]
    if changed.lower() != given:
        assert not sessions.is_valid(SOURCE, changed, NOW)


# ---------------------------------------------------------------- who


@pytest.mark.parametrize("call", ["open_order", "close_orders", "opened_trades", "balance", "accounts"])
def test_a_call_about_the_account_needs_user_key_and_session(call: str) -> None:
    LANGUAGE.verify(SOURCE, post(call, {}))
    for name in ("user", "api_key", "token"):
        for wrong in ("", None, "x", 7, True, [], {}, "é", "x" * 1000):
            with pytest.raises(WrongSecret):
                LANGUAGE.verify(SOURCE, post(call, {name: wrong}))
    with pytest.raises(WrongSecret, match="Invalid session!"):
        LANGUAGE.verify(SOURCE, post(call, {}, NOW + timedelta(hours=2)))


@pytest.mark.parametrize("call", ["session", "history_price", "list_instrument", "realtime_price"])
def test_a_call_about_the_market_needs_none(call: str) -> None:
    LANGUAGE.verify(SOURCE, Post(b"", NOW, call=call, query=LOGIN))
    with pytest.raises(WrongSecret, match="user or api_key"):
        LANGUAGE.verify(SOURCE, Post(b"", NOW, call=call, query={**LOGIN, "api_key": "wrong"}))


def test_a_source_without_a_user_is_called_by_its_name_and_one_without_a_secret_by_nobody() -> None:
    plain = Source(name="random", kind=SourceKind.ALGOGENE, account="ACC", secret="k")
    LANGUAGE.verify(plain, Post(b"", NOW, call="session", query={"user": "random", "api_key": "k"}))
    bare = Source(name="random", kind=SourceKind.ALGOGENE, account="ACC")
    for key in ("", "k"):
        with pytest.raises(WrongSecret):
            LANGUAGE.verify(bare, Post(b"", NOW, call="session", query={"user": "random", "api_key": key}))


def test_neither_key_nor_token_is_kept() -> None:
    given = post("open_order", ORDER)
    kept = redacted(given.body)
    assert "s3cret-key" not in kept
    assert token() not in kept
    assert "BTCUSD" in kept


# ---------------------------------------------------------------- what


def test_the_published_scripts_order() -> None:
    message = read("open_order", {**ORDER, "runmode": "livetest", "accountid": "YOUR_ACCOUNT_ID"})
    assert message.key == opening_key("746805590705")
    assert message.instructions == (
        Instruction(
            act=Act.OPEN,
            symbol="BTCUSD",
            side=Side.BUY,
            amount=Amount(D(1)),
            order_type=OrderType.MARKET,
            strategy="746805590705",
            strategy_name="trade 746805590705",
        ),
    )
    answer = LANGUAGE.accepted("S", message, post("open_order", ORDER))
    assert answer == Answer(
        200,
        '{"status":"PENDING_TO_FILL","timestamp_utc":"2026-03-02 14:00:51.330180","tradeID":746805590705}',
    )


def test_a_limit_order_with_all_that_can_be_attached() -> None:
    found = only(
        "open_order",
        {
            **ORDER,
            "buysell": "sell",
            "volume": "0.01",
            "ordertype": "LMT",
            "price": 145.5,
            "takeProfitLevel": 140.0,
            "stopLossLevel": "147.25",
            "holdtime": 3600.0,
            "timeinforce": 90,
            "orderRef": "my order abcd1234",
            "callback": "https://example.com/callback",
        },
    )
    assert (found.side, found.amount, found.order_type) == (Side.SELL, Amount(D("0.01")), OrderType.LIMIT)
    assert (found.limit_price, found.stop_price, found.time_in_force) == (D("145.5"), None, TimeInForce.GTC)
    assert (found.take_profit, found.stop_loss) == (Level(D(140)), Level(D("147.25")))
    assert (found.hold_seconds, found.good_seconds, found.reference) == (3600, 90, "my order abcd1234")


def test_a_stop_order_and_numbers_for_sides() -> None:
    found = only("open_order", {**ORDER, "buysell": -1, "ordertype": "STOP", "price": "90"})
    assert (found.side, found.order_type, found.stop_price, found.limit_price) == (
        Side.SELL,
        OrderType.STOP,
        D(90),
        None,
    )


def test_zero_and_nothing_stand_for_none() -> None:
    none = {"price": 0, "takeProfitLevel": 0, "stopLossLevel": "", "holdtime": None, "timeinforce": 0}
    assert only("open_order", {**ORDER, **none, "expiry": "", "right": "", "strike": 0}) == only("open_order", ORDER)


def test_a_contract_has_one_name_that_a_source_can_map() -> None:
    found = only("open_order", {**ORDER, "instrument": "HSI", "expiry": "20260330", "right": "c", "strike": 18000.0})
    assert found.symbol == "HSI 20260330 C 18000"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (192, ["192"]),
        ("192,193", ["192", "193"]),
        ("192, 193,192,", ["192", "193"]),
        ([192, "193"], ["192", "193"]),
        ("0192", ["192"]),
    ],
)
def test_trade_ids_bare_in_a_text_or_a_list(given: Any, named: list[str]) -> None:
    for call, act in (("close_orders", Act.CLOSE), ("cancel_orders", Act.CANCEL)):
        message = read(call, {"tradeIDs": given})
        assert [(each.act, each.strategy) for each in message.instructions] == [(act, each) for each in named]
        assert message.key == ""
    closing = read("close_orders", {"tradeIDs": given})
    answer = said(LANGUAGE.accepted("S", closing, post("close_orders", {"tradeIDs": given})))
    assert answer["status"] == "SUCCESS"
    assert answer["res"] == "Submitted close order request for " + "".join(f"'{each}'," for each in named)


def test_the_odd_answer_to_a_close_byte_for_byte() -> None:
    message = read("close_orders", {"tradeIDs": 746805590705})
    answer = LANGUAGE.accepted("S", message, post("close_orders", {}))
    assert answer.body == '{"res":"Submitted close order request for \'746805590705\',","status":"SUCCESS"}'


def test_a_change_says_what_stays_and_what_goes() -> None:
    found = only("update_opened_order", {"tradeID": 12, "takeProfitLevel": 150, "stopLossLevel": 0, "price": 1})
    assert found == Instruction(
        act=Act.AMEND,
        take_profit=Level(D(150)),
        stop_loss=Level(D(0)),
        strategy="12",
        strategy_name="trade 12",
    )
    pending = only("update_pending_order", {"tradeID": "12", "price": 90, "timeinforce": 60, "orderRef": "new"})
    assert (pending.limit_price, pending.good_seconds, pending.reference) == (D(90), 60, "new")
    for call, word in (("update_opened_order", ""), ("update_pending_order", "pending ")):
        given = {"tradeID": 12, "holdtime": 5}
        answer = said(LANGUAGE.accepted("S", read(call, given), post(call, given)))
        assert answer == {"res": f"Submitted for {word}order update!", "status": "SUCCESS"}


def test_what_is_refused_is_a_400_with_the_sentence_in_res() -> None:
    answer = LANGUAGE.refused(Refusal(Reason.NO_POSITION, "There is nothing to close."), 401)
    assert answer == Answer(400, '{"res":"There is nothing to close."}')


# ---------------------------------------------------------------- nonsense

NAMES = ["NaN", "Infinity", "-1", -1, "1e99", "x"]
"""No numbers to trade by; but names, as far as anybody knows here."""
NONSENSE: list[Any] = [*NAMES, "", None, True, [], {}, [1], "1" * 500, "one\ntwo", "é\0"]


@pytest.mark.parametrize("name", ["volume", "instrument", "buysell", "ordertype"])
def test_an_order_without_sense_is_refused_with_a_sentence(name: str) -> None:
    for value in NONSENSE:
        if (name == "instrument" and value in NAMES) or (name == "buysell" and value in ("-1", -1)):
            continue
        with pytest.raises(BadSignal) as refused:
            read("open_order", {**ORDER, name: value})
        assert name in str(refused.value), (value, str(refused.value))
        assert len(str(refused.value)) < 250


@pytest.mark.parametrize("name", ["takeProfitLevel", "stopLossLevel", "holdtime", "timeinforce", "price", "strike"])
def test_nonsense_beside_the_order_is_refused_too(name: str) -> None:
    for value in NONSENSE:
        if value in ("", None) and value is not True:
            continue
        with pytest.raises(BadSignal) as refused:
            read("open_order", {**ORDER, "ordertype": "LMT", "price": 10, name: value})
        assert name in str(refused.value), (value, str(refused.value))


@pytest.mark.parametrize("call", ["open_order", "update_opened_order", "update_pending_order"])
def test_what_guards_a_trade_is_never_dropped_for_how_it_is_written(call: str) -> None:
    sensible = {**ORDER, "tradeID": 7, "holdtime": 60}
    read(call, {**sensible, "slippage": 1, "comment": "any other member", "": 2})
    for name, right in (
        ("stoplosslevel", "write stopLossLevel."),
        ("StopLossLevel", "write stopLossLevel."),
        ("stop_loss_level", "write stopLossLevel."),
        (" stopLossLevel", "write stopLossLevel."),
        ("stop_loss", "write stopLossLevel "),
        ("stopPrice", "price is price"),
        ("maxLoss", "write stopLossLevel."),
        ("takeprofit", "write takeProfitLevel."),
        ("TAKE_PROFIT_LEVEL", "write takeProfitLevel."),
        ("profitTarget", "write takeProfitLevel."),
        ("holdTime", "write holdtime."),
        ("hold_seconds", "write holdtime."),
        ("timeInForce", "write timeinforce."),
        ("expiration", "write timeinforce (seconds that an order waits), or expiry"),
        ("order_Ref", "write orderRef."),
        ("Volume", "write volume."),
        ("trade_ID", "write tradeID."),
    ):
        for value in (90, "", None):
            with pytest.raises(BadSignal) as refused:
                read(call, {**sensible, name: value})
            assert repr(name) in str(refused.value)
            assert right in str(refused.value)


@pytest.mark.parametrize("call", ["close_orders", "cancel_orders"])
def test_a_close_with_its_trades_under_another_name_says_the_right_one(call: str) -> None:
    with pytest.raises(BadSignal, match="write tradeIDs"):
        read(call, {"trade_ids": 7})


def test_the_names_of_the_published_client_are_all_known() -> None:
    given = {**dict.fromkeys(["expiry", "right", "callback"], ""), "strike": 0, "price": 0, "timeinforce": 0}
    more = {"takeProfitLevel": 0, "stopLossLevel": 0, "holdtime": 0, "accountid": "1", "runmode": "livetest"}
    assert only("open_order", {**ORDER, **given, **more, "openclose": "open"}) == only("open_order", ORDER)


def test_an_open_order_that_is_to_close_is_refused() -> None:
    for word in ("close", "CLOSE", "sell"):
        with pytest.raises(BadSignal, match="close_orders ends trades by tradeIDs"):
            read("open_order", {**ORDER, "openclose": word})


@pytest.mark.parametrize("name", ["timeinforce", "holdtime", "takeProfitLevel", "stopLossLevel"])
def test_nothing_is_below_zero_whatever_the_order(name: str) -> None:
    for call in ("open_order", "update_opened_order", "update_pending_order"):
        for value in (-1, "-0.5", -3600.0):
            with pytest.raises(BadSignal, match=f"{name} .* must not be below zero"):
                read(call, {**ORDER, "tradeID": 7, "orderRef": "x", name: value})


def test_a_mark_is_all_that_a_call_says_but_its_session() -> None:
    def marked(call: str = "open_order", **given: Any) -> Any:
        return read(call, {**ORDER, "tradeID": 7, "tradeIDs": 7, **given}).mark

    mark = marked()
    assert mark
    assert marked(token="another") == mark
    assert read("open_order", dict(reversed({**ORDER, "tradeID": 7, "tradeIDs": 7}.items()))).mark == mark
    changed: list[dict[str, Any]] = [{"volume": 2}, {"orderRef": "x"}, {"accountid": 5}, {"any": "other"}, {"any": 1}]
    assert len({mark, *(marked(**each) for each in changed)}) == 6
    for call in ("close_orders", "cancel_orders", "update_opened_order", "update_pending_order"):
        assert marked(call, orderRef="x") == ""
    assert marked(any=[{"a": None, "b": 1e300}, 10**400, "é"])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tradeIDs": None},
        {"tradeIDs": ""},
        {"tradeIDs": ","},
        {"tradeIDs": []},
        {"tradeIDs": "x"},
        {"tradeIDs": "192,x"},
        {"tradeIDs": -5},
        {"tradeIDs": 0},
        {"tradeIDs": 1.5},
        {"tradeIDs": True},
        {"tradeIDs": {}},
        {"tradeIDs": [[1]]},
        {"tradeIDs": 10**30},
        {"tradeIDs": "²"},
        {"tradeIDs": ",".join(map(str, range(1, 200)))},
    ],
)
def test_trade_ids_without_sense(given: dict[str, Any]) -> None:
    with pytest.raises(BadSignal, match="tradeID"):
        read("close_orders", given)


@pytest.mark.parametrize("given", [{}, {"tradeID": 12}, {"tradeID": "x", "holdtime": 1}, {"tradeID": 12, "price": 0}])
def test_changes_without_sense(given: dict[str, Any]) -> None:
    with pytest.raises(BadSignal):
        read("update_pending_order", given)


@pytest.mark.parametrize("body", [b"[]", b"1", b"{", b"user=me", b'{"a":1}{"a":2}', b'{"a":NaN}', b"\xff", b'"x"'])
def test_a_body_that_is_no_object(body: bytes) -> None:
    with pytest.raises(BadSignal):
        LANGUAGE.read(SOURCE, Post(body, NOW, call="open_order 1"))
    with pytest.raises(WrongSecret):
        LANGUAGE.verify(SOURCE, Post(body, NOW, call="open_order 1"))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(
    [*ORDER, "price", "takeProfitLevel", "holdtime", "timeinforce", "strike", "tradeIDs", "tradeID"]
)


@given(
    st.sampled_from(["open_order", "close_orders", "cancel_orders", "update_opened_order", "update_pending_order"]),
    st.dictionaries(_NAMES, _VALUES, max_size=6),
)
def test_whatever_comes_is_read_or_refused(call: str, given: dict[str, Any]) -> None:
    try:
        message = read(call, {**ORDER, "tradeID": 7, **given})
    except BadSignal:
        return
    assert message.instructions
    LANGUAGE.accepted("S", message, post(call, given))
