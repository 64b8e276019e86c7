"""An exchange that is not in the tables, taken at ccxt's word: Binance, as if nothing were known of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import ccxt
import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import CANNOT, BinanceSpot
from txgateway.brokers.ccxt import CcxtBroker, exchange, feeds, peculiarities
from txgateway.brokers.conformance import Case, Trial, cases
from txgateway.model.fault import FaultKind

HAS = exchange.has("binance")
CLAIMED = peculiarities.generic(HAS).can | feeds.of("binance of ccxt's", "spot", HAS).can
FOUND = "its fills are asked for, and told once each, in their order"


class Unknown(BinanceSpot):
    """Nothing of what the tables say; what comes of the stream is what ccxt reads in it."""

    cannot: ClassVar[Mapping[FaultKind, str]] = {
        **CANNOT,
        FaultKind.LATE_FILL: FOUND,
        FaultKind.DUPLICATED_FILL: FOUND,
        FaultKind.REORDERED_FILLS: FOUND,
    }


@pytest.mark.parametrize("case", cases(CLAIMED), ids=str)
@pytest_twisted.ensureDeferred
async def test_a_broker_for_any_exchange_keeps(case: Case, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(peculiarities, "TABLE", {})
    monkeypatch.setattr(feeds, "TABLE", {})
    await case.run(Unknown(tmp_path))


@pytest_twisted.ensureDeferred
async def test_open_orders_are_asked_for_pair_by_pair_where_they_must(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(peculiarities, "TABLE", {})
    trial = Trial(Unknown(tmp_path))
    try:
        await trial.begin()
        order = await trial.rest()
        assert isinstance(trial.broker, CcxtBroker)
        session: Any = trial.broker._session
        whole = session.exchange.fetch_open_orders

        async def wants_a_pair(symbol: str | None = None, *more: Any) -> Any:
            if symbol is None:
                raise ccxt.ArgumentsRequired("fetchOpenOrders() requires a symbol argument")
            return await whole(symbol, *more)

        session.exchange.fetch_open_orders = wants_a_pair
        assert await trial.reported(order) is not None
    finally:
        await trial.end()


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("okx", None),
        ("bithumb", "has no fetchMyTrades"),
        ("nosuch", "has no exchange nosuch"),
        ("kraken", "takes client ids of another form (UUIDs and texts of 18 letters"),
        ("bitfinex", "so an order in doubt could not be found there again: it cannot be traded here"),
    ],
)
def test_an_exchange_that_cannot_tell_of_fills_is_not_traded(name: str, lacks: str | None) -> None:
    wrong = CcxtBroker.mistakes({"exchange": name}).get("exchange")
    assert wrong is None if lacks is None else lacks in str(wrong)
