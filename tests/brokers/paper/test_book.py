"""The book file: what it remembers, whatever happens to the process."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from txgateway.brokers.paper.book import UPGRADES, Book, BookError
from txgateway.model.order import OrderStatus

D = Decimal
NOW = datetime(2024, 3, 1, 15, tzinfo=UTC)
Open = Callable[..., Any]


def test_everything_is_there_after_a_restart(open_venue: Open) -> None:
    venue = open_venue()
    venue.broker.subscribe("IBM")
    venue.send("BUY", 100)
    venue.send("BUY", 200, account="PAPER_CASH")
    resting = venue.send("BUY", 100, limit="1.50", tif="GTC")
    stop = venue.send("SELL", 50, stop="2.00", limit="1.90", tif="GTC", account="PAPER_CASH")
    ticket = venue.send("SELL", 10, tag="desk")
    before = ask_everything(venue)
    venue.broker.stopService()
    again = open_venue(venue.time())
    assert ask_everything(again) == before
    assert {each.order_id for each in again.do(again.broker.open_orders())} == {
        resting.order_id,
        stop.order_id,
        ticket.order_id,
    }
    assert again.kinds() == [], "nothing is told a second time"
    again.number = venue.number
    more = again.send("BUY", 1)
    assert again.events(more)[0].broker_order_id == "P000006"
    ids = [each.execution_id for each in again.do(again.broker.executions(None))]
    assert len(set(ids)) == len(ids) == 3


def ask_everything(venue: Any) -> list[Any]:
    ask, broker = venue.do, venue.broker
    return [
        ask(broker.open_orders()),
        list(ask(broker.executions(None))),
        sorted(ask(broker.positions()), key=str),
        [ask(broker.balances(account)) for account in broker.accounts()],
    ]


def test_resting_orders_go_on_after_a_restart_by_themselves(open_venue: Open) -> None:
    venue = open_venue()
    venue.broker.subscribe("IBM")
    order = venue.send("SELL", 100, limit=venue.quote().bid + D("0.05"), tif="GTC")
    venue.broker.stopService()
    again = open_venue(venue.time())
    again.later(3600)
    (fill,) = again.fills(order)
    assert fill.order_id == order.order_id


def test_day_orders_that_ended_meanwhile_expire_at_the_start(open_venue: Open) -> None:
    venue = open_venue()
    order = venue.send("BUY", 100, limit="1.50")
    venue.broker.stopService()
    again = open_venue(venue.time() + timedelta(days=1))
    assert again.kinds(order) == ["OrderExpired"]
    assert again.do(again.broker.lookup(order)).status is OrderStatus.EXPIRED


def test_a_changed_order_is_remembered_as_changed(open_venue: Open) -> None:
    venue = open_venue()
    order = venue.send("BUY", 100, limit="1.50", tif="GTC")
    venue.do(venue.broker.replace(replace(order, asked_quantity=D(70), asked_limit_price=D("1.25"))))
    venue.broker.stopService()
    (report,) = (again := open_venue()).do(again.broker.open_orders())
    assert (report.quantity, report.limit_price) == (70, D("1.25"))
    again.do(again.broker.cancel(order))
    again.broker.stopService()
    last = open_venue()
    assert last.do(last.broker.open_orders()) == []


def test_an_account_keeps_its_cash_and_a_new_one_gets_its_amount(open_venue: Open) -> None:
    venue = open_venue(accounts="API_ACCOUNT:1000000")
    venue.send("BUY", 100)
    cash = venue.cash()
    venue.broker.stopService()
    again = open_venue(accounts="API_ACCOUNT:5,OTHER:cash:77")
    assert again.cash() == cash
    assert again.cash("OTHER") == 77


def test_orders_of_an_account_that_went_away_can_still_be_canceled(open_venue: Open) -> None:
    venue = open_venue(accounts="ONE,API_ACCOUNT")
    order = venue.send("BUY", 100, limit="1.50", tif="GTC", account="ONE")
    ticket = venue.send("BUY", 100, limit="1.50", tag="x", account="ONE")
    venue.broker.stopService()
    again = open_venue(accounts="API_ACCOUNT")
    again.do(again.broker.replace(replace(order, asked_quantity=D(10))))
    again.do(again.broker.release(ticket))
    again.do(again.broker.cancel(order))
    assert again.kinds() == ["ReplaceRejected", "OrderRejected", "OrderCanceled"]


def test_the_file_as_it_was_in_the_middle_of_work_can_be_opened(open_venue: Open, tmp_path: Path) -> None:
    """What a lost process leaves: the files as they are, never closed."""
    venue = open_venue(folder=tmp_path / "lost")
    venue.broker.subscribe("IBM")
    for _ in range(50):
        venue.clock.advance(1)
        venue.send("BUY", 10)
        venue.send("BUY", 10, limit="1.50", tif="GTC")
    shutil.copytree(tmp_path / "lost", tmp_path / "found")
    found = open_venue(venue.time(), tmp_path / "found")
    assert list(found.do(found.broker.executions(None))) == venue.fills()
    assert len(found.do(found.broker.open_orders())) == 50
    assert found.cash() == venue.cash()


KILLED = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
sys.path[:0] = [{root!r}, {here!r}]
from conftest import Venue
from txgateway.model.events import Executed

venue = Venue(Path({folder!r}), {{}})
def hear(event):
    if isinstance(event, Executed):
        print(event.execution.execution_id, event.order_id, flush=True)
venue.hear = hear
venue.broker._setup = __import__("dataclasses").replace(venue.broker._setup, report=hear)
venue.broker.startService()
venue.broker.subscribe("IBM")
while True:
    venue.clock.advance(0.01)
    venue.send("BUY" if venue.number % 2 else "SELL", 10)
"""


@pytest.mark.parametrize("lines", [1, 40, 333])
def test_what_was_told_survives_kill_9(open_venue: Open, tmp_path: Path, lines: int) -> None:
    folder, here = tmp_path / "killed", Path(__file__).parent
    script = KILLED.format(root=str(here.parents[2]), here=str(here), folder=str(folder))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = [process.stdout.readline().split() for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        told += [line.split() for line in process.stdout if line.endswith("\n")]
    found = open_venue(NOW + timedelta(hours=1), folder)
    executions = list(found.do(found.broker.executions(None)))
    ids = [each.execution_id for each in executions]
    assert len(set(ids)) == len(ids)
    assert {tuple(pair) for pair in told} <= {(each.execution_id, each.order_id) for each in executions}
    assert len(executions) - len(told) <= 1, "at most the one that was being told"
    assert len({each.order_id for each in executions}) == len(executions)
    spent = sum(each.signed_quantity * each.price + each.commission for each in executions)
    assert found.cash() == 10_000_000 - spent
    assert sum(each.quantity for each in found.do(found.broker.positions())) == sum(
        each.signed_quantity for each in executions
    )


def test_executions_after_the_feeds_clock_went_back_are_always_given(open_venue: Open, write_csv: Open) -> None:
    rows = [(1_381_132_800_000 + second * 1000, 9, 500, 10, 500) for second in range(10)]
    feed = f"replay:{write_csv('a-q.csv', 'time,bid,bid_size,ask,ask_size', rows)}@1x"
    first = open_venue(feed=feed)
    first.broker.subscribe("A")
    first.later(9)
    first.send("BUY", 10, "A")
    since = first.broker.now()
    first.broker.stopService()
    second = open_venue(feed=feed)
    second.number = 1
    second.broker.subscribe("A")
    second.later(2)
    second.send("BUY", 20, "A")
    assert [each.quantity for each in second.do(second.broker.executions(since))] == [20]
    second.broker.stopService()
    third = open_venue(feed=feed)
    assert [each.quantity for each in third.do(third.broker.executions(since))] == [20], "one life later too"


def test_ids_of_a_new_book_are_not_those_of_the_old_one(open_venue: Open, tmp_path: Path) -> None:
    one, two = open_venue(folder=tmp_path / "1"), open_venue(NOW + timedelta(seconds=1), tmp_path / "2")
    first, second = one.fills(one.send()), two.fills(two.send())
    assert first[0].execution_id != second[0].execution_id


# the file itself


def test_a_book_of_a_newer_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {len(UPGRADES) + 1}")
    db.close()
    with pytest.raises(BookError, match="newer txgatewayd"):
        Book(path, "paper").open(NOW, NOW)


def test_what_is_no_book_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite3"
    path.write_text("this is not a database, and it is long enough to be looked at by sqlite" * 100)
    with pytest.raises(BookError, match="move it away"):
        Book(path, "paper").open(NOW, NOW)
    assert path.read_text().startswith("this is not")


def test_a_book_is_upgraded_from_nothing_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "book.sqlite3"
    for _ in range(2):
        book = Book(path, "paper")
        book.open(NOW, NOW)
        serial = book.serial
        assert book.numbers().order == 0
        book.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(UPGRADES),)
        assert db.execute("SELECT value FROM facts WHERE name = 'serial'").fetchone() == (serial,)
    db.close()


def test_the_files_name_is_the_venues(open_venue: Open, tmp_path: Path) -> None:
    open_venue()
    assert (tmp_path / "book-paper.sqlite3").is_file()
