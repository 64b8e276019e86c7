"""A tiny client of rtgw's wire for tests: a blocking socket, lines out, JSON lines in."""

from __future__ import annotations

import json
import socket
from itertools import count
from typing import Any

PATIENCE = 20.0
ORDERS, QUOTES = "ACCOUNT_GATEWAY;ORDER", "TA_SRV;LIVEQUOTE"
ACCOUNT = "BANK=EMU,BRANCH=TEST,CUSTOMER=DESK,DEPOSIT=ONE"
Row = dict[str, Any]


class RawClient:
    """One link, greeted. Everything read stays in `heard`."""

    def __init__(self, port: int) -> None:
        self.heard: list[Row] = []
        self._ids = count(1)
        self._data = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        assert self.read()["data"]["msg"] == "startup"

    def send(self, line: str) -> None:
        """A line, ended as txTrader ends it."""
        self.socket.sendall(line.encode() + b"\n\n")

    def read(self) -> Row:
        """The next message; EOFError when the link has ended."""
        while b"\n" not in self._data:
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionError:
                more = b""
            if not more:
                raise EOFError
            self._data += more
        line, _, self._data = self._data.partition(b"\n")
        self.heard.append(json.loads(line))
        return self.heard[-1]

    def is_silent(self) -> bool:
        """Whether nothing has come and the link stands. Ask only after what could have come must be here."""
        self.socket.settimeout(0)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
            return False
        except BlockingIOError:
            return not self._data
        finally:
            self.socket.settimeout(PATIENCE)

    def expect(self, kind: str, name: str) -> Any:
        """The next message must be of this type for this connection; its data."""
        message = self.read()
        assert (message["type"], message["id"]) == (kind, name), message
        return message["data"]

    def connect(self, key: str) -> str:
        """A new logical connection's id."""
        name = f"c{next(self._ids)}"
        self.send(f"connect {name} {key}")
        assert self.expect("ack", name) == "CONNECTION PENDING"
        assert self.expect("status", name) == {"msg": "OnInitAck", "status": "1"}
        return name

    def request(self, query: str) -> list[Row | None]:
        """All rows of a request on a connection of its own; nothing else may come in between."""
        name = self.connect(QUOTES if query.split(";")[0] in ("LIVEQUOTE", "INTRADAY", "DAILY") else ORDERS)
        self.send(f"request {name} {query}")
        assert self.expect("ack", name) == "REQUEST_OK"
        rows = []
        while True:
            data = self.expect("response", name)
            rows.append(data["row"])
            if data["complete"]:
                return rows

    def advise(self, query: str) -> str:
        """An advise on a connection of its own; its id."""
        name = self.connect(QUOTES if query.startswith("LIVEQUOTE") else ORDERS)
        self.send(f"advise {name} {query}")
        assert self.expect("ack", name) == "ADVISE_OK"
        assert self.expect("status", name) == {"msg": "OnOtherAck", "status": "1"}
        return name

    def poke(self, fields: str, *, status: str = "1") -> None:
        """A poke that is acknowledged."""
        name = self.connect(ORDERS)
        self.send(f"poke {name} ORDERS;*;!{fields}")
        assert self.expect("ack", name) == "POKE_OK"
        assert self.expect("status", name) == {"msg": "OnOtherAck", "status": status}

    def update(self) -> Row:
        """The row of the next message, which must be an update."""
        message = self.read()
        assert message["type"] == "update", message
        return message["data"]["row"]

    def told(self, *expected: str) -> list[Row]:
        """The next updates, which must be of these TYPEs and CURRENT_STATUSes, written `TYPE STATUS`."""
        rows = [self.update() for _ in expected]
        assert [f"{row['TYPE']} {row['CURRENT_STATUS']}" for row in rows] == list(expected)
        return rows

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def order(client_id: str, volume: int = 100, side: str = "Buy", **more: Any) -> str:
    """The fields of a poke: a market order unless `more` says otherwise."""
    fields = {"BUYORSELL": side, "GOOD_UNTIL": "DAY", "EXIT_VEHICLE": "DEMO", "DISP_NAME": "IBM", "STYP": 1}
    fields |= {"EXCHANGE": "NYS", "PRICE_TYPE": "Market", "VOLUME_TYPE": "AsEntered", "VOLUME": volume}
    fields |= {"CLIENT_ORDER_ID": client_id, "TYPE": "UserSubmitOrder", **more}
    return ",".join([ACCOUNT, *(f"{name}={value}" for name, value in fields.items())])


def limit(client_id: str, price: Any, volume: int = 100, side: str = "Buy", **more: Any) -> str:
    """A limit order's fields."""
    return order(client_id, volume, side, PRICE_TYPE="AsEntered", PRICE=price, **more)
