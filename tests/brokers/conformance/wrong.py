"""Little brokers that break one rule each, by the number of the case that must find it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from tests.brokers.conformance.little import PRICE, Little
from txgateway.brokers import Can
from txgateway.model.account import AccountReport, Balance
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.market import LastPrice, Quote, Trade
from txgateway.model.order import CLOSED, OrderReport, OrderStatus, OrderType, TimeInForce

D, S = Decimal, OrderStatus
PAST = datetime(2020, 1, 1, tzinfo=UTC)
PARIS = timezone(timedelta(hours=1))
WRONG: list[tuple[int, type[Little]]] = []
Kind = type[Little]


def breaks(*numbers: int) -> Callable[[Kind], Kind]:
    """Enter a wrong broker for these cases."""

    def enter(kind: Kind) -> Kind:
        WRONG.extend((number, kind) for number in numbers)
        return kind

    return enter


def telling(name: str, kind: type, *numbers: int, change: Callable[[Any], list[Any]]) -> None:
    """A broker that tells something else instead of each event of a kind."""

    def tell(self: Little, event: Any) -> None:
        for each in change(event) if isinstance(event, kind) else [event]:
            Little.tell(self, each)

    breaks(*numbers)(type(name, (Little,), {"tell": tell}))


def showing(name: str, *numbers: int, change: Callable[[OrderReport], OrderReport | None]) -> None:
    """A broker that reports orders otherwise than they are."""

    def shown(self: Little, report: OrderReport) -> OrderReport | None:
        return change(report)

    breaks(*numbers)(type(name, (Little,), {"shown": shown}))


def answering(method: str, name: str, *numbers: int, change: Callable[[Any], Any]) -> None:
    """A broker that gives something else when it is asked."""

    async def answer(self: Little, *arguments: Any) -> Any:
        return change(await getattr(Little, method)(self, *arguments))

    breaks(*numbers)(type(name, (Little,), {method: answer}))


def filling(name: str, *numbers: int, **changes: Any) -> None:
    """A broker whose fills are told otherwise."""

    def change(event: Executed) -> list[Any]:
        values = {key: value(event.execution) if callable(value) else value for key, value in changes.items()}
        return [replace(event, execution=replace(event.execution, **values))]

    telling(name, Executed, *numbers, change=change)


# ---------------------------------------------------------------- life


@breaks(1)
class TalksWhenBuilt(Little):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.status(VenueStatus.DOWN)


@breaks(2)
class CallsItselfUp(Little):
    def startService(self) -> None:
        super().startService()
        self.status(VenueStatus.UP)


@breaks(2)
class SpeaksForAnother(Little):
    def status(self, status: VenueStatus) -> None:
        self.tell(VenueStatusChanged("other", status, "", self.clock()))


@breaks(3)
class ConnectsTwice(Little):
    def startService(self) -> None:
        self.up = False
        super().startService()


@breaks(4)
class ListensOn(Little):
    def stopService(self) -> None:
        self.up = False
        self.status(VenueStatus.DOWN)


@breaks(4)
class NeverDown(Little):
    def stopService(self) -> None:
        self.up = False
        self.status(VenueStatus.STOPPING)


@breaks(5)
class StartsOnce(Little):
    started = False

    def startService(self) -> None:
        if not self.started:
            self.started = True
            super().startService()


@breaks(6)
class TakesOrdersWhileDown(Little):
    def require_up(self) -> None:
        pass


@breaks(6)
class RefusesAndTakes(Little):
    async def submit(self, order: Any) -> None:
        if not self.up:
            self.enter(order)
        await super().submit(order)


@breaks(7)
class HasNoAccounts(Little):
    def accounts(self) -> list[str]:
        return []


@breaks(7)
class HasAnAccountTwice(Little):
    def accounts(self) -> list[str]:
        return ["API_ACCOUNT"] * 2


@breaks(8)
class LivesInParis(Little):
    def now(self) -> Any:
        return super().now().astimezone(PARIS)


@breaks(8)
class GoesBack(Little):
    asked = 0

    def now(self) -> Any:
        self.asked += 1
        return super().now() - timedelta(seconds=self.asked)


@breaks(9)
class ConnectsToStop(Little):
    def stopService(self) -> None:
        if not self.up:
            self.startService()
        super().stopService()


# ---------------------------------------------------------------- entry

telling("NamesNothing", OrderAccepted, 10, 11, 12, change=lambda event: [replace(event, broker_order_id="")])
telling("AcceptsInSilence", OrderAccepted, 10, 11, 12, 13, change=lambda event: [])
filling("FillsLess", 13, quantity=lambda fill: fill.quantity / 2)
filling("FillsMore", 13, quantity=lambda fill: fill.quantity * 2)


@breaks(11, 12, 10)
class FillsEverything(Little):
    def work(self, order_id: str) -> None:
        self.fill(order_id, self.orders[order_id].quantity)


@breaks(10)
class ForgetsWhatRests(Little):
    async def open_orders(self) -> Any:
        return []


@breaks(13)
class NeverClears(Little):
    async def open_orders(self) -> Any:
        return list(self.orders.values())


showing("TakesDayForGtc", 14, change=lambda report: replace(report, time_in_force=TimeInForce.GTC))
showing("TakesGtcForDay", 15, change=lambda report: replace(report, time_in_force=TimeInForce.DAY))


@breaks(16, 17)
class LetsRest(Little):
    def work(self, order_id: str) -> None:
        if self.orders[order_id].order_type is OrderType.MARKET:
            super().work(order_id)


@breaks(16)
class EndsInWordsOnly(Little):
    def end(self, order_id: str) -> None:
        self.tell(OrderCanceled(order_id, Reason.USER, "", self.clock()))


@breaks(17)
class FillsApart(Little):
    def work(self, order_id: str) -> None:
        if self.orders[order_id].time_in_force is TimeInForce.FOK:
            self.fill(order_id, D(1))
        super().work(order_id)


answering("executions", "EchoesNothing", 18, change=lambda found: [replace(each, order_id="") for each in found])
showing("ReportsAnotherId", 18, change=lambda report: replace(report, order_id=None))
filling("CallsAFillAnothers", 13, 18, 23, order_id="another")


@breaks(19)
class TakesItTwice(Little):
    async def submit(self, order: Any) -> None:
        if order.order_id in self.orders:
            self.orders[order.order_id + "again"] = self.orders[order.order_id]
            return
        await super().submit(order)


@breaks(19)
class EndsTheFirst(Little):
    async def submit(self, order: Any) -> None:
        if order.order_id in self.orders:
            self.tell(OrderCanceled(order.order_id, Reason.USER, "", self.clock()))
            return
        await super().submit(order)


@breaks(20, 21)
class TakesAnything(Little):
    async def submit(self, order: Any) -> None:
        self.enter(order)


telling("RejectsWithoutAWord", OrderRejected, 20, change=lambda event: [replace(event, text="")])


@breaks(20)
class RefusesWithoutAWord(Little):
    async def submit(self, order: Any) -> None:
        raise Refused(Reason.REJECTED, " ")


@breaks(21)
class RefusesAndFills(Little):
    async def submit(self, order: Any) -> None:
        if order.symbol != "IBM":
            self.enter(order)
            self.fill(order.order_id, order.quantity)
            raise Refused(Reason.REJECTED, "No.")
        await super().submit(order)


@breaks(22)
class CallsAllTheSame(Little):
    def enter(self, order: Any) -> None:
        self.ids = 0
        super().enter(order)


@breaks(23)
class FillsTheWrongOne(Little):
    def work(self, order_id: str) -> None:
        if self.orders[order_id].order_type is OrderType.MARKET:
            for each in self.orders:
                self.fill(each, self.orders[each].quantity)


# ---------------------------------------------------------------- changes

telling("CancelsInSilence", OrderCanceled, 30, 33, 34, 35, change=lambda event: [])
telling("CancelsTwice", OrderCanceled, 30, change=lambda event: [event, event])


@breaks(30)
class KeepsTheCanceled(Little):
    def end(self, order_id: str) -> None:
        self.tell(OrderCanceled(order_id, Reason.USER, "", self.clock()))


@breaks(31, 32, 35)
class CancelsEverything(Little):
    async def cancel(self, order: Any) -> None:
        if self.is_open(order.order_id):
            self.end(order.order_id)
        else:
            self.tell(CancelRejected(order.order_id, Reason.TOO_LATE, "Late.", self.clock()))
            self.tell(OrderCanceled(order.order_id, Reason.USER, "", self.clock()))


telling("RefusesACancelWithoutAWord", CancelRejected, 31, 32, 35, change=lambda event: [replace(event, text="")])
telling("IgnoresCancels", CancelRejected, 31, 32, 35, change=lambda event: [])


@breaks(33)
class CancelsAll(Little):
    async def cancel(self, order: Any) -> None:
        for each in list(self.orders):
            self.end(each)


@breaks(34)
class ForgetsThePart(Little):
    def end(self, order_id: str) -> None:
        self.orders[order_id] = replace(self.orders[order_id], filled_quantity=D(0))
        super().end(order_id)


telling("ReplacesInSilence", OrderReplaced, 40, 41, change=lambda event: [])
telling("ReplacesWithOldTerms", OrderReplaced, 40, change=lambda event: [replace(event, limit_price=D(1))])


@breaks(40)
class ReplacesInWordsOnly(Little):
    async def replace(self, order: Any) -> None:
        before = self.orders[order.order_id]
        await super().replace(order)
        self.orders[order.order_id] = before


@breaks(41)
class TakesNoneForNothing(Little):
    async def replace(self, order: Any) -> None:
        await super().replace(replace(order, asked_quantity=order.asked_quantity or D(1)))


@breaks(42)
class ReplacesTheClosed(Little):
    async def replace(self, order: Any) -> None:
        known = self.orders[order.order_id]
        if known.status in CLOSED:
            self.orders[order.order_id] = replace(known, status=OrderStatus.NEW)
            raise Refused(Reason.REJECTED, "It is closed.")
        await super().replace(order)


telling("RefusesAReplaceWithoutAWord", ReplaceRejected, 42, 43, change=lambda event: [replace(event, text="")])
telling("IgnoresReplaces", ReplaceRejected, 42, 43, change=lambda event: [])


@breaks(43)
class RefusesAndReplaces(Little):
    async def replace(self, order: Any) -> None:
        await super().replace(order)
        known = self.orders[order.order_id]
        self.orders[order.order_id] = replace(known, quantity=order.asked_quantity)


@breaks(44, 45, 46, 48, 49)
class BindsNothing(Little):
    def bound(self, order_id: str, other: str) -> bool:
        return False


@breaks(44)
class BindsEverything(Little):
    def bound(self, order_id: str, other: str) -> bool:
        return self.is_open(other)


@breaks(44, 46, 48)
class EndsTheOthersInWordsOnly(Little):
    def take_off(self, order_id: str, quantity: Decimal) -> None:
        self.tell(OrderReplaced(order_id, quantity, None, None, self.clock()))


@breaks(45, 49)
class TakesTooLittleOff(Little):
    def take_off(self, order_id: str, quantity: Decimal) -> None:
        super().take_off(order_id, quantity / 2)


@breaks(46, 47)
class BindsByOcoAlone(Little):
    def enter(self, order: Any) -> None:
        super().enter(replace(order, parent=""))


@breaks(47)
class LetsTheExitsOfAnEndedEntryWork(Little):
    def holds(self, parent: str, child: str) -> bool:
        return False


@breaks(47)
class GivesABracketOneId(Little):
    async def submit_bracket(self, entry: Any, exits: Any) -> None:
        for order in (entry, *exits):
            self.ids = 0
            await self.submit(order)


@breaks(48)
class SendsTheExitsLater(Little):
    async def submit_bracket(self, entry: Any, exits: Any) -> None:
        await self.submit(entry)
        for order in exits:
            self.tell(OrderAccepted(order.order_id, order.leg, self.clock()))


@breaks(49)
class EndsTheOtherWithTheFirstFill(Little):
    def take_off(self, order_id: str, quantity: Decimal) -> None:
        self.end(order_id)


# ---------------------------------------------------------------- fills

filling("FillsInFloats", 50, price=100.0)
filling("FillsForNothing", 50, price=D(0))
filling("FillsAnotherAccount", 50, account="OTHER")
filling("FillsElsewhere", 50, venue="other")
filling("FillsWithoutId", 50, execution_id="")
filling("PaysInFloats", 50, commission=0.5)


@breaks(50)
class FillsBeforeItNamesTheOrder(Little):
    """Its fills have the broker's id alone, and come first."""

    can = Little.can & ~(Can.CLIENT_ORDER_ID | Can.LOOKUP)
    held: Any = None

    def tell(self, event: Any) -> None:
        if isinstance(event, OrderAccepted):
            self.held = event
            return
        if isinstance(event, Executed):
            event = replace(event, execution=replace(event.execution, order_id=""))
        super().tell(event)
        if self.held is not None:
            super().tell(self.held)


filling("FillsInParis", 51, time=lambda fill: fill.time.astimezone(PARIS))
filling("FillsInTheFuture", 51, time=lambda fill: fill.time + timedelta(minutes=1))
filling("FillsAllByOneId", 53, 93, execution_id="X")


@breaks(52)
class FillsInRunningTotals(Little):
    def tell(self, event: Any) -> None:
        if isinstance(event, Executed):
            total = self.orders[event.order_id].filled_quantity
            event = replace(event, execution=replace(event.execution, quantity=total))
        super().tell(event)


answering("executions", "KeepsOtherIds", 54, change=lambda found: [replace(each, execution_id="Y") for each in found])
answering("executions", "KeepsOtherPrices", 54, change=lambda found: [replace(each, price=D(1)) for each in found])


@breaks(54, 55)
class KeepsNoHistory(Little):
    async def executions(self, since: Any) -> Any:
        return []


@breaks(55, 56)
class IgnoresSince(Little):
    async def executions(self, since: Any) -> Any:
        return [*await super().executions(None), *[replace(each, time=PAST) for each in self.fills]]


@breaks(55)
class BeginsLate(Little):
    async def executions(self, since: Any) -> Any:
        return await super().executions(since and since + timedelta(days=1))


# ---------------------------------------------------------------- truth

showing("ReportsAnotherPrice", 60, change=lambda report: replace(report, limit_price=D(2)))
showing("ReportsAnotherName", 60, 62, change=lambda report: replace(report, broker_order_id="L999"))
showing("ReportsNothingFilled", 61, 63, change=lambda report: replace(report, filled_quantity=D(0)))
showing(
    "ReportsAnotherStatus", 60, 61, 62, 63, 64, change=lambda report: replace(report, status=OrderStatus.PENDING_NEW)
)
showing("ReportsAnotherAverage", 63, change=lambda report: replace(report, average_price=PRICE * 2))
answering("lookup", "FindsNothing", 62, 63, 64, 97, change=lambda found: None)


@breaks(65)
class FindsEverything(Little):
    async def lookup(self, order: Any) -> Any:
        if order.order_id not in self.orders:
            self.enter(order)
        return await super().lookup(order)


answering(
    "positions", "HoldsMore", 66, 94, change=lambda held: [replace(each, quantity=each.quantity * 2) for each in held]
)
answering("positions", "HoldsNothing", 66, 94, change=lambda held: [])
answering("positions", "HoldsTwice", 66, change=lambda held: [*held, *held])
answering("positions", "HoldsElsewhere", 66, change=lambda held: [replace(each, venue="other") for each in held])
answering("balances", "OwnsFloats", 67, change=lambda report: replace(report, cash=1.5))
answering("balances", "OwnsNaN", 67, change=lambda report: replace(report, cash=D("NaN")))
answering("balances", "TellsOfAnother", 67, change=lambda report: replace(report, account="OTHER"))


answering("balances", "OwnsTheSame", 69, change=lambda report: replace(report, balances=(Balance("USD", D(1), D(1)),)))
answering("balances", "OwnsNothing", 69, change=lambda report: replace(report, balances=()))


@breaks(69)
class PaysInAnotherCurrency(Little):
    def tell(self, event: Any) -> None:
        if isinstance(event, Executed):
            event = replace(event, execution=replace(event.execution, currency="EUR"))
        super().tell(event)


@breaks(69)
class TakesAFee(Little):
    fees = D(0)

    def enter(self, order: Any) -> None:
        self.fees += 1
        super().enter(order)

    async def balances(self, account: str) -> Any:
        report = await super().balances(account)
        cash = report.balances[0].total - self.fees
        return replace(report, balances=(Balance("USD", cash, cash),))


@breaks(68)
class KnowsEveryAccount(Little):
    async def balances(self, account: str) -> Any:
        return AccountReport(account, D(0))


@breaks(68)
class RefusesAnAccountWithoutAWord(Little):
    async def balances(self, account: str) -> Any:
        raise Refused(Reason.UNKNOWN_ACCOUNT, "")


# ---------------------------------------------------------------- tickets


@breaks(70)
class TradesTickets(Little):
    def enter(self, order: Any) -> None:
        super().enter(replace(order, tag=None))


showing("ReportsTicketsAsOrders", 70, change=lambda report: replace(report, status=OrderStatus.NEW))


@breaks(71)
class ReleasesNothing(Little):
    async def release(self, order: Any) -> None:
        pass


@breaks(71)
class ReleasesDouble(Little):
    async def release(self, order: Any) -> None:
        known = self.orders[order.order_id]
        self.orders[order.order_id] = replace(known, quantity=known.quantity * 2)
        await super().release(order)


@breaks(72)
class ReleasesAgain(Little):
    async def release(self, order: Any) -> None:
        with suppress(GatewayError):
            await super().release(order)
            return
        self.fill(order.order_id, order.quantity)


@breaks(73)
class ReleasesTheWithdrawn(Little):
    async def release(self, order: Any) -> None:
        self.fill(order.order_id, order.quantity)


# ---------------------------------------------------------------- the market

answering("instrument", "KnowsNothing", 80, change=lambda found: None)
answering("instrument", "NamesAnotherVenue", 80, 82, change=lambda found: found and replace(found, venue="other"))
answering("instrument", "HasWiderLots", 80, change=lambda found: found and replace(found, lot_size=D(7)))
answering("instrument", "TakesMore", 80, change=lambda found: found and replace(found, min_quantity=D(1000)))
answering("instrument", "StepsInFloats", 80, change=lambda found: found and replace(found, tick_size=0.01))
answering("instruments", "ListsItTwice", 82, change=lambda found: [*found, *found])


@breaks(81)
class KnowsEverySymbol(Little):
    async def instrument(self, symbol: str) -> Any:
        found = await super().instrument("IBM")
        return found and replace(found, symbol=symbol)


telling("ShowsNoQuote", Quote, 83, 96, change=lambda event: [])
telling("ShowsCrossedQuotes", Quote, 83, change=lambda event: [replace(event, bid=event.ask + 1)])
telling("ShowsNoSizes", Quote, 83, change=lambda event: [replace(event, ask_size=D(0))])
telling("QuotesInParis", Quote, 83, change=lambda event: [replace(event, time=event.time.astimezone(PARIS))])
telling("ShowsNoTrade", Trade, 84, change=lambda event: [])
telling("TradesInFloats", Trade, 84, change=lambda event: [replace(event, price=1.5)])
telling("TradesInParis", Trade, 84, change=lambda event: [replace(event, time=event.time.astimezone(PARIS))])


@breaks(85)
class ListensForEver(Little):
    def unsubscribe(self, symbol: str) -> None:
        pass


@breaks(85)
class ShowsUnasked(Little):
    def work(self, order_id: str) -> None:
        self.listened.add("IBM")
        self.tick()
        super().work(order_id)


@breaks(86)
class ShowsAnything(Little):
    def subscribe(self, symbol: str) -> None:
        self.listened.add(symbol)


answering("bars", "GivesBarsBackwards", 87, change=lambda bars: list(reversed(bars)))
answering("bars", "GivesBarsTwice", 87, change=lambda bars: [*bars, *bars])
answering("bars", "GivesNoBars", 87, change=lambda bars: [])


@breaks(87)
class GivesBarsBeyond(Little):
    async def bars(self, symbol: str, period: Any, start: Any, end: Any) -> Any:
        return await super().bars(symbol, period, start, end + timedelta(minutes=1))


@breaks(88)
class GivesFlatHighs(Little):
    def minute(self, symbol: str, time: Any) -> Any:
        return replace(super().minute(symbol, time), high=PRICE - 2)


@breaks(88)
class GivesFloats(Little):
    def minute(self, symbol: str, time: Any) -> Any:
        return replace(super().minute(symbol, time), volume=1.5)


@breaks(89)
class MakesBarsUp(Little):
    async def bars(self, symbol: str, period: Any, start: Any, end: Any) -> Any:
        return await super().bars("IBM", period, start, end)


# ---------------------------------------------------------------- reconnects


@breaks(90, 91, 95)
class ForgetsOrders(Little):
    def stopService(self) -> None:
        self.orders.clear()
        super().stopService()


@breaks(90)
class RenamesOrders(Little):
    def stopService(self) -> None:
        self.orders = {key: replace(each, broker_order_id="NEW") for key, each in self.orders.items()}
        super().stopService()


@breaks(90)
class CancelsAtTheEnd(Little):
    def stopService(self) -> None:
        for each in [each for each in self.orders if self.is_open(each)]:
            self.tell(OrderCanceled(each, Reason.USER, "", self.clock()))
        super().stopService()


@breaks(92)
class RenumbersFills(Little):
    def stopService(self) -> None:
        self.fills = [replace(each, execution_id=f"{each.execution_id}B") for each in self.fills]
        super().stopService()


@breaks(93)
class CountsAnew(Little):
    def stopService(self) -> None:
        self.ids = 0
        self.fills.clear()
        super().stopService()


@breaks(94, 92)
class ForgetsFills(Little):
    def stopService(self) -> None:
        self.fills.clear()
        super().stopService()


@breaks(95)
class SendsAgain(Little):
    def stopService(self) -> None:
        self.orders |= {f"{key}again": each for key, each in self.orders.items()}
        super().stopService()


@breaks(95)
class FillsAtTheStart(Little):
    def startService(self) -> None:
        super().startService()
        for each in list(self.orders):
            self.fill(each, D(1))


@breaks(96)
class SubscribesOnce(Little):
    def stopService(self) -> None:
        super().stopService()
        self.subscribe = lambda symbol: None  # type: ignore[method-assign]


@breaks(97)
class ForgetsTheClosed(Little):
    def stopService(self) -> None:
        self.orders = {key: each for key, each in self.orders.items() if each.status not in CLOSED}
        super().stopService()


# ---------------------------------------------------------------- the book, perpetuals, limits


def booked(name: str, *numbers: int, change: Callable[[Any], Any]) -> None:
    """A broker whose book is another one."""

    def book(self: Little, symbol: str, levels: int) -> Any:
        return change(Little.book(self, symbol, levels))

    breaks(*numbers)(type(name, (Little,), {"book": book}))


booked("ShowsTheWorstFirst", 120, 122, change=lambda depth: replace(depth, bids=depth.bids[::-1]))
booked("ShowsACrossedBook", 120, 122, change=lambda depth: replace(depth, bids=depth.asks, asks=depth.bids))
booked("ShowsEmptyLevels", 120, change=lambda depth: replace(depth, asks=(replace(depth.asks[0], size=D(0)),)))
booked("ShowsAHalfBook", 120, change=lambda depth: replace(depth, asks=()))
booked("BooksInParis", 120, change=lambda depth: replace(depth, time=depth.time.astimezone(PARIS)))
booked("BooksAnother", 120, 122, change=lambda depth: replace(depth, symbol="CAT"))
booked("BooksInFloats", 120, change=lambda depth: replace(depth, bids=(replace(depth.bids[0], price=1.5),)))
answering("depth", "ShowsNoBook", 120, 121, change=lambda depth: None)


@breaks(121)
class ShowsTheWholeBook(Little):
    async def depth(self, symbol: str, levels: int) -> Any:
        return await super().depth(symbol, 5)


@breaks(121)
class ShowsTheBookOfAnything(Little):
    async def depth(self, symbol: str, levels: int) -> Any:
        return self.book(symbol, levels)


@breaks(122)
class ShowsTheBookUnasked(Little):
    def subscribe(self, symbol: str) -> None:
        self.deep.add(symbol)
        super().subscribe(symbol)


@breaks(122)
class ShowsTheBookForEver(Little):
    def unsubscribe_depth(self, symbol: str) -> None:
        pass


@breaks(122)
class ShowsTheBookOfTheUnsubscribed(Little):
    def unsubscribe(self, symbol: str) -> None:
        pass


answering("funding", "TellsNoFunding", 123, change=lambda found: None)
answering("funding", "FundsInFloats", 123, change=lambda found: found and replace(found, rate=0.0001))
answering("funding", "FundsInPercent", 123, change=lambda found: found and replace(found, rate=D(5)))
answering("funding", "FundsAnother", 123, change=lambda found: found and replace(found, symbol="CAT"))
answering("funding", "MarksNothing", 123, change=lambda found: found and replace(found, mark_price=D(0)))
answering(
    "funding",
    "FundsInThePast",
    123,
    change=lambda found: found and replace(found, next_time=datetime(2020, 1, 1, tzinfo=UTC)),
)


@breaks(123)
class FundsAnything(Little):
    async def funding(self, symbol: str) -> Any:
        return await super().funding("IBM")


answering("leverage", "LeversInFloats", 124, change=float)


@breaks(124)
class LeversNothing(Little):
    async def set_leverage(self, account: str, symbol: str, leverage: Any) -> None:
        if leverage > 20:
            await super().set_leverage(account, symbol, leverage)


@breaks(125)
class LeversAnything(Little):
    async def set_leverage(self, account: str, symbol: str, leverage: Any) -> None:
        self.margin = leverage


@breaks(125)
class LeversAsFarAsItCan(Little):
    async def set_leverage(self, account: str, symbol: str, leverage: Any) -> None:
        self.margin = min(leverage, D(20))
        await super().set_leverage(account, symbol, leverage)


@breaks(125)
class RefusesALeverageWithoutAWord(Little):
    async def set_leverage(self, account: str, symbol: str, leverage: Any) -> None:
        raise Refused(Reason.REJECTED, "")


@breaks(126)
class LeversLater(Little):
    async def set_leverage(self, account: str, symbol: str, leverage: Any) -> None:
        self.margin = leverage
        await super().set_leverage(account, symbol, leverage)


@breaks(126)
class LeversWhileItIsDown(Little):
    async def set_leverage(self, account: str, symbol: str, leverage: Any) -> None:
        self.margin = leverage


@breaks(127)
class KeepsItsMode(Little):
    async def set_position_mode(self, account: str, mode: Any) -> None:
        pass


@breaks(127)
class HedgesAndRefuses(Little):
    async def set_position_mode(self, account: str, mode: Any) -> None:
        await super().set_position_mode(account, mode)
        if mode == "HEDGE":
            raise Refused(Reason.UNSUPPORTED, "No.")


@breaks(127)
class RefusesHedgeWithoutAWord(Little):
    async def set_position_mode(self, account: str, mode: Any) -> None:
        if mode == "HEDGE":
            raise Refused(Reason.UNSUPPORTED, "")


@breaks(127)
class RefusesOneWay(Little):
    async def set_position_mode(self, account: str, mode: Any) -> None:
        if mode == "ONE_WAY":
            raise Refused(Reason.UNSUPPORTED, "No.")
        await super().set_position_mode(account, mode)


def limiting(name: str, *numbers: int, change: Callable[[Any], Any]) -> None:
    """A broker whose rate limits are told otherwise."""
    breaks(*numbers)(type(name, (Little,), {"rate_limits": lambda self: change(Little.rate_limits(self))}))


limiting("LimitsNothing", 128, change=lambda limits: [])
limiting("LimitsTwice", 128, change=lambda limits: [*limits, *limits])
limiting("LeavesMore", 128, change=lambda limits: [replace(limits[0], remaining=5000)])
limiting("ChargesNothing", 128, change=lambda limits: [replace(limits[0], remaining=1000)])


@breaks(129)
class AnswersAnything(Little):
    async def call_endpoint(self, call: Any) -> Any:
        return {}


answering("call_endpoint", "AnswersNothing", 129, change=lambda answer: None)


@breaks(129)
class RefusesAnEndpointWithoutAWord(Little):
    async def call_endpoint(self, call: Any) -> Any:
        if call.path != "ping":
            raise Refused(Reason.REJECTED, "")
        return {}


# ---------------------------------------------------------------- last prices


def lasting(name: str, *numbers: int, **change: Any) -> None:
    """A broker whose last prices are other ones."""
    answering("last_prices", name, *numbers, change=lambda found: [replace(each, **change) for each in found])


answering("last_prices", "KnowsNoLastPrice", 130, 131, change=lambda found: [])
answering("last_prices", "TellsLastPricesTwice", 130, change=lambda found: [*found, *found])
lasting("LastsInFloats", 130, price=1.5)
lasting("LastsForNothing", 130, price=D(0))
lasting("LastsAnother", 130, symbol="CAT")
lasting("LastsInTheFuture", 130, time=datetime(2100, 1, 1, tzinfo=UTC))
lasting("LastsInParis", 130, time=datetime(2020, 1, 1, tzinfo=PARIS))
lasting("TakesTheBidForTheLast", 131, price=D("99.9"))


@breaks(130)
class LastsAnything(Little):
    async def last_prices(self, symbols: Any) -> Any:
        return [LastPrice(each, PRICE) for each in symbols]


@breaks(130)
class LastsUnasked(Little):
    async def last_prices(self, symbols: Any) -> Any:
        return await super().last_prices(["IBM"])


@breaks(130)
class SubscribesToBeAsked(Little):
    async def last_prices(self, symbols: Any) -> Any:
        for each in symbols:
            self.subscribe(each)
        return await super().last_prices(symbols)
