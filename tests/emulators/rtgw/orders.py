"""The emulator's orders and accounts, and what a poke's fields are as numbers. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
ACCOUNT = ("BANK", "BRANCH", "CUSTOMER", "DEPOSIT")
COPIED = (*ACCOUNT, "BUYORSELL", "DISP_NAME", "EXCHANGE", "EXIT_VEHICLE", "STYP", "PRICE_TYPE", "CURRENCY", "ORDER_TAG")
"""What an event's row has of its order's."""
WITH_LIMIT, WITH_STOP = ("AsEntered", "Limit", "StopLimit"), ("Stop", "StopLimit")


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

    def is_reached(self, last: Decimal) -> bool:
        """Whether a trade at this price triggers it."""
        stop = self.price("STOP_PRICE")
        return last >= stop if self.buys else last <= stop

    def may_pay(self, price: Decimal) -> bool:
        """Whether it may be filled at a price."""
        if self.row["PRICE_TYPE"] not in WITH_LIMIT:
            return True
        limit = self.price("PRICE")
        return price <= limit if self.buys else price >= limit


def read_numbers(row: Row) -> str:
    """The fields that are numbers become numbers; what is wrong with one, or nothing."""
    wrong = ""
    for name, kind in (("VOLUME", int), ("PRICE", float), ("STOP_PRICE", float), ("STYP", int)):
        if name not in row:
            continue
        try:
            value = kind(row[name])
            if not math.isfinite(value):
                raise ValueError(name)
        except (ValueError, OverflowError):
            value, wrong = 0, f"{name} is no number"
        row[name] = value
    return wrong
