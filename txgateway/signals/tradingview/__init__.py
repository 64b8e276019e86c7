"""TradingView: alerts over HTTP, in every convention of their messages that is seen in the wild.

    POST /webhooks/tradingview/<source>[/<secret>]

TradingView sends the alert's message as it is, with no header of its own: the secret is a member of the message, or the
end of the URL. It gives up after 3 s, and sends the same bytes again 5 s after a failure, three times at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

from txgateway.model.signal import Answer, Instruction, Source
from txgateway.signals import (
    BadSignal,
    Message,
    Post,
    Refusal,
    TooLarge,
    WrongSecret,
    json_answer,
    moment,
    number,
    same,
    shown,
)
from txgateway.signals.tradingview.bodies import LARGEST, documents, picked, place, text_of, unexpanded
from txgateway.signals.tradingview.orders import instruction_of
from txgateway.signals.tradingview.words import NAMES, Fields, Said, plain

WINDOW = 30.0
"""Seconds. The last of the deliveries that TradingView repeats comes 27 s after the first (three times 3 s without an
answer and 5 s of pause, and 3 s for the last); the next alert of a one-minute bar comes after 60 s."""
MOST_WORDS = 200
"""Words of a message of text that are tried as the secret."""
_SECRETS = frozenset(plain(name) for name in NAMES["secret"].split())
_MEMBER = re.compile(r'"([\w.\- ]{1,40})"\s*:\s*"((?:[^"\\]|\\.)*)"')
_WORD = re.compile(r"([\w.\-]{1,40})\s?=\s?[\"']?([^\s,;|\"']+)")
_PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class TradingView:
    """The language of TradingView's alerts."""

    outcome = False
    window = WINDOW

    def verify(self, source: Source, post: Post) -> None:
        """By the end of the URL, or by a member (or a word) of the message."""
        found = False
        for given in _secrets(source, post):
            found |= same(given, source.secret)
        if not found and len(post.body) > LARGEST:
            raise TooLarge(f"The message has {len(post.body)} bytes, and may have {LARGEST}: its secret was not read.")
        if not found:
            raise WrongSecret(
                'The secret is missing or wrong: put "passphrase": "<secret>" into the message, '
                "or the secret behind the source's name in the URL."
            )

    def read(self, source: Source, post: Post) -> Message:
        """An order, or a batch of them: all or none."""
        found = [Fields(picked(source, each)) for each in documents(source, post.body)]
        for fields in found:
            _require_expanded(fields, post)
        instructions = tuple(instruction_of(fields, source) for fields in found)
        clocks = [_sent(fields, source) for fields in found]
        ages = [age for _, age in clocks if age is not None]
        return Message(
            instructions=instructions,
            key=_key(found, instructions),
            sent=min((sent for sent, _ in clocks if sent is not None), default=None),
            max_age=min(ages, default=None),
            about="; ".join(map(str, instructions)),
            warnings=tuple(_warnings(found)),
        )

    def accepted(self, signal_id: str, message: Message, post: Post) -> Answer:
        """Taken in."""
        return json_answer(200, {"status": "Accepted", "id": signal_id})

    def refused(self, refusal: Refusal, status: int) -> Answer:
        """Not taken in."""
        return json_answer(status, {"status": "Error", "errorMsg": refusal.text, "reason": refusal.reason})


# ---------------------------------------------------------------- the secret


def _secrets(source: Source, post: Post) -> Iterator[str]:
    """Whatever could be the secret."""
    rest = post.rest.strip("/")
    if rest:
        yield rest
        yield _ESCAPE.sub(lambda each: bytes([int(each[1], 16)]), rest.encode("utf-8", "replace")).decode(
            "utf-8", "replace"
        )
    try:
        text = text_of(post.body)
    except BadSignal:
        return
    if text[0] not in "{[":
        yield from (line.strip() for line in text.splitlines()[:MOST_WORDS])
        yield from re.split(r"[\s,;|]+", text, maxsplit=MOST_WORDS)[:MOST_WORDS]
    try:
        read = documents(source, post.body)
    except BadSignal:
        found = _MEMBER.findall(text) if text[0] in "{[" else _WORD.findall(text)
        yield from (value for name, value in found if plain(name) in _SECRETS)
        return
    for document in read:
        yield from _of(document.value)
        if source.mapping.get("secret"):
            try:
                yield from (str(said.value) for said in Fields(picked(source, document)).all("secret"))
            except BadSignal:
                continue


def _of(value: dict[str, Any], depth: int = 0) -> Iterator[str]:
    for name, each in value.items():
        if isinstance(each, dict) and depth < 3:
            yield from _of(each, depth + 1)
        elif plain(name) in _SECRETS and isinstance(each, str):
            yield each


# ---------------------------------------------------------------- what else a message says


def _require_expanded(fields: Fields, post: Post) -> None:
    for said in fields.used():
        left = _PLACEHOLDER.search(said.value) if isinstance(said.value, str) else None
        if left is not None:
            text = text_of(post.body)
            at = text.find(left[0])
            where = place(text, at) if at >= 0 else said.name
            raise BadSignal(fields.where + unexpanded(left[0], where))


def _sent(fields: Fields, source: Source) -> tuple[datetime | None, float | None]:
    """When it was sent, and how old it may be, by the message; BadSignal where its age is limited and not told."""
    lag, said = _lag(fields), fields.first("time")
    judged = lag is not None or source.max_age is not None
    if said is None:
        if judged:
            raise BadSignal(
                f"{fields.where}its age is limited, and it tells no time: "
                'add "timenow": "{{timenow}}" to the alert\'s message.'
            )
        return None, None
    try:
        return moment(said.value, f"{fields.where}{said.name}"), lag
    except BadSignal:
        if judged:
            raise
        return None, None


def _lag(fields: Fields) -> float | None:
    said = fields.one("max_lag")
    if said is None:
        return None
    value = said.value.strip().lower().removesuffix("s") if isinstance(said.value, str) else said.value
    lag = number(value, f"{fields.where}{said.name}")
    if not 0 < lag < 10**9:
        raise BadSignal(f"{fields.where}{said.name} {shown(said.value)} must be seconds above zero.")
    return float(lag)


def _key(found: list[Fields], instructions: tuple[Instruction, ...]) -> str:
    """The sender's own marks, with what is asked for: one mark on the orders of two symbols is two signals."""
    marks = [_mark(fields) for fields in found]
    if not all(marks):
        return ""
    asked = [
        (each.act, each.symbol, each.side, str(each.amount), str(each.target), each.strategy) for each in instructions
    ]
    return f"alert:{sha256(repr((marks, asked)).encode()).hexdigest()}"


def _mark(fields: Fields) -> str:
    """What tells this alert from all others; empty where nothing does."""
    for said in fields.all("id"):
        if isinstance(said.value, str | int | float) and (plain(said.name) in ALWAYS or _is_unique(said.value)):
            return f"{plain(said.name)}:{said.value}"
    return ""


ALWAYS = frozenset({"nonce", "alerttimestamp"})
"""Names of what cannot but be another each time."""


def _is_unique(value: str | int | float) -> bool:
    """Whether an id can be another each time: the ids that TradingView itself gives are names of orders."""
    return len(re.findall(r"\d", str(value))) >= 6


def _warnings(found: list[Fields]) -> Iterator[str]:
    if any(plain(said.name.rpartition(".")[2]) == "volume" for fields in found for said in fields.all("quantity")):
        yield 'The quantity is taken from "volume": call it "quantity", for {{volume}} is what the whole market traded.'
    names: dict[str, Said] = {plain(said.name): said for fields in found for said in fields.all("id")}
    for said in names.values():
        known = isinstance(said.value, str | int | float) and not isinstance(said.value, bool)
        if known and plain(said.name) not in ALWAYS and not _is_unique(said.value):
            yield (
                f"{said.name} {shown(said.value)} looks like a name that comes again: alerts are told apart by what "
                "else they say. Put {{timenow}} into it."
            )
