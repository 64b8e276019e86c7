"""The daemon is killed with -9 at random points of a burst of orders from four clients, and started again.

Nothing that was acknowledged is lost, nothing is sent twice, and who listens to the stream and resumes hears every
order event once. Witnesses: what the clients were told, what the stream's listeners heard, the journal, and the paper
broker's own book. `make test` has 25 points, `make soak` 200. SOAK_SEED=… (printed by each test) gives other
points, and a failed test's again: the points are the same then, what they meet is as chance has it.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import pytest

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e import soak_truth
from tests.e2e.soak_clients import SYMBOLS, Clients, LoopThread
from tests.e2e.soak_points import Moment, Point, first
from tests.e2e.soak_stream import Listener
from tests.e2e.soak_truth import Truth

SEED = int(os.environ.get("SOAK_SEED", "20131007"))
POINTS = 25
"""Kills of one series: one journal, one set of clients."""
OPENING = Decimal(10_000_000_000)
"""Dollars in each account: no order is refused for want of them."""
LATENCIES = ("0", "0", "0.01", "0.04")
"""Seconds from an order's sending to its arrival, of which each life of the daemon has one: more is on its way then."""
PASSING = {"PENDING_NEW", "PENDING_CANCEL", "PENDING_REPLACE", "UNKNOWN"}
"""What no order may be after a reconciliation with a broker that answers every question."""

NEVER_SENT = {("REJECTED", "NEVER_ARRIVED"), ("REJECTED", "VENUE_DOWN"), ("DENIED", "STOPPING")}
"""What an order is that the broker has not got: after a kill; and, after a clean stop, taken too late or refused."""


def test_25_kills(make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    run_series(make_daemon, tmp_path, SEED)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEED, SEED + 8))
def test_200_kills(make_daemon: Callable[..., Daemon], tmp_path: Path, seed: int) -> None:
    run_series(make_daemon, tmp_path, seed)


def run_series(make_daemon: Callable[..., Daemon], scratch: Path, seed: int) -> None:
    """25 kills, and one clean stop in the midst of a burst."""
    print(f"SOAK_SEED={seed}")
    series = Series(make_daemon, scratch, seed)
    try:
        points = first(POINTS, Random(seed))
        for number, point in enumerate(points, 1):
            with series.telling(f"kill {number}, at {point}"):
                series.kill_at(point)
            if number == POINTS // 2:
                with series.telling("the clean stop"):
                    series.stop_in_burst()
        with series.telling("the end"):
            series.finish()
        print(f"{len(series.clients.placed)} orders; without an answer when the daemon died: {dict(series.doubts)}")
    finally:
        series.end()


class Start(Thread):
    """Starts the daemon and waits until it is Up, while others may kill it."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__(name="soak-start", daemon=True)
        self.failure: BaseException | None = None
        self._daemon = daemon
        self._before = daemon.process
        self.start()

    def run(self) -> None:
        """Keep what it fails with: a killed daemon does not start."""
        try:
            self._daemon.start().up()
        except BaseException as error:
            self.failure = error

    @property
    def launched(self) -> int | None:
        """The new process, once there is one."""
        process = self._daemon.process
        return process.pid if process is not None and process is not self._before else None

    def done(self) -> None:
        """Wait until it is Up."""
        self.join(PATIENCE)
        if self.failure is not None:
            raise self.failure


class Series:
    """One journal and its clients, through many deaths. Between two points the daemon is dead."""

    def __init__(self, make_daemon: Callable[..., Daemon], scratch: Path, seed: int) -> None:
        self.seed = seed
        self.daemon = make_daemon(
            PAPER_FEED=f"synthetic:{seed}",
            PAPER_ACCOUNTS=f"API_ACCOUNT:margin:{OPENING},PAPER_CASH:cash:{OPENING}",
            API_TIMEZONE=noon_zone(),
            LOG_LEVEL="warn",
        )
        self.doubts: Counter[str] = Counter()
        """What was found of orders that had not been answered when the daemon died."""
        self._scratch = scratch
        self._chance = Random(f"latencies {seed}")
        self._thread = LoopThread()
        self._never = Event()
        self._listeners = [Listener(option, self.daemon) for option in ("order-data", "execution-data")]
        self._listening: list[Future[None]] = []
        prices = dict.fromkeys(SYMBOLS, 0.0)
        self.clients = Clients(f"{seed}", self.daemon, prices)
        self._start()
        for symbol in SYMBOLS:
            prices[symbol] = self.daemon.call("query_symbol", symbol=symbol)["last"]
        self.truth = self._die()

    @contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """Say with a failure where it was, and what the daemon logged."""
        try:
            yield
        except BaseException as error:
            error.add_note(f"SOAK_SEED={self.seed}, {what}; the daemon's log ends with\n{self.daemon.tail()}")
            raise

    # points

    def kill_at(self, point: Point) -> None:
        """Live up to a point, die there, and look at what is left."""
        if point.moment in (Moment.LAUNCH, Moment.JOURNAL_OPENED):
            self._die_starting(point)
        elif point.moment is Moment.UP:
            self._start()
            recovery = self._thread.start(self.clients.recover(self.truth.journalled))
            self._never.wait(point.delay)  # the delay is the kill point
            self.truth = self._die()
            self._close_after(recovery)
        else:
            self._recover()
            self.truth = self._burst(point)

    def stop_in_burst(self) -> None:
        """SIGTERM under a burst: what was taken is kept, and a snapshot is left for the next start."""
        self._recover()
        reached = Event()
        burst = self._thread.start(self.clients.burst(60, reached.set))
        assert reached.wait(PATIENCE), "the burst did not come to 60 answers"
        assert self.daemon.stop() == 0
        self._close_after(burst)
        self.truth = self._died()
        assert (self.daemon.folder / "snapshot").exists(), "a clean stop left no snapshot"

    def _die_starting(self, point: Point) -> None:
        start = self._launch()
        pid = until(lambda: start.launched, self.daemon)
        lock = self.daemon.folder / "journal.sqlite3.lock"
        if point.moment is Moment.JOURNAL_OPENED:
            until(lambda: lock.read_text() == str(pid) or start.failure, self.daemon)
        self._never.wait(point.delay)  # the delay is the kill point
        assert start.failure is None, start.failure
        os.kill(pid, signal.SIGKILL)
        start.join(PATIENCE)
        self.truth = self._died()

    def _burst(self, point: Point) -> Truth:
        reached = Event()
        burst = self._thread.start(self.clients.burst(point.answers, reached.set))
        if point.moment is Moment.ANSWER:
            reached.wait(PATIENCE)
        else:
            self._never.wait(point.delay)  # the delay is the kill point
        truth = self._die()
        self._close_after(burst)
        return truth

    def _close_after(self, work: Future[Any]) -> None:
        """Let the clients notice that the daemon is gone, and drop the connections that they were not using."""
        work.result(PATIENCE)
        self._thread.run(self.clients.close())

    # life and death

    def _launch(self) -> Start:
        self.daemon.environment["PAPER_LATENCY"] = self._chance.choice(LATENCIES)
        return Start(self.daemon)

    def _start(self) -> None:
        self._launch().done()
        self._listening = [self._thread.start(each.listen()) for each in self._listeners]

    def _die(self) -> Truth:
        self.daemon.kill()
        return self._died()

    def _died(self) -> Truth:
        """What the dead daemon has left."""
        for listening in self._listening:
            listening.result(PATIENCE)
        return soak_truth.read(self.daemon.folder, self._scratch)

    def _recover(self) -> None:
        """Start; compare what it says with what was on disk; let the clients settle what is in doubt."""
        soak_truth.check(self.truth, self.clients.placed)
        self._start()
        self._check_recovered()
        alive = self._thread.run(self.clients.recover(self.truth.journalled))
        assert alive, "the daemon died by itself"

    def _check_recovered(self) -> None:
        """The disk's evidence decides what each order in doubt is now."""
        until(lambda: not self._passing(), self.daemon)  # a cancel that was lost is sent again, and answered
        orders = self.daemon.call("query_open_orders")
        theirs = {each for each, order in self.truth.book.items() if order["status"] in ("NEW", "PARTIALLY_FILLED")}
        assert orders.keys() <= theirs, f"orders that the broker has not open: {orders.keys() - theirs}"
        for lane in self.clients.lanes:
            for order in lane.recent:
                if not order.acknowledged:
                    self._check_doubtful(order.key, self.daemon.call("query_order", id=order.key))

    def _passing(self) -> list[str]:
        orders = self.daemon.call("query_open_orders")
        return [each for each, order in orders.items() if order["order_status"] in PASSING]

    def _check_doubtful(self, key: str, shown: dict[str, Any] | None) -> None:
        where = "at the broker" if self.truth.arrived(key) else "journalled" if key in self.truth.keys else "nowhere"
        self.doubts[where] += 1
        if key not in self.truth.keys:
            assert shown is None, f"{key} was not in the journal, and is now {shown}"
            return
        assert shown is not None, f"{key} is in the journal, and query_order does not know it"
        never = (shown["order_status"], shown["reason"]) in NEVER_SENT
        assert never is not self.truth.arrived(key), (
            f"{key} {'is' if self.truth.arrived(key) else 'is not'} at the broker, and here it is {shown}"
        )

    # the end

    def finish(self) -> None:
        """All keys once more; then everything is ended, the daemon stopped, and the witnesses are compared."""
        self._recover()
        entries = self._entries()
        self._thread.run(self.clients.repeat_all())
        assert self._entries() == entries, "sending every key again made new orders"
        self.daemon.call("global_cancel")
        until(lambda: not self.daemon.call("query_open_orders"), self.daemon)
        orders = self.daemon.call("query_orders")
        positions = self.daemon.call("query_positions")
        cash = {each: self.daemon.call("query_account", account=each)["_cash"] for each in positions}
        last = max(order["seq"] for order in orders.values())
        until(lambda: self._listeners[0].seq >= last, self.daemon)
        assert self.daemon.stop() == 0
        self.truth = self._died()
        soak_truth.check(self.truth, self.clients.placed)
        self._check_orders(orders)
        self._check_accounts(positions, cash)
        self._check_streams(orders)

    def _entries(self) -> int:
        """How many orders the journal has."""
        entries: list[Any] = []
        while page := self.daemon.call(
            "query_journal",
            kind="OrderSubmitted,OrderDenied,ExternalOrderFound",
            after=entries[-1]["seq"] if entries else 0,
            limit=1000,
        ):
            entries.extend(page)
        return len(entries)

    def _check_orders(self, orders: dict[str, Any]) -> None:
        """Every key is exactly one order: here, in the journal, and at the broker, unless it never came there."""
        placed = {order.key: order.permid for order in self.clients.placed}
        shown = {order["client_order_id"]: permid for permid, order in orders.items()}
        assert shown == placed, f"orders that are not what the clients were told: {shown.items() ^ placed.items()}"
        for permid, order in orders.items():
            book = self.truth.book.get(permid)
            if book is None:
                assert (order["order_status"], order["reason"]) in NEVER_SENT, f"the broker has not got {order}"
                continue
            ours = (order["order_status"], Decimal(str(order["filled"])))
            assert ours == (book["status"], Decimal(book["filled"])), f"{permid} is {ours}, at the broker {book}"

    def _check_accounts(self, positions: dict[str, dict[str, float]], cash: dict[str, float]) -> None:
        """Positions and cash are the sum of the broker's executions, to the cent."""
        held: dict[tuple[str, str], Decimal] = {}
        left = dict.fromkeys(positions, OPENING)
        for fill in self.truth.book_fills:
            quantity = Decimal(fill["quantity"]) * (1 if fill["side"] == "BUY" else -1)
            key = (fill["account"], fill["symbol"])
            held[key] = held.get(key, Decimal(0)) + quantity
            left[fill["account"]] -= quantity * Decimal(fill["price"]) + Decimal(fill["commission"])
        summed = {key: quantity for key, quantity in held.items() if quantity}
        ours = {(name, symbol): Decimal(str(each)) for name, held in positions.items() for symbol, each in held.items()}
        assert ours == summed == self.truth.positions
        assert {name: Decimal(str(amount)) for name, amount in cash.items()} == left == self.truth.cash
        missing = {fill["id"] for fill in self.truth.book_fills} ^ {fill[0] for fill in self.truth.fills}
        assert not missing, f"executions that only one of journal and broker has: {missing}"

    def _check_streams(self, orders: dict[str, Any]) -> None:
        """Each listener heard every record of its kind once, in order, across all deaths."""
        for listener, expected in zip(self._listeners, (self.truth.seqs(), self.truth.seqs("Executed")), strict=True):
            heard = [seq for seq, _ in listener.heard]
            assert not listener.errors, listener.errors
            assert heard == expected, (
                f"{listener.option}: missed {sorted(set(expected) - set(heard))[:20]}, not expected "
                f"{sorted(set(heard) - set(expected))[:20]}, {len(heard) - len(set(heard))} heard twice or more"
            )
        owners = {row.seq: row.order_id for row in self.truth.records}
        final: dict[str, Any] = {}
        for seq, order in self._listeners[0].heard:
            assert order["permid"] == owners[seq], f"record {seq} is about {owners[seq]}, the stream said {order}"
            final[order["permid"]] = order
        different = [each for each in orders if final[each] != orders[each]]
        assert not different, f"last heard {final[different[0]]}, asked for {orders[different[0]]}"

    def end(self) -> None:
        """However it went."""
        self.daemon.end()
        self._thread.run(self.clients.close())
        self._thread.end()
        shutil.rmtree(self._scratch, ignore_errors=True)


def noon_zone() -> str:
    """A time zone in which it is about noon now: no midnight, where day orders end, comes while the test runs."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"
