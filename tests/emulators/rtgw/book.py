"""The emulator's order book: pokes become rows of ORDERS, which fill against its own market. Pure; the time is given.

A cancelled order's own row ends as `killed` says: DELETED behind an ExchangeKillOrder, as RealTick's document has it,
or CANCELLED without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from tests.emulators.rtgw.faults import Faults
from tests.emulators.rtgw.market import LISTINGS, Market, Tape
from tests.emulators.rtgw.orders import ACCOUNT, COPIED, WITH_LIMIT, WITH_STOP, Account, Order, Row, read_numbers
from tests.emulators.rtgw.rows import Rows

SIDES = ("Buy", "Sell", "SellShort")
PRICE_TYPES = ("Market", "AsEntered", "Limit", "Stop", "StopLimit")
LASTING = ("DAY", "DAYPLUS", "GTC", "IOC")
LARGEST = 10_000_000


class Book(Rows):
    """What is poked, what is matched, and what a person at Realtick does."""

    def __init__(
        self,
        market: Market,
        accounts: Iterable[Account],
        now: Callable[[], datetime],
        *,
        faults: Faults | None = None,
        killed: str = "DELETED",
    ) -> None:
        super().__init__(accounts, now)
        self.market = market
        self.faults = faults or Faults()
        self.killed = killed
        self.hold = False
        """True: new orders stay PENDING until a person accepts or rejects them."""
        self.latency = 0.0
        """Seconds from PENDING to what follows."""
        self.violations: list[str] = []
        """What a client did that it should not."""
        self.later: Callable[[float, Callable[[], None]], None] = lambda seconds, do: do()

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
        if client_id and client_id in self.client_ids:
            self.violations.append(f"CLIENT_ORDER_ID {client_id} was sent twice: it is another order")
        self.client_ids.add(client_id)
        if self.faults.happens("id_rollback", fields.get("DISP_NAME", "")):
            self.last_id = 0
        name = self.new_id()
        row: Row = {**fields, "ORDER_ID": name, "ORIGINAL_ORDER_ID": name, "CURRENT_STATUS": "PENDING"}
        numbers_are_wrong = read_numbers(row)
        row |= {"VOLUME_TRADED": 0, "AVG_PRICE": 0.0, "CURRENCY": "USD", **self.stamp()}
        if "VOLUME" in row:
            row |= {"ORIGINAL_VOLUME": row["VOLUME"], "ORDER_RESIDUAL": row["VOLUME"]}
        if "PRICE" in row:
            row["ORIGINAL_PRICE"] = row["PRICE"]
        order = self.orders[name] = Order(row)
        if numbers_are_wrong or (row.get("DISP_NAME") not in LISTINGS and kind == "UserSubmitOrder"):
            self.own(order, "DELETED", REASON=numbers_are_wrong or "Unknown symbol", ORDER_RESIDUAL=0)
            return name
        if kind == "UserSubmitStagedOrder":
            self.own(order, "LIVE")
            return name
        self.own(order)
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
            self.event(order, "ExchangeAcceptOrder")
            self.own(order, "LIVE")
            self._match_one(order)
        self.silenced.discard(name)

    def reject(self, name: str, reason: str) -> None:
        """A clerk refuses a pending order."""
        order = self.orders[name]
        if order.row["CURRENT_STATUS"] != "PENDING":
            raise ValueError(f"{name} is not PENDING")
        self.event(order, "ClerkReject", REASON=reason)
        self.own(order, "DELETED", REASON=reason, ORDER_RESIDUAL=0)

    def _cancel(self, fields: Mapping[str, str]) -> str:
        target = fields.get("REFERS_TO_ID", "")
        order = self._referred(target)
        if order is None:
            return self._astray(fields, target)
        row = self.event(order, "UserSubmitCancel", REFERS_TO_ID=target, CURRENT_STATUS="PENDING")
        if order.is_live and not order.is_ticket and self.faults.happens("cancel_race", order.symbol):
            self.fill(order.id, order.left)
        if not order.is_open:
            self.put(row | {"CURRENT_STATUS": "DELETED", "REASON": "Too late to cancel"} | self.stamp())
            self.own(order)
            return order.id
        half = (order.left + 1) // 2
        late = order.is_live and not order.is_ticket and self.faults.happens("fill_after_cancel", order.symbol)
        price = self._price_of(order) if late else None
        self.put(row | {"CURRENT_STATUS": "COMPLETED"} | self.stamp())
        if self.killed == "CANCELLED":
            self.own(order, self.killed, ORDER_RESIDUAL=0)
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
        self.event(order, "ExchangeKillOrder", REASON=reason)
        self.own(order, self.killed, REASON=reason, ORDER_RESIDUAL=0)

    def _change(self, fields: Mapping[str, str]) -> str:
        target = fields.get("REFERS_TO_ID", "")
        order = self._referred(target)
        if order is None:
            return self._astray(fields, target)
        wanted = {name: fields[name] for name in ("STOP_PRICE", "PRICE", "VOLUME", "PRICE_TYPE") if name in fields}
        asked: Row = dict(wanted)
        wrong = read_numbers(asked)
        row = self.event(order, fields["TYPE"], REFERS_TO_ID=target, CURRENT_STATUS="PENDING", **asked)
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
            self.put(row | {"CURRENT_STATUS": "DELETED", "REASON": wrong} | self.stamp())
            self.own(order)
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
        self.put(row | {"CURRENT_STATUS": "COMPLETED"} | self.stamp())
        self.own(order, **changes)
        self._match_one(order)
        return order.id

    def _referred(self, target: str) -> Order | None:
        """The order that one of its ids names."""
        row = self.rows.get(target)
        return self.orders.get(row["ORIGINAL_ORDER_ID"]) if row else None

    def _astray(self, fields: Mapping[str, str], target: str) -> str:
        """A change or cancel of an order that is not there: its row is DELETED at once, and is no order's."""
        row: Row = {**fields, "ORDER_ID": self.new_id(), "ORIGINAL_ORDER_ID": target}
        read_numbers(row)
        row |= {"CURRENT_STATUS": "DELETED", "REASON": "Order not found"} | self.stamp()
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
        self.event(order, "ExchangeTradeOrder", **more)
        self.own(order, "COMPLETED" if order.is_live and not left else "", **sums)

    def correct(self, row_id: str, size: int, price: Decimal | None = None) -> None:
        """A fill is taken to have been of another size or price; of size 0: it is taken back. Its row is told again."""
        row = self.rows.get(row_id, {})
        if row.get("TYPE") != "ExchangeTradeOrder" or size < 0:
            raise ValueError(f"{row_id!r} is no fill, or {size} no size")
        order, before, was = self.orders[row["ORIGINAL_ORDER_ID"]], row["VOLUME"], Decimal(str(row["PRICE"]))
        price = was if price is None else price
        account = self.accounts[".".join(str(order.row[part]) for part in ACCOUNT)]
        account.trade(order.symbol, order.buys, -before, was)
        account.trade(order.symbol, order.buys, size, price)
        traded = order.row["VOLUME_TRADED"]
        turnover = Decimal(str(order.row["AVG_PRICE"])) * traded - was * before + price * size
        traded += size - before
        sums = {"VOLUME_TRADED": traded, "AVG_PRICE": float(turnover / traded) if traded else 0.0}
        figures = {"VOLUME": size, "PRICE": float(price)} if size else {"CURRENT_STATUS": "DELETED"}
        self.put(row | figures | sums | self.stamp())
        self.own(order, **sums)

    def match(self, symbol: str) -> None:
        """After a new quote or trade: what can be filled is, in the order in which it came."""
        for order in list(self.live.get(symbol, {}).values()):
            self._match_one(order)

    def _match_one(self, order: Order) -> None:
        if not order.is_live or order.is_ticket:
            return
        tape = self.market.tape(order.symbol, self.now())
        if not order.triggered and order.is_reached(tape.last):
            order.triggered = True
            self.remember({"triggered": order.id})
        if order.triggered:
            self._take(order, tape)
        if order.is_live and order.row["GOOD_UNTIL"] == "IOC":
            self.kill(order.id, "Immediate or cancel")

    def _take(self, order: Order, tape: Tape) -> None:
        """As much as the other side shows, which is then gone until the next quote."""
        price, shown = (tape.ask, tape.ask_size) if order.buys else (tape.bid, tape.bid_size)
        size = min(order.left, shown)
        if size <= 0 or not order.may_pay(price):
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
