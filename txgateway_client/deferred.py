"""The Twisted client: `DeferredAPI`, with `API`'s methods, each of which answers with a Deferred.

    api = DeferredAPI()
    await api.wait_for_up()
    order = await api.market_order(api.account, api.route, "IBM", 100)

The Deferreds fail with the errors of `txgateway_client.errors`. Importing this module installs no reactor.
Cancelling the Deferred of an order does not cancel the order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import treq.client
from twisted.internet import defer, error
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web import client as web
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS
from zope.interface import implementer

from txgateway_monitor.settings import Settings, resolve
from txgateway_monitor.tls import client_options

from .commands import Commands
from .errors import GatewayError, GatewayUnreachable, NotReady
from .exchange import HEADERS, Answer, Call, Done, Exchange, Lost, NotSent

P = ParamSpec("P")
T = TypeVar("T")


class _Promises(Commands):
    """The commands, each carried out by a function that answers with a Deferred."""

    def __init__(self, ask: Callable[[Call], Deferred[Any]]) -> None:
        self._ask = ask

    def _call(self, call: Call) -> Any:
        return self._ask(call)

    def set_account(self, account: str) -> Any:
        """Choose the gateway's current account."""
        return self._setting("set_account", account=account)


def _deferred(
    method: Callable[Concatenate[Commands, P], T],
) -> Callable[Concatenate[DeferredAPI, P], Deferred[T]]:
    """The same command: its name, arguments and docstring, and a Deferred of its answer."""

    def ask(self: DeferredAPI, /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return cast("Deferred[T]", defer.maybeDeferred(method, self._promises, *args, **kwargs))

    return functools.update_wrapper(ask, method)


@implementer(IPolicyForHTTPS)
class _Policy:
    """Whom we trust behind https, and the certificate we show: only what the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        """What a connection there is secured with."""
        return client_options(self._settings, hostname.decode("ascii").strip("[]"))


class DeferredAPI:
    """A gateway, called over HTTP from a Twisted program; nothing here blocks."""

    def __init__(
        self,
        mode: str = "paper",
        config: Mapping[str, object] | None = None,
        *,
        reactor: Any = None,
        agent: IAgent | None = None,
    ) -> None:
        """Connect to nothing yet; mode and config are `API`'s.

        reactor: the running one when None. agent: a web agent of your own (certificates, tests).
        """
        if reactor is None:
            from twisted.internet import reactor as running

            reactor = running
        self.mode = mode
        self.settings = resolve(config)
        self.url = self.settings.url
        self.username = self.settings.username
        self.account = self.settings.account
        self.route = self.settings.route
        self._reactor = reactor
        twisted_web: Any = web  # most of it has no types
        self._pool = twisted_web.HTTPConnectionPool(reactor)
        self._pool.retryAutomatically = False  # what may be sent twice is the exchange's to say
        patience = self.settings.connect_timeout
        self._http = treq.client.HTTPClient(
            agent or twisted_web.Agent(reactor, _Policy(self.settings), connectTimeout=patience, pool=self._pool)
        )
        self._promises = _Promises(self._ask)

    def __repr__(self) -> str:
        """The address and the user; no password."""
        return f"<DeferredAPI {self.url} as {self.username}>"

    def close(self) -> Deferred[None]:
        """Close the kept connections; the next call opens one again."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing

    status = _deferred(Commands.status)
    uptime = _deferred(Commands.uptime)
    time = _deferred(Commands.time)
    version = _deferred(Commands.version)
    help = _deferred(Commands.help)
    shutdown = _deferred(Commands.shutdown)
    query_venues = _deferred(Commands.query_venues)
    query_differences = _deferred(Commands.query_differences)
    resolve_order = _deferred(Commands.resolve_order)
    resolve_difference = _deferred(Commands.resolve_difference)
    gateway_logon = _deferred(Commands.gateway_logon)
    gateway_logoff = _deferred(Commands.gateway_logoff)
    halt = _deferred(Commands.halt)
    resume = _deferred(Commands.resume)
    flatten = _deferred(Commands.flatten)
    query_flattens = _deferred(Commands.query_flattens)
    query_halts = _deferred(Commands.query_halts)
    query_faults = _deferred(Commands.query_faults)
    set_fault = _deferred(Commands.set_fault)
    clear_faults = _deferred(Commands.clear_faults)
    query_risk = _deferred(Commands.query_risk)
    set_risk = _deferred(Commands.set_risk)
    create_token = _deferred(Commands.create_token)
    query_tokens = _deferred(Commands.query_tokens)
    revoke_token = _deferred(Commands.revoke_token)
    query_access = _deferred(Commands.query_access)
    add_symbol = _deferred(Commands.add_symbol)
    del_symbol = _deferred(Commands.del_symbol)
    query_symbols = _deferred(Commands.query_symbols)
    query_all_symbols = _deferred(Commands.query_all_symbols)
    query_symbol = _deferred(Commands.query_symbol)
    query_symbol_data = _deferred(Commands.query_symbol_data)
    query_symbol_bars = _deferred(Commands.query_symbol_bars)
    query_bars = _deferred(Commands.query_bars)
    query_instrument = _deferred(Commands.query_instrument)
    query_last_prices = _deferred(Commands.query_last_prices)
    query_depth = _deferred(Commands.query_depth)
    query_funding = _deferred(Commands.query_funding)
    query_leverage = _deferred(Commands.query_leverage)
    set_leverage = _deferred(Commands.set_leverage)
    query_position_mode = _deferred(Commands.query_position_mode)
    set_position_mode = _deferred(Commands.set_position_mode)
    call_endpoint = _deferred(Commands.call_endpoint)
    query_rate_limits = _deferred(Commands.query_rate_limits)
    set_primary_exchange = _deferred(Commands.set_primary_exchange)
    query_accounts = _deferred(Commands.query_accounts)
    query_account = _deferred(Commands.query_account)
    query_positions = _deferred(Commands.query_positions)
    query_balances = _deferred(Commands.query_balances)
    query_order = _deferred(Commands.query_order)
    query_orders = _deferred(Commands.query_orders)
    query_open_orders = _deferred(Commands.query_open_orders)
    query_tickets = _deferred(Commands.query_tickets)
    query_execution = _deferred(Commands.query_execution)
    query_executions = _deferred(Commands.query_executions)
    query_order_executions = _deferred(Commands.query_order_executions)
    cancel_order = _deferred(Commands.cancel_order)
    global_cancel = _deferred(Commands.global_cancel)
    replace_order = _deferred(Commands.replace_order)
    submit_order = _deferred(Commands.submit_order)
    market_order = _deferred(Commands.market_order)
    limit_order = _deferred(Commands.limit_order)
    stop_order = _deferred(Commands.stop_order)
    stoplimit_order = _deferred(Commands.stoplimit_order)
    stage_market_order = _deferred(Commands.stage_market_order)
    stage_limit_order = _deferred(Commands.stage_limit_order)
    stage_stop_order = _deferred(Commands.stage_stop_order)
    stage_stoplimit_order = _deferred(Commands.stage_stoplimit_order)
    query_exits = _deferred(Commands.query_exits)
    cancel_exits = _deferred(Commands.cancel_exits)
    approve_ticket = _deferred(Commands.approve_ticket)
    reject_ticket = _deferred(Commands.reject_ticket)
    set_order_route = _deferred(Commands.set_order_route)
    get_order_route = _deferred(Commands.get_order_route)
    add_source = _deferred(Commands.add_source)
    change_source = _deferred(Commands.change_source)
    remove_source = _deferred(Commands.remove_source)
    query_sources = _deferred(Commands.query_sources)
    connect_proquant = _deferred(Commands.connect_proquant)
    query_integrations = _deferred(Commands.query_integrations)
    query_signals = _deferred(Commands.query_signals)
    explain_signal = _deferred(Commands.explain_signal)
    replay_signal = _deferred(Commands.replay_signal)
    query_strategies = _deferred(Commands.query_strategies)
    adjust_strategy = _deferred(Commands.adjust_strategy)
    query_journal = _deferred(Commands.query_journal)
    explain_order = _deferred(Commands.explain_order)

    def set_account(self, account: str) -> Deferred[bool]:
        """Choose the current account, here and in the gateway. Answers False when it is unknown."""

        async def choose() -> bool:
            known = bool(await self._promises.set_account(account))
            if known:
                self.account = account
            return known

        return Deferred.fromCoroutine(choose())

    def wait_for_up(self, timeout: float = 60.0, interval: float = 0.5) -> Deferred[str]:
        """Ask for the status until it is Up; fails as `API.wait_for_up` does."""
        deadline = self._reactor.seconds() + timeout

        async def poll() -> str:
            while True:
                try:
                    status = await self.status()
                    trouble: GatewayError = NotReady(
                        f"the gateway at {self.url} is {status}, not Up, after {timeout:g} s"
                    )
                except GatewayUnreachable as unreachable:
                    status, trouble = "", unreachable
                if status == "Up":
                    return status
                if self._reactor.seconds() + interval > deadline:
                    raise trouble
                await deferLater(self._reactor, interval)

        return Deferred.fromCoroutine(poll())

    def _ask(self, call: Call) -> Deferred[Any]:
        """Send a call until the exchange has its result or gives up."""
        exchange = Exchange(call, self.settings)
        body = call.body

        async def talk() -> Any:
            while True:
                step = exchange.after(await self._send(call, body))
                if isinstance(step, Done):
                    return step.value
                await deferLater(self._reactor, step.pause)

        return Deferred.fromCoroutine(talk())

    async def _send(self, call: Call, body: bytes | None) -> Answer | NotSent | Lost:
        """Send a call once."""

        async def answer() -> Answer | Lost:
            response = await self._http.request(
                call.verb,
                f"{self.url}/{call.method}",
                headers=Headers({name: [value] for name, value in HEADERS.items()}),
                data=body,
                auth=(self.settings.username.encode(), self.settings.password.encode()),
                allow_redirects=False,
                reactor=self._reactor,
            )
            return Answer(response.code, await response.content())

        def out_of_time(result: object, _: float) -> Answer | Lost:
            return result if isinstance(result, Answer) else Lost("no answer in time", timed_out=True)

        asking: Deferred[Answer | Lost] = Deferred.fromCoroutine(answer())
        try:
            return await asking.addTimeout(self.settings.read_timeout, self._reactor, out_of_time)
        except (error.ConnectError, error.DNSLookupError) as failure:
            return NotSent(_reason(failure))
        except Exception as failure:
            if _is_cancelled(failure):
                raise defer.CancelledError from failure
            return Lost(_reason(failure))


def _is_cancelled(failure: Exception) -> bool:
    """Whether the caller has cancelled the call: a web client may wrap that in an error of its own."""
    held = [item.value for item in getattr(failure, "reasons", [])]
    return any(isinstance(item, defer.CancelledError | error.ConnectingCancelledError) for item in (failure, *held))


def _reason(failure: BaseException) -> str:
    """An error's words; a web client's error is as long as the errors it holds."""
    held = [item.getErrorMessage() for item in getattr(failure, "reasons", [])]
    return "; ".join(held) or str(failure) or type(failure).__name__
