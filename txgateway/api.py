"""Every command a client may give, once: typed, with its help. All ways in (paths, JSON-RPC, stream) call these.

The signature is the contract: names, order and types of the arguments, which `call` converts; the docstring is the help
text and the OpenRPC description. Results are nouns; wire.py puts them in clients' words.
"""

from __future__ import annotations

import inspect
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from txgateway import bars as bar_ranges
from txgateway import codec
from txgateway.access import Caller
from txgateway.brokers import Broker
from txgateway.commands import COMMANDS, Text, Upper, command
from txgateway.feed import Feed
from txgateway.gateway import Gateway, Reply
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import BadArgument, Reason, Refused, TimedOut
from txgateway.model.events import Record, VenueStatus
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Ticker
from txgateway.model.order import CLOSED, Order, OrderRequest, OrderStatus, OrderType, Side, TimeInForce


@dataclass(frozen=True, slots=True)
class Listing:
    """A long list, read one by one as it is written: `ids` in order, `get` gives each (None: not wanted, or gone).

    It shows one moment: that of record `seq`, which is on disk. `limit` ends it after so many. `kept` (orders, tickets,
    executions; empty: none) names the renderings that may be kept between queries: those of an unfiltered list of
    today, where what `get` gives depends on the id alone.
    """

    ids: Sequence[str]
    get: Callable[[str], Order | Execution | None]
    limit: int | None = None
    kept: str = ""
    seq: int = 0

    def __iter__(self) -> Iterator[tuple[str, Order | Execution]]:
        wanted = len(self.ids) if self.limit is None else self.limit
        for each in self.ids:
            if not wanted:
                return
            item = self.get(each)
            if item is not None:
                wanted -= 1
                yield each, item


@dataclass(frozen=True, slots=True)
class Entry:
    """A record of the journal with its hash, as query_journal and explain_order show it."""

    record: Record
    hash: str


@dataclass(frozen=True, slots=True)
class Story:
    """An order and everything that happened to it."""

    order: Order
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class VenueReport:
    """One venue as query_venues shows it."""

    name: str
    kind: str
    status: VenueStatus
    default: bool
    accounts: Sequence[str]
    can: Sequence[str]
    time: datetime
    errors: int
    last_error: str


@dataclass(frozen=True, slots=True)
class InstrumentReport:
    """An instrument with what its venue can do with it."""

    instrument: Instrument
    order_types: Sequence[str]
    times_in_force: Sequence[str]


@dataclass(frozen=True, slots=True)
class BarRows:
    """Bars to be shown in a time zone."""

    bars: Sequence[Bar]
    zone: Any


@dataclass(frozen=True, slots=True)
class About:
    """What the daemon says of itself: its header line, flags of its configuration, and when it started."""

    header: str
    version: str
    flags: Mapping[str, Any]
    started: datetime
    zone: Any
    default_venue: str
    default_account: str
    default_route: str
    kinds: Mapping[str, str]
    clock: Callable[[], datetime]
    shutdown: Callable[[str], None]
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Api:
    """The commands. Each takes the caller first; the rest of its arguments are the client's."""

    def __init__(self, gateway: Gateway, feed: Feed, brokers: Mapping[str, Broker], about: About) -> None:
        self.gateway = gateway
        self.feed = feed
        self.about = about
        self._brokers = brokers
        self._in_order = _InOrder()

    def call(self, name: str, caller: Caller, given: Mapping[str, Any] | Sequence[Any]) -> Any:
        """Run a command: gives its result or an awaitable of it. Raises GatewayErrors; KeyError: no such command."""
        found = COMMANDS[name]
        if found.needs_up:
            self.gateway.intake.require_up(self.about.default_venue)
        return found.function(self, caller, **found.arguments(given))

    # the daemon

    @command
    def status(self, caller: Caller) -> str:
        """Give the default venue's status: Startup, Pending, Initializing, Up, Disconnected or Shutdown."""
        return self.status_word(self.about.default_venue)

    def status_word(self, venue: str) -> str:
        """A venue's status in txTrader's words."""
        if self.gateway.stopping:
            return "Shutdown"
        status = self.gateway.intake.status[venue]
        if status is VenueStatus.DOWN and venue not in self.gateway.intake.been_up:
            return "Startup"
        return _STATUS_WORDS[status]

    @command
    def uptime(self, caller: Caller) -> str:
        """Say when the daemon started and how long ago."""
        elapsed = self.about.clock() - self.about.started
        started = self.about.started.astimezone(self.about.zone)
        return f"started {started:%Y-%m-%d %H:%M:%S} (elapsed {elapsed})"

    @command
    def time(self, caller: Caller) -> str:
        """Give the time of the data feed's clock, in the local zone, as YYYY-mm-dd HH:MM:SS."""
        form = "%Y-%m-%d %H:%M:%S" if self.about.flags["SECONDS_TICK"] else "%Y-%m-%d %H:%M:00"
        return self.feed.now().astimezone(self.about.zone).strftime(form)

    @command
    def version(self, caller: Caller) -> dict[str, Any]:
        """Give the version of the gateway and of Python, and the flags it runs with."""
        return {
            "txtrader": self.about.header,
            "txgateway": self.about.version,
            "python": f"{platform.python_implementation()} {sys.version}",
            "flags": dict(self.about.flags),
        }

    @command
    def help(self, caller: Caller) -> dict[str, str]:
        """Give every command with its signature and what it does."""
        return {name: each.help for name, each in sorted(COMMANDS.items())}

    @command
    def shutdown(self, caller: Caller, message: str = "") -> str:
        """Stop the daemon: no more orders are taken, what was taken is written, clients are told; then it ends."""
        text = f"shutdown requested by {caller.user} [{message}]"
        self.about.shutdown(text)
        return text

    @command
    def query_venues(self, caller: Caller) -> dict[str, VenueReport]:
        """Give every venue with its kind, status, accounts and what it can do."""
        return {name: self._venue(name, broker) for name, broker in self._brokers.items()}

    def _venue(self, name: str, broker: Broker) -> VenueReport:
        errors = self.about.errors.get(name, ())
        return VenueReport(
            name=name,
            kind=self.about.kinds[name],
            status=self.gateway.intake.status[name],
            default=name == self.about.default_venue,
            accounts=tuple(broker.accounts()),
            can=tuple(flag.name or "" for flag in broker.can),
            time=broker.now(),
            errors=len(errors),
            last_error=errors[-1] if errors else "",
        )

    @command
    async def gateway_logon(self, caller: Caller, username: str = "", password: str = "") -> str:
        """Connect the default venue, when it was disconnected by gateway_logoff."""
        self._brokers[self.about.default_venue].startService()
        return f"gateway logon requested for {self.about.default_venue}"

    @command
    async def gateway_logoff(self, caller: Caller) -> str:
        """Disconnect the default venue: orders are refused until gateway_logon."""
        await _maybe(self._brokers[self.about.default_venue].stopService())
        return f"gateway logoff requested for {self.about.default_venue}"

    @command
    async def halt(self, caller: Caller, reason: str) -> str:
        """Refuse every new order until `resume`, also after a restart; cancels go on."""
        if not reason.strip():
            raise BadArgument("reason must say why trading is halted: whoever is refused will read it.")
        self.gateway.halt(reason, caller.user)
        await self.gateway.settled()
        return f"trading halted: {reason}"

    @command
    async def resume(self, caller: Caller) -> str:
        """Take orders again after a halt."""
        self.gateway.resume(caller.user)
        await self.gateway.settled()
        return "trading resumed"

    # symbols

    @command
    async def add_symbol(self, caller: Caller, symbol: Upper) -> Ticker | None:
        """Subscribe to a symbol: its prices are kept and streamed. Null when the venue does not know it."""
        return await self.feed.add(symbol, caller.listener)

    @command
    def del_symbol(self, caller: Caller, symbol: Upper) -> bool:
        """End a subscription; true when there was one."""
        return self.feed.remove(symbol, caller.listener)

    @command
    def query_symbols(self, caller: Caller, data: bool = False) -> list[str] | dict[str, Ticker]:
        """Give the names of the active symbols or, with data, an object of name -> symbol object."""
        return self.feed.tickers() if data else self.feed.names()

    @command
    async def query_symbol(self, caller: Caller, symbol: Upper) -> Ticker | None:
        """Give a symbol's current values, subscribing when it is not active yet. Null when it is unknown."""
        return await self.feed.query(symbol, caller.listener)

    @command
    async def query_symbol_data(self, caller: Caller, symbol: Upper) -> dict[str, Any] | None:
        """Give the venue's own fields of a symbol; for equities with the session's STARTTIME and STOPTIME."""
        instrument = await self.feed.instrument(*self.feed.place(symbol))
        return None if instrument is None else dict(instrument.raw)

    @command
    async def query_symbol_bars(self, caller: Caller, symbol: Upper) -> BarRows:
        """Give today's live minute bars of an active symbol; an empty list when charts are off."""
        ticker = self.feed.ticker(symbol)
        return BarRows(ticker.bars if ticker else (), self.about.zone)

    @command
    async def query_bars(self, caller: Caller, symbol: Upper, period: str, start: str, end: str) -> BarRows | None:
        """Give bars as [date, time, open, high, low, close, volume].

        period: minutes, or DAY, WEEK, MONTH. start, end: YYYY-MM-DD HH:MM[:SS] or YYYY-MM-DD in the local zone, `.`
        (start: today; end: the start's day), or for start -N, the last N periods. Null for an unknown symbol, or when
        the venue cannot give them now.
        """
        kind = bar_ranges.period_of(period)
        instrument = await self.feed.instrument(*self.feed.place(symbol))
        if instrument is None:
            return None
        venue, _ = self.feed.place(symbol)
        now, zone = self.feed.now(venue), self.about.zone
        wanted = bar_ranges.range_of(start, end, kind, now, zone, instrument.session)
        kept: list[Bar] = []
        for begin in bar_ranges.starts(wanted, kind):
            try:
                bars = await self.feed.bars(symbol, kind, begin, wanted.end)
            except (Refused, TimedOut):
                return None
            kept = []
            for at in range(0, len(bars or ()), BARS_AT_ONCE):
                part = (bars or ())[at : at + BARS_AT_ONCE]
                kept.extend(bar_ranges.clipped(part, kind, zone, instrument.session))
                await self.feed.breathe()
            if wanted.count is not None and len(kept) >= wanted.count:
                break
        return BarRows(kept[-wanted.count :] if wanted.count else kept, zone)

    @command
    async def query_instrument(self, caller: Caller, symbol: Upper) -> InstrumentReport | None:
        """Give a symbol's trading rules: steps, limits, session, order types. Null when the venue does not know it."""
        venue, name = self.feed.place(symbol)
        instrument = await self.feed.instrument(venue, name)
        if instrument is None:
            return None
        can = {flag.name for flag in self._brokers[venue].can}
        return InstrumentReport(
            instrument,
            tuple(each.value for each in OrderType if each.value in can),
            tuple(each.value for each in TimeInForce if each.value in can),
        )

    @command
    def set_primary_exchange(self, caller: Caller, symbol: Upper, exchange: str | None = None) -> dict[str, str]:
        """Set the primary exchange of a symbol, or delete it (empty exchange); gives all that are set."""
        self.gateway.change_setting(f"primary_exchange:{symbol}", exchange or None, caller.user)
        prefix = "primary_exchange:"
        settings = self.gateway.state.settings
        return {name[len(prefix) :]: value for name, value in settings.items() if name.startswith(prefix)}

    # accounts

    @command
    def query_accounts(self, caller: Caller) -> list[str]:
        """Give the names of all trading accounts, sorted."""
        return self.accounts()

    def accounts(self) -> list[str]:
        """Every account of every venue."""
        return sorted(account for broker in self._brokers.values() for account in broker.accounts())

    @command
    async def set_account(self, caller: Caller, account: Upper) -> bool:
        """Select the current account, which is announced on the stream; false when it is unknown."""
        if account not in self.accounts():
            return False
        self.gateway.change_setting("account", account, caller.user)
        await self.gateway.settled()
        return True

    def current_account(self) -> str:
        """The account selected last, else the configured one."""
        return self.gateway.state.settings.get("account", self.about.default_account)

    @command
    async def query_account(self, caller: Caller, account: Upper, fields: Text | None = None) -> dict[str, Any] | None:
        """Give an account's values, always with `_cash`; `fields` (names separated by commas) selects some.

        Null for an unknown account, or when none of the fields exists.
        """
        venue = self.gateway.venue_of(account)
        if venue is None:
            return None
        report = await self._brokers[venue].balances(account)
        values = {"_cash": report.cash, **report.values}
        if not fields:
            return values
        wanted = [name.strip() for name in fields.split(",") if name.strip()]
        chosen = {name: values[name] for name in wanted if name in values}
        return chosen or None

    @command
    async def query_balances(self, caller: Caller, account: Upper | None = None) -> dict[str, AccountReport]:
        """Give account -> currency -> {total, available, reserved}, of one account or of all."""
        names = self.accounts() if account is None else [account]
        reports = {}
        for name in names:
            venue = self.gateway.venue_of(name)
            if venue is None:
                raise Refused(Reason.UNKNOWN_ACCOUNT, f"Account {name!r} is unknown: query_accounts lists them.")
            reports[name] = await self._brokers[venue].balances(name)
        return reports

    @command
    async def query_positions(self, caller: Caller) -> dict[str, dict[str, Position]]:
        """Give account -> symbol -> signed quantity, every account present."""
        await self.gateway.settled()
        held = self.gateway.state.positions
        return {account: dict(held.get(account, {})) for account in self.accounts()}

    # orders: reading

    @command
    async def query_order(self, caller: Caller, id: str) -> Order | None:
        """Give an order or ticket, of any day, by its permid, broker_order_id or client_order_id; null when unknown."""
        await self.gateway.settled()
        return await self.gateway.history.find(id)

    @command
    async def query_orders(
        self,
        caller: Caller,
        since: str | None = None,
        account: str | None = None,
        symbol: Upper | None = None,
        status: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Listing:
        """Give permid -> order: the current trading day's and everything still working, tickets left out.

        `since` (YYYY-MM-DD) goes back to earlier days; account, symbol and status narrow; after and limit page by
        permid.
        """
        return await self._orders(_Filter(since, account, symbol, status, after, limit), tickets=False)

    @command
    async def query_open_orders(
        self,
        caller: Caller,
        account: str | None = None,
        symbol: Upper | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Listing:
        """Give permid -> order for every order that is not closed, tickets left out."""
        await self.gateway.settled()
        wanted = _Filter(None, account, symbol, None, after, limit)
        working = self.gateway.state.working
        ids = [
            each
            for each in sorted(working)
            if not working[each].staged or working[each].status is not OrderStatus.STAGED
        ]
        snapshot = {each: working[each] for each in ids}
        wanted_ids = wanted.page_from([each for each in ids if wanted.order(snapshot[each])])
        return Listing(wanted_ids, snapshot.get, limit=wanted.limit)

    @command
    async def query_tickets(
        self,
        caller: Caller,
        since: str | None = None,
        account: str | None = None,
        symbol: Upper | None = None,
        status: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Listing:
        """Give permid -> ticket: the trading day's staged orders and all that still wait; filters as query_orders."""
        return await self._orders(_Filter(since, account, symbol, status, after, limit), tickets=True)

    async def _orders(self, wanted: _Filter, tickets: bool) -> Listing:
        await self.gateway.settled()
        older: dict[str, Order] = {}
        if wanted.since is not None:
            older = await self.gateway.history.orders_since(wanted.since)
            await self.gateway.settled()
        state = self.gateway.state
        today, seq = state.orders_today(), state.seq
        in_order = self._in_order.ids(today, tuple(day.day for day in state.days.values()))
        ids = wanted.page_from(sorted({*in_order, *older}) if older else in_order)

        def get(order_id: str) -> Order | None:
            held = today.get(order_id) or older.get(order_id)
            order = codec.unpack_order(held) if isinstance(held, bytes) else held
            if order is None or order.staged is not tickets or not wanted.order(order):
                return None
            return order

        kept = ("tickets" if tickets else "orders") if wanted.everything else ""
        return Listing(ids, get, wanted.limit, kept, seq)

    @command
    async def query_execution(self, caller: Caller, id: str) -> Execution | None:
        """Give an execution by its id, of today or before; null when unknown."""
        await self.gateway.settled()
        return await self.gateway.history.find_execution(id)

    @command
    async def query_executions(
        self,
        caller: Caller,
        since: str | None = None,
        account: str | None = None,
        symbol: Upper | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Listing:
        """Give id -> execution of the current trading day; filters as query_orders, paged in the order they came."""
        await self.gateway.settled()
        wanted = _Filter(since, account, symbol, None, after, limit)
        older: dict[str, Execution] = {}
        if wanted.since is not None:
            older = await self.gateway.history.executions_since(wanted.since)
            await self.gateway.settled()
        state = self.gateway.state
        today, seq = state.executions_today(), state.seq
        ids = [*(each for each in older if each not in today), *today] if older else list(today)
        if after is not None:
            ids = ids[ids.index(after) + 1 :] if after in ids else []

        def get(execution_id: str) -> Execution | None:
            held = today.get(execution_id) or older.get(execution_id)
            execution = codec.unpack_execution(held) if isinstance(held, bytes) else held
            return execution if execution is not None and wanted.execution(execution) else None

        return Listing(ids, get, wanted.limit, "executions" if wanted.everything else "", seq)

    @command
    async def query_order_executions(self, caller: Caller, id: str) -> dict[str, Execution]:
        """Give id -> execution of one order, of today or before."""
        await self.gateway.settled()
        order = await self.gateway.history.find(id)
        return {} if order is None else await self.gateway.history.executions_of(order)

    # orders: trading

    @command
    async def submit_order(
        self,
        caller: Caller,
        account: str,
        symbol: Upper,
        side: str,
        quantity: Decimal,
        order_type: str = "MARKET",
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        time_in_force: str = "DAY",
        route: Text | None = None,
        client_order_id: str | None = None,
        tag: str | None = None,
    ) -> Reply:
        """Send an order: side BUY, SELL, SELL_SHORT, BUY_TO_COVER; order_type MARKET, LIMIT, STOP, STOP_LIMIT.

        time_in_force DAY, GTC, IOC or FOK. A client_order_id makes it safe to send again: the same key gives the same
        order. With a tag it is staged as a ticket that a person approves.
        """
        word = side.upper()
        account = self._account(account)
        request = OrderRequest(
            account=account,
            symbol=self._symbol(symbol, account),
            side=_side(word),
            quantity=quantity,
            order_type=_word("order_type", order_type.upper(), OrderType),
            limit_price=limit_price,
            stop_price=stop_price,
            time_in_force=_word("time_in_force", time_in_force.upper(), TimeInForce),
            route=route,
            client_order_id=_client_order_id(client_order_id),
            tag=tag,
        )
        return await self.gateway.submit(request, caller.user, caller.origin)

    def _account(self, name: str) -> str:
        """An account's name, as the venue writes it when it was given in small letters."""
        return name.upper() if self.gateway.venue_of(name) is None and self.gateway.venue_of(name.upper()) else name

    def _symbol(self, symbol: str, account: str) -> str:
        """The symbol at the account's venue; one written with another venue's name is refused."""
        name, _, venue = symbol.partition("@")
        if venue and venue != self.gateway.venue_of(account):
            raise Refused(
                Reason.UNKNOWN_VENUE,
                f"Account {account!r} does not trade at venue {venue!r}: use one that does.",
            )
        return name

    async def _signed(
        self,
        caller: Caller,
        account: str,
        route: str,
        symbol: Upper,
        quantity: Decimal,
        order_type: OrderType,
        client_order_id: str | None,
        time_in_force: str | None,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
        tag: str | None = None,
    ) -> Reply:
        """An order in txTrader's form: a quantity below zero sells."""
        return await self.submit_order(
            caller,
            account,
            symbol,
            "SELL" if quantity < 0 else "BUY",
            abs(quantity),
            order_type,
            limit_price,
            stop_price,
            time_in_force or "DAY",
            Text(route),
            client_order_id,
            tag,
        )

    @command
    async def market_order(
        self,
        caller: Caller,
        account: str,
        route: Text,
        symbol: Upper,
        quantity: Decimal,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """Submit a market order (quantity below zero sells); gives the order."""
        return await self._signed(
            caller, account, route, symbol, quantity, OrderType.MARKET, client_order_id, time_in_force
        )

    @command
    async def limit_order(
        self,
        caller: Caller,
        account: str,
        route: Text,
        symbol: Upper,
        limit_price: Decimal,
        quantity: Decimal,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """Submit a limit order (quantity below zero sells); gives the order."""
        return await self._signed(
            caller, account, route, symbol, quantity, OrderType.LIMIT, client_order_id, time_in_force, limit_price
        )

    @command
    async def stop_order(
        self,
        caller: Caller,
        account: str,
        route: Text,
        symbol: Upper,
        stop_price: Decimal,
        quantity: Decimal,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """Submit a stop order (quantity below zero sells); gives the order."""
        return await self._signed(
            caller, account, route, symbol, quantity, OrderType.STOP, client_order_id, time_in_force, None, stop_price
        )

    @command
    async def stoplimit_order(
        self,
        caller: Caller,
        account: str,
        route: Text,
        symbol: Upper,
        stop_price: Decimal,
        limit_price: Decimal,
        quantity: Decimal,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """Submit a stop-limit order (quantity below zero sells); gives the order."""
        return await self._signed(
            caller,
            account,
            route,
            symbol,
            quantity,
            OrderType.STOP_LIMIT,
            client_order_id,
            time_in_force,
            limit_price,
            stop_price,
        )

    @command
    async def stage_market_order(
        self,
        caller: Caller,
        tag: str,
        account: str,
        route: Text,
        symbol: Upper,
        quantity: Decimal,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """Stage a market order as a ticket that waits for approve_ticket; gives the ticket."""
        return await self._signed(
            caller, account, route, symbol, quantity, OrderType.MARKET, client_order_id, time_in_force, tag=tag
        )

    @command
    async def stage_limit_order(
        self,
        caller: Caller,
        tag: str,
        account: str,
        route: Text,
        symbol: Upper,
        limit_price: Decimal,
        quantity: Decimal,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """Stage a limit order as a ticket; gives the ticket."""
        return await self._signed(
            caller,
            account,
            route,
            symbol,
            quantity,
            OrderType.LIMIT,
            client_order_id,
            time_in_force,
            limit_price,
            tag=tag,
        )

    @command
    async def stage_stop_order(
        self,
        caller: Caller,
        tag: str,
        account: str,
        route: Text,
        symbol: Upper,
        stop_price: Decimal,
        quantity: Decimal,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """Stage a stop order as a ticket; gives the ticket."""
        return await self._signed(
            caller,
            account,
            route,
            symbol,
            quantity,
            OrderType.STOP,
            client_order_id,
            time_in_force,
            None,
            stop_price,
            tag,
        )

    @command
    async def stage_stoplimit_order(
        self,
        caller: Caller,
        tag: str,
        account: str,
        route: Text,
        symbol: Upper,
        stop_price: Decimal,
        limit_price: Decimal,
        quantity: Decimal,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Reply:
        """Stage a stop-limit order as a ticket; gives the ticket."""
        return await self._signed(
            caller,
            account,
            route,
            symbol,
            quantity,
            OrderType.STOP_LIMIT,
            client_order_id,
            time_in_force,
            limit_price,
            stop_price,
            tag,
        )

    @command
    async def cancel_order(self, caller: Caller, id: str) -> Order:
        """Ask for an order's end; gives the order after the broker's answer."""
        return await self.gateway.cancel(id, caller.user)

    @command
    def global_cancel(self, caller: Caller) -> str:
        """Ask for the end of every working order; tickets stay."""
        self.gateway.cancel_all(caller.user)
        return "global cancel requested"

    @command
    async def replace_order(
        self,
        caller: Caller,
        id: str,
        quantity: Decimal | None = None,
        limit_price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> Order:
        """Ask for other terms of a working order (what is left out stays); gives the order after the answer."""
        return await self.gateway.replace(id, quantity, limit_price, stop_price, caller.user)

    @command
    async def approve_ticket(self, caller: Caller, id: str) -> Order:
        """Release a staged order, which is checked again; gives the order after the broker's answer."""
        return await self.gateway.approve(id, caller.user)

    @command
    async def reject_ticket(self, caller: Caller, id: str, reason: str = "") -> Order:
        """End a staged order; gives the ticket."""
        return await self.gateway.reject(id, reason, caller.user)

    @command
    async def set_order_route(self, caller: Caller, route: Text) -> dict[str, Any]:
        """Set the default route: a name, an object {name: {parameter: value}}, or either as JSON."""
        name = json.dumps(_route(route))
        self.gateway.change_setting("route", name, caller.user)
        await self.gateway.settled()
        return _route(name)

    @command
    def get_order_route(self, caller: Caller) -> dict[str, Any]:
        """Give the route of orders that name none, as {name: null or {parameter: value}}."""
        return _route(self.gateway.state.settings.get("route", self.about.default_route))

    # the journal

    @command
    async def query_journal(
        self,
        caller: Caller,
        after: int = 0,
        limit: int = 100,
        order: str | None = None,
        kind: str | None = None,
    ) -> list[Entry]:
        """Give up to `limit` (1000 at most) records with seq > after, of one order or some kinds if named."""
        kinds = [each.strip() for each in kind.split(",")] if kind else []
        for each in kinds:
            if each not in codec.KINDS:
                raise BadArgument(f"kind {each!r} is no kind of record: one of {', '.join(sorted(codec.KINDS))}.")
        if not 0 < limit <= 1000:
            raise BadArgument(f"limit {limit} must be from 1 to 1000.")
        order_id = order
        if order is not None:
            found = await self.gateway.history.find(order)
            order_id = found.order_id if found else order
        return [Entry(*each) for each in await self.gateway.journal_page(after, limit, order_id, kinds)]

    @command
    async def explain_order(self, caller: Caller, id: str) -> Story | None:
        """Tell an order's whole story, from its arrival to its last fill, with times; null when it is unknown."""
        await self.gateway.settled()
        order = await self.gateway.history.find(id)
        if order is None:
            return None
        return Story(order, [Entry(*each) for each in await self.gateway.journal_page(0, -1, order.order_id, ())])


BARS_AT_ONCE = 2000
"""Bars that are clipped to the session in one turn."""
_STATUS_WORDS = {
    VenueStatus.DOWN: "Disconnected",
    VenueStatus.CONNECTING: "Pending",
    VenueStatus.RECONCILING: "Initializing",
    VenueStatus.UP: "Up",
    VenueStatus.STOPPING: "Shutdown",
}


class _InOrder:
    """Today's order ids in their order, remembered: sorting a hundred thousand for each list would hold up all else."""

    def __init__(self) -> None:
        self._days: tuple[date | None, ...] = ()
        self._ids: list[str] = []

    def ids(self, today: Mapping[str, Any], days: tuple[date | None, ...]) -> Sequence[str]:
        """The ids of `today`, sorted; within the same trading days there only come more, and higher ones."""
        if days != self._days or len(today) != len(self._ids):
            last = self._ids[-1] if self._ids and days == self._days else ""
            new = sorted([each for each in today if each > last])
            kept = self._ids if last else []
            self._ids = [*kept, *new] if len(kept) + len(new) == len(today) else sorted(today)
            self._days = days
        return self._ids


class _Filter:
    """What of a list is wanted."""

    def __init__(
        self,
        since: str | None,
        account: str | None,
        symbol: str | None,
        status: str | None,
        after: str | None,
        limit: int | None,
    ) -> None:
        self.since = None if since is None else _date("since", since)
        self.account = account
        self.symbol = symbol
        self.status = None if status is None else _status(status)
        self.after = after
        self.limit = limit
        if limit is not None and limit < 1:
            raise BadArgument(f"limit {limit} must be 1 or more.")

    @property
    def everything(self) -> bool:
        """Whether all of today's are wanted: nothing narrows or widens the list, though it may be paged."""
        return all(each is None for each in (self.since, self.account, self.symbol, self.status))

    def order(self, order: Order) -> bool:
        """Whether an order is wanted."""
        return (
            self.account in (None, order.account)
            and self.symbol in (None, order.symbol)
            and (self.status is None or order.status in self.status)
        )

    def execution(self, execution: Execution) -> bool:
        """Whether an execution is wanted."""
        return self.account in (None, execution.account) and self.symbol in (None, execution.symbol)

    def page_from(self, ids: Sequence[str]) -> Sequence[str]:
        """The ids after `after`, which are sorted."""
        return ids if self.after is None else [each for each in ids if each > self.after]


def _word(name: str, text: str, words: type[StrEnum]) -> Any:
    try:
        return words(text)
    except ValueError:
        raise BadArgument(f"{name} {text!r} is none of {', '.join(each.value for each in words)}.") from None


def _side(word: str) -> Side:
    """FIX's three; BUY_TO_COVER is a buy."""
    try:
        return Side.BUY if word == "BUY_TO_COVER" else Side(word)
    except ValueError:
        raise BadArgument(f"side {word!r} is none of BUY, SELL, SELL_SHORT, BUY_TO_COVER.") from None


def _client_order_id(text: str | None) -> str | None:
    if text is None:
        return None
    if not 0 < len(text) <= 128 or not text.isprintable():
        raise BadArgument("client_order_id must be 1 to 128 printable characters.")
    return text


def _date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise BadArgument(f"{name} {text!r} is no date: give YYYY-MM-DD.") from None


def _status(text: str) -> frozenset[OrderStatus]:
    """FIX's words, or `open` and `closed`."""
    chosen: set[OrderStatus] = set()
    for word in text.split(","):
        if word.strip().lower() == "open":
            chosen |= set(OrderStatus) - CLOSED
        elif word.strip().lower() == "closed":
            chosen |= CLOSED
        else:
            name = word.strip().upper()
            try:
                chosen.add(OrderStatus.CANCELED if name == "CANCELLED" else OrderStatus(name))
            except ValueError:
                known = ", ".join(["open", "closed", *OrderStatus])
                raise BadArgument(f"status {name!r} is none of {known}.") from None
    return frozenset(chosen)


def _route(text: str) -> dict[str, Any]:
    """A route written as a name, an object, or either as JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if isinstance(value, dict):
        if len(value) != 1 or not all(each is None or isinstance(each, dict) for each in value.values()):
            raise BadArgument("route must be one name, or an object {name: {parameter: value}} with one name.")
        return value
    return {str(value): None}


async def _maybe(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
