"""Errands: changes at a venue that are no orders. Check -> record -> send, and an outcome that is known after a crash.

What is in doubt is asked for: a leverage or a position mode can be looked at. What an endpoint called by hand has done
nobody can tell but a person who looks there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from txgateway.brokers import Broker
from txgateway.intake import Intake
from txgateway.ledger import Ledger
from txgateway.model.errand import Errand, ErrandKind, ErrandOutcome
from txgateway.model.errors import Ambiguous, GatewayError, Reason, Refused, Unsupported
from txgateway.model.events import ErrandBegun, ErrandEnded, VenueStatus
from txgateway.model.venue import EndpointCall, PositionMode

log = Logger()

LOOK_SECONDS = 30.0
"""How often the venue is asked about what is in doubt; so long after it was sent it is not under way any more."""


class Errands:
    """Sends them, one of leverage or position mode at a time at each venue, and sees to it that they end."""

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        brokers: Mapping[str, Broker],
        reactor: Any,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._intake = intake
        self._brokers = brokers
        self._reactor = reactor
        self._clock = clock
        self._locks = {venue: DeferredLock() for venue in brokers}
        self._sending: set[int] = set()
        self._looking: set[str] = set()
        self._due = 0.0

    async def set_leverage(self, venue: str, account: str, symbol: str, leverage: Decimal, by: str) -> None:
        """Have a venue change a symbol's leverage; returns when it has. Refused: it has not. Ambiguous: in doubt."""
        broker = self._brokers[venue]
        await self._settable(
            venue, account, ErrandKind.LEVERAGE, symbol, _plain(leverage), by,
            lambda: broker.set_leverage(account, symbol, leverage),
        )  # fmt: skip

    async def set_position_mode(self, venue: str, account: str, mode: PositionMode, by: str) -> None:
        """Have a venue change how an account holds positions; as set_leverage."""
        broker = self._brokers[venue]
        await self._settable(
            venue, account, ErrandKind.POSITION_MODE, "", mode.value, by,
            lambda: broker.set_position_mode(account, mode),
        )  # fmt: skip

    async def call(self, venue: str, call: EndpointCall, words: str, by: str) -> Any:
        """Have an endpoint of a venue called that may change something; gives what it answers.

        `words` is what the journal keeps of it. Refused: the venue said no. Ambiguous: nobody knows what it did.
        """
        errand = await self._begin(venue, "", ErrandKind.ENDPOINT, "", words, by)
        try:
            answer = await self._brokers[venue].call_endpoint(call)
        except (Refused, Unsupported) as refused:
            self._end(errand, ErrandOutcome.REFUSED, str(refused))
            raise
        except Exception as error:
            text = f"{_words(error)} Whether it was done is not known: look at {venue}."
            self._end(errand, ErrandOutcome.UNKNOWN, text)
            raise self._doubt(errand, error, text) from error
        finally:
            self._sending.discard(errand.number)
            await self._ledger.settled()
        self._end(errand, ErrandOutcome.DONE, "The venue answered it.")
        await self._ledger.settled()
        return answer

    # one errand

    async def _settable(
        self,
        venue: str,
        account: str,
        kind: ErrandKind,
        symbol: str,
        value: str,
        by: str,
        send: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        lock = self._locks[venue]
        await lock.acquire()
        try:
            errand = await self._begin(venue, account, kind, symbol, value, by)
            try:
                await self._sent(errand, send)
            finally:
                self._sending.discard(errand.number)
                await self._ledger.settled()
        finally:
            lock.release()

    async def _sent(self, errand: Errand, send: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await send()
        except (Refused, Unsupported) as refused:
            self._end(errand, ErrandOutcome.REFUSED, str(refused))
            raise
        except Exception as error:
            if await self._is_so(errand):
                self._end(errand, ErrandOutcome.DONE, f"{_words(error)} Asked again, the venue has it so.")
                return
            text = f"{_words(error)} Whether {errand} was done is not known yet: {errand.venue} will be asked again."
            raise self._doubt(errand, error, text) from error
        self._end(errand, ErrandOutcome.DONE, "The venue has changed it.")

    async def _begin(self, venue: str, account: str, kind: ErrandKind, symbol: str, value: str, by: str) -> Errand:
        """Put it on record; it may be sent when this returns."""
        self._require_up(venue)
        errand = Errand(self._ledger.state.seq + 1, venue, account, kind, symbol, value, by, self._clock())
        self._sending.add(errand.number)
        self._ledger.record(ErrandBegun(errand, errand.began))
        await self._ledger.settled()
        try:
            self._require_up(venue)
        except Refused as refused:
            self._sending.discard(errand.number)
            self._end(errand, ErrandOutcome.REFUSED, refused.text)
            raise
        return errand

    def _require_up(self, venue: str) -> None:
        if self._ledger.error is not None:
            text = f"The journal cannot be written ({self._ledger.error}), so nothing was sent: free the disk first."
            raise Refused(Reason.JOURNAL_FAILED, text)
        status = self._intake.status[venue]
        if status is not VenueStatus.UP:
            raise Refused(Reason.VENUE_DOWN, f"Venue {venue} is {status}: send it again when it is UP.")

    def _end(self, errand: Errand, outcome: ErrandOutcome, text: str) -> None:
        if errand.number in self._ledger.state.errands:
            event = ErrandEnded(errand.number, errand.venue, errand.account, outcome, text, self._clock())
            self._ledger.record(event)

    def _doubt(self, errand: Errand, error: Exception, text: str) -> Ambiguous:
        if not isinstance(error, GatewayError):
            log.failure("{errand} failed.", errand=str(errand))
        return Ambiguous(text)

    # doubt

    def heard_up(self, venue: str) -> None:
        """A venue has come UP: ask it about what was under way, from this life or the one before."""
        self._look(venue)

    def watch(self) -> None:
        """Now and then: ask about what is still in doubt."""
        if not self._ledger.state.errands or self._reactor.seconds() < self._due:
            return
        self._due = self._reactor.seconds() + LOOK_SECONDS
        for venue in {each.venue for each in self._ledger.state.errands.values()}:
            if self._intake.status.get(venue) is VenueStatus.UP:
                self._look(venue)

    def _look(self, venue: str) -> None:
        doubtful = [each for each in self._ledger.state.errands.values() if each.venue == venue]
        doubtful = [each for each in doubtful if each.number not in self._sending]
        if doubtful and venue not in self._looking:
            self._looking.add(venue)
            self._intake.go(self._settle(venue, doubtful), f"the errands at {venue}")

    async def _settle(self, venue: str, doubtful: list[Errand]) -> None:
        try:
            for errand in doubtful:
                if errand.kind is ErrandKind.ENDPOINT:
                    text = f"The gateway was restarted over it; whether it was done is not known: look at {venue}."
                    self._end(errand, ErrandOutcome.UNKNOWN, text)
                elif await self._is_so(errand):
                    self._end(errand, ErrandOutcome.DONE, "Asked later, the venue has it so.")
                elif self._clock() - errand.began >= timedelta(seconds=LOOK_SECONDS):
                    now = await self._now(errand)
                    if now is not None:
                        text = f"Asked later, the venue has {now}: it was not done, or changed since."
                        self._end(errand, ErrandOutcome.REFUSED, text)
        finally:
            self._looking.discard(venue)

    async def _is_so(self, errand: Errand) -> bool:
        return await self._now(errand) == errand.value

    async def _now(self, errand: Errand) -> str | None:
        """How things stand there, in the words of an errand's value; None: the venue does not tell now."""
        broker = self._brokers[errand.venue]
        try:
            if errand.kind is ErrandKind.POSITION_MODE:
                return (await broker.position_mode(errand.account)).value
            leverage = await broker.leverage(errand.account, errand.symbol)
        except GatewayError as error:
            log.warn("{venue} does not tell of {errand}: {error}", venue=errand.venue, errand=errand, error=str(error))
            return None
        return None if leverage is None else _plain(leverage)


def _plain(leverage: Decimal) -> str:
    return f"{leverage.normalize():f}"


def _words(error: Exception) -> str:
    return str(error).strip() or f"{type(error).__name__}."
