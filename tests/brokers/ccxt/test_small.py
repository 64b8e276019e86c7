"""The small pure parts: ids, options, errors, balances, the clock, the file of names, the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from uuid import UUID

import ccxt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway.brokers import Can
from txgateway.brokers.ccxt import errors, exchange, peculiarities
from txgateway.brokers.ccxt.balances import Balances, locked_by
from txgateway.brokers.ccxt.clock import VenueClock
from txgateway.brokers.ccxt.ids import IdForm, client_id, order_id
from txgateway.brokers.ccxt.memory import Memory
from txgateway.brokers.ccxt.options import mistakes, read
from txgateway.brokers.ccxt.words import Held
from txgateway.model.errors import Reason

D = Decimal
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


# ---------------------------------------------------------------- ids


@given(st.text(LETTERS, min_size=1, max_size=20))
def test_an_id_is_read_out_of_the_uuid_that_was_made_of_it(name: str) -> None:
    written = client_id(IdForm.UUID, name)
    assert UUID(written).version == 4
    assert order_id(IdForm.UUID, written) == name


def test_others_uuids_are_not_taken_for_ours() -> None:
    chance = Random(1)  # of so many one is taken for ours every few hundred times
    assert not any(order_id(IdForm.UUID, str(UUID(int=chance.getrandbits(128), version=4))) for _ in range(2000))
    assert order_id(IdForm.UUID, "no uuid") == ""
    assert UUID(client_id(IdForm.UUID, "an id of another form")).version == 4


@given(st.text(min_size=1, max_size=40))
def test_a_number_is_positive_has_63_bits_and_is_the_same_each_time(name: str) -> None:
    written = client_id(IdForm.NUMBER, name)
    assert 0 < int(written) < 2**63
    assert written == client_id(IdForm.NUMBER, name)
    assert order_id(IdForm.NUMBER, written) == ""


# ---------------------------------------------------------------- options


def test_options_have_defaults() -> None:
    options = read({})
    assert (options.exchange, options.account, options.domain) == ("binance", "api_account", "live")
    assert "hush" not in repr(read({"key": "hush", "secret": "hush"}))


@pytest.mark.parametrize(
    ("option", "value", "instead"),
    [
        ("exchange", "no such", "ccxt's name"),
        ("market", "future", "spot, swap"),
        ("domain", "paper", "live, testnet, demo"),
        ("url", "http://localhost/path?query=1", "a host and a port"),
        ("url", "localhost:1", "a scheme"),
        ("url", "http://localhost:x", "a scheme"),
        ("stream_url", "http://localhost:1", "a scheme (wss or ws)"),
        ("accounts", ["A", "B"], "one name"),
        ("accounts", ["a b"], "letters, digits"),
        ("symbols", ["BTC USDT"], "pairs or quote currencies"),
        ("symbols", 5, "pairs or quote currencies"),
        ("symbols", "BTCUSDT", "a pair is written BTC/USDT, not BTCUSDT"),
        ("symbols", "USDT,ETH-USD", "a pair is written ETH/USD, not ETH-USD"),
        ("silence", True, "seconds"),
        ("silence", float("nan"), "seconds"),
        ("patience", "0", "seconds"),
        ("throttle", "yes", "true or false"),
        ("share", 1.5, "a share"),
        ("secret", 5, "a text"),
        ("sekret", "x", "did you mean secret"),
    ],
)
def test_bad_options_are_told(option: str, value: object, instead: str) -> None:
    wrong = mistakes({option: value})
    assert instead in wrong[option]
    with pytest.raises(ValueError, match=r"."):
        read({option: value})


@pytest.mark.parametrize("words", ["USDT", "USDT,USDC", "FDUSD", "PYUSD", "BTC/USDT", "BTC/USDT:USDT", "EUR", "BTC"])
def test_quote_currencies_and_pairs_are_taken(words: str) -> None:
    assert read({"symbols": words}).symbols == tuple(words.split(","))


def test_a_secret_is_not_in_the_error() -> None:
    with pytest.raises(ValueError, match="secret: give a text") as caught:
        read({"secret": ["hush"]})
    assert "hush" not in str(caught.value)


def test_a_private_key_may_be_on_one_line() -> None:
    assert read({"secret": r"-----BEGIN-----\nabc\n-----END-----"}).secret == "-----BEGIN-----\nabc\n-----END-----"


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ccxt.InsufficientFunds("no"), Reason.INSUFFICIENT_FUNDS),
        (ccxt.BadSymbol("no"), Reason.UNKNOWN_SYMBOL),
        (ccxt.InvalidOrder("no"), Reason.REJECTED),
        (ccxt.InvalidOrder("Filter failure: NOTIONAL"), Reason.MIN_NOTIONAL),
        (ccxt.MarketClosed("no"), Reason.MARKET_CLOSED),
        (ccxt.AuthenticationError("no"), Reason.REJECTED),
        (ccxt.InvalidNonce("no"), Reason.REJECTED),
        (ccxt.RequestTimeout("no"), None),
        (ccxt.ExchangeNotAvailable("no"), None),
        (ccxt.OnMaintenance("no"), None),
        (ccxt.DDoSProtection("no"), None),
        (ccxt.RateLimitExceeded("no"), None),
        (ccxt.NullResponse("no"), None),
        (ccxt.ExchangeError("no"), None),
        (ccxt.DuplicateOrderId("no"), None),
        (ConnectionResetError(), None),
        (ValueError("ours"), None),
    ],
)
def test_only_the_exchanges_own_word_is_a_refusal(error: Exception, reason: Reason | None) -> None:
    assert errors.refusal(error) is reason


@pytest.mark.parametrize(
    ("error", "sure"),
    [
        (ccxt.DDoSProtection('binance 429 {"code":-1015,"msg":"Too many new orders."}'), True),
        (ccxt.DDoSProtection('binance 429 {"code":-1003,"msg":"Too many requests."}'), False),
        (ccxt.DDoSProtection("binance 418 I am a teapot"), False),
        (ccxt.ExchangeError('binance {"code":-1006,"msg":"Execution status unknown."}'), False),
        (ccxt.RequestTimeout('binance {"code":-1007,"msg":"Timeout."}'), False),
        (ccxt.ExchangeError('binance {"code":-1121,"msg":"Invalid symbol."}'), True),
        (ccxt.DuplicateOrderId('binance {"code":-4116,"msg":"clientOrderId is duplicated"}'), False),
    ],
)
def test_binances_codes_say_more(error: Exception, sure: bool) -> None:
    assert (errors.refusal(error, peculiarities.TABLE["binance"].sure) is not None) is sure


def test_not_found_is_only_what_the_exchange_says() -> None:
    assert errors.not_found(ccxt.OrderNotFound("no"))
    assert not errors.not_found(ccxt.NetworkError("order with this orderID was not found"))
    absent = peculiarities.TABLE["coinbase"].absent
    assert errors.not_found(ccxt.ExchangeError("order with this orderID was not found"), absent)
    assert not errors.not_found(ccxt.RequestTimeout("timed out"), absent)


def test_what_was_answered_or_had_its_time_is_over() -> None:
    assert errors.is_over(ccxt.RequestTimeout("binance POST https://x/order"))
    assert errors.is_over(ccxt.DDoSProtection("binance 429"))
    assert not errors.is_over(ccxt.RequestTimeout('binance {"code":-1007,"msg":"Timeout waiting for response."}'))
    assert not errors.is_over(ccxt.ExchangeNotAvailable("binance POST https://x/order"))


def test_no_signature_is_shown() -> None:
    text = errors.sentence(ccxt.RequestTimeout("binance GET https://x/y?symbol=A&timestamp=1&signature=abc failed"))
    assert "abc" not in text
    assert "symbol=A" in text
    asked = "htx GET https://x/y?AccessKeyId=1a-2b&Signature=abc%3D&symbol=A&nonce=5&design=plain"
    assert errors.sentence(ccxt.RequestTimeout(asked)) == "htx GET https://x/y?symbol=A&design=plain"


# ---------------------------------------------------------------- balances


def test_balances_are_estimated_where_no_stream_tells() -> None:
    balances = Balances(by_stream=False)
    before = locked_by([("BTC", "USD", 1, D(1), D(100))])
    balances.snapshot([Held(currency="USD", total=D(1000), used=D(100)), Held(currency="BTC", total=D(2))], before, 0.0)
    balances.moved({"BTC": D(1), "USD": D(-100)})
    now = locked_by([("BTC", "USD", -1, D("0.5"), D(200))])
    found = {each.currency: each for each in balances.held(now)}
    assert found["USD"] == Held(currency="USD", total=D(900), used=D(0))
    assert found["BTC"] == Held(currency="BTC", total=D(3), used=D("0.5"))


def test_a_stream_tells_them_itself() -> None:
    balances = Balances(by_stream=True)
    balances.snapshot([Held(currency="USD", total=D(1000), used=D(0))], {}, 0.0)
    balances.moved({"USD": D(-100)})
    balances.hear(Held(currency="USD", total=D(900), used=D(5)))
    assert balances.held({"USD": D(77)}) == [Held(currency="USD", total=D(900), used=D(5))]


def test_a_fill_of_before_the_answer_is_in_it() -> None:
    """After a broken link fills of meanwhile are asked for, and the balances were."""
    balances, asked = Balances(by_stream=False), datetime(2026, 1, 1, tzinfo=UTC)
    balances.snapshot([Held(currency="USD", total=D(900), used=D(0))], {}, 0.0, asked)
    balances.moved({"USD": D(-100)}, asked - timedelta(seconds=1))
    assert balances.held({}) == [Held(currency="USD", total=D(900), used=D(0))]
    balances.moved({"USD": D(-100)}, asked + timedelta(seconds=1))
    assert balances.held({}) == [Held(currency="USD", total=D(800), used=D(0))]


# ---------------------------------------------------------------- the clock


def test_the_clock_follows_the_exchange_and_never_goes_back() -> None:
    clock, ours = VenueClock(), datetime(2026, 1, 1, tzinfo=UTC)
    clock.told(ours + timedelta(seconds=6), ours, ours + timedelta(seconds=2))
    assert clock.now(ours) == ours + timedelta(seconds=5)
    assert clock.difference == -5000
    clock.told(ours, ours, ours)
    assert clock.now(ours) == ours + timedelta(seconds=5)


def test_a_clock_of_ours_that_is_ahead_holds_nothing_up() -> None:
    clock, ours = VenueClock(), datetime(2026, 1, 1, tzinfo=UTC)
    assert clock.now(ours) == ours
    clock.told(ours - timedelta(seconds=45), ours, ours)
    assert clock.now(ours) == ours - timedelta(seconds=45)
    assert clock.at(ours - timedelta(seconds=5)) == ours - timedelta(seconds=50)


# ---------------------------------------------------------------- the file of names


def test_names_are_there_after_a_restart(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.name("123", "ABC")
    memory.number("BTC/USDT", "b-1", "ABC")
    memory.symbol("BTC/USDT")
    memory.symbol("BTC/USDT")
    memory.close()
    again = Memory(tmp_path)
    assert (again.named("123"), again.numbered("BTC/USDT", "b-1"), again.symbols) == ("ABC", "ABC", ["BTC/USDT"])
    assert (again.named("5"), again.numbered("ETH/USDT", "b-1")) == ("", "")


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path, logged: object) -> None:
    memory = Memory(tmp_path)
    memory.name("123", "ABC")
    memory.close()
    with (tmp_path / "names.jsonl").open("ab") as file:
        file.write(b'{"client": "45')
    again = Memory(tmp_path)
    again.name("678", "DEF")
    again.close()
    last = Memory(tmp_path)
    assert (last.named("123"), last.named("45"), last.named("678")) == ("ABC", "", "DEF")


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize("name", peculiarities.TABLE)
def test_the_table_names_exchanges_of_ccxt(name: str) -> None:
    row = peculiarities.of(name, "", exchange.has(name))
    has = exchange.has(name)
    assert Can.DAY not in row.can
    assert Can.CASH not in row.can
    assert (Can.REPLACE in row.can) <= (has["editOrder"] is True)
    assert has["watchOrders"] is True
    for method, _ in row.watch:
        assert hasattr(exchange.kind_of(name), method)


def test_an_unknown_exchange_is_taken_at_ccxts_word() -> None:
    row = peculiarities.of("okx", "", exchange.has("okx"))
    assert row.decode is None
    assert Can.LOOKUP not in row.can
    assert Can.REPLACE not in row.can
    with pytest.raises(ValueError, match=r"ccxt .* has no exchange nosuch"):
        exchange.has("nosuch")
    assert peculiarities.of("binance", "swap", {}) is peculiarities.TABLE["binanceusdm"]
