"""Whether the paper counterparty takes an order: its terms, the market's hours, what is shown, who can pay. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from txgateway.brokers.paper.accounts import Account
from txgateway.brokers.paper.held import Held, Refusal, bad_terms
from txgateway.brokers.paper.matching import Matcher
from txgateway.brokers.paper.turn import Market
from txgateway.model.errors import Reason
from txgateway.model.instrument import Instrument
from txgateway.model.order import OrderType, TimeInForce

ONE = Decimal(1)
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)


class Admission:
    """The questions an order has to pass; the answers are refusals, or None."""

    def __init__(self, market: Market, accounts: Mapping[str, Account]) -> None:
        self._market = market
        self._accounts = accounts

    def malformed(self, held: Held, instrument: Instrument | None) -> Refusal | None:
        """What would not even be looked at."""
        if held.account not in self._accounts:
            return Reason.REJECTED, f"There is no account {held.account} here: {', '.join(self._accounts)} are."
        if instrument is None:
            return Reason.REJECTED, f"{held.symbol} does not trade here."
        return bad_terms(held, instrument)

    def enter(self, held: Held, instrument: Instrument, matcher: Matcher, opened: bool) -> Refusal | None:
        """Reserve a well-formed order that goes live, or say why it cannot."""
        if not opened and (held.order_type is OrderType.MARKET or held.time_in_force in AT_ONCE):
            text = f"The market of {held.symbol} is closed: a limit order would wait for its opening."
            return Reason.MARKET_CLOSED, text
        if held.order_type is OrderType.MARKET or held.time_in_force in AT_ONCE:
            why = self._market.standing(held.symbol)
            if why:
                return Reason.NO_PRICE, f"The market of {held.symbol} stands still: {why}. A limit order would wait."
        return self._unfillable(held, matcher) or self._reserve(held, instrument, matcher)

    def change(self, held: Held, matcher: Matcher, live: bool) -> Refusal | None:
        """Reserve an order with its new terms (a ticket reserves nothing), or say why it cannot have them."""
        instrument = self._market.instrument(held.symbol)
        if instrument is None:
            return Reason.REJECTED, f"{held.symbol} trades here no more: cancel the order instead."
        return bad_terms(held, instrument) or (self._reserve(held, instrument, matcher) if live else None)

    def trigger(self, held: Held, matcher: Matcher) -> Refusal | None:
        """Whether a stop, reserved already and now triggered, must be filled whole and cannot be."""
        if held.time_in_force is not TimeInForce.FOK:
            return None
        payable = self.payable(held, held.leaves, matcher.shown(held.buys)[0])
        if payable < held.leaves:
            text = f"Account {held.account} can pay {payable:f} of {held.leaves:f}: all or none."
            return Reason.INSUFFICIENT_FUNDS, text
        return self._unfillable(held, matcher)

    def payable(self, held: Held, quantity: Decimal, price: Decimal) -> Decimal:
        """How much of a fill the account of a reserved order can pay."""
        instrument = self._market.instrument(held.symbol)
        lot = instrument.lot_size if instrument else ONE
        return self._accounts[held.account].payable(held, quantity, price, lot)

    def _unfillable(self, held: Held, matcher: Matcher) -> Refusal | None:
        if held.time_in_force is not TimeInForce.FOK or held.waits_for_stop:
            return None
        reachable = matcher.reachable(held)
        if reachable >= held.leaves:
            return None
        text = f"The market shows {reachable:f} of {held.leaves:f} at the order's price: all or none."
        return Reason.NOT_FILLABLE, text

    def _reserve(self, held: Held, instrument: Instrument, matcher: Matcher) -> Refusal | None:
        price = self._reserve_price(held, matcher)
        if price is None:
            return Reason.REJECTED, f"{held.symbol} has shown no price yet: try again shortly."
        held.reserve_price = price
        return self._accounts[held.account].admit(held, instrument)

    def _reserve_price(self, held: Held, matcher: Matcher) -> Decimal | None:
        """What a unit will cost or bring at worst, as far as can be told."""
        shown, left = matcher.shown(held.buys)
        market = shown if left > 0 else self._market.price(held.symbol)
        if held.limit_price is not None:
            return held.limit_price if held.buys or market is None else max(held.limit_price, market)
        return held.stop_price if held.waits_for_stop else market
