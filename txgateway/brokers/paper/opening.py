"""How a paper venue is put together: its feed from the settings, its exchange from the book."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from txgateway.brokers import Setup
from txgateway.brokers.paper import files
from txgateway.brokers.paper.accounts import BASE, Account, Holding
from txgateway.brokers.paper.book import Book
from txgateway.brokers.paper.exchange import Exchange
from txgateway.brokers.paper.feed import Feed
from txgateway.brokers.paper.options import Opening, PaperOptions, ReplayChoice, SyntheticChoice, VenueChoice, read
from txgateway.brokers.paper.options import mistakes as mistakes_in
from txgateway.brokers.paper.player import ReplayFeed
from txgateway.brokers.paper.pulse import SyntheticFeed
from txgateway.brokers.paper.rows import StoredAccount
from txgateway.brokers.paper.sessions import Sessions, load_schedule
from txgateway.brokers.paper.turn import Worth
from txgateway.brokers.paper.venue import VenueFeed


def mistakes(options: Mapping[str, Any]) -> dict[str, str]:
    """What to give instead, for each option that cannot be used on this machine: the configuration's question."""
    wrong = mistakes_in(options)
    settings = read({name: value for name, value in options.items() if name not in wrong})
    checks: list[tuple[str, Callable[[], object]]] = []
    if isinstance(settings.feed, ReplayChoice):
        checks.append(("feed", partial(files.find, settings.feed.where)))
    if settings.calendar:
        checks.append(("calendar", partial(load_schedule, settings.calendar)))
    for name, check in checks:
        try:
            check()
        except ValueError as error:
            wrong[name] = str(error).removesuffix(".")
    return wrong


def make_feed(setup: Setup, settings: PaperOptions, sessions: Sessions) -> Feed:
    """The configured prices; ValueError when files to replay are not there or not understood."""
    choice = settings.feed
    if isinstance(choice, VenueChoice):
        if setup.prices is None:
            raise ValueError(f"There is no other venue whose prices could be taken: {choice.name} is not known here.")
        return VenueFeed(setup.venue, setup.prices(choice.name), setup.report)
    if isinstance(choice, SyntheticChoice):
        return SyntheticFeed(
            setup.venue, choice.seed, settings.interval_us, sessions, setup.reactor, setup.clock, settings.start
        )
    looked_into = [files.look_into(path) for path in files.find(choice.where)]
    sources = [source for source in looked_into if source is not None]
    return ReplayFeed(setup.venue, sources, choice.speed, choice.loop, sessions, setup.reactor)


def make_exchange(venue: str, settings: PaperOptions, feed: Feed, sessions: Sessions, book: Book) -> Exchange:
    """The exchange as the book has it; an account that is new there is opened with its amount."""
    worth, fees = Worth(feed), settings.commission
    stored = book.accounts()
    accounts: dict[str, Account] = {}
    for opening in settings.accounts:
        account = Account(venue, opening.name, opening.margin, fees, worth)
        known = stored.get(opening.name) or _opened(opening, book)
        account.cash, account.realized, account.commissions = known.cash, known.realized, known.commissions
        accounts[opening.name] = account
    for each in book.positions():
        holder = accounts.get(each.position.account)
        if holder is not None:
            holder.holdings[each.position.symbol] = Holding(each.position, each.asset_class, each.currency)
    exchange = Exchange(venue, feed, accounts, sessions, fees, book.numbers(), book.find)
    exchange.restore(book.open_orders())
    return exchange


def _opened(opening: Opening, book: Book) -> StoredAccount:
    account = StoredAccount({BASE: opening.amount})
    book.write_account(opening.name, account)
    return account
