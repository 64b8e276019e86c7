"""Integrations at ProQuant: asked for here, and what its users made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from txgateway.access import Caller
from txgateway.api import Api
from txgateway.commands import command
from txgateway.invitation import is_local, path_of, webhook_of
from txgateway.model.errors import Ambiguous, BadArgument, GatewayError, Reason, Refused
from txgateway.model.events import IntegrationChanged
from txgateway.model.integration import Integration, Step
from txgateway.model.rights import Right
from txgateway.model.signal import Source, SourceKind

LONGEST = 200


@command(Right.ADMIN)
async def connect_proquant(
    api: Api,
    caller: Caller,
    source: str,
    email: str,
    name: str | None = None,
    description: str = "txGateway",
    image_url: str = "",
) -> Integration:
    """Ask ProQuant for an integration that signals to a source: its user finds it in ProQuant's app, to approve.

    email: the one of the user's ProQuant account. name, description and image_url are what the user sees; without a
    name it is the source's. ProQuant posts to TXGATEWAY_WEBHOOK_URL.
    """
    found = _source(api, source)
    if not re.fullmatch(r"[^\s@]+@[^\s@]+\.[^\s@]+", email) or not email.isprintable() or len(email) > LONGEST:
        raise BadArgument(f"email {email[:80]!r} is no address such as someone@example.com.")
    if image_url and not re.fullmatch(r"https?://[!-~]+", image_url):
        raise BadArgument(f"image_url {image_url[:80]!r} is no URL such as https://example.com/logo.png.")
    shown = {"name": name or source, "description": description, "image_url": image_url}
    for each, text in shown.items():
        if not text.isprintable() or len(text) > LONGEST:
            raise BadArgument(f"{each} must be printable text of {LONGEST} characters at most.")
    url = api.about.webhook_url() + path_of(found)
    service = api.proquant
    if is_local(url) and not is_local(service.base):
        text = f"{url} is this machine's own address, which ProQuant cannot reach"
        raise Refused(Reason.NOT_CONNECTED, f"{text}: set TXGATEWAY_WEBHOOK_URL to the public one, and ask again.")
    asked = IntegrationChanged(
        source=found.name,
        account=found.account,
        name=shown["name"],
        step=Step.ASKED,
        time=api.about.clock(),
        description=description,
        user_email=email,
        url=url,
        by=caller.user,
    )
    document = {
        "name": shown["name"],
        "description": description,
        "imageUrl": image_url,
        "userEmail": email,
        "webhook": webhook_of(found, url),
    }
    return await _ask(api, asked, document, found)


@command(Right.READ, narrow=True)
async def query_integrations(api: Api, caller: Caller, source: str | None = None) -> list[Integration]:
    """Give the integrations of every source, or of one, and which of their strategies signal.

    Steps: ASKED (not answered), REQUESTED (for the user to approve), FAILED, APPROVED, REJECTED, DELETED. `warning` is
    what the sender is about to end.
    """
    await api.gateway.settled()
    return [
        each
        for each in api.gateway.state.integrations.known.values()
        if source in (None, each.source) and _reaches(api, caller, each.source)
    ]


def _reaches(api: Api, caller: Caller, name: str) -> bool:
    """Whether a caller may see a source's; who is kept to some accounts sees nothing of one that is gone."""
    source = api.signaling.sources.get(name)
    return caller.grant.reaches(source.account if source is not None else "")


def _source(api: Api, name: str) -> Source:
    found = api.signaling.sources.get(name)
    if found is None:
        raise Refused(Reason.NO_SUCH_SOURCE, f"There is no source {name[:80]!r}: query_sources lists them.")
    if found.kind is not SourceKind.PROQUANT:
        raise BadArgument(f"source {name} is of kind {found.kind}: ProQuant signals to those of kind proquant.")
    return found


async def _ask(api: Api, asked: IntegrationChanged, document: Mapping[str, object], source: Source) -> Integration:
    """Put on record that it is asked for, ask, and put on record what came of it."""
    ledger = api.gateway.ledger
    if ledger.error is not None:
        raise ledger.refusal()
    ledger.record(asked)
    await api.gateway.settled()
    trouble: GatewayError | None = None
    try:
        await api.proquant.create(document, source.secret)
    except (Refused, Ambiguous) as error:
        trouble = error
    if not isinstance(trouble, Ambiguous):
        step = Step.REQUESTED if trouble is None else Step.FAILED
        _record(api, asked, step, str(trouble or ""))
        await api.gateway.settled()
    if trouble is not None:
        raise trouble if isinstance(trouble, Refused) else Refused(Reason.NOT_CONNECTED, str(trouble))
    return api.gateway.state.integrations.known[asked.source, asked.name]


def _record(api: Api, asked: IntegrationChanged, step: Step, text: str) -> None:
    api.gateway.ledger.record(
        IntegrationChanged(
            source=asked.source,
            account=asked.account,
            name=asked.name,
            step=step,
            time=api.about.clock(),
            text=text,
            by=asked.by,
        )
    )
