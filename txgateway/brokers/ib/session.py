"""What is known on one link: the questions that are open, the orders, the contracts, the prices. It ends with the link.

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
from txgateway.brokers.ib.client import PacedClient
from txgateway.brokers.ib.numbers import MOST, Numbers
from txgateway.brokers.ib.options import IbOptions
from txgateway.brokers.ib.pacing import Pacing
from txgateway.brokers.ib.snapshots import Snapshots
from txgateway.brokers.ib.ticks import Ticks
from txgateway.brokers.ib.told import Told
from txgateway.brokers.ib.translate import BarQuestion, Value
from txgateway.model.errors import Ambiguous, GatewayError, Reason, Refused, TimedOut
from txgateway.model.events import Executed, OrderEvent
from txgateway.model.execution import Execution
from txgateway.model.market import LastPrice, NoPrice

log = Logger()

ZERO = Decimal(0)
ANSWER_SECONDS = 15.0
"""So long a question may stay unanswered. A list that comes late would be taken for the next one: the link goes."""
GRACE_SECONDS = 0.15
"""After an error or an end of an order: so soon the open orders are asked for. What belongs to it has come by then."""
FIRST_QUOTE_SECONDS = 1.0
"""A first quote waits so long for its other side."""
PATIENT_SECONDS = 5.0
"""A question for bars waits so long for its turn; longer than that it is refused."""
RETRY_SECONDS = 60.0
"""Prices that were refused for now are asked for again so much later."""
UNTRADED_SECONDS = 11.0
"""After so long without a trade a line has none to show: it is as long as IB needs for a snapshot."""
RT_VOLUME = "233"
NO_TRADES = frozenset({"CASH", "IND"})


class RequestRefused(GatewayError):
    """TWS's error to a question."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"TWS says {code}: {text}")
        self.code = code
        self.text = text


class TooMany(Ambiguous):
    """TWS's answer to an order is that there were too many messages."""


class _Question:
    """One numbered question: what has come, and who waits."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.answer: Deferred[list[Any]] = Deferred()


class _Line:
    """One symbol whose prices come."""

    def __init__(self, symbol: str, contract: Contract) -> None:
        self.ticks = Ticks(symbol)
        self.contract = contract
        self.number = 0
        self.whole = False
        self.timer: Any = None
        self.asked = 0.0


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
        self._report = report
        self._complain = complain
        self._drop = drop
        self._primary = primary
        self._pacing = pacing
        self._numbered = MOST
        self._questions: dict[int, _Question] = {}
        self._lists: dict[str, _Question] = {}
        self._locks = {name: DeferredLock() for name in ("open", "completed", "positions")}
        self._waiting: dict[Entry, Deferred[None]] = {}
        self._checking = False
        self._found: dict[str, ContractDetails | None] = {}
        self._names: dict[int, str] = {}
        self._lines: dict[str, _Line] = {}
        self._by_number: dict[int, _Line] = {}
        self._dirty: dict[_Line, None] = {}
        self._farm_broken = False
        self.snapshots = Snapshots(client, venue, reactor, self._number, self._contract, self._found.__contains__)

    # life

    async def begin(self) -> None:
        """Ask what every start needs: the open orders, and the day's executions."""
        wanted = self._options.accounts
        there = self.client.getAccounts()
        self.accounts = tuple(each for each in there if each in wanted or not wanted)
        missing = [each for each in wanted if each not in there]
        if missing:
            self._complain(f"the login does not have {', '.join(missing)}; it has {', '.join(there)}")
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
        for line in self._lines.values():
            if line.timer is not None and line.timer.active():
                line.timer.cancel()
        self._lines.clear()
        self._by_number.clear()
        self.snapshots.close(text)
        gone = GatewayError(f"The link to {self._venue} is gone: {text}.")
        for question in [*self._questions.values(), *self._lists.values()]:
            if not question.answer.called:
                question.answer.errback(gone)
        self._questions.clear()
        self._lists.clear()
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
        number, question = self._number(), _Question()
        self._questions[number] = question
        send(number)
        question.answer.addTimeout(ANSWER_SECONDS, self._reactor)
        try:
            return await question.answer
        except DeferredTimeout:
            if cancel is not None and not self.over:
                cancel(number)
            raise TimedOut(f"Venue {self._venue} did not answer within {ANSWER_SECONDS:g} s.") from None
        finally:
            self._questions.pop(number, None)

    async def _list(self, name: str, send: Callable[[], None]) -> list[Any]:
        """The rows of a list that has no number."""
        lock = self._locks[name]
        await lock.acquire()
        try:
            self._require()
            question = self._lists[name] = _Question()
            send()
            question.answer.addTimeout(ANSWER_SECONDS, self._reactor)
            return await question.answer
        except DeferredTimeout:
            self._drop(f"the list of {name} did not come within {ANSWER_SECONDS:g} s")
            raise TimedOut(f"Venue {self._venue} did not answer within {ANSWER_SECONDS:g} s.") from None
        finally:
            self._lists.pop(name, None)
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
        if question is not None and not question.answer.called:
            question.answer.callback(question.rows)

    def _listed(self, name: str) -> None:
        question = self._lists.get(name)
        if question is not None and not question.answer.called:
            question.answer.callback(question.rows)

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

    def unsent(self, numbers: Iterable[int]) -> None:
        """Orders that were to be sent are not."""
        for entry in [self.book.numbered(number) for number in numbers]:
            if entry is not None:
                self._tell(self.book.unsent(entry, self._now()))

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

    async def details(self, contract: Contract) -> list[ContractDetails]:
        """What IB has of these terms; nothing where it has none."""
        try:
            rows = await self._ask(lambda number: self.client.reqContractDetails(number, contract))
        except RequestRefused as refused:
            if refused.code == codes.NO_CONTRACT:
                return []
            raise
        return contracts.matching(rows, contract)

    async def find(self, symbol: str) -> ContractDetails | None:
        """The contract of a written form. None, said why, where there is none, several, or it is written otherwise."""
        if symbol in self._found:
            return self._found[symbol]
        asked = contracts.parse(symbol, self._primary, self._options.crypto_exchange)
        if asked is None:
            return None
        rows = await self.details(asked)
        if len(rows) > 1:
            several = ", ".join(
                f"{contracts.by_number(each.contract)} ({each.longName})" for each in rows[:5] if each.contract
            )
            self._complain(
                f"{symbol} may be several contracts: {several}; name one by its number, or set_primary_exchange"
            )
            return None
        found = rows[0] if rows else None
        if found is not None and found.contract is not None:
            name = await self._name_of(found, symbol)
            if name != symbol:
                self._complain(f"{symbol} is written {name} here: use that name")
                return None
            self._names[found.contract.conId] = symbol
        self._found[symbol] = found
        return found

    async def _name_of(self, details: ContractDetails, known: str = "") -> str:
        """The one form of a contract: its own, unless IB takes that for another or for several."""
        assert details.contract is not None
        number = details.contract.conId
        form = contracts.written(details)
        if form == known or form.startswith("#"):
            return form
        asked = contracts.parse(form, self._primary, self._options.crypto_exchange)
        rows = await self.details(asked) if asked is not None else []
        one = len(rows) == 1 and rows[0].contract is not None and rows[0].contract.conId == number
        return form if one else contracts.by_number(details.contract)

    async def name(self, contract: Contract) -> str:
        """How a contract that TWS tells of is written."""
        known = self._names.get(contract.conId)
        if known is not None:
            return known
        rows = await self.details(Contract(conId=contract.conId))
        name = await self._name_of(rows[0]) if rows else contracts.by_number(contract)
        self._names[contract.conId] = name
        return name

    def forget(self, symbol: str) -> None:
        """A symbol's primary exchange was changed: look it up again."""
        self._found.pop(symbol, None)
        for number in [number for number, name in self._names.items() if name == symbol]:
            del self._names[number]

    # positions, accounts, bars

    async def positions(self) -> list[tuple[str, Contract, float, float]]:
        """Every holding: account, contract, quantity, cost."""
        rows = await self._list("positions", self.client.reqPositions)
        if not self.over:
            self.client.cancelPositions()
        return rows

    async def account_values(self, account: str) -> list[Value]:
        """IB's tags of an account."""
        sent: list[int] = []

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

    # prices

    def listen(self, symbol: str, details: ContractDetails) -> None:
        """Tell a symbol's prices, the present ones first."""
        line = self._lines.get(symbol)
        if line is not None:
            line.ticks.present()
            self._show(line)
            return
        assert details.contract is not None
        line = self._lines[symbol] = _Line(symbol, contracts.tradable(details.contract))
        self._request(line)

    async def last_prices(self, symbols: Sequence[str]) -> list[LastPrice | NoPrice]:
        """The last prices of symbols: those of lines as they show them, the others by snapshots."""
        shown: dict[str, LastPrice | None] = {}
        for line in (self._lines[each] for each in symbols if each in self._lines):
            ticks, wait = line.ticks, line.asked + UNTRADED_SECONDS - self._reactor.seconds()
            if line.number in self._by_number and (ticks.last is not None or wait <= 0):
                last = ticks.last
                shown[ticks.symbol] = None if last is None else LastPrice(ticks.symbol, last, ticks.last_time)
        asked = await self.snapshots.of([each for each in dict.fromkeys(symbols) if each not in shown])
        return [each for each in shown.values() if each is not None] + asked

    async def _contract(self, symbol: str) -> Contract | None:
        details = await self.find(symbol)
        return None if details is None or details.contract is None else contracts.tradable(details.contract)

    def _request(self, line: _Line) -> None:
        line.asked = self._reactor.seconds()
        line.number = self._number()
        line.whole = False
        self._by_number[line.number] = line
        generic = "" if line.contract.secType in NO_TRADES else RT_VOLUME
        self.client.reqMktData(line.number, line.contract, generic, False, False, [])

        def patient() -> None:
            line.whole = True
            self._show(line)

        line.timer = self._reactor.callLater(FIRST_QUOTE_SECONDS, patient)

    def _unrequest(self, line: _Line) -> None:
        self._by_number.pop(line.number, None)
        if line.timer is not None and line.timer.active():
            line.timer.cancel()
        self._dirty.pop(line, None)

    def deaf(self, symbol: str) -> None:
        """Tell a symbol's prices no more."""
        line = self._lines.pop(symbol, None)
        if line is not None:
            self._stop(line)

    def drop_lines(self) -> None:
        """IB has forgotten what was subscribed."""
        for line in self._lines.values():
            self._unrequest(line)
        self._lines.clear()

    def _renew(self) -> None:
        """The farm that prices come from is back: ask for all of them anew, for what came of the old is not known."""
        for line in list(self._lines.values()):
            self._stop(line)
            self._request(line)

    def _stop(self, line: _Line) -> None:
        """Ask for a symbol's prices no more, if they come."""
        if line.number in self._by_number and not self.over:
            self.client.cancelMktData(line.number)
        self._unrequest(line)

    def _show(self, line: _Line) -> None:
        if self._by_number.get(line.number) is line:
            for event in line.ticks.due(self._now(), line.whole):
                self._report(event)

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
        symbol = (entry.symbol if entry is not None else "") or self._names.get(contract.conId, "")
        if symbol:
            self._fill(symbol, contract, its, entry)
        else:
            self._later(self._name_and_fill(contract, its, entry))

    async def _name_and_fill(self, contract: Contract, its: IbExecution, entry: Entry | None) -> None:
        symbol = await self.name(contract)
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
        line = self._by_number.get(number)
        if line is not None:
            line.ticks.price(kind, price, size)
            self._dirty[line] = None

    def on_tickSize(self, number: int, kind: int, size: float) -> None:
        line = self._by_number.get(number)
        if line is not None:
            line.ticks.size(kind, size)
            self._dirty[line] = None

    def on_tickString(self, number: int, kind: int, text: str) -> None:
        self.snapshots.text(number, kind, text)
        line = self._by_number.get(number)
        if line is not None:
            line.ticks.text(kind, text)

    def on_tickSnapshotEnd(self, number: int) -> None:
        self.snapshots.ended(number)

    def on_tcpDataProcessed(self) -> None:
        self.snapshots.batch_over()
        dirty, self._dirty = self._dirty, {}
        for line in dirty:
            self._show(line)

    def on_error(self, number: int, code: int, text: str, more: str) -> None:
        """An error or a notice: of a question, a subscription, an order, or (-1) of all."""
        question = self._questions.get(number)
        if question is not None:
            if not codes.informs(code) and not question.answer.called:
                question.answer.errback(RequestRefused(code, text))
            return
        if self.snapshots.error(number, code, text):
            return
        line = self._by_number.get(number)
        if line is not None:
            self._complain(f"prices of {line.ticks.symbol}: {text}", code, line.ticks.symbol)
            if not codes.informs(code):
                self._unrequest(line)
                if code in codes.NEVER_PRICES:
                    self._lines.pop(line.ticks.symbol, None)
                else:  # too many lines, or another session of the login has them: it may be over by then
                    line.timer = self._reactor.callLater(RETRY_SECONDS, self._request, line)
            return
        if code == codes.RATE_LIMIT and self.book.numbered(number) is None:
            for waiting in self._waiting:  # it names none: any of those that wait may be meant
                waiting.limited = True
            self._tell(())
        if code in codes.FARM_BROKEN:
            self._farm_broken = True
        elif code in codes.FARM_FINE and self._farm_broken:
            self._farm_broken = False
            self._renew()
        entry = self.book.numbered(number)
        if entry is None or code not in codes.TOLD:
            self._complain(text, code, entry.key if entry is not None else "" if number < 0 else str(number))
        if entry is not None:
            self._tell(self.book.error(number, code, text, self._now()))
