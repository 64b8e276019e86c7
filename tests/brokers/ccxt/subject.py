"""The ccxt broker and an emulated exchange on a real socket, in one reactor: subjects of the conformance suite."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.emulators.binance.server import Binance, BinanceControl
from tests.emulators.coinbase.server import CoinbaseControl, CoinbaseEmulator
from tests.emulators.crypto.control import Control
from tests.emulators.crypto.server import Emulator, Options
from tests.emulators.woo.server import WooEmulator
from txgateway.brokers import Broker, Report, Setup
from txgateway.brokers.ccxt import CcxtBroker
from txgateway.brokers.ccxt.ids import client_id
from txgateway.brokers.ccxt.peculiarities import TABLE
from txgateway.brokers.conformance import Subject, Trial
from txgateway.futures import deferred
from txgateway.model.fault import Fault, FaultKind
from txgateway.model.order import Order
from txgateway.model.venue import EndpointApi, EndpointCall

D = Decimal
CANNOT = {
    FaultKind.ID_ROLLBACK: "no exchange's ids begin again",
    FaultKind.MUTE_FEED: "the present quote is asked for, and told, while the streams are mute (test_market has those)",
}
"""What none of these counterparties can do, and why."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class Exchange(Subject):
    """A fresh emulator whose market stands still, and a broker that is quick to find a link dead."""

    exchange: ClassVar[str]
    market: ClassVar[str] = ""
    emulated: ClassVar[type[Emulator]]
    money: ClassVar[Mapping[str, Mapping[str, Decimal]]] = {"spot": {"USDT": D(10_000_000)}}
    controls: ClassVar[type[Control]] = Control
    cannot: ClassVar[Mapping[FaultKind, str]] = CANNOT
    pair: ClassVar[str] = "BTC-USDT"
    symbol, account, quantity = "BTC/USDT", "MAIN", Decimal("0.1")
    low_price, high_price = Decimal(20000), Decimal(90000)
    unknown_symbol = "NOSUCH/USDT"
    patience, stillness = 3000, 12
    endpoint = EndpointCall("time", EndpointApi.PUBLIC, "GET")

    def __init__(self, folder: Path, tick: float = 0.0, **options: Any) -> None:
        self.folder = folder
        self.emulator = self.emulated(Options(tick=tick, balances=self.money))
        self.control = self.controls(self.emulator)
        self.port = self.emulator.start()
        self.control.do_quote(self.pair, 50000, 50010, 100, 100)
        self.control.do_trade(self.pair, 50005, 1)
        self.options = {
            "exchange": self.exchange,
            "key": "key",
            "secret": "secret",
            "password": "password",
            "uid": "uid",
            "market": self.market,
            "url": f"http://127.0.0.1:{self.port}",
            "accounts": self.account,
            "silence": 3.2,
            "patience": 2.4,
            "throttle": False,
            "raw": True,
            **self.more(),
            **options,
        }

    def more(self) -> dict[str, Any]:
        """What this exchange is given beside."""
        return {}

    def make(self, report: Report) -> Broker:
        return CcxtBroker(Setup("ccxt", self.options, self.folder, report, reactor, utc_now))

    async def pause(self) -> None:
        await deferLater(reactor, 0.005)

    async def fill(self, broker: Broker, order: Order, quantity: Decimal) -> None:
        name = client_id(TABLE[self.exchange].form, order.order_id)
        self.control.do_fill(name, quantity)

    async def inject(self, broker: Broker, fault: Fault) -> None:
        if fault.kind in self.cannot:
            raise SkipTest(self.cannot[fault.kind])
        more: dict[str, Any] = {} if fault.seconds is None else {"seconds": float(fault.seconds)}
        if fault.kind is FaultKind.SLOW_BROKER:
            more["when"] = "orders"
        if fault.kind is FaultKind.HALF_OPEN:  # it finds its own end dead after we have
            more["seconds"] = 4.5
        self.control.do_fault(str(fault.kind), count=fault.count, **more)

    async def close(self) -> None:
        await _of_asyncio(self.emulator.stop())
        assert not self.emulator.violations, f"the broker did what it should not: {self.emulator.violations}"


async def _of_asyncio(work: Any) -> Any:
    waiting: Deferred[Any] = deferred(work)
    return await waiting


async def trying(
    kind: type[Exchange], folder: Path, work: Callable[[Trial, Any], Awaitable[None]], **more: Any
) -> None:
    """Do something with a fresh exchange and a broker that is up, and its session."""
    trial = Trial(kind(folder, **more))
    try:
        await trial.begin()
        assert isinstance(trial.broker, CcxtBroker)
        await work(trial, trial.broker._session)
    finally:
        await trial.end()


class BinanceSpot(Exchange):
    """Binance, spot."""

    exchange, emulated, controls = "binance", Binance, BinanceControl


class BinanceUsdm(Exchange):
    """Binance, USD-M futures."""

    exchange, emulated, controls = "binanceusdm", Binance, BinanceControl
    money: ClassVar[Mapping[str, Mapping[str, Decimal]]] = {"spot": {}, "perp": {"USDT": D(10_000_000)}}
    pair = "BTC-USDT-PERP"
    symbol, unknown_symbol = "BTC/USDT:USDT", "NOSUCH/USDT:USDT"


class Coinbase(Exchange):
    """Coinbase Advanced Trade, which tells no fills and no balances by itself."""

    exchange, emulated, controls = "coinbase", CoinbaseEmulator, CoinbaseControl
    money: ClassVar[Mapping[str, Mapping[str, Decimal]]] = {"spot": {"USD": D(10_000_000)}}
    cannot: ClassVar[Mapping[FaultKind, str]] = {
        **CANNOT,
        FaultKind.LATE_FILL: "its fills are asked for, and are not told late",
        FaultKind.DUPLICATED_FILL: "its fills are asked for, and are not told twice",
        FaultKind.REORDERED_FILLS: "its fills are asked for, in their order",
    }
    endpoint = EndpointCall("brokerage/time", EndpointApi.PUBLIC, "GET")
    pair = "BTC-USD"
    symbol, unknown_symbol = "BTC/USD", "NOSUCH/USD"

    def more(self) -> dict[str, Any]:
        return {"stream_url": f"ws://127.0.0.1:{self.port}/ws/advanced"}


class CoinbaseExchange(Coinbase):
    """Coinbase Exchange."""

    exchange = "coinbaseexchange"
    endpoint = EndpointCall("time", EndpointApi.PUBLIC, "GET")
    cannot: ClassVar[Mapping[FaultKind, str]] = {
        **CANNOT,
        FaultKind.RESTART_EMPTY: "it forgets orders that ended unfilled: a lost memory looks the same",
    }

    def more(self) -> dict[str, Any]:
        keys = self.control.do_keys()
        return {
            "secret": keys["secret64"],
            "password": keys["passphrase"],
            "stream_url": f"ws://127.0.0.1:{self.port}/ws/exchange",
        }


class Woo(Exchange):
    """WOO X, spot."""

    exchange, emulated, market = "woo", WooEmulator, "spot"
    endpoint = EndpointCall("instruments", EndpointApi.PUBLIC, "GET")


class WooSwap(Woo):
    """WOO X, perpetual swaps."""

    market = "swap"
    pair = "BTC-USDT-PERP"
    symbol, unknown_symbol = "BTC/USDT:USDT", "NOSUCH/USDT:USDT"


SUBJECTS: Mapping[str, type[Exchange]] = {
    "binance": BinanceSpot,
    "binanceusdm": BinanceUsdm,
    "coinbase": Coinbase,
    "coinbaseexchange": CoinbaseExchange,
    "woo": Woo,
    "woo-swap": WooSwap,
}
