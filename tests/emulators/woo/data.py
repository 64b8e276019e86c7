"""Market data and accounts: what is asked of them, and what is answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.market import Bar
from tests.emulators.crypto.orders import Account, Position
from tests.emulators.woo import rows
from tests.emulators.woo.asked import Asked
from tests.emulators.woo.errors import Fault
from tests.emulators.woo.listing import LEVERAGES

if TYPE_CHECKING:
    from tests.emulators.woo.server import WooEmulator

LENGTHS = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "4h": 14400,
    "12h": 43200,
    "1d": 86400,
    "1w": 604800,
    "1mon": 2592000,
    "1y": 31536000,
}
"""Of klines, in seconds."""


class Data:
    """What everybody may ask."""

    def __init__(self, emulator: WooEmulator) -> None:
        self.emulator = emulator
        self.exchange = emulator.exchange
        self.market = emulator.market

    def every(self, asked: Asked, perp: bool = False) -> list[Instrument]:
        """All, or the one that is named."""
        if symbol := asked.text("symbol"):
            return [self.emulator.listed(symbol)]
        return [t.instrument for t in self.market.tapes.values() if t.instrument.perp or not perp]

    def one(self, asked: Asked) -> Instrument:
        """The one that is named."""
        return self.emulator.listed(asked.needed("symbol"))

    def book(self, each: Instrument, most: int) -> dict[str, Any]:
        """Levels, best first."""
        bids, asks = self.exchange.view(each)
        return {"asks": rows.levels_rows(asks, False, most), "bids": rows.levels_rows(bids, True, most)}

    def bars(self, asked: Asked) -> list[dict[str, Any]]:
        """Klines, newest first; `after` and `before` are of their starts."""
        each, name = self.one(asked), asked.needed("type")
        if name not in LENGTHS:
            raise Fault(-1005, "type is in wrong format")
        length, most = LENGTHS[name], min(asked.whole("limit", 100), 1000)
        end = min(asked.whole("before", 2**62) / 1000, self.emulator.now())
        start = asked.whole("after", 0) / 1000
        start = max(start, (end // length - most + 1) * length) if not start else start + 0.001
        found = self.market.bars(self.exchange.tape(each), length, start, end, most)
        return [rows.kline_row(each, name, length, bar) for bar in reversed(found)]

    def bar(self, each: Instrument, length: int) -> Bar:
        """The one that is going on."""
        now = int(self.emulator.now())
        return self.market.bar(self.exchange.tape(each), length, now - now % length)

    def trades(self, asked: Asked) -> list[dict[str, Any]]:
        """The newest first."""
        each = self.one(asked)
        most = min(asked.whole("limit", 10), 500)
        return [rows.trade_row(each, trade) for trade in list(self.exchange.tape(each).trades)[::-1][:most]]

    def fundings(self, asked: Asked) -> dict[str, Any]:
        """Rates of the past, newest first."""
        each = self.one(asked)
        if not each.perp:
            raise Fault(317156, "unsupported symbol")
        length, due = each.interval * 3600, self.market.next_funding(each)
        start, end = asked.whole("startTime", 0), asked.whole("endTime", 2**62)
        size = min(asked.whole("size", 25), 5000)
        found = []
        for at in range(due - length, due - length * (size + 1), -length):
            if start <= at * 1000 <= end:
                row = {"symbol": each.symbol, "fundingRate": rows.text(self.market.rate(each, at))}
                row |= {"fundingRateTimestamp": at * 1000, "nextFundingTime": (at + length) * 1000}
                found.append(row | {"markPrice": rows.text(self.market.path(each, at))})
        return {"rows": found, "meta": {"total": len(found), "recordsPerPage": size, "currentPage": 1}}


class Accounts:
    """What an account may ask of itself, but for its orders."""

    def __init__(self, emulator: WooEmulator, account: Account) -> None:
        self.emulator = emulator
        self.exchange = emulator.exchange
        self.account = account

    def info(self) -> dict[str, Any]:
        """Modes, fees, collateral."""
        money = self.account.balance("spot", "USDT")
        free = max(self.exchange.available(self.account, "spot", "USDT"), 0)
        each = next(t.instrument for t in self.exchange.market.tapes.values() if t.instrument.perp)
        return {
            "applicationId": self.emulator.application(self.account),
            "account": self.account.name,
            "alias": self.account.name,
            "otpauth": True,
            "accountMode": "FUTURES",
            "positionMode": "HEDGE_MODE" if self.account.hedged else "ONE_WAY",
            "leverage": 0,
            "makerFeeRate": rows.number(each.maker * 10000),
            "takerFeeRate": rows.number(each.taker * 10000),
            "marginRatio": "10",
            "openMarginRatio": "10",
            "initialMarginRatio": "10",
            "maintenanceMarginRatio": "0.03",
            "totalCollateral": rows.text(money.total),
            "freeCollateral": f"{free:f}",
            "totalAccountValue": rows.text(money.total),
            "totalTradingValue": rows.text(money.total),
            "totalVaultValue": "0",
            "totalStakingValue": "0",
            "totalLaunchpadValue": "0",
            "totalEarnValue": "0",
            "referrerID": None,
            "accountType": "Main",
        }

    def balances(self) -> list[dict[str, Any]]:
        """One row an asset."""
        wallet = self.account.wallets.get("spot", {})
        found = [rows.holding_row(asset, balance, self.emulator.now()) for asset, balance in wallet.items()]
        for row in found:
            if row["token"] == "USDT":
                row["availableBalance"] = rows.number(max(self.exchange.available(self.account, "spot", "USDT"), 0))
        return found

    def positions(self, symbol: str = "") -> list[dict[str, Any]]:
        """Those that are open; of a symbol that is named also when there is none."""
        named = self.emulator.listed(symbol) if symbol else None
        held = [p for p in self.account.positions.values() if p.size and named in (None, p.instrument)]
        if named is not None and not held:
            sides = ("LONG", "SHORT") if self.account.hedged else ("BOTH",)
            held = [Position(named, side) for side in sides]
        return [self._position(each) for each in held]

    def _position(self, each: Position) -> dict[str, Any]:
        tape = self.exchange.tape(each.instrument)
        ends = self.exchange.liquidation_price(self.account, each)
        return rows.position_row(self.account, each, tape, ends, self.open_orders(), self.emulator.now())

    def open_orders(self) -> Iterable[Any]:
        """Of the account."""
        return [each for each in self.exchange.open.values() if each.ticket.account == self.account.name]

    def leverage(self, asked: Asked) -> dict[str, Any]:
        """Of one perpetual."""
        each = self._perp(asked)
        sides = ("LONG", "SHORT") if self.account.hedged else ("BOTH",)
        leverage = self.account.leverage(each)
        return {
            "symbol": each.symbol,
            "marginMode": asked.text("marginMode", "CROSS"),
            "positionMode": "HEDGE_MODE" if self.account.hedged else "ONE_WAY",
            "details": [{"positionSide": side, "leverage": leverage} for side in sides],
        }

    def set_leverage(self, asked: Asked) -> dict[str, Any]:
        """Of one perpetual."""
        each, leverage = self._perp(asked), asked.whole("leverage", 0)
        if leverage not in LEVERAGES:
            raise Fault(302306, "Invalid leverage, please provide positive integer leverage")
        self.exchange.set_leverage(self.account.name, each, leverage)
        return {}

    def _perp(self, asked: Asked) -> Instrument:
        each = self.emulator.listed(asked.needed("symbol"))
        if not each.perp:
            raise Fault(317156, f"unsupported symbol: `{each.symbol}`")
        return each

    def set_mode(self, asked: Asked) -> dict[str, Any]:
        """ONE_WAY or HEDGE_MODE."""
        mode = asked.needed("positionMode")
        if mode not in ("ONE_WAY", "HEDGE_MODE"):
            raise Fault(-1005, "positionMode is in wrong format")
        hedged = mode == "HEDGE_MODE"
        if hedged != self.account.hedged:
            self.exchange.set_hedged(self.account.name, hedged)
        return {}

    def funding_fees(self, asked: Asked) -> dict[str, Any]:
        """What was paid and received, newest first."""
        symbol = asked.text("symbol")
        found = []
        for number, (at, name, each, paid) in enumerate(self.exchange.fundings, 1):
            if name == self.account.name and symbol in ("", each.symbol):
                found.append(
                    {
                        "id": number,
                        "symbol": each.symbol,
                        "fundingRate": rows.text(self.exchange.market.rate(each, at)),
                        "markPrice": rows.text(self.exchange.tape(each).marked),
                        "fundingFee": rows.text(abs(paid)),
                        "fundingIntervalHours": each.interval,
                        "paymentType": "Pay" if paid < 0 else "Receive",
                        "status": "COMPLETED",
                        "createdTime": rows.milliseconds(at),
                        "updatedTime": rows.milliseconds(at),
                    }
                )
        return {"rows": found[::-1], "meta": {"total": len(found), "recordsPerPage": 25, "currentPage": 1}}
