"""What is asked about a signal's market: the venue's symbol for what was written, what a size is found by, and what
would be sent now. Before an answer as well as when the signal is carried out; nothing is changed by asking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from txgateway import sizing
from txgateway.brokers import Broker, Can
from txgateway.feed import Feed
from txgateway.gateway import Gateway
from txgateway.intents import Intent, intent_of, order_of
from txgateway.model.errors import Reason, Refused
from txgateway.model.order import OrderRequest, Origin, TimeInForce
from txgateway.model.rights import Grant, Right
from txgateway.model.signal import Act, Instruction, Source
from txgateway.revisions import Revisions
from txgateway.sizing import Ground
from txgateway.standing import Standing
from txgateway.tickers import candidates, mapped

DOLLARS = frozenset({"USD", "USDT", "USDC", "FDUSD"})
"""Currencies that are as good as each other to find a size by."""


class Grounds:
    """Asks the desk, the feed and the brokers."""

    def __init__(
        self,
        gateway: Gateway,
        feed: Feed,
        brokers: Mapping[str, Broker],
        standing: Standing,
        revisions: Revisions,
        new_id: Callable[[], str],
    ) -> None:
        self._gateway = gateway
        self._state = gateway.state
        self._feed = feed
        self._brokers = brokers
        self._standing = standing
        self._revisions = revisions
        self._new_id = new_id

    async def named(self, source: Source, instruction: Instruction) -> tuple[Instruction, str]:
        """The instruction with its symbol, and the venue's for it; a close that names none means the one position."""
        if not instruction.symbol:
            symbol = self._only_symbol(source, instruction)
            return replace(instruction, symbol=symbol), symbol
        return instruction, await self._symbol(source, instruction.symbol)

    def _only_symbol(self, source: Source, instruction: Instruction) -> str:
        strategies = self._state.strategies
        held = {each.symbol for each in strategies.of(source.name, instruction.strategy)}
        held |= strategies.coming(source.name, instruction.strategy)
        if len(held) == 1:
            return held.pop()
        name = instruction.strategy_name or instruction.strategy or source.name
        if not held:
            raise Refused(Reason.NO_POSITION, f"Strategy {name} has no position and no order: there is nothing to do.")
        what = f"positions in {', '.join(sorted(held))}"
        raise Refused(Reason.NO_POSITION, f"The signal names no symbol, and strategy {name} has {what}.")

    async def _symbol(self, source: Source, written: str) -> str:
        """The venue's symbol for what the sender wrote: by the source's map, else the first form that is known."""
        venue, known = self.venue_of(source), mapped(source.symbols, written)
        for each in candidates(written) if known is None else [known]:
            if await self._feed.instrument(venue, each) is not None:
                return each
        what = f"Symbol {written[:80]!r} is unknown at venue {venue}"
        if known is not None:
            what = f"Symbol {written[:80]!r} is mapped to {known!r}, which venue {venue} does not know"
        raise Refused(Reason.UNKNOWN_SYMBOL, f"{what}: change `symbols` of source {source.name}.")

    async def ground(self, source: Source, instruction: Instruction) -> Ground:
        """What a size is found by; the instruction's symbol is the venue's."""
        venue = self.venue_of(source)
        instrument, quote = await self._feed.market(venue, instruction.symbol)
        if instrument is None:
            raise Refused(Reason.UNKNOWN_SYMBOL, f"Symbol {instruction.symbol!r} is unknown at venue {venue}.")
        equity = None
        if sizing.needs_equity(instruction, source):
            report = await self._brokers[venue].balances(source.account)
            equity, currency = report.equity, report.values.get("currency", instrument.currency)
            if currency != instrument.currency and not {currency, instrument.currency} <= DOLLARS:
                text = f"Account {source.account} is kept in {currency} and {instrument.symbol} is paid in"
                text = f"{text} {instrument.currency}: no size can be found by what the account is worth."
                raise Refused(Reason.NO_SIZE, f"{text} Give source {source.name} another sizing.")
        return Ground(instrument, quote, equity)

    def request_for(
        self, source: Source, instruction: Instruction, intent: Intent, ground: Ground
    ) -> OrderRequest | None:
        """The order by which the checks can judge an intent; None where nothing is to be sent."""
        signed = intent.opens if intent.apart else intent.opens - intent.closes
        if not signed:
            return None
        request = order_of(source, instruction, signed, ground, self.day(source), opens=not intent.closes)
        return replace(request, client_order_id=self._new_id())

    async def rehearse(self, source: Source, instruction: Instruction, ground: Ground) -> str:
        """What would be sent now, in a sentence."""
        position = self._standing.at(source.account, ground.instrument.symbol, source.name, instruction.strategy)
        if instruction.act is Act.AMEND:
            await self._revisions.check(instruction, position, ground.instrument)
            return f"Would change order {position.entry}."
        intent = intent_of(source, instruction, ground, self._standing.now(position), position.taken)
        request = self.request_for(source, instruction, intent, ground)
        if request is None:
            return "Nothing would be sent."
        denial = await self._gateway.preview(request, source.name, Origin.WEBHOOK, grant_of(source))
        price = request.limit_price if request.limit_price is not None else request.stop_price
        at = "" if price is None else f" at {price:f}"
        words = f"{request.side} {request.quantity:f} {request.symbol} {request.order_type}{at}"
        return (
            f"Would send {words}." if denial is None else f"{words} would be refused ({denial.reason}): {denial.text}"
        )

    def venue_of(self, source: Source) -> str:
        """The venue of a source's account; Refused when there is none."""
        venue = self._gateway.venue_of(source.account)
        if venue is None:
            text = f"Account {source.account!r} is unknown: query_accounts lists them; change source {source.name}."
            raise Refused(Reason.UNKNOWN_ACCOUNT, text)
        return venue

    def day(self, source: Source) -> TimeInForce:
        """The time in force of what is sent without one."""
        can = self._brokers[self.venue_of(source)].can
        return TimeInForce.DAY if Can.DAY in can else TimeInForce.GTC


def grant_of(source: Source) -> Grant:
    """A source may trade its own account, and nothing else."""
    return Grant((Right.TRADE,), (source.account,))
