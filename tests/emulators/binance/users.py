"""User data: who listens to which account, by listen keys or by the WebSocket API, and what they are told."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any

from tests.emulators.binance import wire
from tests.emulators.binance.asking import Asked, Wrong
from tests.emulators.binance.catalogue import eight, plain
from tests.emulators.crypto.link import Link
from tests.emulators.crypto.orders import Account, Order, Told
from tests.emulators.crypto.server import Emulator

D = Decimal
HOUR = 3600.0
REASONS = {"order": "ORDER", "deposit": "DEPOSIT", "funding": "FUNDING_FEE"}
NO_KEY = (-1125, "This listenKey does not exist.")


class Users:
    """The private streams."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.keys: dict[str, tuple[str, float]] = {}
        """Futures' listen keys: the account, and until when."""

    # ---------------------------------------------------------------- listen keys

    def key_of(self, account: str) -> str | None:
        """The account's listen key that is still valid."""
        now = self.emulator.now()
        return next((key for key, (name, until) in self.keys.items() if name == account and until > now), None)

    def new_key(self, asked: Asked, account: Account) -> dict[str, Any]:
        """POST listenKey: the one there is, for an hour more, or a new one."""
        key = self.key_of(account.name) or secrets.token_hex(32)
        self.keys[key] = (account.name, self.emulator.now() + HOUR)
        return {"listenKey": key}

    def keep_key(self, asked: Asked, account: Account) -> dict[str, Any]:
        """PUT listenKey."""
        key = self.key_of(account.name)
        if key is None:
            raise Wrong(*NO_KEY)
        self.keys[key] = (account.name, self.emulator.now() + HOUR)
        return {"listenKey": key}

    def end_key(self, asked: Asked, account: Account) -> dict[str, Any]:
        """DELETE listenKey: its streams are closed."""
        key = self.key_of(account.name)
        if key is None:
            raise Wrong(*NO_KEY)
        del self.keys[key]
        for link in self._of(account.name, "futures"):
            link.close()
        return {}

    def expire_keys(self) -> None:
        """Every listen key expires now; whoever listens is told, and hears no more."""
        for key, (account, _) in list(self.keys.items()):
            del self.keys[key]
            for link in self._of(account, "futures"):
                link.say({"e": "listenKeyExpired", "E": self.emulator.ms(), "listenKey": key})
                link.account = None

    def join(self, link: Link, key: str) -> bool:
        """A stream of a listen key is opened; whether there is such a key."""
        found = self.keys.get(key)
        if found is None or found[1] <= self.emulator.now():
            return False
        link.account, link.state["market"] = found[0], "futures"
        return True

    def terminate(self) -> None:
        """Spot's subscriptions end: eventStreamTerminated."""
        for link in self.emulator.links:
            if link.account is not None and link.state["market"] == "spot":
                self._say(link, {"e": "eventStreamTerminated", "E": self.emulator.ms()})
                link.account = None

    def _of(self, account: str, market: str) -> list[Link]:
        return [each for each in self.emulator.links if each.account == account and each.state["market"] == market]

    def _say(self, link: Link, event: dict[str, Any]) -> None:
        if link.state["market"] == "spot":
            link.say({"subscriptionId": link.state["subscription"], "event": event})
        elif link.state["combined"]:
            link.say({"stream": link.state.get("key", ""), "data": event})
        else:
            link.say(event)

    # ---------------------------------------------------------------- what is told

    def told(self, told: Told) -> None:
        """Tell those who listen to the account."""
        perp = told.wallet == "perp" or (told.instrument is not None and told.instrument.perp)
        events = self._futures(told) if perp else self._spot(told)
        for link in self._of(told.account, "futures" if perp else "spot"):
            for event in events:
                self._say(link, event)

    def _spot(self, told: Told) -> list[dict[str, Any]]:
        now = self.emulator.ms()
        if told.kind != "balance":
            return [wire.execution_report(told, now)]
        balances = [{"a": a, "f": eight(b.free), "l": eight(b.locked)} for a, (b, _) in told.balances.items()]
        position = {"e": "outboundAccountPosition", "E": now, "u": wire.ms(told.at), "B": balances}
        if told.reason == "order":
            return [position]
        changes = [
            {"e": "balanceUpdate", "E": now, "a": asset, "d": eight(change), "T": wire.ms(told.at)}
            for asset, (_, change) in told.balances.items()
        ]
        return [*changes, position]

    def _futures(self, told: Told) -> list[dict[str, Any]]:
        now = self.emulator.ms()
        if told.kind == "balance":
            return [self._account_update(told, now)]
        if told.kind == "leverage":
            assert told.instrument is not None
            leverage = self.emulator.exchange.accounts[told.account].leverage(told.instrument)
            inner = {"s": told.instrument.symbol, "l": leverage}
            return [{"e": "ACCOUNT_CONFIG_UPDATE", "E": now, "T": wire.ms(told.at), "ac": inner}]
        assert told.order is not None
        if told.order.ticket.waits:
            return self._algo(told.order, now, told.at)
        events = [wire.trade_lite(told, now)] if told.kind == "fill" else []
        events.append(wire.order_trade_update(told, now))
        parent = self.emulator.exchange.orders.get(told.order.ticket.extra.get("algo", 0))
        if not told.order.is_open and parent is not None and "told" in parent.ticket.extra:
            events += self._algo(parent, now, told.at)
        return events

    def _algo(self, order: Order, now: int, at: float) -> list[dict[str, Any]]:
        """TRIGGERED is told before FINISHED, though by then the order that it became may have ended."""
        exchange = self.emulator.exchange
        child = exchange.orders.get(exchange.children.get(order.number, 0))
        events = [wire.algo_update(order, child, now, at)]
        if child is not None and "told" not in order.ticket.extra:
            order.ticket.extra["told"] = True
            first = wire.algo_update(order, child, now, at)
            first["o"]["X"] = "TRIGGERED"
            return [first] if child.is_open else [first, *events]
        return events

    def _account_update(self, told: Told, now: int) -> dict[str, Any]:
        exchange, account = self.emulator.exchange, self.emulator.exchange.accounts[told.account]
        ordered = told.reason == "order"
        balances = [
            {
                "a": asset,
                "wb": eight(balance.total),
                "cw": eight(balance.total),
                "bc": "0" if ordered else plain(change),
            }
            for asset, (balance, change) in told.balances.items()
        ]
        positions = [
            {
                "s": each.instrument.symbol,
                "pa": plain(each.size),
                "ep": plain(each.entry),
                "bep": plain(each.entry),
                "cr": plain(each.realized),
                "up": plain(exchange.unrealized(each)),
                "mt": "isolated" if each.instrument.name in account.isolated else "cross",
                "iw": "0",
                "ps": each.side,
            }
            for each in (told.positions if ordered else ())
        ]
        inner = {"B": balances, "P": positions, "m": REASONS[told.reason]}
        return {"e": "ACCOUNT_UPDATE", "E": now, "T": wire.ms(told.at), "a": inner}
