"""The venues as the daemon lives with them: what they tell is passed on, and who stays away is noticed and called back.

A venue's trouble is its own: nothing that it tells badly, too often or not at all costs another venue anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from txgateway.absent import Absent
from txgateway.bounded import TRACE_SECONDS
from txgateway.brokers import Broker, Can
from txgateway.feed import Feed
from txgateway.flaps import REST, Flaps
from txgateway.gateway import Gateway
from txgateway.localdays import LocalDays
from txgateway.model.errors import GatewayError
from txgateway.model.events import VenueError, VenueStatus, VenueStatusChanged
from txgateway.model.market import Bar, Depth, Quote, Statistics, Trade
from txgateway.publisher import Publisher
from txgateway.relay import Relay
from txgateway.vitals import Vitals

log = Logger()

TOLD_A_SECOND = 20
"""So many complaints of a venue are told to clients in a second: more would have slow ones disconnected."""
MARKET = (Quote, Trade, Bar, Statistics, Depth)


@dataclass(frozen=True, slots=True)
class Settings:
    """What is logged and told of venues, after how many seconds away one is missed, when all are connected anew."""

    log_messages: bool
    suppressed: Collection[int]
    away_seconds: float
    reset_at: time | None


class Venues:
    """Starts them, hears them, and stops one that connects again and again for a while.

    `give_up` is called with a sentence once one has been away for too long. Those in `logged_off` a person has sent
    away: they are connected by nobody else.
    """

    def __init__(
        self,
        brokers: Mapping[str, Broker],
        feed: Feed,
        gateway: Gateway,
        relay: Relay,
        publisher: Publisher,
        vitals: Mapping[str, Vitals],
        logged_off: Collection[str],
        days: LocalDays,
        reactor: Any,
        clock: Callable[[], datetime],
        settings: Settings,
        give_up: Callable[[str], None] | None,
    ) -> None:
        self._brokers = brokers
        self._feed = feed
        self._gateway = gateway
        self._relay = relay
        self._publisher = publisher
        self._vitals = vitals
        self._logged_off = logged_off
        self._days = days
        self._reactor = reactor
        self._clock = clock
        self._settings = settings
        self._give_up = give_up
        self._flaps = {name: Flaps(reactor.seconds) for name in brokers}
        self._down_since: dict[str, float] = {}
        self._told: dict[str, tuple[float, int]] = {}
        self._traced: dict[str, float] = {}
        self._timers: dict[str, Any] = {}

    def start(self) -> None:
        """Tell each what it has to know, and let it connect."""
        for name, value in self._gateway.state.settings.items():
            self.take_setting(name, value)
        self._note_faults()
        for name, broker in self._brokers.items():
            self._start(name, broker)
        self._plan_reset()

    def stop(self) -> None:
        """Call none back any more."""
        for name in list(self._timers):
            self._cancel(name)

    # what is on record

    def changed(self, event: VenueStatusChanged) -> None:
        """A venue's status is another, and on record."""
        log.info("venue {venue} is {status} {text}", venue=event.venue, status=event.status.value, text=event.text)
        self._relay.changed(event.venue)
        if event.status is VenueStatus.UP:
            self._check_claims(event.venue)
            self._feed.resubscribe(event.venue)
            self._down_since.pop(event.venue, None)
            self._cancel(f"down {event.venue}")
            return
        self._feed.lost(event.venue)
        if event.venue not in self._down_since and not self._gateway.stopping:
            self._down_since[event.venue] = self._reactor.seconds()
            self._later(f"down {event.venue}", self._settings.away_seconds, self._still_down, event.venue)

    def take_setting(self, setting: str, value: str | None) -> None:
        """A setting is another: a symbol's venue is told, where it can be, which exchange's contract is meant."""
        prefix = "primary_exchange:"
        if setting.startswith(prefix):
            venue, symbol = self._feed.place(setting.removeprefix(prefix))
            broker = self._brokers.get(venue)
            if broker is not None and Can.PRIMARY_EXCHANGE in broker.can:
                broker.set_primary_exchange(symbol, value)
                self._feed.meant_anew(venue, symbol)

    # what they tell

    def report(self, venue: str, event: Any) -> None:
        """What a venue's broker tells goes to the feed, the desk, or whoever streams; what cannot is told of it."""
        if self._settings.log_messages:
            log.info("{venue} -> {event}", venue=venue, event=event)
        try:
            self._take(venue, event)
        except Exception as error:
            self._spoiled(venue, event, error)

    def _take(self, venue: str, event: Any) -> None:
        if isinstance(event, MARKET):
            self._feed.report(venue, event)
        elif isinstance(event, VenueError | VenueStatusChanged):
            event = event if event.venue == venue else replace(event, venue=venue)  # it speaks for itself alone
            if isinstance(event, VenueError):
                self._complain(event)
            else:
                self._status(event)
        else:
            self._vitals[venue].told(event)
            self._gateway.report(event, venue)

    def alarm(self, event: VenueError) -> None:
        """Tell what everyone must hear, however much else is told."""
        self._vitals[event.venue].failed(event.text, self._clock())
        self._tell(event)

    def _spoiled(self, venue: str, event: Any, error: Exception) -> None:
        """What a venue told could not be taken in: it is the venue's trouble, and nobody else's."""
        self._vitals[venue].failed(f"{type(event).__name__}: {type(error).__name__}: {error}", self._clock())
        now = self._reactor.seconds()
        if now >= self._traced.get(venue, now):
            self._traced[venue] = now + TRACE_SECONDS
            log.failure("What venue {venue} told could not be taken in: {event}", venue=venue, event=event)

    def _status(self, event: VenueStatusChanged) -> None:
        """A venue's status is another; one that connects again and again is stopped, and left alone for a while."""
        venue, flaps = event.venue, self._flaps[event.venue]
        if flaps.resting:
            return
        self._gateway.report(event, venue)
        if event.status is VenueStatus.RECONCILING and flaps.too_many():
            flaps.resting = True
            text = f"it connects again and again: it is stopped, and connected again in {REST:g} s"
            self._gateway.report(VenueStatusChanged(venue, VenueStatus.DOWN, text, self._clock()), venue)
            self._complain(VenueError(venue, 0, text))
            self._later(f"rest {venue}", REST, self._end_rest, venue)
            self._reactor.callLater(0, self._brokers[venue].stopService)  # not in the middle of what it says

    def _end_rest(self, venue: str) -> None:
        self._flaps[venue].resting = False
        if venue not in self._logged_off:
            Deferred.fromCoroutine(self._reconnect(venue, self._brokers[venue]))

    def _complain(self, event: VenueError) -> None:
        """Count, log and tell what a venue complains of; no more a second than clients can take."""
        if event.code in self._settings.suppressed:
            return
        self._vitals[event.venue].failed(f"{event.code} {event.text}", self._clock())
        now = self._reactor.seconds()
        since, told = self._told.get(event.venue, (now, 0))
        if now - since >= 1.0:
            if told > TOLD_A_SECOND:
                more = VenueError(event.venue, 0, f"{told - TOLD_A_SECOND} more errors of this venue were left out")
                self._tell(more)
            since, told = now, 0
        self._told[event.venue] = (since, told + 1)
        if told < TOLD_A_SECOND:
            self._tell(event)

    def _tell(self, event: VenueError) -> None:
        log.warn("{venue}: error {code} {text}", venue=event.venue, code=event.code, text=event.text)
        self._publisher.venue_error(event)

    # whether they are there

    def _start(self, name: str, broker: Broker) -> None:
        try:
            broker.startService()
        except Exception as error:
            if not isinstance(error, ValueError | GatewayError):
                log.failure("Venue {venue} could not be started.", venue=name)
            text = str(error) if isinstance(error, Absent) else f"could not be started: {error}"
            self._complain(VenueError(name, 0, text))

    def _check_claims(self, venue: str) -> None:
        """An account that two venues have is the first one's: who trades it must know."""
        for account in self._brokers[venue].accounts():
            first = self._gateway.venue_of(account)
            if first not in (venue, None):
                text = f"account {account} is at venue {first}, too: its orders go there, and none to {venue}"
                self._complain(VenueError(venue, 0, text))

    def _still_down(self, venue: str) -> None:
        text = f"venue {venue} has been away for {self._settings.away_seconds:g} s"
        why = self._why_away(venue)
        text = f"{text}: {why}" if why else text
        log.critical("{text}", text=text)
        self._publisher.venue_error(VenueError(venue, 0, text))
        if self._give_up is not None:
            self._give_up(text)

    def _why_away(self, venue: str) -> str:
        """What was said last of a venue that is not up."""
        since, text = self._gateway.intake.since[venue]
        vitals = self._vitals[venue]
        complained = vitals.last_error_time is not None and vitals.last_error_time >= since
        return vitals.last_error if complained else text

    def _plan_reset(self) -> None:
        """Once a day every venue is connected anew, and reconciled by that."""
        if self._settings.reset_at is not None:
            now = self._clock()
            at = self._days.next(self._settings.reset_at, now)
            self._later("reset", (at - now).total_seconds(), self._reset, at)

    def _reset(self, at: datetime) -> None:
        """Connect the venues anew, unless the timer was early: it runs on another clock."""
        early = (at - self._clock()).total_seconds()
        if early > 0:
            self._later("reset", early, self._reset, at)
            return
        self._plan_reset()
        for name, broker in self._brokers.items():
            if name in self._logged_off:
                continue
            log.info("venue {venue}: daily reset", venue=name)
            Deferred.fromCoroutine(self._reconnect(name, broker))

    async def _reconnect(self, name: str, broker: Broker) -> None:
        await broker.stopService()
        self._start(name, broker)

    def _note_faults(self) -> None:
        """Put on record which faults the configuration sets: those that were set by hand ended with the last run."""
        for name, broker in self._brokers.items():
            text = "; ".join(map(str, broker.faults())) if Can.FAULTS in broker.can else ""
            if text:
                log.warn("Venue {venue} fails on purpose: {text}", venue=name, text=text)
            if text != self._gateway.state.settings.get(f"faults:{name}", ""):
                self._gateway.change_setting(f"faults:{name}", text or None, "the configuration")

    def _later(self, name: str, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        self._cancel(name)
        self._timers[name] = self._reactor.callLater(seconds, call, *arguments)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()
