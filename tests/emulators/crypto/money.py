"""What orders and fills do to balances and positions: locks, fees, margin, liquidation prices. Pure."""

from __future__ import annotations

from decimal import Decimal

from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.market import Market, Trade, down
from tests.emulators.crypto.orders import Account, Balance, Fill, Order, Position, Refused, Ticket

D = Decimal
NOTHING = D(0)
EXACT = D("0.00000001")


class Money:
    """The accounts, and what things cost them."""

    def __init__(self, market: Market, accounts: dict[str, Account]) -> None:
        self.market = market
        self.accounts = accounts
        self.open: dict[int, Order] = {}
        self.fundings: list[tuple[float, str, Instrument, Decimal]] = []
        """What was paid (negative) or received: when, by whom, of what, how much."""

    def balance_of(self, order: Order) -> Balance:
        """What pays it, or its fees where it is a sell: in the quote asset."""
        each = order.ticket.instrument
        return self.accounts[order.ticket.account].balance(each.wallet, each.quote)

    # ---------------------------------------------------------------- spot

    def lock(self, order: Order) -> None:
        """Lock what an open spot order may still need, and free the rest."""
        ticket, each = order.ticket, order.ticket.instrument
        if each.perp:
            return
        balance = self.accounts[ticket.account].balance(each.wallet, each.quote if ticket.buys else each.base)
        wanted = self._needs(ticket, order.left, order.limit or order.stop) if order.is_open else NOTHING
        if ticket.at_market and order.triggered:
            wanted = NOTHING
        balance.free += order.locked - wanted
        balance.locked += wanted - order.locked
        order.locked = wanted

    def _needs(self, ticket: Ticket, quantity: Decimal, price: Decimal | None) -> Decimal:
        if not ticket.buys:
            return quantity
        value = quantity * (price or NOTHING)
        each = ticket.instrument
        return value * (1 + each.taker) if each.fee_in == "quote" else value

    def _walked(self, ticket: Ticket) -> Decimal:
        """What a market order for a quantity would cost now."""
        tape = self.market.tapes[ticket.instrument.name]
        left, cost = ticket.quantity or NOTHING, NOTHING
        for price in sorted(tape.asks):
            size = min(left, tape.asks[price])
            cost, left = cost + size * price, left - size
        return cost

    def check_money(self, ticket: Ticket, besides: Order | None) -> None:
        """Refused when the account cannot pay for it."""
        each = ticket.instrument
        if each.perp:
            self._check_margin(ticket, besides)
            return
        filled = besides.filled if besides else NOTHING
        free = self.accounts[ticket.account].balance(each.wallet, each.quote if ticket.buys else each.base).free
        free += besides.locked if besides else NOTHING
        if ticket.buys and ticket.kind == "MARKET":
            cost = ticket.cost if ticket.quantity is None else self._walked(ticket)
            needs = (cost or NOTHING) * (1 + (each.taker if each.fee_in == "quote" and ticket.quantity else 0))
        else:
            quantity = ticket.quantity
            if quantity is None:
                quantity = (ticket.cost or NOTHING) / self.market.tapes[each.name].middle
            needs = self._needs(ticket, quantity - filled, ticket.limit or ticket.stop)
        if needs > free:
            raise Refused("balance", "the balance is not enough")

    def settle(self, order: Order, trade: Trade, maker: bool) -> Fill:
        """Move money and position for a fill, whose size the order has counted already."""
        ticket, each = order.ticket, order.ticket.instrument
        account, value = self.accounts[ticket.account], trade.price * trade.size
        rate = each.maker if maker else each.taker
        in_base = not each.perp and each.fee_in == "received" and ticket.buys
        fee = (trade.size if in_base else value) * rate
        fee = fee.quantize(EXACT)
        realized = NOTHING
        if each.perp:
            realized = self._change_position(account, ticket, trade)
            account.balance(each.wallet, each.quote).free += realized - fee
        else:
            self.lock(order)
            base, quote = account.balance(each.wallet, each.base), account.balance(each.wallet, each.quote)
            sign = 1 if ticket.buys else -1
            base.free += sign * trade.size - (fee if in_base else 0)
            quote.free -= sign * value + (0 if in_base else fee)
        return Fill(
            number=trade.number,
            order=order.number,
            account=ticket.account,
            instrument=each,
            buys=ticket.buys,
            price=trade.price,
            size=trade.size,
            fee=fee,
            fee_asset=each.base if in_base else each.quote,
            maker=maker,
            at=trade.at,
            realized=realized,
            client_id=ticket.client_id,
            position_side=ticket.position_side,
        )

    # ---------------------------------------------------------------- perpetuals

    def _change_position(self, account: Account, ticket: Ticket, trade: Trade) -> Decimal:
        position = account.position(ticket.instrument, ticket.position_side)
        size = trade.size if ticket.buys else -trade.size
        realized = NOTHING
        if position.size * size < 0:
            closes = min(abs(size), abs(position.size)) * (1 if size > 0 else -1)
            realized = -closes * (trade.price - position.entry)
            position.size += closes
            size -= closes
        if size:
            held = position.size + size
            position.entry = (position.entry * position.size + trade.price * size) / held
            position.size = held
        if not position.size:
            position.entry = NOTHING
        position.realized += realized
        position.updated = trade.at
        return realized

    def reduces(self, ticket: Ticket) -> bool:
        """It can only make a position smaller."""
        closes = {"LONG": not ticket.buys, "SHORT": ticket.buys}
        return ticket.reduce_only or closes.get(ticket.position_side, False)

    def reducible(self, ticket: Ticket) -> Decimal:
        """How much of the position it is against it can close."""
        held = self.accounts[ticket.account].position(ticket.instrument, ticket.position_side).size
        return max(-held if ticket.buys else held, NOTHING)

    def check_position(self, ticket: Ticket) -> None:
        """Refused when it does not fit the account's position mode, or has nothing to reduce."""
        hedged = self.accounts[ticket.account].hedged
        if hedged != (ticket.position_side in ("LONG", "SHORT")):
            raise Refused("position_side", "the position side does not fit the position mode")
        if self.reduces(ticket) and not self.reducible(ticket):
            raise Refused("reduce_only", "there is nothing to reduce")

    def unrealized(self, position: Position) -> Decimal:
        """At the mark price."""
        return position.size * (self.market.tapes[position.instrument.name].marked - position.entry)

    def position_margin(self, account: Account, position: Position) -> Decimal:
        """What a position keeps of the balance."""
        value = abs(position.size) * self.market.tapes[position.instrument.name].marked
        return value / account.leverage(position.instrument)

    def order_margin(self, ticket: Ticket, left: Decimal, price: Decimal | None) -> Decimal:
        """What an order in a perpetual keeps of the balance: for what it opens."""
        opens = NOTHING if self.reduces(ticket) else max(left - self.reducible(ticket), NOTHING)
        price = price or self.market.tapes[ticket.instrument.name].marked
        return opens * price / self.accounts[ticket.account].leverage(ticket.instrument)

    def open_margin(self, account: Account, wallet: str, asset: str, besides: Order | None = None) -> Decimal:
        """Of all open orders in perpetuals that this asset pays."""
        return sum(
            (
                self.order_margin(order.ticket, order.left, order.limit or order.stop)
                for order in self.open.values()
                if order.ticket.account == account.name
                and not order.ticket.unfunded
                and order.ticket.instrument.perp
                and (order.ticket.instrument.wallet, order.ticket.instrument.quote) == (wallet, asset)
                and order is not besides
            ),
            NOTHING,
        )

    def held(self, account: Account, wallet: str, asset: str) -> list[Position]:
        """The open positions that this asset pays."""
        return [
            each
            for each in account.positions.values()
            if each.size and (each.instrument.wallet, each.instrument.quote) == (wallet, asset)
        ]

    def available(self, account: Account, wallet: str, asset: str, besides: Order | None = None) -> Decimal:
        """What can be spent: free, with what positions have won, without what they and orders keep."""
        free = account.balance(wallet, asset).free
        for position in self.held(account, wallet, asset):
            free += min(self.unrealized(position), NOTHING) - self.position_margin(account, position)
        return free - self.open_margin(account, wallet, asset, besides)

    def _check_margin(self, ticket: Ticket, besides: Order | None) -> None:
        each, account = ticket.instrument, self.accounts[ticket.account]
        left = (ticket.quantity or NOTHING) - (besides.filled if besides else NOTHING)
        if ticket.quantity is None:
            left = down((ticket.cost or NOTHING) / self.market.tapes[each.name].marked, each.step)
        needs = self.order_margin(ticket, left, ticket.limit or ticket.stop)
        if needs > self.available(account, each.wallet, each.quote, besides):
            raise Refused("margin", "the margin is not enough")

    def liquidation_price(self, account: Account, position: Position) -> Decimal:
        """Where a position is closed by force; 0 when the mark cannot get there."""
        each, size = position.instrument, abs(position.size)
        if not size:
            return NOTHING
        if each.name in account.isolated:
            money = size * position.entry / account.leverage(each)
        else:
            money = account.balance(each.wallet, each.quote).total
            others = [held for held in self.held(account, each.wallet, each.quote) if held is not position]
            money += sum((self.unrealized(other) for other in others), NOTHING)
        if position.size > 0:
            price = (size * position.entry - money) / (size * (1 - each.maintenance))
        else:
            price = (size * position.entry + money) / (size * (1 + each.maintenance))
        return max(down(price, each.tick), NOTHING)
