"""The daemon itself: its status, its venues' connections, and stopping."""

from __future__ import annotations

import inspect
import platform
import sys
from typing import Any

from twisted.logger import Logger

from txgateway.access import Caller
from txgateway.api import Api, VenueReport
from txgateway.brokers import Broker
from txgateway.commands import COMMANDS, command
from txgateway.model.errors import BadArgument, GatewayError, Reason, Refused
from txgateway.model.rights import Right
from txgateway.vitals import Vitals

log = Logger()


@command(Right.READ, narrow=True)
def status(api: Api, caller: Caller, venue: str = "") -> str:
    """Give a venue's status: Startup, Pending, Initializing, Up, Disconnected or Shutdown.

    venue: its name; without one, that of the default venue.
    """
    return api.status_word(_venue_of(api, venue))


@command(Right.READ, narrow=True)
def uptime(api: Api, caller: Caller) -> str:
    """Say when the daemon started and how long ago."""
    elapsed = api.about.clock() - api.about.started
    started = api.about.started.astimezone(api.about.zone)
    return f"started {started:%Y-%m-%d %H:%M:%S} (elapsed {elapsed})"


@command(Right.READ, narrow=True)
def time(api: Api, caller: Caller) -> str:
    """Give the time of the data feed's clock, in the local zone, as YYYY-mm-dd HH:MM:SS."""
    form = "%Y-%m-%d %H:%M:%S" if api.about.flags["SECONDS_TICK"] else "%Y-%m-%d %H:%M:00"
    return api.feed.now().astimezone(api.about.zone).strftime(form)


@command(Right.READ, narrow=True)
def version(api: Api, caller: Caller) -> dict[str, Any]:
    """Give the version of the gateway and of Python, and the flags it runs with."""
    return {
        "txtrader": api.about.header,
        "txgateway": api.about.version,
        "python": f"{platform.python_implementation()} {sys.version}",
        "flags": dict(api.about.flags),
    }


@command(Right.READ, narrow=True)
def help(api: Api, caller: Caller) -> dict[str, str]:
    """Give every command with its signature and what it does."""
    return {name: each.help for name, each in sorted(COMMANDS.items())}


@command(Right.ADMIN)
def shutdown(api: Api, caller: Caller, message: str = "") -> str:
    """Stop the daemon: no more orders are taken, what was taken is written, clients are told; then it ends."""
    text = f"shutdown requested by {caller.user} [{message}]"
    api.about.shutdown(text)
    return text


@command(Right.READ, narrow=True)
def query_venues(api: Api, caller: Caller) -> dict[str, VenueReport]:
    """Give every venue: kind, status and since when, accounts, what it can do, errors, latencies, open differences.

    Latencies are in milliseconds by the daemon's clock: from an order's sending to the venue's first answer, and of
    questions, each over the last 500. Counts are those since the daemon started.
    """
    return {name: _venue(api, caller, name, broker) for name, broker in api.brokers.items()}


@command(Right.ADMIN)
async def gateway_logon(api: Api, caller: Caller, username: str = "", password: str = "", venue: str = "") -> str:
    """Connect a venue (default: the default venue), when it was disconnected by gateway_logoff."""
    name = _venue_of(api, venue)
    api.logged_off.discard(name)
    try:
        api.brokers[name].startService()
    except GatewayError:
        raise
    except Exception as error:
        log.failure("Venue {venue} could not be started.", venue=name)
        raise Refused(Reason.VENUE_FAILED, f"Venue {name} could not be started: {error}") from error
    return f"gateway logon requested for {name}"


@command(Right.ADMIN)
async def gateway_logoff(api: Api, caller: Caller, venue: str = "") -> str:
    """Disconnect a venue (default: the default venue): its orders are refused until gateway_logon, or a restart."""
    name = _venue_of(api, venue)
    api.logged_off.add(name)
    await _maybe(api.brokers[name].stopService())
    return f"gateway logoff requested for {name}"


def _venue_of(api: Api, venue: str) -> str:
    """A venue's name; none means the default one."""
    if venue and venue not in api.brokers:
        raise BadArgument(f"venue {venue[:80]!r} is unknown: there are {', '.join(api.brokers)}.")
    return venue or api.about.default_venue


def _venue(api: Api, caller: Caller, name: str, broker: Broker) -> VenueReport:
    intake, vitals = api.gateway.intake, api.about.vitals.get(name) or Vitals(lambda: 0.0)
    since, text = intake.since[name]
    return VenueReport(
        name=name,
        kind=api.about.kinds[name],
        status=intake.status[name],
        default=name == api.about.default_venue,
        accounts=tuple(each for each in broker.accounts() if caller.grant.reaches(each)),
        can=tuple(flag.name or "" for flag in broker.can),
        time=broker.now(),
        errors=vitals.errors,
        last_error=vitals.last_error,
        domain=api.about.domains.get(name, ""),
        connected_since=intake.connected_since.get(name),
        last_reconciled=api.gateway.reconciler.last.get(name),
        failed_reconciliations=api.gateway.reconciler.failures.get(name, 0),
        differences=len(api.gateway.differences.open(name)),
        since=since,
        status_text=text,
        last_error_time=vitals.last_error_time,
        refusals=vitals.refusals,
        reconnects=max(0, intake.connects[name] - 1),
        order_latency=vitals.orders.read(),
        question_latency=vitals.questions.read(),
    )


async def _maybe(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
