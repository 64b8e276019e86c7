"""Symbols, prices, bars and the clock of the LIVEQUOTE service. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

from txgateway.brokers.rtx.protocol import Row
from txgateway.brokers.rtx.translate import LOGIN_FAILED, is_error, moment, number, text, to_number, where
from txgateway.model.errors import Unsupported
from txgateway.model.instrument import Instrument, Session
from txgateway.model.market import Bar, LastPrice, Period, Quote, Statistics, Trade, Unit

ZERO = Decimal(0)
PRICE_FIELDS = (
    "TRD_DATE,TRDTIM_1,TRDPRC_1,TRDVOL_1,ACVOL_1,OPEN_PRC,HST_CLOSE,VWAP,BID,BIDSIZE,ASK,ASKSIZE,HIGH_1,LOW_1"
)
LAST_FIELDS = "DISP_NAME,TRDPRC_1,TRDTIM_1,TRD_DATE"
BAR_FIELDS = "DISP_NAME,TRD_DATE,TRDTIM_1,OPEN_PRC,HIGH_1,LOW_1,SETTLE,ACVOL_1"
CLOCK_FIELDS = "DISP_NAME,TRDTIM_1,TRD_DATE"
CLOCK_SYMBOL = "$TIME"
QUOTED = ("BID", "BIDSIZE", "ASK", "ASKSIZE")

# ---------------------------------------------------------------- clock, symbols


def clock_time(row: Row, zone: Any) -> datetime | None:
    """What the clock's symbol shows; None where it shows nothing that can be read."""
    return moment(row.get("TRD_DATE"), row.get("TRDTIM_1"), zone)


def login_failed(row: Row) -> bool:
    """Whether the clock's symbol says that nobody is logged in behind the gateway."""
    return str(row.get("TRDTIM_1", "")).strip().lower() == LOGIN_FAILED.lower()


def instrument(venue: str, symbol: str, row: Row, timezone: str, exchange: str, currency: str) -> Instrument | None:
    """A symbol's rules; None when it is unknown. Below one dollar a tick is a hundredth of a cent."""
    if "SYMBOL_ERROR" in row or not any(text(row, name) for name in row if name != "DISP_NAME"):
        return None
    last = number(row, "TRDPRC_1")
    return Instrument(
        symbol=symbol,
        venue=venue,
        fullname=text(row, "COMPANY_NAME"),
        cusip=text(row, "CUSIP"),
        currency=text(row, "CURRENCY") or currency,
        exchange=text(row, "EXCHANGE") or exchange,
        tick_size=Decimal("0.0001") if last is not None and 0 < last < 1 else Decimal("0.01"),
        session=_session(row, timezone),
        raw={name: text(row, name) for name in row if text(row, name)},
    )


def _session(row: Row, timezone: str) -> Session | None:
    opens, closes = (_day_time(text(row, name)) for name in ("STARTTIME", "STOPTIME"))
    return Session(opens, closes, timezone) if opens is not None and closes is not None else None


def _day_time(word: str) -> time | None:
    try:
        hour, minute, second = (int(each) for each in word.split(":")[:3])
        return time(hour, minute, second)
    except ValueError:
        return None


# ---------------------------------------------------------------- prices


class Prices:
    """What a symbol shows, out of rows that have only what changed."""

    def __init__(self, symbol: str, zone: Any) -> None:
        self.symbol = symbol
        self._zone = zone
        self._row: dict[str, Any] = {}

    def begin(self, row: Row, now: datetime) -> list[Statistics | Quote | Trade]:
        """The present values, whole."""
        self._row = dict(row)
        shown: list[Statistics | Quote | Trade | None] = [self._statistics(), self._quote(now), self._trade(now, None)]
        return [each for each in shown if each is not None]

    def changed(self, row: Row, now: datetime) -> list[Statistics | Quote | Trade]:
        """What a change shows. A day's volume that has grown by more than the last trade stands for all since."""
        before = number(self._row, "ACVOL_1")
        self._row.update(row)
        shown: list[Statistics | Quote | Trade | None] = []
        if any(name in row for name in QUOTED):
            shown.append(self._quote(now) or self._nobody(now))
        after = number(self._row, "ACVOL_1")
        traded = "TRDPRC_1" in row and ("ACVOL_1" not in row or after != before)
        if traded:
            grown = after - before if "ACVOL_1" in row and after is not None and before is not None else None
            if grown is not None and grown < 0:
                shown.append(self._statistics())
            shown.append(self._trade(now, grown))
        return [each for each in shown if each is not None]

    def differs(self, row: Row) -> bool:
        """Whether a row asked for shows another price, volume or quote than the last that was told."""
        names = ("TRDPRC_1", "ACVOL_1", *QUOTED)
        return any(name in row and to_number(row[name]) != number(self._row, name) for name in names)

    def _quote(self, now: datetime) -> Quote | None:
        bid, ask = number(self._row, "BID") or ZERO, number(self._row, "ASK") or ZERO
        if not bid and not ask:
            return None
        bid_size, ask_size = number(self._row, "BIDSIZE") or ZERO, number(self._row, "ASKSIZE") or ZERO
        return Quote(self.symbol, bid, bid_size if bid else ZERO, ask, ask_size if ask else ZERO, now)

    def _nobody(self, now: datetime) -> Quote:
        """Neither side is there any more: what was quoted before holds no longer."""
        return Quote(self.symbol, ZERO, ZERO, ZERO, ZERO, now)

    def _trade(self, now: datetime, grown: Decimal | None) -> Trade | None:
        price = number(self._row, "TRDPRC_1")
        if price is None or price <= 0:
            return None
        size = number(self._row, "TRDVOL_1") or ZERO
        if grown is not None and grown > size:
            size = grown
        at = moment(self._row.get("TRD_DATE"), self._row.get("TRDTIM_1"), self._zone)
        return Trade(self.symbol, price, size, at or now)

    def _statistics(self) -> Statistics | None:
        names = ("OPEN_PRC", "HIGH_1", "LOW_1", "HST_CLOSE", "ACVOL_1", "VWAP")
        figures = [number(self._row, name) for name in names]
        return Statistics(self.symbol, *figures) if any(each is not None for each in figures) else None


def last_price(symbol: str, row: Row, zone: Any) -> LastPrice | None:
    """What a symbol was traded at last; None where it shows no price."""
    price = number(row, "TRDPRC_1")
    if price is None or price <= 0:
        return None
    return LastPrice(symbol, price, moment(row.get("TRD_DATE"), row.get("TRDTIM_1"), zone))


# ---------------------------------------------------------------- bars


MINUTES_AT_ONCE = timedelta(days=60)
"""Bars of a minute that are asked for in one question: some 2 MB of one line."""
_LONG = {Unit.DAY: 0, Unit.WEEK: 1, Unit.MONTH: 2}


def spans(period: Period, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """The times to ask for one after the other: a row of bars comes in one line, which is read in one go.

    Each begins a day before the last one ends, so that none is missed where a day's times are taken for a window.
    """
    longest = MINUTES_AT_ONCE * period.count
    if period.unit is not Unit.MINUTE or end - start <= longest:
        return [(start, end)]
    found = [(start, start + longest)]
    while found[-1][1] < end:
        first = found[-1][1] - timedelta(days=1)
        found.append((first, min(end, first + longest)))
    return found


def bar_question(symbol: str, period: Period, start: datetime, end: datetime, zone: Any) -> tuple[str, str]:
    """The table to ask and the condition; Unsupported for periods that there are not."""
    if period.unit is not Unit.MINUTE and period.count != 1:
        raise Unsupported("Days, weeks and months come one at a time: give a period of one.")
    table = "INTRADAY" if period.unit is Unit.MINUTE else "DAILY"
    interval = period.count if period.unit is Unit.MINUTE else _LONG[period.unit]
    first, last = start.astimezone(zone), end.astimezone(zone)
    words = [
        where(DISP_NAME=symbol),
        f"BARINTERVAL={interval}",
        where(STARTDATE=f"{first:%Y/%m/%d}", CHART_STARTTIME=f"{first:%H:%M}"),
        where(STOPDATE=f"{last:%Y/%m/%d}", CHART_STOPTIME=f"{last:%H:%M}"),
    ]
    return table, ",".join(words)


def bars(
    symbol: str, period: Period, rows: Iterable[Row], start: datetime, end: datetime, zone: Any
) -> list[Bar]:  # fmt: skip
    """The bars in [start, end), oldest first. Days, weeks and months have no time: they begin at midnight."""
    found: dict[datetime, Bar] = {}
    for row in rows:
        columns = [row.get(name) for name in BAR_FIELDS.split(",")[1:]]
        days, clocks, *figures = columns
        if not isinstance(days, list) or not all(isinstance(each, list) for each in figures):
            continue
        times = clocks if isinstance(clocks, list) and period.unit is Unit.MINUTE else ["00:00:00"] * len(days)
        for day, clock, prices in zip(days, times, zip(*figures, strict=False), strict=False):
            bar = _bar(symbol, moment(day, clock, zone), prices)
            if bar is not None and start <= bar.time < end:
                found[bar.time] = bar
    return [found[at] for at in sorted(found)]


def _bar(symbol: str, at: datetime | None, prices: Sequence[Any]) -> Bar | None:
    """A bar; None where one of its prices has no value."""
    figures = [None if is_error(each) else to_number(each) for each in prices]
    opened, high, low, close, volume = figures
    if at is None or opened is None or high is None or low is None or close is None:
        return None
    return Bar(symbol, at, opened, high, low, close, volume or ZERO)


class VenueClock:
    """The feed's time between its ticks, which come by the second. Never back, once there was one.

    A feed that is within two seconds of our own clock is as good as it: the rest is the way here. Because it never goes
    back, one that leaps ahead is believed when it has done so a few times in a row: a date may come before its time.
    """

    def __init__(self) -> None:
        self._ahead = timedelta(0)
        self._last: datetime | None = None
        self._leaps = 0

    def tick(self, feed: datetime, ours: datetime) -> None:
        """The feed showed this time when our clock showed that."""
        ahead = feed - ours
        self._leaps = self._leaps + 1 if self._last is not None and ahead - self._ahead > CLOSE else 0
        if 0 < self._leaps < LEAPS:
            return
        self._last = self._last or min(feed, ours)
        if abs(ahead) <= CLOSE:
            self._ahead = timedelta(0)
        elif abs(ahead - self._ahead) > CLOSE:
            self._ahead = ahead

    def now(self, ours: datetime) -> datetime:
        """The venue's time."""
        now = ours + self._ahead
        if self._last is not None:
            self._last = now = max(self._last, now)
        return now


CLOSE = timedelta(seconds=2)
LEAPS = 3
"""Ticks in a row that a leap ahead must be shown in."""
