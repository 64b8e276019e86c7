"""The rows of ORDERS, by whom they are told and remembered. Pure; the time is given.

One row an event (UserSubmitOrder, ExchangeAcceptOrder, ExchangeTradeOrder…), each with an ORDER_ID of its own and the
ORIGINAL_ORDER_ID of the order; the order's own row is told again after each event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.emulators.rtgw.orders import ACCOUNT, COPIED, Account, Order, Row


class Rows:
    """All rows, all orders, all accounts."""

    def __init__(self, accounts: Iterable[Account], now: Callable[[], datetime]) -> None:
        self.accounts = {account.name: account for account in accounts}
        self.now = now
        self.rows: dict[str, Row] = {}
        """By ORDER_ID, oldest first."""
        self.orders: dict[str, Order] = {}
        self.live: dict[str, dict[str, Order]] = {}
        """By symbol, then by id: what is matched."""
        self.last_id = 0
        self.last_fill = 0
        self.silenced: set[str] = set()
        """Orders of which nothing is told."""
        self.client_ids: set[str] = set()
        self.tell: Callable[[Row], None] = lambda row: None
        self.remember: Callable[[dict[str, Any]], None] = lambda entry: None

    def new_id(self) -> str:
        while True:
            self.last_id += 1
            name = f"emu-{self.last_id:06}"
            holder = self.rows.get(name)
            if holder is None:
                return name
            old = self.orders[holder["ORIGINAL_ORDER_ID"]]
            if not old.is_open:
                self.forget(old.id)
                return name

    def forget(self, original: str) -> None:
        """An order that has ended leaves the book, because its ids are given anew."""
        self.orders.pop(original, None)
        for name in [name for name, row in self.rows.items() if row["ORIGINAL_ORDER_ID"] == original]:
            del self.rows[name]
        self.remember({"forget": original})

    def stamp(self) -> Row:
        now = self.now()
        return {
            "TIME_STAMP": f"{now:%Y%m%d%H%M%S%f}"[:17],
            "TIME_ZONE": "US/Eastern",
            "TRD_TIME": f"{now:%H:%M:%S}",
            "MARKET_TRD_DATE": f"{now:%Y-%m-%d}",
        }

    def put(self, row: Row) -> None:
        """A row that is new or has changed is kept and told."""
        self.rows[row["ORDER_ID"]] = row
        self.remember({"row": row, "last_id": self.last_id, "last_fill": self.last_fill})
        if row["ORIGINAL_ORDER_ID"] not in self.silenced:
            self.tell(dict(row))

    def event(self, order: Order, kind: str, **more: Any) -> Row:
        row = {name: order.row[name] for name in COPIED if name in order.row}
        if "VOLUME" in order.row:
            row |= {"VOLUME": order.row["VOLUME"], "ORIGINAL_VOLUME": order.row["VOLUME"]}
        name = self.new_id()
        row |= {"ORDER_ID": name, "ORIGINAL_ORDER_ID": order.id, "TYPE": kind, "CURRENT_STATUS": "COMPLETED"}
        row |= self.stamp() | more
        self.put(row)
        return row

    def own(self, order: Order, status: str = "", **more: Any) -> None:
        """The order's own row again."""
        order.row |= more | self.stamp()
        if status:
            order.row["CURRENT_STATUS"] = status
        by_id = self.live.setdefault(order.symbol, {})
        if order.is_live and not order.is_ticket:
            by_id[order.id] = order
        else:
            by_id.pop(order.id, None)
        self.put(order.row)

    # ---------------------------------------------------------------- memory

    def recall(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Become what was remembered, telling nobody."""
        for entry in entries:
            self.last_id = entry.get("last_id", self.last_id)
            self.last_fill = entry.get("last_fill", self.last_fill)
            if "forget" in entry:
                self.orders.pop(entry["forget"], None)
                for name in [n for n, row in self.rows.items() if row["ORIGINAL_ORDER_ID"] == entry["forget"]]:
                    del self.rows[name]
            elif "triggered" in entry:
                self.orders[entry["triggered"]].triggered = True
            elif "row" in entry:
                self._recall_row(dict(entry["row"]))

    def _recall_row(self, row: Row) -> None:
        name, original = row["ORDER_ID"], row["ORIGINAL_ORDER_ID"]
        is_new = name not in self.rows
        self.rows[name] = row
        if name == original:
            self.client_ids.add(row.get("CLIENT_ORDER_ID", ""))
            order = self.orders.get(name)
            if order is None:
                order = self.orders[name] = Order(row)
            order.row = row
            by_id = self.live.setdefault(order.symbol, {})
            if order.is_live and not order.is_ticket:
                by_id[name] = order
            else:
                by_id.pop(name, None)
        elif is_new and row["TYPE"] == "ExchangeTradeOrder" and not self.orders[original].is_ticket:
            account = self.accounts[".".join(str(row[part]) for part in ACCOUNT)]
            account.trade(row["DISP_NAME"], row["BUYORSELL"] == "Buy", row["VOLUME"], Decimal(str(row["PRICE"])))
