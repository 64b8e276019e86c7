"""What a client's messages do: start, order, ask. Each number has a method here or in Queries or Feeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from twisted.python import log

from tests.emulators.faults import Fault
from tests.emulators.tws import messages
from tests.emulators.tws.feeds import Feeds
from tests.emulators.tws.link import Link
from tests.emulators.tws.orders import read_order
from tests.emulators.tws.queries import Queries
from tests.emulators.tws.wire import NotUnderstood, Reader

if TYPE_CHECKING:
    from tests.emulators.tws.server import Emulator

ORDERS = (3, 4, 58)
START = 71
SILENT = (12, 13, 14, 15, 23, 53, 56, 57, 70, 89, 101, 103)
"""Log level, automatic binding, bulletins, cancels of what there is not: taken without an answer."""
IN_USE = "Unable to connect as the client id is already in use. Retry with a unique client id."
TOO_FAST = "Max rate of messages per second has been exceeded:max={most} rec={many} (1)"
FARMS = ((2104, "Market data farm connection is OK:usfarm"), (2106, "HMDS data farm connection is OK:ushmds"))
SECURE = (2158, "Sec-def data farm connection is OK:secdefil")


class Commands:
    """Every message once."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.counts: Counter[int] = Counter()
        """How many of each number have come."""
        self.waiting: list[Callable[[], None]] = []
        """Orders that came while the server was lost."""
        queries, feeds = Queries(emulator), Feeds(emulator)
        self._handlers: dict[int, Callable[[Link, Reader], None]] = {
            **queries.handlers,
            **feeds.handlers,
            **dict.fromkeys(SILENT, lambda link, reader: None),
            3: self._place,
            4: self._cancel,
            8: self._ids,
            17: self._accounts,
            49: self._time,
            58: self._global_cancel,
            START: self._start,
        }

    # ---------------------------------------------------------------- what comes

    def received(self, link: Link, fields: list[str]) -> None:
        """A message of a client."""
        number = int(fields[0]) if fields and fields[0].isdigit() else -1
        self.counts[number] += 1
        if not self._in_time(link):
            return
        if number != START and link.client is None:
            self._violation(f"message {number} before startApi")
            return
        slow = self.emulator.faults.happens("slow_broker", when="orders" if number in ORDERS else "data")
        self.emulator.later(slow.after(1) if slow else 0, lambda: self._obey(link, number, fields))

    def _violation(self, text: str) -> None:
        self.emulator.violations.append(text)

    def _in_time(self, link: Link) -> bool:
        """More than so many messages a second are refused with error 100, the third time the link ends."""
        most, now = self.emulator.options.rate, self.emulator.seconds()
        if not most:
            return True
        while link.recent and now - link.recent[0] >= 1:
            link.recent.popleft()
        link.recent.append(now)
        if len(link.recent) <= most:
            return True
        self._violation(f"{len(link.recent)} messages in a second")
        link.too_fast += 1
        link.say(*messages.error(link.version, -1, 100, TOO_FAST.format(most=most, many=len(link.recent))))
        if link.too_fast >= 3:
            link.transport.loseConnection()
        return False

    def _obey(self, link: Link, number: int, fields: list[str]) -> None:
        if link not in self.emulator.links:
            return
        handler = self._handlers.get(number)
        reader = Reader(fields)
        reader.skip()
        try:
            if handler is None:
                raise NotUnderstood(f"message {number} is not known here")
            if number not in (*ORDERS, START) and self.emulator.faults.happens("no_answer"):
                return
            handler(link, reader)
        except NotUnderstood as error:
            self._violation(f"message {number}: {error}")
            link.say(*messages.error(link.version, -1, 320, f"Error reading request: {error}"))
        except Exception:
            self._violation(f"message {number} broke the emulator: {fields}")
            log.err(None, "the emulator")

    # ---------------------------------------------------------------- the start

    def _start(self, link: Link, reader: Reader) -> None:
        reader.skip()
        client = reader.int()
        emulator = self.emulator
        taken = any(each.client == client for each in emulator.links)
        if taken or emulator.faults.happens("client_in_use"):
            link.say(*messages.error(link.version, -1, 326, IN_USE))
            link.transport.loseConnection()
            return
        if emulator.faults.happens("id_rollback"):
            emulator.book.roll_back(client)
        link.client = client
        self._accounts(link, reader)
        self._ids(link, reader)
        for code, text in (*FARMS, SECURE):
            link.say(*messages.error(link.version, -1, code, text))
        if emulator.teller.lost:
            link.say(*messages.error(link.version, -1, 1100, emulator.LOST))

    def _accounts(self, link: Link, reader: Reader) -> None:
        link.say(15, 1, ",".join(self.emulator.book.accounts))

    def _ids(self, link: Link, reader: Reader) -> None:
        assert link.client is not None
        link.say(9, 1, self.emulator.book.next_id(link.client))

    def _time(self, link: Link, reader: Reader) -> None:
        link.say(49, 1, int(self.emulator.now().timestamp()))

    # ---------------------------------------------------------------- orders

    def _place(self, link: Link, reader: Reader) -> None:
        client = link.client
        assert client is not None
        try:
            number, asked, ticket = read_order(reader, link.version)
        except NotUnderstood as error:
            self._violation(f"message 3: {error}")
            link.say(*messages.error(link.version, -1, 320, f"Error reading request: {error}"))
            return
        self._trade(link, asked.symbol, number, partial(self.emulator.book.place, client, number, asked, ticket))

    def _cancel(self, link: Link, reader: Reader) -> None:
        assert link.client is not None
        reader.skip()
        number = reader.int()
        order = self.emulator.book.find(link.client, number)
        symbol = order.contract.symbol if order else ""
        self._trade(link, symbol, number, partial(self.emulator.book.cancel, link.client, number))

    def _global_cancel(self, link: Link, reader: Reader) -> None:
        self._trade(link, "", -1, self.emulator.book.global_cancel)

    def _trade(self, link: Link, symbol: str, number: int, do: Callable[[], object]) -> None:
        """Do what a client wants with an order, or what goes wrong with it instead."""
        emulator, happens = self.emulator, self.emulator.faults.happens
        if emulator.teller.lost:
            self.waiting.append(lambda: self._trade(link, symbol, number, do))
            return
        if dead := happens("half_open", symbol):
            link.freeze()
            if dead.seconds is not None:
                emulator.later(dead.seconds, link.end)
            return
        if happens("lost_order", symbol):
            return
        if limited := happens("rate_limit", symbol):
            many = TOO_FAST.format(most=50, many=51)
            link.say(*messages.error(link.version, -1, 100, many))
            if emulator.faults.coin() if limited.arrives is None else limited.arrives:
                emulator.later(limited.after(0.1), lambda: self._done(do))
            return
        dropped = happens("dropped_link", symbol)
        restarted, emptied = happens("restart", symbol), happens("restart_empty", symbol)
        if dropped and (dropped.when or ("before" if emulator.faults.coin() else "after")) == "before":
            self._break(link, dropped)
            return
        link.frozen = bool(dropped or restarted or emptied)
        self._told(symbol, do)
        if dropped:
            self._break(link, dropped)
        if restarted or emptied:
            emulator.restart((restarted or emptied).after(1), bool(emptied))  # type: ignore[union-attr]

    def _told(self, symbol: str, do: Callable[[], object]) -> None:
        """Do it; what is told of it may be lost, or late."""
        teller = self.emulator.teller
        lost, late = self.emulator.faults.happens("lost_ack", symbol), self.emulator.faults.happens("late_ack", symbol)
        teller.caught = [] if lost or late else None
        try:
            self._done(do)
        finally:
            caught, teller.caught = teller.caught, None
        if caught and late and not lost:
            teller.send(caught, late.after(1))

    def _done(self, do: Callable[[], object]) -> None:
        self.emulator.traded(do)

    def _break(self, link: Link, fault: Fault) -> None:
        link.transport.abortConnection()
        if fault.seconds:
            self.emulator.close_port(fault.seconds)

    def go_on(self) -> None:
        """The server is back: what has come meanwhile is done."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()
