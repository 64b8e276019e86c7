"""Contracts by a written form, and the one form in which each is written. Pure.

IBM                     a stock or fund in US dollars, routed SMART; BRK.B for IB's "BRK B"
SHOP-CAD                a stock in another currency
ES-202612-CME           a future: symbol, month (or last day, YYYYMMDD), exchange
IBM-20261218-150-C      an option: symbol, last day, strike, C or P; -EUR behind it in another currency
EURUSD                  a currency pair
BTC-USD                 a crypto currency
SPX-IND-CBOE            an index
#265598                 any contract, by IB's own number (conId): what has no other form, or not one alone
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from ib_async import Contract, ContractDetails

CURRENCIES = frozenset(
    "USD EUR GBP JPY CHF AUD CAD NZD SEK NOK DKK HKD SGD MXN CNH ZAR PLN CZK HUF ILS TRY KRW INR RUB".split()  # noqa: SIM905
)
SMART = "SMART"
IDEALPRO = "IDEALPRO"
FORMS = "IBM, SHOP-CAD, ES-202612-CME, IBM-20261218-150-C, EURUSD, BTC-USD, SPX-IND-CBOE, #265598"
_NAME = re.compile(r"[A-Z0-9][A-Z0-9.]{0,15}")
_MOST = 64


def parse(text: str, primary: Mapping[str, str], crypto: str) -> Contract | None:
    """The contract that is asked for, to be looked up at IB; None when this is no written form."""
    if len(text) > _MOST:
        return None
    if re.fullmatch(r"#\d{1,12}", text):
        return Contract(conId=int(text[1:]))
    symbol, *rest = text.split("-")
    if not _NAME.fullmatch(symbol):
        return None
    if not rest:
        return _alone(symbol, primary.get(text, ""))
    if len(rest) == 1:
        return _of_currency(symbol, rest[0], primary.get(text, ""), crypto)
    if len(rest) == 2:
        return _of_exchange(symbol, *rest)
    if len(rest) in (3, 4):
        return _option(symbol, *rest)
    return None


def _alone(symbol: str, primary: str) -> Contract:
    if len(symbol) == 6 and {symbol[:3], symbol[3:]} <= CURRENCIES and symbol[:3] != symbol[3:]:
        return Contract(secType="CASH", symbol=symbol[:3], currency=symbol[3:], exchange=IDEALPRO)
    return _stock(symbol, "USD", primary)


def _stock(symbol: str, currency: str, primary: str) -> Contract:
    return Contract(
        secType="STK",
        symbol=symbol.replace(".", " "),
        exchange=SMART,
        primaryExchange=primary,
        currency=currency,
    )


def _of_currency(symbol: str, currency: str, primary: str, crypto: str) -> Contract | None:
    if currency == "USD":
        return Contract(secType="CRYPTO", symbol=symbol, exchange=crypto, currency=currency)
    return _stock(symbol, currency, primary) if currency in CURRENCIES else None


def _of_exchange(symbol: str, month: str, exchange: str) -> Contract | None:
    if not _NAME.fullmatch(exchange):
        return None
    if month == "IND":
        return Contract(secType="IND", symbol=symbol, exchange=exchange)
    if not re.fullmatch(r"\d{6}|\d{8}", month):
        return None
    return Contract(secType="FUT", symbol=symbol, lastTradeDateOrContractMonth=month, exchange=exchange)


def _option(symbol: str, day: str, strike: str, right: str, currency: str = "USD") -> Contract | None:
    try:
        price = Decimal(strike)
    except InvalidOperation:
        return None
    fits = re.fullmatch(r"\d{8}", day) and right in ("C", "P") and currency in CURRENCIES
    if not fits or not price.is_finite() or not 0 < price < 10**9:
        return None
    return Contract(
        secType="OPT",
        symbol=symbol.replace(".", " "),
        lastTradeDateOrContractMonth=day,
        strike=float(price),
        right=right,
        exchange=SMART,
        currency=currency,
    )


def instead(text: str) -> str:
    """What may be meant by a text that means no contract here, as a question or a hint; empty where nobody can tell."""
    parts = re.split(r"[-/.: _]", text)
    symbol, rest = parts[0], parts[1:]
    if len(rest) == 1 and rest[0] in ("STK", "USD") and symbol not in CURRENCIES:
        crypto = f", or {symbol}-USD for a crypto currency" if rest[0] == "USD" and text != f"{symbol}-USD" else ""
        return f"did you mean {symbol}{crypto}?"
    if len(rest) == 1 and {symbol, rest[0]} <= CURRENCIES:
        return f"did you mean {symbol}{rest[0]}? A currency pair is written so."
    if re.fullmatch(r"[A-Z0-9]{2,6}USD", text):
        return f"did you mean {text[:-3]}-USD? A crypto currency is written so."
    if rest[:1] == ["FUT"] or (len(rest) == 1 and re.fullmatch(r"\d{6}|\d{8}", rest[0])):
        return f"a future needs its month and its exchange, as ES-202612-CME: write {symbol}-YYYYMM-EXCHANGE."
    if len(rest) == 1 and rest[0] == "IND":
        return f"an index needs its exchange, as SPX-IND-CBOE: write {symbol}-IND-EXCHANGE."
    if not rest and _NAME.fullmatch(text):
        return (
            "there is no such stock in US dollars: check its spelling. "
            "A future needs its month and exchange (ES-202612-CME), an index its exchange (SPX-IND-CBOE), "
            "a stock in another currency that (SHOP-CAD)."
        )
    return ""


def written(details: ContractDetails) -> str:
    """The form in which a contract is written, unless several contracts have it."""
    contract = details.contract
    assert contract is not None
    symbol = contract.symbol.replace(" ", ".")
    form = _form(symbol, contract, details.contractMonth)
    return form if form and parse(form, {}, "") is not None else by_number(contract)


def _form(symbol: str, contract: Contract, month: str) -> str:
    if contract.secType == "STK":
        return symbol if contract.currency == "USD" else f"{symbol}-{contract.currency}"
    if contract.secType == "CASH":
        return f"{symbol}{contract.currency}"
    if contract.secType == "CRYPTO":
        return f"{symbol}-USD" if contract.currency == "USD" else ""
    if contract.secType == "FUT":
        return f"{symbol}-{month or contract.lastTradeDateOrContractMonth[:6]}-{contract.exchange}"
    if contract.secType == "IND":
        return f"{symbol}-IND-{contract.exchange}"
    if contract.secType == "OPT":
        strike = f"{Decimal(repr(contract.strike)).normalize():f}"
        end = "" if contract.currency == "USD" else f"-{contract.currency}"
        return f"{symbol}-{contract.lastTradeDateOrContractMonth[:8]}-{strike}-{contract.right[:1]}{end}"
    return ""


def number(details: ContractDetails) -> int:
    """IB's own number of a contract."""
    assert details.contract is not None
    return int(details.contract.conId)


def by_number(contract: Contract) -> str:
    """The form that every contract has."""
    return f"#{contract.conId}"


def tradable(contract: Contract) -> Contract:
    """What is sent with an order or a subscription: what IB found, at an exchange that takes it."""
    exchange = contract.exchange or (SMART if contract.secType in ("STK", "OPT") else "")
    return Contract(
        conId=contract.conId,
        secType=contract.secType,
        symbol=contract.symbol,
        lastTradeDateOrContractMonth=contract.lastTradeDateOrContractMonth,
        strike=contract.strike,
        right=contract.right,
        multiplier=contract.multiplier,
        exchange=exchange,
        primaryExchange=contract.primaryExchange,
        currency=contract.currency,
        localSymbol=contract.localSymbol,
        tradingClass=contract.tradingClass,
    )


def matching(details: list[ContractDetails], asked: Contract) -> list[ContractDetails]:
    """Of IB's answers those that were asked for: it gives other kinds and, for a future, other days along."""
    kind = [each for each in details if each.contract and asked.secType in ("", each.contract.secType)]
    seen: dict[int, ContractDetails] = {}
    for each in kind:
        assert each.contract is not None
        best = seen.get(each.contract.conId)
        if best is None or (each.contract.exchange == asked.exchange and best.contract != asked):
            seen[each.contract.conId] = each
    return list(seen.values())
