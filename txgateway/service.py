"""Builds every object and lets them live and end in order: the only file that knows all rooms."""

from __future__ import annotations

import gc
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from socket import gethostname
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError
from twisted.internet.task import Cooperator
from twisted.logger import Logger

from txgateway import __date__, __version__, chain, snapshots, sources, users
from txgateway.absent import Absent, AbsentBroker
from txgateway.access import Access
from txgateway.admission import Admission
from txgateway.api import About, Api
from txgateway.audience import Settings as PublisherSettings
from txgateway.blotter import Blotter
from txgateway.bounded import TRACE_SECONDS, BoundedBroker, Deadlines
from txgateway.brokers import ENTRY_POINTS, Broker, Can, Setup
from txgateway.carrier import Carrier
from txgateway.config import Config, Venue
from txgateway.feed import Feed
from txgateway.flaps import REST, Flaps
from txgateway.gateway import Desk, Gateway
from txgateway.ids import Ids
from txgateway.journal.sqlite import SqliteJournal
from txgateway.keeper import Keeper
from txgateway.logins import Logins
from txgateway.model.credential import User
from txgateway.model.errors import GatewayError, JournalError, Reason
from txgateway.model.events import (
    Executed,
    OrderDoubted,
    SettingChanged,
    TokenRevoked,
    UserChanged,
    UserRemoved,
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.market import Bar, Depth, Quote, Statistics, Trade
from txgateway.model.order import OrderStatus
from txgateway.model.signal import SourceKind
from txgateway.proquant import ProQuantService
from txgateway.publisher import Publisher
from txgateway.relay import Relay
from txgateway.render import Fragments
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
from txgateway.tls import Certificates
from txgateway.vitals import Vitals
from txgateway.wire import Flags

log = Logger()

HEADER = f"txGateway {__version__} {__date__}"
TOLD_A_SECOND = 20
"""So many complaints of a venue are told to clients in a second: more would have slow ones disconnected."""
COLLECT = (10_000, 20, 20)
"""Python's collector runs seldom, and never over what is there from the start: its pauses are the reactor's."""
STOP_SECONDS = 3.0
"""How long a stop waits for brokers to answer what is under way."""
GONE = "is configured no more, and there are orders or positions of it"
NEVER = datetime.min.replace(tzinfo=UTC)
MARKET = (Quote, Trade, Bar, Statistics, Depth)
ALGOGENE = Algogene()
LANGUAGES: dict[str, Language] = {
    SourceKind.GENERIC: Generic(),
    SourceKind.PROQUANT: ProQuant(),
    SourceKind.TRADINGVIEW: TradingView(),
    SourceKind.ALGOGENE: ALGOGENE,
}
"""How the senders of signals speak, by kind."""


def _domain(venue: Venue) -> str:
    """What a venue's money is: its option `domain`, else play money for paper and the real thing elsewhere."""
    return str(venue.options.get("domain") or ("paper" if venue.kind == "paper" else "live"))


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

    def __init__(self, config: Config, reactor: Any, clock: Callable[[], datetime]) -> None:
        self.config = config
        self.failed = False
        self._reactor = reactor
        self._clock = clock
        self._zone: Any = config.timezone
        self._default = config.default_venue.name
        self._ports: list[Any] = []
        self._webhook_ports: list[Any] = []
        self._tls: Certificates | None = None
        self._webhook_tls: Certificates | None = None
        self._timers: dict[str, Any] = {}
        self._down_since: dict[str, float] = {}
        self._vitals = {venue.name: Vitals(reactor.seconds) for venue in config.venues}
        self._flaps = {venue.name: Flaps(reactor.seconds) for venue in config.venues}
        self._told: dict[str, tuple[float, int]] = {}
        self._traced: dict[str, float] = {}
        self._stopping: Deferred[None] | None = None
        self._new_id = Ids(clock, random.Random().randrange)
        self._today = (NEVER, NEVER, NEVER.date())

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
        self.brokers = {name: self._bounded(name, broker) for name, broker in made.items()}
        self.feed = Feed(
            self.brokers,
            self._default,
            self._reactor,
            self._local_date,
            self.config.timeout_addsymbol,
            self.config.enable_barchart,
            timedelta(seconds=self.config.time_offset),
        )
        self.gateway = Gateway(self._desk(rebuilt, journal))
        self.relay = Relay(self.feed, self.brokers, self.gateway.intake)
        self.keeper = Keeper(self.gateway, self.brokers, self.feed.market, self._reactor, self._clock, self._alarm)
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
        self._read_users()
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
        for name in self._gone:
            self._vitals[name], self._flaps[name] = Vitals(self._reactor.seconds), Flaps(self._reactor.seconds)
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
            report=self._report_of(venue.name),
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
            trading_day=self._local_date,
            default_route=self.config.api_route,
            order_timeout=self.config.timeout_order,
            halt_on_exception=self.config.enable_exception_halt,
            log_repeats=self.config.log_order_update_dups,
            tickets=TicketRules(self.config.ticket_seconds, self.config.ticket_four_eyes),
            reconcile_seconds=self.config.reconcile_seconds,
            difference_raise_seconds=self.config.difference_raise_seconds,
            limits=self.config.risk,
            shown=self.feed.shown,
        )

    def _build_signaling(self, journal: SqliteJournal) -> None:
        desk, brokers, clock = self.gateway, self.brokers, self._clock
        self.carrier = Carrier(desk, self.feed, brokers, self.sources.get, self._reactor, clock, self._new_id)
        self.signaling = Signaling(desk, brokers, self.sources, LANGUAGES, journal, self.carrier, clock, self._new_id)
        self.blotter = Blotter(desk, self.feed, brokers, self.carrier, journal.find, self._reactor, clock, self._zone)

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
            default_route=config.api_route,
            kinds={venue.name: venue.kind for venue in config.venues} | dict.fromkeys(self._gone, "none"),
            domains={venue.name: _domain(venue) for venue in config.venues} | dict.fromkeys(self._gone, ""),
            clock=self._clock,
            shutdown=self._shutdown,
            vitals=self._vitals,
            webhook_url=self._webhook_url,
            webhook_certificates=config.tls_cert is not None and asked is not None,
        )

    def _webhook_url(self) -> str:
        """Where senders of signals reach us: as configured, else by the address that we listen on."""
        if self.config.webhook_url:
            return self.config.webhook_url
        return self._signals_at(gethostname())

    def _signals_at(self, anywhere: str) -> str:
        """The address of the port that signals come in by; `anywhere` for one that is all of this machine's."""
        config, own = self.config, self._webhook_ports
        host = (config.webhook_host if own else "") or config.host
        host = anywhere if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        return f"{'http' if self._tls is None else 'https'}://{host}:{(own or self._ports)[0].getHost().port}"

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
        stream = StreamFactory(self.api, self.publisher, logins, flags, self._reactor, told, gethostname(), fragments)
        socket = StreamResource(self.api, self.publisher, logins, flags, self._reactor, told, fragments)
        self._doors = (stream, socket)
        web = HttpSettings(flags, config.log_http_requests, config.log_http_responses, config.log_response_truncate)
        senders = self._senders()
        elsewhere = dict.fromkeys(senders, Elsewhere(self._webhook_url))
        here = senders if config.webhook_port is None else elsewhere
        site = make_site(self.api, logins, web, self._reactor, fragments, {b"/stream": socket, **here})
        self._tls = self._certificates(config.tls_client_ca)
        self._ports.append(self._bind(config.http_port, site, "HTTP_PORT", config.host, self._tls))
        self._ports.append(self._bind(config.tcp_port, stream, "TCP_PORT", config.host, self._tls))
        if config.webhook_port is not None:
            outside = make_outside(senders, LARGEST, self._reactor)
            self._webhook_tls = self._certificates(config.webhook_client_ca, insist=False)
            where = config.webhook_host or config.host
            bound = self._bind(config.webhook_port, outside, "WEBHOOK_PORT", where, self._webhook_tls)
            self._webhook_ports.append(bound)

    def _senders(self) -> dict[bytes, Any]:
        """What senders of signals reach, by path."""
        admission = Admission(self.config.trusted_proxies, self._reactor.seconds)
        webhooks = Webhooks(self.signaling, admission, self._clock)
        accounts = self.api.accounts
        algogene = AlgogeneApi(self.signaling, self.blotter, ALGOGENE, accounts, admission, self._clock)
        return {b"/webhooks/": webhooks, b"/algogene/": algogene}

    def reload(self) -> None:
        """Read the certificates anew, for new connections; those that cannot be used leave the old ones in use."""
        for certificates in filter(None, (self._tls, self._webhook_tls)):
            try:
                until = certificates.reload()
            except ValueError as error:
                log.critical("TLS: {error}; the certificate that was read before stays in use.", error=str(error))
            else:
                log.warn("TLS: {cert} was read anew, good until {until:%Y-%m-%d}.", cert=certificates.cert, until=until)

    def _certificates(self, client_ca: Path | None, insist: bool = True) -> Certificates | None:
        """What a port of ours speaks TLS with, if it does."""
        config = self.config
        if config.tls_cert is None or config.tls_key is None:
            return None
        try:
            return Certificates(config.tls_cert, config.tls_key, client_ca, insist)
        except ValueError as error:
            raise CannotStart(f"TLS: {error}; `txgateway certs make` makes files that fit.") from error

    def _bind(self, port: int, factory: Any, setting: str, host: str, tls: Certificates | None) -> Any:
        """Listen; gives the port."""
        try:
            if tls is None:
                return self._reactor.listenTCP(port, factory, interface=host, backlog=1024)
            return self._reactor.listenSSL(port, factory, tls, interface=host, backlog=1024)
        except CannotListenError as error:
            why = getattr(error.socketError, "strerror", None) or str(error.socketError)
            where = f"Port {port} on {host} cannot be bound ({why})"
            raise CannotStart(f"{where}: stop what uses it, or set TXGATEWAY_{setting} to another.") from None

    # who may come in

    def _read_sources(self) -> None:
        """The sources of signals, configured and of the data folder; CannotStart when these cannot be read."""
        self.sources = Sources(self.config.sources, self.config.data_dir / sources.FILE)
        try:
            self.sources.load()
        except (ValueError, OSError) as error:
            raise CannotStart(f"{error}: mend it, or take it away.") from error

    def _read_users(self) -> None:
        """The users of the configuration, and those of the data folder; CannotStart when they cannot be read."""
        path = self.config.data_dir / users.FILE
        try:
            self._users_seen = _look(path)
            found = users.read(path)
        except (ValueError, OSError) as error:
            raise CannotStart(f"{error}: mend it, or take it away.") from error
        self._let_in(found)

    def _let_in(self, found: Mapping[str, User]) -> None:
        """These may come in, beside the configured ones, whose names nobody else may have."""
        configured = {user.name: user for user in self.config.users}
        for name in found:
            if name == self.config.username or name in configured:
                log.warn("user {name} of the data folder is left out: the configuration has one", name=name)
        self.access.users = {**found, **configured}

    def _watch_users(self) -> None:
        """Each second: see whether the file of users is another one, and whose login has come to its end."""
        self._later("users", 1.0, self._watch_users)
        path = self.config.data_dir / users.FILE
        try:
            seen = _look(path)
            if seen != self._users_seen:
                self._users_seen = seen
                self._let_in(users.read(path))
                self._note_users()
        except (ValueError, OSError) as error:
            log.error("{error}: nobody is let in or out by it until it is mended.", error=str(error))
        self._review()

    def _note_users(self) -> None:
        """Journal who was let in, changed or removed since the journal last said so."""
        known, now, record = self.gateway.state.users, self._clock(), self.gateway.ledger.record
        for name in [name for name in known if name not in self.access.users]:
            record(UserRemoved(name, "the users' file", now))
        for name, user in self.access.users.items():
            mark = sha256(user.password_hash.encode()).hexdigest()[:12]
            before = known.get(name)
            if before is None or (before.grant, before.mark) != (user.grant, mark):
                record(UserChanged(name, user.grant, mark, user.changed_by, now))

    def _review(self) -> None:
        for door in self._doors:
            door.review()

    # what venues say

    def _report_of(self, venue: str) -> Callable[[Any], None]:
        """The callable by which a venue's broker tells what happens: to the feed, the desk, or whoever streams."""

        log_messages = self.config.log_api_messages or self.config.debug_api_messages

        vitals = self._vitals[venue]

        def report(event: Any) -> None:
            if log_messages:
                log.info("{venue} -> {event}", venue=venue, event=event)
            try:
                take(event)
            except Exception as error:
                self._spoiled(venue, event, error)

        def take(event: Any) -> None:
            if isinstance(event, MARKET):
                self.feed.report(venue, event)
            elif isinstance(event, VenueError | VenueStatusChanged):
                event = event if event.venue == venue else replace(event, venue=venue)  # it speaks for itself alone
                if isinstance(event, VenueError):
                    self._complain(event)
                else:
                    self._status(event)
            else:
                vitals.told(event)
                self.gateway.report(event, venue)

        return report

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
        self.gateway.report(event, venue)
        if event.status is VenueStatus.RECONCILING and flaps.too_many():
            flaps.resting = True
            text = f"it connects again and again: it is stopped, and connected again in {REST:g} s"
            self.gateway.report(VenueStatusChanged(venue, VenueStatus.DOWN, text, self._clock()), venue)
            self._complain(VenueError(venue, 0, text))
            self._later(f"rest {venue}", REST, self._end_rest, venue)
            self._reactor.callLater(0, self.brokers[venue].stopService)  # not in the middle of what it says

    def _end_rest(self, venue: str) -> None:
        self._flaps[venue].resting = False
        if venue not in self.api.logged_off:
            Deferred.fromCoroutine(self._reconnect(venue, self.brokers[venue]))

    def _complain(self, event: VenueError) -> None:
        """Count, log and tell what a venue complains of; no more a second than clients can take."""
        if event.code in self.config.suppress_error_codes:
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

    def _alarm(self, event: VenueError) -> None:
        """Tell what everyone must hear, however much else is told."""
        self._vitals[event.venue].failed(event.text, self._clock())
        self._tell(event)

    def _tell(self, event: VenueError) -> None:
        log.warn("{venue}: error {code} {text}", venue=event.venue, code=event.code, text=event.text)
        self.publisher.venue_error(event)

    def _watch(self, change: Change) -> None:
        """What the log, the snapshots and the alarm make of each change."""
        event, config = change.record.event, self.config
        if isinstance(event, VenueStatusChanged):
            log.info("venue {venue} is {status} {text}", venue=event.venue, status=event.status.value, text=event.text)
            self._watch_venue(event)
        elif isinstance(event, Executed):
            if config.log_execution_updates:
                log.info("order {id}: {text}", id=event.order_id, text=sentence(event))
        elif isinstance(event, TokenRevoked | UserChanged | UserRemoved):
            self._review()
        elif isinstance(event, SettingChanged):
            self._set_primary_exchange(event.name, event.value)
        elif change.order is not None and config.log_order_updates:
            order = change.order
            log.info("order {id} {status}: {text}", id=order.order_id, status=order.status.value, text=sentence(event))
        if self.gateway.ledger.idle:
            self._snapshots.consider(self.gateway.state)

    def _watch_venue(self, event: VenueStatusChanged) -> None:
        self.relay.changed(event.venue)
        if event.status is VenueStatus.UP:
            self._check_claims(event.venue)
            self.feed.resubscribe(event.venue)
            self._down_since.pop(event.venue, None)
            self._cancel(f"down {event.venue}")
            return
        self.feed.lost(event.venue)
        if event.venue not in self._down_since and not self.gateway.stopping:
            self._down_since[event.venue] = self._reactor.seconds()
            self._later(f"down {event.venue}", self.config.gateway_disconnect_timeout, self._still_down, event.venue)

    def _check_claims(self, venue: str) -> None:
        """An account that two venues have is the first one's: who trades it must know."""
        for account in self.brokers[venue].accounts():
            first = self.gateway.venue_of(account)
            if first not in (venue, None):
                text = f"account {account} is at venue {first}, too: its orders go there, and none to {venue}"
                self._complain(VenueError(venue, 0, text))

    def _still_down(self, venue: str) -> None:
        text = f"venue {venue} has been away for {self.config.gateway_disconnect_timeout:g} s"
        why = self._why_away(venue)
        text = f"{text}: {why}" if why else text
        log.critical("{text}", text=text)
        self.publisher.venue_error(VenueError(venue, 0, text))
        if self.config.gateway_disconnect_shutdown:
            self.failed = True
            self._shutdown(text)

    def _why_away(self, venue: str) -> str:
        """What was said last of a venue that is not up."""
        since, text = self.gateway.intake.since[venue]
        vitals = self._vitals[venue]
        complained = vitals.last_error_time is not None and vitals.last_error_time >= since
        return vitals.last_error if complained else text

    # times

    def _local_date(self, moment: datetime) -> date:
        """The date in API_TIMEZONE. It is asked for with every order, so the last one is kept with its bounds."""
        start, end, day = self._today
        if not start <= moment < end:
            day = moment.astimezone(self._zone).date()
            midnights = (datetime.combine(each, time()) for each in (day, day + timedelta(days=1)))
            start, end = (self._zone.localize(midnight).astimezone(UTC) for midnight in midnights)
            self._today = (start, end, day)
        return day

    def _next_turn(self, call: Callable[[], None]) -> Any:
        return self._reactor.callLater(0, call)

    def _later(self, name: str, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        self._cancel(name)
        self._timers[name] = self._reactor.callLater(seconds, call, *arguments)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _plan_reset(self) -> None:
        """AUTO_RESET: at LOCAL_RESET_TIME every venue is connected anew, and reconciled by that."""
        now = self._clock().astimezone(self._zone)
        at = self._zone.localize(datetime.combine(now.date(), self.config.local_reset_time))
        if at <= now:
            at = self._zone.localize(datetime.combine(now.date() + timedelta(days=1), self.config.local_reset_time))
        self._later("reset", (at - now).total_seconds(), self._reset, at)

    def _reset(self, at: datetime) -> None:
        """Connect the venues anew, unless the timer was early: it runs on another clock."""
        early = (at - self._clock()).total_seconds()
        if early > 0:
            self._later("reset", early, self._reset, at)
            return
        self._plan_reset()
        for name, broker in self.brokers.items():
            if name in self.api.logged_off:
                continue
            log.info("venue {venue}: daily reset", venue=name)
            Deferred.fromCoroutine(self._reconnect(name, broker))

    async def _reconnect(self, name: str, broker: Broker) -> None:
        await broker.stopService()
        self._start_venue(name, broker)

    # what a person is told

    def _banner(self, http: str, stream: str) -> str:
        """Where the daemon is, who may come in, and a first thing to try."""
        config = self.config
        venues = ", ".join(f"{venue.name} ({venue.kind})" for venue in config.venues)
        source = config.password_source
        where = f"file {config.generated_password_file}" if source == "default" else source
        path = config.generated_password_file if source == "default" else source
        word = f'$(cat "{path}")' if "/" in str(path) else f"${path}"
        tls = config.tls_cert is not None
        secure, ca = ("s", "--cacert CA.pem ") if tls else ("", "")
        ca += "--cert CLIENT.pem --key CLIENT-KEY.pem " if config.tls_client_ca is not None else ""
        client = "; clients need a certificate, too" if config.tls_client_ca is not None else ""
        return "\n".join(
            [
                f"{HEADER}, venues: {venues}",
                f"  HTTP and JSON-RPC   http{secure}://{http}",
                f"  stream              {stream}",
                f"  WebSocket           ws{secure}://{http}/stream",
                *([f"  signals             {self._signals_at('0.0.0.0')}/webhooks/"] if self._webhook_ports else []),
                *([f"  TLS                 on every port{client}"] if tls else []),
                f"  user                {config.username}",
                f"  password            {where}",
                f'  try                 curl {ca}-u "{config.username}:{word}" http{secure}://{http}/status',
            ]
        )

    # life

    def startService(self) -> None:
        """Let the rooms live: the journal first, the venues last. A defect here ends the daemon."""
        super().startService()
        try:
            self._start()
        except Exception:
            log.failure("The daemon could not start.")
            self.failed = True
            self._reactor.callLater(0, self._reactor.stop)

    def _start(self) -> None:
        self.gateway.start()
        self.keeper.start()
        self.carrier.start()
        self.blotter.start()
        self._start_servers()
        for halt in self.gateway.state.halts.values():
            log.warn("Trading is halted: {halt}. Orders are refused until `resume`.", halt=str(halt))
        for name, value in self.gateway.state.settings.items():
            self._set_primary_exchange(name, value)
        self._note_faults()
        self._note_users()
        self._watch_users()
        gc.freeze()
        gc.set_threshold(*COLLECT)
        self._doubt_gone()
        for name, broker in self.brokers.items():
            self._start_venue(name, broker)
        if self.config.enable_auto_reset:
            self._plan_reset()

    def _set_primary_exchange(self, setting: str, exchange: str | None) -> None:
        """Tell the venue of a symbol, where it can be told, which exchange's contract is meant."""
        prefix = "primary_exchange:"
        if setting.startswith(prefix):
            venue, symbol = self.feed.place(setting.removeprefix(prefix))
            broker = self.brokers.get(venue)
            if broker is not None and Can.PRIMARY_EXCHANGE in broker.can:
                broker.set_primary_exchange(symbol, exchange)

    def _note_faults(self) -> None:
        """Put on record which faults the configuration sets: those that were set by hand ended with the last run."""
        for name, broker in self.brokers.items():
            text = "; ".join(map(str, broker.faults())) if Can.FAULTS in broker.can else ""
            if text:
                log.warn("Venue {venue} fails on purpose: {text}", venue=name, text=text)
            if text != self.gateway.state.settings.get(f"faults:{name}", ""):
                self.gateway.change_setting(f"faults:{name}", text or None, "the configuration")

    def _start_venue(self, name: str, broker: Broker) -> None:
        try:
            broker.startService()
        except Exception as error:
            if not isinstance(error, ValueError | GatewayError):
                log.failure("Venue {venue} could not be started.", venue=name)
            text = str(error) if isinstance(error, Absent) else f"could not be started: {error}"
            self._complain(VenueError(name, 0, text))

    def _shutdown(self, text: str) -> None:
        """Stop the daemon in the next turn, so that who asked for it is answered."""
        log.warn("{text}", text=text)
        self._reactor.callLater(0, self._reactor.stop)

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
        addresses = [f"{self.config.host}:{port.getHost().port}" for port in self._ports]
        banner = self._banner(addresses[0], addresses[-1])
        if self.config.log_format == "json":
            log.info("{banner}", banner=banner, http=addresses[0], stream=addresses[-1])
        else:
            print(banner, flush=True)

    async def _stop_listening(self) -> None:
        for port in (*self._webhook_ports, *self._ports):
            stopped = port.stopListening()
            if isinstance(stopped, Deferred):
                await stopped

    async def _stop(self) -> None:
        super().stopService()
        self.gateway.stopping = True
        for name in list(self._timers):
            self._cancel(name)
        self.keeper.stop()
        self.carrier.stop()
        await self._stop_listening()
        await self.gateway.ledger.quiet(STOP_SECONDS)
        await self.publisher.stop()
        await DeferredList([broker.stopService() for broker in self.brokers.values()])
        await self.gateway.stop()
        await self._snapshots.stop()
        if self.gateway.ledger.error is None:
            self._snapshots.take_now(self.gateway.state)


def _look(path: Path) -> tuple[int, int, int] | None:
    """What tells one version of a file from another."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def verify_journal(path: Path) -> tuple[int, int | None]:
    """How many records of a journal's file fit their chain, and the first that does not (None: all do)."""
    return chain.broken_at(SqliteJournal(path).rows())
