"""The paper counterparty itself: takes orders, holds them, fills them against what the market shows. Pure.

Every command and every event of the market goes into one `Turn`: what is to be told, and what has to be in the book
before it is told. Time comes in as an argument, and the market as a few questions.

How long an order lives: DAY until the session's close (local midnight where a market never closes), GTC until it is
ended, IOC and FOK for the moment; a stop's moment is when it is triggered, and until then it is like a DAY order.
While the market is closed orders rest, but a market order, IOC or FOK is refused. A ticket (staged) waits for its
release for as long as it takes and reserves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from txgateway.brokers.paper.accounts import BASE, Account
from txgateway.brokers.paper.admission import AT_ONCE, Admission
from txgateway.brokers.paper.commission import Commission
from txgateway.brokers.paper.held import Fill, Held, Refusal, execution, taken
from txgateway.brokers.paper.matching import Matcher
from txgateway.brokers.paper.sessions import Sessions
from txgateway.brokers.paper.turn import Market, Numbers, Turn
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderEvent,
    OrderExpired,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
)
from txgateway.model.instrument import Instrument
from txgateway.model.market import Quote, Trade
from txgateway.model.order import Order, OrderStatus, TimeInForce

ZERO = Decimal(0)


class Exchange:
    """All orders that are open, by our client's order id, and the accounts they are for."""

    def __init__(
        self,
        venue: str,
        market: Market,
        accounts: Mapping[str, Account],
        sessions: Sessions,
        fees: Commission,
        numbers: Numbers,
        closed: Callable[[str], Held | None],
    ) -> None:
        self._venue = venue
        self._market = market
        self.accounts = accounts
        self._admission = Admission(market, accounts)
        self._sessions = sessions
        self._fees = fees
        self._numbers = numbers
        self._closed = closed
        self.open: dict[str, Held] = {}
        self.turn = Turn()
        self.matchers: dict[str, Matcher] = {}
        self._expiring: dict[datetime, dict[int, Held]] = {}

    # commands

    def submit(self, order: Order, now: datetime) -> None:
        """A new order, or a new ticket: accepted or rejected, and filled as far as the market goes."""
        self._numbers.order += 1
        self._numbers.called += 1
        instrument = self._market.instrument(order.symbol)
        held = taken(order, self._numbers.order, self._numbers.called, instrument, now)
        refusal = self._admission.malformed(held, instrument)
        if refusal is None and order.staged and order.status is OrderStatus.STAGED:
            held.status = OrderStatus.STAGED
            self.open[held.order_id] = held
            self._tell(held, OrderAccepted(held.order_id, held.broker_order_id, now))
        elif refusal is not None or instrument is None:
            self._reject(held, refusal or (Reason.REJECTED, ""), now)
        else:
            self._enter(held, instrument, now)

    def release(self, order: Order, now: datetime) -> bool:
        """Make a ticket a live order; False when there is no such ticket."""
        held = self.find(order)
        if held is None or held.status is not OrderStatus.STAGED:
            return False
        instrument = self._market.instrument(held.symbol)
        refusal = self._admission.malformed(held, instrument)
        if refusal is not None or instrument is None:
            self._reject(held, refusal or (Reason.REJECTED, ""), now)
        else:
            self._enter(held, instrument, now)
        return True

    def cancel(self, order: Order, now: datetime) -> None:
        """End an order that is still open."""
        held = self.find(order)
        if held is None:
            reason, text = self._gone(order)
            self.turn.reports.append(CancelRejected(order.order_id, reason, text, now))
        else:
            text = "Canceled by request."
            self._end(held, OrderStatus.CANCELED, Reason.USER, text)
            self._tell(held, OrderCanceled(order.order_id, Reason.USER, text, now))

    def replace(self, order: Order, now: datetime) -> None:
        """Give an open order the terms asked for. Other prices or more quantity lose its place in the queue."""
        held = self.find(order)
        refusal = self._gone(order) if held is None else self._change(held, order)
        if refusal is not None or held is None:
            reason, text = refusal or (Reason.REJECTED, "")
            self.turn.reports.append(ReplaceRejected(order.order_id, reason, text, now))
            return
        terms = (held.quantity, held.limit_price, held.stop_price)
        self._tell(held, OrderReplaced(order.order_id, *terms, now, held.broker_order_id))
        if held.status is not OrderStatus.STAGED:
            self._work(held, now)

    # what no honest market does: see link

    def roll_back_ids(self) -> None:
        """Call the next orders by the ids that the first ones had."""
        self._numbers.called = 0

    def refuse_replace(self, order: Order, now: datetime) -> None:
        """Refuse a replace for no reason of the order's."""
        self.turn.reports.append(ReplaceRejected(order.order_id, Reason.REJECTED, "The broker takes no changes.", now))

    def fill_aside(self, order: Order, share: Decimal, now: datetime) -> None:
        """Fill a share of what is left of a live order (in whole lots), at its limit or the last price."""
        held = self.open.get(order.order_id)
        instrument = self._market.instrument(held.symbol) if held else None
        if held is None or instrument is None or held.status is OrderStatus.STAGED or held.account not in self.accounts:
            return
        quantity = held.leaves * share // instrument.lot_size * instrument.lot_size
        price = held.limit_price or self._market.price(held.symbol)
        if quantity <= 0 or not price:
            return
        matcher = self.matcher(held.symbol)
        matcher.remove(held)
        held.triggered = held.order_type.has_stop
        self._execute(held, quantity, price, now)
        if held.open:
            matcher.add(held)

    def charge(self, name: str, amount: Decimal) -> None:
        """Take so much money (below zero: give it) from an account, if it is here, and tell nobody."""
        account = self.accounts.get(name)
        if account is not None:
            account.cash[BASE] = account.cash.get(BASE, ZERO) - amount
            self.turn.accounts[name] = account

    # the market

    def show(self, event: Quote | Trade, at: datetime | None = None) -> None:
        """What the market shows: orders meet it at its time, or at another."""
        matcher = self.matcher(event.symbol)
        if isinstance(event, Quote):
            matcher.show_quote(event)
        else:
            matcher.show_trade(event)
        if not matcher.idle:
            self._meet(matcher, event.symbol, at or event.time)

    def expire(self, now: datetime) -> None:
        """End what has come to its time."""
        if not self._expiring or now < min(self._expiring):
            return
        for moment in sorted(each for each in self._expiring if each <= now):
            for held in list(self._expiring[moment].values()):
                text = f"The order was good until {moment.isoformat()}."
                self._end(held, OrderStatus.EXPIRED, None, text)
                self._tell(held, OrderExpired(held.order_id, text, moment))
            self._expiring.pop(moment, None)

    # looking

    def matcher(self, symbol: str) -> Matcher:
        """What a symbol shows, and the orders that wait for it."""
        matcher = self.matchers.get(symbol)
        if matcher is None:
            matcher = self.matchers[symbol] = Matcher(self._market.quoted(symbol))
        return matcher

    def find(self, order: Order) -> Held | None:
        """An open order by our client's id; by ours when the client's was never sent, and only one has it."""
        held = self.open.get(order.order_id)
        if held is None and order.broker_order_id and self._closed(order.order_id) is None:
            named = [each for each in self.open.values() if each.broker_order_id == order.broker_order_id]
            held = named[0] if len(named) == 1 else None
        return held

    def restore(self, orders: Iterable[Held]) -> None:
        """Take back the open orders of the book, without telling and without filling."""
        for held in orders:
            self.open[held.order_id] = held
            self._numbers.priority = max(self._numbers.priority, held.priority)
            if held.status is OrderStatus.STAGED:
                continue
            if held.account in self.accounts:
                self.accounts[held.account].reserve(held)
                self.matcher(held.symbol).add(held)
            self._await_expiry(held)

    # an order's way in

    def _enter(self, held: Held, instrument: Instrument, now: datetime) -> None:
        matcher = self.matcher(held.symbol)
        opened = self._sessions.is_open(instrument.asset_class, now)
        held.triggered = held.triggered or (held.order_type.has_stop and opened and matcher.reaches(held))
        refusal = self._admission.enter(held, instrument, matcher, opened)
        if refusal is not None:
            self._reject(held, refusal, now)
            return
        held.status = OrderStatus.NEW
        if held.time_in_force is not TimeInForce.GTC:
            held.expires = self._sessions.day_end(instrument.asset_class, now)
        self._numbers.priority += 1
        held.priority = self._numbers.priority
        self.open[held.order_id] = held
        self._await_expiry(held)
        matcher.add(held)
        self._tell(held, OrderAccepted(held.order_id, held.broker_order_id, now))
        self._work(held, now)

    # an order's life

    def _work(self, held: Held, now: datetime) -> None:
        """Let an order that came or changed meet the market, when it is open."""
        matcher = self.matcher(held.symbol)
        if self._sessions.is_open(held.asset_class, now):
            if held.waits_for_stop and matcher.reaches(held):
                matcher.remove(held)
                self._trigger(held, matcher, now)
            else:
                matcher.match(self._executor(now))
        self._end_rest(held, now)

    def _meet(self, matcher: Matcher, symbol: str, now: datetime) -> None:
        """Let the waiting orders meet what is shown: those that rest first, then the stops that it triggers."""
        instrument = self._market.instrument(symbol)
        if instrument is None or not self._sessions.is_open(instrument.asset_class, now):
            return
        matcher.match(self._executor(now))
        for held in matcher.triggered():
            self._trigger(held, matcher, now)
            self._end_rest(held, now)

    def _trigger(self, held: Held, matcher: Matcher, now: datetime) -> None:
        """A stop becomes a market or a limit order; its time in force begins. The matcher has let go of it."""
        held.triggered = True
        self._numbers.priority += 1
        held.priority = self._numbers.priority
        self.turn.orders[held.number] = held
        refusal = self._admission.trigger(held, matcher)
        if refusal is not None:
            self._end(held, OrderStatus.CANCELED, *refusal)
            self._tell(held, OrderCanceled(held.order_id, *refusal, now))
            return
        matcher.add(held)
        matcher.match(self._executor(now))

    def _executor(self, now: datetime) -> Callable[[Held, Decimal, Decimal], Decimal]:
        return lambda held, quantity, price: self._execute(held, quantity, price, now)

    def _execute(self, held: Held, offered: Decimal, price: Decimal, now: datetime) -> Decimal:
        """Fill as much of an offer as the account can pay; an order that it cannot pay whole is over."""
        quantity = self._admission.payable(held, offered, price)
        if quantity > 0:
            self._fill(held, self.accounts[held.account], quantity, price, now)
        if quantity < offered:
            text = f"Account {held.account} has no cash for the rest: {held.leaves:f} were left at {price:f}."
            self._end(held, OrderStatus.CANCELED, Reason.INSUFFICIENT_FUNDS, text)
            self._tell(held, OrderCanceled(held.order_id, Reason.INSUFFICIENT_FUNDS, text, now))
        return quantity

    def _fill(self, held: Held, account: Account, quantity: Decimal, price: Decimal, now: datetime) -> None:
        total = self._fees.total(held.asset_class, held.filled + quantity, held.value + quantity * price)
        commission = total - held.commission
        position = account.fill(held, quantity, price, commission)
        if held.leaves > 0:
            held.status = OrderStatus.PARTIALLY_FILLED
        else:
            held.status = OrderStatus.FILLED
            self._forget(held)
        self._numbers.fill += 1
        fill = Fill(
            self._numbers.fill, held.number, quantity, price, commission, now, held.quantity, held.filled, held.value
        )
        turn = self.turn
        turn.fills.append(fill)
        turn.accounts[account.name] = account
        turn.positions[account.name, held.symbol] = position
        self._tell(held, Executed(execution(held, fill, self._venue, self._numbers.serial), now))

    def _end_rest(self, held: Held, now: datetime) -> None:
        """What IOC (and FOK) leave over does not stay."""
        if held.open and held.time_in_force in AT_ONCE and not held.waits_for_stop:
            text = f"{held.leaves:f} could not be filled at once."
            self._end(held, OrderStatus.CANCELED, Reason.NOT_FILLABLE, text)
            self._tell(held, OrderCanceled(held.order_id, Reason.NOT_FILLABLE, text, now))

    def _change(self, held: Held, order: Order) -> Refusal | None:
        """Give the asked-for terms to an open order, or say why not and leave it as it was."""
        if held.account not in self.accounts:
            return Reason.REJECTED, f"Account {held.account} is no longer here: cancel the order instead."
        before = (held.quantity, held.limit_price, held.stop_price, held.reserve_price)
        quantity = held.quantity if order.asked_quantity is None else order.asked_quantity
        limit = held.limit_price if order.asked_limit_price is None else order.asked_limit_price
        stop = held.stop_price if order.asked_stop_price is None else order.asked_stop_price
        if quantity <= held.filled:
            return (
                Reason.REJECTED,
                f"{held.filled:f} are filled: the new quantity must be above that, or cancel the rest.",
            )
        if held.triggered and stop != held.stop_price:
            return Reason.TOO_LATE, f"The stop was triggered at {held.stop_price or ZERO:f} already."
        live = held.status is not OrderStatus.STAGED
        if live:
            self.accounts[held.account].release(held)
            self.matcher(held.symbol).remove(held)
        held.quantity, held.limit_price, held.stop_price = quantity, limit, stop
        refusal = self._admission.change(held, self.matcher(held.symbol), live)
        if refusal is not None:
            held.quantity, held.limit_price, held.stop_price, held.reserve_price = before
        elif live and (quantity > before[0] or (limit, stop) != before[1:3]):
            self._numbers.priority += 1
            held.priority = self._numbers.priority
        if live:
            self.matcher(held.symbol).add(held)
            if refusal is not None:
                self.accounts[held.account].reserve(held)
        return refusal

    # an order's end

    def _reject(self, held: Held, refusal: Refusal, now: datetime) -> None:
        reason, text = refusal
        self.open.pop(held.order_id, None)
        held.status, held.reason, held.text = OrderStatus.REJECTED, reason, text
        self._tell(held, OrderRejected(held.order_id, reason, text, now))

    def _end(self, held: Held, status: OrderStatus, reason: Reason | None, text: str) -> None:
        if held.status is not OrderStatus.STAGED and held.account in self.accounts:
            self.accounts[held.account].release(held)
            self.matcher(held.symbol).remove(held)
        self._forget(held)
        held.status, held.reason, held.text = status, reason, text

    def _forget(self, held: Held) -> None:
        self.open.pop(held.order_id, None)
        if held.expires is not None:
            self._expiring.get(held.expires, {}).pop(held.number, None)

    def _await_expiry(self, held: Held) -> None:
        if held.expires is not None:
            self._expiring.setdefault(held.expires, {})[held.number] = held

    def _gone(self, order: Order) -> Refusal:
        held = self._closed(order.order_id)
        if held is None:
            return Reason.NO_SUCH_ORDER, f"There is no order {order.order_id} here."
        return Reason.TOO_LATE, f"Order {held.broker_order_id} is {held.status} already."

    def _tell(self, held: Held, event: OrderEvent) -> None:
        self.turn.orders[held.number] = held
        self.turn.reports.append(event)
