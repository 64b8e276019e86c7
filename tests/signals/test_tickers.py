"""Symbols as senders write them: which spellings are tried, and what is never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway.tickers import candidates, mapped


@pytest.mark.parametrize(
    ("written", "tried"),
    [
        ("IBM", ["IBM"]),
        ("ibm", ["IBM"]),
        (" NASDAQ:AAPL ", ["NASDAQ:AAPL", "AAPL"]),
        ("BATS:BRK.B", ["BATS:BRK.B", "BRK.B"]),
        ("NYSE:BRK-B", ["NYSE:BRK-B", "BRK-B"]),
        ("BINANCE:SOLUSDT", ["BINANCE:SOLUSDT", "SOLUSDT", "SOL/USDT", "SOL-USDT", "SOL_USDT"]),
        ("BTCUSDT.P", ["BTCUSDT.P", "BTC/USDT:USDT", "BTCUSDT"]),
        ("BYBIT:BTCUSDT.P", ["BYBIT:BTCUSDT.P", "BTCUSDT.P", "BTC/USDT:USDT", "BTCUSDT"]),
        ("ETH/USDT:USDT", ["ETH/USDT:USDT", "ETHUSDT.P", "ETHUSDT"]),
        ("BINANCE:ETH/USDT:USDT", ["BINANCE:ETH/USDT:USDT", "ETH/USDT:USDT", "ETHUSDT.P", "ETHUSDT"]),
        ("ETH_USD", ["ETH_USD", "ETHUSD", "ETH/USD", "ETH-USD"]),
        ("BTC-USD", ["BTC-USD", "BTCUSD", "BTC/USD", "BTC_USD"]),
        ("EUR/USD", ["EUR/USD", "EURUSD", "EUR-USD", "EUR_USD"]),
        ("USD", ["USD"]),
        ("WETH", ["WETH"]),
        ("DOTUSD", ["DOTUSD", "DOT/USD", "DOT-USD", "DOT_USD"]),
        ("BTCUSD@Kraken", ["BTCUSD@Kraken", "BTC/USD@Kraken", "BTC-USD@Kraken", "BTC_USD@Kraken"]),
        ("", []),
        ("  ", []),
        ("@paper", []),
    ],
)
def test_what_is_tried(written: str, tried: list[str]) -> None:
    assert list(candidates(written)) == tried


@pytest.mark.parametrize(
    ("written", "tried"),
    [
        ("NQ1!", ["NQ1!"]),
        ("CME_MINI:NQ1!", ["CME_MINI:NQ1!", "NQ1!"]),
        ("CME_MINI:ES2!", ["CME_MINI:ES2!", "ES2!"]),
        ("BINANCE:BTCUSDT/BINANCE:ETHUSDT", ["BINANCE:BTCUSDT/BINANCE:ETHUSDT"]),
        ("BTC/USDT:USDT-240628", ["BTC/USDT:USDT-240628"]),
        ("IBM.P", ["IBM.P"]),
    ],
)
def test_a_contract_is_never_guessed(written: str, tried: list[str]) -> None:
    assert list(candidates(written)) == tried


def test_a_perpetual_never_becomes_a_spot_pair_by_its_unified_name() -> None:
    assert "BTC/USDT" not in candidates("BTCUSDT.P")
    assert "BTC/USDT" not in candidates("BTC/USDT:USDT")


def test_the_map_knows_a_symbol_in_any_of_its_spellings() -> None:
    symbols = {"NQ1!": "NQZ6", "binance:solusdt": "SOLUSD", "ETHUSDT": "ETHUSD"}
    assert mapped(symbols, "CME_MINI:NQ1!") == "NQZ6"
    assert mapped(symbols, "BINANCE:SOLUSDT") == "SOLUSD"
    assert mapped(symbols, "ETHUSDT.P") == "ETHUSD"
    assert mapped(symbols, "IBM") is None
    assert mapped({"aapl": "one", "AAPL": "two"}, "aapl") == "one"


@given(st.text(max_size=30) | st.from_regex(r"[A-Z]{1,8}:[A-Z0-9/._!:-]{1,12}", fullmatch=True))
def test_no_spelling_is_empty_or_tried_twice(text: str) -> None:
    tried = candidates(text)
    assert all(tried)
    assert len(set(tried)) == len(tried)
