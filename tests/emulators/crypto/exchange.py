"""The exchange: checks, matching, money. Orders come in, what happened is told. Pure but for its clock.

Chosen where venues do not say: a taker walks the levels that are shown, which are then gone until the next quote; a
resting order is filled at its own price when a quote of others crosses it; our own orders trade with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from tests.emulators.crypto.faults import Faults
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.market import Diff, Levels, Market, Tape, Trade, down
from tests.emulators.crypto.money import Money
from tests.emulators.crypto.orders import Account, Balance, Fill, Order, Position, Refused, Ticket, Told

D = Decimal
NOTHING = D(0)
ACKS = ("new", "canceled", "expired", "replaced", "rejected", "triggered")


@dataclass(frozen=True, slots=True)
class Moved:
    """What has changed in an instrument's public market in one moment."""

    instrument: Instrument
    diff: Diff | None
    trades: tuple[Trade, ...]


class Exchange(Money):
    """Every order, account and fill."""

    def __init__(
        self,
        market: Market,
        accounts: Sequence[Account],
        now: Callable[[], float],
        faults: Faults | None = None,
        last_order: int = 1_000_000,
    ) -> None:
        super().__init__(market, {each.name: each for each in accounts})
        self.now = now
        self.faults = faults or Faults()
        self.orders: dict[int, Order] = {}
        self.open: dict[int, Order] = {}
        self.fills: list[Fill] = []
        self.last_order = last_order
        self.tell: Callable[[Told], None] = lambda told: None
        self.moved: Callable[[Moved], None] = lambda moved: None
        self.later: Callable[[float, Callable[[], None]], object] = lambda seconds, do: do()
        self.child_of: Callable[[Order], Ticket | None] = lambda order: None
        """What an order that is triggered becomes, where a venue makes that a new order; None: it works itself."""
        self.children: dict[int, int] = {}
        """By the number of an order that was triggered: the number of the order that it became."""
        self._deep = 0
        self._held: list[Told] | None = None
        self._touched: set[tuple[str, str]] = set()
        """Accounts and names of instruments whose positions may have changed."""
        self._printed: list[tuple[str, Trade]] = []
        self._reached: list[Order] = []
        """Stops that a trade of this moment has reached."""
        self._known = self._balances()

    # ---------------------------------------------------------------- moments

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What happens in it is one moment: balances and the market are told at its end, orders and fills at once."""
        self._deep += 1
        try:
            yield
        finally:
            while self._deep == 1 and self._reached:
                self._trigger(self._reached.pop(0))
            self._deep -= 1
            if not self._deep:
                self._end_of_moment()

    def _end_of_moment(self) -> None:
        self._tell_balances()
        printed, self._printed = self._printed, []
        for name, tape in self.market.tapes.items():
            trades = tuple(trade for where, trade in printed if where == name)
            diff = self.market.changed(tape, *self.view(tape.instrument))
            if trades or diff is not None:
                self.moved(Moved(tape.instrument, diff, trades))

    def _balances(self) -> dict[tuple[str, str, str], tuple[Decimal, Decimal]]:
        return {
            (account.name, wallet, asset): (balance.free, balance.locked)
            for account in self.accounts.values()
            for wallet, assets in account.wallets.items()
            for asset, balance in assets.items()
        }

    def _tell_balances(self, reason: str = "") -> None:
        old, self._known = self._known, self._balances()
        changed: dict[tuple[str, str], dict[str, tuple[Balance, Decimal]]] = {}
        for key, (free, locked) in self._known.items():
            before = old.get(key, (NOTHING, NOTHING))
            if (free, locked) != before:
                account, wallet, asset = key
                told = (Balance(free, locked), free + locked - sum(before))
                changed.setdefault((account, wallet), {})[asset] = told
        touched, self._touched = self._touched, set()
        for account, name in touched:
            changed.setdefault((account, self.market.tapes[name].instrument.wallet), {})
        for (account, wallet), assets in changed.items():
            owner = self.accounts[account]
            names = {name for who, name in touched if who == account}
            positions = tuple(
                replace(each)
                for each in owner.positions.values()
                if each.instrument.name in names and each.instrument.wallet == wallet
            )
            self.tell(
                Told(
                    kind="balance",
                    account=account,
                    at=self.now(),
                    wallet=wallet,
                    balances=assets,
                    positions=positions,
                    reason=reason or "order",
                )
            )

    def _say(self, kind: str, order: Order, fill: Fill | None = None, reason: str = "") -> None:
        snapshot = replace(order, fills=list(order.fills))
        told = Told(
            kind=kind,
            account=order.ticket.account,
            at=self.now(),
            order=snapshot,
            fill=fill,
            instrument=order.ticket.instrument,
            reason=reason,
        )
        if self._held is None:
            self.tell(told)
        else:
            self._held.append(told)

    # ---------------------------------------------------------------- to look

    def tape(self, instrument: Instrument) -> Tape:
        """Its market of others."""
        return self.market.tapes[instrument.name]

    def view(self, instrument: Instrument) -> tuple[Levels, Levels]:
        """Bids and asks as the public sees them: of others, and our resting orders."""
        tape = self.tape(instrument)
        bids, asks = dict(tape.bids), dict(tape.asks)
        for order in self.open.values():
            if order.ticket.instrument is instrument and order.triggered and order.limit is not None and order.left > 0:
                levels = bids if order.ticket.buys else asks
                levels[order.limit] = levels.get(order.limit, NOTHING) + order.left
        return bids, asks

    def best(self, instrument: Instrument) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Bid, its size, ask, its size, as the public sees them; zeros where there is none."""
        bids, asks = self.tape(instrument).shown
        bid, ask = max(bids, default=NOTHING), min(asks, default=NOTHING)
        return bid, bids.get(bid, NOTHING), ask, asks.get(ask, NOTHING)

    def find(
        self, account: str, *, number: int | None = None, client_id: str = "", instrument: Instrument | None = None
    ) -> Order:
        """An order of an account by its number, or the newest by the client's id; Refused("no_order")."""
        if number is not None:
            found = [self.orders[number]] if number in self.orders else []
        else:
            found = [each for each in self.orders.values() if each.ticket.client_id == client_id] if client_id else []
        for order in reversed(found):
            if order.ticket.account == account and instrument in (None, order.ticket.instrument):
                return order
        raise Refused("no_order", "there is no such order")

    # ---------------------------------------------------------------- commands

    def place(self, ticket: Ticket, works: bool = True) -> Order:
        """A new order; Refused when it does not become one. `works` False: it takes nothing yet."""
        with self.moment():
            if self.faults.happens("rejected_order", ticket.instrument.name):
                raise Refused("fault", "the exchange does not want it")
            self.check(ticket)
            self.last_order += 1
            order = Order(
                self.last_order,
                ticket,
                ticket.quantity or NOTHING,
                ticket.limit,
                ticket.stop,
                created=self.now(),
                updated=self.now(),
                triggered=not ticket.waits,
            )
            self.orders[order.number] = self.open[order.number] = order
            self.lock(order)
            self._say("new", order)
            if works:
                self._work(order)
            self._take_untold_fee(order)
            return order

    def _take_untold_fee(self, order: Order) -> None:
        fault = self.faults.happens("untold_fee", order.ticket.instrument.name)
        if fault is None:
            return
        self.balance_of(order).free -= 1

        def pay_back() -> None:
            with self.moment():
                self.balance_of(order).free += 1

        if fault.seconds is not None:
            self.later(fault.seconds, pay_back)

    def check(self, ticket: Ticket, besides: Order | None = None) -> None:
        """Refused when the exchange's rules do not allow it. `besides`: the order whose place it takes."""
        each = ticket.instrument
        if ticket.side not in ("BUY", "SELL"):
            raise Refused("side")
        if ticket.quantity is None and ticket.cost is None:
            raise Refused("missing", "quantity")
        if not ticket.at_market and ticket.limit is None:
            raise Refused("missing", "price")
        if ticket.waits and ticket.stop is None:
            raise Refused("missing", "stop price")
        for price in (ticket.limit, ticket.stop):
            if price is not None and (not price.is_finite() or price <= 0 or price % each.tick):
                raise Refused("tick", "the price is not a multiple of the tick")
        if ticket.quantity is not None:
            if not ticket.quantity.is_finite() or ticket.quantity % each.step:
                raise Refused("step", "the quantity is not a multiple of the step")
            if ticket.quantity < each.least:
                raise Refused("least", "the quantity is too small")
            if ticket.quantity > each.most:
                raise Refused("most", "the quantity is too large")
        price = ticket.limit or ticket.stop or self.tape(each).middle
        value = ticket.cost if ticket.quantity is None else price * ticket.quantity
        if value is None or not value.is_finite() or (value < each.value and not ticket.reduce_only):
            raise Refused("value", "the order's value is too small")
        if ticket.client_id and any(
            other.ticket.client_id == ticket.client_id
            and other.ticket.account == ticket.account
            and other is not besides
            for other in self.open.values()
        ):
            raise Refused("duplicate", "an open order has this client id")
        if ticket.waits and self._is_reached(ticket, self._price(ticket)):
            raise Refused("triggers", "the stop would trigger at once")
        if ticket.post_only and not ticket.waits and self._would_take(ticket):
            raise Refused("post_only", "it would take")
        if each.perp and not ticket.unfunded:
            self.check_position(ticket)
        if not ticket.unfunded:
            self.check_money(ticket, besides)

    def _would_take(self, ticket: Ticket) -> bool:
        bids, asks = self.view(ticket.instrument)
        assert ticket.limit is not None
        return (
            min(asks, default=ticket.limit + 1) <= ticket.limit if ticket.buys else any(b >= ticket.limit for b in bids)
        )

    def cancel(self, order: Order, reason: str = "") -> Order:
        """Its end; Refused when that comes too late."""
        with self.moment():
            name = order.ticket.instrument.name
            if self.faults.happens("rejected_cancel", name):
                raise Refused("fault", "the exchange does not want to cancel it")
            if not order.is_open:
                raise Refused("over", f"it is {order.status}")
            if self.faults.happens("cancel_race", name):
                self.fill(order, order.left)
                raise Refused("over", f"it is {order.status}")
            late = self.faults.happens("fill_after_cancel", name)
            half = down(order.left / 2, order.ticket.instrument.step)
            if late is not None and half > 0:
                self._held = []
                self.fill(order, half)
                held, self._held = self._held, None
                self._end(order, "CANCELED", "canceled", reason)
                self.later(late.after(1), lambda: [self.tell(each) for each in held])
                return order
            self._end(order, "CANCELED", "canceled", reason)
            return order

    def replace(
        self,
        order: Order,
        quantity: Decimal | None = None,
        limit: Decimal | None = None,
        stop: Decimal | None = None,
        **more: object,
    ) -> Order:
        """The same order with other terms, None: as it was; `more` as of a Ticket (a new client id)."""
        with self.moment():
            if not order.is_open:
                raise Refused("over", f"it is {order.status}")
            name = order.ticket.instrument.name
            if self.faults.happens("rejected_replace", name):
                raise Refused("fault", "the exchange does not want to change it")
            wanted = {
                "stop": order.stop if stop is None else stop,
                "limit": order.limit if limit is None else limit,
                "quantity": order.quantity if quantity is None else quantity,
            }
            changed = [term for term, value in wanted.items() if value != getattr(order, term)]
            if not changed and not more:
                raise Refused("unchanged", "nothing would change")
            if len(changed) > 1 and self.faults.happens("half_replace", name):
                wanted |= {term: getattr(order, term) for term in changed[1:]}
            if wanted["quantity"] <= order.filled:
                raise Refused("quantity", "so much is filled already")
            ticket = replace(order.ticket, **wanted, **more)
            self.check(ticket, besides=order)
            order.ticket, order.updated = ticket, self.now()
            order.quantity, order.limit, order.stop = wanted["quantity"], ticket.limit, ticket.stop
            self.lock(order)
            self._say("replaced", order)
            self._work(order)
            return order

    # ---------------------------------------------------------------- matching

    def match(self, instrument: Instrument) -> None:
        """After a new quote, trade or mark: what is reached is triggered, what is crossed is filled, oldest first."""
        with self.moment():
            for order in list(self.open.values()):
                if order.ticket.instrument is instrument and order.is_open:
                    if order.triggered:
                        self._crossed(order)
                    self._work(order)
            if instrument.perp:
                self._liquidate(instrument)

    def _price(self, ticket: Ticket) -> Decimal:
        """What its stop looks at."""
        tape = self.tape(ticket.instrument)
        return tape.marked if ticket.by_mark else tape.last

    def _is_reached(self, ticket: Ticket, price: Decimal) -> bool:
        upwards = ticket.buys == ticket.kind.startswith("STOP")
        return ticket.stop is not None and (price >= ticket.stop if upwards else price <= ticket.stop)

    def _work(self, order: Order) -> None:
        """Trigger it if its stop is reached; then it takes what it may, and ends if it is not to rest."""
        ticket = order.ticket
        if order.is_open and not order.triggered and self._is_reached(ticket, self._price(ticket)):
            self._trigger(order)
        elif order.is_open and order.triggered:
            self._go(order)

    def _go(self, order: Order) -> None:
        ticket = order.ticket
        if ticket.tif == "FOK" and self._takeable(order) < order.left:
            self._end(order, "EXPIRED", "expired", "FOK")
            return
        self._take(order)
        if order.is_open and (ticket.at_market or ticket.tif != "GTC"):
            self._end(order, "EXPIRED", "expired", ticket.tif)

    def _trigger(self, order: Order, works: bool = True) -> Order:
        """It works from now on, or a new order does in its place; that one."""
        if not order.is_open or order.triggered:
            return order
        order.triggered, order.updated = True, self.now()
        ticket = self.child_of(order)
        if ticket is not None:
            return self._become(order, ticket, works)
        self.lock(order)
        self._say("triggered", order)
        if works:
            self._go(order)
        return order

    def _become(self, order: Order, ticket: Ticket, works: bool) -> Order:
        order.status = "TRIGGERED"
        self.open.pop(order.number, None)
        try:
            child = self.place(ticket, works)
        except Refused as refused:
            self._end(order, "REJECTED", "rejected", refused.text)
            return order
        self.children[order.number] = child.number
        self._say("triggered", order)
        return child

    def _takeable(self, order: Order) -> Decimal:
        bids, asks = self.view(order.ticket.instrument)
        levels = asks if order.ticket.buys else bids
        return sum((size for price, size in levels.items() if order.may_pay(price)), NOTHING)

    def _best_own(self, order: Order) -> Order | None:
        """The best of our own resting orders on the other side."""
        buys = order.ticket.buys
        found = [
            other
            for other in self.open.values()
            if other.ticket.instrument is order.ticket.instrument
            and other.ticket.buys != buys
            and other.triggered
            and other.limit is not None
            and other.left > 0
            and other is not order
        ]
        return min(found, key=lambda each: each.limit if buys else -each.limit, default=None)  # type: ignore

    def _take(self, order: Order) -> None:
        tape, buys = self.tape(order.ticket.instrument), order.ticket.buys
        while order.is_open:
            levels, own = (tape.asks if buys else tape.bids), self._best_own(order)
            price = (min if buys else max)(levels, default=None)
            if own is not None and (price is None or (own.limit <= price if buys else own.limit >= price)):
                price, shown = own.limit, own.left
            else:
                own, shown = None, levels.get(price, NOTHING)
            if price is None or not order.may_pay(price):
                return
            size = min(self._wants(order, price), shown)
            if size <= 0:
                return
            if own is None:
                levels[price] -= size
                if not levels[price]:
                    del levels[price]
            trade = self._print(tape, price, size, sells=not buys)
            self._filled(order, trade, maker=False)
            if own is not None:
                self._filled(own, trade, maker=True)

    def _wants(self, order: Order, price: Decimal) -> Decimal:
        """How much of it is to be had at a price."""
        ticket = order.ticket
        wants = order.left
        if ticket.quantity is None:
            assert ticket.cost is not None
            wants = down((ticket.cost - order.turnover) / price, ticket.instrument.step)
        return min(wants, self.reducible(ticket)) if ticket.instrument.perp and self.reduces(ticket) else wants

    def _crossed(self, order: Order) -> None:
        """A resting order is filled at its own price by quotes of others that have come to it."""
        tape, buys = self.tape(order.ticket.instrument), order.ticket.buys
        levels = tape.asks if buys else tape.bids
        while order.is_open and order.limit is not None and levels:
            price = min(levels) if buys else max(levels)
            size = min(self._wants(order, order.limit), levels[price])
            if not order.may_pay(price) or size <= 0:
                return
            levels[price] -= size
            if not levels[price]:
                del levels[price]
            self._filled(order, self._print(tape, order.limit, size, sells=buys), maker=True)

    def _print(self, tape: Tape, price: Decimal, size: Decimal, sells: bool) -> Trade:
        trade = self.market.print(tape, price, size, sells)
        self._printed.append((tape.instrument.name, trade))
        self._reached += [
            each
            for each in self.open.values()
            if each.ticket.instrument is tape.instrument
            and not (each.triggered or each.ticket.by_mark)
            and self._is_reached(each.ticket, price)
        ]
        return trade

    def others_trade(self, instrument: Instrument, price: Decimal, size: Decimal, sells: bool = False) -> None:
        """A trade of others is printed; what it triggers is."""
        with self.moment():
            self._print(self.tape(instrument), price, size, sells)
            self.match(instrument)

    def step(self, instrument: Instrument) -> None:
        """The market of others goes on by a step."""
        tape = self.tape(instrument)
        with self.moment():
            before = self.market.last_trade
            self.market.step(tape)
            if self.market.last_trade > before:
                self._printed.append((instrument.name, tape.trades[-1]))
            self.match(instrument)

    def fill(self, order: Order, size: Decimal, price: Decimal | None = None) -> Fill:
        """Fill an open order, whatever the market says: at its limit or the last price when none is given."""
        if not order.is_open:
            raise ValueError(f"it is {order.status}")
        if order.ticket.quantity is not None and not NOTHING < size <= order.left:
            raise ValueError(f"there is {order.left} left")
        with self.moment():
            order = self._trigger(order, works=False)
            tape = self.tape(order.ticket.instrument)
            trade = self._print(tape, price or order.limit or tape.middle, size, sells=order.ticket.buys)
            return self._filled(order, trade, maker=True)

    def _filled(self, order: Order, trade: Trade, maker: bool) -> Fill:
        ticket = order.ticket
        order.filled += trade.size
        order.turnover += trade.price * trade.size
        order.updated = self.now()
        if ticket.quantity is None:
            order.quantity = order.filled
            whole = not maker and self._wants(order, trade.price) <= 0
        else:
            whole = order.left <= 0
        order.status = "FILLED" if whole else "PARTIALLY_FILLED"
        fill = self.settle(order, trade, maker)
        order.fills.append(fill)
        self.fills.append(fill)
        if ticket.instrument.perp:
            self._touched.add((ticket.account, ticket.instrument.name))
        if whole:
            self.open.pop(order.number, None)
        self._say("fill", order, fill)
        return fill

    def end(self, order: Order, status: str = "EXPIRED", reason: str = "") -> None:
        """The exchange ends an open order."""
        if not order.is_open:
            raise ValueError(f"it is {order.status}")
        with self.moment():
            self._end(order, status, status.lower(), reason)

    def _end(self, order: Order, status: str, kind: str, reason: str) -> None:
        order.status, order.reason, order.updated = status, reason, self.now()
        self.open.pop(order.number, None)
        self.lock(order)
        self._say(kind, order, reason=reason)

    # ---------------------------------------------------------------- accounts

    def deposit(self, account: str, wallet: str, asset: str, amount: Decimal, reason: str = "deposit") -> None:
        """Money comes, or goes: told as such."""
        with self.moment():
            self._tell_balances()
            self.accounts[account].balance(wallet, asset).free += amount
            self._tell_balances(reason)

    def set_leverage(self, account: str, instrument: Instrument, leverage: int) -> None:
        """Of an account's positions in a perpetual."""
        if not 1 <= leverage <= instrument.max_leverage:
            raise Refused("leverage", f"the leverage is from 1 to {instrument.max_leverage}")
        self.accounts[account].leverages[instrument.name] = leverage
        self.tell(Told(kind="leverage", account=account, at=self.now(), instrument=instrument))

    def set_hedged(self, account: str, hedged: bool) -> None:
        """LONG and SHORT positions, or one of BOTH; Refused while there are positions or open orders."""
        owner = self.accounts[account]
        if owner.hedged == hedged:
            raise Refused("unchanged", "it is so already")
        if any(position.size for position in owner.positions.values()):
            raise Refused("position_open", "there are positions")
        if any(each.ticket.account == account and each.ticket.instrument.perp for each in self.open.values()):
            raise Refused("order_open", "there are open orders")
        owner.hedged = hedged
        owner.positions.clear()

    def fund(self, instrument: Instrument, rate: Decimal | None = None) -> Decimal:
        """Funding is paid on every position in a perpetual; the rate."""
        rate = self.market.rate(instrument, self.now()) if rate is None else rate
        mark = self.tape(instrument).marked
        with self.moment():
            self._tell_balances()
            for account in self.accounts.values():
                for position in account.positions.values():
                    if position.instrument is instrument and position.size:
                        paid = -position.size * mark * rate
                        account.balance(instrument.wallet, instrument.quote).free += paid
                        self.fundings.append((self.now(), account.name, instrument, paid))
                        self._touched.add((account.name, instrument.name))
            self._tell_balances("funding")
        return rate

    def _liquidate(self, instrument: Instrument) -> None:
        """Positions whose liquidation price the mark has passed are closed there."""
        mark = self.tape(instrument).marked
        for account in self.accounts.values():
            for position in list(account.positions.values()):
                if position.instrument is not instrument or not position.size:
                    continue
                ends = self.liquidation_price(account, position)
                if ends and (mark <= ends if position.size > 0 else mark >= ends):
                    self._close_by_force(account, position, mark)

    def _close_by_force(self, account: Account, position: Position, mark: Decimal) -> None:
        instrument, size = position.instrument, abs(position.size)
        for order in [each for each in self.open.values() if each.ticket.account == account.name]:
            if order.ticket.instrument is instrument:
                self._end(order, "CANCELED", "canceled", "liquidation")
        self.last_order += 1
        ticket = Ticket(
            account=account.name,
            instrument=instrument,
            side="SELL" if position.size > 0 else "BUY",
            quantity=size,
            limit=mark,
            tif="IOC",
            position_side=position.side,
            client_id=f"autoclose-{self.last_order}",
        )
        now = self.now()
        order = Order(self.last_order, ticket, size, mark, None, created=now, updated=now, reason="liquidation")
        self.orders[order.number] = self.open[order.number] = order
        self._say("new", order)
        trade = self._print(self.tape(instrument), mark, size, sells=not ticket.buys)
        self._filled(order, trade, maker=False)
