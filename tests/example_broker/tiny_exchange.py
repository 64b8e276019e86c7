"""The tiny exchange: one thing to trade, one account, one JSON object a line. `python -m tiny_exchange --port 7070`.

A question has an `id` and what it wants done in `do`; its answer has the same `id`, and `yes` with what was asked for
or `no` with a sentence. What is told unasked has `told`: an order that changed, a fill, a price. An order's `name` is
its sender's and must be new; `number` is the exchange's. Amounts are text, times ISO 8601 in UTC.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver

ACCOUNT, SYMBOL = "TINY1", "ACME"
BID, ASK = Decimal("99.99"), Decimal("100.01")
MONEY = Decimal(1_000_000)
Row = dict[str, Any]


class No(Exception):
    """A question that is answered with a sentence, and a code where programs are to know it."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class Client(LineOnlyReceiver):
    """One connection. `mute` is a fault: it hears nothing and says nothing."""

    delimiter = b"\n"

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.known = self.listens = self.mute = False
        self.over: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.exchange.clients.add(self)

    def connectionLost(self, reason: Any = None) -> None:
        self.exchange.clients.discard(self)
        self.over.callback(None)

    def lineReceived(self, line: bytes) -> None:
        if not self.mute:
            self.exchange.asked(self, json.loads(line))

    def say(self, message: Row) -> None:
        if not self.mute:
            self.sendLine(json.dumps(message).encode())


class Exchange:
    """The book, which outlives every connection; and a hand in it (`fill`, `fault`) for tests."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.clients: set[Client] = set()
        self.orders: dict[str, Row] = {}
        self.fills: list[Row] = []
        self.faults: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}
        self.port: Any = None

    def start(self, port: int = 0) -> int:
        """Listen; gives the port."""
        self.port = self.reactor.listenTCP(port, Factory.forProtocol(lambda: Client(self)), interface="127.0.0.1")
        return int(self.port.getHost().port)

    async def stop(self) -> None:
        """Hang up."""
        await self.port.stopListening()
        ends = [client.over for client in self.clients]
        for client in list(self.clients):
            client.transport.abortConnection()
        await gatherResults(ends)

    # what is asked

    def asked(self, client: Client, question: Row) -> None:
        work = getattr(self, f"do_{question['do']}", None)
        answer: Row = {"id": question["id"]}
        try:
            if work is None or not (client.known or question["do"] == "login"):
                raise No("Log in first." if work else f"There is no {question['do']}.")
            if question["do"] in ("order", "cancel") and self.happens("dropped_link"):
                client.transport.abortConnection()
                return
            if question["do"] in ("order", "cancel") and self.happens("half_open"):
                client.mute = True
                return
            answer["yes"] = work(client, question)
        except No as no:
            answer.update(no=str(no), code=no.code)
        if not (question["do"] == "order" and self.happens("lost_ack")):
            client.say(answer)

    def do_login(self, client: Client, question: Row) -> list[str]:
        client.known = True
        return [ACCOUNT]

    def do_ping(self, client: Client, question: Row) -> None:
        pass

    def do_order(self, client: Client, question: Row) -> Row:
        name, size = question["name"], Decimal(question["size"])
        limit = None if question["limit"] is None else Decimal(question["limit"])
        if name in self.orders:
            raise No(f"There is an order {name} already.", "duplicate")
        if question["symbol"] != SYMBOL:
            raise No(f"{question['symbol']} is not traded here.")
        if size <= 0 or size % 1 or (limit is not None and limit <= 0):
            raise No("The size must be whole, the limit above zero.")
        row = {key: question[key] for key in ("name", "symbol", "side", "size", "limit")}
        row |= {"number": f"T{len(self.orders) + 1}", "state": "open", "filled": "0", "paid": "0", "at": now()}
        self.orders[name] = row
        if not self.faults["lost_ack"]:
            self.tell(told="order", **row)
        price, better = (ASK, lambda: limit >= ASK) if row["side"] == "buy" else (BID, lambda: limit <= BID)
        if limit is None or better():
            self.fill(name, size, price)
        return row

    def do_cancel(self, client: Client, question: Row) -> None:
        row = self.orders.get(question["name"])
        if row is not None and row["state"] == "open" and self.happens("cancel_race"):
            self.fill(row["name"], Decimal(row["size"]) - Decimal(row["filled"]))
        if row is None or row["state"] != "open":
            raise No(f"The order is {row['state']}." if row else "There is no such order.")
        self.end(row, "canceled", "You canceled it.")

    def do_orders(self, client: Client, question: Row) -> list[Row]:
        return self.open_orders()

    def do_order_of(self, client: Client, question: Row) -> Row | None:
        return self.orders.get(question["name"])

    def do_fills(self, client: Client, question: Row) -> list[Row]:
        after = question["after"]
        return [fill for fill in self.fills if after is None or fill["at"] > after]

    def do_account(self, client: Client, question: Row) -> Row:
        sizes = [(1 if fill["side"] == "buy" else -1) * Decimal(fill["size"]) for fill in self.fills]
        money = MONEY - sum(size * Decimal(fill["price"]) for size, fill in zip(sizes, self.fills, strict=True))
        return {"money": str(money), "held": str(sum(sizes))}

    def do_listen(self, client: Client, question: Row) -> None:
        if question["symbol"] != SYMBOL:
            raise No(f"{question['symbol']} is not traded here.")
        client.listens = question["on"]
        if client.listens:
            client.say(
                {"told": "price", "symbol": SYMBOL, "bid": str(BID), "ask": str(ASK), "size": "500", "at": now()}
            )

    # what happens

    def fill(self, name: str, size: Decimal, price: Decimal = BID) -> None:
        """Fill so much of an order."""
        row = self.orders[name]
        row["filled"] = str(Decimal(row["filled"]) + size)
        row["paid"] = str(Decimal(row["paid"]) + size * price)
        fill = {key: row[key] for key in ("name", "number", "symbol", "side")}
        fill |= {"key": f"F{len(self.fills) + 1}", "size": str(size), "price": str(price), "at": now()}
        self.fills.append(fill)
        if row["filled"] == row["size"]:
            row["state"] = "filled"
        if self.happens("late_fill"):
            self.reactor.callLater(self.seconds["late_fill"], self.tell, told="fill", **fill)
            return
        for _ in range(2 if self.happens("duplicated_fill") else 1):
            self.tell(told="fill", **fill)

    def end(self, row: Row, state: str, why: str) -> None:
        """End an order unfilled."""
        row["state"] = state
        self.tell(told="order", **row, why=why)

    def close_day(self) -> None:
        """The day is over: what is open ends, and whoever is connected is told."""
        for row in self.open_orders():
            self.end(row, "expired", "The day is over.")

    def open_orders(self) -> list[Row]:
        return [row for row in self.orders.values() if row["state"] == "open"]

    def tell(self, **message: Any) -> None:
        for client in self.clients:
            if client.known:
                client.say(message)

    # what goes wrong

    def fault(self, name: str, seconds: float = 0.0) -> None:
        """Let it happen the next time that it can."""
        self.faults[name] += 1
        self.seconds[name] = seconds

    def happens(self, name: str) -> bool:
        if not self.faults[name]:
            return False
        self.faults[name] -= 1
        return True


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def main() -> None:
    from twisted.internet import reactor

    port = Exchange(reactor).start(int(sys.argv[sys.argv.index("--port") + 1]))
    print(f"the tiny exchange listens on 127.0.0.1:{port}", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
