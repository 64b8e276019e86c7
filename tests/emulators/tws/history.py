"""A request for bars: what it asks for, and whether it comes too often. Pure; the time is given."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tests.emulators.tws.contracts import Asked, Contract
from tests.emulators.tws.market import DAY, MONTH, WEEK, ZONE, Bar, Market
from tests.emulators.tws.orders import read_contract
from tests.emulators.tws.wire import Reader

SIZES = {
    **{f"{n} secs": n for n in (1, 5, 10, 15, 30)},
    "1 min": 60,
    **{f"{n} mins": n * 60 for n in (2, 3, 5, 10, 15, 20, 30)},
    "1 hour": 3600,
    **{f"{n} hours": n * 3600 for n in (2, 3, 4, 8)},
    "1 day": DAY,
    "1 week": WEEK,
    "1 month": MONTH,
}
UNITS = {"S": 1, "D": DAY, "W": WEEK, "M": MONTH, "Y": 365 * DAY}
SHOWS = ("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST", "AGGTRADES")
IDENTICAL, SPAN, MOST = 15, 600, 60
"""Seconds within which the same may not be asked for again; so many requests in so many seconds."""
QUIET, BURST = 2, 6
"""Six of the same contract in two seconds are too many."""
PACING = "Historical Market Data Service error message:Historical data request pacing violation"


class Refused(Exception):
    """A request for bars that is refused: an error code and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Wanted:
    """What message 20 asks for."""

    number: int
    asked: Asked
    end: str
    size: str
    duration: str
    regular: bool
    show: str
    style: int
    keep: bool

    @property
    def seconds(self) -> int:
        """Of one bar."""
        return SIZES[self.size]


def read_history(reader: Reader) -> Wanted:
    """Message 20 behind its number."""
    number, asked = reader.int(), read_contract(reader)
    reader.skip()  # includeExpired
    end, size, duration = reader.next(), reader.next(), reader.next()
    regular, show, style, keep = reader.bool(), reader.next(), reader.int(1), reader.bool()
    reader.skip()
    return Wanted(number, asked, end, size, duration, regular, show, style, keep)


def span(wanted: Wanted, contract: Contract, now: datetime) -> tuple[datetime, datetime]:
    """From when to when."""
    cause = "Error validating request.-'bN' : cause - "
    if wanted.size not in SIZES:
        raise Refused(321, f"{cause}Historical data bar size setting is invalid: {wanted.size}")
    if wanted.show not in SHOWS:
        raise Refused(321, f"{cause}Please enter a valid data type: {wanted.show}")
    if wanted.show in ("TRADES", "ADJUSTED_LAST") and not contract.has_trades:
        raise Refused(
            162, f"Historical Market Data Service error message:No historical data query found for {contract.local}"
        )
    count, _, unit = wanted.duration.partition(" ")
    if not count.isdigit() or int(count) == 0 or unit not in UNITS:
        raise Refused(321, f"{cause}Historical data requests must have a duration such as 1 D: {wanted.duration}")
    if (unit == "S" and int(count) > DAY) or int(count) * UNITS[unit] > 40 * UNITS["Y"]:
        raise Refused(321, f"{cause}Duration is too long: {wanted.duration}")
    end = read_end(wanted.end, now) if wanted.end else now
    start = end - timedelta(seconds=int(count) * UNITS[unit])
    if unit == "D":
        start = _sessions_back(end.astimezone(ZONE), int(count), 7 if contract.kind == "CRYPTO" else 5)
    return start, end


def read_end(text: str, now: datetime) -> datetime:
    """20261124 09:30:00 US/Eastern, 20261124-14:30:00 (UTC), or without a zone (ours)."""
    day, _, zone = text.replace("-", " ", 1).strip().partition(" ")
    clock, _, name = zone.strip().partition(" ")
    try:
        at = datetime.strptime(f"{day} {clock or '00:00:00'}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007
        tz = UTC if "-" in text else ZoneInfo(name) if name else ZONE
    except (ValueError, ZoneInfoNotFoundError):
        raise Refused(321, f"Error validating request.-'bN' : cause - Invalid end date: {text}") from None
    return at.replace(tzinfo=tz).astimezone(ZONE)


def _sessions_back(end: datetime, count: int, days: int) -> datetime:
    """Midnight of the day that is so many trading days back, the end's own counted."""
    day = end.replace(hour=0, minute=0, second=0, microsecond=0)
    while True:
        count -= day.weekday() < days and day < end
        if count <= 0:
            return day
        day -= timedelta(days=1)


def bars_of(wanted: Wanted, contract: Contract, market: Market, now: datetime) -> tuple[list[Bar], datetime, datetime]:
    """The bars, from when, to when; Refused when there are none."""
    start, end = span(wanted, contract, now)
    bars = market.bars(contract, wanted.seconds, start, end, wanted.regular, now)
    if not bars:
        text = f"HMDS query returned no data: {contract.local}@{contract.exchanges[0]} {wanted.show.capitalize()}"
        raise Refused(162, f"Historical Market Data Service error message:{text}")
    return bars, start, end


class Pacing:
    """Refuses what comes too often. The time is in seconds."""

    def __init__(self) -> None:
        self.on = True
        self._asked: deque[tuple[float, str, object]] = deque()

    def check(self, wanted: Wanted, now: float) -> None:
        """Count a request, or refuse it."""
        what = (wanted.asked, wanted.end, wanted.size, wanted.duration, wanted.regular, wanted.show)
        same = (wanted.asked, wanted.show)
        while self._asked and now - self._asked[0][0] >= SPAN:
            self._asked.popleft()
        identical = any(now - at < IDENTICAL and each == str(what) for at, each, _ in self._asked)
        burst = sum(now - at < QUIET and each == same for at, _, each in self._asked) >= BURST - 1
        if self.on and (identical or burst or len(self._asked) >= MOST):
            raise Refused(162, PACING)
        self._asked.append((now, str(what), same))

    def forget(self) -> None:
        """As at the start."""
        self._asked.clear()
