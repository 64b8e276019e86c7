"""IBM's two real days, traded on at full speed: every fill was possible, every cent is accounted for.

All of it is checked against the files by code of its own: nothing of the broker's is used but what it told.
"""

from __future__ import annotations

import csv
import gzip
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from txgateway.model.execution import Execution
from txgateway.model.market import Quote

D = Decimal
Open = Callable[..., Any]


def rows(data: Path, pattern: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for path in sorted(data.glob(pattern)):
        with gzip.open(path, "rt") as file:
            found += csv.DictReader(file)
    return sorted(found, key=lambda row: int(row["time"]))


def milliseconds(moment: datetime) -> int:
    whole = (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000
    assert whole == int(whole)
    return int(whole)


def commission(quantity: Decimal, value: Decimal, crypto: bool) -> Decimal:
    plain = value * D("0.0018") if crypto else quantity * D("0.005")
    return min(max(plain, D(1)), value / 100).quantize(D("0.01"), ROUND_HALF_UP)


def check_costs(fills: list[Execution], crypto: bool) -> None:
    """Each order's commissions are those of its whole, however often it was filled."""
    by_order: dict[str, list[Execution]] = defaultdict(list)
    for fill in fills:
        by_order[fill.order_id].append(fill)
    for each in by_order.values():
        quantity = sum((fill.quantity for fill in each), D(0))
        value = sum((fill.quantity * fill.price for fill in each), D(0))
        assert sum(fill.commission for fill in each) == commission(quantity, value, crypto)


def check_accounts(venue: Any, fills: list[Execution], symbol: str) -> None:
    """Cash and positions are what the executions make of ten millions."""
    cash, held = D(10_000_000), D(0)
    for fill in fills:
        signed = fill.quantity if fill.side == "BUY" else -fill.quantity
        cash -= signed * fill.price + fill.commission
        held += signed
    assert venue.cash() == cash
    positions = {each.symbol: each.quantity for each in venue.do(venue.broker.positions())}
    assert positions.get(symbol, D(0)) == held


def trade_on(venue: Any, symbol: str, chance: random.Random, unit: Decimal) -> None:
    """A strategy without sense: all kinds of orders, cancels, at random moments of the replay."""
    venue.broker.subscribe(symbol)
    working: list[Any] = []
    while venue.clock.step():
        if chance.random() > 0.05:
            continue
        last = next((each for each in reversed(venue.told) if getattr(each, "symbol", "") == symbol), None)
        price = last.ask if isinstance(last, Quote) else getattr(last, "price", None)
        if not price:
            continue
        limit = (price * D(chance.choice(["0.995", "0.999", "1", "1.001", "1.005"]))).quantize(D("0.01"))
        terms = chance.choice([{}, {"limit": limit}, {"stop": limit}, {"stop": limit, "limit": limit}])
        tif = chance.choice(["DAY", "GTC", "IOC", "FOK"])
        quantity = unit * chance.randint(1, 40)
        working.append(venue.send(chance.choice(["BUY", "SELL"]), quantity, symbol, tif=tif, **terms))
        if chance.random() < 0.3:
            venue.do(venue.broker.cancel(working.pop(chance.randrange(len(working)))))


@pytest.mark.parametrize("seed", [1, 2])
def test_ibm_against_its_quotes(open_venue: Open, data: Path, seed: int) -> None:
    venue = open_venue(feed=f"replay:{data}/ibm-2013*@max")
    trade_on(venue, "IBM", random.Random(seed), D(25))
    fills = venue.fills()
    assert len(fills) > 500

    quotes = rows(data, "ibm-*-quotes.csv.gz")
    times = [int(row["time"]) for row in quotes]
    used: dict[tuple[int, str], Decimal] = defaultdict(D)
    for fill in fills:
        at = bisect_right(times, milliseconds(fill.time)) - 1
        row = quotes[at]
        assert D(row["bid"]) < D(row["ask"])
        side = "ask" if fill.side == "BUY" else "bid"
        assert fill.price == D(row[side])
        used[at, side] += fill.quantity
        assert used[at, side] <= D(row[f"{side}_size"])
    check_costs(fills, crypto=False)
    check_accounts(venue, fills, "IBM")
    assert list(venue.do(venue.broker.executions(None))) == fills


def test_bitcoin_against_its_trades(open_venue: Open, data: Path) -> None:
    venue = open_venue(feed=f"replay:{data}/btcusd*@max")
    trade_on(venue, "BTCUSD", random.Random(3), D("0.0125"))
    fills = venue.fills()
    assert len(fills) > 100
    trades = rows(data, "btcusd*.csv.gz")
    times = [int(row["time"]) for row in trades]
    used: dict[int, Decimal] = defaultdict(D)
    for fill in fills:
        at = bisect_right(times, milliseconds(fill.time)) - 1
        assert fill.price == D(trades[at]["price"])
        used[at] += fill.quantity
        assert used[at] <= D(trades[at]["size"])
    check_costs(fills, crypto=True)
    check_accounts(venue, fills, "BTCUSD")


def test_the_same_file_and_the_same_orders_give_the_same_fills(open_venue: Open, data: Path, tmp_path: Path) -> None:
    told = []
    for folder in ("one", "two"):
        venue = open_venue(folder=tmp_path / folder, feed=f"replay:{data}/spy-*1m*@max")
        trade_on(venue, "SPY", random.Random(5), D(100))
        told.append(venue.events())
    assert told[0] == told[1]
    assert len(told[0]) > 50
