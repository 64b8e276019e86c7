"""The wall around a venue: a deadline on every question, and no defect of its broker that reaches anything else.

What goes to and fro is in the log where that is wanted. A broker that holds up the reactor itself holds up all else:
none may.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from txgateway.brokers import Broker, Can
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import Ambiguous, GatewayError, Reason, Refused, TimedOut, Unsupported
from txgateway.model.execution import Execution
from txgateway.model.fault import Fault, FaultKind
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Depth, Funding, LastPrice, NoPrice, Period
from txgateway.model.order import Order, OrderReport
from txgateway.model.venue import EndpointCall, PositionMode, RateLimit
from txgateway.vitals import Vitals

log = Logger()
T = TypeVar("T")
Send = Callable[[Order], Coroutine[Any, Any, None]]

ZERO = Decimal(0)
STOP_SECONDS = 5.0
"""How long a broker may take to disconnect."""
TRACE_SECONDS = 60.0
"""How often the log has the traceback of the same method's error."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that each kind of question may take."""

    default: float = 15.0
    account: float = 15.0
    symbol: float = 15.0
    bars: float = 10.0
    order_status: float = 3600.0
    position: float = 20.0


class BoundedBroker:
    """Passes everything on. Orders have no deadline here: an unanswered one becomes UNKNOWN at the desk.

    A question ends in time, with an answer or a GatewayError, whatever the broker does. What is asked at once and fails
    is answered as it was last (`accounts`), or by our own clock (`now`); it is counted, and told in the log.
    """

    def __init__(
        self,
        broker: Broker,
        deadlines: Deadlines,
        reactor: Any,
        clock: Callable[[], datetime],
        vitals: Vitals | None = None,
        log_messages: bool = False,
        log_times: bool = False,
        others: Iterable[str] = (),
        others_have: Callable[[str], bool] = lambda account: False,
    ) -> None:
        self._broker = broker
        self._deadlines = deadlines
        self._reactor = reactor
        self._clock = clock
        self._vitals = vitals or Vitals(reactor.seconds)
        self._log_messages = log_messages
        self._log_times = log_times
        self._logs = log_messages or log_times
        self._accounts: Sequence[str] = ()
        self._others = frozenset(others)
        self._others_have = others_have
        self._said: set[str] = set()
        self._traced: dict[str, float] = {}
        self.venue = broker.venue
        self.can = broker.can
        self.startService = broker.startService

    # life

    def stopService(self) -> Deferred[None]:
        """Fires when the broker has disconnected, or was given up; never fails."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        try:
            stopped = self._broker.stopService()
            if isinstance(stopped, Deferred):
                await self._in_time(stopped, STOP_SECONDS, "stopService")
        except TimedOut:
            text = f"Venue {self.venue} did not disconnect within {STOP_SECONDS:g} s: it is not waited for."
            self._vitals.failed(text, self._clock())
            log.error("{text}", text=text)
        except Exception as error:
            self._failed("stopService", error)

    # at once

    def now(self) -> datetime:
        """The venue's clock; ours where it has none to show."""
        try:
            now = self._broker.now()
            if now.tzinfo is not None:
                return now
            raise ValueError("its clock has no zone")
        except Exception as error:
            self._failed("now", error)
            return self._clock()

    def accounts(self) -> Sequence[str]:
        """The accounts, as they were told last, without those that are configured to be another venue's."""
        try:
            told = self._broker.accounts()
            if type(told) is not tuple:
                told = tuple(told)
            self._accounts = told if self._others.isdisjoint(told) else self._own(told)
        except Exception as error:
            self._failed("accounts", error)
        return self._accounts

    def _own(self, told: Sequence[str]) -> Sequence[str]:
        """Orders go where their account is: no venue may claim one that another was given."""
        claimed = [each for each in told if each in self._others]
        text = f"Venue {self.venue} has accounts that are configured at another: {', '.join(claimed)} stay there."
        if text not in self._said:
            self._said.add(text)
            self._vitals.failed(text, self._clock())
            log.critical("{text}", text=text)
        return tuple(each for each in told if each not in self._others)

    def subscribe(self, symbol: str) -> None:
        """Start reporting a symbol."""
        self._do("subscribe", lambda: self._broker.subscribe(symbol))

    def unsubscribe(self, symbol: str) -> None:
        """Stop reporting it."""
        self._do("unsubscribe", lambda: self._broker.unsubscribe(symbol))

    def set_primary_exchange(self, symbol: str, exchange: str | None) -> None:
        """Mean this exchange's contract by a symbol."""
        if Can.PRIMARY_EXCHANGE in self.can:
            self._do("set_primary_exchange", lambda: self._broker.set_primary_exchange(symbol, exchange))

    def subscribe_depth(self, symbol: str) -> None:
        """Report its book too."""
        self._do("subscribe_depth", lambda: self._broker.subscribe_depth(symbol))

    def unsubscribe_depth(self, symbol: str) -> None:
        """Report its book no more."""
        self._do("unsubscribe_depth", lambda: self._broker.unsubscribe_depth(symbol))

    def spelling(self, symbol: str) -> str:
        """What may be meant by an unknown symbol; empty where the broker has no idea."""
        spelling = getattr(self._broker, "spelling", None)
        try:
            return str(spelling(symbol)) if spelling is not None else ""
        except Exception as error:
            self._failed("spelling", error)
            return ""

    def rate_limits(self) -> Sequence[RateLimit]:
        """How much the venue still takes."""
        try:
            return self._broker.rate_limits()
        except Exception as error:
            self._failed("rate_limits", error)
            return ()

    def faults(self) -> Sequence[Fault]:
        """The faults that are set."""
        try:
            return self._broker.faults()
        except Exception as error:
            self._failed("faults", error)
            return ()

    def set_fault(self, fault: Fault) -> None:
        """Misbehave in this way."""
        self._broker.set_fault(fault)

    def clear_faults(self, kind: FaultKind | None) -> None:
        """Behave again."""
        self._broker.clear_faults(kind)

    # orders

    async def submit(self, order: Order) -> None:
        """Send the order."""
        self._vitals.sent(order.order_id)
        await self._send("submit", self._broker.submit, order)

    async def submit_bracket(self, entry: Order, exits: Sequence[Order]) -> None:
        """Send an entry with its exits."""
        self._vitals.sent(entry.order_id)
        await self._send("submit_bracket", lambda order: self._broker.submit_bracket(order, exits), entry)

    async def release(self, order: Order) -> None:
        """Send a ticket."""
        self._vitals.sent(order.order_id)
        await self._send("release", self._broker.release, order)

    async def cancel(self, order: Order) -> None:
        """Ask for the order's end."""
        await self._send("cancel", self._broker.cancel, order)

    async def replace(self, order: Order) -> None:
        """Ask for other terms."""
        await self._send("replace", self._broker.replace, order)

    async def _send(self, what: str, send: Send, order: Order) -> None:
        if self._log_messages:
            log.info("{venue} <- {what} {order}", venue=self.venue, what=what, order=order)
        try:
            await (self._timed(what, send(order)) if self._logs else send(order))
        except Exception as error:
            self._vitals.unsent(order.order_id, isinstance(error, Refused))
            if not isinstance(error, Refused | CancelledError):
                self._vitals.failed(f"{what}: {_said(error)}", self._clock())
            raise

    # questions

    async def open_orders(self) -> Sequence[OrderReport]:
        """Every order the broker holds, but for those of accounts that are another venue's."""
        told = await self._asked("open_orders", self._deadlines.default, lambda: self._broker.open_orders())
        anothers = self._anothers(told)
        return [each for each in told if each.account not in anothers] if anothers else told

    def _anothers(self, told: Iterable[OrderReport | Position]) -> set[str]:
        """The accounts among these that are another venue's: it is asked about them, and trades them."""
        accounts = {each.account for each in told}
        return {each for each in accounts if each in self._others or self._others_have(each)}

    async def lookup(self, order: Order) -> OrderReport | None:
        """The broker's word on one order."""
        return await self._asked("lookup", self._deadlines.order_status, lambda: self._broker.lookup(order))

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        """Fills after `since`."""
        return await self._asked("executions", self._deadlines.default, lambda: self._broker.executions(since))

    async def positions(self) -> Sequence[Position]:
        """Every open position, but for those in accounts that are another venue's."""
        told = await self._asked("positions", self._deadlines.position, self._numbers)
        anothers = self._anothers(told)
        return [each for each in told if each.account not in anothers] if anothers else told

    async def _numbers(self) -> Sequence[Position]:
        """The positions; Refused where one is no number: what is compared with it, or closed, must be true."""
        told = await self._broker.positions()
        for each in told:
            if not each.quantity.is_finite():
                text = f"Venue {self.venue} tells of a position of {each.quantity} {each.symbol} in {each.account}"
                self._vitals.failed(text, self._clock())
                raise Refused(Reason.VENUE_FAILED, f"{text}: its positions are not taken.")
        return [each if each.average_price.is_finite() else replace(each, average_price=ZERO) for each in told]

    async def balances(self, account: str) -> AccountReport:
        """What an account holds."""
        return await self._asked("balances", self._deadlines.account, lambda: self._broker.balances(account))

    async def instrument(self, symbol: str) -> Instrument | None:
        """A symbol's trading rules."""
        return await self._asked("instrument", self._deadlines.symbol, lambda: self._broker.instrument(symbol))

    async def instruments(self) -> Sequence[Instrument]:
        """Everything tradable."""
        return await self._asked("instruments", self._deadlines.default, lambda: self._broker.instruments())

    async def renames(self, symbol: str, exchange: str | None) -> Sequence[str]:
        """The names that would mean another contract if a symbol were of this exchange."""
        return await self._asked("renames", self._deadlines.symbol, lambda: self._broker.renames(symbol, exchange))

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        """Bars in [start, end)."""
        call = lambda: self._broker.bars(symbol, period, start, end)  # noqa: E731
        return await self._asked("bars", self._deadlines.bars, call)

    async def last_prices(self, symbols: Sequence[str]) -> Sequence[LastPrice | NoPrice]:
        """What each symbol was traded at last."""
        return await self._asked("last_prices", self._deadlines.symbol, lambda: self._broker.last_prices(symbols))

    async def depth(self, symbol: str, levels: int) -> Depth | None:
        """The book of a symbol."""
        return await self._asked("depth", self._deadlines.symbol, lambda: self._broker.depth(symbol, levels))

    async def funding(self, symbol: str) -> Funding | None:
        """What holding a perpetual costs."""
        return await self._asked("funding", self._deadlines.symbol, lambda: self._broker.funding(symbol))

    async def leverage(self, account: str, symbol: str) -> Decimal | None:
        """How many times its margin a position may be."""
        return await self._asked("leverage", self._deadlines.account, lambda: self._broker.leverage(account, symbol))

    async def position_mode(self, account: str) -> PositionMode:
        """Whether long and short are held as one or apart."""
        return await self._asked("position_mode", self._deadlines.account, lambda: self._broker.position_mode(account))

    # changes: out of time, or of order, they are in doubt

    async def set_leverage(self, account: str, symbol: str, leverage: Decimal) -> None:
        """Change it."""
        await self._changed("set_leverage", lambda: self._broker.set_leverage(account, symbol, leverage))

    async def set_position_mode(self, account: str, mode: PositionMode) -> None:
        """Change it."""
        await self._changed("set_position_mode", lambda: self._broker.set_position_mode(account, mode))

    async def call_endpoint(self, call: EndpointCall) -> Any:
        """Send a request in the venue's own words."""
        return await self._changed("call_endpoint", lambda: self._broker.call_endpoint(call))

    async def _changed(self, what: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await self._asked(what, self._deadlines.default, ask, Ambiguous)

    async def _asked(
        self,
        what: str,
        seconds: float,
        ask: Callable[[], Coroutine[Any, Any, T]],
        failure: Callable[[str], GatewayError] = lambda text: Refused(Reason.VENUE_FAILED, text),
    ) -> T:
        start = self._reactor.seconds()
        try:
            call = self._timed(what, ask()) if self._logs else ask()
            answer = await self._in_time(Deferred.fromCoroutine(call), seconds, what)
        except TimedOut as error:
            self._vitals.failed(str(error), self._clock())
            raise
        except (Refused, Unsupported, CancelledError):
            raise
        except GatewayError as error:
            self._vitals.failed(f"{what}: {error}", self._clock())
            raise
        except Exception as error:
            self._failed(what, error)
            text = f"Venue {self.venue} made an error over {what} ({_said(error)}): the log has it."
            raise failure(text) from error
        self._vitals.questions.add(self._reactor.seconds() - start)
        return answer

    async def _in_time(self, asked: Deferred[T], seconds: float, what: str) -> T:
        """What was asked for, or TimedOut, even where the broker does not let itself be canceled."""
        if asked.called:
            return await asked
        answer: Deferred[T] = Deferred(lambda _: asked.cancel())
        text = f"Venue {self.venue} did not answer {what} within {seconds:g} s: try again, or raise its TIMEOUT."

        def late() -> None:
            if not answer.called:
                answer.errback(TimedOut(text))
            asked.cancel()

        timer = self._reactor.callLater(seconds, late)

        def done(result: Any) -> None:
            if timer.active():
                timer.cancel()
            if not answer.called:
                answer.callback(result)

        asked.addBoth(done)
        return await answer

    # what went wrong

    def _do(self, what: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            self._failed(what, error)

    def _failed(self, what: str, error: Exception) -> None:
        """Count it, and have it in the log; its traceback now and then."""
        self._vitals.failed(f"{what}: {_said(error)}", self._clock())
        now = self._reactor.seconds()
        if now >= self._traced.get(what, now):
            self._traced[what] = now + TRACE_SECONDS
            log.failure("Venue {venue} failed at {what}.", venue=self.venue, what=what)
        else:
            log.debug("Venue {venue} failed at {what} again: {text}", venue=self.venue, what=what, text=_said(error))

    async def _timed(self, what: str, call: Coroutine[Any, Any, T]) -> T:
        if not self._log_times:
            return await call
        start = self._reactor.seconds()
        try:
            return await call
        finally:
            took = (self._reactor.seconds() - start) * 1000
            log.info("{venue} {what} took {took:.1f} ms", venue=self.venue, what=what, took=took)


def _said(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
