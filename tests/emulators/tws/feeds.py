"""Market data and bars: messages 1, 2, 20, 25, 59, 87, 96, 97, 98, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.emulators.tws import messages
from tests.emulators.tws.contracts import Asked, Contract, find
from tests.emulators.tws.history import Refused, Wanted, bars_of, read_history, span
from tests.emulators.tws.link import Link, Watch
from tests.emulators.tws.market import YEARS_BACK, sessions
from tests.emulators.tws.orders import read_contract
from tests.emulators.tws.ticks import by_tick, is_whole
from tests.emulators.tws.wire import Reader

if TYPE_CHECKING:
    from tests.emulators.tws.server import Emulator

MOST_TICKERS = 100
ABSENT = {10: 1, 22: 0, 50: 1, 52: 1, 54: 1, 55: 1, 67: 1, 83: 0, 84: 0, 86: 0, 88: 0, 96: 0, 100: 0, 102: 0}
"""Depth, scanners, five-second bars, fundamentals, news…: how many fields come before the request's number."""
NOT_HERE = "Error processing request.-'bN' : cause - not available here"
REFUSALS = {
    354: "Requested market data is not subscribed.Delayed market data is available.",
    10089: "Requested market data requires additional subscription for API. See link in 'Market Data Connections' "
    "dialog for more details.Delayed market data is available.",
}
NO_GENERIC = (
    "Error validating request.-'bN' : cause - Snapshot market data subscription is not applicable to generic ticks"
)
DELAYED = "Requested market data is not subscribed. Displaying delayed market data."


class Feeds:
    """Each by its message's number in `handlers`."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.handlers: dict[int, Callable[[Link, Reader], None]] = {
            1: self._ticks,
            2: self._no_ticks,
            11: lambda link, reader: None,
            20: self._bars,
            25: self._no_bars,
            51: lambda link, reader: None,
            59: self._data_type,
            87: self._head,
            90: lambda link, reader: None,
            97: self._by_tick,
            98: self._no_by_tick,
        }
        for number, skip in ABSENT.items():
            self.handlers[number] = partial(self._refuse, skip=skip, code=322, text=NOT_HERE)

    def _refuse(self, link: Link, reader: Reader, skip: int, code: int, text: str) -> None:
        reader.skip(skip)
        self._error(link, reader.int(), code, text)

    def _error(self, link: Link, number: int, code: int, text: str) -> None:
        link.say(*messages.error(link.version, number, code, text))

    def _one(self, link: Link, number: int, asked: Asked) -> Contract | None:
        """The contract that is asked for, or error 200."""
        found = find(asked, self.emulator.today())
        if len(found) == 1:
            return found[0]
        text = "No security definition has been found for the request"
        if found:
            text = f"The contract description specified for {asked.symbol} is ambiguous."
        self._error(link, number, 200, text)
        return None

    # ---------------------------------------------------------------- ticks

    def _ticks(self, link: Link, reader: Reader) -> None:
        reader.skip()
        number, asked = reader.int(), read_contract(reader)
        if reader.bool():
            reader.skip(3)
        generic, snapshot = reader.next(), reader.bool()
        if number in link.wishes.ticks:
            self._error(link, number, 102, "Duplicate ticker ID.")
            return
        if len(link.wishes.ticks) >= MOST_TICKERS:
            self._error(link, number, 101, "Max number of tickers has been reached.")
            return
        if snapshot and generic:
            self._error(link, number, 321, NO_GENERIC)
            return
        contract = self._one(link, number, asked)
        if contract is None:
            return
        delayed = contract.con_id in self.emulator.unsubscribed
        if delayed and link.data_type in (1, 2):
            code = self.emulator.unsubscribed[contract.con_id]
            self._error(link, number, code, REFUSALS[code])
            return
        if delayed:
            self._error(link, number, 10167, DELAYED)
        watch = Watch(contract, delayed, snapshot, tuple(generic.split(",")))
        link.say(58, 1, number, 3 if delayed else 2 if self.emulator.book.closed and link.data_type in (2, 4) else 1)
        link.say(81, number, contract.tick, "9c0001", 3)
        link.wishes.ticks[number] = watch
        self.emulator.teller.tell_ticks(contract)
        self.end_whole_snapshots()
        if snapshot and number in link.wishes.ticks:
            self.emulator.later(self.emulator.snapshot_seconds, lambda: self._end_snapshot(link, number, watch))

    def _end_snapshot(self, link: Link, number: int, watch: Watch) -> None:
        """57: all is shown, or has had its time. While the server is lost nothing is said."""
        if link.wishes.ticks.get(number) is watch and not self.emulator.teller.lost:
            del link.wishes.ticks[number]
            link.say(57, 1, number)

    def end_whole_snapshots(self) -> None:
        """57 for those that have shown everything."""
        for link in self.emulator.links:
            for number, watch in list(link.wishes.ticks.items()):
                if watch.snapshot and is_whole(watch):
                    self._end_snapshot(link, number, watch)

    def _no_ticks(self, link: Link, reader: Reader) -> None:
        reader.skip()
        number = reader.int()
        if link.wishes.ticks.pop(number, None) is None:
            self._error(link, number, 300, f"Can't find EId with tickerId:{number}")

    def _data_type(self, link: Link, reader: Reader) -> None:
        reader.skip()
        link.data_type = reader.int(1)

    def _by_tick(self, link: Link, reader: Reader) -> None:
        number, asked, kind = reader.int(), read_contract(reader), reader.next()
        contract = self._one(link, number, asked)
        if contract is None:
            return
        if kind not in ("Last", "AllLast", "BidAsk", "MidPoint"):
            self._error(link, number, 321, f"Error validating request.-'bN' : cause - Invalid tick type {kind}")
            return
        link.wishes.by_tick[number] = (contract, kind)
        now = self.emulator.now()
        link.say(*by_tick(number, kind, self.emulator.market.tape(contract, now), int(now.timestamp())))

    def _no_by_tick(self, link: Link, reader: Reader) -> None:
        link.wishes.by_tick.pop(reader.int(), None)

    # ---------------------------------------------------------------- bars

    def _bars(self, link: Link, reader: Reader) -> None:
        wanted = read_history(reader)
        contract = self._one(link, wanted.number, replace(wanted.asked, expired=True))
        if contract is None:
            return
        if wanted.show == "SCHEDULE":
            self._schedule(link, wanted, contract)
            return
        try:
            if self.emulator.faults.happens("pacing", contract.symbol):
                raise Refused(162, self.emulator.PACING)
            self.emulator.pacing.check(wanted, self.emulator.seconds())
            self._answer(link, wanted, contract)
        except Refused as refused:
            self._error(link, wanted.number, refused.code, refused.text)

    def _answer(self, link: Link, wanted: Wanted, contract: Contract) -> None:
        bars, start, end = bars_of(wanted, contract, self.emulator.market, self.emulator.now())
        zone = ZoneInfo(contract.zone)
        rows = [(messages.bar_time(bar, wanted.seconds, wanted.style, zone), bar) for bar in bars]
        link.say(*messages.history(wanted.number, rows, start, end, wanted.show in ("TRADES", "ADJUSTED_LAST")))
        if wanted.keep:
            link.wishes.bars[wanted.number] = (wanted, contract)

    def _schedule(self, link: Link, wanted: Wanted, contract: Contract) -> None:
        """106: the sessions of so many days."""
        try:
            start, end = span(replace(wanted, show="BID"), contract, self.emulator.now())
        except Refused as refused:
            self._error(link, wanted.number, refused.code, refused.text)
            return
        zone = ZoneInfo(contract.zone)
        rows: list[str] = []
        for opens, closes in sessions(contract, start, end, wanted.regular):
            rows += [f"{at.astimezone(zone):%Y%m%d-%H:%M:%S}" for at in (opens, closes)] + [f"{opens:%Y%m%d}"]
        ends = (rows[0], rows[-2]) if rows else ("", "")
        link.say(106, wanted.number, *ends, contract.zone, len(rows) // 3, *rows)

    def tell_bars(self, contract: Contract) -> None:
        """90: the last bar again, or the next."""
        now = self.emulator.now()
        for link in self.emulator.links:
            for number, (wanted, each) in link.wishes.bars.items():
                if each.con_id == contract.con_id:
                    back = now - timedelta(seconds=2 * wanted.seconds)
                    bars = self.emulator.market.bars(contract, wanted.seconds, back, now, wanted.regular, now)
                    for bar in bars[-1:]:
                        at = messages.bar_time(bar, wanted.seconds, wanted.style, ZoneInfo(contract.zone))
                        link.say(*messages.history_update(number, at, bar))

    def _no_bars(self, link: Link, reader: Reader) -> None:
        reader.skip()
        number = reader.int()
        if link.wishes.bars.pop(number, None) is None:
            text = f"Historical Market Data Service query cancelled: {number}"
            self._error(link, number, 162, text)

    def _head(self, link: Link, reader: Reader) -> None:
        number, asked = reader.int(), read_contract(reader)
        reader.skip(3)
        contract = self._one(link, number, asked)
        if contract is not None:
            first = self.emulator.now() - timedelta(days=365 * YEARS_BACK)
            style = reader.int(1)
            link.say(88, number, int(first.timestamp()) if style == 2 else f"{first:%Y%m%d-%H:%M:%S}")
