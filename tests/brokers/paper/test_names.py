"""The familiar names."""

from __future__ import annotations

import pytest

from txgateway.brokers.paper.names import NAMES
from txgateway.model.instrument import AssetClass


def check_digit(cusip: str) -> str:
    """The ninth character of a CUSIP out of its first eight."""
    total = 0
    for place, character in enumerate(cusip[:8]):
        value = int(character, 36) * (1 + place % 2)
        total += value // 10 + value % 10
    return str(-total % 10)


def test_there_are_some_fifty_of_them() -> None:
    assert 50 <= len(NAMES) <= 60
    assert {"IBM", "AAPL", "MSFT", "GOOG", "TSLA", "SPY", "INTC", "BTCUSD", "ETHUSD", "EURUSD", "USDJPY"} <= set(NAMES)


@pytest.mark.parametrize("symbol", sorted(NAMES))
def test_a_stock_has_a_cusip_that_adds_up(symbol: str) -> None:
    name = NAMES[symbol]
    if name.asset_class is AssetClass.STOCK:
        assert len(name.cusip) == 9
        assert name.cusip[8] == check_digit(name.cusip)
    else:
        assert name.cusip == ""
    assert name.fullname
    assert name.price % name.tick_size == 0
    assert name.shown % name.lot_size == 0
