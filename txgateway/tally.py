"""What accounts hold, compared with what brokers say they hold: positions and cash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from twisted.logger import Logger

from txgateway import reconcile
from txgateway.brokers import Broker
from txgateway.differences import Differences
from txgateway.intake import Intake
from txgateway.ledger import Ledger
from txgateway.look import Look
from txgateway.missed import Missed
from txgateway.model.account import Position, adds_up
from txgateway.model.difference import Difference, Key, What
from txgateway.model.events import AccountsOpened, BalancesReported, PositionReported, Severity

log = Logger()

ZERO = Decimal(0)


class Tally:
    """Nothing that differs is set right by itself: it is shown, and a person may take the broker's figure over.

    An account that is compared for the first time begins with what the broker says.
    """

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        missed: Missed,
        differences: Differences,
        brokers: Mapping[str, Broker],
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._intake = intake
        self._missed = missed
        self._differences = differences
        self._brokers = brokers
        self._clock = clock
        self._gaps: dict[str, dict[Key, Decimal]] = {}
        """By venue, of each balance that may differ: how much more the broker has."""

    def is_unsure(self, venue: str) -> bool:
        """Whether a balance may differ, which the next look tells."""
        return bool(self._gaps.get(venue))

    def forget(self, venue: str) -> None:
        """What may have differed counts no more: the link is another."""
        self._gaps.pop(venue, None)

    # positions

    async def positions(self, look: Look) -> None:
        """Compare positions; those that were traded meanwhile another time.

        Before one is told to differ the broker's whole history is asked for: a fill of long ago may be missing.
        """
        traded, theirs = dict(self._intake.traded), await look.answer(self._brokers[look.venue].positions())
        differing = self._differing(look, traded, theirs)
        if any(not self._differences.is_open(*each) for each in differing):
            await self._missed.ask(look, None)
            traded, theirs = dict(self._intake.traded), await look.answer(self._brokers[look.venue].positions())
            differing = self._differing(look, traded, theirs)
        for key, ours, its in differing:
            self._differences.found(key, ours, its, Severity.CRITICAL)
            look.found.add(key)
            look.skipped.discard(key)
        self._open(look, traded, theirs)

    def _differing(
        self, look: Look, traded: Mapping[tuple[str, str, str], int], theirs: Sequence[Position]
    ) -> list[tuple[Key, str, str]]:
        """The positions that differ for certain, with both figures; those that may are marked for the next look."""
        venue = look.venue
        found: list[tuple[Key, str, str]] = []
        opened = self._state.opened.get(venue, ())
        for (account, symbol), (mine, its) in reconcile.positions(self._held(venue), theirs).items():
            key = (venue, account, What.POSITION, symbol)
            name = (venue, account, symbol)
            figures = (f"{mine.quantity:f}", f"{its.quantity:f}")
            count = self._intake.traded.get(name)
            if account not in opened and account in self._brokers[venue].accounts():
                continue
            if count == traded.get(name) and (
                look.connecting
                or self._differences.is_open(key, *figures)
                or look.is_confirmed(name, (count, *figures))
            ):
                found.append((key, *figures))
            else:
                look.skipped.add(key)
        return found

    def _held(self, venue: str) -> list[Position]:
        return [each for held in self._state.positions.values() for each in held.values() if each.venue == venue]

    def _open(self, look: Look, traded: Mapping[tuple[str, str, str], int], theirs: Sequence[Position]) -> None:
        """Accounts that are reconciled for the first time: what they hold is where we start from."""
        venue = look.venue
        opened = self._state.opened.get(venue, ())
        moved = {name[1] for name, count in self._intake.traded.items() if count != traded.get(name)}
        new = {each for each in self._brokers[venue].accounts() if each not in opened and each not in moved}
        for (account, _), (_, its) in reconcile.positions(self._held(venue), theirs).items():
            if account in new:
                self.take_position(its, venue)
        if new:
            self._ledger.record(AccountsOpened(venue, tuple(sorted(new)), self._clock()))

    def take_position(self, position: Position, venue: str) -> None:
        """Take a position over as the broker shows it."""
        figures = (position.account, position.symbol, position.quantity, position.average_price)
        self._ledger.record(PositionReported(venue, *figures, self._clock()))

    # balances

    async def balances(self, look: Look, since: datetime) -> None:
        """Compare each account's cash with what the broker once said and what our executions have moved since.

        What is not known yet counts when no fill came to light from before the balances were asked for until the
        executions were, after them: then they are of the very fills that we have.
        """
        venue, broker = look.venue, self._brokers[look.venue]
        before = self._gaps.pop(venue, {})
        traded = self._trades(venue)
        theirs = {account: await self._cash(look, account) for account in broker.accounts()}
        theirs = {account: totals for account, totals in theirs.items() if _are_amounts(venue, account, totals)}
        unsure = [key for account, totals in theirs.items() for key in self._unsure(venue, account, totals)]
        if unsure:
            seen = any(key in before for key in unsure)
            await self._missed.ask(look, None if seen else since)  # one of long ago may be missing
        now = self._trades(venue)
        for account, totals in theirs.items():
            if now.get(account) == traded.get(account):
                self._weigh(venue, account, totals, before)

    async def _cash(self, look: Look, account: str) -> dict[str, Decimal]:
        report = await look.answer(self._brokers[look.venue].balances(account))
        return {each.currency: each.total for each in report.balances}

    def _trades(self, venue: str) -> dict[str, int]:
        """How many fills there were in each account."""
        counts: dict[str, int] = {}
        for (at, account, _), count in self._intake.traded.items():
            if at == venue:
                counts[account] = counts.get(account, 0) + count
        return counts

    def _unsure(self, venue: str, account: str, totals: Mapping[str, Decimal]) -> list[Key]:
        """What is new of an account's cash: all of it, or the currencies whose gap is not the one that is shown."""
        ours = self._state.cash.get((venue, account))
        if ours is None:
            return [(venue, account, What.BALANCE, "")]
        keys = {(venue, account, What.BALANCE, name): each for name, each in reconcile.balances(ours, totals).items()}
        return [key for key, (mine, its) in keys.items() if not adds_up(mine + self._gap(key), its)]

    def _gap(self, key: Key) -> Decimal:
        """How much more the broker has than we, as it is shown."""
        known = self._state.differences.get(key)
        return Decimal(known.theirs) - Decimal(known.ours) if known else ZERO

    def _weigh(self, venue: str, account: str, totals: Mapping[str, Decimal], before: Mapping[Key, Decimal]) -> None:
        """Show the gaps of an account that two looks in a row have found; one that is shown is told anew if it changes.

        An account that is compared for the first time begins with what the broker says.
        """
        ours = self._state.cash.get((venue, account))
        if ours is None:
            self._take_cash(venue, account, totals)
            return
        differing: set[Key] = set()
        for currency, (mine, its) in reconcile.balances(ours, totals).items():
            key = (venue, account, What.BALANCE, currency)
            differing.add(key)
            known = self._state.differences.get(key)
            if known is not None and adds_up(mine + self._gap(key), its):
                self._differences.found(key, known.ours, known.theirs, known.severity)
            elif key in before and adds_up(mine + before[key], its):
                self._differences.found(key, f"{mine:f}", f"{its:f}", Severity.WARNING)
            else:
                self._gaps.setdefault(venue, {})[key] = its - mine
        for each in self._differences.open(venue):
            if each.what == What.BALANCE and each.account == account and each.name not in differing:
                self._differences.gone(each.name, "It adds up again.")

    def _take_cash(self, venue: str, account: str, totals: Mapping[str, Decimal]) -> None:
        self._ledger.record(BalancesReported(venue, account, tuple(sorted(totals.items())), self._clock()))

    def take_gap(self, difference: Difference) -> None:
        """Take the gap of a balance over as it is shown: what was traded since it was found stays counted."""
        venue, account, _, currency = difference.name
        ours = self._state.cash.get((venue, account), {}).get(currency, ZERO)
        self._take_cash(venue, account, {currency: ours + self._gap(difference.name)})


def _are_amounts(venue: str, account: str, totals: Mapping[str, Decimal]) -> bool:
    """Whether an account's cash can be compared at all."""
    wrong = {currency: str(total) for currency, total in totals.items() if not total.is_finite()}
    if wrong:
        log.warn("Venue {venue} told of {wrong} in {account}: not compared.", venue=venue, wrong=wrong, account=account)
    return not wrong
