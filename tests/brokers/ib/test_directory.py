"""Which contract a written form means, out of what IB has."""

from __future__ import annotations

from typing import Any

import pytest
from ib_async import Contract, ContractDetails
from twisted.internet.defer import Deferred

from tests.brokers.ib.nouns import details
from txgateway.brokers.ib.directory import Directory
from txgateway.model.errors import Reason, Refused


def stock(number: int, symbol: str, exchange: str) -> ContractDetails:
    kind = {"secType": "STK", "exchange": "SMART", "currency": "USD"}
    made = Contract(conId=number, symbol=symbol, primaryExchange=exchange, **kind)
    return details(made, longName=f"{symbol} of {exchange}")


class Ib:
    """Has stocks, and a directory of them; `primary` is what was set."""

    def __init__(self, *stocks: ContractDetails) -> None:
        self.stocks = list(stocks)
        self.primary: dict[str, str] = {}
        self.said: list[str] = []
        self.asked = 0
        self.directory = Directory("tws", self.look, self.primary, "PAXOS", self.said.append)

    async def look(self, asked: Contract) -> list[ContractDetails]:
        self.asked += 1
        found: list[ContractDetails] = []
        for each in self.stocks:
            its: Any = each.contract
            terms = ((asked.conId, its.conId), (asked.symbol, its.symbol), (asked.primaryExchange, its.primaryExchange))
            if all(not wanted or wanted == has for wanted, has in terms):
                found.append(each)
        return found

    def find(self, symbol: str) -> int | None:
        found = answer(self.directory.find(symbol))
        return None if found is None else found.contract.conId


def answer(work: Any) -> Any:
    box: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(box.append)
    if hasattr(box[0], "raiseException"):
        box[0].raiseException()
    return box[0]


@pytest.fixture
def ib() -> Ib:
    return Ib(stock(1, "IBM", "NYSE"), stock(21, "TWIN", "NYSE"), stock(22, "TWIN", "AMEX"))


def test_what_is_unknown_is_asked_for_again(ib: Ib) -> None:
    """IB lists it later, or did not answer for all exchanges."""
    assert ib.find("NEW") is None
    ib.stocks.append(stock(3, "NEW", "NYSE"))
    assert ib.find("NEW") == 3
    asked = ib.asked
    assert ib.find("NEW") == 3
    assert ib.asked == asked


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("TWIN", "it may be several contracts: #21 (TWIN of NYSE, NYSE), #22 (TWIN of AMEX, AMEX); name one by"),
        ("#1", "it is written IBM here: use that name."),
        ("I/B", "write it as one of IBM, SHOP-CAD, ES-202612-CME"),
        ("EUR/USD", "did you mean EURUSD?"),
        ("EUR-USD", "did you mean EURUSD?"),
        ("EUR.USD", "did you mean EURUSD?"),
        ("IBM-STK", "did you mean IBM?"),
        ("XYZ-USD", "did you mean XYZ?"),
        ("BTC/USD", "did you mean BTC, or BTC-USD for a crypto currency?"),
        ("BTCUSD", "did you mean BTC-USD?"),
        ("ES", "there is no such stock in US dollars: check its spelling. A future needs its month and exchange"),
        ("ES-202612", "a future needs its month and its exchange, as ES-202612-CME: write ES-YYYYMM-EXCHANGE."),
        ("ES-FUT", "a future needs its month and its exchange"),
        ("SPX-IND", "an index needs its exchange, as SPX-IND-CBOE: write SPX-IND-EXCHANGE."),
        ("NOPE-202612-CME", ""),
        ("", "write it as one of"),
        ("-".join("ABCDEFGHIJ"), "write it as one of"),
    ],
)
def test_who_writes_another_form_is_told_which(ib: Ib, symbol: str, words: str) -> None:
    assert ib.find(symbol) is None
    hint = ib.directory.hint(symbol)
    assert hint.startswith(words)
    assert bool(hint) == bool(words)


def test_an_old_hint_is_not_given(ib: Ib) -> None:
    assert ib.find("TWIN") is None
    ib.primary["TWIN"] = "AMEX"
    ib.directory.forget("TWIN")
    assert ib.find("TWIN") == 22
    assert "several" not in ib.directory.hint("TWIN")


@pytest.mark.parametrize(
    ("symbol", "exchange", "words"),
    [
        ("IBM", "AMEX", "no one stock IBM whose primary exchange is 'AMEX': it has one at NYSE."),
        ("IBM", "NO SUCH!", "'NO SUCH!': it has one at NYSE."),
        ("NOPE", "NYSE", "'NYSE', nor at any other."),
        ("EURUSD", "NYSE", "EURUSD is no symbol of a stock"),
        ("ES-202612-CME", "CME", "only stocks have a primary exchange"),
        ("I/B", "NYSE", "no symbol of a stock"),
    ],
)
def test_an_exchange_that_has_no_such_stock_is_refused(ib: Ib, symbol: str, exchange: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        answer(ib.directory.renames(symbol, exchange))
    assert words in refused.value.text
    assert refused.value.reason is Reason.UNKNOWN_SYMBOL


def test_what_another_exchange_gives_another_meaning(ib: Ib) -> None:
    """A contract that is named by its number may get the symbol, and loses that name."""
    assert answer(ib.directory.renames("IBM", "NYSE")) == ()
    assert answer(ib.directory.renames("IBM", "")) == ()
    assert answer(ib.directory.renames("TWIN", "AMEX")) == ["TWIN", "#22"]
    ib.primary["TWIN"] = "AMEX"
    assert answer(ib.directory.renames("TWIN", "AMEX")) == ()
    assert answer(ib.directory.renames("TWIN", "NYSE")) == ["TWIN", "#21"]
    assert answer(ib.directory.renames("TWIN", "")) == ["TWIN"]


def test_an_exchange_of_the_configuration_that_is_wrong_is_said(ib: Ib) -> None:
    ib.primary["IBM"] = "AMEX"
    assert ib.find("IBM") is None
    assert (
        ib.directory.hint("IBM") == "it has no contract at AMEX, its primary exchange here: see set_primary_exchange."
    )
    assert ib.said == ["IBM has no contract at AMEX, its primary exchange here: see set_primary_exchange"]


def test_names_follow_the_exchange(ib: Ib) -> None:
    twins = [each.contract for each in ib.stocks[1:] if each.contract is not None]
    assert [answer(ib.directory.name(each)) for each in twins] == ["#21", "#22"]
    ib.primary["TWIN"] = "AMEX"
    ib.directory.forget("TWIN")
    assert [answer(ib.directory.name(each)) for each in twins] == ["#21", "TWIN"]
    ib.primary["TWIN"] = "NYSE"
    ib.directory.forget("TWIN")
    assert [answer(ib.directory.name(each)) for each in twins] == ["TWIN", "#22"]
