"""The questions about orders, executions, accounts, positions and contracts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.emulators.tws import messages, money
from tests.emulators.tws.contracts import Asked, Contract, find, sample
from tests.emulators.tws.history import Refused, read_end
from tests.emulators.tws.link import Link
from tests.emulators.tws.market import ZONE
from tests.emulators.tws.orders import Account, Execution, Order, read_contract
from tests.emulators.tws.wire import Reader

if TYPE_CHECKING:
    from tests.emulators.tws.server import Emulator

UNKNOWN = "No security definition has been found for the request"
TOO_MANY = "Error processing request.-'bN' : cause - Maximum number of account summary requests exceeded"


class Queries:
    """Each by its message's number in `handlers`."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.handlers: dict[int, Callable[[Link, Reader], None]] = {
            5: self._open_orders,
            6: self._account,
            7: self._executions,
            9: self._contracts,
            16: self._all_open_orders,
            61: self._positions,
            62: self._summary,
            63: self._no_summary,
            64: self._no_positions,
            74: self._positions_multi,
            75: lambda link, reader: None,
            76: self._account_multi,
            77: lambda link, reader: None,
            78: self._option_parameters,
            79: lambda link, reader: link.say(77, reader.int(), 0),
            80: lambda link, reader: link.say(78, 0),
            81: self._matching,
            82: lambda link, reader: link.say(80, 0),
            85: lambda link, reader: link.say(85, 0),
            91: self._rule,
            92: self._pnl,
            93: self._no_pnl,
            94: self._pnl_single,
            95: self._no_pnl_single,
            99: self._completed,
            104: lambda link, reader: link.say(107, reader.int(), ""),
        }

    def _error(self, link: Link, number: int, code: int, text: str) -> None:
        link.say(*messages.error(link.version, number, code, text))

    # ---------------------------------------------------------------- orders

    def _show_open(self, link: Link, which: Callable[[Order], bool]) -> None:
        for order in self.emulator.book.open.values():
            if order.transmitted and which(order):
                link.say(*messages.open_order(link.version, order))
                link.say(*messages.order_status(order))
                if link.client is not None:
                    self.emulator.book.seen(link.client, order)
        link.say(53, 1)

    def _open_orders(self, link: Link, reader: Reader) -> None:
        self._show_open(link, lambda order: order.client == link.client)

    def _all_open_orders(self, link: Link, reader: Reader) -> None:
        self._show_open(link, lambda order: True)

    def _completed(self, link: Link, reader: Reader) -> None:
        """Today's, whoever's; with the flag only those that have an order id."""
        api_only, today = reader.bool(), f"{self.emulator.now():%Y%m%d}"
        for order in self.emulator.book.orders.values():
            if order.is_over and order.completed_at.startswith(today) and (order.id or not api_only):
                link.say(*messages.completed_order(link.version, order))
        link.say(102)

    def _executions(self, link: Link, reader: Reader) -> None:
        """Since midnight, filtered."""
        reader.skip()
        number, client, account, since = reader.int(), reader.int(), reader.next(), reader.next()
        symbol, kind, exchange, side = (reader.next() for _ in range(4))
        try:
            start = read_end(since, self.emulator.now()) if since else None
        except Refused as refused:
            self._error(link, number, refused.code, refused.text)
            return
        wanted = ((account, "account"), (exchange, "exchange"))
        for fill in self._today(start):
            has = {"account": fill.account, "exchange": fill.exchange}
            if (client and fill.client != client) or any(value and value != has[name] for value, name in wanted):
                continue
            if symbol not in ("", fill.contract.symbol) or kind not in ("", fill.contract.kind):
                continue
            if side and side[:1] != ("B" if fill.buys else "S"):
                continue
            link.say(*messages.execution(link.version, number, fill))
            link.say(*messages.commission(fill))
        link.say(55, 1, number)

    def _today(self, start: datetime | None) -> list[Execution]:
        midnight = self.emulator.now().astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
        since = max(midnight, start) if start else midnight
        return [fill for fill in self.emulator.book.executions.values() if fill.at >= since]

    # ---------------------------------------------------------------- accounts

    def _known(self, link: Link, name: str, number: int = -1) -> Account | None:
        """The account of a name, the first one for an empty name; otherwise error 321."""
        accounts = self.emulator.book.accounts
        account = accounts.get(name or next(iter(accounts)))
        if account is None:
            self._error(link, number, 321, f"Error validating request.-'bN' : cause - Invalid account code '{name}'.")
        return account

    def _account(self, link: Link, reader: Reader) -> None:
        reader.skip()
        on, name = reader.bool(), reader.next()
        account = self._known(link, name)
        if account is None:
            return
        link.wishes.account = account.name if on else ""
        if on:
            held = [each for each in account.held.values() if each.size]
            self.emulator.teller.tell_account(link, account, held)
            link.say(54, 1, account.name)

    def _account_multi(self, link: Link, reader: Reader) -> None:
        reader.skip()
        number, name, model = reader.int(), reader.next(), reader.next()
        account = self._known(link, name, number)
        if account is not None:
            for tag, (value, currency) in money.values(account, self.emulator.teller.price).items():
                link.say(73, 1, number, account.name, model, tag, value, currency)
            link.say(74, 1, number)

    def _summary(self, link: Link, reader: Reader) -> None:
        reader.skip()
        number, _group, tags = reader.int(), reader.next(), reader.next()
        if len(link.wishes.summaries) >= 2:
            self._error(link, number, 322, TOO_MANY)
            return
        wanted = tuple(tag for tag in tags.split(",") if tag)
        link.wishes.summaries[number] = wanted
        for account in self.emulator.book.accounts.values():
            for tag, (value, currency) in money.values(account, self.emulator.teller.price).items():
                if tag in wanted or any(each.startswith("$LEDGER") for each in wanted):
                    link.say(63, 1, number, account.name, tag, value, currency)
        link.say(64, 1, number)

    def _no_summary(self, link: Link, reader: Reader) -> None:
        reader.skip()
        link.wishes.summaries.pop(reader.int(), None)

    def _positions(self, link: Link, reader: Reader) -> None:
        link.wishes.positions = True
        for account in self.emulator.book.accounts.values():
            for held in account.held.values():
                if held.size:
                    link.say(*messages.position(account.name, held))
        link.say(62, 1)

    def _no_positions(self, link: Link, reader: Reader) -> None:
        link.wishes.positions = False

    def _positions_multi(self, link: Link, reader: Reader) -> None:
        reader.skip()
        number, name, model = reader.int(), reader.next(), reader.next()
        account = self._known(link, name, number)
        if account is not None:
            for held in account.held.values():
                shown = messages.position(account.name, held)
                if held.size:
                    link.say(71, 1, number, *shown[2:], model)
            link.say(72, 1, number)

    def _pnl(self, link: Link, reader: Reader) -> None:
        number = reader.int()
        account = self._known(link, reader.next(), number)
        if account is not None:
            link.wishes.pnl[number] = account.name
            self.emulator.teller.tell_pnl(link, number)

    def _no_pnl(self, link: Link, reader: Reader) -> None:
        link.wishes.pnl.pop(reader.int(), None)

    def _pnl_single(self, link: Link, reader: Reader) -> None:
        number, name = reader.int(), reader.next()
        reader.skip()
        account = self._known(link, name, number)
        if account is not None:
            link.wishes.pnl_single[number] = (account.name, reader.int())
            self.emulator.teller.tell_pnl_single(link, number)

    def _no_pnl_single(self, link: Link, reader: Reader) -> None:
        link.wishes.pnl_single.pop(reader.int(), None)

    # ---------------------------------------------------------------- contracts

    def _contracts(self, link: Link, reader: Reader) -> None:
        reader.skip()
        number = reader.int()
        asked = read_contract(reader)
        found = find(replace(asked, expired=reader.bool()), self.emulator.today())
        if not found:
            self._error(link, number, 200, UNKNOWN)
            return
        for contract in found:
            link.say(*messages.contract_details(link.version, number, contract, self.emulator.now()))
        link.say(52, 1, number)

    def _matching(self, link: Link, reader: Reader) -> None:
        number, pattern = reader.int(), reader.next()
        found = sample(pattern, self.emulator.today())
        fields: list[Any] = [79, number, len(found)]
        for each in found:
            fields += [each.con_id, each.symbol, each.kind, each.primary or each.exchange, each.currency, 0]
            fields += [each.long_name, ""] if link.version >= 176 else []
        link.say(*fields)

    def _option_parameters(self, link: Link, reader: Reader) -> None:
        number, symbol = reader.int(), reader.next()
        reader.skip(2)
        under = reader.int()
        options = [each for each in self._options(symbol) if each.under == under]
        if options:
            expiries = sorted({each.expiry for each in options})
            strikes = sorted({each.strike for each in options})
            first = options[0]
            for exchange in first.exchanges:
                head = [75, number, exchange, under, first.trading_class, first.multiplier]
                link.say(*head, len(expiries), *expiries, len(strikes), *strikes)
        link.say(76, number)

    def _options(self, symbol: str) -> list[Contract]:
        return find(Asked(symbol=symbol, kind="OPT"), self.emulator.today())

    def _rule(self, link: Link, reader: Reader) -> None:
        number = reader.int()
        link.say(93, number, 1, 0, Decimal(number) / 100000)
