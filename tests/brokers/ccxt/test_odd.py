"""What no exchange should say, and some have: frames that make no sense, numbers that cannot be, files cut short."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as some
from twisted.logger import LogLevel

from tests.brokers.ccxt.subject import SUBJECTS, BinanceSpot, Coinbase, trying
from tests.brokers.conftest import Logged
from txgateway.brokers.ccxt import frames, public, translate
from txgateway.brokers.ccxt import session as session_module
from txgateway.brokers.ccxt.frames import EPOCH, Names, amount, moment, number
from txgateway.brokers.ccxt.memory import Memory
from txgateway.brokers.conformance import Trial
from txgateway.model.errors import GatewayError
from txgateway.model.events import OrderCanceled
from txgateway.model.market import Quote, Trade
from txgateway.model.order import Order

D = Decimal
RECORDINGS = Path(__file__).parent / "recordings"
JUNK: list[Any] = [None, "", "x", [], {}, [1], True, -1, 0, 1e300, "1e999999", "NaN", "9" * 40, {"a": None}]


# ---------------------------------------------------------------- numbers and times


@pytest.mark.parametrize(
    "written", ["NaN", "Infinity", "-Infinity", "1e999999", "1e-999999", "x", "", None, True, [], {}]
)
def test_what_is_no_number_is_none(written: Any) -> None:
    assert number(written) is None
    assert amount(written) == 0


@pytest.mark.parametrize(
    "written", [None, "", "x", "-1", "1e300", "9" * 30, 10**30, float("inf"), float("nan"), [], {}]
)
def test_what_is_no_time_is_the_beginning_of_time(written: Any) -> None:
    assert moment(written) == EPOCH


def test_a_time_that_cannot_be_spoils_no_list() -> None:
    found = translate.seen({"id": "1", "symbol": "BTC/USDT", "timestamp": 10**20, "status": "open"}, "A")
    assert found is not None
    assert found.time == EPOCH


# ---------------------------------------------------------------- frames


def _mutated(frame: Any, path: int, junk: Any) -> Any:
    """The frame with junk in place of one of its parts."""
    places: list[tuple[Any, Any]] = []

    def walk(part: Any) -> None:
        for key in part if isinstance(part, dict) else range(len(part)):
            places.append((part, key))
            if isinstance(part[key], dict | list):
                walk(part[key])

    copy = json.loads(json.dumps(frame))
    walk(copy)
    if places:
        part, key = places[path % len(places)]
        part[key] = junk
    return copy


PRIVATE = [
    ("binance", frames.binance),
    ("woo", frames.woo),
    ("coinbase", frames.coinbase),
    ("coinbaseexchange", frames.coinbaseexchange),
]
RECORDED = [
    (decode, json.loads(line)["frame"])
    for name, decode in PRIVATE
    for line in (RECORDINGS / f"{name}.jsonl").read_text("utf-8").splitlines()
]
NAMES = Names(lambda written: written, lambda market: market)


@given(some.sampled_from(RECORDED), some.integers(0, 10_000), some.sampled_from(JUNK))
def test_a_frame_of_which_a_part_is_junk_gives_words_whose_numbers_can_be(recorded: Any, path: int, junk: Any) -> None:
    decode, frame = recorded
    try:
        words = decode(_mutated(frame, path, junk), NAMES)
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError):
        return  # the session then asks: see below
    for word in words or ():
        for name in ("quantity", "price", "filled", "limit", "fee", "total", "average"):
            value = getattr(word, name, None)
            assert value is None or (value.is_finite() and abs(value) < D("1e61"))


FILL: dict[str, Any] = {
    "e": "executionReport",
    "E": 1,
    "s": "BTCUSDT",
    "c": "",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTC",
    "q": "0.1",
    "p": "20000",
    "X": "NEW",
    "x": "NEW",
    "i": 7,
    "l": "0",
    "z": "0",
    "L": "0",
    "T": 1,
    "t": -1,
    "Z": "0",
}


async def _canceled_unheard(trial: Trial, session: Any) -> Order:
    """An order that a person has canceled, of which the stream told nothing."""
    order = await trial.rest()
    subject: Any = trial.subject
    subject.control.do_mute("orders")
    subject.control.do_cancel(session.client_id(order.order_id))
    await trial.still()
    assert not trial.events(order, OrderCanceled)
    return order


@pytest_twisted.ensureDeferred
async def test_a_private_frame_that_makes_no_sense_has_the_exchange_asked(tmp_path: Path, logged: Logged) -> None:
    async def work(trial: Trial, session: Any) -> None:
        order = await _canceled_unheard(trial, session)
        session.frame("ws://x/ws-api/v3", {**FILL, "s": {}})
        logged.expect("a private frame could not be read")
        await trial.until(lambda: trial.events(order, OrderCanceled), "it is asked for")

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_word_that_cannot_be_taken_in_holds_up_none_behind_it(
    tmp_path: Path, logged: Logged, monkeypatch: Any
) -> None:
    async def work(trial: Trial, session: Any) -> None:
        order = await trial.rest()
        seen = session.see

        def breaks(word: Any) -> Any:
            if word.name == order.order_id:
                raise RuntimeError("a defect")
            return seen(word)

        monkeypatch.setattr(session, "see", breaks)
        await trial.ask(trial.subject.fill(trial.broker, order, order.quantity / 10))
        await trial.until(lambda: trial.filled(order) == order.quantity / 10, "its fill is told")
        monkeypatch.undo()
        logged.expect("could not be taken in")
        while any("could not be taken in" in text for text in logged.texts(LogLevel.critical)):
            logged.expect("could not be taken in")  # the acknowledgement's word may have come as late

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_frames_of_junk_end_no_link(tmp_path: Path, logged: Logged) -> None:
    async def work(trial: Trial, session: Any) -> None:
        trial.broker.subscribe("BTC/USDT")
        since = len(trial.told)
        for kind in ("executionReport", "bookTicker", "trade", "depthUpdate", "outboundAccountPosition", None):
            for junk in JUNK:
                for frame in (junk, {"e": kind, "s": junk}, {**FILL, "e": kind, "s": "BTCUSDT", "i": junk, "b": junk}):
                    session.exchange.handle_message(next(iter(session.exchange.clients.values())), frame)
        await trial.buy()
        assert not trial.statuses(since)
        logged.events.clear()  # what it made of them is there with its traceback

    await trying(BinanceSpot, tmp_path, work)


# ---------------------------------------------------------------- prices


def ticker(**more: Any) -> dict[str, Any]:
    return {"u": 1, "s": "BTCUSDT", "b": "50001", "B": "1", "a": "50002", "A": "1", **more}


async def listening(trial: Trial, session: Any, symbol: str = "BTC/USDT") -> None:
    trial.broker.subscribe(symbol)
    await trial.until(lambda: _shown(trial, Quote) and _shown(trial, Trade), "it is told")
    await trial.until(lambda: not session.market._busy, "nothing is asked")
    await trial.still()


def _shown(trial: Trial, kind: type) -> list[Any]:
    return [each for each in trial.told if isinstance(each, kind)]


@pytest.mark.parametrize("wrong", [None, "0", "-5", "x", "NaN"])
@pytest_twisted.ensureDeferred
async def test_a_trade_without_a_price_is_none(wrong: Any, tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        await listening(trial, session)
        now = int(datetime.now(UTC).timestamp() * 1000)
        for price in (wrong, "50123"):
            session.market.take("x", {"e": "trade", "s": "BTCUSDT", "p": price, "q": "1", "T": now, "X": "MARKET"})
        assert _shown(trial, Trade)[-1].price == 50123
        assert all(each.price > 0 for each in _shown(trial, Trade))

    await trying(BinanceSpot, tmp_path, work)


@pytest.mark.parametrize("wrong", [None, "0", "-5", "x", "NaN"])
@pytest_twisted.ensureDeferred
async def test_a_side_of_a_quote_without_a_price_is_not_there(wrong: Any, tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        await listening(trial, session)
        session.market.take("x", ticker(b=wrong))
        quote = _shown(trial, Quote)[-1]
        assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (0, 0, 50002, 1)

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_quote_of_the_future_is_of_now_and_keeps_no_other_out(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        await listening(trial, session)
        future = int(datetime.now(UTC).timestamp() * 1000) * 1000  # microseconds, for once
        session.market.take("x", ticker(e="bookTicker", E=future, T=future, b="49000"))
        assert (_shown(trial, Quote)[-1].time - datetime.now(UTC)).total_seconds() < 15
        session.market.take("x", ticker(b="48000"))
        assert _shown(trial, Quote)[-1].bid == 48000

    await trying(BinanceSpot, tmp_path, work)


@pytest_twisted.ensureDeferred
async def test_a_change_of_the_book_that_cannot_be_read_is_one_that_is_missing(tmp_path: Path, logged: Logged) -> None:
    async def work(trial: Trial, session: Any) -> None:
        await listening(trial, session, "BTC/USD")
        book = session.market.books.kept["BTC/USD"]
        await trial.until(lambda: book.ladder.synced, "the book is whole")
        gaps = book.gaps
        update = {"side": "neither", "price_level": "1", "new_quantity": "1"}
        frame = {"channel": "l2_data", "events": [{"type": "update", "product_id": "BTC-USD", "updates": [update]}]}
        for _ in range(5):
            assert session.market.take("x", frame)
        assert book.gaps > gaps
        assert not book.ladder.synced
        logged.expect("could not be read")  # once: the log is not flooded
        await trial.until(lambda: session.market.books.kept["BTC/USD"].ladder.synced, "the book is whole again")

    await trying(Coinbase, tmp_path, work)


def test_a_trade_of_no_time_that_can_be_is_read() -> None:
    (deal,) = public.binance({"e": "trade", "s": "B", "p": "1", "q": "1", "T": 10**30, "X": "MARKET"}) or ()
    assert isinstance(deal, public.Deal)
    assert deal.time == EPOCH


# ---------------------------------------------------------------- the file of names


@pytest.mark.parametrize("line", ["null", "5", "[]", '"x"', "true", '{"symbol": ', "\x00", "[" * 5000])
def test_a_line_that_is_no_record_spoils_no_other(line: str, tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    memory.name("123", "ABC")
    memory.close()
    with (tmp_path / "names.jsonl").open("a") as file:
        file.write(f"{line}\n")
    assert Memory(tmp_path).named("123") == "ABC"


def test_a_record_that_a_full_disk_took_in_part_is_told_and_joins_no_other(tmp_path: Path, monkeypatch: Any) -> None:
    memory, write = Memory(tmp_path), os.write
    memory.name("1", "A")
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, line: write(file, line[: len(line) // 2]))
        for keep in (lambda: memory.name("2", "B"), lambda: memory.symbol("BTC/USDT")):
            with pytest.raises(OSError, match="the disk is full"):
                keep()
    memory.name("3", "C")
    memory.symbol("BTC/USDT")
    memory.close()
    again = Memory(tmp_path)
    assert (again.named("1"), again.named("2"), again.named("3"), again.symbols) == ("A", "", "C", ["BTC/USDT"])


def test_the_oldest_names_are_forgotten_while_it_runs(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("txgateway.brokers.ccxt.memory.MOST", 3)
    memory = Memory(tmp_path)
    for each in range(5):
        memory.name(str(each), f"A{each}")
        memory.number("BTC/USDT", str(each), f"A{each}")
    assert [bool(memory.named(str(each))) for each in range(5)] == [False, False, True, True, True]
    assert [bool(memory.numbered("BTC/USDT", str(each))) for each in range(5)] == [False, False, True, True, True]


@pytest_twisted.ensureDeferred
async def test_a_missing_frame_may_have_been_a_private_one(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        order = await _canceled_unheard(trial, session)
        for count in (1, 3):
            session.frame("ws://x/", {"channel": "heartbeats", "sequence_num": count, "events": []})
        await trial.until(lambda: trial.events(order, OrderCanceled), "it is asked for")

    await trying(Coinbase, tmp_path, work)


# ---------------------------------------------------------------- clocks


@pytest.mark.parametrize("name", list(SUBJECTS))
@pytest_twisted.ensureDeferred
async def test_an_exchange_whose_clock_is_another_is_traded_and_followed_when_it_is_set(
    name: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(session_module, "SUSPECT", 0.0)
    trial = Trial(SUBJECTS[name](tmp_path))
    subject: Any = trial.subject
    subject.emulator.ahead = 300.0
    try:
        await trial.begin()
        await trial.rest()
        subject.emulator.ahead = -300.0

        for _ in range(subject.patience):
            try:
                assert await trial.broker.open_orders() is not None
                break
            except GatewayError:
                await subject.pause()
        await trial.submit(trial.order())
    finally:
        await trial.end()
