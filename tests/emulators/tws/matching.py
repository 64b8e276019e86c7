"""The emulator's matching: orders that are open fill against its market, end, and take others with them. Pure.

What is to be told comes out by `tell`, as a `Told`; who hears it, and how it goes wrong, is the teller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tests.emulators.tws.contracts import Contract
from tests.emulators.tws.faults import Faults
from tests.emulators.tws.market import ZONE, Market
from tests.emulators.tws.orders import WITH_LIMIT, Account, Execution, Order

D = Decimal
CANCELLED = "Order Canceled - reason:"


@dataclass(frozen=True, slots=True)
class Told:
    """Something to tell. `what`: order (openOrder and orderStatus), status (that alone), fill, commission, error."""

    what: str
    client: int
    order: Order | None = None
    fill: Execution | None = None
    number: int = -1
    code: int = 0
    text: str = ""


class Matching:
    """All orders, all executions, all accounts."""

    def __init__(
        self,
        market: Market,
        accounts: Iterable[Account],
        now: Callable[[], datetime],
        *,
        faults: Faults | None = None,
        numbered: tuple[int, int] = (0, 0),
    ) -> None:
        self.market = market
        self.accounts = {account.name: account for account in accounts}
        self.now = now
        self.faults = faults or Faults()
        self.orders: dict[int, Order] = {}
        """By permId, oldest first."""
        self.open: dict[int, Order] = {}
        """Those that have not ended."""
        self.ids: dict[tuple[int, int], int] = {}
        """The permId of a client's order id."""
        self.highest: dict[int, int] = {}
        """The highest order id that a client has used."""
        self.executions: dict[str, Execution] = {}
        self.last_perm, self.last_fill = numbered
        """Never given anew, whatever is forgotten."""
        self.hold = False
        """True: new orders stay PreSubmitted until a person accepts or rejects them."""
        self.closed = False
        """True: the market is closed, orders wait for it."""
        self.latency = 0.0
        """Seconds from PreSubmitted to Submitted, and from PendingCancel to Cancelled."""
        self.oca_cancels = True
        """When one order of an OCA group is cancelled, all are."""
        self.tell: Callable[[Told], None] = lambda told: None
        self.moved: Callable[[Account, Contract], None] = lambda account, contract: None
        self.later: Callable[[float, Callable[[], None]], None] = lambda seconds, do: do()

    def find(self, client: int, number: int) -> Order | None:
        """A client's order."""
        perm = self.ids.get((client, number))
        return None if perm is None else self.orders[perm]

    def _error(self, client: int, number: int, code: int, text: str) -> None:
        self.tell(Told("error", client, number=number, code=code, text=text))

    def _told(self, order: Order) -> None:
        self.tell(Told("order", order.client, order))

    # ---------------------------------------------------------------- families

    def _parent(self, order: Order) -> Order | None:
        return self.find(order.client, order.ticket.parent) if order.ticket.parent else None

    def _children(self, order: Order) -> list[Order]:
        return [
            each
            for each in self.open.values()
            if order.id and (each.client, each.ticket.parent) == (order.client, order.id)
        ]

    def _activate(self, order: Order) -> None:
        """Submitted, unless it waits for its parent or its trigger."""
        if order.works and order.triggered and order.status != "Submitted":
            order.status = "Submitted"
            self._told(order)

    # ---------------------------------------------------------------- ends

    def _end(self, order: Order, status: str, how: str) -> None:
        self.open.pop(order.perm, None)
        order.status = status
        order.completed_at = f"{self.now():%Y%m%d %H:%M:%S} {ZONE.key}"
        order.completed_how = how
        if order.transmitted:
            self._told(order)

    def kill(self, perm: int, reason: str = "") -> None:
        """An open order is cancelled: by its client, the day's end, the exchange. Children that wait go with it."""
        order = self.orders[perm]
        if order.is_over:
            raise ValueError(f"{perm} is {order.status}")
        self._end(order, "Cancelled", reason or "Cancelled by Trader")
        self._error(order.client, order.id, 202, f"{CANCELLED}{reason}")
        for child in self._children(order):
            if not child.is_over:
                self.kill(child.perm, reason)
        if self.oca_cancels:
            self._one_cancels_all(order)

    # ---------------------------------------------------------------- OCA

    def _group(self, order: Order) -> list[Order]:
        """The other open orders of its OCA group in its account."""
        name, account = order.ticket.oca_group, order.ticket.account
        return [
            each
            for each in self.open.values()
            if name
            if each is not order
            if (each.ticket.oca_group, each.ticket.account) == (name, account)
        ]

    def _one_cancels_all(self, order: Order) -> None:
        for other in self._group(order):
            if not other.is_over:
                self.kill(other.perm, "OCA group")

    def _oca(self, order: Order, size: Decimal) -> None:
        """What a fill does to the group: type 1 ends the others, 2 and 3 make them smaller until one is filled."""
        if order.status == "Filled" or order.ticket.oca_type <= 1:
            self._one_cancels_all(order)
            return
        for other in self._group(order):
            smaller = other.ticket.quantity - size
            if smaller <= other.filled:
                self.kill(other.perm, "OCA group")
            else:
                other.ticket = replace(other.ticket, quantity=smaller)
                self._told(other)

    # ---------------------------------------------------------------- fills

    def _price_of(self, order: Order) -> Decimal:
        """What it would be filled at now, come what may: its limit, or the other side."""
        if order.ticket.kind in WITH_LIMIT and order.ticket.limit:
            return order.ticket.limit
        tape = self.market.tape(order.contract, self.now())
        return tape.ask if order.ticket.buys else tape.bid

    def fill(self, perm: int, size: Decimal, price: Decimal | None = None, *, after_end: bool = False) -> None:
        """A fill of an order: the execution, the order's new state, the commission."""
        order = self.orders[perm]
        if order.is_over and not after_end:
            raise ValueError(f"{perm} is {order.status}")
        if not 0 < size <= order.ticket.quantity - order.filled:
            raise ValueError(f"{perm} has {order.left:f} left")
        price = self._price_of(order) if price is None else price
        self.market.trade(order.contract, price, size, self.now())
        order.filled += size
        order.turnover += size * price
        order.last_price = price
        execution = self._execution(order, size, price)
        self.tell(Told("fill", order.client, order, execution))
        if order.filled == order.ticket.quantity and not after_end:
            self._end(order, "Filled", f"Filled Size: {order.filled:f}")
        else:
            self._told(order)
        self.tell(Told("commission", order.client, order, execution))
        self.moved(self.accounts[order.ticket.account], order.contract)
        self._oca(order, size)
        if order.status == "Filled":
            self._release_children(order)

    def _execution(self, order: Order, size: Decimal, price: Decimal) -> Execution:
        ticket, contract = order.ticket, order.contract
        commission = _commission(contract, size, price)
        signed = size if ticket.buys else -size
        realized = self.accounts[ticket.account].trade(contract, signed, price, commission)
        if self.faults.happens("untold_fee", contract.symbol):
            self.accounts[ticket.account].cash -= 1
        self.last_fill += 1
        name = f"0000e1a7.{self.last_fill:08x}.01.01"
        execution = Execution(
            *(name, order.id, order.client, order.perm, contract, contract.exchange, self.now(), ticket.account),
            *(ticket.buys, size, price, order.filled, order.average, ticket.ref, commission, realized),
        )
        self.executions[name] = execution
        if self.faults.happens("corrected_fill", contract.symbol):
            self.later(0.001, lambda: self._correct(order, execution))
        return execution

    def _correct(self, order: Order, wrong: Execution) -> None:
        """The exchange corrects a fill's price, a tick worse."""
        worse = wrong.price + (wrong.contract.tick if wrong.buys else -wrong.contract.tick)
        order.turnover += (worse - wrong.price) * wrong.size
        right = replace(wrong, id=f"{wrong.id[:-2]}02", price=worse, average=order.average)
        self.accounts[wrong.account].cash -= wrong.contract.tick * wrong.size * wrong.contract.times
        self.executions.pop(wrong.id, None)
        self.executions[right.id] = right
        self.tell(Told("fill", order.client, order, right))
        self.tell(Told("commission", order.client, order, right))

    def _release_children(self, order: Order) -> None:
        for child in self._children(order):
            if child.held and not child.is_over:
                child.held = False
                if child.triggered and not self.closed:
                    self._activate(child)
                else:
                    self._told(child)
                self._match_one(child)

    # ---------------------------------------------------------------- matching

    def open_market(self) -> None:
        """The market opens: what waits for it goes there."""
        self.closed = False
        for order in list(self.open.values()):
            if not order.is_over:
                self._activate(order)
                self._match_one(order)

    def match(self, contract: Contract) -> None:
        """After a new quote or trade: what can be filled is, in the order in which it came."""
        for order in [each for each in self.open.values() if each.contract.con_id == contract.con_id]:
            if not order.is_over:
                self._match_one(order)

    def _is_reached(self, order: Order) -> bool:
        """Trades reach stops; where none are printed, the other side's quote does."""
        tape, stop, buys = self.market.tape(order.contract, self.now()), order.ticket.stop, order.ticket.buys
        if order.contract.has_trades and not tape.is_traded:
            return False
        price = tape.last if order.contract.has_trades else tape.ask if buys else tape.bid
        return stop is not None and (price >= stop if buys else price <= stop)

    def _match_one(self, order: Order) -> None:
        if not order.works or self.closed:
            return
        if not order.triggered and self._is_reached(order):
            order.triggered = True
            if order.status != "PendingCancel":
                self._activate(order)
        if order.triggered:
            self._take(order)
        if order.works and order.triggered and order.ticket.tif in ("IOC", "FOK"):
            self.kill(order.perm)

    def _take(self, order: Order) -> None:
        """As much as the other side shows, which is then gone until the next quote."""
        tape, buys = self.market.tape(order.contract, self.now()), order.ticket.buys
        price, shown = (tape.ask, tape.ask_size) if buys else (tape.bid, tape.bid_size)
        size = min(order.left, shown)
        if size <= 0 or not order.may_pay(price) or (order.ticket.tif == "FOK" and size < order.left):
            return
        if buys:
            tape.ask_size -= size
        else:
            tape.bid_size -= size
        self.fill(order.perm, size, price)


def _commission(contract: Contract, size: Decimal, price: Decimal) -> Decimal:
    """About what IB takes."""
    notional = size * price * contract.times
    taken = {
        "STK": max(D(1), size * D("0.005")),
        "OPT": max(D(1), size * D("0.65")),
        "FUT": size * D("2.25"),
        "CASH": max(D(2), notional * D("0.00002")),
        "CRYPTO": max(D("1.75"), notional * D("0.0018")),
    }
    return taken[contract.kind].quantize(D("0.0001"))
