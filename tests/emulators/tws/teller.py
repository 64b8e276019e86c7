"""What is told to whom, and what goes wrong on the way: late, doubled, swapped fills, a mute feed, a lost server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.emulators.tws import messages, money
from tests.emulators.tws.book import Book
from tests.emulators.tws.contracts import Contract
from tests.emulators.tws.faults import Faults
from tests.emulators.tws.link import Link
from tests.emulators.tws.market import Market
from tests.emulators.tws.matching import Told
from tests.emulators.tws.orders import Account, Held, Order
from tests.emulators.tws.ticks import by_tick, changes, shown
from tests.emulators.tws.wire import pack

Delivery = tuple[Link, bytes]


class Teller:
    """Tells the links of orders, accounts and ticks. Time is given by `seconds` and `later`."""

    def __init__(
        self,
        links: list[Link],
        faults: Faults,
        market: Market,
        seconds: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self.links = links
        self.faults = faults
        self.market = market
        self.seconds = seconds
        self.later = later
        self.book: Book
        self.master: int | None = None
        """The client that hears of everybody's orders."""
        self.muted: set[str] = set()
        """Of ticks, orders, accounts: what is not told."""
        self.caught: list[Delivery] | None = None
        """A list while what is told is kept back instead."""
        self.lost = False
        """True between 1100 and 1101 or 1102: what is to be told of orders waits."""
        self._waiting: list[Delivery] = []
        self._moved: dict[tuple[str, int], tuple[Account, Contract]] = {}
        """Positions that have changed meanwhile."""
        self._held: list[list[Delivery]] = []
        self._muted_until = 0.0
        self._life = 0

    def forget(self) -> None:
        """What was to be told later never is: the gateway has been restarted."""
        self._held.clear()
        self._waiting.clear()
        self._moved.clear()
        self.lost = False
        self._life += 1

    def unmute(self) -> None:
        """All is told again."""
        self.muted.clear()
        self._muted_until = 0.0

    # ---------------------------------------------------------------- orders

    def hears(self, order_client: int) -> list[Link]:
        """Who is told of a client's orders: itself, and the master."""
        return [link for link in self.links if link.client is not None and link.client in (order_client, self.master)]

    def tell(self, told: Told) -> None:
        """Something of the book."""
        if told.what == "error":
            links = [link for link in self.links if link.client == told.client]
            fields = (told.number, told.code, told.text)
            self._send([(link, pack(*messages.error(link.version, *fields))) for link in links])
        elif told.what == "what_if" and told.order is not None:
            self._send([(link, self._what_if(link, told.order)) for link in self.hears(told.client)])
        elif told.what == "fill" and told.fill is not None:
            fill = told.fill
            links = self.hears(told.client)
            self._fill([(link, pack(*messages.execution(link.version, -1, fill))) for link in links], told)
        elif told.what == "commission" and told.fill is not None:
            late = self.faults.happens("late_commission", told.fill.contract.symbol)
            report = [(link, pack(*messages.commission(told.fill))) for link in self.hears(told.client)]
            if late is None:
                self._send(report)
            elif late.seconds is None or late.seconds >= 0:
                self._send_later(late.after(1), report)
        elif told.order is not None:
            self._order(told)

    def _order(self, told: Told) -> None:
        order = told.order
        assert order is not None
        deliveries: list[Delivery] = []
        for link in self.hears(told.client):
            if link.client is not None:
                self.book.seen(link.client, order)
            if told.what == "order":
                deliveries.append((link, pack(*messages.open_order(link.version, order))))
            deliveries.append((link, pack(*messages.order_status(order))))
        twice = self.faults.happens("duplicated_status", order.contract.symbol)
        self._send(deliveries * 2 if twice else deliveries)

    def _what_if(self, link: Link, order: Order) -> bytes:
        account = self.book.accounts[order.ticket.account]
        now = money.values(account, self.price)
        margin, worth = now["InitMarginReq"][0], now["EquityWithLoanValue"][0]
        tape = self.market.tape(order.contract, self.book.now())
        needs = (order.ticket.limit or tape.ask) * order.ticket.quantity * order.contract.times / 4
        after = f"{float(margin) + float(needs):.2f}"
        state = [
            margin,
            margin,
            worth,
            f"{needs:.2f}",
            f"{needs:.2f}",
            "0.0",
            after,
            after,
            worth,
            "1.0",
            "",
            "",
            "USD",
        ]
        return pack(*messages.open_order(link.version, order, state))

    def _fill(self, deliveries: list[Delivery], told: Told) -> None:
        assert told.fill is not None
        symbol = told.fill.contract.symbol
        if doubled := self.faults.happens("duplicated_fill", symbol):
            self._send_later(doubled.after(0), [*deliveries])
        if late := self.faults.happens("late_fill", symbol):
            self._send_later(late.after(2), deliveries)
        elif held := self.faults.happens("reordered_fills", symbol):
            self._held.append(deliveries)
            self.later(held.after(1), lambda: self._release([deliveries]))
        else:
            self._send(deliveries)
            self._release(self._held[::-1])

    def _release(self, several: list[list[Delivery]]) -> None:
        for deliveries in several:
            if any(deliveries is each for each in self._held):
                self._held = [each for each in self._held if each is not deliveries]
                self._send(deliveries)

    def _send_later(self, seconds: float, deliveries: list[Delivery]) -> None:
        """Not in this turn in any case, and not when the gateway has been restarted by then."""
        life = self._life
        self.later(max(seconds, 0.001), lambda: self._send(deliveries) if life == self._life else None)

    def _send(self, deliveries: list[Delivery]) -> None:
        if self.caught is not None:
            self.caught.extend(deliveries)
        elif self.lost:
            self._waiting.extend(deliveries)
        elif "orders" not in self.muted:
            for link, data in deliveries:
                if link in self.links:
                    link.write(data)

    def send(self, deliveries: list[Delivery], seconds: float) -> None:
        """What was caught, so many seconds later."""
        self._send_later(seconds, deliveries)

    def found(self) -> None:
        """The server is back: what has waited is told."""
        self.lost = False
        waiting, self._waiting = self._waiting, []
        self._send(waiting)
        moved, self._moved = self._moved, {}
        for account, contract in moved.values():
            self.moved(account, contract)

    # ---------------------------------------------------------------- accounts

    def price(self, contract: Contract) -> Any:
        """What a position is worth: the middle of the quote, as trades may be old."""
        tape = self.market.tape(contract, self.book.now())
        shows_last = contract.has_trades and tape.is_traded
        return tape.last if shows_last else (tape.bid + tape.ask) / 2

    def moved(self, account: Account, contract: Contract) -> None:
        """A position and the account's money have changed."""
        if self.lost:
            self._moved[account.name, contract.con_id] = (account, contract)
        if "accounts" in self.muted or self.lost:
            return
        held = account.held[contract.con_id]
        for link in self.links:
            if link.wishes.positions:
                link.say(*messages.position(account.name, held))
            if link.wishes.account == account.name:
                self.tell_account(link, account, [held])
            for number in link.wishes.pnl:
                self.tell_pnl(link, number)

    def tell_account(self, link: Link, account: Account, positions: list[Held]) -> None:
        """6, 7 and 8."""
        for held in positions:
            link.say(*messages.portfolio(account.name, held, self.price(held.contract)))
        for tag, (value, currency) in money.values(account, self.price).items():
            link.say(6, 2, tag, value, currency, account.name)
        link.say(8, 1, f"{self.book.now():%H:%M}")

    def tell_pnl(self, link: Link, number: int) -> None:
        """94."""
        account = self.book.accounts[link.wishes.pnl[number]]
        open_pnl, closed = money.unrealized(account, self.price), money.realized(account)
        link.say(94, number, open_pnl + closed, open_pnl, closed)

    def tell_pnl_single(self, link: Link, number: int) -> None:
        """95."""
        name, con_id = link.wishes.pnl_single[number]
        held = self.book.accounts[name].held.get(con_id)
        if held is None:
            link.say(95, number, 0, 0, 0, 0, 0)
            return
        worth = held.size * self.price(held.contract) * held.contract.times
        open_pnl = worth - held.size * held.cost
        link.say(95, number, held.size, open_pnl + held.realized, open_pnl, held.realized, worth)

    # ---------------------------------------------------------------- ticks

    def tell_ticks(self, contract: Contract, quoted: bool = True, traded: bool = False) -> None:
        """To every subscriber of the contract: what has changed."""
        at = self.book.now()
        tape = self.market.tape(contract, at)
        for link in self.links:
            for number, watch in link.wishes.ticks.items():
                if watch.contract.con_id == contract.con_id:
                    several = changes(number, watch, tape)
                    if several and not self._is_muted(contract.symbol):
                        watch.shown = shown(contract, tape)
                        link.write(b"".join(pack(*fields) for fields in several))
            for number, (each, kind) in link.wishes.by_tick.items():
                wanted = traded if kind in ("Last", "AllLast") else quoted
                if each.con_id == contract.con_id and wanted and not self._is_muted(contract.symbol):
                    link.say(*by_tick(number, kind, tape, int(at.timestamp())))

    def _is_muted(self, symbol: str) -> bool:
        if "ticks" in self.muted or self.lost or self.seconds() < self._muted_until:
            return True
        fault = self.faults.happens("mute_feed", symbol)
        if fault:
            self._muted_until = self.seconds() + fault.after(0)
        return bool(fault)
