"""The emulator's order book: messages 3 and 4 become orders, changes and cancels, or are refused. Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

from tests.emulators.tws.contracts import Asked, Contract, find
from tests.emulators.tws.market import ZONE
from tests.emulators.tws.matching import Matching, Told
from tests.emulators.tws.orders import TIFS, TYPES, WITH_LIMIT, WITH_STOP, Order, Ticket

D = Decimal
LARGEST = D(10_000_000)
LEVERAGE = 4
REJECTED = "Order rejected - reason:"
LOCATE = "Order held while securities are located."


class Refused(Exception):
    """An order that is refused before it is one: an error code and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Book(Matching):
    """What clients ask for, and what the exchange and persons do with it."""

    # ---------------------------------------------------------------- ids

    def next_id(self, client: int) -> int:
        """The client's nextValidId."""
        return self.highest.get(client, 0) + 1

    def seen(self, client: int, order: Order) -> None:
        """A client that is shown an order of another must go on with higher ids than that order's."""
        if order.client != client:
            self.highest[client] = max(self.highest.get(client, 0), order.id)

    def roll_back(self, client: int | None = None, to: int = 0) -> None:
        """The order ids of a client, or all, go on behind this one; ids of orders that have ended are free."""
        for one in list(self.highest):
            if client in (None, one):
                self.highest[one] = to
        for key, perm in list(self.ids.items()):
            if client in (None, key[0]) and self.orders[perm].is_over:
                del self.ids[key]

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
        if ticket.parent and (parent is None or parent.is_over):
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

    def _transmit(self, order: Order) -> None:
        """The order, its parent and the parent's other children go out together."""
        parent = self._parent(order) or order
        family = [each for each in (parent, *self._children(parent)) if each is order or not each.transmitted]
        for each in family:
            each.transmitted = True
            self._told(each)
        for each in () if self.hold else family:
            self.later(self.latency, partial(self.accept, each.perm))

    def accept(self, perm: int) -> None:
        """The exchange takes an order, or it is rejected for what is wrong with it."""
        order = self.orders.get(perm)
        if order is None or order.is_over or not order.pending:
            return
        fault = self.faults.happens("rejected_order", order.contract.symbol)
        if reason := self._objection(order) or (fault and "the exchange does not want it"):
            self.reject(perm, reason, (fault and fault.when) or "Inactive")
            return
        if self.faults.happens("held_short", order.contract.symbol):
            order.locating = True
            self._error(order.client, order.id, 404, LOCATE)
            self._told(order)
            return
        order.pending = order.locating = False
        if self.closed and not order.held:
            text = f"Order Message:\n{order.ticket.action} {order.ticket.quantity:f} {order.contract.local}\n"
            self._error(order.client, order.id, 399, f"{text}Warning: your order will not be placed until the open.")
        else:
            self._activate(order)
        if self.faults.happens("code_10349", order.contract.symbol):
            self._error(order.client, order.id, 10349, "Order TIF was set to DAY based on order preset.")
        self._match_one(order)

    def _objection(self, order: Order) -> str:
        ticket, contract = order.ticket, order.contract
        if ticket.quantity > LARGEST:
            return "the order size exceeds the maximum of the exchange"
        account = self.accounts[ticket.account]
        covers = contract.con_id in account.held and account.held[contract.con_id].size <= -ticket.quantity
        price = ticket.limit if ticket.kind in WITH_LIMIT and ticket.limit else self._price_of(order)
        needs = price * ticket.quantity * contract.times / (10 if contract.kind == "FUT" else 1)
        if ticket.buys and not covers and contract.kind != "CASH" and needs > account.cash * LEVERAGE:
            return "We are unable to accept your order. Your Available Funds are insufficient."
        return ""

    def reject(self, perm: int, reason: str, status: str = "Inactive") -> None:
        """An order that has just come is refused: 201, and it is over."""
        order = self.orders[perm]
        if order.is_over:
            raise ValueError(f"{perm} is {order.status}")
        self._error(order.client, order.id, 201, f"{REJECTED}{reason}")
        self._end(order, status, reason)
        for child in self._children(order):
            if not child.is_over:
                self.kill(child.perm, "its parent was rejected")

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

    def change(self, order: Order, **terms: Decimal) -> None:
        """A person changes an order: as its client would, but never refused for what a client may not."""
        self._change(order, order.contract, replace(order.ticket, **terms))

    def _merged(self, order: Order, ticket: Ticket) -> Ticket:
        """The order's ticket with what is to change; half of it when that goes wrong."""
        old = order.ticket
        kept = {name: getattr(ticket, name) or getattr(old, name) for name in ("oca_group", "oca_type", "parent")}
        whole = replace(ticket, **kept)
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

    def end_day(self) -> int:
        """DAY orders are cancelled; how many."""
        ended = [order for order in self.open.values() if order.ticket.tif == "DAY"]
        for order in ended:
            if not order.is_over:
                self.kill(order.perm, "the day has ended")
        return len(ended)
