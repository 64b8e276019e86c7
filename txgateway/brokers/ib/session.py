"""What is known on one link: the questions that are open, and the orders. It ends with the link.

Questions without a number of their own (open orders, completed ones, positions) are asked one at a time of each kind.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from ib_async import BarData, CommissionReport, Contract, ContractDetails, ExecutionFilter, OrderState
from ib_async import Execution as IbExecution
from ib_async import Order as IbOrder
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger

from txgateway.brokers.ib import codes, contracts, translate
from txgateway.brokers.ib.book import Book, Entry
from txgateway.brokers.ib.client import Late, PacedClient
from txgateway.brokers.ib.directory import Directory
from txgateway.brokers.ib.lanes import Piece, Urgency
from txgateway.brokers.ib.lines import Lines
from txgateway.brokers.ib.numbers import MOST, Numbers
from txgateway.brokers.ib.options import IbOptions
from txgateway.brokers.ib.pacing import Pacing
from txgateway.brokers.ib.snapshots import Snapshots
from txgateway.brokers.ib.told import Told
from txgateway.brokers.ib.translate import BarQuestion, Value
from txgateway.model.errors import Ambiguous, GatewayError, Reason, Refused, TimedOut
from txgateway.model.events import Executed, OrderEvent
from txgateway.model.execution import Execution
from txgateway.model.market import LastPrice, NoPrice

log = Logger()

ZERO = Decimal(0)
ANSWER_SECONDS = 15.0
"""So long a question may stay unanswered, from when it has left. A list that comes late would be taken for the next
one: the link goes."""
TURN_SECONDS = 60.0
"""So long an order, or a change, may wait for its turn here; then it is refused, for nobody wants it so late."""
GRACE_SECONDS = 0.15
"""After an error or an end of an order: so soon the open orders are asked for. What belongs to it has come by then."""
PATIENT_SECONDS = 5.0
"""A question for bars waits so long for its turn; longer than that it is refused."""


class RequestRefused(GatewayError):
    """TWS's error to a question."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"TWS says {code}: {text}")
        self.code = code
        self.text = text


class TooMany(Ambiguous):
    """TWS's answer to an order is that there were too many messages."""


class _Question:
    """One question: what has come, and who waits. `late` is called when it has left and no answer came in time."""

    def __init__(self, reactor: Any, late: Callable[[], None]) -> None:
        self.rows: list[Any] = []
        self.answer: Deferred[list[Any]] = Deferred()
        self.left = False
        self.then: Callable[[], None] | None = None
        """What follows the answer that nobody waits for any longer."""
        self._reactor = reactor
        self._late = late
        self._timer: Any = None

    def sent(self, _: Any) -> None:
        """It has left: its time begins."""
        self.left = True
        self._timer = self._reactor.callLater(ANSWER_SECONDS, self._overdue)

    def _overdue(self) -> None:
        self.fail(DeferredTimeout())
        self._late()

    def fail(self, error: Any) -> None:
        """There will be no answer."""
        if not self.answer.called:
            self.answer.errback(error)

    def answered(self) -> None:
        """That is all."""
        self.stop()
        if not self.answer.called:
            self.answer.callback(self.rows)

    def stop(self) -> None:
        """Reckon no more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class Session:
    """One link's. `over` once it is gone; `ready` once its start is done."""

    def __init__(
        self,
        client: PacedClient,
        venue: str,
        options: IbOptions,
        reactor: Any,
        now: Callable[[], datetime],
        report: Callable[[Any], None],
        complain: Callable[..., None],
        drop: Callable[[str], None],
        numbers: Numbers,
        sent: Mapping[str, None],
        primary: Mapping[str, str],
        pacing: Pacing,
    ) -> None:
        self.client = client
        self.over = False
        self.ready = False
        self.accounts: tuple[str, ...] = ()
        self.is_ours: Callable[[str], bool] = lambda reference: translate.ours(reference, sent)
        self.book = Book(options.client_id, self.is_ours)
        self.told = Told(reactor, options.commission_wait, report, complain)
        self.numbers = numbers
        self._venue = venue
        self._options = options
        self._reactor = reactor
        self._now = now
        self._complain = complain
        self._drop = drop
        self._pacing = pacing
        self._numbered = MOST
        self._questions: dict[int, _Question] = {}
        self._lists: dict[str, _Question] = {}
        self._asked: set[_Question] = set()
        self._leaving: dict[Piece, None] = {}
        self._locks = {name: DeferredLock() for name in ("open", "completed", "positions")}
        self._waiting: dict[Entry, Deferred[None]] = {}
        self._checking = False
        self.directory = Directory(venue, self._details, primary, options.crypto_exchange, complain)
        self.lines = Lines(client, reactor, now, self._number, report, complain)
        self.snapshots = Snapshots(client, venue, reactor, self._number, self._contract, self.directory.known)

    # life

    async def begin(self) -> None:
        """Ask what every start needs: the open orders, and the day's executions."""
        wanted = self._options.accounts
        there = self.client.getAccounts()
        self.accounts = tuple(each for each in there if each in wanted or not wanted)
        missing = [each for each in wanted if each not in there]
        if missing:
            self._complain(f"the login does not have {', '.join(missing)}; it has {', '.join(there)}")
        elif self._options.account and self._options.account not in there:
            text = (
                f"the login has no account {self._options.account}, which API_ACCOUNT names; it has {', '.join(there)}"
            )
            self._complain(f"{text}: all of them may be traded")
        self.numbers.begin(self.client.getReqId())
        if self._options.client_id == 0:
            self.client.reqAutoOpenOrders(True)
        self.client.reqMarketDataType(self._options.market_data)
        self.client.reqCurrentTime()
        await self.open_list()
        await self.executions()
        self.ready = True

    def close(self, text: str) -> None:
        """The link is gone: who waits is told so, and an order under way is in doubt."""
        self.over = True
        self.ready = False
        self.told.close()
        self.lines.close()
        self.snapshots.close(text)
        gone = GatewayError(f"The link to {self._venue} is gone: {text}.")
        lists, self._lists = self._lists, {}
        self._questions.clear()
        for question in [*self._asked, *lists.values()]:
            question.stop()
            question.fail(gone)
        for question in lists.values():
            if question.then is not None:
                question.then()
        for piece in list(self._leaving):
            self.client.drop(piece)
            unsent = f"The link to {self._venue} broke before it was sent: {text}. Nothing was done."
            piece.done.errback(Refused(Reason.VENUE_DOWN, unsent))
        waiting, self._waiting = self._waiting, {}
        for entry, answer in waiting.items():
            answer.errback(Ambiguous(f"The link to {self._venue} broke under order {entry.name}: {text}."))

    # questions

    def _number(self) -> int:
        self._numbered += 1
        return self._numbered

    async def _ask(self, send: Callable[[int], None], cancel: Callable[[int], None] | None = None) -> list[Any]:
        """The rows of a numbered question; RequestRefused, or TimedOut."""
        self._require()
        number, question = self._number(), _Question(self._reactor, lambda: None)
        self._questions[number] = question
        try:
            return await self._answer(question, lambda: send(number))
        except DeferredTimeout:
            if cancel is not None and not self.over:
                cancel(number)
            raise TimedOut(f"Venue {self._venue} did not answer within {ANSWER_SECONDS:g} s.") from None
        finally:
            question.stop()
            self._questions.pop(number, None)

    async def _answer(self, question: _Question, send: Callable[[], None]) -> list[Any]:
        """Ask when it is its turn, and wait; who waits no longer before that does not ask."""
        piece = Piece(Urgency.QUESTION, send)
        piece.done.addCallback(question.sent)
        piece.done.addErrback(lambda failure: question.fail(failure))
        self._asked.add(question)
        self.client.put(piece)
        try:
            return await question.answer
        finally:
            self._asked.discard(question)
            self.client.drop(piece)

    async def _list(self, name: str, send: Callable[[], None]) -> list[Any]:
        """The rows of a list that has no number. One that is under way ends before the next of its kind is asked for,
        though nobody waits for it any longer."""
        lock = self._locks[name]
        await lock.acquire()
        question = _Question(
            self._reactor, lambda: self._drop(f"the list of {name} did not come within {ANSWER_SECONDS:g} s")
        )

        def begin() -> None:
            self._lists[name] = question
            send()

        try:
            self._require()
            return await self._answer(question, begin)
        except DeferredTimeout:
            raise TimedOut(f"Venue {self._venue} did not answer within {ANSWER_SECONDS:g} s.") from None
        finally:
            if self._lists.get(name) is question:
                question.then = lock.release
            else:
                lock.release()

    def _require(self) -> None:
        if self.over:
            raise GatewayError(f"The link to {self._venue} is gone.")

    def _row(self, number: int, row: Any) -> None:
        question = self._questions.get(number)
        if question is not None:
            question.rows.append(row)

    def _answered(self, number: int) -> None:
        question = self._questions.get(number)
        if question is not None:
            question.answered()

    def _listed(self, name: str) -> None:
        question = self._lists.pop(name, None)
        if question is not None:
            question.answered()
            if question.then is not None:
                question.then()

    # orders

    async def open_list(self, bind: bool = False) -> set[Entry]:
        """The orders that IB has open, all clients'; what the list says of each is told.

        `bind`: only our own and, for client 0, a person's, which are given numbers by it.
        """
        listed: set[Entry] = set()

        def send() -> None:
            self.book.listed = listed
            if bind:
                self.client.reqOpenOrders()
            else:
                self.client.reqAllOpenOrders()

        await self._list("open", send)
        return listed

    async def completed_list(self) -> list[tuple[Contract, IbOrder, OrderState]]:
        """The day's orders that ended."""
        return await self._list("completed", lambda: self.client.reqCompletedOrders(False))

    async def leave(self, piece: Piece) -> None:
        """Wait until an order, or a change, has left; Refused where it surely does not."""
        piece.until = self._reactor.seconds() + TURN_SECONDS
        self._leaving[piece] = None
        self.client.put(piece)
        try:
            await piece.done
        except Late:
            text = (
                f"Too much is to be sent to {self._venue}: within {TURN_SECONDS:g} s it had no turn, and was not sent."
            )
            raise Refused(Reason.VENUE_DOWN, f"{text} Send it again, if it is still wanted.") from None
        finally:
            self.client.drop(piece)
            del self._leaving[piece]

    async def place(self, urgency: Urgency, entries: Sequence[Entry], write: Callable[[], None]) -> None:
        """Send new orders when it is their turn, in one piece."""
        try:
            await self.leave(Piece(urgency, write, entries, len(entries), places=True))
        except BaseException:
            for entry in entries:
                self.book.drop(entry)
            raise

    def cancel(self, entry: Entry) -> None:
        """Ask for an order's end; one that waits for its turn ends here."""
        piece = self.client.take_back(entry)
        if piece is None:
            self.client.end(entry, lambda: self._cancel(entry))
            return
        for each in piece.keys:
            assert isinstance(each, Entry)
            self._tell(self.book.unsent(each, self._now()))
        piece.done.callback(None)

    def _cancel(self, entry: Entry) -> None:
        """Unless it ended while its cancel waited, which was told."""
        if not entry.ended and entry.status != translate.FILLED:
            self.client.cancelOrder(entry.number)

    async def answer_to(self, entry: Entry, seconds: float) -> None:
        """Wait for the first word on an order that was just sent; Ambiguous when none comes, or the link breaks."""
        if not (entry.heard or entry.limited):
            answer: Deferred[None] = Deferred()
            self._waiting[entry] = answer
            answer.addTimeout(seconds, self._reactor)
            try:
                await answer
            except DeferredTimeout:
                text = f"TWS said nothing of order {entry.name} within {seconds:g} s."
                raise Ambiguous(text) from None
            finally:
                self._waiting.pop(entry, None)
        if entry.limited:
            entry.limited = False
            raise TooMany(f"TWS says that there were too many messages, when order {entry.name} was sent.")

    def _tell(self, events: Iterable[OrderEvent]) -> None:
        for event in events:
            self.told.tell(event.order_id, event)
        for entry, answer in list(self._waiting.items()):
            if (entry.heard or entry.limited) and not answer.called:
                answer.callback(None)
        self.look_soon()

    def look_soon(self) -> None:
        """Ask what became of the orders that something was said of."""
        if self.book.unsure and not self._checking:
            self._checking = True
            self._reactor.callLater(GRACE_SECONDS, self._check)

    def _check(self) -> None:
        def failed(failure: Any) -> None:
            if not failure.check(GatewayError):
                log.failure("Orders of {venue} could not be looked at.", failure, venue=self._venue)

        def done(result: Any) -> None:
            self._checking = False
            if not self.over:
                self._tell(())

        if not self.over:
            Deferred.fromCoroutine(self._look()).addErrback(failed).addBoth(done)

    async def _look(self) -> None:
        """Ask about the orders of which something was said that an end may be."""
        unsure = list(self.book.unsure)
        listed = await self.open_list()
        for entry in unsure:
            self._tell(self.book.settle(entry, entry in listed, self._now()))
        left = [entry for entry in unsure if entry in self.book.unsure]
        if left:
            for _, order, state in await self.completed_list():
                self.book.completed(order, state.status, state.completedStatus)
            for entry in left:
                self._tell(self.book.settle(entry, False, self._now()))
                self.book.unsure.pop(entry, None)

    # executions

    async def executions(self) -> list[tuple[Contract, IbExecution]]:
        """The day's fills of our accounts; their commissions have come, or have had their time."""
        rows = await self._ask(lambda number: self.client.reqExecutions(number, ExecutionFilter()))
        until = self._reactor.seconds() + self._options.commission_wait
        while not self.over and self._reactor.seconds() < until:
            if all(its.execId in self.told.commissions for _, its in rows):
                break
            await self._pause(0.02)
        return [row for row in rows if row[1].acctNumber in self.accounts]

    async def _pause(self, seconds: float) -> None:
        turn: Deferred[None] = Deferred()
        self._reactor.callLater(seconds, turn.callback, None)
        await turn

    def as_execution(self, symbol: str, contract: Contract, its: IbExecution, entry: Entry | None) -> Execution:
        """A fill as ours, with its commission if that is known."""
        return self._execution(symbol, contract, its, entry, self.told.commissions.get(its.execId))

    def _execution(
        self, symbol: str, contract: Contract, its: IbExecution, entry: Entry | None, fee: CommissionReport | None
    ) -> Execution:
        reference = its.orderRef or ""
        name = entry.name if entry is not None else reference if self.is_ours(reference) else ""
        made = translate.execution(self._venue, symbol, contract, its, name, fee)
        if entry is None:
            return made
        terms = entry.terms
        return replace(
            made,
            order_quantity=terms.quantity,
            leaves_quantity=max(ZERO, terms.quantity - made.cumulative_quantity),
            order_type=entry.order_type,
            order_price=terms.limit if terms.limit is not None else terms.stop,
        )

    # contracts

    async def _details(self, contract: Contract) -> list[ContractDetails]:
        """What IB has of these terms; nothing where it has none."""
        try:
            rows = await self._ask(lambda number: self.client.reqContractDetails(number, contract))
        except RequestRefused as refused:
            if refused.code == codes.NO_CONTRACT:
                return []
            raise
        return contracts.matching(rows, contract)

    async def _contract(self, symbol: str) -> Contract | None:
        details = await self.directory.find(symbol)
        return None if details is None or details.contract is None else contracts.tradable(details.contract)

    # positions, accounts, bars

    async def positions(self) -> list[tuple[str, Contract, float, float]]:
        """Every holding: account, contract, quantity, cost."""
        rows = await self._list("positions", self.client.reqPositions)
        if not self.over:  # not after the next list is asked for: that would end it
            self.client.put(Piece(Urgency.QUESTION, self.client.cancelPositions))
        return rows

    async def account_values(self, account: str) -> list[Value]:
        """IB's tags of an account."""
        sent: list[int] = []  # once it has left

        def send(number: int) -> None:
            sent.append(number)
            self.client.reqAccountUpdatesMulti(number, account, "", False)

        try:
            return await self._ask(send)
        finally:
            if sent and not self.over:
                self.client.cancelAccountUpdatesMulti(sent[0])

    async def bars(self, contract: Contract, question: BarQuestion) -> Sequence[BarData]:
        """The bars of a question; the same again within 15 s is answered with what was told."""
        key = (contract.conId, question)
        known: Sequence[BarData] | None = self._pacing.known(key, self._reactor.seconds())
        if known is not None:
            return known
        while wait := self._pacing.wait(self._reactor.seconds(), contract.conId):
            if wait > PATIENT_SECONDS:
                text = f"IB answers 60 questions for bars in 10 minutes, and has had them: ask again in {wait:.0f} s."
                raise Refused(Reason.VENUE_FAILED, text)
            await self._pause(wait)
            self._require()
        self._pacing.asked(self._reactor.seconds(), contract.conId)

        def send(number: int) -> None:
            self.client.reqHistoricalData(
                number,
                contract,
                question.end,
                question.duration,
                question.size,
                question.show,
                self._options.regular_hours,
                2,
                False,
                [],
            )

        try:
            rows: Sequence[BarData] = await self._ask(send, self.client.cancelHistoricalData)
        except RequestRefused as refused:
            if not codes.no_data(refused.code, refused.text):
                raise
            rows = []
        self._pacing.answered(key, rows, self._reactor.seconds())
        return rows

    async def last_prices(self, symbols: Sequence[str]) -> list[LastPrice | NoPrice]:
        """The last prices of symbols: those of lines as they show them, the others by snapshots."""
        told = {each: price for each in symbols for shown, price in [self.lines.last(each)] if shown}
        asked = await self.snapshots.of([each for each in dict.fromkeys(symbols) if each not in told])
        return [each for each in told.values() if each is not None] + asked

    # what TWS says: by the names of its API

    def on_openOrder(self, number: int, contract: Contract, order: IbOrder, state: OrderState) -> None:
        self.numbers.seen(number)  # other clients' too: TWS refuses one below those that it has shown us
        self._tell(self.book.open_order(contract, order, state.status, self._now()))

    def on_openOrderEnd(self) -> None:
        self.book.listed = None
        self._listed("open")

    def on_orderStatus(
        self,
        number: int,
        status: str,
        filled: float,
        remaining: float,
        average: float,
        perm_id: int,
        parent_id: int,
        last: float,
        client_id: int,
        why_held: str = "",
        *more: Any,
    ) -> None:
        self._tell(self.book.order_status(client_id, number, perm_id, status, filled, average, why_held, self._now()))

    def on_completedOrder(self, contract: Contract, order: IbOrder, state: OrderState) -> None:
        question = self._lists.get("completed")
        if question is not None:
            question.rows.append((contract, order, state))

    def on_completedOrdersEnd(self) -> None:
        self._listed("completed")

    def on_execDetails(self, number: int, contract: Contract, its: IbExecution) -> None:
        if its.clientId == self._options.client_id:
            self.numbers.seen(its.orderId)
        entry, events = self.book.executed(its, self._now())
        self._tell(events)
        if number in self._questions:
            self._row(number, (contract, its))
            return
        if its.acctNumber not in self.accounts:
            return
        symbol = (entry.symbol if entry is not None else "") or self.directory.name_known(contract)
        if symbol:
            self._fill(symbol, contract, its, entry)
        else:
            self._later(self._name_and_fill(contract, its, entry))

    async def _name_and_fill(self, contract: Contract, its: IbExecution, entry: Entry | None) -> None:
        symbol = await self.directory.name(contract)
        if entry is not None:
            entry.symbol = symbol
        self._fill(symbol, contract, its, entry)

    def _fill(self, symbol: str, contract: Contract, its: IbExecution, entry: Entry | None) -> None:
        def make(fee: CommissionReport | None) -> Executed:
            made = self._execution(symbol, contract, its, entry, fee)
            return Executed(made, made.time)

        self.told.fill(entry.key if entry is not None else str(its.permId), its.execId, make)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        def failed(failure: Any) -> None:
            if not self.over:
                log.failure("What {venue} told could not be taken in.", failure, venue=self._venue)

        Deferred.fromCoroutine(work).addErrback(failed)

    def on_execDetailsEnd(self, number: int) -> None:
        self._answered(number)

    def on_commissionReport(self, report: CommissionReport) -> None:
        self.told.commission(report)

    def on_contractDetails(self, number: int, details: ContractDetails) -> None:
        self._row(number, details)

    on_bondContractDetails = on_contractDetails

    def on_contractDetailsEnd(self, number: int) -> None:
        self._answered(number)

    def on_position(self, account: str, contract: Contract, quantity: float, cost: float) -> None:
        question = self._lists.get("positions")
        if question is not None:
            question.rows.append((account, contract, quantity, cost))

    def on_positionEnd(self) -> None:
        self._listed("positions")

    def on_accountUpdateMulti(
        self, number: int, account: str, model: str, tag: str, value: str, currency: str
    ) -> None:  # fmt: skip
        self._row(number, (tag, value, currency))

    def on_accountUpdateMultiEnd(self, number: int) -> None:
        self._answered(number)

    def on_historicalData(self, number: int, bar: BarData) -> None:
        self._row(number, bar)

    def on_historicalDataEnd(self, number: int, start: str, end: str) -> None:
        self._answered(number)

    def on_priceSizeTick(self, number: int, kind: int, price: float, size: float) -> None:
        self.snapshots.price(number, kind, price)
        self.lines.price(number, kind, price, size)

    def on_tickSize(self, number: int, kind: int, size: float) -> None:
        self.lines.size(number, kind, size)

    def on_tickString(self, number: int, kind: int, text: str) -> None:
        self.snapshots.text(number, kind, text)
        self.lines.text(number, kind, text)

    def on_tickSnapshotEnd(self, number: int) -> None:
        self.snapshots.ended(number)

    def on_tcpDataProcessed(self) -> None:
        self.snapshots.batch_over()
        self.lines.batch_over()

    def on_error(self, number: int, code: int, text: str, more: str) -> None:
        """An error or a notice: of a question, a subscription, an order, or (-1) of all."""
        question = self._questions.get(number)
        if question is not None:
            if not codes.informs(code):
                question.fail(RequestRefused(code, text))
            return
        if self.snapshots.error(number, code, text) or self.lines.error(number, code, text):
            return
        if code == codes.RATE_LIMIT and self.book.numbered(number) is None:
            for waiting in self._waiting:  # it names none: any of those that wait may be meant
                waiting.limited = True
            self._tell(())
        self.lines.farm(code)
        if code in codes.FINE:
            log.info("{venue}: {code} {text}", venue=self._venue, code=code, text=text)
            return
        entry = self.book.numbered(number)
        if entry is None or code not in codes.TOLD:
            self._complain(text, code, entry.key if entry is not None else "" if number < 0 else str(number))
        if entry is not None:
            self._tell(self.book.error(number, code, text, self._now()))
