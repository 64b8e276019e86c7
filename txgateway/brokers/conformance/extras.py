"""C120 to C139: the book, perpetuals, rate limits, endpoints called by hand, and last prices."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from unittest import SkipTest

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import Trial, is_amount, require
from txgateway.model.errors import GatewayError, Refused
from txgateway.model.market import Depth, LastPrice, Level, NoPrice, Trade
from txgateway.model.venue import EndpointApi, EndpointCall, PositionMode

FEW, MANY = 2, 20
"""Levels that are asked for."""
TOO_MUCH = Decimal(100_000)
"""A leverage that nobody gives."""


@case(120, Can.DEPTH)
async def a_book_has_its_best_prices_first(trial: Trial) -> None:
    """A book is told the best price of each side first, with what is shown there, and never crossed: whoever buys
    through it reads it from the top."""
    broker = await trial.begin()
    trial.broker.subscribe(trial.subject.symbol)
    depth = await trial.ask(broker.depth(trial.subject.symbol, MANY))
    require(depth, "it told none")
    assert depth is not None
    _require_book(trial, depth)
    require(depth.bids and depth.asks, f"a side is empty: {len(depth.bids)} bids, {len(depth.asks)} asks")


def _require_book(trial: Trial, depth: Depth) -> None:
    require(depth.symbol == trial.subject.symbol, f"it is told of {depth.symbol}")
    require(depth.time.utcoffset() == timedelta(0), f"{depth.time!r} is not aware UTC")
    for name, levels, sign in (("bids", depth.bids, -1), ("asks", depth.asks, 1)):
        require(all(map(_is_level, levels)), f"among the {name} are {levels}")
        prices = [sign * each.price for each in levels]
        require(prices == sorted(set(prices)), f"the {name} are {[str(each.price) for each in levels]}")
    if depth.bids and depth.asks:
        best = (depth.bids[0].price, depth.asks[0].price)
        require(best[0] < best[1], f"it is crossed: {best[0]} to {best[1]}")


def _is_level(level: Level) -> bool:
    return is_amount(level.price) and is_amount(level.size) and level.price > 0 and level.size > 0


@case(121, Can.DEPTH)
async def a_book_is_no_deeper_than_asked_for(trial: Trial) -> None:
    """A book has at most the levels that were asked for, the best ones, and none is told of what does not trade here:
    a client makes room for so many."""
    broker = await trial.begin()
    trial.broker.subscribe(trial.subject.symbol)
    few = await trial.ask(broker.depth(trial.subject.symbol, FEW))
    require(few and max(len(few.bids), len(few.asks)) <= FEW, f"of {FEW} levels it told {few}")
    found = await trial.ask(broker.depth(trial.subject.unknown_symbol, FEW))
    require(found is None, f"of a symbol that there is not it told {found}")


@case(122, Can.DEPTH)
async def a_followed_book_begins_with_the_present_one(trial: Trial) -> None:
    """A book that is followed is told as it is at once, and no more after the end: who does not follow does not pay."""
    broker = await trial.begin()
    symbol = trial.subject.symbol
    broker.subscribe(symbol)
    await trial.still()
    require(not _books(trial), "a book was told that nobody follows")
    broker.subscribe_depth(symbol)
    await trial.until(lambda: _books(trial), "the book is told")
    for each in _books(trial):
        _require_book(trial, each)
    broker.unsubscribe_depth(symbol)
    await trial.still()
    since = len(_books(trial))
    await trial.still()
    require(len(_books(trial)) == since, "it told the book after the end")
    broker.subscribe_depth(symbol)
    await trial.until(lambda: len(_books(trial)) > since, "the book is told again")
    broker.unsubscribe(symbol)
    await trial.still()
    since = len(_books(trial))
    await trial.still()
    require(len(_books(trial)) == since, "it told the book of a symbol that nobody listens to")


def _books(trial: Trial) -> list[Depth]:
    return [each for each in trial.told if isinstance(each, Depth)]


@case(123, Can.FUNDING)
async def funding_is_told_with_its_time(trial: Trial) -> None:
    """A perpetual's funding is told as a finite rate with the time when it is due next, and none of what does not
    trade here: it is money that moves without a trade."""
    broker = await trial.begin()
    found = await trial.ask(broker.funding(trial.subject.symbol))
    require(found, "it told none")
    assert found is not None
    require(found.symbol == trial.subject.symbol, f"it is told of {found.symbol}")
    require(is_amount(found.rate) and abs(found.rate) < 1, f"its rate is {found.rate!r}")
    times = [each for each in (found.time, found.next_time) if each is not None]
    require(all(each.utcoffset() == timedelta(0) for each in times), f"{times} are not aware UTC")
    late = found.next_time is not None and found.next_time < broker.now() - timedelta(minutes=1)
    require(not late, f"it is due next at {found.next_time}, which is over")
    prices = [each for each in (found.mark_price, found.index_price) if each is not None]
    require(all(is_amount(each) and each > 0 for each in prices), f"its prices are {prices}")
    require(await trial.ask(broker.funding(trial.subject.unknown_symbol)) is None, "it told some of no symbol")


@case(124, Can.LEVERAGE)
async def leverage_is_what_was_set(trial: Trial) -> None:
    """A leverage that was set is the one that is told from then on: in doubt it is asked for, and believed."""
    broker, subject = await trial.begin(), trial.subject
    before = await trial.ask(broker.leverage(subject.account, subject.symbol))
    require(before is not None and is_amount(before) and before > 0, f"it is {before!r}")
    other = Decimal(3 if before == 2 else 2)
    await trial.ask(broker.set_leverage(subject.account, subject.symbol, other))
    after = await trial.ask(broker.leverage(subject.account, subject.symbol))
    require(after == other, f"set to {other} it is {after}")


@case(125, Can.LEVERAGE)
async def a_leverage_that_nobody_gives_is_refused(trial: Trial) -> None:
    """A leverage that the venue does not give is Refused with a sentence, and what holds stays: a margin that is other
    than was said liquidates positions."""
    broker, subject = await trial.begin(), trial.subject
    before = await trial.ask(broker.leverage(subject.account, subject.symbol))
    try:
        await trial.ask(broker.set_leverage(subject.account, subject.symbol, TOO_MUCH))
    except Refused as refused:
        require(str(refused).strip(), "it was refused without a sentence")
    else:
        require(False, f"it took a leverage of {TOO_MUCH}")
    after = await trial.ask(broker.leverage(subject.account, subject.symbol))
    require(after == before, f"refused, it went from {before} to {after}")


@case(126, Can.LEVERAGE)
async def what_is_not_connected_changes_nothing(trial: Trial) -> None:
    """Without a connection a change is Refused, and not made later: nobody waits for it any more."""
    broker, subject = await trial.begin(), trial.subject
    before = await trial.ask(broker.leverage(subject.account, subject.symbol))
    assert before is not None
    await trial.stop()
    refused = False
    try:
        await trial.ask(broker.set_leverage(subject.account, subject.symbol, before + 1))
    except Refused:
        refused = True
    require(refused, "it took a change while it was stopped")
    since = len(trial.told)
    broker.startService()
    await trial.connected(since)
    after = await trial.ask(broker.leverage(subject.account, subject.symbol))
    require(after == before, f"refused, it went from {before} to {after}")


@case(127, Can.POSITION_MODE)
async def a_position_mode_is_what_was_set(trial: Trial) -> None:
    """A position mode that was set is the one that is told from then on: it decides what an order does. A broker whose
    orders name no position side refuses HEDGE with a sentence, and the account is ONE_WAY still."""
    broker, account = await trial.begin(), trial.subject.account
    before = await trial.ask(broker.position_mode(account))
    other = PositionMode.HEDGE if before is PositionMode.ONE_WAY else PositionMode.ONE_WAY
    for mode in (other, before):
        wanted, how = mode, "set to"
        try:
            await trial.ask(broker.set_position_mode(account, mode))
        except Refused as refused:
            require(mode is PositionMode.HEDGE, f"it refused {mode}: {refused}")
            require(str(refused).strip(), "it was refused without a sentence")
            wanted, how = PositionMode.ONE_WAY, "refused"
        after = await trial.ask(broker.position_mode(account))
        require(after is wanted, f"{how} {mode} it is {after}")


@case(128, Can.RATE_LIMITS)
async def rate_limits_are_told_as_they_are(trial: Trial) -> None:
    """Each rate limit has a name of its own and what remains of it, and a question costs something: whoever waits for
    none to remain is shut out by the venue."""
    broker = await trial.begin()
    await trial.ask(broker.open_orders())
    limits = list(broker.rate_limits())
    names = [each.name for each in limits]
    require(limits and all(names) and len(set(names)) == len(names), f"their names are {names}")
    for each in limits:
        require(0 <= each.remaining <= each.limit and each.limit > 0 and each.seconds > 0, f"it told {each}")
        require(each.reset is None or each.reset.utcoffset() == timedelta(0), f"{each.reset!r} is not aware UTC")
    require(any(each.remaining < each.limit for each in limits), "a question cost nothing")


@case(129, Can.RAW)
async def an_endpoint_answers_as_it_is(trial: Trial) -> None:
    """An endpoint called by hand gives the venue's own answer, and one that there is not is refused with a sentence."""
    call = trial.subject.endpoint
    if call is None:
        raise SkipTest("this subject names no endpoint")
    broker = await trial.begin()
    answer = await trial.ask(broker.call_endpoint(call))
    require(isinstance(answer, dict | list), f"it gave {answer!r}")
    try:
        answer = await trial.ask(broker.call_endpoint(EndpointCall("no/such/endpoint", EndpointApi.PUBLIC, "GET")))
    except GatewayError as error:
        require(str(error).strip(), "it was refused without a sentence")
        return
    require(False, f"an endpoint that there is not gave {answer!r}")


@case(130, Can.LAST_PRICES)
async def last_prices_are_of_what_was_asked_for(trial: Trial) -> None:
    """A last price is told of each symbol that was traded, once, whether anybody listens to it or not, and none of
    what does not trade here: a price that is not the market's own is worse than none."""
    broker, subject = await trial.begin(), trial.subject
    answer = await trial.ask(broker.last_prices([subject.unknown_symbol, subject.symbol]))
    found = [each for each in answer if not isinstance(each, NoPrice)]
    require([each.symbol for each in found] == [subject.symbol], f"it told {found}")
    (last,) = found
    require(is_amount(last.price) and last.price > 0, f"the price is {last.price!r}")
    if last.time is not None:
        require(last.time.utcoffset() == timedelta(0), f"{last.time!r} is not aware UTC")
        require(last.time <= broker.now() + timedelta(minutes=1), f"it was traded at {last.time}, which is to come")
    nothing = await trial.ask(broker.last_prices([]))
    require(not nothing, f"of no symbols it told {nothing}")
    await trial.still()
    require(not any(isinstance(each, Trade) for each in trial.told), "a symbol is shown that was only asked about")


@case(131, Can.LAST_PRICES | Can.TRADES)
async def a_last_price_is_that_of_the_last_trade(trial: Trial) -> None:
    """A last price is the price of the last trade that is shown, and neither a bid, a middle nor a close: clients take
    the one for the other."""
    broker, symbol = await trial.begin(), trial.subject.symbol
    broker.subscribe(symbol)
    await trial.until(lambda: _trades(trial), "a trade is shown")
    since = len(_trades(trial)) - 1
    found = await trial.ask(broker.last_prices([symbol]))
    require(len(found) == 1 and isinstance(found[0], LastPrice), f"it told {found}")
    (last,) = found
    assert isinstance(last, LastPrice)
    shown = lambda: last.price in [each.price for each in _trades(trial)[since:]]  # noqa: E731
    await trial.until(shown, f"a trade at {last.price} is shown, which is told as the last price")


def _trades(trial: Trial) -> list[Trade]:
    return [each for each in trial.told if isinstance(each, Trade) and each.symbol == trial.subject.symbol]
