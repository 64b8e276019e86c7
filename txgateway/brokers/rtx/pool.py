"""The logical connections of one link: questions asked, advises kept, a pool for each SERVICE;TOPIC.

A question waits for a free logical connection of its key, and a new one is made while there are few. Cancels go before
orders, orders before questions. When the link is lost all that waits fails at once: what had not been written surely
did not arrive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred

from txgateway.brokers.rtx.protocol import (
    Ack,
    Answered,
    Ended,
    Failed,
    Message,
    News,
    Outcome,
    Phase,
    Question,
    Response,
    Row,
    Status,
    Talk,
    Update,
    Verb,
)
from txgateway.model.errors import Ambiguous, Reason, Refused

SIZE = 16
"""Logical connections of one key that are asked at once; those of advises are not counted."""


class Urgency(IntEnum):
    """What goes first."""

    CANCEL = 0
    ORDER = 1
    QUESTION = 2


Write = Callable[[bytes, Urgency, Callable[[], bool]], None]
"""Sends a line when its turn comes, unless what is called then says that nobody waits for it any longer."""


class AdviseEnded(Exception):
    """The advise is over: nothing more comes of it."""


@dataclass(slots=True, eq=False)
class _Asked:
    """One question on its way."""

    question: Question
    urgency: Urgency
    answer: Deferred[tuple[Row, ...]] = field(init=False)
    sent: bool = False
    heard: Callable[[Row], None] | None = None
    ended: Callable[[str], None] | None = None
    gone: bool = False


class Advise:
    """An advise that stands; `stop` ends it."""

    def __init__(self, pool: Pool, talk: Talk, asked: _Asked) -> None:
        self._pool = pool
        self._talk = talk
        self._asked = asked

    def stop(self) -> None:
        """Hear nothing more."""
        self._asked.heard = self._asked.ended = None
        self._pool.unadvise(self._talk, self._asked.question)


class Pool:
    """Every logical connection of one link."""

    def __init__(self, write: Write, venue: str) -> None:
        self._write = write
        self._venue = venue
        self._talks: dict[str, Talk] = {}
        self._asked: dict[str, _Asked] = {}
        self._idle: dict[str, list[Talk]] = {}
        self._waiting: dict[str, tuple[deque[_Asked], deque[_Asked], deque[_Asked]]] = {}
        self._busy: dict[str, set[str]] = {}
        self._lost = ""

    @property
    def lost(self) -> bool:
        """Whether the link is gone: what fails then fails for that."""
        return bool(self._lost)

    # asking

    def ask(self, key: str, question: Question, urgency: Urgency = Urgency.QUESTION) -> Deferred[tuple[Row, ...]]:
        """The rows that answer a request, none for a poke.

        A poke fails with Refused when it was not sent, with Ambiguous when it may have arrived.
        """
        return self._enter(key, _Asked(question, urgency))

    async def advise(
        self, key: str, question: Question, heard: Callable[[Row], None], ended: Callable[[str], None]
    ) -> Advise:
        """An advise: `heard` gets every row, `ended` is told when it is over without our having stopped it."""
        asked = _Asked(question, Urgency.QUESTION, heard=heard, ended=ended)
        await self._enter(key, asked)
        name = next((name for name, each in self._asked.items() if each is asked), None)
        if name is None:
            raise AdviseEnded(f"the advise {question.item} is over already")
        return Advise(self, self._talks[name], asked)

    def unadvise(self, talk: Talk, question: Question) -> None:
        """End an advise; its logical connection is then free."""
        if talk.phase is Phase.ADVISING and not self._lost:
            asked = _Asked(Question(Verb.UNADVISE, question.item), Urgency.QUESTION)
            asked.answer = Deferred()
            asked.answer.addErrback(lambda failure: None)
            self._put(talk, asked)

    def _enter(self, key: str, asked: _Asked) -> Deferred[tuple[Row, ...]]:
        asked.answer = Deferred(lambda _: self._give_up(key, asked))
        if self._lost:
            self._fail(asked, self._lost)
            return asked.answer
        queues = self._waiting.setdefault(key, (deque(), deque(), deque()))
        queues[asked.urgency].append(asked)
        self._serve(key)
        return asked.answer

    def _serve(self, key: str) -> None:
        """Let who waits have what is free; make a new logical connection where there are few."""
        if self._lost:
            return
        queues, idle = self._waiting[key], self._idle.setdefault(key, [])
        busy = self._busy.setdefault(key, set())
        while idle and (asked := _next(queues)):
            self._put(idle.pop(), asked)
        opening = sum(1 for name in busy if self._talks[name].phase is Phase.OPENING)
        wanting = sum(map(len, queues))
        while opening < wanting and len(busy) < SIZE:
            talk = Talk(str(uuid4()), key)
            self._talks[talk.name] = talk
            busy.add(talk.name)
            opening += 1
            self._write(talk.open(), Urgency.CANCEL, partial(self._talks.__contains__, talk.name))

    def _put(self, talk: Talk, asked: _Asked) -> None:
        try:
            data = talk.ask(asked.question)
        except ValueError as error:
            self._free(talk)
            if not asked.answer.called:
                asked.answer.errback(Refused(Reason.UNSUPPORTED, f"It cannot be sent: {error}."))
            return
        self._asked[talk.name] = asked
        if asked.question.verb in (Verb.REQUEST, Verb.POKE):
            self._busy[talk.key].add(talk.name)

        def sent() -> bool:
            asked.sent = not asked.gone
            return asked.sent

        self._write(data, asked.urgency, sent)

    def _free(self, talk: Talk) -> None:
        self._busy.get(talk.key, set()).discard(talk.name)
        if talk.phase is Phase.IDLE:
            self._idle.setdefault(talk.key, []).append(talk)
        self._serve(talk.key)

    def _drop(self, talk: Talk) -> None:
        self._talks.pop(talk.name, None)
        self._busy.get(talk.key, set()).discard(talk.name)
        self._serve(talk.key)

    def _give_up(self, key: str, asked: _Asked) -> None:
        """Nobody waits for the answer any longer. Its logical connection is not used again, for it may still come.

        What was not written by now never will be. A connection that is still being made when somebody has waited so
        long for one is not waited for.
        """
        asked.gone = True
        name = next((name for name, each in self._asked.items() if each is asked), None)
        if name is not None:
            del self._asked[name]
            self._drop(self._talks[name])
        elif not self._lost:
            with suppress(ValueError):
                self._waiting[key][asked.urgency].remove(asked)
            for talk in [each for each in self._talks.values() if each.key == key and each.phase is Phase.OPENING]:
                self._drop(talk)
        if asked.question.verb is Verb.POKE and not asked.sent:
            text = f"Venue {self._venue} did not get to it in time, and it was not sent: send it again."
            asked.answer.errback(Refused(Reason.VENUE_DOWN, text))

    # hearing

    def receive(self, message: Message) -> None:
        """Take a message in."""
        if not isinstance(message, Ack | Response | Status | Update):
            return
        talk = self._talks.get(message.id)
        if talk is None:
            return
        opening = talk.phase is Phase.OPENING
        for outcome in talk.receive(message):
            if not self._lost:
                self._outcome(talk, outcome, opening)

    def _outcome(self, talk: Talk, outcome: Outcome, opening: bool) -> None:
        asked = self._asked.get(talk.name)
        if isinstance(outcome, News):
            if asked is not None and asked.heard is not None:
                asked.heard(outcome.row)
        elif isinstance(outcome, Answered):
            if talk.phase is Phase.ADVISING:
                self._busy.get(talk.key, set()).discard(talk.name)
                self._serve(talk.key)
            else:
                self._asked.pop(talk.name, None)
                self._free(talk)
            if asked is not None and not asked.answer.called:
                asked.answer.callback(outcome.rows)
        else:
            self._over(talk, asked, outcome, opening)

    def _over(self, talk: Talk, asked: _Asked | None, outcome: Failed | Ended, opening: bool) -> None:
        self._asked.pop(talk.name, None)
        self._talks.pop(talk.name, None)
        self._busy.get(talk.key, set()).discard(talk.name)
        if opening and self._busy.get(talk.key):
            return  # there are others, and who waits gets one of those
        if opening:
            for queue in self._waiting[talk.key]:
                while queue:
                    self._fail(queue.popleft(), f"{talk.key} cannot be reached: {outcome.text}")
            return
        if talk in self._idle.get(talk.key, []):
            self._idle[talk.key].remove(talk)
        if asked is not None and not asked.answer.called:
            self._fail(asked, outcome.text)
        elif asked is not None and asked.ended is not None:
            asked.ended(outcome.text)
        self._serve(talk.key)

    def _fail(self, asked: _Asked, text: str) -> None:
        if asked.answer.called or asked.gone:
            return
        if asked.sent and asked.question.verb is Verb.POKE:
            asked.answer.errback(Ambiguous(f"Venue {self._venue}: {text}: it may have arrived or not."))
        else:
            words = "nothing was sent" if asked.question.verb is Verb.POKE else "ask again"
            asked.answer.errback(Refused(Reason.VENUE_DOWN, f"Venue {self._venue}: {text}: {words}."))

    def lose(self, text: str) -> None:
        """The link is gone, and with it everything."""
        self._lost = text
        waiting = [asked for queues in self._waiting.values() for queue in queues for asked in queue]
        asked_now = list(self._asked.values())
        self._waiting.clear()
        self._asked.clear()
        self._talks.clear()
        self._idle.clear()
        self._busy.clear()
        for asked in [*asked_now, *waiting]:
            self._fail(asked, text)


def _next(queues: tuple[deque[_Asked], ...]) -> Any:
    """The most urgent that somebody still waits for."""
    for queue in queues:
        while queue:
            asked = queue.popleft()
            if not asked.gone:
                return asked
    return None
