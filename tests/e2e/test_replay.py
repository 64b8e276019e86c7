"""IBM's two real days, replayed as fast as they go, with strategies on both accounts that trade them by the
client.

Every execution is held against the files themselves: was it possible at its moment? Positions, cash and commissions
are computed a second time here. And once more the same orders, at the same moments, give the same executions.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import DATA, PATIENCE, Daemon
from tests.e2e import replay_again
from tests.e2e.replay_files import NEW_YORK, Recording, Shown
from tests.e2e.replay_lives import Fill, Life, Terms, commission, fills_of, lives_of
from tests.e2e.replay_strategy import SYMBOL, Strategy
from txgateway_client import API

DAYS = ("20131007", "20131008")
LOCAL_DAYS = ("2013-10-07", "2013-10-08")
FILES = [DATA / f"ibm-{day}-{kind}.csv.gz" for day in DAYS for kind in ("quotes", "trades")]
FEED = f"replay:{DATA}/ibm-2013100[78]-*.csv.gz@max"
OPENING = Decimal(10_000_000)
ACCOUNTS = {"API_ACCOUNT": f"margin:{OPENING}", "PAPER_CASH": f"cash:{OPENING}"}
OPTIONS = {"feed": FEED, "accounts": ",".join(f"{name}:{terms}" for name, terms in ACCOUNTS.items())}
ZERO = Decimal(0)

pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in FILES), reason=f"the market data to replay is not there: {DATA}"
)


@dataclass(frozen=True)
class Replay:
    """What the daemon says when it is over, and the files."""

    files: Recording
    lives: dict[str, Life]
    fills: list[Fill]
    orders: dict[str, Any]
    positions: dict[str, dict[str, Any]]
    accounts: dict[str, dict[str, Any]]
    bars: dict[tuple[str, str], Any]
    journal: list[Any]

    def lives_with(self, **members: Any) -> list[Life]:
        """The orders with these members, if they traded."""
        return [
            life
            for life in self.lives.values()
            if life.fills and all(getattr(life, name) == value for name, value in members.items())
        ]


@pytest.fixture(scope="module")
def replay(make_daemon: Callable[..., Daemon]) -> Replay:
    """The two days, traded."""
    daemon = make_daemon(
        PAPER_FEED=FEED,
        PAPER_ACCOUNTS=OPTIONS["accounts"],
        ENABLE_TICKER="1",
        LOG_HTTP_REQUESTS="0",
        RISK="reference_age=86400",  # within the files' days there are gaps longer than the default allows
    ).start()
    user, password = daemon.session.auth  # type: ignore[misc]
    config = {"TXGATEWAY_HTTP_PORT": str(daemon.http_port), "TXGATEWAY_USERNAME": user, "TXGATEWAY_PASSWORD": password}
    files = Recording(DATA, SYMBOL.lower(), DAYS)
    end = f"{files.end.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}"
    with API(config=config) as api:
        api.wait_for_up(PATIENCE, interval=0.05)
        api.add_symbol(SYMBOL)  # the replay begins; its first quote is there
        strategies = [Strategy(account, f"{account}-{twin}", config, end) for account in ACCOUNTS for twin in range(4)]
        for strategy in strategies:
            strategy.start()
        for strategy in strategies:
            strategy.done(PATIENCE)
        told = _ask(api)
    assert daemon.stop() == 0
    return Replay(files=files, journal=replay_again.records(daemon.folder / "journal.sqlite3"), **told)


def _ask(api: API) -> dict[str, Any]:
    """All that the tests are about."""
    journal: list[Any] = []
    while page := api.query_journal(after=journal[-1]["seq"] if journal else 0, limit=1000):
        journal.extend(page)
    fills = fills_of(api.query_executions(since=LOCAL_DAYS[0]).values())
    spans = {(day, period) for day in LOCAL_DAYS for period in ("1", "5")}
    return {
        "fills": fills,
        "lives": lives_of(journal, fills),
        "orders": api.query_orders(since=LOCAL_DAYS[0]),
        "positions": api.query_positions(),
        "accounts": {name: api.query_account(name) for name in ACCOUNTS},
        "bars": {
            (day, period): api.query_bars(SYMBOL, period, f"{day} 09:30", f"{day} 15:59") for day, period in spans
        },
    }


def test_the_strategies_met_everything(replay: Replay) -> None:
    """What this module is about did happen: or all else here would say little."""
    for kind in ("MARKET", "LIMIT", "STOP", "STOP_LIMIT"):
        assert replay.lives_with(kind=kind), f"no {kind} order traded"
    for tif in ("DAY", "GTC", "IOC", "FOK"):
        assert replay.lives_with(tif=tif), f"no {tif} order traded"
    for account in ACCOUNTS:
        assert {life.buys for life in replay.lives_with(account=account)} == {True, False}
    traded = replay.lives_with()
    assert any(len(life.fills) > 1 for life in traded), "no order was filled in parts"
    assert any(len(life.terms) > 1 for life in traded), "no replaced order traded"
    assert any(life.how == "CANCELED" and life.tif not in ("IOC", "FOK") for life in replay.lives.values())
    assert {fill.time.astimezone(NEW_YORK).strftime("%Y-%m-%d") for fill in replay.fills} == set(LOCAL_DAYS)
    print(f"{len(replay.lives)} orders, {len(replay.fills)} executions")


def test_every_execution_was_possible(replay: Replay) -> None:
    """At its moment a quote was current that shows its very price on the side it traded with."""
    for fill in replay.fills:
        quote = replay.files.quote_at(fill.time)
        assert quote.fair, f"{fill} traded with {quote}, which is crossed, locked or empty"
        price, _ = quote.side(fill.buys)
        assert fill.price == price, f"{fill} traded with {quote}"


def test_no_more_traded_than_was_shown(replay: Replay) -> None:
    """All executions with one side of one quote, of both accounts, are together no more than its size."""
    used: dict[tuple[int, bool], Decimal] = defaultdict(Decimal)
    for fill in replay.fills:
        quote = replay.files.quote_at(fill.time)
        used[quote.number, fill.buys] += fill.quantity
        _, size = quote.side(fill.buys)
        assert used[quote.number, fill.buys] <= size, f"{fill} is more than {quote} had left"


def test_no_limit_was_passed(replay: Replay) -> None:
    """No order traded beyond its limit, for more than its quantity, before it came or after it ended."""
    for life in replay.lives.values():
        for fill in life.fills:
            good = [_within(terms, life.buys, fill.price) for terms in life.terms_at(fill)]
            assert any(good), f"{fill} is beyond the limit of {life}"
            assert life.accepted is not None
            assert life.accepted <= fill.time <= (life.ended or fill.time), f"{fill} was not in the life of {life}"
        most = max((terms.quantity for terms in life.terms), default=ZERO)
        assert life.filled <= most, f"{life} filled {life.filled}"
        order = replay.orders[life.id]
        assert Decimal(str(order["filled"])) == life.filled
        assert order["order_status"] == (life.how or ("PARTIALLY_FILLED" if life.filled else "NEW"))


def test_no_stop_traded_before_the_market_came_to_it(replay: Replay) -> None:
    for life in [*replay.lives_with(kind="STOP"), *replay.lives_with(kind="STOP_LIMIT")]:
        assert life.accepted is not None
        stop, first = life.terms[0].stop, life.fills[0].time
        assert stop is not None
        prices = [trade.price for trade in replay.files.trades_in(life.accepted, first)]
        prices += [quote.side(life.buys)[0] for quote in replay.files.quotes_in(life.accepted, first) if quote.fair]
        reached = max(prices) >= stop if life.buys else min(prices) <= stop
        assert reached, f"{life} traded, and the market was never at its stop"


def test_orders_end_when_their_time_in_force_says(replay: Replay) -> None:
    """IOC and FOK live for a moment, FOK fills whole or not at all, DAY ends at midnight."""
    midnight = datetime.combine(datetime.fromisoformat(LOCAL_DAYS[1]).date(), time(), NEW_YORK)
    for life in replay.lives.values():
        if life.tif in ("IOC", "FOK"):
            assert life.ended is not None, f"{life} works on"
            assert life.accepted in (None, life.ended), f"{life} did not end at once"
        if life.tif == "FOK":
            assert life.filled in (ZERO, life.asked.quantity), f"{life} was filled in part"
            assert life.how in ("FILLED", "REJECTED")
        if life.tif == "DAY" and life.accepted is not None and life.accepted < midnight:
            assert life.ended is not None, f"{life} outlived its day"
            assert life.ended <= midnight, f"{life} outlived its day"
        if life.how == "EXPIRED":
            assert life.tif == "DAY"
            assert life.ended == midnight


def test_nothing_that_could_trade_was_left(replay: Replay) -> None:
    """Where an order at the end of a quote's life would still have taken its price, that side was used up."""
    used: Counter[tuple[int, bool]] = Counter()
    for fill in replay.fills:
        used[replay.files.quote_at(fill.time).number, fill.buys] += fill.quantity  # type: ignore[assignment]
    for life in replay.lives.values():
        if life.accepted is None or life.kind not in ("MARKET", "LIMIT"):
            continue
        for quote in replay.files.quotes_in(life.accepted, life.ended or replay.files.end):
            price, size = quote.side(life.buys)
            if used[quote.number, life.buys] < size and quote.fair:
                assert not _wants(life, quote, price), f"{life} was left by {quote}, of which there was more"


def _wants(life: Life, quote: Shown, price: Decimal) -> bool:
    """Whether the order worked at the end of the quote's life, with something left to fill at that price."""
    if life.ended is not None and life.ended < quote.until:
        return False
    terms = life.terms_before(quote.until)
    return _within(terms, life.buys, price) and life.filled_before(quote.until) < terms.quantity


def _within(terms: Terms, buys: bool, price: Decimal) -> bool:
    """Whether a price is no worse than the limit."""
    return terms.limit is None or (price <= terms.limit if buys else price >= terms.limit)


def test_commissions_are_what_is_documented(replay: Replay) -> None:
    """However many parts an order was filled in, it costs the same; each part costs what it adds."""
    for life in replay.lives.values():
        quantity, value, paid = ZERO, ZERO, ZERO
        for fill in life.fills:
            quantity, value, paid = quantity + fill.quantity, value + fill.quantity * fill.price, paid + fill.commission
            assert paid == commission(quantity, value), f"{fill} of {life}"
        assert Decimal(str(replay.orders[life.id]["commission"])) == paid


def test_positions_cash_and_commissions_reconcile(replay: Replay) -> None:
    """To the cent, from nothing but the executions."""
    for account in ACCOUNTS:
        position, cash, paid = ZERO, OPENING, ZERO
        for fill in replay.fills:
            if fill.account == account:
                signed = fill.quantity if fill.buys else -fill.quantity
                position += signed
                cash -= signed * fill.price + fill.commission
                paid += fill.commission
        held = {SYMBOL: float(position)} if position else {}
        assert replay.positions[account] == held
        shown = replay.accounts[account]
        assert Decimal(str(shown["_cash"])) == cash
        assert Decimal(str(shown["commissions"])) == paid
    assert replay.positions["PAPER_CASH"].get(SYMBOL, 0) >= 0, "a cash account was short"


def test_bars_are_made_of_the_trades(replay: Replay) -> None:
    """Minutes, and five of them, of the regular hours."""
    for (day, period), rows in replay.bars.items():
        expected = [list(row) for row in replay.files.bars(day, "09:30", "15:59", int(period))]
        assert rows == expected
        assert len(rows) > 70


def test_the_same_orders_at_the_same_moments_trade_the_same(replay: Replay, tmp_path: Path) -> None:
    """Files and orders decide everything: neither the machine's speed nor its clock has a part in it."""
    orders = replay_again.commands(replay.journal)
    assert len(orders) > len(replay.lives), "there are replaces and cancels too"
    assert replay_again.again(SYMBOL, OPTIONS, orders, tmp_path) == replay_again.executed(replay.journal)


def test_midnight_is_where_it_should_be(replay: Replay) -> None:
    """The files' two days are one local midnight apart (a check of this module's own reading)."""
    local = {quote.time.astimezone(NEW_YORK).date() for quote in replay.files.quotes}
    assert sorted(local) == [datetime.fromisoformat(day).date() for day in LOCAL_DAYS]
    assert max(local) - min(local) == timedelta(days=1)
