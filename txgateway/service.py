"""Builds every object and lets them live and end in order: the only file that knows all rooms."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from socket import gethostname
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import Cooperator
from twisted.logger import Logger

from txgateway import __date__, __version__, chain, snapshots, sources
from txgateway.absent import AbsentBroker
from txgateway.access import Access
from txgateway.admission import Admission
from txgateway.api import About, Api
from txgateway.audience import Settings as PublisherSettings
from txgateway.banner import banner
from txgateway.blotter import Blotter
from txgateway.bounded import BoundedBroker, Deadlines
from txgateway.brokers import ENTRY_POINTS, Broker, Can, Setup
from txgateway.carrier import Carrier
from txgateway.config import Config, Venue
from txgateway.feed import Feed
from txgateway.gateway import Desk, Gateway
from txgateway.ids import Ids
from txgateway.journal.sqlite import SqliteJournal
from txgateway.keeper import Keeper
from txgateway.localdays import LocalDays
from txgateway.logins import Logins
from txgateway.model.errors import JournalError, Reason
from txgateway.model.events import (
    Executed,
    OrderDoubted,
    SettingChanged,
    TokenRevoked,
    UserChanged,
    UserRemoved,
    VenueStatusChanged,
)
from txgateway.model.order import OrderStatus
from txgateway.model.signal import SourceKind
from txgateway.ports import Ports
from txgateway.proquant import ProQuantService
from txgateway.publisher import Publisher
from txgateway.relay import Relay
from txgateway.render import Fragments
from txgateway.roster import Roster
from txgateway.servers.algogene import AlgogeneApi
from txgateway.servers.http import Elsewhere, HttpSettings, make_outside, make_site
from txgateway.servers.stream import StreamFactory
from txgateway.servers.webhooks import Webhooks
from txgateway.servers.websocket import StreamResource
from txgateway.signaling import Signaling
from txgateway.signals import LARGEST, Language
from txgateway.signals.algogene import Algogene
from txgateway.signals.generic import Generic
from txgateway.signals.proquant import ProQuant
from txgateway.signals.tradingview import TradingView
from txgateway.snapshots import Snapshots
from txgateway.sources import Sources
from txgateway.state import Change, State
from txgateway.stories import sentence
from txgateway.tickets import TicketRules
from txgateway.venues import Settings as VenueSettings
from txgateway.venues import Venues
from txgateway.vitals import Vitals
from txgateway.wire import Flags

log = Logger()

HEADER = f"txGateway {__version__} {__date__}"
COLLECT = (10_000, 20, 20)
"""Python's collector runs seldom, and never over what is there from the start: its pauses are the reactor's."""
STOP_SECONDS = 3.0
"""How long a stop waits for brokers to answer what is under way."""
GONE = "is configured no more, and there are orders or positions of it"
ALGOGENE = Algogene()
LANGUAGES: dict[str, Language] = {
    SourceKind.GENERIC: Generic(),
    SourceKind.PROQUANT: ProQuant(),
    SourceKind.TRADINGVIEW: TradingView(),
    SourceKind.ALGOGENE: ALGOGENE,
}
"""How the senders of signals speak, by kind."""


def _domain(venue: Venue, broker: Broker | None) -> str:
    """What a venue's money is: its option `domain`, or its broker's word; else play money for paper, and real money."""
    said = venue.options.get("domain") or getattr(broker, "domain", "")
    return str(said or ("paper" if venue.kind == "paper" else "live"))


class CannotStart(Exception):
    """One sentence that says why, and what to do."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def make_service(config: Config, reactor: Any, clock: Callable[[], datetime] = utc_now) -> GatewayService:
    """The whole daemon, built and not yet started."""
    return GatewayService(config, reactor, clock)


class GatewayService(Service):
    """The daemon: `prepare` (what may fail with a sentence), `startService`, `stopService`."""

    publisher: Publisher
    venues: Venues

    def __init__(self, config: Config, reactor: Any, clock: Callable[[], datetime]) -> None:
        self.config = config
        self.failed = False
        self._reactor = reactor
        self._clock = clock
        self._zone: Any = config.timezone
        self._default = config.default_venue.name
        self._vitals = {venue.name: Vitals(reactor.seconds) for venue in config.venues}
        self._days = LocalDays(self._zone)
        self.ports = Ports(config, reactor)
        self._told: Callable[[str, Any], None] = _told_too_early
        self._stopping: Deferred[None] | None = None
        self._new_id = Ids(clock, random.Random().randrange)

    # building

    def prepare(self) -> None:
        """Open the journal, rebuild the state, build every room, bind the ports. CannotStart says what is wrong."""
        try:
            self.config.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            where = f"TXGATEWAY_DATA_DIR={self.config.data_dir} cannot be used ({error.strerror or error})"
            raise CannotStart(f"{where}: name a folder that this user may write to.") from error
        try:
            journal = SqliteJournal(Path(self.config.journal))
            journal.open()
            rebuilt = self._rebuild(journal)
        except (JournalError, OSError, ValueError) as error:
            raise CannotStart(str(error)) from error
        self._write_password()
        self._read_sources()
        made = {**self._brokers(), **self._gone_brokers(rebuilt)}
        self._domains = {venue.name: _domain(venue, made.get(venue.name)) for venue in self.config.venues}
        self.brokers = {name: self._bounded(name, broker) for name, broker in made.items()}
        self.feed = Feed(
            self.brokers,
            self._default,
            self._reactor,
            self._days.date,
            self.config.timeout_addsymbol,
            self.config.enable_barchart,
            timedelta(seconds=self.config.time_offset),
        )
        self.gateway = Gateway(self._desk(rebuilt, journal))
        self.relay = Relay(self.feed, self.brokers, self.gateway.intake)
        self.keeper = Keeper(
            self.gateway,
            self.brokers,
            self.feed.market,
            self._reactor,
            self._clock,
            lambda event: self.venues.alarm(event),
        )
        self.feed.streams.append(self.keeper.price)
        self._build_signaling(journal)
        self._snapshots = Snapshots(
            self.config.data_dir / "snapshot", journal, Cooperator(scheduler=self._next_turn), self._snapshot_seq
        )
        self.access = Access(self.config.username, self.config.password, rebuilt.tokens, self.config.login_delay)
        self.api = Api(
            self.gateway,
            self.feed,
            self.brokers,
            self._about(),
            self.access,
            self.keeper.trouble,
            self.signaling,
            ProQuantService(self.config.proquant_url, self._reactor),
        )
        self._build_roster()
        self.gateway.listeners.append(self._watch)
        self._build_servers()

    def _rebuild(self, journal: SqliteJournal) -> State:
        """The state: the snapshot if one fits, then the rest of the journal."""
        gc.disable()
        try:
            rebuilt = snapshots.load(self.config.data_dir / "snapshot", journal)
            self._snapshot_seq = rebuilt.seq if rebuilt else 0
            rebuilt = rebuilt or State()
            for record in journal.records(rebuilt.seq):
                rebuilt.apply(record)
            return rebuilt
        finally:
            gc.enable()

    def _write_password(self) -> None:
        """Leave the password where commands can read it, when nobody configured one."""
        path = self.config.generated_password_file
        if self.config.password_source != "default" or path.exists():
            return
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"{self.config.password}\n")

    def _brokers(self) -> Mapping[str, Broker]:
        """Every venue's broker. What cannot be made keeps no other venue from its work; CannotStart where none can."""
        kinds = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
        found: dict[str, Broker] = {}
        troubles: list[str] = []
        for venue in self.config.venues:
            kind: Any = None
            try:
                kind = kinds[venue.kind].load()
                found[venue.name] = kind(self._setup(venue))
            except Exception as error:
                if not isinstance(error, ValueError | OSError | ImportError):
                    log.failure("The broker of venue {venue} could not be made.", venue=venue.name)
                troubles.append(f"Venue {venue.name} ({venue.kind}): {venue.trouble or error}")
                claims = getattr(kind, "can", None)
                can = claims if isinstance(claims, Can) else Can.STAGE  # some can only tell once they are made
                found[venue.name] = AbsentBroker(venue.name, can, venue.accounts, troubles[-1], self._clock)
        if len(troubles) == len(found):
            raise CannotStart("\n".join(troubles))
        return found

    def _gone_brokers(self, rebuilt: State) -> Mapping[str, Broker]:
        """In the places of venues that are configured no more, and of which orders or positions are known still."""
        held = {each.venue for account in rebuilt.positions.values() for each in account.values() if each.quantity}
        known = held | {order.venue for order in rebuilt.working.values()}
        self._gone = sorted(known - {venue.name for venue in self.config.venues})
        self._vitals.update({name: Vitals(self._reactor.seconds) for name in self._gone})
        return {name: AbsentBroker(name, Can(0), (), f"Venue {name} {GONE}", self._clock) for name in self._gone}

    def _doubt_gone(self) -> None:
        """Nobody can say what became of orders at a venue that is configured no more, until it is again.

        A ticket that no broker holds waits on: it can be ended here.
        """
        for order in [each for name in self._gone for each in self.gateway.state.working_at(name)]:
            waits = order.status is OrderStatus.STAGED and self.gateway.tickets.is_ours(order)
            if order.status is not OrderStatus.UNKNOWN and not waits:
                text = f"Venue {order.venue} {GONE}: configure it again, or end the order by resolve_order."
                event = OrderDoubted(order.order_id, Reason.VENUE_DOWN, text, self._clock())
                self.gateway.intake.take(event)

    def _setup(self, venue: Venue) -> Setup:
        return Setup(
            venue=venue.name,
            options=venue.options,
            folder=self.config.data_dir / "venues" / venue.name,
            report=lambda event: self._told(venue.name, event),
            reactor=self._reactor,
            clock=self._clock,
            prices=lambda source: self.relay.prices(source, venue.name),
        )

    def _bounded(self, name: str, broker: Broker) -> Broker:
        config = self.config
        deadlines = Deadlines(
            config.timeout_default,
            config.timeout_account,
            config.timeout_addsymbol,
            config.timeout_barchart,
            config.timeout_orderstatus,
            config.timeout_position,
        )
        messages = config.log_api_messages or config.debug_api_messages
        return BoundedBroker(
            broker,
            deadlines,
            self._reactor,
            self._clock,
            self._vitals[name],
            messages,
            config.log_callback_metrics,
            [account for venue in config.venues if venue.name != name for account in venue.accounts],
            lambda account: self.gateway.venue_of(account) not in (None, name),
        )

    def _desk(self, rebuilt: State, journal: SqliteJournal) -> Desk:
        return Desk(
            state=rebuilt,
            journal=journal,
            brokers=self.brokers,
            market=self.feed.market,
            reactor=self._reactor,
            clock=self._clock,
            new_id=self._new_id,
            trading_day=self._days.date,
            default_route=self.config.api_route,
            routes=self._routes(),
            order_timeout=self.config.timeout_order,
            halt_on_exception=self.config.enable_exception_halt,
            log_repeats=self.config.log_order_update_dups,
            tickets=TicketRules(self.config.ticket_seconds, self.config.ticket_four_eyes),
            reconcile_seconds=self.config.reconcile_seconds,
            difference_raise_seconds=self.config.difference_raise_seconds,
            limits=self.config.risk,
            shown=self.feed.shown,
        )

    def _routes(self) -> Mapping[str, str]:
        """The default routes of venues whose options have one."""
        return {venue.name: str(route) for venue in self.config.venues if (route := venue.options.get("route"))}

    def _build_signaling(self, journal: SqliteJournal) -> None:
        desk, brokers, clock = self.gateway, self.brokers, self._clock
        self.carrier = Carrier(desk, self.feed, brokers, self.sources.get, self._reactor, clock, self._new_id)
        self.signaling = Signaling(desk, brokers, self.sources, LANGUAGES, journal, self.carrier, clock, self._new_id)
        self.blotter = Blotter(desk, self.feed, brokers, self.carrier, journal.find, self._reactor, clock, self._zone)

    def _build_roster(self) -> None:
        """CannotStart when the users of the data folder cannot be read."""
        config, ledger = self.config, self.gateway.ledger
        self.roster = Roster(config.data_dir, config.users, self.access, ledger, self._reactor, self._clock)
        try:
            self.roster.load()
        except (ValueError, OSError) as error:
            raise CannotStart(f"{error}: mend it, or take it away.") from error

    def _build_venues(self) -> None:
        config = self.config
        self.venues = Venues(
            self.brokers,
            self.feed,
            self.gateway,
            self.relay,
            self.publisher,
            self._vitals,
            self.api.logged_off,
            self._days,
            self._reactor,
            self._clock,
            VenueSettings(
                log_messages=config.log_api_messages or config.debug_api_messages,
                suppressed=config.suppress_error_codes,
                away_seconds=config.gateway_disconnect_timeout,
                reset_at=config.local_reset_time if config.enable_auto_reset else None,
            ),
            self._give_up if config.gateway_disconnect_shutdown else None,
        )
        self._told = self.venues.report

    def _about(self) -> About:
        config = self.config
        asked = config.tls_client_ca if config.webhook_port is None else config.webhook_client_ca
        return About(
            header=HEADER,
            version=__version__,
            flags={
                "TICKER": config.enable_ticker,
                "HIGH_LOW": config.enable_high_low,
                "BARCHART": config.enable_barchart,
                "SYMBOL_BARCHART": config.enable_symbol_barchart,
                "SECONDS_TICK": config.enable_seconds_tick,
                "TIME_OFFSET": config.time_offset,
            },
            started=self._clock(),
            zone=self._zone,
            default_venue=self._default,
            default_account=config.api_account,
            default_route=self._routes().get(self._default, config.api_route),
            kinds={venue.name: venue.kind for venue in config.venues} | dict.fromkeys(self._gone, "none"),
            domains=self._domains | dict.fromkeys(self._gone, ""),
            clock=self._clock,
            shutdown=self._shutdown,
            vitals=self._vitals,
            webhook_url=self.ports.webhook_url,
            webhook_certificates=config.tls_cert is not None and asked is not None,
        )

    def _build_servers(self) -> None:
        config = self.config
        flags = Flags(
            zone=self._zone,
            ticker=config.enable_ticker,
            high_low=config.enable_high_low,
            symbol_barchart=config.enable_symbol_barchart,
            execution_account_format=config.enable_execution_account_format,
        )
        logins = Logins(self.access, self._reactor, self._clock, config.request_rate)
        fragments = Fragments()
        self.gateway.listeners.append(fragments.changed)
        told = PublisherSettings(log_messages=config.log_client_messages, log_connections=config.log_cxn_events)
        self.publisher = Publisher(
            self.gateway, self.feed, flags, self._reactor, self._default, self.api.accounts, told
        )
        self._build_venues()
        stream = StreamFactory(self.api, self.publisher, logins, flags, self._reactor, told, gethostname(), fragments)
        socket = StreamResource(self.api, self.publisher, logins, flags, self._reactor, told, fragments)
        self.roster.doors = (stream, socket)
        web = HttpSettings(flags, config.log_http_requests, config.log_http_responses, config.log_response_truncate)
        senders = self._senders()
        elsewhere = dict.fromkeys(senders, Elsewhere(self.ports.webhook_url))
        here = senders if config.webhook_port is None else elsewhere
        site = make_site(self.api, logins, web, self._reactor, fragments, {b"/stream": socket, **here})
        outside = None if config.webhook_port is None else make_outside(senders, LARGEST, self._reactor)
        try:
            self.ports.listen(site, stream, outside)
        except ValueError as error:
            raise CannotStart(str(error)) from None

    def _senders(self) -> dict[bytes, Any]:
        """What senders of signals reach, by path."""
        admission = Admission(self.config.trusted_proxies, self._reactor.seconds)
        webhooks = Webhooks(self.signaling, admission, self._clock)
        accounts = self.api.accounts
        algogene = AlgogeneApi(self.signaling, self.blotter, ALGOGENE, accounts, admission, self._clock)
        return {b"/webhooks/": webhooks, b"/algogene/": algogene}

    # who may come in

    def _read_sources(self) -> None:
        """The sources of signals, configured and of the data folder; CannotStart when these cannot be read."""
        self.sources = Sources(self.config.sources, self.config.data_dir / sources.FILE)
        try:
            self.sources.load()
        except (ValueError, OSError) as error:
            raise CannotStart(f"{error}: mend it, or take it away.") from error

    # what venues say

    def _watch(self, change: Change) -> None:
        """What the log, the snapshots and the alarm make of each change."""
        event, config = change.record.event, self.config
        if isinstance(event, VenueStatusChanged):
            self.venues.changed(event)
        elif isinstance(event, Executed):
            if config.log_execution_updates:
                fill = event.execution
                whose = fill.order_id or f"of others {fill.broker_order_id}".rstrip()
                log.info("order {id}: {text}", id=whose, text=sentence(event))
        elif isinstance(event, TokenRevoked | UserChanged | UserRemoved):
            self.roster.review()
        elif isinstance(event, SettingChanged):
            self.venues.take_setting(event.name, event.value)
        elif change.order is not None and config.log_order_updates:
            order = change.order
            log.info("order {id} {status}: {text}", id=order.order_id, status=order.status.value, text=sentence(event))
        if self.gateway.ledger.idle:
            self._snapshots.consider(self.gateway.state)

    def _next_turn(self, call: Callable[[], None]) -> Any:
        return self._reactor.callLater(0, call)

    # life

    def startService(self) -> None:
        """Let the rooms live: the journal first, the venues last. A defect here ends the daemon."""
        super().startService()
        try:
            self._start()
        except Exception:
            log.failure("The daemon could not start.")
            self.failed = True
            self._reactor.callLater(0, self._end)

    def _start(self) -> None:
        self.gateway.start()
        self.keeper.start()
        self.carrier.start()
        self.blotter.start()
        self._start_servers()
        for halt in self.gateway.state.halts.values():
            log.warn("Trading is halted: {halt}. Orders are refused until `resume`.", halt=str(halt))
        self.roster.start()
        gc.freeze()
        gc.set_threshold(*COLLECT)
        self._doubt_gone()
        self.venues.start()

    def _give_up(self, text: str) -> None:
        """Stop, and say that it failed."""
        self.failed = True
        self._shutdown(text)

    def _shutdown(self, text: str) -> None:
        """Stop the daemon in the next turn, so that who asked for it is answered."""
        log.warn("{text}", text=text)
        self._reactor.callLater(0, self._end)

    def end(self, signal: str) -> None:
        """Stop because of a signal; when the daemon stops already, that goes on."""
        if self._end():
            log.info("Received {signal}: stopping.", signal=signal)
        else:
            log.warn("Received {signal} again: the stop goes on, and ends by itself.", signal=signal)

    def _end(self) -> bool:
        """Stop the reactor; False when it stops already."""
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            return False
        return True

    def stopService(self) -> Deferred[None]:
        """Take no more orders, tell who listens, let the venues go, write what waits, keep a snapshot."""
        if self._stopping is None:
            self._stopping = Deferred.fromCoroutine(self._stop())
            self._stopping.addErrback(self._stop_failed)
        return self._stopping

    def _stop_failed(self, failure: Any) -> None:
        self.failed = True
        log.failure("The daemon did not stop in order.", failure)

    def _start_servers(self) -> None:
        self.publisher.start()
        http, stream = self.ports.http, self.ports.stream
        text = banner(HEADER, self.config, http, stream, self.ports.own_for_signals)
        if self.config.log_format == "json":
            log.info("{banner}", banner=text, http=http, stream=stream)
        else:
            print(text, flush=True)

    async def _stop(self) -> None:
        super().stopService()
        self.gateway.stopping = True
        self.roster.stop()
        self.venues.stop()
        self.keeper.stop()
        self.carrier.stop()
        await self.ports.stop()
        await self.gateway.ledger.quiet(STOP_SECONDS)
        await self.publisher.stop()
        await DeferredList([broker.stopService() for broker in self.brokers.values()])
        await self.gateway.stop()
        await self._snapshots.stop()
        if self.gateway.ledger.error is None:
            self._snapshots.take_now(self.gateway.state)


def _told_too_early(venue: str, event: Any) -> None:
    """A broker tells nothing before it is started: nobody could take it in."""
    log.warn("Venue {venue} told something before it was started: {event}", venue=venue, event=event)


def verify_journal(path: Path) -> tuple[int, int | None]:
    """How many records of a journal's file fit their chain, and the first that does not (None: all do)."""
    return chain.broken_at(SqliteJournal(path).rows())
