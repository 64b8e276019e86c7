"""Public frames as the exchanges document them, and the market that they show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from txgateway.brokers.ccxt import feeds, public
from txgateway.brokers.ccxt.public import Change, Deal, Shown, Top

FRAMES = [
    json.loads(line) for line in (Path(__file__).parent / "recordings" / "public.jsonl").read_text("utf-8").splitlines()
]


def read(exchange: str, name: str) -> list[Shown] | None:
    (frame,) = [each["frame"] for each in FRAMES if (each["exchange"], each["name"]) == (exchange, name)]
    decode = feeds.TABLE[exchange].decode
    assert decode is not None
    return decode(frame)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def levels(*rows: tuple[str, str]) -> tuple[tuple[D, D], ...]:
    return tuple((D(price), D(size)) for price, size in rows)


BNB = (D("25.35190000"), D("31.21000000"), D("25.36520000"), D("40.66000000"))
NOV = "2014-11-07T08:19:2"
EXPECTED: Sequence[tuple[str, str, list[Any] | None]] = [
    ("binance", "book ticker, spot", [Top("BNBUSDT", *BNB)]),
    ("binance", "book ticker, futures", [Top("BNBUSDT", *BNB, at("2019-09-09T07:34:20.891"))]),
    ("binance", "combined stream", [Top("BNBUSDT", *BNB)]),
    ("binance", "trade", [Deal("BNBBTC", D("0.001"), D(100), at("2022-12-31T19:43:02.136"))]),
    ("binance", "trade of the insurance fund", []),
    ("binance", "aggregate trade", [Deal("BTCUSDT", D("0.001"), D(100), at("1970-01-02T10:17:36.785"))]),
    (
        "binance",
        "depth, spot",
        [Change("BNBBTC", levels(("0.0024", "10")), levels(("0.0026", "0")), at("2022-12-31T19:43:02.136"), 160, 156)],
    ),
    (
        "binance",
        "depth, futures",
        [
            Change(
                "BTCUSDT",
                levels(("0.0024", "10")),
                levels(("0.0026", "100")),
                at("1970-01-02T10:17:36.789"),
                160,
                149,
            )
        ],
    ),
    ("binance", "answer", None),
    (
        "woo",
        "bbo",
        [Top("SPOT_WOO_USDT", D("0.30776"), D("25246.1"), D("0.30939"), D("4508.53"), at("2021-04-19T08:52:56"))],
    ),
    (
        "woo",
        "bbos",
        [Top("SPOT_FIL_USDT", D("158.9158"), D(16), D("159.0318"), D("370.43"), at("2021-04-19T08:52:56"))],
    ),
    ("woo", "trade", [Deal("SPOT_ADA_USDT", D("1.27988"), D(300), at("2021-04-19T08:19:21.552"))]),
    (
        "woo",
        "book",
        [
            Change(
                "SPOT_WOO_USDT",
                levels(("0.31075", "0")),
                levels(("0.30891", "2469.98")),
                at("2021-04-19T09:58:57.580"),
                1618826337580,
                1618826337380,
            )
        ],
    ),
    ("woo", "pong", None),
    (
        "coinbase",
        "ticker",
        [
            Top(
                "BTC-USD",
                D("21931.98"),
                D("8000.21"),
                D("21933.98"),
                D("8038.07770938"),
                at("2023-02-09T20:30:37.167359"),
            )
        ],
    ),
    ("coinbase", "trades before", [Deal("ETH-USD", D("1260.02"), D("0.4"), at("2019-08-14T20:42:28.265"))]),
    (
        "coinbase",
        "trades",
        [
            Deal("ETH-USD", D("1260.03"), D("0.1"), at("2019-08-14T20:42:29.265")),
            Deal("ETH-USD", D("1260.04"), D("0.2"), at("2019-08-14T20:42:30.265")),
        ],
    ),
    (
        "coinbase",
        "book",
        [
            Change(
                "BTC-USD",
                levels(("21921.73", "0.06317902")),
                levels(("21922.3", "0.02")),
                at("2023-02-09T20:32:50.714964"),
                whole=True,
            )
        ],
    ),
    (
        "coinbase",
        "book changes",
        [Change("BTC-USD", levels(("21921.73", "0")), (), at("2023-02-09T20:32:51.714964"))],
    ),
    ("coinbase", "heartbeat", None),
    (
        "coinbaseexchange",
        "ticker",
        [
            Top(
                "ETH-USD",
                D("1285.04"),
                D("0.46688654"),
                D("1285.27"),
                D("1.56637040"),
                at("2022-10-19T23:28:22.061769"),
            )
        ],
    ),
    ("coinbaseexchange", "match", [Deal("BTC-USD", D("400.23"), D("5.23512"), at(f"{NOV}7.028459"))]),
    ("coinbaseexchange", "last match", [Deal("BTC-USD", D("400.2"), D(1), at(f"{NOV}6.028459"))]),
    (
        "coinbaseexchange",
        "snapshot",
        [
            Change(
                "BTC-USD",
                levels(("10101.10", "0.45054140")),
                levels(("10102.55", "0.57753524")),
                datetime(1970, 1, 1, tzinfo=UTC),
                whole=True,
            )
        ],
    ),
    (
        "coinbaseexchange",
        "changes",
        [
            Change(
                "BTC-USD",
                levels(("22356.270000", "0.00000000")),
                levels(("22356.300000", "1.00000000")),
                at("2022-08-04T15:25:05.010758"),
            )
        ],
    ),
    ("coinbaseexchange", "subscriptions", None),
]


@pytest.mark.parametrize(("exchange", "name", "shown"), EXPECTED, ids=[f"{each[0]}: {each[1]}" for each in EXPECTED])
def test_a_frame_shows(exchange: str, name: str, shown: list[Any] | None) -> None:
    assert read(exchange, name) == shown


def test_each_recorded_frame_is_looked_at() -> None:
    assert sorted((each["exchange"], each["name"]) for each in FRAMES) == sorted(each[:2] for each in EXPECTED)


@pytest.mark.parametrize("decode", [public.binance, public.woo, public.coinbase, public.coinbaseexchange])
@pytest.mark.parametrize("junk", [None, 7, "pong", [], [{}], {}, {"topic": 3}, {"channel": "status"}, {"e": "kline"}])
def test_what_is_no_market_data_is_left_alone(decode: Any, junk: Any) -> None:
    assert decode(junk) is None
