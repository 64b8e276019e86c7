"""What perpetuals have beside: leverage, and whether an account holds long and short as one or apart."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from txgateway.brokers.ccxt import errors
from txgateway.brokers.ccxt.frames import number
from txgateway.brokers.ccxt.link import Link
from txgateway.brokers.ccxt.market import Market
from txgateway.brokers.ccxt.peculiarities import TABLE
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.instrument import AssetClass, Instrument
from txgateway.model.venue import PositionMode

MODE = 600.0
"""So often, at the least, is the position mode asked for: no stream tells that others changed it."""


class Perpetuals:
    """Of one link. `can`: the exchange's row says that it has position modes; of another exchange ccxt says it."""

    def __init__(self, link: Link, market: Market, can: bool, seconds: Callable[[], float]) -> None:
        self._link, self._market, self._seconds = link, market, seconds
        self._asked_mode = seconds()
        self._named = link.options.exchange in TABLE
        told = can if self._named else link.exchange.has.get("fetchPositionMode") is True
        self._has_mode = told and link.options.kind != "spot"
        self.hedged: bool | None = None if self._has_mode else False
        """Whether long and short are held apart; None: it is not known, and must be asked before an order goes."""

    # leverage

    async def leverage(self, symbol: str) -> Decimal | None:
        """How many times its margin a position may be; None for what has none."""
        market = self._market.instrument(symbol)
        if market is None or not _is_perpetual(market):
            return None
        found = await self._link.ask(self._link.exchange.fetch_leverage(symbol))
        sides = [number(found.get(name)) for name in ("longLeverage", "shortLeverage")]
        known = [each for each in sides if each is not None]
        if not known:
            raise GatewayError(f"Venue {self._link.venue} does not tell the leverage of {symbol}.")
        return max(known)

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Change it, for long and short."""
        market = self._market.instrument(symbol)
        if market is None or not _is_perpetual(market):
            text = f"{symbol} has no leverage at venue {self._link.venue}: it is no perpetual."
            raise Refused(Reason.UNSUPPORTED, text)
        if leverage != int(leverage):
            raise Refused(Reason.REJECTED, f"Venue {self._link.venue} takes whole numbers of leverage only.")
        call = self._link.exchange.set_leverage(int(leverage), symbol)
        await self._link.command(f"The leverage {leverage:f} of {symbol}", call)

    # the position mode

    async def set_mode(self, mode: PositionMode) -> None:
        """Change it to ONE_WAY."""
        if mode is PositionMode.HEDGE:
            text = (
                f"Venue {self._link.venue} is not set to HEDGE: positions here are net and orders name no position "
                "side, so none could be sent; stay in ONE_WAY, or trade that account by other means."
            )
            raise Refused(Reason.UNSUPPORTED, text)
        if not await self.hedge():
            return
        try:
            await self._link.command(f"The position mode {mode}", self._link.exchange.set_position_mode(False))
        finally:
            self.doubt()

    async def hedge(self) -> bool:
        """Whether long and short are held apart; that they are is told when it is news, for no order can go then."""
        if self._link.exchange.has.get("fetchPositionMode"):
            of = () if self._named else (self._perpetual(),)
            hedged = bool((await self._link.ask(self._link.exchange.fetch_position_mode(*of))).get("hedged"))
        else:
            found = await self._link.ask(self._link.exchange.fetch_leverage(self._perpetual()))
            hedged = str((found.get("info") or {}).get("positionMode")).upper().startswith("HEDGE")
        if not self._has_mode or self._link.over:
            return hedged
        if hedged and not self.hedged:
            self._link.complain(self.text())
        self.hedged, self._asked_mode = hedged, self._seconds()
        return hedged

    def _perpetual(self) -> str:
        listed = self._market.instruments()
        return next((each.symbol for each in listed if each.asset_class is AssetClass.PERPETUAL), "")

    def text(self) -> str:
        """What is wrong with an account in hedge mode, and what to do."""
        return (
            f"Account {self._link.options.account} at {self._link.venue} is in position mode HEDGE, and orders from "
            "here name no position side: none in perpetuals is sent. Close what it holds at the exchange, then "
            "set_position_mode ONE_WAY."
        )

    def doubt(self) -> None:
        """The position mode may be another now: ask."""
        if self._has_mode:
            self.hedged = None if self.hedged is False else self.hedged
            self._link.later("the position mode", 0.0, self.look)

    async def look(self) -> None:
        """Ask for the position mode; while there is no answer an order asks again."""
        if not self._has_mode or not self._perpetual():
            return
        self._asked_mode = self._seconds()
        try:
            await self.hedge()
        except GatewayError as error:
            if self._link.over:
                return
            text = f"The position mode of account {self._link.options.account} is not known: {error}"
            if not self._named and error.__cause__ is not None and errors.is_answer(error.__cause__):
                # It will not be told another time either; in hedge mode exchanges refuse what names no position side.
                self.hedged = False
                text += f" Orders are sent as in {PositionMode.ONE_WAY}: leave mode {PositionMode.HEDGE}, if it is set."
            self._link.complain(text)

    async def look_again(self) -> None:
        """Ask for it, if that was long ago."""
        if self._seconds() - self._asked_mode >= MODE:
            await self.look()


def _is_perpetual(instrument: Instrument) -> bool:
    return instrument.asset_class is AssetClass.PERPETUAL
