"""What a person is told to paste is what the gateway understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from txgateway.invitation import message_of, place_of
from txgateway.model.signal import Act, Semantics, Sizing, Source, SourceKind
from txgateway.signals import BadSignal, Post
from txgateway.signals.tradingview import TradingView

SOURCE = Source(name="tv", kind=SourceKind.TRADINGVIEW, account="A", secret="correct-horse-battery")
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
URL = "https://gw.example.com/webhooks/tradingview/tv"
EXPANDED = {
    "ticker": "BTCUSDT.P",
    "strategy.order.action": "sell",
    "strategy.order.contracts": "0.5",
    "strategy.position_size": "-0.5",
    "strategy.market_position": "short",
    "strategy.market_position_size": "0.5",
    "close": "65000.5",
    "timenow": "2026-03-02T14:59:59Z",
}
OVER = {
    **EXPANDED,
    "strategy.order.action": "buy",
    "strategy.position_size": "0",
    "strategy.market_position": "flat",
    "strategy.market_position_size": "0",
}


def pasted(source: Source, expanded: Mapping[str, str] = EXPANDED) -> Post:
    """The message as TradingView sends it."""
    message = message_of(source, URL)
    return Post(re.sub(r"\{\{(.*?)\}\}", lambda each: expanded[each[1]], message).encode(), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"semantics": Semantics.TARGET},
        {"sizing": Sizing.FIXED, "size": Decimal(1)},
        {"semantics": Semantics.ONE_POSITION, "max_age": 60.0},
        {"template": "{side} {symbol}[ q={quantity}]"},
        {"template": "{secret}|{symbol}|{side}|{quantity}|{price}"},
        {"template": "{symbol} {market_position} {market_position_size}"},
        {"template": "{symbol} {target} at {time}", "max_age": 60.0},
    ],
)
def test_what_is_pasted_is_understood(changes: dict[str, Any]) -> None:
    source = replace(SOURCE, **changes)
    language, post = TradingView(), pasted(source)
    language.verify(source, post)
    (found,) = language.read(source, post).instructions
    assert found.symbol == "BTCUSDT.P"
    if found.act is Act.TARGET:
        assert found.target == Decimal("-0.5")
    else:
        assert (found.act, found.side) == (Act.ORDER, "SELL")
        assert found.amount is None or found.amount.value == Decimal("0.5")


@pytest.mark.parametrize("semantics", [*Semantics])
@pytest.mark.parametrize("sizing", [*Sizing])
def test_what_is_pasted_tells_an_exit_from_an_entry(semantics: Semantics, sizing: Sizing) -> None:
    source = replace(SOURCE, semantics=semantics, sizing=sizing, size=Decimal(2))
    (entry,) = TradingView().read(source, pasted(source)).instructions
    assert (entry.act is Act.TARGET) is (semantics is Semantics.TARGET)
    assert entry.act in (Act.TARGET, Act.ORDER)
    (over,) = TradingView().read(source, pasted(source, OVER)).instructions
    assert (over.act, over.symbol, over.side, over.amount) == (Act.CLOSE, "BTCUSDT.P", None, None)


def test_with_a_mapping_the_message_is_the_users_own_and_proves_itself() -> None:
    source = replace(SOURCE, mapping={"symbol": "pair", "side": "what"})
    TradingView().verify(source, pasted(source))
    with pytest.raises(BadSignal, match="nothing says what to do"):
        TradingView().read(source, pasted(source))
    assert "what the source's mapping reads" in place_of(source, URL)
