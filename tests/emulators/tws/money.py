"""What an account is worth: the values of messages 6, 63 and 73. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tests.emulators.tws.contracts import Contract
from tests.emulators.tws.orders import Account

D = Decimal
CENT = D("0.01")
FOUR = 4


def unrealized(account: Account, price: Callable[[Contract], Decimal]) -> Decimal:
    """Of all positions."""
    return sum((h.size * (price(h.contract) * h.contract.times - h.cost) for h in account.held.values()), D(0))


def realized(account: Account) -> Decimal:
    """Of all that were closed."""
    return sum((held.realized for held in account.held.values()), D(0))


def values(account: Account, price: Callable[[Contract], Decimal]) -> dict[str, tuple[str, str]]:
    """By tag: the value and its currency."""
    gross = stock = margin = D(0)
    worth = account.cash
    for held in account.held.values():
        market = held.size * price(held.contract) * held.contract.times
        if held.contract.kind == "FUT":
            worth += held.size * (price(held.contract) * held.contract.times - held.entry)
            margin += abs(market) / 20
            continue
        worth += market
        gross += abs(market)
        margin += abs(market) / FOUR
        stock += market if held.contract.kind == "STK" else 0
    free = worth - margin
    money = {
        "AvailableFunds": free,
        "BuyingPower": max(free, D(0)) * FOUR,
        "CashBalance": account.cash,
        "EquityWithLoanValue": worth,
        "ExcessLiquidity": free,
        "FullInitMarginReq": margin,
        "FullMaintMarginReq": margin,
        "GrossPositionValue": gross,
        "InitMarginReq": margin,
        "MaintMarginReq": margin,
        "NetLiquidation": worth,
        "RealizedPnL": realized(account),
        "StockMarketValue": stock,
        "TotalCashValue": account.cash,
        "UnrealizedPnL": unrealized(account, price),
    }
    words = {"AccountCode": account.name, "AccountReady": "true", "AccountType": "INDIVIDUAL"}
    plain = {tag: (text, "") for tag, text in words.items()}
    return plain | {tag: (f"{value.quantize(CENT)}", "USD") for tag, value in money.items()}
