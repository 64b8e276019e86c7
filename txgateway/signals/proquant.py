"""ProQuant's events: `POST /webhooks/proquant/<source>`, one event in every version that ProQuant still speaks.

    {"v1": {"deprecation": null, "event": {"timestamp": 1549623690730, "type": "SIGNAL_OPEN",
        "integration": {"name": …, "description": …, "imageUrl": …, "webhook": {"url": …, "headers": {…}}},
        "data": {"direction": "BUY", "ticker": "XAUUSD", "quantity": 10, "strategy": {"id": …, "name": …},
                 "proquantPositionId": …}}}}

Answers: 200 and an empty body; else an HTTP status of 400 or more with `x-proquant-error: 1` and one of ProQuant's own
error types, which its user is shown. Where none of them says it the header is missing, and the user is shown a general
error. Proven by what was put into the integration's webhook: the header `x-txgateway-token` (or a bearer's
Authorization), or the end of the URL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from txgateway.model.errors import Reason
from txgateway.model.integration import News, Step
from txgateway.model.order import Side
from txgateway.model.signal import Act, Amount, Answer, Instruction, Source
from txgateway.signals import (
    BadSignal,
    Message,
    Post,
    Refusal,
    WrongSecret,
    from_json,
    json_answer,
    number,
    same,
    shown,
)

HEADER = "x-txgateway-token"
"""What an integration's webhook is given to carry the secret in."""
ERROR_HEADER = ("x-proquant-error", "1")
ERRORS = {
    Reason.INSUFFICIENT_FUNDS: "InsufficientFunds",
    Reason.QUANTITY_TOO_LOW: "QuantityTooLow",
    Reason.MIN_NOTIONAL: "QuantityTooLow",
    Reason.QUANTITY_TOO_HIGH: "QuantityTooHigh",
    Reason.MAX_QUANTITY: "QuantityTooHigh",
    Reason.MAX_NOTIONAL: "QuantityTooHigh",
    Reason.MAX_POSITION: "QuantityTooHigh",
    Reason.MAX_GROSS_EXPOSURE: "QuantityTooHigh",
    Reason.BAD_LOT: "InvalidQuantityPrecision",
    Reason.UNKNOWN_SYMBOL: "UnsupportedInstrument",
    Reason.RESTRICTED: "UnsupportedInstrument",
    Reason.POSITION_EXISTS: "PositionAlreadyExists",
    Reason.MARKET_CLOSED: "MarketClosed",
    Reason.NO_POSITION: "PositionNotFound",
    Reason.NOT_ALLOWED: "InvalidCredentials",
    Reason.UNKNOWN_ACCOUNT: "InvalidCredentials",
    Reason.NO_SUCH_SOURCE: "InvalidCredentials",
}
"""ProQuant's types for our reasons. A quantity that another limit of ours stands against is too high, too."""


class ProQuant:
    """The language of ProQuant's webhook."""

    outcome = True
    window = 0.0

    def verify(self, source: Source, post: Post) -> None:
        """By header, or by the end of the URL."""
        scheme, _, bearer = post.headers.get("authorization", "").partition(" ")
        given = [post.headers.get(HEADER, ""), post.rest.strip("/"), bearer if scheme.lower() == "bearer" else ""]
        if not any(same(each.strip(), source.secret) for each in given):
            raise WrongSecret(f"The source's secret belongs into the webhook's headers, as {HEADER}.")

    def read(self, source: Source, post: Post) -> Message:
        """The event, in the newest version that is known here."""
        body = _object(from_json(post.body), "The body")
        version = next((each for each in _VERSIONS if each in body), None)
        if version is None:
            known, there = ", ".join(_VERSIONS), ", ".join(map(shown, list(body)[:5])) or "nothing"
            raise BadSignal(f"The body has no version known here ({known}), but {there}: the gateway needs an update.")
        wrapped = _object(body[version], version)
        return _VERSIONS[version](_object(wrapped.get("event"), f"{version}.event"), _ending(version, body, wrapped))

    def accepted(self, signal_id: str, message: Message, post: Post) -> Answer:
        """Taken in, or nothing to us."""
        return Answer(200)

    def refused(self, refusal: Refusal, status: int) -> Answer:
        """One of ProQuant's types, where there is one; else a sentence that its user is not shown."""
        status = max(status, 400)
        kind = ERRORS.get(refusal.reason)
        if kind is None:
            return Answer(status, refusal.text)
        return json_answer(status, {"type": kind}, (ERROR_HEADER,))


def _ending(version: str, body: Mapping[str, Any], wrapped: Mapping[str, Any]) -> str:
    """What is to be said when ProQuant gives a version up; nothing while it does not."""
    deprecation = wrapped.get("deprecation")
    if deprecation is None:
        return ""
    day = deprecation[:10] if isinstance(deprecation, str) else "a day that it does not name"
    newer = ", ".join(shown(each, 20) for each in list(body)[:5] if each not in _VERSIONS)
    there = f" It has {newer} already." if newer else ""
    return f"ProQuant ends {version} of its events on {shown(day, 20)}: update the gateway before.{there}"


# ---------------------------------------------------------------- version 1


def _v1(event: Mapping[str, Any], ending: str) -> Message:
    kind = event.get("type")
    if not isinstance(kind, str) or not kind:
        raise BadSignal(f"v1.event.type {shown(kind)} is no name of an event.")
    name, description = _integration(event.get("integration"))
    warnings = (ending,) if ending else ()
    if kind not in _KNOWN:
        news = News(name=name, description=description, ending=ending)
        return Message(about=f"{_clean(kind)}: nothing is to be done for it", news=news, warnings=warnings)
    sent = _sent(event.get("timestamp"))
    if kind in _INTEGRATION:
        news = News(name=name, description=description, step=_INTEGRATION[kind], ending=ending)
        about = f"{kind} {name}".strip()
        return Message(key=_key(kind, "", event), sent=sent, about=about, news=news, warnings=warnings)
    data = _object(event.get("data"), "v1.event.data")
    if kind in _STRATEGY:
        strategy, strategy_name = _strategy(data, "v1.event.data")
        news = News(
            name=name,
            description=description,
            step=_STRATEGY[kind],
            strategy=strategy,
            strategy_name=strategy_name,
            ending=ending,
        )
        about = f"{kind} {strategy_name or strategy}"
        return Message(key=_key(kind, strategy, event), sent=sent, about=about, news=news, warnings=warnings)
    instruction = _signal(_SIGNAL[kind], data)
    return Message(
        instructions=(instruction,),
        key=_key(kind, instruction.reference or instruction.strategy, event),
        sent=sent,
        about=f"SIGNAL_{instruction}",
        news=News(name=name, description=description, ending=ending),
        warnings=warnings,
    )


_INTEGRATION = {
    "INTEGRATION_APPROVED": Step.APPROVED,
    "INTEGRATION_REJECTED": Step.REJECTED,
    "INTEGRATION_DELETED": Step.DELETED,
}
_STRATEGY = {"STRATEGY_ENABLED": Step.ENABLED, "STRATEGY_DISABLED": Step.DISABLED}
_SIGNAL = {"SIGNAL_OPEN": Act.OPEN, "SIGNAL_CLOSE": Act.CLOSE, "SIGNAL_REOPEN": Act.REOPEN}
_KNOWN = frozenset((*_INTEGRATION, *_STRATEGY, *_SIGNAL))
_VERSIONS: dict[str, Callable[[Mapping[str, Any], str], Message]] = {"v1": _v1}
"""How each version is read, the newest first."""


def _signal(act: Act, data: Mapping[str, Any]) -> Instruction:
    """What a signal asks for. A close is of all that its strategy holds, however much the sender takes that to be."""
    at = "v1.event.data"
    strategy, strategy_name = _strategy(_object(data.get("strategy"), f"{at}.strategy"), f"{at}.strategy")
    written = "ticker" if data.get("ticker") is not None else "instrument"
    symbol = _text(data.get(written), f"{at}.{'ticker' if data.get(written) is None else written}")
    position = data.get("proquantPositionId")
    side = amount = None
    if act is not Act.CLOSE:
        direction = data.get("direction")
        if not isinstance(direction, str) or direction.upper() not in ("BUY", "SELL"):
            raise BadSignal(f"{at}.direction {shown(direction)} is neither BUY nor SELL.")
        side = Side(direction.upper())
        quantity = number(data.get("quantity"), f"{at}.quantity")
        if quantity <= 0:
            raise BadSignal(f"{at}.quantity {shown(str(quantity))} must be above zero.")
        amount = Amount(quantity)
    return Instruction(
        act=act,
        symbol=symbol,
        side=side,
        amount=amount,
        strategy=strategy,
        strategy_name=strategy_name,
        reference="" if position is None else _text(position, f"{at}.proquantPositionId"),
    )


def _integration(value: Any) -> tuple[str, str]:
    """Its name and description, for people: whatever they are, they are no reason to refuse a signal."""
    if not isinstance(value, dict):
        return "", ""
    return _clean(value.get("name")), _clean(value.get("description"))


def _strategy(value: Mapping[str, Any], at: str) -> tuple[str, str]:
    return _text(value.get("id"), f"{at}.id"), _clean(value.get("name"))


def _sent(value: Any) -> datetime:
    """ProQuant's clock, in milliseconds since 1970."""
    try:
        return datetime.fromtimestamp(float(number(value, "v1.event.timestamp")) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadSignal(f"v1.event.timestamp {shown(value)} is no time: it is milliseconds since 1970.") from None


def _key(kind: str, whose: str, event: Mapping[str, Any]) -> str:
    """By what ProQuant's delivery of the same event is recognised."""
    return f"{kind}|{whose}|{number(event['timestamp'], 'v1.event.timestamp').normalize():f}"


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadSignal(f"{where} is {shown(value)}, and should be an object.")
    return value


def _text(value: Any, where: str) -> str:
    """An identifier: text, or a whole number."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.strip() or len(text) > 200 or not text.isprintable():
        raise BadSignal(f"{where} {shown(value)} is no name: it is text of 1 to 200 characters.")
    return text.strip()


def _clean(value: Any) -> str:
    """What people wrote, as it may be shown: printable, and no longer than 200 characters."""
    text = value if isinstance(value, str) else ""
    return "".join(each if each.isprintable() else " " for each in text).strip()[:200]
