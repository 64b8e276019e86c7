"""What one turn of the exchange leaves behind, and what the exchange has to know beside its orders."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from txgateway.brokers.paper.accounts import BASE, Account
from txgateway.brokers.paper.held import Fill, Held
from txgateway.model.account import Position
from txgateway.model.events import OrderEvent
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote, Statistics, Trade

ONE = Decimal(1)
DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "TUSD", "USDP", "PYUSD"})
"""Coins that are made to be worth a dollar each."""


class Market(Protocol):
    """What has to be known of the market beside what it shows."""

    def instrument(self, symbol: str) -> Instrument | None:
        """The trading rules; None for an unknown symbol."""

    def quoted(self, symbol: str) -> bool:
        """True when quotes are shown; else trades alone are."""

    def price(self, symbol: str) -> Decimal | None:
        """The last price."""

    def standing(self, symbol: str) -> str:
        """Why nothing can be traded now although the market is open; empty while it can."""


@dataclass(slots=True)
class Turn:
    """What happened and is not yet in the book: to be written in one go, and then told in order."""

    reports: list[OrderEvent | Quote | Trade | Statistics] = field(default_factory=list)
    orders: dict[int, Held] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    accounts: dict[str, Account] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """True when something has to be written."""
        return bool(self.orders or self.accounts)

    def drop_market(self) -> None:
        """Keep only what is about orders: the market's own events are of no use later."""
        self.reports = [each for each in self.reports if not isinstance(each, Quote | Trade | Statistics)]


@dataclass(slots=True)
class Numbers:
    """The last numbers given; none is ever given twice, but `called`, which orders are told by, may be made to.

    `serial` is the book's own.
    """

    serial: str
    order: int = 0
    called: int = 0
    fill: int = 0
    priority: int = 0


class Worth:
    """What things are worth, by the market's prices (the `Marks` of the accounts)."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def price(self, symbol: str) -> Decimal | None:
        """The last price of an instrument."""
        return self._market.price(symbol)

    def rate(self, currency: str) -> Decimal | None:
        """What one unit of a currency is worth in BASE, by the pair of the two; a coin that stands for it is one."""
        if currency == BASE:
            return ONE
        for between in ("", "/"):
            price = self._market.price(f"{BASE}{between}{currency}")
            if price:
                return ONE / price
            price = self._market.price(f"{currency}{between}{BASE}")
            if price:
                return price
        return ONE if currency in DOLLARS else None
