"""What a tape shows as ticks: messages 1, 2, 45, 46, 48, 99. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.emulators.tws.contracts import Contract
from tests.emulators.tws.link import Watch
from tests.emulators.tws.market import Tape

Fields = list[Any]
NAMES = ("bid", "ask", "last", "bid_size", "ask_size", "last_size", "high", "low", "volume", "close", "open")
LIVE = dict(zip((*NAMES, "at"), (1, 2, 4, 0, 3, 5, 6, 7, 8, 9, 14, 45), strict=True))
DELAYED = dict(zip((*NAMES, "at"), (66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 88), strict=True))
PAIRED = (("bid", "bid_size"), ("ask", "ask_size"), ("last", "last_size"))


def shown(contract: Contract, tape: Tape) -> dict[str, Any]:
    """A tape as a subscriber sees it: a side without size has price -1; a pair has no trades, others may have none."""
    values: dict[str, Any] = {name: getattr(tape, name) for name in NAMES}
    for price, size in PAIRED[:2]:
        if values[size] <= 0:
            values[price], values[size] = Decimal(-1), Decimal(0)
    values["at"] = int(tape.traded_at.timestamp())
    if not contract.has_trades:
        for name in ("last", "last_size", "volume", "at", "open"):
            del values[name]
    elif not tape.is_traded:
        for name in ("last", "last_size", "at", "open", "high", "low"):
            del values[name]
    return values


def is_whole(watch: Watch) -> bool:
    """Whether a snapshot has shown all that it waits for."""
    wanted = ("bid", "ask", "last", "close") if watch.contract.has_trades else ("bid", "ask", "close")
    return all(watch.shown.get(name, 0) > 0 for name in wanted)


def changes(number: int, watch: Watch, tape: Tape) -> list[Fields]:
    """The messages for what has changed since the last time. A trade is told by its size even at the same price."""
    now, before = shown(watch.contract, tape), watch.shown
    if watch.snapshot:
        had = {name: value for name, value in before.items() if value > 0}
        now = {name: had.get(name, value) for name, value in now.items()}
    kinds = DELAYED if watch.delayed else LIVE
    traded = "volume" in now and now["volume"] != before.get("volume")
    messages: list[Fields] = []
    for price, size in PAIRED:
        if price not in now:
            continue
        if now[price] != before.get(price):
            messages.append([1, 6, number, kinds[price], now[price], now[size], 1])
        if now[size] != before.get(size) or (price == "last" and traded):
            messages.append([2, 6, number, kinds[size], now[size]])
    if "volume" in now and traded:
        messages.append([2, 6, number, kinds["volume"], now["volume"]])
    for name in ("high", "low", "close", "open"):
        if name in now and now[name] != before.get(name):
            messages.append([1, 6, number, kinds[name], now[name], 0, 0])
    if "at" in now and (traded or now["at"] != before.get("at")):
        messages.append([46, 6, number, kinds["at"], now["at"]])
    if not before:
        messages.append([45, 6, number, 49, 0])  # halted: no
    if traded and before and "233" in watch.generic:
        at = int(tape.traded_at.timestamp() * 1000)
        text = f"{tape.last};{tape.last_size};{at};{tape.volume};{tape.last};true"
        messages.append([46, 6, number, 48, text])
    return messages


def by_tick(number: int, kind: str, tape: Tape, at: int) -> Fields:
    """99: one trade, one quote or one middle."""
    if kind in ("Last", "AllLast"):
        return [99, number, 1 if kind == "Last" else 2, at, tape.last, tape.last_size, 0, "EMU", ""]
    if kind == "BidAsk":
        return [99, number, 3, at, tape.bid, tape.ask, tape.bid_size, tape.ask_size, 0]
    return [99, number, 4, at, (tape.bid + tape.ask) / 2]
