"""What a sender of signals is given: its source's path, and the message to paste there, secret and all. Pure."""

from __future__ import annotations

import json
import re

from txgateway.model.signal import Sizing, Source, SourceKind
from txgateway.signals.proquant import HEADER

PATHS = {
    SourceKind.PROQUANT: "/webhooks/proquant/{name}",
    SourceKind.TRADINGVIEW: "/webhooks/tradingview/{name}",
    SourceKind.GENERIC: "/webhooks/signal/{name}",
    SourceKind.ALGOGENE: "/algogene/rest/v1",
}
"""By kind, where its sources are found below the gateway's address."""


def path_of(source: Source) -> str:
    """The path of a source's URL; its name needs no quoting."""
    return PATHS[source.kind].format(name=source.name)


def message_of(source: Source, url: str) -> str:
    """What to paste where the sender takes it."""
    match source.kind:
        case SourceKind.TRADINGVIEW:
            return _lines(source) if source.template else json.dumps(_alert(source), indent=2)
        case SourceKind.PROQUANT:
            return json.dumps(webhook_of(source, url), indent=2)
        case SourceKind.ALGOGENE:
            return f'base_url = "{url}"\napi_key = "{source.secret}"\nuser = "{source.user or source.name}"'
        case SourceKind.GENERIC:
            return _curl(source, url)


def webhook_of(source: Source, url: str) -> dict[str, object]:
    """An integration's webhook, as ProQuant takes it."""
    return {"url": url, "headers": {HEADER: source.secret}}


def place_of(source: Source, url: str) -> str:
    """Where URL and message go, in a sentence; and why they would not be found there."""
    far = "" if source.kind is SourceKind.GENERIC or not is_local(url) else _LOCAL
    mapped = _MAPPED if source.kind is SourceKind.TRADINGVIEW and source.mapping else ""
    return _PLACES[source.kind] + mapped + far


def is_local(url: str) -> bool:
    """Whether a URL is reached from its own machine only."""
    host = url.partition("://")[2].partition("/")[0]
    return host.startswith(("127.", "localhost", "[::1]"))


_PLACES = {
    SourceKind.TRADINGVIEW: "The URL goes into the alert's Webhook URL (Notifications), the message into its Message.",
    SourceKind.PROQUANT: "Give these as the integration's webhook: `txgateway proquant connect` does it.",
    SourceKind.ALGOGENE: "Put these lines in the place of the script's own.",
    SourceKind.GENERIC: "Send signals like this one.",
}
_MAPPED = " Write into the message what the source's mapping reads."
_LOCAL = " From elsewhere this address is not reached: set TXGATEWAY_WEBHOOK_URL to the public one, and ask again."


def _alert(source: Source) -> dict[str, str]:
    """A strategy's alert, in TradingView's placeholders: with the position, by which an exit is told from an entry."""
    if source.mapping:
        return {"secret": source.secret}
    return {
        "secret": source.secret,
        "symbol": "{{ticker}}",
        "action": "{{strategy.order.action}}",
        "quantity": "{{strategy.order.contracts}}",
        "market_position": "{{strategy.market_position}}",
        "market_position_size": "{{strategy.market_position_size}}",
        "time": "{{timenow}}",
    }


def _lines(source: Source) -> str:
    """The same as text: the secret on a line of its own, unless the template has a place for it."""
    values = {**PLACEHOLDERS, "secret": source.secret}
    text = re.sub(
        r"\{(\w+)\}", lambda each: values.get(each[1], f"<{each[1]}>"), re.sub(r"[\[\]]", "", source.template)
    )
    return text if "{secret}" in source.template else f"{source.secret}\n{text}"


PLACEHOLDERS = {
    "symbol": "{{ticker}}",
    "side": "{{strategy.order.action}}",
    "quantity": "{{strategy.order.contracts}}",
    "target": "{{strategy.position_size}}",
    "market_position": "{{strategy.market_position}}",
    "market_position_size": "{{strategy.market_position_size}}",
    "price": "{{close}}",
    "time": "{{timenow}}",
}
"""What TradingView puts in the place of a template's fields; the others are the user's to write."""


def _curl(source: Source, url: str) -> str:
    symbol = next(iter(source.symbols), "IBM")
    body: dict[str, object] = {"symbol": symbol, "side": "BUY", "quantity": 1, "id": "1"}
    if source.sizing is not Sizing.AS_SENT:
        del body["quantity"]
    shown = json.dumps(body).replace("'", "'\\''")
    return f"curl {url} -H 'Authorization: Bearer {source.secret}' -d '{shown}'"
