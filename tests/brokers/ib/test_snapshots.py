"""Last prices at TWS: out of lines and by snapshots, and all that may come instead of a price."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.brokers.ib.conftest import Trials
from tests.brokers.ib.nouns import D
from tests.emulators.tws.contracts import catalogue
from tests.emulators.tws.control import Control
from txgateway.brokers.conformance.trial import Trial
from txgateway.brokers.ib import lines, snapshots
from txgateway.model.errors import GatewayError, Reason, Refused, TimedOut
from txgateway.model.events import VenueError
from txgateway.model.market import LastPrice, NoPrice, Trade

REQUEST, CANCEL = "1", "2"
STOCKS = ["AAPL", "IBM", "INTC", "MSFT", "SPY", "TSLA"]


def asked(tws: Control, kind: str = REQUEST) -> int:
    """How many requests for market data, or cancels of them, TWS has had."""
    return int(tws.do_status()["messages"].get(kind, 0))


def begin(trial: Trial, symbols: Sequence[str]) -> list[Any]:
    """Ask, and give where the answer will be."""
    results: list[Any] = []
    Deferred.fromCoroutine(trial.broker.last_prices(symbols)).addBoth(results.append)
    return results


async def ask(trial: Trial, *symbols: str) -> dict[str, Any]:
    """Each price, or why there is none."""
    found = await trial.ask(trial.broker.last_prices(symbols))
    assert len({each.symbol for each in found}) == len(found)
    return {each.symbol: each.price if isinstance(each, LastPrice) else each.why for each in found}


def why(error: Any) -> tuple[Reason, str]:
    assert isinstance(error, Refused), error
    return error.reason, error.text


async def nothing_runs(trial: Trial, tws: Control) -> None:
    """No snapshot is left at TWS, and no error was told of one."""
    await trial.until(lambda: not tws.do_status()["snapshots"], "no snapshot is left")
    await trial.still()
    assert not [each for each in trial.told if isinstance(each, VenueError) and each.code in (300, 321)]


@pytest_twisted.ensureDeferred
async def test_a_last_price_and_its_time_by_a_snapshot(trial: Trial, tws: Control) -> None:
    tws.do_trade("IBM", "185.15")
    before = trial.broker.now()
    (last,) = await trial.ask(trial.broker.last_prices(["IBM"]))
    assert (last.symbol, last.price) == ("IBM", D("185.15"))
    assert abs(last.time - before) < timedelta(seconds=5)
    assert asked(tws) == 1
    assert tws.do_status()["ticks"] == [], "nothing is subscribed"
    await nothing_runs(trial, tws)
    assert not [each for each in trial.told if isinstance(each, Trade)]


@pytest_twisted.ensureDeferred
async def test_a_price_is_told_before_the_snapshot_ends_and_that_is_canceled(trial: Trial, tws: Control) -> None:
    tws.do_trade("IBM", "185.15")
    tws.do_quote("IBM", "185.10", "185.20", 0, 1000)  # without a bid it would last eleven seconds
    assert await ask(trial, "IBM") == {"IBM": D("185.15")}
    await trial.until(lambda: asked(tws, CANCEL) == 1, "it is canceled")
    await nothing_runs(trial, tws)


@pytest_twisted.ensureDeferred
async def test_what_is_subscribed_is_answered_without_a_request(trial: Trial, tws: Control) -> None:
    tws.do_trade("IBM", "185.15")
    trial.broker.subscribe("IBM")
    await trial.until(lambda: any(isinstance(each, Trade) for each in trial.told), "a trade is shown")
    assert await ask(trial, "IBM", "AAPL") == {"IBM": D("185.15"), "AAPL": tws.emulator.market.tapes[265598].last}
    assert asked(tws) == 2
    tws.do_trade("IBM", "186")
    await trial.until(lambda: D(186) in [each.price for each in trial.told if isinstance(each, Trade)], "it is traded")
    (last,) = await trial.ask(trial.broker.last_prices(["IBM"]))
    assert (last.price, asked(tws)) == (D(186), 2)
    assert last.time is not None
    assert abs(last.time - trial.broker.now()) < timedelta(seconds=5)


@pytest_twisted.ensureDeferred
async def test_a_line_that_has_shown_no_trade_for_long_is_not_asked_beside(
    trial: Trial, tws: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    tws.do_untraded("IBM")
    monkeypatch.setattr(snapshots, "LAST_SECONDS", 0.1)
    trial.broker.subscribe("IBM")
    await trial.until(lambda: tws.do_status()["ticks"] == ["IBM"], "it is subscribed")
    assert await ask(trial, "IBM") == {}
    assert asked(tws) == 2, "a young one may have shown little yet"
    monkeypatch.setattr(lines, "UNTRADED_SECONDS", 0.0)
    assert await ask(trial, "IBM") == {}
    assert asked(tws) == 2


@pytest_twisted.ensureDeferred
async def test_a_quote_and_a_close_are_no_last_price(
    trial: Trial, tws: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    tws.do_untraded("IBM")
    monkeypatch.setattr(snapshots, "LAST_SECONDS", 0.1)
    assert await ask(trial, "IBM", "AAPL") == {"AAPL": tws.emulator.market.tapes[265598].last}
    await nothing_runs(trial, tws)
    tws.do_snapshots(0.02)
    monkeypatch.setattr(snapshots, "LAST_SECONDS", 60)
    assert await ask(trial, "IBM") == {}, "or when TWS says that it is all"
    await nothing_runs(trial, tws)


@pytest_twisted.ensureDeferred
async def test_a_currency_pair_has_no_trades_and_is_not_asked_about(trial: Trial, tws: Control) -> None:
    found = await ask(trial, "EURUSD", "IBM")
    reason, text = why(found["EURUSD"])
    assert reason is Reason.NO_PRICE
    assert "bids and asks of EURUSD" in text
    assert isinstance(found["IBM"], D)
    assert asked(tws) == 1


@pytest.mark.parametrize("code", [354, 10089])
@pytest_twisted.ensureDeferred
async def test_without_a_subscription_to_the_data_the_venue_s_words_say_so(
    code: int, trial: Trial, tws: Control
) -> None:
    tws.do_subscribed("IBM", False, code)
    found = await ask(trial, "IBM", "AAPL")
    reason, text = why(found["IBM"])
    assert reason is Reason.NO_PRICE
    assert text.startswith(f"TWS says {code}: Requested market data")
    assert isinstance(found["AAPL"], D)
    await nothing_runs(trial, tws)
    told = [each.code for each in trial.told if isinstance(each, VenueError)]
    assert code not in told, "it is an answer, and no trouble"


@pytest_twisted.ensureDeferred
async def test_delayed_prices_count_where_they_are_asked_for(trials: Trials) -> None:
    trial = trials(market_data="delayed")
    tws = trial.subject.control
    await trial.begin()
    tws.do_subscribed("IBM", False)
    tws.do_trade("IBM", "185.15")
    (last,) = await trial.ask(trial.broker.last_prices(["IBM"]))
    assert last.price == D("185.15")
    assert last.time is not None


@pytest_twisted.ensureDeferred
async def test_unknown_ones_and_the_same_twice(trial: Trial, tws: Control) -> None:
    odd = ["NOSUCH", "", "not a form", "ibm", "#1", "X" * 500, "TWIN", "IBM-20991231-1-C", "\0"]
    assert list(await ask(trial, *odd, "IBM", "IBM", *odd)) == ["IBM"]
    assert asked(tws) == 1
    assert await ask(trial) == {}


@pytest_twisted.ensureDeferred
async def test_a_hundred_and_never_more_than_twenty_at_once(trials: Trials) -> None:
    trial = trials(rate=1000)
    tws = trial.subject.control
    await trial.begin()
    tws.do_mute("ticks")  # all wait
    chain = _options(tws)
    assert len(set(chain)) == 100
    results = begin(trial, chain)
    await trial.until(lambda: asked(tws) == snapshots.AT_ONCE, "twenty are asked for")
    await trial.still()
    assert len(tws.do_status()["snapshots"]) == snapshots.AT_ONCE
    tws.do_unmute()
    most = 0
    while not results:
        for each in set(tws.do_status()["snapshots"]):
            tws.do_tick(each)
        most = max(most, len(tws.do_status()["snapshots"]))
        await trial.subject.pause()
    assert most <= snapshots.AT_ONCE
    assert {each.symbol for each in results[0]} == set(chain)
    assert all(isinstance(each, LastPrice) for each in results[0])
    await nothing_runs(trial, tws)


def _options(tws: Control) -> list[str]:
    """A hundred symbols."""
    today = tws.emulator.today()
    every = [each for each in catalogue(today).values() if each.kind == "OPT" and each.expiry > f"{today:%Y%m%d}"]
    return [f"{each.symbol}-{each.expiry}-{each.strike:f}-{each.right}" for each in every[:100]]


@pytest_twisted.ensureDeferred
async def test_what_comes_too_late_is_said_of_each_and_the_others_are_told(
    trial: Trial, tws: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "LIST_SECONDS", 0.4)
    tws.do_fault("mute_feed", symbol="IBM", count=None)
    found = await ask(trial, "IBM", "AAPL")
    assert isinstance(found["AAPL"], D)
    assert isinstance(found["IBM"], TimedOut)
    assert "did not tell IBM within 0.4 s" in str(found["IBM"])
    await trial.until(lambda: asked(tws, CANCEL) >= 1, "it is canceled")
    await nothing_runs(trial, tws)


@pytest_twisted.ensureDeferred
async def test_who_asks_no_longer_leaves_nothing_behind(trial: Trial, tws: Control) -> None:
    tws.do_mute("ticks")
    answer: Deferred[Any] = Deferred.fromCoroutine(trial.broker.last_prices(STOCKS))
    await trial.until(lambda: len(tws.do_status()["snapshots"]) == len(STOCKS), "they are asked for")
    answer.addErrback(lambda failure: None)
    answer.cancel()
    await trial.until(lambda: asked(tws, CANCEL) == len(STOCKS), "they are canceled")
    tws.do_unmute()
    assert isinstance((await ask(trial, "IBM"))["IBM"], D), "the turns are free"


@pytest_twisted.ensureDeferred
async def test_an_error_in_the_middle_is_of_its_symbol_alone(trial: Trial, tws: Control) -> None:
    tws.do_mute("ticks")
    results = begin(trial, ["IBM", "AAPL"])
    await trial.until(lambda: len(tws.do_status()["snapshots"]) == 2, "they are asked for")
    numbers = {w.contract.symbol: n for link in tws.emulator.links for n, w in link.wishes.ticks.items()}
    tws.do_error(10090, "Part of requested market data is not subscribed.", numbers["AAPL"])
    tws.do_error(10197, "No market data during competing live session", numbers["IBM"])
    tws.do_unmute()
    tws.do_tick("AAPL")
    await trial.until(lambda: results, "it is answered")
    found = {each.symbol: each for each in results[0]}
    assert isinstance(found["AAPL"], LastPrice)
    assert isinstance(found["IBM"], NoPrice)
    assert type(found["IBM"].why) is GatewayError, "it may be over the next time"
    assert "10197" in str(found["IBM"].why)


@pytest.mark.parametrize("lose", ["link", "servers"])
@pytest_twisted.ensureDeferred
async def test_a_link_that_is_lost_in_the_middle(lose: str, trial: Trial, tws: Control) -> None:
    tws.do_fault("mute_feed", symbol="IBM", count=None)
    results = begin(trial, ["IBM", "AAPL"])
    await trial.until(lambda: asked(tws) == 2, "both are asked for")
    await trial.still()
    assert not results
    if lose == "link":
        for link in list(tws.emulator.links):
            link.transport.abortConnection()
    else:
        tws.do_lose()
    await trial.until(lambda: results, "it is answered")
    found = {each.symbol: each for each in results[0]}
    assert isinstance(found["AAPL"], LastPrice), "what was told before is true"
    assert why(found["IBM"].why)[0] is Reason.VENUE_DOWN
    with pytest.raises(Refused, match="not connected"):
        await trial.ask(trial.broker.last_prices(["AAPL"]))
    tws.do_clear()
    if lose == "servers":
        tws.do_regain()
    await _again(trial)


async def _again(trial: Trial) -> None:
    """It can be asked again."""
    for _ in range(3000):
        try:
            found = await ask(trial, "IBM")
        except Refused:
            await trial.subject.pause()
            continue
        assert isinstance(found["IBM"], D)
        return
    pytest.fail("it cannot be asked again")
