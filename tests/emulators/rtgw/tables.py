"""What a request answers: the rows of each table. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.emulators.rtgw.book import Book
from tests.emulators.rtgw.market import CLOSES, LISTINGS, OPENS, Bar, Market, Tape
from tests.emulators.rtgw.orders import Account
from tests.emulators.rtgw.tql import NotUnderstood, Query

Row = dict[str, Any]
SERVICES = {
    "TA_SRV;LIVEQUOTE": ("LIVEQUOTE", "INTRADAY", "DAILY"),
    "ACCOUNT_GATEWAY;ORDER": ("ACCOUNT", "ORDERS", "POSITION", "DEPOSIT"),
}
CLOCK = "$TIME"
NO_RECORD = "Error 17"
BAR_FIELDS = ("DISP_NAME", "TRD_DATE", "TRDTIM_1", "OPEN_PRC", "HIGH_1", "LOW_1", "SETTLE", "ACVOL_1")
QUOTE = ("BID", "BIDSIZE", "ASK", "ASKSIZE")
TRADE = ("TRD_DATE", "TRDTIM_1", "TRDPRC_1", "TRDVOL_1", "ACVOL_1", "VWAP", "HIGH_1", "LOW_1")
"""What may change with a quote, and with a trade."""


class Tables:
    """The tables over a market and a book."""

    def __init__(self, market: Market, book: Book) -> None:
        self.market = market
        self.book = book
        self.logged_in = True
        """False: the feed knows no symbol, not even its own clock."""
        self.spoiled: dict[str, Row] = {}
        """By symbol, fields that read as given here, such as "Error 2"."""

    def rows(self, query: Query) -> list[Row | None]:
        """What a request is answered with. Nothing found is one row of None."""
        now = self.book.now()
        if query.table == "LIVEQUOTE":
            return [self._live_row(query, now)]
        if query.table in ("INTRADAY", "DAILY"):
            return [self._bars_row(query, now)]
        if query.table == "ORDERS":
            found = list(self.book.rows.values())
        elif query.table == "ACCOUNT":
            found = [account.parts for account in self.book.accounts.values()]
        elif query.table == "DEPOSIT":
            found = [deposit_row(account) for account in self.book.accounts.values()]
        else:
            found = [row for account in self.book.accounts.values() for row in position_rows(account)]
        selected = [query.select(row) for row in found if query.takes(row)]
        return [row for row in selected if row is not None] or [None]

    # ---------------------------------------------------------------- quotes

    def live(self, symbol: str) -> Row:
        """All fields of a symbol that is known."""
        listing, tape = LISTINGS[symbol], self.market.tape(symbol, self.book.now())
        known = {
            "DISP_NAME": symbol,
            "COMPANY_NAME": listing.name,
            "CUSIP": listing.cusip,
            "EXCH_NAME": listing.exchange,
            "STYP": 1,
            "CURRENCY": "USD",
            "STARTTIME": f"{OPENS:%H:%M:%S}",
            "STOPTIME": f"{CLOSES:%H:%M:%S}",
            "OPEN_PRC": float(tape.open),
            "HST_CLOSE": float(tape.close),
            "EARNINGS": "Error 2",
            "NEWS_CODE": "Error 3",
        }
        return known | quote_row(tape) | trade_row(tape) | self.spoiled.get(symbol, {})

    def _live_row(self, query: Query, now: datetime) -> Row | None:
        symbol = query.value("DISP_NAME")
        if symbol == CLOCK and self.logged_in:
            return query.select({"DISP_NAME": CLOCK, "TRD_DATE": f"{now:%Y-%m-%d}", "TRDTIM_1": f"{now:%H:%M:%S}"})
        if symbol in LISTINGS and self.logged_in:
            return query.select(self.live(symbol))
        return {"DISP_NAME": symbol, "SYMBOL_ERROR": NO_RECORD} | dict.fromkeys(query.what, NO_RECORD)

    # ---------------------------------------------------------------- bars

    def _bars_row(self, query: Query, now: datetime) -> Row | None:
        symbol = query.value("DISP_NAME")
        try:
            interval = int(query.value("BARINTERVAL"))
            start, stop = (
                datetime.strptime(f"{query.value(day)} {query.value(at)}", "%Y/%m/%d %H:%M")  # noqa: DTZ007
                for day, at in (("STARTDATE", "CHART_STARTTIME"), ("STOPDATE", "CHART_STOPTIME"))
            )
        except ValueError as error:
            raise NotUnderstood(f"what bars are asked for: {error}") from error
        daily = query.table == "DAILY"
        if interval not in ((0, 1, 2) if daily else range(1, 1441)):
            raise NotUnderstood(f"BARINTERVAL={interval} of {query.table}")
        bars: list[Bar] = []
        if symbol in LISTINGS and self.logged_in and daily:
            bars = self.market.daily(symbol, interval, start.date(), stop.date(), now)
        elif symbol in LISTINGS and self.logged_in:
            bars = self.market.intraday(symbol, interval, start, stop, now)
        return query.select(bars_row(symbol, bars, daily))


def quote_row(tape: Tape) -> Row:
    """The fields of a quote. A side of size 0 has no value."""
    sides = ((tape.bid, tape.bid_size), (tape.ask, tape.ask_size))
    values = [value for price, size in sides for value in ((float(price), size) if size else ("Error 2", 0))]
    return dict(zip(QUOTE, values, strict=True))


def trade_row(tape: Tape) -> Row:
    """The fields of a trade."""
    at, prices = tape.traded_at, (tape.vwap, tape.high, tape.low)
    values = (f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}", float(tape.last), tape.last_size, tape.volume, *map(float, prices))
    return dict(zip(TRADE, values, strict=True))


def bars_row(symbol: str, bars: list[Bar], daily: bool) -> Row:
    """One row of lists. Days have no times; where there are no bars nothing has a value."""
    if not bars:
        return {"DISP_NAME": symbol} | dict.fromkeys(BAR_FIELDS[1:], NO_RECORD)
    columns = [
        symbol,
        [f"{bar.start:%Y-%m-%d}" for bar in bars],
        NO_RECORD if daily else [f"{bar.start:%H:%M:%S}" for bar in bars],
        *([float(bar[i]) for bar in bars] for i in (1, 2, 3, 4)),
        [bar.volume for bar in bars],
    ]
    return dict(zip(BAR_FIELDS, columns, strict=True))


def deposit_row(account: Account) -> Row:
    """An account's money. EXCESS_EQ is the cash; the other fields are there so that there are some."""
    return account.parts | {"EXCESS_EQ": float(account.cash), "CURRENCY": "USD", "ACCOUNT_STATUS": "OPEN"}


def position_rows(account: Account) -> list[Row]:
    """LONGPOS0, SHORTPOS0: what the day began with; LONGPOS, SHORTPOS: what was bought and sold since. No zeros."""
    rows = []
    for symbol in dict.fromkeys([*account.began, *account.bought, *account.sold]):
        began = account.began.get(symbol, 0)
        found = {
            "LONGPOS0": max(began, 0),
            "SHORTPOS0": max(-began, 0),
            "LONGPOS": account.bought.get(symbol, 0),
            "SHORTPOS": account.sold.get(symbol, 0),
        }
        rows.append(account.parts | {"DISP_NAME": symbol} | {name: size for name, size in found.items() if size})
    return rows
