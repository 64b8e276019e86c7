"""C80 to C89: instruments, prices, bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from txgateway.brokers import Can
from txgateway.brokers.conformance.case import case
from txgateway.brokers.conformance.trial import Trial, is_amount, require
from txgateway.model.market import Bar, Period, Quote, Trade, Unit

MARKET = (Quote, Trade)


@case(80)
async def an_instrument_has_its_rules(trial: Trial) -> None:
    """An instrument is told with its venue and rules, and what the subject trades fits them: orders are checked against
    them before they are sent."""
    subject = trial.subject
    broker = await trial.begin()
    found = await trial.ask(broker.instrument(subject.symbol))
    require(found, f"{subject.symbol} is unknown")
    assert found is not None
    where = (found.symbol, found.venue)
    require(where == (subject.symbol, broker.venue), f"it is told of {where}")
    steps = (found.tick_size, found.lot_size, found.min_quantity, found.multiplier)
    require(all(is_amount(step) and step >= 0 for step in steps), f"its steps are {steps}")
    if found.lot_size:
        require(not subject.quantity % found.lot_size, f"{subject.quantity} does not fit its lots of {found.lot_size}")
    require(subject.quantity >= found.min_quantity, f"{subject.quantity} is less than it takes, {found.min_quantity}")


@case(81)
async def an_unknown_symbol_is_none(trial: Trial) -> None:
    """A symbol that does not trade here is None: an order in it is refused before it is sent."""
    broker = await trial.begin()
    found = await trial.ask(broker.instrument(trial.subject.unknown_symbol))
    require(found is None, f"it is told as {found}")


@case(82)
async def the_list_of_instruments_has_it(trial: Trial) -> None:
    """Where the venue lists its instruments, what trades is on the list, once, with the same rules."""
    broker = await trial.begin()
    listed = await trial.ask(broker.instruments())
    found = await trial.ask(broker.instrument(trial.subject.symbol))
    same = [each for each in listed if each.symbol == trial.subject.symbol]
    require(not listed or same == [found], f"on the list are {same}, asked alone it is {found}")


@case(83, Can.QUOTES)
async def a_subscription_begins_with_the_present_quote(trial: Trial) -> None:
    """A subscription tells the present quote first: an order that waits for a price is judged by it."""
    await trial.begin()
    trial.broker.subscribe(trial.subject.symbol)
    await trial.until(lambda: _shown(trial, Quote), "a quote is told")
    quote = _shown(trial, Quote)[0]
    require(quote.time.utcoffset() == timedelta(0), f"{quote.time!r} is not aware UTC")
    require(is_amount(quote.bid) and 0 < quote.bid < quote.ask, f"it shows {quote.bid} to {quote.ask}")
    require(quote.bid_size > 0 and quote.ask_size > 0, f"it shows the sizes {quote.bid_size} and {quote.ask_size}")


@case(84, Can.TRADES)
async def a_subscription_begins_with_the_last_trade(trial: Trial) -> None:
    """A subscription tells the last trade: it is the last price that clients are shown."""
    await trial.begin()
    trial.broker.subscribe(trial.subject.symbol)
    await trial.until(lambda: _shown(trial, Trade), "a trade is told")
    trade = _shown(trial, Trade)[0]
    require(trade.time.utcoffset() == timedelta(0), f"{trade.time!r} is not aware UTC")
    require(is_amount(trade.price) and trade.price > 0, f"its price is {trade.price!r}")


@case(85)
async def an_unsubscribed_symbol_is_silent(trial: Trial) -> None:
    """A symbol that is not subscribed, or no more, tells no prices: who does not listen does not pay."""
    await trial.begin()
    if Can.MARKET in trial.broker.can:
        await trial.buy()
    require(not _shown(trial, *MARKET), "prices of a symbol were told that nobody subscribed")
    trial.broker.subscribe(trial.subject.symbol)
    await trial.still()
    trial.broker.unsubscribe(trial.subject.symbol)
    await trial.still()
    since = len(trial.told)
    await trial.still()
    require(not [each for each in trial.told[since:] if isinstance(each, MARKET)], "it told prices after the end")


@case(86)
async def an_unknown_subscription_is_silent(trial: Trial) -> None:
    """Subscribing what does not trade tells no prices and breaks nothing: clients mistype."""
    await trial.begin()
    trial.broker.subscribe(trial.subject.unknown_symbol)
    await trial.still()
    trial.broker.unsubscribe(trial.subject.unknown_symbol)
    require(not [each for each in trial.told if isinstance(each, MARKET)], "it told prices of a symbol there is not")


async def _minutes(trial: Trial, symbol: str, minutes: int) -> Sequence[Bar]:
    end = trial.broker.now().replace(second=0, microsecond=0)
    start = end - timedelta(minutes=minutes)
    bars = await trial.ask(trial.broker.bars(symbol, Period(1, Unit.MINUTE), start, end))
    outside = [bar.time for bar in bars if not start <= bar.time < end]
    require(not outside, f"{outside} are not in [{start}, {end})")
    return bars


DAYS = 4
"""So long a market may be closed over a weekend and a holiday."""


@case(87, Can.BARS)
async def bars_are_in_order_and_within_their_bounds(trial: Trial) -> None:
    """Bars start in [start, end), oldest first, none twice: an indicator is fed with them as they come."""
    await trial.begin()
    symbol = trial.subject.symbol
    found = await _minutes(trial, symbol, 60) or await _minutes(trial, symbol, DAYS * 24 * 60)
    times = [bar.time for bar in found]
    require(times, f"there are none of the last {DAYS} days")
    require(times == sorted(set(times)), f"their times are {[time.isoformat() for time in times]}")


@case(88, Can.BARS)
async def a_bar_holds_its_prices(trial: Trial) -> None:
    """A bar's high and low hold its open and close, all in Decimal: a chart shows nothing that was not."""
    await trial.begin()
    for bar in await _minutes(trial, trial.subject.symbol, 60):
        prices = (bar.open, bar.high, bar.low, bar.close)
        require(all(map(is_amount, (*prices, bar.volume))), f"its prices are {prices!r}")
        inside = bar.low <= min(bar.open, bar.close) and max(bar.open, bar.close) <= bar.high
        require(inside and bar.low > 0 and bar.volume >= 0, f"{bar} cannot be")
    require(not await _minutes(trial, trial.subject.symbol, 0), "there are bars of no time at all")


@case(89, Can.BARS)
async def an_unknown_symbol_has_no_bars(trial: Trial) -> None:
    """A symbol that does not trade here has no bars: none are made up."""
    await trial.begin()
    require(not await _minutes(trial, trial.subject.unknown_symbol, 60), "it has some")


def _shown(trial: Trial, *kinds: type) -> list[Any]:
    told = (each for each in trial.told if isinstance(each, kinds))
    return [each for each in told if getattr(each, "symbol", "") == trial.subject.symbol]
