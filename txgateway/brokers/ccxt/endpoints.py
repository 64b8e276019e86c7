"""Requests in the exchange's own words, sent by hand: their answers as they are, their refusals in a sentence."""

from __future__ import annotations

from typing import Any

from txgateway.brokers.ccxt import errors
from txgateway.brokers.ccxt.feeds import Feeds
from txgateway.brokers.ccxt.link import coroutine
from txgateway.brokers.ccxt.session import Session
from txgateway.futures import deferred
from txgateway.model.errors import GatewayError, Reason, Refused, TimedOut
from txgateway.model.venue import EndpointCall


async def call(session: Session, feeds: Feeds, call: EndpointCall) -> Any:
    """The answer's JSON."""
    api, path = feeds.apis[call.api], call.path
    version, _, rest = path.partition("/")
    if version in feeds.versions and rest:
        api, path = [version, api[1]], rest
    work = session.exchange.request(path, api, call.method, dict(call.params))
    if call.changes:
        try:
            return await session.command(f"{call.method} {call.path}", work)
        finally:
            if "position" in call.path.lower():
                session.perpetuals.doubt()
    try:
        return await deferred(coroutine(work))
    except Exception as error:
        status = errors.http_refusal(error)
        if status:
            text = f"Venue {session.venue} answered {status} to {call.method} {call.path}: check the path"
            raise Refused(Reason.REJECTED, f"{text}, and whether it is public or private.") from error
        if errors.refusal(error, None) is not None or errors.is_answer(error):
            raise Refused(Reason.REJECTED, f"Venue {session.venue} refused it: {errors.sentence(error)}.") from error
        said = session.said(error)
        if isinstance(said, GatewayError) and not isinstance(said, TimedOut):
            raise Refused(Reason.VENUE_DOWN, str(said)) from error
        raise said from error
