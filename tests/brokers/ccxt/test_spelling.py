"""Symbols that are none, coins that are traded twice, fees of a third currency: what is said of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import BinanceSpot, BinanceUsdm, trying
from txgateway.brokers import unknown_symbol
from txgateway.brokers.ccxt import CcxtBroker
from txgateway.brokers.ccxt.spelling import spelling
from txgateway.brokers.ccxt.words import Fill
from txgateway.brokers.conformance import Trial
from txgateway.model.errors import Refused
from txgateway.model.events import VenueError
from txgateway.model.order import OrderType

D = Decimal


def market(base: str, quote: str, kind: str = "spot", **more: Any) -> dict[str, Any]:
    symbol = f"{base}/{quote}" + (f":{quote}" if kind == "swap" else "")
    return {
        "id": f"{base}{quote}",
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "type": kind,
        "active": True,
        **more,
    }


OF_ITS_OWN = "it is of the {} market, which is a venue of its own, with the option market = {}."
MARKETS = {
    each["symbol"]: each
    for each in (
        market("BTC", "USDT"),
        market("BTC", "USDT", "swap"),
        market("ETH", "EUR", id="XETHZEUR"),
        market("SOL", "USDT", active=False),
        market("BTC", "USD", "swap", inverse=True),
        market("LUNA", "USDT", "option"),
    )
}


@pytest.mark.parametrize(
    ("written", "kind", "instead"),
    [
        ("BTCUSDT", "spot", "did you mean BTC/USDT?"),
        ("BTC-USDT", "spot", "did you mean BTC/USDT?"),
        ("btc_usdt", "spot", "did you mean BTC/USDT?"),
        ("BTCUSDT", "swap", "did you mean BTC/USDT:USDT?"),
        ("BTC/USDT", "swap", OF_ITS_OWN.format("spot", "spot")),
        (
            "BTC/USDT:USDT",
            "spot",
            OF_ITS_OWN.format("swap", "swap"),
        ),
        ("XETHZEUR", "spot", "did you mean ETH/EUR?"),
        ("ETHEUR", "spot", "did you mean ETH/EUR?"),
        ("SOL/USDT", "spot", "the exchange does not trade it at present."),
        ("SOLUSDT", "spot", ""),
        ("BTC/USD:USD", "swap", "it is of a kind that is not traded here."),
        ("LUNA/USDT", "spot", "it is of a kind that is not traded here."),
        ("", "spot", ""),
        ("/-_", "spot", ""),
        ("NOSUCH" * 1000, "spot", ""),
    ],
)
def test_what_is_meant(written: str, kind: str, instead: str) -> None:
    assert spelling(written, MARKETS, kind, ()) == instead


def test_what_is_left_out_is_told_and_not_proposed() -> None:
    assert spelling("BTC/USDT", MARKETS, "spot", ("EUR",)) == "it is left out by the venue's option symbols."
    assert spelling("BTCUSDT", MARKETS, "spot", ("EUR",)) == ""


@pytest_twisted.ensureDeferred
async def test_it_is_in_the_refusal(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        sentence = "Symbol 'BTCUSDT' is unknown at venue ccxt: did you mean BTC/USDT?"
        assert unknown_symbol(trial.broker, "BTCUSDT") == sentence
        assert unknown_symbol(trial.broker, "XYZ") == "Symbol 'XYZ' is unknown at venue ccxt: check its spelling."
        with pytest.raises(Refused, match=r"does not trade BTCUSDT: did you mean BTC/USDT\?"):
            await trial.ask(trial.broker.submit(trial.order(symbol="BTCUSDT")))
        await trial.stop()
        assert unknown_symbol(trial.broker, "BTCUSDT").endswith("check its spelling.")

    await trying(BinanceSpot, tmp_path, work)


# ---------------------------------------------------------------- a coin in two pairs


def of_a_coin(trial: Trial) -> list[str]:
    return [each.text for each in trial.told if isinstance(each, VenueError) and "is traded in" in each.text]


@pytest_twisted.ensureDeferred
async def test_a_coin_that_is_traded_in_two_pairs_is_told_of_once(tmp_path: Path) -> None:
    subject = BinanceSpot(tmp_path)
    trial = Trial(subject)
    try:
        await trial.begin()
        assert isinstance(trial.broker, CcxtBroker)
        session: Any = trial.broker._session
        markets = session.exchange.markets
        markets["BTC/EUR"] = {**markets["BTC/USDT"], "symbol": "BTC/EUR", "quote": "EUR", "id": "BTCEUR"}
        await trial.rest()
        await trial.rest()
        assert not of_a_coin(trial)
        for _ in range(2):
            with pytest.raises(Refused):  # the emulated one has no such pair
                await trial.ask(trial.broker.submit(trial.order(symbol="BTC/EUR")))
        (text,) = of_a_coin(trial)
        assert "BTC is traded in BTC/USDT and in BTC/EUR" in text
        assert "flatten of BTC/USDT sells all of it, and of BTC/EUR nothing" in text
    finally:
        await trial.end()


@pytest_twisted.ensureDeferred
async def test_perpetuals_of_a_coin_are_positions_of_their_own(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        markets = session.exchange.markets
        markets["BTC/USDC:USDC"] = {**markets["BTC/USDT:USDT"], "symbol": "BTC/USDC:USDC", "quote": "USDC"}
        for symbol in ("BTC/USDT:USDT", "BTC/USDC:USDC"):
            session.memory.symbol(symbol)
        trial.broker._tell_shared(session)  # type: ignore[attr-defined]
        assert not of_a_coin(trial)

    await trying(BinanceUsdm, tmp_path, work)


# ---------------------------------------------------------------- fees


@pytest_twisted.ensureDeferred
async def test_a_fee_in_the_exchange_s_own_coin_is_told_in_it(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        filled = session.filled

        def in_bnb(fill: Fill, asked_for: bool = False) -> None:
            filled(replace(fill, fee=D("0.00075"), fee_currency="BNB"), asked_for)

        session.filled = in_bnb
        order = await trial.submit(trial.order(OrderType.MARKET))
        await trial.until(lambda: trial.filled(order) == order.quantity, "it is filled")
        for fill in trial.fills(order):
            assert (fill.fee, fill.fee_currency) == (D("0.00075"), "BNB")
            assert (fill.commission, fill.taken, fill.signed_quantity) == (0, 0, fill.quantity)

    await trying(BinanceSpot, tmp_path, work)
