"""The way in of a signal: prove, read, deduplicate, [size, check,] record, answer. What is answered is on disk before.

Senders whose answer carries the outcome are told what sizing and the checks came to, judged against what was taken in
before and not against fills: signals of one account are judged one after another. Carrying out is carrier's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from txgateway.brokers import Broker
from txgateway.carrier import Carrier
from txgateway.gateway import Gateway
from txgateway.grounds import grant_of
from txgateway.intents import Intent, intent_of
from txgateway.journal import Journal
from txgateway.keys import signal_key
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import IntegrationChanged, SignalEnded, SignalReceived, SignalRefused
from txgateway.model.instrument import AssetClass
from txgateway.model.integration import News, Step
from txgateway.model.order import OrderRequest, Origin
from txgateway.model.signal import Act, Answer, Instruction, Outcome, Plan, Signal, Source, StrategyPosition
from txgateway.risk import is_open
from txgateway.signals import (
    BadSignal,
    Language,
    Message,
    Post,
    Refusal,
    TooLarge,
    WrongSecret,
    admit,
    hidden,
    redacted,
)
from txgateway.sizing import Ground
from txgateway.sources import Sources

log = Logger()

ZERO = Decimal(0)
AHEAD = timedelta(seconds=60)
"""How far a sender's clock may be before ours."""
LATEST = 300.0
"""Seconds after which nothing is opened by a signal any more, where neither it nor its source says so."""


@dataclass(slots=True)
class Tally:
    """What came from a source since the start; `warning` is what its sender last told the operator."""

    received: int = 0
    refused: int = 0
    repeated: int = 0
    wrong: int = 0
    last: datetime | None = None
    warning: str = ""


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A request that was understood; `key`, `mark` and `forget` as Signal has them."""

    source: Source
    language: Language
    post: Post
    message: Message
    key: str = ""
    mark: str = ""
    forget: datetime | None = None


class Signaling:
    """Takes in what senders post."""

    def __init__(
        self,
        gateway: Gateway,
        brokers: Mapping[str, Broker],
        sources: Sources,
        languages: Mapping[str, Language],
        journal: Journal,
        carrier: Carrier,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.sources = sources
        self.languages = languages
        self.tallies: dict[str, Tally] = {}
        self.carrier = carrier
        self._gateway = gateway
        self._strategies = gateway.state.strategies
        self._brokers = brokers
        self._journal = journal
        self._clock = clock
        self._new_id = new_id
        self._arriving: dict[tuple[str, str], list[Deferred[Answer]]] = {}
        self._gates: dict[str, DeferredLock] = {}

    def tally(self, source: str) -> Tally:
        """What came from a source since the start."""
        return self.tallies.setdefault(source, Tally())

    def prove(self, source: Source, post: Post) -> None:
        """Pass over what is from this source; WrongSecret, counted, for anything else."""
        try:
            admit(source, post)
            self.languages[source.kind].verify(source, post)
        except WrongSecret as error:
            if not isinstance(error, TooLarge):
                self.tally(source.name).wrong += 1
            raise

    async def receive(self, source: Source, post: Post) -> Answer:
        """The answer to a request; when it comes, what it says is on disk.

        WrongSecret: it is not from this source. Refused (JOURNAL_FAILED): nothing was taken in, it may be sent again.
        """
        self.prove(source, post)
        language, tally = self.languages[source.kind], self.tally(source.name)
        tally.last = post.time
        post = replace(post, body=hidden(post.body, source.secret), rest="", headers={})
        try:
            message = language.read(source, post)
        except BadSignal as error:
            arrival = _Arrival(source, language, post, Message())
            return await self._refuse(arrival, Refusal(Reason.BAD_SIGNAL, str(error)))
        for each in message.warnings:
            tally.warning = each
            log.warn("source {source}: {text}", source=source.name, text=each)
        self._note_ending(source, post, message)
        window = language.window if source.duplicate_window is None else source.duplicate_window
        forget = post.time + timedelta(seconds=max(window, 0))
        if message.mark and window > 0:
            return await self._once(_Arrival(source, language, post, message, message.key, message.mark, forget))
        if message.key:
            return await self._once(_Arrival(source, language, post, message, message.key))
        if window <= 0 or message.mark is not None:
            return await self._take(_Arrival(source, language, post, message))
        key = f"sha256:{sha256(b' '.join(post.body.split())).hexdigest()}"
        return await self._once(_Arrival(source, language, post, message, key, forget=forget))

    # once

    async def _once(self, arrival: _Arrival) -> Answer:
        """The first answer, to whoever brings the same again; also while the first is under way."""
        name = (arrival.source.name, arrival.mark or arrival.key)
        waiting = self._arriving.get(name)
        if waiting is not None:
            self.tally(arrival.source.name).repeated += 1
            waiting.append(Deferred())
            return await waiting[-1]
        self._arriving[name] = waiting = []
        try:
            answer = await self._first_answer(arrival)
            if answer is None:
                answer = await self._take(arrival)
            else:
                self.tally(arrival.source.name).repeated += 1
        except BaseException as error:
            del self._arriving[name]
            for each in waiting:
                each.errback(error)
            raise
        del self._arriving[name]
        for each in waiting:
            each.callback(answer)
        return answer

    async def _first_answer(self, arrival: _Arrival) -> Answer | None:
        """What was answered to a signal with this mark or key, whenever that was; None when it is new."""
        source, key = arrival.source.name, arrival.mark or arrival.key
        known = self._strategies.known(source, key, arrival.post.time)
        if known is not None and known.reason is Reason.JOURNAL_FAILED and not known.orders:
            return None  # its sender was told that nothing was taken in
        if known is not None:
            await self._settled()
            self._note_repeat(arrival, known)
            return known.answer
        if arrival.forget is not None:
            return None
        signal_id = await self._journal.find("signal", signal_key(source, key))
        if signal_id is None:
            return None
        for record, _ in await self._gateway.history.page(0, 1, signal_id, ()):
            if isinstance(record.event, SignalReceived | SignalRefused):
                return record.event.answer
        return None

    # taking in

    async def _take(self, arrival: _Arrival) -> Answer:
        until = _until(arrival)
        message, post = arrival.message, arrival.post
        if not message.instructions:
            return await self._admit(arrival, until, ())
        if post.time > until and message.sent is not None:
            age = (post.time - message.sent).total_seconds()
            most = (until - message.sent).total_seconds()
            text = f"The signal is {age:.0f} s old, and may be {most:g} s old: nothing was sent."
            return await self._refuse(arrival, Refusal(Reason.STALE_SIGNAL, text))
        if message.sent is not None and message.sent > post.time + AHEAD and _ages(arrival):
            ahead = (message.sent - post.time).total_seconds()
            text = (
                f"The signal's time is {ahead:.0f} s ahead of ours, so its age is unknown: mend its clock, or its zone."
            )
            return await self._refuse(arrival, Refusal(Reason.STALE_SIGNAL, text))
        if not arrival.language.outcome:
            return await self._admit(arrival, until, ())
        await self._await_prices(arrival)
        gate = self._gates.setdefault(arrival.source.account, DeferredLock())
        await gate.acquire()
        try:
            try:
                plans = await self._plan(arrival.source, message)
            except Refused as error:
                answered = self._refuse(arrival, Refusal(error.reason, error.text))
            except GatewayError as error:
                answered = self._refuse(arrival, Refusal(Reason.VENUE_DOWN, str(error)))
            else:
                answered = self._admit(arrival, until, plans)
            done = Deferred.fromCoroutine(answered)  # its record is made at once; the disk is waited for outside
        finally:
            gate.release()
        return await done

    async def _admit(self, arrival: _Arrival, until: datetime, plans: tuple[Plan, ...]) -> Answer:
        source, post, message = arrival.source, arrival.post, arrival.message
        signal_id = self._new_id()
        answer = arrival.language.accepted(signal_id, message, post)
        if isinstance(message.news, News) and message.news.step is not None:
            self._record(_changed(source, post, message, message.news, message.news.step))
        self._record(
            SignalReceived(
                signal_id=signal_id,
                source=source.name,
                kind=source.kind,
                account=source.account,
                body=redacted(post.body),
                time=post.time,
                answer=answer,
                instructions=message.instructions,
                plans=plans,
                key=arrival.key,
                mark=arrival.mark,
                host=post.host,
                about=message.about,
                warnings=message.warnings,
                sent=message.sent,
                until=until,
                forget=arrival.forget,
                shadow=source.shadow,
            )
        )
        self.tally(source.name).received += 1
        try:
            await self._settled()
        except Refused as error:
            self._gateway.ledger.record(_called_off(signal_id, source, error, self._clock()))
            raise
        self.carrier.begin(self._strategies.pending.get(signal_id))
        return answer

    async def _refuse(self, arrival: _Arrival, refusal: Refusal) -> Answer:
        source, post = arrival.source, arrival.post
        answer = arrival.language.refused(refusal, 400)
        self._record(
            SignalRefused(
                signal_id=self._new_id(),
                source=source.name,
                kind=source.kind,
                account=source.account,
                body=redacted(post.body),
                time=post.time,
                answer=answer,
                reason=refusal.reason,
                text=refusal.text,
                key=arrival.key,
                mark=arrival.mark,
                host=post.host,
                about=arrival.message.about,
                forget=arrival.forget,
            )
        )
        self.tally(source.name).refused += 1
        await self._settled()
        return answer

    def _note_repeat(self, arrival: _Arrival, known: Signal) -> None:
        """Warn of a mark that comes again when no sender still tries: what is the same each time is none."""
        age = (arrival.post.time - known.time).total_seconds()
        if arrival.forget is None and age > LATEST:
            text = f"A signal has the mark of one {age:.0f} s ago ({known.signal_id}), and was taken for the same."
            self.tally(arrival.source.name).warning = text
            log.warn("source {source}: {text}", source=arrival.source.name, text=text)

    def _note_ending(self, source: Source, post: Post, message: Message) -> None:
        """Put on record what the sender is about to end, once; or that it is not any more."""
        news = message.news
        if not isinstance(news, News) or self._gateway.ledger.error is not None:
            return
        integrations = self._gateway.state.integrations
        known = integrations.known.get((source.name, news.name or source.name))
        if news.ending != (known.warning if known is not None else ""):
            self._record(_changed(source, post, message, news, Step.ENDING))

    def _record(self, event: SignalReceived | SignalRefused | IntegrationChanged) -> None:
        if self._gateway.ledger.error is not None:
            raise self._gateway.ledger.refusal()
        self._gateway.ledger.record(event)

    async def _settled(self) -> None:
        await self._gateway.settled()
        if self._gateway.ledger.error is not None:
            raise self._gateway.ledger.refusal()

    # what an answer that carries the outcome goes by

    async def _await_prices(self, arrival: _Arrival) -> None:
        """Have each symbol's first price before the gate: one that is slow in coming holds up nobody else."""
        for instruction in arrival.message.instructions:
            try:
                if instruction.symbol:
                    await self._ground(arrival.source, instruction)
            except GatewayError:
                continue

    async def _ground(self, source: Source, instruction: Instruction) -> tuple[Instruction, Ground]:
        named, symbol = await self.carrier.grounds.named(source, instruction)
        return named, await self.carrier.grounds.ground(source, replace(named, symbol=symbol))

    async def _plan(self, source: Source, message: Message) -> tuple[Plan, ...]:
        """Where each instruction goes, judged against what was taken in before; Refused where one cannot be."""
        plans = []
        for instruction in message.instructions:
            if instruction.act is Act.CANCEL:
                plans.append(self._plan_cancel(source, instruction))
                continue
            if instruction.act is Act.AMEND:
                plans.append(await self._plan_amend(source, instruction))
                continue
            named, ground = await self._ground(source, instruction)
            symbol = ground.instrument.symbol
            standing = self.carrier.standing
            position = standing.at(source.account, symbol, source.name, instruction.strategy)
            intent = intent_of(source, named, ground, standing.intended(position), position.taken)
            if intent.opens and named.act in (Act.OPEN, Act.REOPEN):
                self._require_only(position, named)
            request = self.carrier.grounds.request_for(source, named, intent, ground)
            cost = ZERO
            if request is not None:
                self._require_hours(source, ground)
                denial = await self._gateway.preview(request, source.name, Origin.WEBHOOK, grant_of(source))
                if denial is not None:
                    raise Refused(denial.reason, denial.text)
                spent = sum((plan.cost for plan in plans), self.carrier.promised(source.account))
                cost = await self._require_funds(source, request, intent, ground, spent)
            much = abs(intent.opens if named.act is Act.REOPEN else intent.opens - intent.closes)
            plans.append(Plan(source.account, symbol, intent.after, much or None, cost))
        return tuple(plans)

    def _require_only(self, position: StrategyPosition, instruction: Instruction) -> None:
        """A strategy that may hold one position holds nothing else."""
        other = self.carrier.standing.elsewhere(position)
        if other is not None:
            held = f"{self.carrier.standing.intended(other):f} {other.symbol} in {other.account}"
            name = instruction.strategy_name or instruction.strategy or position.source
            text = f"Strategy {name} holds {held} already, and may hold one position: close it first."
            raise Refused(Reason.POSITION_EXISTS, text)

    def _plan_cancel(self, source: Source, instruction: Instruction) -> Plan:
        """What is on its way to the venue is waited for, and canceled then."""
        held = self._strategies.of(source.name, instruction.strategy)
        coming = self._strategies.coming(source.name, instruction.strategy)
        if not coming and not any(each.entry in each.working for each in held):
            name = instruction.strategy_name or instruction.strategy or source.name
            raise Refused(Reason.NO_POSITION, f"Strategy {name} has no order that works: there is nothing to cancel.")
        return Plan(source.account, "")

    async def _plan_amend(self, source: Source, instruction: Instruction) -> Plan:
        """What is on its way to the venue can be judged only when it is there."""
        named, ground = await self._ground(source, instruction)
        symbol = ground.instrument.symbol
        if symbol not in self._strategies.coming(source.name, instruction.strategy):
            position = self.carrier.standing.at(source.account, symbol, source.name, instruction.strategy)
            await self.carrier.revisions.check(named, position, ground.instrument)
        return Plan(source.account, symbol)

    def _require_hours(self, source: Source, ground: Ground) -> None:
        """Who is told the outcome is told that the market is closed."""
        session = ground.instrument.session
        if session is not None and not is_open(session, self._brokers[self.carrier.grounds.venue_of(source)].now()):
            text = f"The market of {ground.instrument.symbol} is closed: send it when it is open."
            raise Refused(Reason.MARKET_CLOSED, text)

    async def _require_funds(
        self, source: Source, request: OrderRequest, intent: Intent, ground: Ground, spent: Decimal
    ) -> Decimal:
        """And that the account cannot pay for what is opened, as far as its broker says what it can pay.

        Gives what it costs beyond what its close frees; `spent` is what the broker does not know of yet.
        """
        instrument, quote, opens = ground.instrument, ground.quote, abs(intent.opens)
        if instrument.asset_class in (AssetClass.FUTURE, AssetClass.PERPETUAL) or quote is None or not opens:
            return ZERO
        report = await self._brokers[self.carrier.grounds.venue_of(source)].balances(source.account)
        power = report.buying_power
        if power is None or instrument.currency != report.values.get("currency", instrument.currency):
            return ZERO
        price = request.limit_price or (quote.ask if request.side.sign > 0 else quote.bid)
        worth = price * opens * instrument.multiplier
        freed = price * abs(intent.closes) * instrument.multiplier
        if worth > power - spent + freed:
            text = f"{opens:f} {request.symbol} cost about {worth:.2f} {instrument.currency}, and account "
            has = f"{source.account} has {power - spent + freed:.2f} to buy with"
            raise Refused(Reason.INSUFFICIENT_FUNDS, f"{text}{has}.")
        return max(ZERO, worth - freed)

    # rehearsing

    async def rehearse(self, source: Source, body: bytes, about: str = "") -> list[str]:
        """What a body would do now, a sentence an instruction; nothing is recorded, and nothing sent."""
        message = self.languages[source.kind].read(source, Post(body, self._clock(), call=about))
        said = []
        for instruction in message.instructions:
            try:
                if instruction.act is Act.CANCEL:
                    said.append("Would end the strategy's working orders.")
                else:
                    said.append(await self.carrier.grounds.rehearse(source, *await self._ground(source, instruction)))
            except Refused as error:
                said.append(f"Would be refused ({error.reason}): {error.text}")
        return said or [message.about or "There is nothing to be done for it."]


def _changed(source: Source, post: Post, message: Message, news: News, step: Step) -> IntegrationChanged:
    return IntegrationChanged(
        source=source.name,
        account=source.account,
        name=news.name or source.name,
        step=step,
        time=post.time,
        sent=message.sent,
        description=news.description,
        strategy=news.strategy,
        strategy_name=news.strategy_name,
        text=news.ending if step is Step.ENDING else "",
    )


def _called_off(signal_id: str, source: Source, error: Refused, now: datetime) -> SignalEnded:
    """The end of a signal that could not be put on disk: it may be sent again, and is carried out then."""
    return SignalEnded(
        signal_id=signal_id,
        source=source.name,
        account=source.account,
        outcome=Outcome.REFUSED,
        time=now,
        reason=error.reason,
        text=error.text,
    )


def _ages(arrival: _Arrival) -> list[float]:
    """How old it may be, as its source and it itself say."""
    return [each for each in (arrival.source.max_age, arrival.message.max_age) if each is not None]


def _until(arrival: _Arrival) -> datetime:
    """When it is too late to open anything by it: by the sender's clock, where it tells the time."""
    message, post, ages = arrival.message, arrival.post, _ages(arrival)
    if not ages:
        return post.time + timedelta(seconds=LATEST)
    return min(message.sent or post.time, post.time) + timedelta(seconds=min(ages))
