"""What is wrong with the settings, the key or a path is told so that it can be mended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ccxt
import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import BinanceSpot, BinanceUsdm, Coinbase, CoinbaseExchange, Exchange, Woo
from tests.brokers.ccxt.test_streams_end import until
from txgateway.brokers.ccxt import CcxtBroker, errors
from txgateway.brokers.conformance import Trial
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import VenueError
from txgateway.model.venue import EndpointApi, EndpointCall

KEY = {"key": "k", "secret": "s"}

# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"exchange": "binance"}, {"key", "secret"}),
        ({"exchange": "binance", "key": "k", "secret": " "}, {"secret"}),
        ({"exchange": "binance", **KEY}, set()),
        ({"exchange": "binance", **KEY, "market": "swap", "domain": "demo"}, set()),
        ({"exchange": "binanceusdm", **KEY, "market": "spot"}, {"market"}),
        ({"exchange": "binanceusdm", **KEY, "domain": "testnet"}, {"domain"}),
        ({"exchange": "binance", **KEY, "market": "swap", "domain": "testnet"}, {"domain"}),
        ({"exchange": "binance", **KEY, "domain": "testnet"}, set()),
        ({"exchange": "woo", **KEY}, {"uid"}),
        ({"exchange": "woo", **KEY, "uid": "u", "market": "swap", "domain": "testnet"}, set()),
        ({"exchange": "woo", **KEY, "uid": "u", "domain": "demo"}, {"domain"}),
        ({"exchange": "coinbaseexchange", **KEY}, {"password"}),
        ({"exchange": "coinbaseexchange", **KEY, "password": "p", "domain": "testnet"}, set()),
        ({"exchange": "coinbase", **KEY, "market": "spot"}, set()),
        ({"exchange": "coinbase", **KEY, "market": "swap"}, {"market"}),
        ({"exchange": "bitvavo", **KEY}, set()),
        ({"exchange": "bitvavo", **KEY, "domain": "testnet", "market": "swap"}, {"domain", "market"}),
        ({"exchange": "hyperliquid"}, {"exchange"}),
        ({"exchange": "bitvavo", **KEY, "domain": "nowhere", "market": "hall"}, {"domain", "market"}),
    ],
)
def test_what_the_exchange_needs_and_has_not_is_told_by_our_names(options: Mapping[str, Any], wrong: set[str]) -> None:
    assert set(CcxtBroker.mistakes(options)) == wrong


@pytest.mark.parametrize("kind", [BinanceSpot, BinanceUsdm, Coinbase, CoinbaseExchange, Woo])
def test_an_exchange_needs_no_more_than_it_does(kind: type[Exchange], tmp_path: Path) -> None:
    given = {**KEY, "uid": "u"} if kind is Woo else {**KEY, "password": "p"} if kind is CoinbaseExchange else KEY
    url = {"url": "http://127.0.0.1:8081"}
    assert CcxtBroker.mistakes({"exchange": kind.exchange, "market": kind.market, **given, **url}) == {}


def test_a_name_that_is_nearly_right_is_shown() -> None:
    assert "did you mean binance?" in CcxtBroker.mistakes({"exchange": "binanse"})["exchange"]
    assert "did you mean" not in CcxtBroker.mistakes({"exchange": "zzzzzzzz"})["exchange"]


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (BinanceSpot, {"key": "another"}, "-2015"),
        (BinanceSpot, {"secret": "another"}, "-1022"),
        (BinanceUsdm, {"key": "another"}, "-2015"),
        (CoinbaseExchange, {"secret": "abcde"}, "option secret of venue ccxt is wrong"),
        (CoinbaseExchange, {"secret": "abc"}, "option secret of venue ccxt is wrong"),
        (
            Coinbase,
            {"secret": "-----BEGIN EC PRIVATE KEY-----\\nabc\\n-----END"},
            "option secret of venue ccxt is wrong",
        ),
        (Coinbase, {"key": "another"}, "401 Unauthorized"),
        (CoinbaseExchange, {"password": "another"}, "Invalid Passphrase"),
        (Woo, {"key": "another"}, "API key or secret is invalid"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_wrong_key_is_told_in_the_exchanges_words(
    kind: type[Exchange], options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    subject, told = kind(tmp_path, **options), []
    broker: Any = subject.make(told.append)
    broker.startService()
    try:
        await until(subject, lambda: any(isinstance(each, VenueError) for each in told))
        [text, *_] = [each.text for each in told if isinstance(each, VenueError)]
        assert words in text
        assert "did not answer" not in text
        assert "private stream" not in text
    finally:
        broker.stopService()
        await subject.close()


# ---------------------------------------------------------------- endpoints


@pytest.mark.parametrize("api", EndpointApi)
@pytest_twisted.ensureDeferred
async def test_an_unknown_path_is_refused_with_the_answer(api: EndpointApi, tmp_path: Path) -> None:
    trial = Trial(BinanceSpot(tmp_path))
    try:
        broker: Any = await trial.begin()
        with pytest.raises(Refused) as refused:
            await trial.ask(broker.call_endpoint(EndpointCall("no/such", api, "GET")))
        assert refused.value.reason is Reason.REJECTED
        assert "answered 404 Not Found to GET no/such: " in refused.value.text
    finally:
        await trial.end()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ccxt.ExchangeNotAvailable("binance GET https://x/y?a=1 404 Not Found <html>"), "404 Not Found"),
        (ccxt.ExchangeNotAvailable('binance GET https://x/y 404 Not Found {"code":1}'), "404 Not Found"),
        (ccxt.ExchangeNotAvailable("binance GET https://x/404 502 Bad Gateway"), ""),
        (ccxt.RequestTimeout("binance GET https://x/y 408 Request Timeout"), ""),
        (ccxt.DDoSProtection("binance GET https://x/y 429 Too Many Requests"), ""),
        (ccxt.ExchangeNotAvailable("binance GET https://x/y"), ""),
        (OSError("binance GET https://x/y 404 Not Found"), ""),
    ],
)
def test_an_answer_that_refuses_is_known_by_its_status(error: Exception, status: str) -> None:
    assert errors.http_refusal(error).startswith(status)
    assert bool(errors.http_refusal(error)) == bool(status)
