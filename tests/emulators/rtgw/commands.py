"""What a client's lines do: connect, request, advise, poke…, and the faults that happen at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tests.emulators.faults import Fault
from tests.emulators.rtgw.link import Connection, Link
from tests.emulators.rtgw.orders import Row
from tests.emulators.rtgw.tables import CLOCK, SERVICES
from tests.emulators.rtgw.tql import Line, NotUnderstood, Query, read_line, read_poke, read_query

if TYPE_CHECKING:
    from tests.emulators.rtgw.server import Emulator

POKES = {f"UserSubmit{what}" for what in ("Order", "StagedOrder", "Change", "StagedChange", "Cancel")}


class Commands:
    """Every command once."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.lines: Counter[str] = Counter()
        """How many of each have come."""

    def received(self, link: Link, text: str) -> None:
        """A line of a client."""
        try:
            line = read_line(text)
        except NotUnderstood as error:
            self._violation(f"a line that means nothing: {error}")
            link.say("system", "", {"msg": "error", "item": str(error)})
            return
        self.lines[line.word] += 1
        slow = self._slow(line.word)
        self.emulator.later(slow.after(1) if slow else 0, lambda: self._obey(link, line))

    def _slow(self, word: str) -> Fault | None:
        for fault in self.emulator.faults.all:
            if fault.kind == "slow_broker" and fault.when in ("", word):
                return self.emulator.faults.happens("slow_broker")
        return None

    def _violation(self, text: str) -> None:
        self.emulator.book.violations.append(text)

    def _obey(self, link: Link, line: Line) -> None:
        if link not in self.emulator.links:
            return
        if line.word == "connect":
            self._connect(link, line)
            return
        connection = link.connections.get(line.id)
        answer = {"poke": self._poke, "request": self._request, "advise": self._advise, "unadvise": self._unadvise}
        more = {"adviserequest": self._advise, "execute": self._execute, "terminate": self._terminate}
        obey = (answer | more).get(line.word)
        if connection is None or obey is None:
            why = f"unknown connection {line.id}" if obey else f"unknown command {line.word}"
            self._violation(why)
            link.say("ack", line.id, f"ERROR {why}")
            return
        if connection.query and line.word not in ("unadvise", "terminate"):
            self._violation(f"{line.word} on {line.id}, which an advise keeps")
        try:
            obey(link, connection, line)
        except NotUnderstood as error:
            self._violation(f"{line.word}: {error}")
            link.say("ack", line.id, f"{line.word.upper()}_ERROR {error}")

    def _connect(self, link: Link, line: Line) -> None:
        if line.id in link.connections:
            self._violation(f"connect {line.id}, which is connected")
        known = line.rest in SERVICES
        if not known:
            self._violation(f"unknown service {line.rest!r}")
        elif self.emulator.faults.happens("refused_connect"):
            known = False
        else:
            link.connections[line.id] = Connection(line.id, line.rest)
        link.say("ack", line.id, "CONNECTION PENDING")
        link.say("status", line.id, {"msg": "OnInitAck", "status": "1" if known else "0"})

    @staticmethod
    def _query(connection: Connection, text: str) -> Query:
        query = read_query(text)
        if query.table not in SERVICES[connection.key]:
            raise NotUnderstood(f"{connection.key} has no table {query.table!r}")
        return query

    def _request(self, link: Link, connection: Connection, line: Line) -> None:
        query = self._query(connection, line.rest)
        if "clock" in self.emulator.teller.muted and query.value("DISP_NAME") == CLOCK:
            return
        rows = self.emulator.tables.rows(query)
        link.say("ack", line.id, "REQUEST_OK")
        if self.emulator.faults.happens("broken_request"):
            for row in rows[: len(rows) // 2]:
                link.say("response", line.id, {"row": row, "complete": False})
            link.say("status", line.id, {"msg": "OnTerminate", "status": "1"})
            return
        self._respond(link, line.id, rows)

    @staticmethod
    def _respond(link: Link, name: str, rows: list[Row | None]) -> None:
        for number, row in enumerate(rows, 1):
            link.say("response", name, {"row": row, "complete": number == len(rows)})

    def _advise(self, link: Link, connection: Connection, line: Line) -> None:
        query = self._query(connection, line.rest)
        if query.table not in ("LIVEQUOTE", "ORDERS"):
            raise NotUnderstood(f"{query.table} gives no advise")
        rows = self.emulator.tables.rows(query) if line.word == "adviserequest" else []
        connection.query, connection.advise = query, line.rest
        connection.last = self.emulator.teller.shown(query, self.emulator.tables) or {}
        link.say("ack", line.id, "ADVISE_REQUEST_OK" if rows else "ADVISE_OK")
        self._respond(link, line.id, rows)
        link.say("status", line.id, {"msg": "OnOtherAck", "status": "1"})

    def _unadvise(self, link: Link, connection: Connection, line: Line) -> None:
        if connection.advise != line.rest:
            raise NotUnderstood(f"there is no advise {line.rest!r}, but {connection.advise!r}")
        connection.query, connection.advise = None, ""
        link.say("ack", line.id, "UNADVISE_OK")
        link.say("status", line.id, {"msg": "OnOtherAck", "status": "1"})

    def _execute(self, link: Link, connection: Connection, line: Line) -> None:
        link.say("ack", line.id, "EXECUTE_OK")

    def _terminate(self, link: Link, connection: Connection, line: Line) -> None:
        del link.connections[line.id]
        link.say("ack", line.id, "TERMINATE_OK")

    # ---------------------------------------------------------------- pokes

    def _poke(self, link: Link, connection: Connection, line: Line) -> None:
        query, fields = read_poke(line.rest)
        kind = fields.get("TYPE")
        if query.table != "ORDERS" or query.table not in SERVICES[connection.key] or kind not in POKES:
            raise NotUnderstood(f"TYPE {kind!r} to {query.table!r} of {connection.key}")
        symbol = self._symbol_of(fields)
        happens = self.emulator.faults.happens
        if happens("half_open", symbol):
            link.freeze()
            return
        if happens("lost_poke", symbol):
            return
        if happens("refused_poke", symbol):
            link.say("ack", line.id, "POKE_FAILED")
            return
        if limited := happens("rate_limit", symbol):
            link.say("ack", line.id, "POKE_OK")
            link.say("status", line.id, {"msg": "OnOtherAck", "status": "0"})
            if self.emulator.faults.coin() if limited.arrives is None else limited.arrives:
                self.emulator.later(limited.after(0.1), lambda: self.emulator.do(fields))
            return
        dropped = happens("dropped_link", symbol)
        restarted = happens("restart", symbol)
        emptied = happens("restart_empty", symbol)
        before = bool(dropped) and (dropped.when or ("before" if self.emulator.faults.coin() else "after")) == "before"
        if not before:
            silent = bool(happens("lost_ack", symbol))
            link.frozen = bool(dropped or restarted or emptied)
            if not silent:
                link.say("ack", line.id, "POKE_OK")
                link.say("status", line.id, {"msg": "OnOtherAck", "status": "1"})
            self.emulator.do(fields, silent)
        if happens("terminated_advise", symbol):
            self.emulator.terminate()
        if dropped:
            link.transport.abortConnection()
            if dropped.seconds:
                self.emulator.close_port(dropped.seconds)
        if restarted or emptied:
            self.emulator.restart((restarted or emptied).after(1), bool(emptied))

    def _symbol_of(self, fields: Mapping[str, str]) -> str:
        row = self.emulator.book.rows.get(fields.get("REFERS_TO_ID", ""), fields)
        return str(row.get("DISP_NAME", ""))
