"""The gateway's own signals: `POST /webhooks/signal/<source>`, a JSON object of the words that orders have here.

    {"symbol": "IBM", "side": "BUY", "quantity": 100}
    {"symbol": "IBM", "target": -50, "strategy": "mean reversion"}
    {"symbol": "IBM", "side": "CLOSE"}

Proven by `Authorization: Bearer <secret>`, by basic authentication (the source's user and secret), or by an
HMAC-SHA256 (the secret is its key) over `<X-Timestamp>.<body>` in `X-Signature`, in hex, at most five minutes old.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from hmac import new as hmac
from typing import Any

from txgateway.model.exits import RESERVED, Level
from txgateway.model.order import OrderType, Side, TimeInForce
from txgateway.model.signal import Act, Answer, Instruction, Source
from txgateway.signals import (
    MOST_INSTRUCTIONS,
    BadSignal,
    Message,
    Post,
    Refusal,
    WrongSecret,
    amount_of,
    from_json,
    json_answer,
    moment,
    number,
    same,
    shown,
)

WINDOW = timedelta(minutes=5)
"""How far a signature's time may be from ours."""
SIDES = {
    "BUY": (Act.ORDER, Side.BUY),
    "SELL": (Act.ORDER, Side.SELL),
    "SELL_SHORT": (Act.ORDER, Side.SELL_SHORT),
    "BUY_TO_COVER": (Act.ORDER, Side.BUY),
    "CLOSE": (Act.CLOSE, None),
    "FLAT": (Act.CLOSE, None),
    "CANCEL": (Act.CANCEL, None),
}
MEMBERS = frozenset(
    "symbol side target quantity type price limit_price stop_price time_in_force client_order_id take_profit stop_loss "  # noqa: SIM905
    "trailing_stop hold_seconds strategy reference timestamp max_age id signals".split()
)


class Generic:
    """The language of the generic webhook."""

    outcome = False
    window = 0.0

    def verify(self, source: Source, post: Post) -> None:
        """By bearer, basic authentication or signature."""
        if signature := post.headers.get("x-signature", ""):
            stamp = post.headers.get("x-timestamp", "")
            wanted = hmac(source.secret.encode(), stamp.encode() + b"." + post.body, sha256).hexdigest()
            if source.secret and same(signature.strip().lower().removeprefix("sha256="), wanted):
                if abs(post.time - _stamped(stamp)) > WINDOW:
                    raise WrongSecret("X-Timestamp is more than five minutes from the gateway's clock: sign it anew.")
                return
            raise WrongSecret("X-Signature does not fit: it is the hex HMAC-SHA256 of `<X-Timestamp>.<body>`.")
        scheme, _, given = post.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and same(given.strip(), source.secret):
            return
        if scheme.lower() == "basic":
            try:
                user, _, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
            except ValueError:
                user = password = ""
            if same(password, source.secret) and same(user, source.user or source.name):
                return
        raise WrongSecret("Prove that it is you: Authorization: Bearer <secret>, basic authentication, or X-Signature.")

    def read(self, source: Source, post: Post) -> Message:
        """One object, or `signals`: a list of them, all or none."""
        body = from_json(post.body)
        if not isinstance(body, dict):
            raise BadSignal('Send a JSON object such as {"symbol": "IBM", "side": "BUY", "quantity": 100}.')
        entries: Any = body.get("signals", [body])
        if not isinstance(entries, list) or not 0 < len(entries) <= MOST_INSTRUCTIONS:
            raise BadSignal(f"`signals` is no list of 1 to {MOST_INSTRUCTIONS} signals.")
        instructions = tuple(_instruction(each) for each in entries)
        ids = [each.client_order_id for each in instructions if each.client_order_id]
        if len(set(ids)) < len(ids):
            raise BadSignal("Two of `signals` have the same client_order_id: each order needs its own.")
        sent = moment(body["timestamp"], "timestamp") if body.get("timestamp") is not None else None
        return Message(
            instructions=instructions,
            key=_key(body, post.body),
            sent=sent,
            max_age=_max_age(body),
            about="; ".join(map(str, instructions)),
        )

    def accepted(self, signal_id: str, message: Message, post: Post) -> Answer:
        """Taken in."""
        return json_answer(200, {"status": "Accepted", "id": signal_id})

    def refused(self, refusal: Refusal, status: int) -> Answer:
        """Not taken in."""
        return json_answer(status, {"status": "Error", "errorMsg": refusal.text, "reason": refusal.reason})


def _stamped(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise WrongSecret("X-Timestamp is no time: give seconds since 1970.") from None


def _instruction(entry: Any) -> Instruction:
    if not isinstance(entry, dict):
        raise BadSignal(f"A signal is {shown(entry)}, and should be an object.")
    for name in entry:
        if name not in MEMBERS:
            raise BadSignal(f"There is no member {shown(name)}: it takes {', '.join(sorted(MEMBERS))}.")
    target = number(entry["target"], "target") if entry.get("target") is not None else None
    act, side = _side(entry, target)
    quantity = amount_of(entry["quantity"], "quantity") if entry.get("quantity") is not None else None
    limit, stop = _price(entry, "limit_price", "price"), _price(entry, "stop_price")
    return Instruction(
        act=act,
        symbol=_text(entry, "symbol", required=act is not Act.CANCEL),
        side=side,
        amount=quantity if target is None else None,
        target=target,
        order_type=_type(entry, limit, stop),
        limit_price=limit,
        stop_price=stop,
        time_in_force=_word(entry, "time_in_force", TimeInForce),
        take_profit=_level(entry, "take_profit"),
        stop_loss=_level(entry, "stop_loss"),
        trailing_stop=_level(entry, "trailing_stop"),
        hold_seconds=_whole(entry, "hold_seconds"),
        strategy=_text(entry, "strategy"),
        strategy_name=_text(entry, "strategy"),
        reference=_text(entry, "reference"),
        client_order_id=_client_order_id(entry),
    )


def _side(entry: Mapping[str, Any], target: Decimal | None) -> tuple[Act, Side | None]:
    word = _text(entry, "side").upper()
    if target is not None:
        if word:
            raise BadSignal("Give `side` with a `quantity`, or a `target`, not both.")
        return Act.TARGET, None
    if word not in SIDES:
        raise BadSignal(f"side {shown(entry.get('side'))} is none of {', '.join(SIDES)}; or give a `target`.")
    return SIDES[word]


def _price(entry: Mapping[str, Any], *names: str) -> Decimal | None:
    given = [name for name in names if entry.get(name) is not None]
    if len(given) > 1:
        raise BadSignal(f"Give {given[0]} or {given[1]}, not both.")
    if not given:
        return None
    price = number(entry[given[0]], given[0])
    if price <= 0:
        raise BadSignal(f"{given[0]} {price:f} must be above zero.")
    return price


def _type(entry: Mapping[str, Any], limit: Decimal | None, stop: Decimal | None) -> OrderType | None:
    """The type that is named, else the one that the prices mean."""
    named: OrderType | None = _word(entry, "type", OrderType)
    if named is not None or (limit is None and stop is None):
        return named
    if stop is None:
        return OrderType.LIMIT
    return OrderType.STOP if limit is None else OrderType.STOP_LIMIT


def _word(entry: Mapping[str, Any], name: str, words: Any) -> Any:
    text = _text(entry, name).upper()
    try:
        return words(text) if text else None
    except ValueError:
        raise BadSignal(f"{name} {shown(text)} is none of {', '.join(words)}.") from None


def _level(entry: Mapping[str, Any], name: str) -> Level | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadSignal(f"{name} {shown(value)} cannot be read: write a price, 2%, or 1.5 away.")
    try:
        level = Level.parse(str(value))
    except ValueError:
        raise BadSignal(f"{name} {shown(value)} cannot be read: write a price, 2%, or 1.5 away.") from None
    return level


def _whole(entry: Mapping[str, Any], name: str) -> int | None:
    if entry.get(name) is None:
        return None
    found = number(entry[name], name)
    if found != int(found) or found <= 0:
        raise BadSignal(f"{name} {found:f} must be a whole number above zero.")
    return int(found)


def _text(entry: Mapping[str, Any], name: str, required: bool = False) -> str:
    value = entry.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or not value.strip() or len(value) > 200 or not value.isprintable():
        raise BadSignal(f"{name} {shown(value)} is no name: give text of 1 to 200 characters.")
    return value.strip()


def _client_order_id(entry: Mapping[str, Any]) -> str:
    text = _text(entry, "client_order_id")
    if len(text) > 128 or RESERVED.search(text) or text.startswith("sig:"):
        raise BadSignal(f"client_order_id {shown(text)} is longer than 128 characters, or like the gateway's own.")
    return text


def _key(body: Mapping[str, Any], data: bytes) -> str:
    """The sender's own: an `id`; or the orders' ids with all that the body says, so that other words are another."""
    if body.get("id") is not None:
        return f"id {_text(body, 'id')}"
    ids = [_client_order_id(each) for each in body.get("signals", [body]) if isinstance(each, dict)]
    if not ids or not all(ids):
        return ""
    return f"orders {sha256(data).hexdigest()}"


def _max_age(body: Mapping[str, Any]) -> float | None:
    if body.get("max_age") is None:
        return None
    age = number(body["max_age"], "max_age")
    if not 0 < age < 10**9:
        raise BadSignal(f"max_age {age:f} must be seconds above zero.")
    return float(age)
