"""An exchange's number of an order is one of its pair: Binance gives it again in another, and nothing is mixed up."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest_twisted

from tests.brokers.ccxt.subject import BinanceSpot
from tests.brokers.ccxt.test_book import NOW, fill, order, seen
from txgateway.brokers.ccxt import CcxtBroker, translate
from txgateway.brokers.ccxt.book import Book
from txgateway.brokers.ccxt.memory import Memory
from txgateway.brokers.conformance import Trial
from txgateway.model.events import Executed

D = Decimal


def two_of_one_number() -> Book:
    """Our orders A in BTC/USDT and B in ETH/USDT, both of them number 1."""
    book = Book(lambda its, name: translate.execution("v", "MAIN", its, None, name))
    for name, symbol in (("A", "BTC/USDT"), ("B", "ETH/USDT")):
        book.sent(order(order_id=name, client_order_id=name, symbol=symbol))
        book.see(seen(name=name, symbol=symbol), NOW)
    return book


def test_each_is_found_by_its_pair_and_number() -> None:
    book = two_of_one_number()
    assert (book.name_of("BTC/USDT", "1"), book.name_of("ETH/USDT", "1"), book.name_of("SOL/USDT", "1")) == (
        "A",
        "B",
        "",
    )


def test_a_fill_without_a_name_is_of_the_order_of_its_pair() -> None:
    book = two_of_one_number()
    for name, symbol in (("A", "BTC/USDT"), ("B", "ETH/USDT")):
        (executed,) = book.fill(fill(name="", symbol=symbol, execution_id=symbol), NOW)
        assert isinstance(executed, Executed)
        assert executed.execution.order_id == name


def test_a_fill_waits_for_the_order_of_its_own_pair() -> None:
    book = Book(lambda its, name: translate.execution("v", "MAIN", its, None, name))
    book.sent(order())
    book.sent(order(order_id="B", client_order_id="B", symbol="ETH/USDT"))
    assert book.fill(fill(name="", symbol="ETH/USDT"), NOW) == []
    assert not any(isinstance(each, Executed) for each in book.see(seen(), NOW))
    (executed,) = [each for each in book.see(seen(name="B", symbol="ETH/USDT"), NOW) if isinstance(each, Executed)]
    assert executed.execution.order_id == "B"


def test_the_file_keeps_them_apart(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.number("BTC/USDT", "1", "A")
    memory.number("ETH/USDT", "1", "B")
    memory.close()
    again = Memory(tmp_path)
    assert (again.numbered("BTC/USDT", "1"), again.numbered("ETH/USDT", "1")) == ("A", "B")


def test_a_number_that_was_kept_without_its_pair_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "names.jsonl").write_text('{"id": "1", "order": "A"}\n')
    assert Memory(tmp_path).numbered("BTC/USDT", "1") == ""


@pytest_twisted.ensureDeferred
async def test_both_are_listed(tmp_path: Path) -> None:
    trial = Trial(BinanceSpot(tmp_path))
    try:
        await trial.begin()
        assert isinstance(trial.broker, CcxtBroker)
        session: Any = trial.broker._session
        stamp = int(datetime.now(UTC).timestamp() * 1000)
        one = {"id": "1", "status": "open", "type": "limit", "side": "buy", "amount": "1", "price": "9", "filled": "0"}

        async def listed(*_: Any) -> Any:
            return [
                {**one, "symbol": symbol, "clientOrderId": symbol[:3], "timestamp": stamp}
                for symbol in ("BTC/USDT", "ETH/USDT")
            ]

        session.exchange.fetch_open_orders = listed
        reports = await trial.ask(trial.broker.open_orders())
        assert {(each.order_id, each.symbol) for each in reports} == {("BTC", "BTC/USDT"), ("ETH", "ETH/USDT")}
    finally:
        await trial.end()
