"""What can be traded on the emulator: stocks, futures, options, currency pairs, crypto. Pure; the date is given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

D = Decimal
ZERO, ONE, CENT = D(0), D(1), D("0.01")
MONTH_LETTERS = "FGHJKMNQUVXZ"
STOCK_ORDERS = "ACTIVETIM,ALERT,DAY,FOK,GTC,GTD,IOC,LMT,MKT,OCA,STP,STPLMT,TRANSMIT,WHATIF,"
EASTERN, CENTRAL = "US/Eastern", "US/Central"


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract. `price` is where its path goes around; `kind` is IB's secType."""

    con_id: int
    symbol: str
    kind: str
    exchange: str
    currency: str
    price: Decimal
    tick: Decimal = CENT
    long_name: str = ""
    primary: str = ""
    expiry: str = ""
    strike: Decimal = ZERO
    right: str = ""
    multiplier: str = ""
    local: str = ""
    trading_class: str = ""
    zone: str = EASTERN
    lot: Decimal = ONE
    """The size's increment, and the smallest one."""
    under: int = 0

    @property
    def times(self) -> Decimal:
        """The multiplier as a number."""
        return D(self.multiplier or 1)

    @property
    def has_trades(self) -> bool:
        """Whether trades are printed: none are for currency pairs."""
        return self.kind != "CASH"

    @property
    def exchanges(self) -> tuple[str, ...]:
        """Where it may be asked for."""
        return ("SMART", self.exchange) if self.kind in ("STK", "OPT") else (self.exchange,)


def _stock(con_id: int, symbol: str, exchange: str, price: int, name: str, currency: str = "USD") -> Contract:
    words = {"long_name": name, "primary": exchange, "local": symbol, "trading_class": symbol}
    return Contract(con_id, symbol, "STK", exchange, currency, D(price), **words)  # type: ignore[arg-type]


STOCKS = (
    _stock(265598, "AAPL", "NASDAQ", 170, "APPLE INC"),
    _stock(8314, "IBM", "NYSE", 185, "INTL BUSINESS MACHINES CORP"),
    _stock(38709473, "IBM", "MEXI", 3500, "INTL BUSINESS MACHINES CORP", "MXN"),
    _stock(270639, "INTC", "NASDAQ", 43, "INTEL CORP"),
    _stock(272093, "MSFT", "NASDAQ", 410, "MICROSOFT CORP"),
    _stock(756733, "SPY", "ARCA", 510, "SS SPDR S&P 500 ETF TRUST-US"),
    _stock(76792991, "TSLA", "NASDAQ", 200, "TESLA INC"),
    # Two of one name and currency on purpose, which only the primary exchange tells apart.
    _stock(900000001, "TWIN", "NYSE", 50, "TWIN THE ELDER"),
    _stock(900000002, "TWIN", "AMEX", 12, "TWIN THE YOUNGER"),
)
PAIRS = tuple(
    Contract(
        *(con_id, symbol, "CASH", "IDEALPRO", currency, D(price), D(tick)),
        long_name=f"{symbol}.{currency}",
        local=f"{symbol}.{currency}",
        trading_class=f"{symbol}.{currency}",
    )
    for con_id, symbol, currency, price, tick in (
        (12087792, "EUR", "USD", "1.09", "0.00005"),
        (12087797, "GBP", "USD", "1.27", "0.00005"),
        (15016059, "USD", "JPY", "150", "0.005"),
    )
)
CRYPTO = tuple(
    Contract(
        *(con_id, symbol, "CRYPTO", "PAXOS", "USD", D(price), D(tick), name),
        local=f"{symbol}.USD",
        trading_class=symbol,
        lot=D("0.00000001"),
    )
    for con_id, symbol, price, tick, name in (
        (479624278, "BTC", 64000, "0.25", "Bitcoin cryptocurrency"),
        (495759171, "ETH", 3100, "0.01", "Ethereum cryptocurrency"),
    )
)
FUTURES = (
    ("ES", "CME", 5200, "0.25", "50", "E-mini S&P 500", (3, 6, 9, 12)),
    ("MES", "CME", 5200, "0.25", "5", "Micro E-Mini S&P 500 Stock Price Index", (3, 6, 9, 12)),
    ("NQ", "CME", 18000, "0.25", "20", "E-mini NASDAQ 100", (3, 6, 9, 12)),
    ("CL", "NYMEX", 78, "0.01", "1000", "Light Sweet Crude Oil", tuple(range(1, 13))),
)
OPTIONED = ("AAPL", "IBM", "SPY")


def _con_id(*of: object) -> int:
    """The same for the same words, and far from the stocks'."""
    return 600_000_000 + int.from_bytes(hashlib.blake2b("/".join(map(str, of)).encode(), digest_size=4).digest()) // 20


def third_friday(year: int, month: int) -> date:
    """When futures and options end."""
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)


def _months(today: date, back: int, ahead: int) -> Iterator[date]:
    for count in range(-back, ahead):
        number = today.year * 12 + today.month - 1 + count
        yield third_friday(number // 12, number % 12 + 1)


def coming_future(today: date) -> str:
    """A future that trades for a month and more, as it is written: ES-202612-CME."""
    months = (each for each in _months(today, 0, 16) if each.month in (3, 6, 9, 12))
    expires = next(each for each in months if each > today + timedelta(days=30))
    return f"ES-{expires:%Y%m}-CME"


def _futures(today: date) -> Iterator[Contract]:
    for symbol, exchange, price, tick, multiplier, name, months in FUTURES:
        for expires in _months(today, 6, 16):
            if expires.month not in months:
                continue
            local = f"{symbol}{MONTH_LETTERS[expires.month - 1]}{expires.year % 10}"
            yield Contract(
                *(_con_id(symbol, expires), symbol, "FUT", exchange, "USD", D(price), D(tick), name),
                expiry=f"{expires:%Y%m%d}",
                multiplier=multiplier,
                local=local,
                trading_class=symbol,
                zone=CENTRAL,
            )


def _options(today: date) -> Iterator[Contract]:
    for stock in STOCKS:
        if stock.symbol not in OPTIONED or stock.currency != "USD":
            continue
        for expires in _months(today, 1, 4):
            for strike in range(int(stock.price) // 5 * 5 - 25, int(stock.price) + 26, 5):
                for right in "CP":
                    local = f"{stock.symbol:<6}{expires:%y%m%d}{right}{strike * 1000:08}"
                    yield replace(
                        stock,
                        con_id=_con_id(local),
                        kind="OPT",
                        exchange="CBOE",
                        primary="",
                        expiry=f"{expires:%Y%m%d}",
                        strike=D(strike),
                        right=right,
                        multiplier="100",
                        local=local,
                        under=stock.con_id,
                    )


@lru_cache(maxsize=8)
def catalogue(today: date) -> dict[int, Contract]:
    """All contracts of a day by conId, those that ended lately too."""
    every = (*STOCKS, *PAIRS, *CRYPTO, *_futures(today), *_options(today))
    return {contract.con_id: contract for contract in every}


@dataclass(frozen=True, slots=True)
class Asked:
    """A contract as a client describes it; what is empty may be anything."""

    con_id: int = 0
    symbol: str = ""
    kind: str = ""
    expiry: str = ""
    strike: Decimal = ZERO
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary: str = ""
    currency: str = ""
    local: str = ""
    trading_class: str = ""
    expired: bool = False


def find(asked: Asked, today: date) -> list[Contract]:
    """Those that fit, the next to expire first."""
    everything = catalogue(today)
    chosen = [everything[asked.con_id]] if asked.con_id in everything else []
    if not asked.con_id:
        chosen = [each for each in everything.values() if _fits(each, asked)]
    if not (asked.expired or asked.con_id):
        chosen = [each for each in chosen if not each.expiry or each.expiry >= f"{today:%Y%m%d}"]
    if asked.kind == "CONTFUT":
        chosen = [replace(each, kind="CONTFUT") for each in sorted(chosen, key=lambda c: c.expiry)[:1]]
    if asked.exchange:
        chosen = [each for each in chosen if asked.exchange in each.exchanges]
    return sorted(chosen, key=lambda each: (each.expiry, each.strike, each.right))


def _fits(contract: Contract, asked: Asked) -> bool:
    kind = "FUT" if asked.kind == "CONTFUT" else asked.kind
    if not (asked.symbol or asked.local):
        return False
    words = (
        (asked.symbol, contract.symbol),
        (kind, contract.kind),
        (asked.right[:1], contract.right),
        (asked.multiplier, contract.multiplier),
        (asked.currency, contract.currency),
        (asked.local, contract.local),
        (asked.trading_class, contract.trading_class),
    )
    if any(wanted and wanted != has for wanted, has in words):
        return False
    if asked.primary and contract.kind == "STK" and asked.primary != contract.primary:
        return False
    if asked.strike and asked.strike != contract.strike:
        return False
    return not asked.expiry or contract.expiry.startswith(asked.expiry)


def sample(pattern: str, today: date) -> list[Contract]:
    """Stocks, pairs and crypto whose symbol or name begins so."""
    begins = pattern.upper()
    plain = (each for each in catalogue(today).values() if not each.expiry)
    return [each for each in plain if begins and (each.symbol.startswith(begins) or begins in each.long_name.upper())]
