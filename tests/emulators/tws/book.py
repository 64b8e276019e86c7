"""The emulator's order book: message 3 and 4 become orders that fill against its own market. Pure; the time is given.

What is to be told comes out by `tell`, as a `Told`; who hears it, and how it goes wrong, is the teller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from tests.emulators.tws.contracts import Asked, Contract, find
from tests.emulators.tws.faults import Faults
from tests.emulators.tws.market import ZONE, Market
from tests.emulators.tws.orders import TIFS, TYPES, WITH_LIMIT, WITH_STOP, Account, Execution, Order, Ticket

D = Decimal
LARGEST = D(10_000_000)
LEVERAGE = 4
CANCELLED = "Order Canceled - reason:"
REJECTED = "Order rejected - reason:"


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


class Refused(Exception):
    """An order that is refused before it is one: an error code and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Book:
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
        self.oca_cancels = False
        """True: when one order of an OCA group is cancelled, all are."""
        self.tell: Callable[[Told], None] = lambda told: None
        self.moved: Callable[[Account, Contract], None] = lambda account, contract: None
        self.later: Callable[[float, Callable[[], None]], None] = lambda seconds, do: do()

    # ---------------------------------------------------------------- ids

    def next_id(self, client: int) -> int:
        """The client's nextValidId."""
        return self.highest.get(client, 0) + 1

    def roll_back(self, client: int | None = None, to: int = 0) -> None:
        """The order ids of a client, or all, go on behind this one; ids of orders that have ended are free."""
        for one in list(self.highest):
            if client in (None, one):
                self.highest[one] = to
        for key, perm in list(self.ids.items()):
            if client in (None, key[0]) and self.orders[perm].is_over:
                del self.ids[key]

    def find(self, client: int, number: int) -> Order | None:
        """A client's order."""
        perm = self.ids.get((client, number))
        return None if perm is None else self.orders[perm]

    def _error(self, client: int, number: int, code: int, text: str) -> None:
        self.tell(Told("error", client, number=number, code=code, text=text))

    def _told(self, order: Order) -> None:
        self.tell(Told("order", order.client, order))

    # ---------------------------------------------------------------- message 3

    def place(self, client: int, number: int, asked: Asked, ticket: Ticket) -> Order | None:
        """A new order, or a change of one that is there; None when it is refused, which is told."""
        order = self.find(client, number)
        try:
            contract = self._contract(asked)
            ticket = self._completed(client, number, ticket, contract)
            self._check(client, ticket, contract)
            if order is not None:
                return self._change(order, contract, ticket)
            if client != 0 or number:
                if number <= self.highest.get(client, 0):
                    raise Refused(103, "Duplicate order id")
                self.highest[client] = number
            return self._new(client, number, contract, asked.exchange, ticket)
        except Refused as refused:
            self._error(client, number, refused.code, refused.text)
            return None

    def _contract(self, asked: Asked) -> Contract:
        found = find(asked, self.now().astimezone(ZONE).date())
        if not found:
            raise Refused(200, "No security definition has been found for the request")
        if len(found) > 1:
            raise Refused(200, f"The contract description specified for {asked.symbol} is ambiguous.")
        if not asked.exchange:
            raise Refused(321, "Error validating request.-'bN' : cause - Missing order exchange.")
        return found[0]

    def _completed(self, client: int, number: int, ticket: Ticket, contract: Contract) -> Ticket:
        """With the only account, the preset's TIF, and only the prices that mean something."""
        account = ticket.account or next(iter(self.accounts)) if len(self.accounts) == 1 else ticket.account
        if not account:
            raise Refused(435, "You must specify an account.")
        if account not in self.accounts:
            raise Refused(321, f"Error validating request.-'bN' : cause - Invalid account code '{account}'.")
        if not ticket.tif:
            self._error(client, number, 10349, "Order TIF was set to DAY based on order preset.")
        prices = {"limit": ticket.limit if ticket.kind in WITH_LIMIT else None}
        prices["stop"] = ticket.stop if ticket.kind in WITH_STOP else None
        return replace(ticket, account=account, tif=ticket.tif or "DAY", **prices)

    def _check(self, client: int, ticket: Ticket, contract: Contract) -> None:
        cause = "Error validating request.-'bN' : cause - "
        if ticket.action not in ("BUY", "SELL"):
            raise Refused(321, f"{cause}Invalid side '{ticket.action}'.")
        if ticket.kind not in TYPES or contract.kind == "CONTFUT":
            raise Refused(387, "Unsupported order type for this exchange and security type.")
        if ticket.tif not in TIFS:
            raise Refused(10052, f"Invalid time in force:{ticket.tif}")
        if ticket.quantity <= 0:
            raise Refused(434, "The order size cannot be zero.")
        if ticket.quantity % contract.lot:
            raise Refused(10243, "Fractional-sized order cannot be placed via API.")
        for kinds, price, name in ((WITH_LIMIT, ticket.limit, "limit"), (WITH_STOP, ticket.stop, "stop")):
            if ticket.kind in kinds and (price is None or price <= 0):
                raise Refused(321, f"{cause}You must specify a {name} price.")
            if ticket.kind in kinds and price is not None and price % contract.tick:
                raise Refused(110, "The price does not conform to the minimum price variation for this contract.")
        parent = self.find(client, ticket.parent) if ticket.parent else None
        if ticket.parent and (parent is None or parent.status in ("Cancelled", "Inactive")):
            raise Refused(135, f"Can't find order with ID ={ticket.parent}")

    def _new(self, client: int, number: int, contract: Contract, exchange: str, ticket: Ticket) -> Order:
        self.last_perm += 1
        order = Order(number, client, 1_900_000_000 + self.last_perm, contract, exchange, ticket)
        order.triggered = ticket.kind not in WITH_STOP
        if ticket.what_if:
            self.tell(Told("what_if", client, order))
            return order
        self.orders[order.perm] = self.open[order.perm] = order
        if number:
            self.ids[client, number] = order.perm
        parent = self._parent(order)
        if parent is not None:
            order.held = parent.status != "Filled"
            if not ticket.oca_group:
                order.ticket = replace(ticket, oca_group=str(parent.perm), oca_type=3)
        order.transmitted = ticket.transmit
        if ticket.transmit:
            self._transmit(order)
        return order

    def _parent(self, order: Order) -> Order | None:
        return self.find(order.client, order.ticket.parent) if order.ticket.parent else None

    def _children(self, order: Order) -> list[Order]:
        return [
            each
            for each in self.open.values()
            if order.id and (each.client, each.ticket.parent) == (order.client, order.id)
        ]

    def _transmit(self, order: Order) -> None:
        """The order, its parent and the parent's other children go out together."""
        parent = self._parent(order) or order
        family = [parent, *self._children(parent)]
        for each in [one for one in family if one is order or not one.transmitted]:
            each.transmitted = True
            self._told(each)
            if not self.hold:
                self.later(self.latency, lambda each=each: self.accept(each.perm))  # type: ignore[misc]

    def accept(self, perm: int) -> None:
        """The exchange takes an order, or it is rejected for what is wrong with it."""
        order = self.orders.get(perm)
        if order is None or order.is_over or not order.pending:
            return
        fault = self.faults.happens("rejected_order", order.contract.symbol)
        if reason := self._objection(order) or (fault and "the exchange does not want it"):
            self.reject(perm, reason, (fault and fault.when) or "Inactive")
            return
        order.pending = False
        if self.closed and not order.held:
            text = f"Order Message:\n{order.ticket.action} {order.ticket.quantity:f} {order.contract.local}\n"
            self._error(order.client, order.id, 399, f"{text}Warning: your order will not be placed until the open.")
        else:
            self._activate(order)
        if self.faults.happens("code_10349", order.contract.symbol):
            self._error(order.client, order.id, 10349, "Order TIF was set to DAY based on order preset.")
        self._match_one(order)

    def _activate(self, order: Order) -> None:
        """Submitted, unless it waits for its parent or its trigger."""
        if order.works and order.triggered and order.status != "Submitted":
            order.status = "Submitted"
            self._told(order)

    def _objection(self, order: Order) -> str:
        ticket, contract = order.ticket, order.contract
        if ticket.quantity > LARGEST:
            return "the order size exceeds the maximum of the exchange"
        price = ticket.limit if ticket.kind in WITH_LIMIT and ticket.limit else self._price_of(order)
        needs = price * ticket.quantity * contract.times / (10 if contract.kind == "FUT" else 1)
        if ticket.buys and contract.kind != "CASH" and needs > self.accounts[ticket.account].cash * LEVERAGE:
            return "We are unable to accept your order. Your Available Funds are insufficient."
        return ""

    def reject(self, perm: int, reason: str, status: str = "Inactive") -> None:
        """An order that has just come is refused: 201, and it is over."""
        order = self.orders[perm]
        if order.is_over:
            raise ValueError(f"{perm} is {order.status}")
        self._error(order.client, order.id, 201, f"{REJECTED}{reason}")
        self._end(order, status, reason)

    # ---------------------------------------------------------------- changes

    def _change(self, order: Order, contract: Contract, ticket: Ticket) -> Order | None:
        old = order.ticket
        if order.status == "Filled":
            raise Refused(104, "Cannot modify a filled order.")
        if order.is_over:
            raise Refused(103, "Duplicate order id")
        if (contract.con_id, ticket.action, ticket.account) != (order.contract.con_id, old.action, old.account):
            raise Refused(105, "Order being modified does not match original order")
        if ticket.quantity <= order.filled:
            raise Refused(201, f"{REJECTED}the size is filled already")
        if self.faults.happens("rejected_replace", contract.symbol):
            raise Refused(201, f"{REJECTED}the exchange does not want the change")
        order.ticket = self._merged(order, ticket)
        if (old.kind, old.stop) != (order.ticket.kind, order.ticket.stop) and order.ticket.kind in WITH_STOP:
            order.triggered = False
        elif order.ticket.kind not in WITH_STOP:
            order.triggered = True
        if not order.transmitted:
            if ticket.transmit:
                self._transmit(order)
            return order
        if order.status == "PreSubmitted" and order.works and order.triggered and not self.closed:
            order.status = "Submitted"
        self._told(order)
        self._match_one(order)
        return order

    def _merged(self, order: Order, ticket: Ticket) -> Ticket:
        """The order's ticket with what is to change; half of it when that goes wrong."""
        old = order.ticket
        whole = replace(ticket, oca_group=ticket.oca_group or old.oca_group, oca_type=ticket.oca_type or old.oca_type)
        changes = {
            name: getattr(ticket, name)
            for name in ("stop", "limit", "quantity")
            if getattr(ticket, name) != getattr(old, name)
        }
        if len(changes) > 1 and self.faults.happens("half_replace", order.contract.symbol):
            name = next(iter(changes))
            return replace(old, **{name: changes[name]})
        return whole

    # ---------------------------------------------------------------- message 4, and what else ends an order

    def cancel(self, client: int, number: int) -> Order | None:
        """A client's cancel; None when there is nothing to cancel, which is told."""
        order = self.find(client, number)
        if order is None:
            self._error(client, number, 10147, f"OrderId {number} that needs to be cancelled is not found.")
            return None
        symbol = order.contract.symbol
        race = not order.is_over and order.works and self.faults.happens("cancel_race", symbol)
        refused = not order.is_over and not race and self.faults.happens("rejected_cancel", symbol)
        if race and race.when == "after":
            self.fill(order.perm, order.left)
        if order.is_over or race or refused:
            state = "Filled" if race else order.status
            text = f"OrderId {number} that needs to be cancelled cannot be cancelled, state: {state}."
            self._error(client, number, 10148, text)
            if race and not order.is_over:
                self.fill(order.perm, order.left)
            return None
        self._begin_cancel(order)
        return order

    def global_cancel(self) -> int:
        """Every open order, whoever's; how many."""
        every = list(self.open.values())
        for order in every:
            if not order.is_over:
                self._begin_cancel(order)
        return len(every)

    def _begin_cancel(self, order: Order) -> None:
        if not order.transmitted:
            self.kill(order.perm)
            return
        order.status = "PendingCancel"
        self.tell(Told("status", order.client, order))
        self.later(self.latency, lambda: self._end_cancel(order))

    def _end_cancel(self, order: Order) -> None:
        if order.is_over:
            return
        late = order.works and self.faults.happens("fill_after_cancel", order.contract.symbol)
        half, price = (order.left / 2).quantize(order.contract.lot, "ROUND_UP"), self._price_of(order)
        self.kill(order.perm)
        if late:
            self.later(late.after(1), lambda: self._fill_after_end(order, half, price))

    def _fill_after_end(self, order: Order, size: Decimal, price: Decimal) -> None:
        if self.orders.get(order.perm) is order:
            self.fill(order.perm, size, price, after_end=True)

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

    def _end(self, order: Order, status: str, how: str) -> None:
        self.open.pop(order.perm, None)
        order.status = status
        order.completed_at = f"{self.now():%Y%m%d %H:%M:%S} {ZONE.key}"
        order.completed_how = how
        if order.transmitted:
            self._told(order)

    def end_day(self) -> int:
        """DAY orders are cancelled; how many."""
        ended = [order for order in self.open.values() if order.ticket.tif == "DAY"]
        for order in ended:
            if not order.is_over:
                self.kill(order.perm, "the day has ended")
        return len(ended)

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
