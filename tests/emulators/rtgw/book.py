"""The emulator's order book: pokes become rows of ORDERS, which fill against its own market. Pure: time is given.

One row an event (UserSubmitOrder, ExchangeAcceptOrder, ExchangeTradeOrder…), each with an ORDER_ID of its own and the
ORIGINAL_ORDER_ID of the order; the order's own row is told again after each event. A cancelled order's own row ends as
`killed` says: DELETED behind an ExchangeKillOrder, as RealTick's document has it, or CANCELLED without one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tests.emulators.rtgw.faults import Faults
from tests.emulators.rtgw.market import LISTINGS, Market, Tape

Row = dict[str, Any]
ACCOUNT = ("BANK", "BRANCH", "CUSTOMER", "DEPOSIT")
COPIED = (*ACCOUNT, "BUYORSELL", "DISP_NAME", "EXCHANGE", "EXIT_VEHICLE", "STYP", "PRICE_TYPE", "CURRENCY", "ORDER_TAG")
"""What an event's row has of its order's."""
SIDES = ("Buy", "Sell", "SellShort")
WITH_LIMIT, WITH_STOP = ("AsEntered", "Limit", "StopLimit"), ("Stop", "StopLimit")
PRICE_TYPES = ("Market", "AsEntered", "Limit", "Stop", "StopLimit")
LASTING = ("DAY", "DAYPLUS", "GTC", "IOC")
LARGEST = 10_000_000


@dataclass(slots=True)
class Account:
    """Money and positions: what the day began with, and what was bought and sold since."""

    name: str
    cash: Decimal
    began: dict[str, int] = field(default_factory=dict)
    bought: dict[str, int] = field(default_factory=dict)
    sold: dict[str, int] = field(default_factory=dict)

    @property
    def parts(self) -> Row:
        """BANK, BRANCH, CUSTOMER and DEPOSIT."""
        return dict(zip(ACCOUNT, self.name.split("."), strict=True))

    def trade(self, symbol: str, buys: bool, size: int, price: Decimal) -> None:
        """One fill."""
        side = self.bought if buys else self.sold
        side[symbol] = side.get(symbol, 0) + size
        self.cash += price * size * (-1 if buys else 1)

    def net(self, symbol: str) -> int:
        """The position, signed."""
        return self.began.get(symbol, 0) + self.bought.get(symbol, 0) - self.sold.get(symbol, 0)


class Order:
    """One order or ticket: its own row, and what is not in it."""

    __slots__ = ("row", "triggered")

    def __init__(self, row: Row) -> None:
        self.row = row
        self.triggered = row["PRICE_TYPE"] not in WITH_STOP if "PRICE_TYPE" in row else True

    @property
    def id(self) -> str:
        """Its ORIGINAL_ORDER_ID."""
        return str(self.row["ORIGINAL_ORDER_ID"])

    @property
    def symbol(self) -> str:
        """What it is in."""
        return str(self.row["DISP_NAME"])

    @property
    def buys(self) -> bool:
        """Whether it buys."""
        return self.row.get("BUYORSELL") == "Buy"

    @property
    def is_ticket(self) -> bool:
        """Whether it waits for a person."""
        return bool(self.row["TYPE"] == "UserSubmitStagedOrder")

    @property
    def left(self) -> int:
        """What may still be filled."""
        return int(self.row.get("VOLUME", 0)) - int(self.row["VOLUME_TRADED"])

    @property
    def is_live(self) -> bool:
        """Whether it is on the market."""
        return bool(self.row["CURRENT_STATUS"] == "LIVE")

    @property
    def is_open(self) -> bool:
        """Whether it may still become anything."""
        return self.row["CURRENT_STATUS"] in ("LIVE", "PENDING")

    def price(self, name: str) -> Decimal:
        """PRICE or STOP_PRICE."""
        return Decimal(str(self.row[name]))


class Book:
    """All rows, all orders, all accounts."""

    def __init__(
        self,
        market: Market,
        accounts: Iterable[Account],
        now: Callable[[], datetime],
        *,
        faults: Faults | None = None,
        killed: str = "DELETED",
    ) -> None:
        self.market = market
        self.accounts = {account.name: account for account in accounts}
        self.now = now
        self.faults = faults or Faults()
        self.killed = killed
        self.rows: dict[str, Row] = {}
        """By ORDER_ID, oldest first."""
        self.orders: dict[str, Order] = {}
        self.live: dict[str, dict[str, Order]] = {}
        """By symbol, then by id: what is matched."""
        self.last_id = 0
        self.last_fill = 0
        self.hold = False
        """True: new orders stay PENDING until a person accepts or rejects them."""
        self.latency = 0.0
        """Seconds from PENDING to what follows."""
        self.silenced: set[str] = set()
        """Orders of which nothing is told."""
        self.violations: list[str] = []
        """What a client did that it should not."""
        self.tell: Callable[[Row], None] = lambda row: None
        self.later: Callable[[float, Callable[[], None]], None] = lambda seconds, do: do()
        self.remember: Callable[[dict[str, Any]], None] = lambda entry: None
        self._client_ids: set[str] = set()

    # ---------------------------------------------------------------- rows

    def _new_id(self) -> str:
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

    def _stamp(self) -> Row:
        now = self.now()
        return {
            "TIME_STAMP": f"{now:%Y%m%d%H%M%S%f}"[:17],
            "TIME_ZONE": "US/Eastern",
            "TRD_TIME": f"{now:%H:%M:%S}",
            "MARKET_TRD_DATE": f"{now:%Y-%m-%d}",
        }

    def _put(self, row: Row) -> None:
        """A row that is new or has changed is kept and told."""
        self.rows[row["ORDER_ID"]] = row
        self.remember({"row": row, "last_id": self.last_id, "last_fill": self.last_fill})
        if row["ORIGINAL_ORDER_ID"] not in self.silenced:
            self.tell(dict(row))

    def _event(self, order: Order, kind: str, **more: Any) -> Row:
        row = {name: order.row[name] for name in COPIED if name in order.row}
        if "VOLUME" in order.row:
            row |= {"VOLUME": order.row["VOLUME"], "ORIGINAL_VOLUME": order.row["VOLUME"]}
        name = self._new_id()
        row |= {"ORDER_ID": name, "ORIGINAL_ORDER_ID": order.id, "TYPE": kind, "CURRENT_STATUS": "COMPLETED"}
        row |= self._stamp() | more
        self._put(row)
        return row

    def _own(self, order: Order, status: str = "", **more: Any) -> None:
        """The order's own row again."""
        order.row |= more | self._stamp()
        if status:
            order.row["CURRENT_STATUS"] = status
        by_id = self.live.setdefault(order.symbol, {})
        if order.is_live and not order.is_ticket:
            by_id[order.id] = order
        else:
            by_id.pop(order.id, None)
        self._put(order.row)

    # ---------------------------------------------------------------- what is poked

    def poke(self, fields: Mapping[str, str]) -> str:
        """A message of a client: an order, a ticket, a change, a cancel. The id of the order it is about."""
        kind = fields.get("TYPE", "")
        if kind in ("UserSubmitOrder", "UserSubmitStagedOrder"):
            return self._submit(kind, fields)
        if kind in ("UserSubmitChange", "UserSubmitStagedChange"):
            return self._change(fields)
        if kind == "UserSubmitCancel":
            return self._cancel(fields)
        raise ValueError(f"TYPE {kind!r} is no message for ORDERS")

    def _submit(self, kind: str, fields: Mapping[str, str]) -> str:
        client_id = fields.get("CLIENT_ORDER_ID", "")
        if client_id and client_id in self._client_ids:
            self.violations.append(f"CLIENT_ORDER_ID {client_id} was sent twice: it is another order")
        self._client_ids.add(client_id)
        if self.faults.happens("id_rollback", fields.get("DISP_NAME", "")):
            self.last_id = 0
        name = self._new_id()
        row: Row = {**fields, "ORDER_ID": name, "ORIGINAL_ORDER_ID": name, "CURRENT_STATUS": "PENDING"}
        numbers_are_wrong = _read_numbers(row)
        row |= {"VOLUME_TRADED": 0, "AVG_PRICE": 0.0, "CURRENCY": "USD", **self._stamp()}
        if "VOLUME" in row:
            row |= {"ORIGINAL_VOLUME": row["VOLUME"], "ORDER_RESIDUAL": row["VOLUME"]}
        if "PRICE" in row:
            row["ORIGINAL_PRICE"] = row["PRICE"]
        order = self.orders[name] = Order(row)
        if numbers_are_wrong or (row.get("DISP_NAME") not in LISTINGS and kind == "UserSubmitOrder"):
            self._own(order, "DELETED", REASON=numbers_are_wrong or "Unknown symbol", ORDER_RESIDUAL=0)
            return name
        if kind == "UserSubmitStagedOrder":
            self._own(order, "LIVE")
            return name
        self._own(order)
        if not self.hold:
            self.later(self.latency, lambda: self.accept(name))
        return name

    def _objection(self, row: Row) -> str:
        """Why an order is rejected; empty when it is not."""
        price_type = row.get("PRICE_TYPE")
        if ".".join(str(row.get(part)) for part in ACCOUNT) not in self.accounts:
            return "Unknown account"
        if row.get("BUYORSELL") not in SIDES:
            return "BUYORSELL is Buy, Sell or SellShort"
        if not 0 < row.get("VOLUME", 0) <= LARGEST:
            return "Invalid volume"
        if price_type not in PRICE_TYPES:
            return "PRICE_TYPE not supported"
        if not row.get("EXIT_VEHICLE"):
            return "EXIT_VEHICLE missing"
        for name, types in (("PRICE", WITH_LIMIT), ("STOP_PRICE", WITH_STOP)):
            if price_type in types and not row.get(name, 0) > 0:
                return f"{name} missing"
        if row.get("GOOD_UNTIL") not in LASTING:
            return "GOOD_UNTIL not supported"
        if row.get("VOLUME_TYPE") != "AsEntered" and (row.get("VOLUME_TYPE"), row["GOOD_UNTIL"]) != ("AON", "IOC"):
            return "VOLUME_TYPE not supported"
        if "TICKET_ID" in row and not self._is_workable(row):
            return "TICKET_ID is no live ticket for that much of this symbol"
        return ""

    def _is_workable(self, row: Row) -> bool:
        ticket = self.orders.get(str(row["TICKET_ID"]))
        if not ticket or not (ticket.is_ticket and ticket.is_live and ticket.symbol == row["DISP_NAME"]):
            return False
        working = sum(each.left for each in self.children(ticket) if each.id != row["ORDER_ID"])
        return bool(row["VOLUME"] - row["VOLUME_TRADED"] <= ticket.left - working)

    def children(self, ticket: Order) -> list[Order]:
        """The open orders that work a ticket."""
        return [each for each in self.orders.values() if each.is_open and each.row.get("TICKET_ID") == ticket.id]

    def accept(self, name: str) -> None:
        """The exchange takes a pending order, or it is rejected for what is wrong with it."""
        order = self.orders.get(name)
        if not order or order.row["CURRENT_STATUS"] != "PENDING":
            return
        fault = self.faults.happens("rejected_order", order.symbol)
        if reason := self._objection(order.row) or (fault and "Rejected by the exchange"):
            self.reject(name, reason)
        else:
            self._event(order, "ExchangeAcceptOrder")
            self._own(order, "LIVE")
            self._match_one(order)
        self.silenced.discard(name)

    def reject(self, name: str, reason: str) -> None:
        """A clerk refuses a pending order."""
        order = self.orders[name]
        if order.row["CURRENT_STATUS"] != "PENDING":
            raise ValueError(f"{name} is not PENDING")
        self._event(order, "ClerkReject", REASON=reason)
        self._own(order, "DELETED", REASON=reason, ORDER_RESIDUAL=0)

    def _cancel(self, fields: Mapping[str, str]) -> str:
        target = fields.get("REFERS_TO_ID", "")
        order = self._referred(target)
        if order is None:
            return self._astray(fields, target)
        row = self._event(order, "UserSubmitCancel", REFERS_TO_ID=target, CURRENT_STATUS="PENDING")
        if order.is_live and not order.is_ticket and self.faults.happens("cancel_race", order.symbol):
            self.fill(order.id, order.left)
        if not order.is_open:
            self._put(row | {"CURRENT_STATUS": "DELETED", "REASON": "Too late to cancel"} | self._stamp())
            self._own(order)
            return order.id
        half = (order.left + 1) // 2
        late = order.is_live and not order.is_ticket and self.faults.happens("fill_after_cancel", order.symbol)
        price = self._price_of(order) if late else None
        self._put(row | {"CURRENT_STATUS": "COMPLETED"} | self._stamp())
        if self.killed == "CANCELLED":
            self._own(order, self.killed, ORDER_RESIDUAL=0)
        else:
            self.kill(order.id, "User cancel")
        if late:
            self.later(late.after(1), lambda: self._fill_after_end(order, half, price))
        return order.id

    def _fill_after_end(self, order: Order, size: int, price: Decimal | None) -> None:
        if self.orders.get(order.id) is order:
            self.fill(order.id, size, price, after_end=True)

    def kill(self, name: str, reason: str) -> None:
        """The exchange takes an open order, or a person a ticket, out of the book."""
        order = self.orders[name]
        if not order.is_open:
            raise ValueError(f"{name} is {order.row['CURRENT_STATUS']}")
        self._event(order, "ExchangeKillOrder", REASON=reason)
        self._own(order, self.killed, REASON=reason, ORDER_RESIDUAL=0)

    def _change(self, fields: Mapping[str, str]) -> str:
        target = fields.get("REFERS_TO_ID", "")
        order = self._referred(target)
        if order is None:
            return self._astray(fields, target)
        wanted = {name: fields[name] for name in ("STOP_PRICE", "PRICE", "VOLUME", "PRICE_TYPE") if name in fields}
        asked: Row = dict(wanted)
        wrong = _read_numbers(asked)
        row = self._event(order, fields["TYPE"], REFERS_TO_ID=target, CURRENT_STATUS="PENDING", **asked)
        fault = self.faults.happens("rejected_replace", order.symbol)
        if fault and not wrong:
            wrong = "Rejected by the exchange"
        if not order.is_open:
            wrong = "Too late to cancel"
        elif not wrong:
            wrong = "" if order.is_ticket else self._objection(order.row | asked)
            if asked.get("VOLUME", order.row["VOLUME"]) <= order.row["VOLUME_TRADED"]:
                wrong = "Volume is traded already"
        if wrong:
            self._put(row | {"CURRENT_STATUS": "DELETED", "REASON": wrong} | self._stamp())
            self._own(order)
            return order.id
        changes = {name: value for name, value in asked.items() if order.row.get(name) != value}
        if len(changes) > 1 and self.faults.happens("half_replace", order.symbol):
            changes = dict(list(changes.items())[:1])
        if "VOLUME" in changes:
            left = changes["VOLUME"] - order.row["VOLUME_TRADED"]
            changes |= {"ORIGINAL_VOLUME": changes["VOLUME"], "ORDER_RESIDUAL": left}
        if "PRICE" in changes:
            changes["ORIGINAL_PRICE"] = changes["PRICE"]
        if "PRICE_TYPE" in changes:
            order.triggered = changes["PRICE_TYPE"] not in WITH_STOP
        self._put(row | {"CURRENT_STATUS": "COMPLETED"} | self._stamp())
        self._own(order, **changes)
        self._match_one(order)
        return order.id

    def _referred(self, target: str) -> Order | None:
        """The order that one of its ids names."""
        row = self.rows.get(target)
        return self.orders.get(row["ORIGINAL_ORDER_ID"]) if row else None

    def _astray(self, fields: Mapping[str, str], target: str) -> str:
        """A change or cancel of an order that is not there: its row is DELETED at once, and is no order's."""
        row: Row = {**fields, "ORDER_ID": self._new_id(), "ORIGINAL_ORDER_ID": target}
        _read_numbers(row)
        row |= {"CURRENT_STATUS": "DELETED", "REASON": "Order not found"} | self._stamp()
        self.remember({"last_id": self.last_id})
        self.tell(row)
        return target

    # ---------------------------------------------------------------- fills

    def _price_of(self, order: Order) -> Decimal:
        """What it would be filled at now, come what may: its limit, or the other side."""
        if order.row["PRICE_TYPE"] in WITH_LIMIT:
            return order.price("PRICE")
        tape = self.market.tape(order.symbol, self.now())
        return tape.ask if order.buys else tape.bid

    def fill(self, name: str, size: int, price: Decimal | None = None, *, after_end: bool = False) -> None:
        """A fill of an order, its row first, its order's own row then; of its ticket too."""
        order = self.orders[name]
        if not after_end and not order.is_live:
            raise ValueError(f"{name} is {order.row['CURRENT_STATUS']}")
        if not 0 < size <= order.left:
            raise ValueError(f"{name} has {order.left} left")
        price = self._price_of(order) if price is None else price
        self.market.trade(order.symbol, price, size, self.now())
        account = self.accounts[".".join(str(order.row[part]) for part in ACCOUNT)]
        account.trade(order.symbol, order.buys, size, price)
        self.last_fill += 1
        self._trade_rows(order, size, price)
        ticket = self.orders.get(str(order.row.get("TICKET_ID", "")))
        if ticket:
            self._trade_rows(ticket, size, price)

    def _trade_rows(self, order: Order, size: int, price: Decimal) -> None:
        traded = order.row["VOLUME_TRADED"] + size
        turnover = Decimal(str(order.row["AVG_PRICE"])) * order.row["VOLUME_TRADED"] + price * size
        left = order.left - size if order.is_open else 0
        sums = {"VOLUME_TRADED": traded, "ORDER_RESIDUAL": left, "AVG_PRICE": float(turnover / traded)}
        of_order = {"ORIGINAL_PRICE": order.row["ORIGINAL_PRICE"]} if "ORIGINAL_PRICE" in order.row else {}
        fill_id = f"fill-{self.last_fill:06}"
        more = {"VOLUME": size, "PRICE": float(price), "FILL_ID": fill_id, **of_order, **sums}
        self._event(order, "ExchangeTradeOrder", **more)
        self._own(order, "COMPLETED" if order.is_live and not left else "", **sums)

    def match(self, symbol: str) -> None:
        """After a new quote or trade: what can be filled is, in the order in which it came."""
        for order in list(self.live.get(symbol, {}).values()):
            self._match_one(order)

    def _match_one(self, order: Order) -> None:
        if not order.is_live or order.is_ticket:
            return
        tape = self.market.tape(order.symbol, self.now())
        if not order.triggered and self._is_reached(order, tape):
            order.triggered = True
            self.remember({"triggered": order.id})
        if order.triggered:
            self._take(order, tape)
        if order.is_live and order.row["GOOD_UNTIL"] == "IOC":
            self.kill(order.id, "Immediate or cancel")

    @staticmethod
    def _is_reached(order: Order, tape: Tape) -> bool:
        stop = order.price("STOP_PRICE")
        return tape.last >= stop if order.buys else tape.last <= stop

    @staticmethod
    def _may_pay(order: Order, price: Decimal) -> bool:
        if order.row["PRICE_TYPE"] not in WITH_LIMIT:
            return True
        limit = order.price("PRICE")
        return price <= limit if order.buys else price >= limit

    def _take(self, order: Order, tape: Tape) -> None:
        """As much as the other side shows, which is then gone until the next quote."""
        price, shown = (tape.ask, tape.ask_size) if order.buys else (tape.bid, tape.bid_size)
        size = min(order.left, shown)
        if size <= 0 or not self._may_pay(order, price):
            return
        if order.row["VOLUME_TYPE"] == "AON" and size < order.left:
            return
        if order.buys:
            tape.ask_size -= size
        else:
            tape.bid_size -= size
        self.fill(order.id, size, price)

    # ---------------------------------------------------------------- a person at Realtick

    def work(self, ticket_id: str, volume: int) -> str:
        """A person sends a market order for so much of a ticket."""
        ticket = self.orders[ticket_id]
        fields = {name: str(ticket.row[name]) for name in COPIED if name in ticket.row}
        kind = {"TYPE": "UserSubmitOrder", "PRICE_TYPE": "Market", "TICKET_ID": ticket_id, "VOLUME": str(volume)}
        usual = {"GOOD_UNTIL": "DAY", "VOLUME_TYPE": "AsEntered"}
        fields.pop("CURRENCY", None)
        return self.poke(usual | fields | kind)

    def end_day(self) -> int:
        """DAY orders are killed; how many."""
        ended = [o for o in self.orders.values() if o.is_open and o.row.get("GOOD_UNTIL", "DAY").startswith("DAY")]
        for order in ended:
            self.kill(order.id, "End of day")
        return len(ended)

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
            self._client_ids.add(row.get("CLIENT_ORDER_ID", ""))
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


def _read_numbers(row: Row) -> str:
    """The fields that are numbers become numbers; what is wrong with one, or nothing."""
    wrong = ""
    for name, kind in (("VOLUME", int), ("PRICE", Decimal), ("STOP_PRICE", Decimal), ("STYP", int)):
        if name not in row:
            continue
        try:
            value = kind(row[name])
            if isinstance(value, Decimal):
                value = float(value)
                if not math.isfinite(value):
                    raise ValueError(name)
        except (ValueError, InvalidOperation):
            value, wrong = 0, f"{name} is no number"
        row[name] = value
    return wrong
