"""One instrument: our resting orders against what the market shows. Pure; knows nothing of accounts and clocks.

* A buy trades at the ask shown, a sell at the bid, never at another price, never for more than the size shown: a size
  is used up across all our orders until the feed shows a new quote. Our orders never trade with each other.
* A crossed, locked or one-sided quote shows nothing to trade with.
* Where the feed has no quotes for the instrument, a public trade is the evidence: both sides trade at its price,
  together for no more than its size, until the next trade.
* Market orders go first, then the better limit, then the earlier order.
* A buy stop is triggered by a trade at or above its price, or by an ask there; a sell stop by a trade at or below, or
  by a bid there: the last price as at IB's default for stocks, or the side that the order would trade at, which also
  works where a feed has quotes only, and never lets a quote fill a stop better than its own price.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from txgateway.brokers.paper.held import Held
from txgateway.model.market import Quote, Trade
from txgateway.model.order import OrderType

ZERO = Decimal(0)
FIRST = Decimal("-Infinity")
"""The rank of a market order: before every limit."""

Execute = Callable[[Held, Decimal, Decimal], Decimal]
"""(order, quantity, price) -> the quantity really filled; after less than was offered the order is taken away."""
_Queue = list[tuple[Decimal, int, Held]]


class Matcher:
    """The orders of one instrument that wait for its market. `quoted`: the feed shows quotes of it."""

    def __init__(self, quoted: bool = True) -> None:
        self.quoted = quoted
        self.quote: Quote | None = None
        self.last: Trade | None = None
        self._bid_left = self._ask_left = self._trade_left = ZERO
        self._resting: dict[bool, _Queue] = {True: [], False: []}
        self._stops: dict[bool, _Queue] = {True: [], False: []}

    @property
    def idle(self) -> bool:
        """True when no order waits."""
        return not (self._resting[True] or self._resting[False] or self._stops[True] or self._stops[False])

    def show_quote(self, quote: Quote) -> None:
        """The market's new quote. The same one shown again brings no new size."""
        if quote == self.quote:
            return
        self.quote = quote
        self._bid_left, self._ask_left = (quote.bid_size, quote.ask_size) if quote.tradable else (ZERO, ZERO)

    def show_trade(self, trade: Trade) -> None:
        """A public trade."""
        if trade is not self.last:
            self.last = trade
            self._trade_left = trade.size

    def withdraw(self) -> Quote | None:
        """Nothing is shown any more. Gives the last quote without its sizes, if there was one."""
        quote, self.quote, self.last = self.quote, None, None
        self._bid_left = self._ask_left = self._trade_left = ZERO
        return quote and replace(quote, bid_size=ZERO, ask_size=ZERO)

    def shown(self, buys: bool) -> tuple[Decimal, Decimal]:
        """(price, size left) that a buy or a sell would meet now; size 0 when there is nothing."""
        if not self.quoted:
            return (self.last.price, self._trade_left) if self.last else (ZERO, ZERO)
        if self.quote is None:
            return ZERO, ZERO
        return (self.quote.ask, self._ask_left) if buys else (self.quote.bid, self._bid_left)

    def reachable(self, held: Held) -> Decimal:
        """How much the order could trade at once."""
        price, left = self.shown(held.buys)
        return left if _within(held, price) else ZERO

    def add(self, held: Held) -> None:
        """Let an order wait, behind those of its price that came before."""
        insort(self._queue(held), (_rank(held), held.priority, held))

    def remove(self, held: Held) -> None:
        """Take an order away, before any of its terms change. It may be gone already."""
        queue = self._queue(held)
        at = bisect_left(queue, (_rank(held), held.priority))
        if at < len(queue) and queue[at][2] is held:
            del queue[at]

    def triggered(self) -> list[Held]:
        """Take out the stops that the market has reached, in the order in which it reached them."""
        reached: list[Held] = []
        for buys in (True, False):
            queue = self._stops[buys]
            while queue and self.reaches(queue[0][2]):
                reached.append(queue.pop(0)[2])
        return reached

    def reaches(self, held: Held) -> bool:
        """True when the market is at or through the order's stop price."""
        stop = held.stop_price
        if stop is None:
            return True
        prices = [self.last.price] if self.last else []
        if self.quote is not None and self.quote.tradable:
            prices.append(self.quote.ask if held.buys else self.quote.bid)
        return any(price >= stop if held.buys else price <= stop for price in prices)

    def match(self, execute: Execute) -> None:
        """Trade what can be traded with what is shown."""
        for buys in (True, False):
            queue = self._resting[buys]
            while queue:
                price, left = self.shown(buys)
                held = queue[0][2]
                if left <= 0 or not _within(held, price):
                    break
                offered = min(left, held.leaves)
                filled = execute(held, offered, price)
                self._use(buys, filled)
                over = filled < offered or held.leaves <= 0
                if over and queue and queue[0][2] is held:
                    del queue[0]

    def _use(self, buys: bool, quantity: Decimal) -> None:
        if not self.quoted:
            self._trade_left -= quantity
        elif buys:
            self._ask_left -= quantity
        else:
            self._bid_left -= quantity

    def _queue(self, held: Held) -> _Queue:
        return (self._stops if held.waits_for_stop else self._resting)[held.buys]


def _within(held: Held, price: Decimal) -> bool:
    limit = held.limit_price
    return limit is None or (price <= limit if held.buys else price >= limit)


def _rank(held: Held) -> Decimal:
    """Lower goes first: by the stop that is reached first, or the limit that pays best."""
    if held.waits_for_stop:
        stop = held.stop_price or ZERO
        return stop if held.buys else -stop
    if held.limit_price is None or held.order_type in (OrderType.MARKET, OrderType.STOP):
        return FIRST
    return -held.limit_price if held.buys else held.limit_price
