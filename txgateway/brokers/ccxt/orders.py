"""Orders, their ends and other terms: what is asked of the exchange, and what its answer says of it.

What is sent is remembered first, so that nothing goes twice. Frames are the truth about an order; the answer to an
order call is one more word on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from txgateway.brokers import Can, Report
from txgateway.brokers.ccxt import errors, translate
from txgateway.brokers.ccxt.book import Book, Entry
from txgateway.brokers.ccxt.frames import amount
from txgateway.brokers.ccxt.ids import IdForm
from txgateway.brokers.ccxt.memory import Memory
from txgateway.brokers.ccxt.options import CcxtOptions
from txgateway.brokers.ccxt.peculiarities import Peculiarities
from txgateway.brokers.ccxt.session import Session
from txgateway.brokers.ccxt.spelling import spelling
from txgateway.brokers.ccxt.words import Seen
from txgateway.model.errors import Ambiguous, GatewayError, Reason, Refused
from txgateway.model.events import CancelRejected, OrderReplaced, ReplaceRejected
from txgateway.model.order import CLOSED, Order, OrderStatus, Origin

REMEMBERED = 100_000
"""Ids of orders that this process sent."""


class DuplicateOrder(GatewayError):
    """An order was to be sent a second time: it was not."""


class Orders:
    """Of one venue, over all its links. `new_pair`: told of a link by which a pair was traded for the first time."""

    def __init__(
        self,
        options: CcxtOptions,
        row: Peculiarities,
        venue: str,
        reactor: Any,
        report: Report,
        now: Callable[[], datetime],
        book: Book,
        memory: Memory,
        new_pair: Callable[[Session], None],
    ) -> None:
        self._options, self._row, self._venue = options, row, venue
        self._reactor, self._report, self._now = reactor, report, now
        self._book, self._memory = book, memory
        self._new_pair = new_pair
        self._sent: dict[str, None] = {}

    async def submit(self, session: Session, order: Order) -> None:
        """Send an order. The same id again raises DuplicateOrder, and is not sent."""
        self._refuse_twice(order)
        market = self._market(session, order)
        if session.perpetuals.hedged is not False and market.get("swap"):
            await self._one_way(session)
            self._refuse_twice(order)
        client = session.client_id(order.order_id)
        collar = None
        if self._row.collar and order.order_type.value == "MARKET" and order.side.sign > 0 and market.get("spot"):
            collar = await self._collar(session, order, market)
            self._refuse_twice(order)
        sent = translate.sent(order, client, collar, self._row.client_key, self._row.stop)
        prices = [each for each in (order.limit_price, order.stop_price) if each is not None]
        self._check(session, order.symbol, order.quantity, prices)
        try:
            if self._memory.symbol(order.symbol):
                self._new_pair(session)
            if self._row.form is IdForm.NUMBER:
                self._memory.name(client, order.order_id)
        except OSError as error:
            text = f"What must be remembered of order {order.order_id} cannot be kept ({error}): it is not sent."
            raise Refused(Reason.JOURNAL_FAILED, text) from None
        if session.over:
            raise Refused(Reason.VENUE_DOWN, f"Venue {self._venue} is not connected: nothing was done.")
        self._remember(order.order_id)
        entry = self._book.sent(order)
        entry.unsettled = self._reactor.seconds() + 2 * self._options.patience
        call = session.exchange.create_order(
            sent.symbol, sent.form, sent.side, sent.quantity, sent.limit, dict(sent.params)
        )
        try:
            answer = await session.command(f"Order {order.order_id}", call)
        except Ambiguous as doubt:
            # What was answered, or sent so long ago, is not on its way any more.
            over = doubt.__cause__ is not None and errors.is_over(doubt.__cause__)
            entry.unsettled = self._reactor.seconds() + 0.5 + (0.0 if over else self._options.patience)
            raise
        except Refused as refused:
            entry.unsettled = 0.0
            if "position side" in refused.text.lower():
                session.perpetuals.doubt()
            if entry.told_accepted:
                raise Ambiguous(f"Order {order.order_id} was refused and accepted by {self._venue}.") from None
            self._book.dropped(entry)
            raise
        entry.unsettled = 0.0
        self._answered(session, order, answer)

    async def _one_way(self, session: Session) -> None:
        """Refuse what is ordered in hedge mode; somebody may have ended that at the exchange, so it is asked."""
        try:
            hedged = await session.perpetuals.hedge()
        except GatewayError as error:
            raise Refused(Reason.VENUE_DOWN, f"The position mode is not known, so nothing was sent: {error}") from None
        if hedged:
            raise Refused(Reason.UNSUPPORTED, session.perpetuals.text())

    def _answered(self, session: Session, order: Order, answer: Any) -> None:
        """An answer with an id says that the exchange has the order."""
        seen = translate.seen(answer, order.order_id)
        if seen is None:
            raise Ambiguous(f"Order {order.order_id} is in doubt: venue {self._venue} gave it no id.")
        if seen.status is OrderStatus.UNKNOWN:
            seen = Seen(
                name=order.order_id,
                broker_id=seen.broker_id,
                symbol=order.symbol,
                status=OrderStatus.NEW,
                time=self._now(),
            )
        if not session.over:
            session.see(seen)

    def _refuse_twice(self, order: Order) -> None:
        if order.order_id in self._sent or self._book.find(order.order_id) is not None:
            raise DuplicateOrder(f"Order {order.order_id} was sent already: it is not sent a second time.")

    def _remember(self, order_id: str) -> None:
        while len(self._sent) >= REMEMBERED:
            del self._sent[next(iter(self._sent))]
        self._sent[order_id] = None

    def _market(self, session: Session, order: Order) -> Any:
        market = (session.exchange.markets or {}).get(order.symbol)
        if market is None or session.market.instrument(order.symbol) is None:
            instead = spelling(order.symbol, session.exchange.markets or {}, self._options.kind, self._options.symbols)
            text = f"Venue {self._venue} does not trade {order.symbol}"
            raise Refused(Reason.UNKNOWN_SYMBOL, f"{text}: {instead}" if instead else f"{text}.")
        return market

    async def _collar(self, session: Session, order: Order, market: Any) -> Decimal:
        """The limit of a purchase at the market: a little above what is offered."""
        try:
            book = await session.ask(session.exchange.fetch_order_book(order.symbol, 20))
        except GatewayError as error:
            raise Refused(Reason.NO_PRICE, f"Nothing was sent: {error}") from None
        asks = [amount(row[0]) for row in book.get("asks") or ()]
        if not asks:
            raise Refused(Reason.NO_PRICE, f"Nobody offers {order.symbol} at {self._venue}: nothing was sent.")
        tick = translate.instrument(self._venue, market).tick_size
        limit = min(asks) * (1 + Decimal(str(self._row.collar)))
        return (limit // tick) * tick

    def _check(self, session: Session, symbol: str, quantity: Decimal, prices: Sequence[Decimal]) -> None:
        """What ccxt would round is refused: nobody asked for that."""
        rounded: list[tuple[str, Reason, Any, Any]] = [
            ("quantity", Reason.BAD_LOT, quantity, session.exchange.amount_to_precision)
        ]
        rounded += [("price", Reason.BAD_TICK, each, session.exchange.price_to_precision) for each in prices]
        for name, reason, asked, precise in rounded:
            try:
                made = Decimal(precise(symbol, translate.plain(asked)))
            except Exception as error:
                raise Refused(reason, f"The {name} {asked:f} cannot be sent to {self._venue}: {error}.") from None
            if made != asked:
                text = f"The {name} {asked:f} is no multiple of what {self._venue} takes in {symbol}."
                raise Refused(reason, text)

    async def cancel(self, session: Session, order: Order) -> None:
        """Ask for the end of an order."""
        entry = self.entry(order)
        if entry is not None and entry.over:
            self._late(order, entry)
            return
        if entry is None and (order.broker_order_id or Can.LOOKUP in self._row.can):
            seen = await session.lists.find(order, is_external(order))
            entry = session.see(seen) if seen is not None else None
            if entry is None:
                raise Refused(Reason.NO_SUCH_ORDER, f"Venue {self._venue} has no order {order.order_id}.")
        if entry is None or not (self._row.find or entry.broker_id or order.broker_order_id):
            entry = await self._listed(session, order)
        if entry.over:
            self._late(order, entry)
            return
        entry.cancel_asked = True
        identity, params = self._identity(session, order, entry)
        symbol = order.symbol if self._row.flat_symbol else None
        call = session.exchange.cancel_order(identity, symbol, params)
        try:
            answer = await session.command(f"The cancel of order {order.order_id}", call)
        except Refused as refused:
            await self._not_canceled(session, order, entry, refused)
            return
        seen = translate.seen(answer or {}, order.order_id) if self._row.cancel_answers else None
        if seen is not None and seen.status in CLOSED and not session.over:
            session.see(seen)

    async def _listed(self, session: Session, order: Order) -> Entry:
        """An order that the exchange has given no id as yet, out of those that are open.

        Without one nothing is sent: there are exchanges that take a cancel of nothing for one of everything.
        """
        for seen in await session.lists.open_orders():
            session.see(seen)
        entry = self.entry(order)
        if entry is None or not entry.broker_id:
            text = f"Venue {self._venue} lists no open order {order.order_id}, and no id of it is known by which it"
            raise Refused(Reason.NO_SUCH_ORDER, f"{text} could be canceled: nothing was sent.")
        return entry

    def _identity(self, session: Session, order: Order, entry: Entry) -> tuple[str, dict[str, str]]:
        """How an order is named to the exchange: by our id where that is possible."""
        if self._row.find and not is_external(order):
            client = session.client_id(order.order_id)
            return client, {self._row.find: client}
        return entry.broker_id or order.broker_order_id, {}

    def entry(self, order: Order) -> Entry | None:
        return self._book.find("" if is_external(order) else order.order_id, order.broker_order_id, order.symbol)

    def _late(self, order: Order, entry: Entry) -> None:
        text = f"The order is {entry.status} already."
        self._report(CancelRejected(order.order_id, Reason.TOO_LATE, text, self._now()))

    async def _not_canceled(self, session: Session, order: Order, entry: Entry, refused: Refused) -> None:
        """The cancel was refused: what became of the order tells why."""
        seen = await session.lists.find(order, is_external(order))
        if seen is not None:
            session.see(seen)
        if entry.over and not entry.cancel_asked:
            return  # its end was told, or the answer to the cancel
        entry.cancel_asked = False
        if entry.over:
            self._late(order, entry)
            return
        reason = Reason.NO_SUCH_ORDER if seen is None else refused.reason
        self._report(CancelRejected(order.order_id, reason, refused.text, self._now()))

    async def replace(self, session: Session, order: Order) -> None:
        """Ask for other terms; what then holds is told."""
        entry = self.entry(order)
        if entry is None:
            seen = await session.lists.find(order, is_external(order))
            entry = session.see(seen) if seen is not None else None
        if entry is None:
            raise Refused(Reason.NO_SUCH_ORDER, f"Venue {self._venue} has no order {order.order_id}.")
        if entry.over:
            text = f"The order is {entry.status} already."
            self._report(ReplaceRejected(order.order_id, Reason.TOO_LATE, text, self._now()))
            return
        held = (entry.quantity or order.quantity, entry.limit if entry.limit is not None else order.limit_price)
        quantity = order.asked_quantity if order.asked_quantity is not None else held[0]
        limit = order.asked_limit_price if order.asked_limit_price is not None else held[1]
        if quantity <= entry.filled:
            text = f"{entry.filled:f} of order {order.order_id} are filled: it cannot become {quantity:f}."
            raise Refused(Reason.BAD_QUANTITY, text)
        if order.order_type.value != "LIMIT" or limit is None:
            raise Refused(Reason.UNSUPPORTED, f"Venue {self._venue} changes limit orders only.")
        if (quantity, limit) == held:
            self._report(OrderReplaced(order.order_id, quantity, limit, None, self._now(), entry.broker_id))
            return
        self._check(session, order.symbol, quantity, [limit])
        await self._change(session, order, entry, quantity, limit)

    async def _change(self, session: Session, order: Order, entry: Entry, quantity: Decimal, limit: Decimal) -> None:
        entry.asked = (quantity, limit)
        side = "buy" if order.side.sign > 0 else "sell"
        _, params = self._identity(session, order, entry)
        identity = entry.broker_id or order.broker_order_id
        terms = (translate.plain(quantity), translate.plain(limit))
        call = session.exchange.edit_order(identity, order.symbol, "limit", side, *terms, params)
        try:
            answer = await session.command(f"The replace of order {order.order_id}", call)
        except Refused as refused:
            if entry.asked is not None:
                entry.asked = None
                self._report(ReplaceRejected(order.order_id, refused.reason, refused.text, self._now()))
            return
        seen = translate.seen(answer or {}, order.order_id)
        if seen is not None and seen.whole and not session.over:
            session.see(translate.replaced(seen))


def is_external(order: Order) -> bool:
    """Whether another sent it."""
    return order.origin is Origin.EXTERNAL
