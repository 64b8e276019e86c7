"""Signals: what came in, what became of it, and what each strategy holds."""

from __future__ import annotations

from decimal import Decimal

from txgateway.access import Caller
from txgateway.api import Api, Entry, SignalStory, StrategyReport
from txgateway.brokers import unknown_symbol
from txgateway.commands import Upper, command
from txgateway.model.errors import BadArgument, Reason, Refused
from txgateway.model.events import SignalReceived, SignalRefused, StrategyAdjusted
from txgateway.model.rights import Right
from txgateway.model.signal import Signal, StrategyPosition
from txgateway.signals import BadSignal

MOST = 1000


@command(Right.READ, narrow=True)
async def query_signals(
    api: Api,
    caller: Caller,
    source: str | None = None,
    outcome: str | None = None,
    strategy: str | None = None,
    limit: int = 100,
) -> list[Signal]:
    """Give the latest signals (1000 at most), the newest first: of one source, outcome or strategy if named.

    Outcomes are PENDING, DONE, REFUSED and SHADOW. explain_signal has all of one, query_journal those of earlier days.
    """
    if not 0 < limit <= MOST:
        raise BadArgument(f"limit {limit} must be from 1 to {MOST}.")
    await api.gateway.settled()
    found = []
    for each in reversed(api.gateway.state.strategies.signals.values()):
        if (
            caller.grant.reaches(each.account)
            and source in (None, each.source)
            and (outcome is None or outcome.upper() == each.outcome)
            and (strategy is None or any(strategy in (one.strategy, one.strategy_name) for one in each.instructions))
        ):
            found.append(each)
            if len(found) == limit:
                break
    return found


@command(Right.READ, narrow=True)
async def explain_signal(api: Api, caller: Caller, id: str) -> SignalStory | None:
    """Tell a signal's whole story, from what was sent to the last fill of its orders; null when it is unknown."""
    await api.gateway.settled()
    entries = await _entries(api, id)
    if not entries:
        return None
    first = entries[0].record.event
    account = getattr(first, "account", "")
    if not caller.grant.reaches(account):
        return None
    orders = await _orders(api, id, entries)
    pages = [await api.gateway.history.page(0, -1, each, ()) for each in orders]
    told = entries + [Entry(*each) for page in pages for each in page]
    return SignalStory(id, sorted(told, key=lambda each: each.record.seq))


@command(Right.READ, narrow=True)
async def replay_signal(api: Api, caller: Caller, id: str) -> list[str]:
    """Go over a stored signal again in shadow mode: what it would do now, a sentence an instruction."""
    await api.gateway.settled()
    entries = await _entries(api, id)
    event = entries[0].record.event if entries else None
    if not isinstance(event, SignalReceived | SignalRefused) or not caller.grant.reaches(event.account):
        raise Refused(Reason.NO_SUCH_SIGNAL, f"There is no signal {id!r}: query_signals lists them.")
    source = api.signaling.sources.get(event.source)
    if source is None:
        raise Refused(Reason.NO_SUCH_SOURCE, f"There is no source {event.source!r} any more: query_sources lists them.")
    try:
        return await api.signaling.rehearse(source, event.body.encode(), event.about)
    except BadSignal as error:
        return [f"Would be refused ({Reason.BAD_SIGNAL}): {error}"]


@command(Right.READ, narrow=True)
async def query_strategies(
    api: Api, caller: Caller, source: str | None = None, strategy: str | None = None, symbol: Upper | None = None
) -> list[StrategyReport]:
    """Give what each strategy of each source holds: `quantity` is signed, `intended` what it will be.

    `intended` counts what works and what was taken in. What others' hands closed in the account is taken off.
    """
    await api.gateway.settled()
    standing = api.signaling.carrier.standing
    found = [each for held in api.gateway.state.strategies.positions.values() for each in held.values()]
    return [
        _report(each, standing.held(each), standing.intended(each))
        for each in sorted(found, key=lambda each: (each.source, each.strategy, each.symbol))
        if caller.grant.reaches(each.account)
        and source in (None, each.source)
        and strategy in (None, each.strategy, each.name)
        and symbol in (None, each.symbol)
    ]


@command(Right.ADMIN)
async def adjust_strategy(
    api: Api, caller: Caller, source: str, strategy: str, account: str, symbol: Upper, quantity: Decimal, text: str
) -> StrategyReport:
    """Say what a strategy holds, where what is on record is wrong; nothing is sent. Gives it as it stands."""
    if not text.strip():
        raise BadArgument("text must say why.")
    venue = api.gateway.venue_of(account)
    if venue is None:
        raise Refused(Reason.UNKNOWN_ACCOUNT, f"Account {account!r} is unknown: query_accounts lists them.")
    known = api.gateway.state.strategies.at((account, symbol), (source, strategy))
    if not (known.filled or known.working):
        if api.signaling.sources.get(source) is None:
            raise Refused(Reason.NO_SUCH_SOURCE, f"There is no source {source!r}: query_sources lists them.")
        if await api.feed.instrument(venue, symbol) is None:
            raise Refused(Reason.UNKNOWN_SYMBOL, unknown_symbol(api.brokers[venue], symbol))
    if api.gateway.ledger.error is not None:
        raise api.gateway.ledger.refusal()
    api.gateway.ledger.record(
        StrategyAdjusted(
            source=source,
            strategy=strategy,
            account=account,
            symbol=symbol,
            quantity=quantity,
            text=text,
            by=caller.user,
            time=api.about.clock(),
        )
    )
    await api.gateway.settled()
    standing = api.signaling.carrier.standing
    position = standing.at(account, symbol, source, strategy)
    return _report(position, standing.held(position), standing.intended(position))


def _report(position: StrategyPosition, held: Decimal, intended: Decimal) -> StrategyReport:
    return StrategyReport(
        source=position.source,
        strategy=position.strategy,
        name=position.name,
        account=position.account,
        symbol=position.symbol,
        quantity=held,
        intended=intended,
        reference=position.reference,
        opened=position.opened,
        orders=tuple(position.working),
    )


async def _entries(api: Api, signal_id: str) -> list[Entry]:
    """A signal's own records."""
    page = await api.gateway.history.page(0, -1, signal_id, ())
    return [Entry(*each) for each in page if getattr(each[0].event, "signal_id", None) == signal_id]


async def _orders(api: Api, signal_id: str, entries: list[Entry]) -> list[str]:
    """The ids of the orders that a signal made: those that its end names, and all that have its keys."""
    event = entries[0].record.event
    found: list[str] = []
    for entry in entries:
        found += getattr(entry.record.event, "orders", ())
    for at in range(len(getattr(event, "instructions", ()))):
        for key in (f"sig:{signal_id}:{at}:close", f"sig:{signal_id}:{at}"):
            while (order := await api.gateway.history.find_client(getattr(event, "account", ""), key)) is not None:
                found.append(order.order_id)
                key += "+"
    return list(dict.fromkeys(found))
