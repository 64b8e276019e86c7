"""Familiar names: what the synthetic market trades, and what replay files are called in full.

Prices and volumes are round figures to start from, not market data. CUSIPs are the real ones, or empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from txgateway.model.instrument import AssetClass


@dataclass(frozen=True, slots=True)
class Name:
    """One instrument: its rules, and for the synthetic market a typical price and day's volume (in units)."""

    symbol: str
    fullname: str
    cusip: str
    price: Decimal
    volume: int
    exchange: str = "PAPER"
    asset_class: AssetClass = AssetClass.STOCK
    currency: str = "USD"
    tick_size: Decimal = Decimal("0.01")
    lot_size: Decimal = Decimal(1)
    shown: Decimal = Decimal(100)
    """The least size a synthetic quote shows; sizes are whole multiples of it."""
    spread: int = 3
    """The widest synthetic spread, in ticks."""


_STOCKS = """
AAPL|Apple Inc.|037833100|190|50000000|NASDAQ
ADBE|Adobe Inc.|00724F101|520|3000000|NASDAQ
AMD|Advanced Micro Devices, Inc.|007903107|150|45000000|NASDAQ
AMZN|Amazon.com, Inc.|023135106|175|40000000|NASDAQ
BA|The Boeing Company|097023105|190|7000000|NYSE
BAC|Bank of America Corporation|060505104|37|35000000|NYSE
C|Citigroup Inc.|172967424|60|14000000|NYSE
CAT|Caterpillar Inc.|149123101|340|3000000|NYSE
CRM|Salesforce, Inc.|79466L302|270|6000000|NYSE
CSCO|Cisco Systems, Inc.|17275R102|48|18000000|NASDAQ
CVX|Chevron Corporation|166764100|155|8000000|NYSE
DIA|SPDR Dow Jones Industrial Average ETF Trust|78467X109|390|3500000|ARCA
DIS|The Walt Disney Company|254687106|105|10000000|NYSE
F|Ford Motor Company|345370860|12|50000000|NYSE
GE|GE Aerospace|369604301|160|6000000|NYSE
GLD|SPDR Gold Shares|78463V107|210|8000000|ARCA
GM|General Motors Company|37045V100|45|13000000|NYSE
GOOG|Alphabet Inc. Class C|02079K107|165|20000000|NASDAQ
GOOGL|Alphabet Inc. Class A|02079K305|164|25000000|NASDAQ
GS|The Goldman Sachs Group, Inc.|38141G104|430|2200000|NYSE
HD|The Home Depot, Inc.|437076102|350|3500000|NYSE
IBM|International Business Machines Corporation|459200101|185|4500000|NYSE
INTC|Intel Corporation|458140100|35|45000000|NASDAQ
IWM|iShares Russell 2000 ETF|464287655|205|30000000|ARCA
JNJ|Johnson & Johnson|478160104|155|7000000|NYSE
JPM|JPMorgan Chase & Co.|46625H100|195|9000000|NYSE
KO|The Coca-Cola Company|191216100|62|12000000|NYSE
MA|Mastercard Incorporated|57636Q104|460|2600000|NYSE
MCD|McDonald's Corporation|580135101|275|3200000|NYSE
META|Meta Platforms, Inc.|30303M102|490|14000000|NASDAQ
MRK|Merck & Co., Inc.|58933Y105|125|8000000|NYSE
MSFT|Microsoft Corporation|594918104|415|20000000|NASDAQ
NFLX|Netflix, Inc.|64110L106|620|3500000|NASDAQ
NKE|NIKE, Inc.|654106103|92|9000000|NYSE
NVDA|NVIDIA Corporation|67066G104|120|250000000|NASDAQ
ORCL|Oracle Corporation|68389X105|125|9000000|NYSE
PEP|PepsiCo, Inc.|713448108|172|5500000|NASDAQ
PFE|Pfizer Inc.|717081103|28|35000000|NYSE
PG|The Procter & Gamble Company|742718109|162|6500000|NYSE
QCOM|QUALCOMM Incorporated|747525103|180|9000000|NASDAQ
QQQ|Invesco QQQ Trust|46090E103|450|40000000|NASDAQ
SPY|SPDR S&P 500 ETF Trust|78462F103|520|60000000|ARCA
T|AT&T Inc.|00206R102|17|33000000|NYSE
TSLA|Tesla, Inc.|88160R101|180|90000000|NASDAQ
TXN|Texas Instruments Incorporated|882508104|175|5500000|NASDAQ
V|Visa Inc.|92826C839|275|6000000|NYSE
VZ|Verizon Communications Inc.|92343V104|41|17000000|NYSE
WFC|Wells Fargo & Company|949746101|58|17000000|NYSE
WMT|Walmart Inc.|931142103|62|17000000|NYSE
XOM|Exxon Mobil Corporation|30231G102|115|17000000|NYSE
"""

_CRYPTO = """
BTCUSD|Bitcoin / US Dollar|65000|20000|300
ETHUSD|Ether / US Dollar|3400|200000|40
SOLUSD|Solana / US Dollar|150|2000000|6
"""

_FOREX = """
AUDUSD|Australian Dollar / US Dollar|0.66|1000000000|0.00001|USD
EURUSD|Euro / US Dollar|1.08|3000000000|0.00001|USD
GBPUSD|Pound Sterling / US Dollar|1.27|2000000000|0.00001|USD
USDJPY|US Dollar / Japanese Yen|150|3000000000|0.001|JPY
"""


def _stock(line: str) -> Name:
    symbol, fullname, cusip, price, volume, exchange = line.split("|")
    return Name(symbol, fullname, cusip, Decimal(price), int(volume), exchange)


def _crypto(line: str) -> Name:
    symbol, fullname, price, volume, spread = line.split("|")
    return Name(
        symbol,
        fullname,
        "",
        Decimal(price),
        int(volume),
        asset_class=AssetClass.CRYPTO,
        lot_size=Decimal("0.0001"),
        shown=Decimal(1),
        spread=int(spread),
    )


def _forex(line: str) -> Name:
    symbol, fullname, price, volume, tick, currency = line.split("|")
    return Name(
        symbol,
        fullname,
        "",
        Decimal(price),
        int(volume),
        asset_class=AssetClass.FOREX,
        currency=currency,
        tick_size=Decimal(tick),
        shown=Decimal(500_000),
        spread=4,
    )


NAMES: dict[str, Name] = {
    name.symbol: name
    for name in (
        *(_stock(line) for line in _STOCKS.strip().splitlines()),
        *(_crypto(line) for line in _CRYPTO.strip().splitlines()),
        *(_forex(line) for line in _FOREX.strip().splitlines()),
    )
}
"""Every familiar name by its symbol."""
