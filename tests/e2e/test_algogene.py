"""ALGOGENE's calls against the real daemon: the published script as it stands, every call, and what it was not told."""

from __future__ import annotations

import builtins
import json
import random
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from txgateway import sources
from txgateway.model.signal import Source, SourceKind

KEY = "YOUR_API_KEY"
SCRIPTS = Path(__file__).parents[1] / "signals" / "scripts"
SEED = Path(__file__).parents[3] / "shared" / "seeds"
"""Where the article is from which the script was cut, where it is there."""
STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")
ROW = {
    "broker": str,
    "buysell": int,
    "channel": str,
    "expiry": str,
    "holdtime": float,
    "instrument": str,
    "market": str,
    "openclose": str,
    "order_Ref": str,
    "price": float,
    "product_type": str,
    "right": str,
    "stopLossLevel": float,
    "strike": float,
    "symbol": str,
    "takeProfitLevel": float,
    "timestamp": str,
    "trade_ID": str,
    "unrealizedPL": float,
    "volume": float,
}
"""A trade's members in their order, and their types, as the article shows them."""


def source(name: str = "random", **more: Any) -> Source:
    given = {"account": "API_ACCOUNT", "user": "YOUR_USER_ID", "secret": KEY, **more}
    return Source(name=name, kind=SourceKind.ALGOGENE, **given)


class Script:
    """What a script does: it calls, with its user and key, and its token where it has one."""

    def __init__(self, daemon: Daemon, user: str = "YOUR_USER_ID", key: str = KEY, **more: Any) -> None:
        self.daemon = daemon
        self.given = {"user": user, "api_key": key, "runmode": "livetest", "accountid": "YOUR_ACCOUNT_ID", **more}
        self.token = ""

    @property
    def base_url(self) -> str:
        return f"{self.daemon.url}/algogene/rest/v1"

    def ask(self, call: str, **more: Any) -> requests.Response:
        given = {**self.given, "token": self.token, **more}
        return requests.get(f"{self.base_url}/{call}", params=given, timeout=PATIENCE)

    def tell(self, call: str, **more: Any) -> requests.Response:
        """As the published script does: JSON, and no Content-Type."""
        data = json.dumps({**self.given, "token": self.token, **more})
        return requests.post(f"{self.base_url}/{call}", data=data, timeout=PATIENCE)

    def login(self) -> Script:
        answer = self.ask("session").json()["res"]
        assert STAMP.fullmatch(answer["expired_utc"])
        self.token = answer["token"]
        return self

    def open(self, buysell: str = "BUY", **more: Any) -> int:
        """Open a trade, and wait until it is filled unless it is no market order; its tradeID."""
        given = {"instrument": "BTCUSD", "volume": 1, "ordertype": "MKT", "orderRef": "", "buysell": buysell, **more}
        answer = self.tell("open_order", **given)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert list(told) == ["status", "timestamp_utc", "tradeID"]
        assert told["status"] == "PENDING_TO_FILL"
        assert STAMP.fullmatch(told["timestamp_utc"])
        assert type(told["tradeID"]) is int
        found = "opened_trades" if given["ordertype"] == "MKT" else "pending_trades"
        volume = float(given["volume"])
        until(lambda: [each for each in self.rows(found, told["tradeID"]) if each["volume"] == volume], self.daemon)
        return int(told["tradeID"])

    def rows(self, call: str, trade_id: int | str = "") -> Any:
        answer = self.ask(call, **({"tradeID": trade_id} if trade_id else {}))
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["count"] == len(told["res"])
        return told["res"]

    def ids(self, call: str = "opened_trades") -> list[str]:
        return [each["trade_ID"] for each in self.rows(call)]

    def refused(self, answer: requests.Response) -> str:
        """The sentence of a call that was not carried out."""
        assert answer.status_code == 400, answer.text
        told = answer.json()
        assert list(told) == ["res"]
        return str(told["res"])


def started(make_daemon: MakeDaemon, *more: Source, **environment: str) -> Daemon:
    daemon = make_daemon(**environment)
    daemon.folder.mkdir(parents=True, exist_ok=True)
    sources.write(daemon.folder / sources.FILE, [*(more or (source(rate=1000),))])
    return daemon.start().up()


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return started(make_daemon, source(rate=1000))


@pytest.fixture
def script(daemon: Daemon) -> Iterator[Script]:
    """A script that has logged in; what it leaves open is closed."""
    script = Script(daemon).login()
    yield script
    script.given["accountid"] = "YOUR_ACCOUNT_ID"
    script.login()
    for call, ended in (("opened_trades", "close_orders"), ("pending_trades", "cancel_orders")):
        if script.ids(call):
            script.tell(ended, tradeIDs=",".join(script.ids(call)))
    until(lambda: quiet(daemon) and not script.ids() + script.ids("pending_trades"), daemon)


def held(daemon: Daemon, symbol: str = "BTCUSD") -> float:
    return float(daemon.call("query_positions")["API_ACCOUNT"].get(symbol, 0))


def bid(daemon: Daemon, symbol: str = "BTCUSD") -> float:
    return float(daemon.call("query_symbol", symbol=symbol)["last"])


# ---------------------------------------------------------------- the published script


def quiet(daemon: Daemon) -> bool:
    """Whether all that came in was sent, and nothing of it works any more."""
    if any(each["outcome"] == "PENDING" for each in daemon.call("query_signals", limit=10)):
        return False
    return not daemon.call("query_open_orders")


class Over(Exception):
    """The rounds are over."""


def run(daemon: Daemon, path: Path, rounds: int, seed: int) -> tuple[list[str], dict[str, Any]]:
    """Run a script that loops for ever for some rounds: what it printed, and what it then knows.

    Its text is run as it stands, but for where the daemon listens. Chance is seeded; with each sleep its clock goes a
    minute forward, while nothing is waited for but the end of what works at the venue.
    """
    printed: list[str] = []
    ahead, left = timedelta(0), rounds

    class Clock(datetime):
        @classmethod
        def utcnow(cls) -> datetime:
            return datetime.now(UTC).replace(tzinfo=None) + ahead

    def sleep(seconds: float) -> None:
        nonlocal ahead, left
        until(lambda: quiet(daemon), daemon)
        ahead, left = ahead + timedelta(minutes=seconds), left - 1
        if not left:
            raise Over

    modules = {
        "random": random.Random(seed),
        "datetime": SimpleNamespace(datetime=Clock, timedelta=timedelta),
        "time": SimpleNamespace(sleep=sleep, time=time.time),
    }

    def imported(name: str, *more: Any) -> Any:
        return modules.get(name) or builtins.__import__(name, *more)

    def say(*what: Any) -> None:
        printed.append(" ".join(map(str, what)))

    there: dict[str, Any] = {"__builtins__": {**vars(builtins), "__import__": imported, "print": say}}
    text = path.read_text().replace("http://127.0.0.1:50080", daemon.url)
    with pytest.raises(Over):
        exec(compile(text, path.name, "exec"), there)
    return printed, there


def test_the_published_script_as_it_stands(make_daemon: MakeDaemon) -> None:
    daemon = started(make_daemon)
    daemon.call("market_order", account="API_ACCOUNT", route="DEMO", symbol="BTCUSD", quantity=3)
    until(lambda: held(daemon) == 3, daemon)  # this venue lends no bitcoin, and the script sells
    rounds = 75
    printed, there = run(daemon, SCRIPTS / "algogene_random.py", rounds, 7)
    opened = [line for line in printed if line.startswith("open_order ... ")]
    queried = [line for line in printed if line.startswith("query_order ... ")]
    closed = [line for line in printed if line.startswith("close_order ... ")]
    assert [line for line in printed if line not in {*opened, *queried, *closed}] == []
    number, stamp = r"-?\d+\.\d+(e-?\d+)?", STAMP.pattern
    answer = rf"{{'status': 'PENDING_TO_FILL', 'timestamp_utc': '{stamp}', 'tradeID': \d+}}"
    for line in opened:
        assert re.fullmatch(rf"open_order \.\.\.  {answer}", line), line
    one = (
        r"{'count': 1, 'res': \[{'broker': 'paper', 'buysell': -?1, 'channel': 'api', 'expiry': '', 'holdtime': 0\.0, "
        r"'instrument': 'BTCUSD', 'market': 'CRYPTO', 'openclose': 'open', 'order_Ref': '', "
        rf"'price': {number}, 'product_type': 'SPOT', 'right': '', 'stopLossLevel': 0\.0, 'strike': 0\.0, "
        rf"'symbol': 'BTCUSD', 'takeProfitLevel': 0\.0, 'timestamp': '{stamp}', 'trade_ID': '\d+', "
        rf"'unrealizedPL': {number}, 'volume': 1\.0}}\]}}"
    )
    none = r"{'count': 0, 'res': \[\]}"
    for line in queried:
        assert re.fullmatch(rf"query_order \.\.\.  ({one}|{none})", line), line
    done = r"{'res': \"Submitted close order request for '\d+',\", 'status': 'SUCCESS'}"
    there_is_none = r"{'res': 'Strategy trade \d+ has no position and no order: there is nothing to do\.'}"
    for line in closed:
        assert re.fullmatch(rf"close_order \.\.\.  ({done}|{there_is_none})", line), line
    # what it chose, and what must have come of that
    chance = random.Random(7)
    choices = [chance.choice(["BUY", "SELL", ""]) for _ in range(rounds)]
    sides = [each for each in choices if each]
    assert len(opened) == len(sides) > 40
    rounds_with_a_trade = sum(bool(each) for each in choices[:-1])
    assert sum("'count': 1" in line for line in queried) == rounds_with_a_trade
    assert sum("'SUCCESS'" in line for line in closed) == rounds_with_a_trade
    shown = [1 if "'buysell': 1" in line else -1 for line in queried if "'count': 1" in line]
    assert shown == [1 if each == "BUY" else -1 for each in sides[: len(shown)]]
    last = choices[-1]
    assert held(daemon) == 3 + {"BUY": 1, "SELL": -1, "": 0}[last]
    strategies = daemon.call("query_strategies")
    assert [each["strategy"] for each in strategies] == ([str(there["tradeID"])] if last else [])
    assert len(daemon.call("query_orders")) == 1 + len(opened) + rounds_with_a_trade
    ids = [re.findall(r"'tradeID': (\d+)", line)[0] for line in opened]
    assert sorted(ids, key=int) == ids
    assert len(set(ids)) == len(ids)


def test_the_script_is_the_articles_but_for_two_lines() -> None:
    articles = sorted(SEED.glob("002*.txt"))
    if not articles:
        pytest.skip("the article is not here")
    whole = articles[0].read_text()
    whole = whole[whole.index("Full Python Script") :]
    theirs = whole[whole.index("import requests, random") : whole.index("\nResult\n")].splitlines()
    ours = (SCRIPTS / "algogene_random.py").read_text().splitlines()
    assert len(ours) == len(theirs)
    changed = [(mine, other) for mine, other in zip(ours, theirs, strict=True) if mine != other]
    assert changed == [
        ("import requests, random, json", "import requests, random"),
        ('base_url = "http://127.0.0.1:50080/algogene/rest/v1"', 'base_url = "https://algogene.com/rest/v1"'),
    ]


# ---------------------------------------------------------------- every call


def test_a_trade_from_its_order_to_its_close(daemon: Daemon, script: Script) -> None:
    before, trades = held(daemon), script.ids()
    trade_id = script.open(volume=0.5, orderRef="my order abcd1234")
    (row,) = script.rows("opened_trades", trade_id)
    assert {name: type(value) for name, value in row.items()} == ROW
    assert list(row) == list(ROW)
    assert (row["trade_ID"], row["order_Ref"], row["volume"]) == (str(trade_id), "my order abcd1234", 0.5)
    assert row["price"] == pytest.approx(bid(daemon), rel=0.01)
    assert script.ids() == [*trades, str(trade_id)]
    one = script.ask("query_order", tradeID=trade_id).json()
    assert one["res"] == [row]
    assert (one["status"], one["tradeID"], one["orderRef"], one["price"]) == (
        "FILLED",
        str(trade_id),
        "my order abcd1234",
        row["price"],
    )
    until(lambda: held(daemon) == before + 0.5, daemon)
    for given in (trade_id, str(trade_id)):
        answer = script.tell("close_orders", tradeIDs=given)
        if given is trade_id:
            assert answer.text == f'{{"res":"Submitted close order request for \'{trade_id}\',","status":"SUCCESS"}}'
            until(lambda: held(daemon) == before, daemon)
        else:
            assert "nothing to" in script.refused(answer)
    assert script.rows("opened_trades", trade_id) == []
    until(lambda: held(daemon) == before, daemon)
    told = daemon.call("query_signals", limit=3)
    assert told[0]["about"] == f"close_orders {trade_id}"
    assert {each["source"] for each in told} == {"random"}


def test_several_are_closed_at_once_and_those_that_are_gone_are_named(daemon: Daemon, script: Script) -> None:
    before = held(daemon)
    one, two, three = script.open(), script.open(), script.open()
    script.tell("close_orders", tradeIDs=two)
    until(lambda: str(two) not in script.ids(), daemon)
    answer = script.tell("close_orders", tradeIDs=f"{one},{two}, {three}")
    assert answer.json() == {
        "res": f"Submitted close order request for '{one}','{three}', There is nothing to close of {two}.",
        "status": "SUCCESS",
    }
    until(lambda: held(daemon) == before, daemon)


def test_by_their_reference(daemon: Daemon, script: Script) -> None:
    before = held(daemon)
    one, two, _ = script.open(orderRef="pair"), script.open(orderRef="pair"), script.open(orderRef="other")
    answer = script.tell("close_orders", orderRef="pair").json()
    assert answer["res"] == f"Submitted close order request for '{one}','{two}',"
    until(lambda: held(daemon) == before + 1, daemon)
    assert "has the orderRef 'pair'" in script.refused(script.tell("close_orders", orderRef="pair"))


def test_buy_and_sell_are_trades_of_their_own(daemon: Daemon, script: Script) -> None:
    before = held(daemon, "IBM")
    stock = {"instrument": "IBM", "volume": 10}
    bought = script.open(**stock, stopLossLevel=1)
    sold = script.open("SELL", **stock, stopLossLevel=100_000)
    assert held(daemon, "IBM") == before
    assert [each["buysell"] for each in script.rows("opened_trades") if each["instrument"] == "IBM"] == [1, -1]
    script.tell("close_orders", tradeIDs=bought)
    until(lambda: held(daemon, "IBM") == before - 10, daemon)
    assert script.rows("opened_trades", bought) == []
    script.tell("close_orders", tradeIDs=sold)
    until(lambda: held(daemon, "IBM") == before and quiet(daemon), daemon)


def test_a_limit_order_waits_is_changed_and_is_canceled(daemon: Daemon, script: Script) -> None:
    low = round(bid(daemon) * 0.5, 2)
    limit = {"ordertype": "LMT", "price": low, "volume": 2, "takeProfitLevel": low * 3, "holdtime": 60}
    trade_id = script.open(**limit, orderRef="patient", timeinforce=3600)
    (row,) = script.rows("pending_trades", trade_id)
    assert set(row) == {*ROW, "timeinforce"} - {"unrealizedPL"}
    assert (row["price"], row["volume"], row["order_Ref"], row["timeinforce"]) == (low, 2.0, "patient", 3600.0)
    assert (row["holdtime"], row["takeProfitLevel"], row["stopLossLevel"]) == (
        60.0,
        pytest.approx(low * 3, abs=0.01),
        0,
    )
    assert script.rows("opened_trades", trade_id) == []
    assert script.ask("query_order", tradeID=trade_id).json()["status"] == "PENDING"
    moved = {"price": low + 1.004, "stopLossLevel": low - 100, "holdtime": 0, "orderRef": "less so", "timeinforce": 0}
    answer = script.tell("update_pending_order", tradeID=trade_id, **moved)
    assert answer.json() == {"res": "Submitted for pending order update!", "status": "SUCCESS"}
    until(lambda: script.rows("pending_trades", trade_id)[0]["price"] == pytest.approx(low + 1, abs=0.001), daemon)
    (row,) = script.rows("pending_trades", trade_id)
    assert (row["holdtime"], row["stopLossLevel"], row["order_Ref"], row["timeinforce"]) == (0, low - 100, "less so", 0)
    assert "no position" in script.refused(script.tell("update_opened_order", tradeID=7, holdtime=1))
    answer = script.tell("cancel_orders", tradeIDs=str(trade_id))
    assert answer.json() == {"res": f"Submitted cancel order request for '{trade_id}',", "status": "SUCCESS"}
    until(lambda: script.rows("pending_trades", trade_id) == [], daemon)
    assert "nothing to cancel" in script.refused(script.tell("cancel_orders", tradeIDs=trade_id))
    assert script.ask("query_order", tradeID=trade_id).json() == {"count": 0, "res": []}


def test_a_stop_order_and_one_whose_time_is_over(daemon: Daemon, script: Script) -> None:
    high = round(bid(daemon) * 2, 2)
    stop = script.open(ordertype="STOP", price=high)
    (row,) = script.rows("pending_trades", stop)
    assert row["price"] == high
    script.tell("cancel_orders", tradeIDs=stop)
    brief = script.open(ordertype="LMT", price=100, timeinforce=1)
    until(lambda: script.rows("pending_trades", brief) == [], daemon)
    order = next(each for each in daemon.call("query_orders").values() if each["limit_price"] == 100)
    assert (order["order_status"], order["reason"]) == ("CANCELED", "TIME_OVER")


def test_a_cancel_right_behind_its_order(daemon: Daemon, script: Script) -> None:
    order = {"instrument": "BTCUSD", "buysell": "BUY", "volume": 1, "ordertype": "LMT", "price": 100}
    for _ in range(10):
        trade_id = script.tell("open_order", **order).json()["tradeID"]
        answer = script.tell("cancel_orders", tradeIDs=trade_id)
        assert answer.status_code == 200, answer.text
    until(lambda: quiet(daemon) and script.rows("pending_trades") == [], daemon)


def test_a_close_right_behind_its_order(daemon: Daemon, script: Script) -> None:
    before = held(daemon)
    order = {"instrument": "BTCUSD", "buysell": "BUY", "volume": 1, "ordertype": "MKT"}
    for _ in range(5):
        trade_id = script.tell("open_order", **order).json()["tradeID"]
        answer = script.tell("close_orders", tradeIDs=trade_id)
        assert answer.status_code == 200, answer.text
    until(lambda: quiet(daemon), daemon)
    until(lambda: held(daemon) == before, daemon)
    assert script.ids() == []


def test_the_account(daemon: Daemon, script: Script) -> None:
    trade_id = script.open(instrument="MSFT", volume=7)
    account = script.ask("accounts").json()
    (row,) = account["res"]
    assert account["count"] == 1
    assert (row["accountid"], row["runmode"], row["isTrading"]) == ("API_ACCOUNT", "livetest", True)
    assert sorted(row) == list(row)
    assert STAMP.fullmatch(row["lastUpdatedTime"])
    balance = script.ask("balance").json()
    assert list(balance) == sorted(balance)
    assert balance["BaseCurrency"] == "USD"
    ours = daemon.call("query_account", account="API_ACCOUNT")
    assert balance["NAV"] == pytest.approx(float(ours["equity"]), rel=0.001)
    assert balance["available_Balance"] == pytest.approx(float(ours["available"]), rel=0.001)
    assert balance["margin_Used"] > 0
    for name in ("realized_PL", "unrealized_PL"):
        assert isinstance(balance[name], float)
    positions = script.ask("positions").json()
    assert positions["count"] == len(positions["res"])
    held_here = positions["res"]["MSFT"]
    assert (held_here["Position"], held_here["netVolume"]) == (7.0, 7.0)
    assert held_here["MarketValue"] == pytest.approx(7 * bid(daemon, "MSFT"), rel=0.01)
    assert STAMP.fullmatch(held_here["LastTradeTime"])
    script.tell("close_orders", tradeIDs=trade_id)
    until(lambda: "MSFT" not in script.ask("positions").json()["res"], daemon)


def test_the_market(daemon: Daemon, script: Script) -> None:
    script.token = ""
    known = script.ask("list_instrument").json()
    assert known["count"] == len(known["res"])
    assert known["res"] == sorted(known["res"])
    assert {"BTCUSD", "IBM", "EURUSD"} <= {*known["res"]}
    prices = script.ask("realtime_price", symbols="BTCUSD, IBM").json()
    assert prices["count"] == 2
    quote = prices["res"]["BTCUSD"]
    assert quote["askPrice"] > quote["bidPrice"] > 0
    assert quote["bidOrderBook"] == [[quote["bidPrice"], quote["bidSize"]]]
    assert STAMP.fullmatch(quote["timestamp"])
    for interval, minutes in (("M", 1), ("M5", 5), ("H", 60)):
        bars = script.ask("history_price", instrument="BTCUSD", interval=interval, count=3).json()
        assert bars["count"] == 3
        times = [datetime.strptime(each["t"], "%Y-%m-%d %H:%M:%S") for each in bars["res"]]  # noqa: DTZ007
        assert times == sorted(times)
        assert all(each.minute % min(minutes, 60) == 0 for each in times)
        first = bars["res"][0]
        assert first["l"] <= min(first["o"], first["c"]) <= max(first["o"], first["c"]) <= first["h"]
        assert (first["instrument"], first["symbol"], first["ab"], first["bb"]) == ("BTCUSD", "BTCUSD", [], [])
    days = script.ask("history_price", instrument="IBM", interval="D", count=5, timestamp="2026-03-02").json()
    assert days["count"] == 5
    assert all(each["t"].endswith(" 00:00:00") and each["t"] < "2026-03-02" for each in days["res"])
    end = "2026-03-02 15:00:00"
    bars = script.ask("history_price", instrument="BTCUSD", interval="M", count=2, timestamp=end).json()
    assert [each["t"] for each in bars["res"]] == ["2026-03-02 14:58:00", "2026-03-02 14:59:00"]


def test_reading_works_by_post_too(daemon: Daemon, script: Script) -> None:
    assert script.tell("opened_trades").json()["count"] == len(script.ids())
    assert "token" in script.tell("session").json()["res"]


# ---------------------------------------------------------------- exits


def closed_by(daemon: Daemon, signal_id: str) -> set[str]:
    """What closed the trade that a signal opened: those of its exits that were filled."""
    orders = daemon.call("query_orders").values()
    story = [each for each in orders if each["owner"] == "random" and each["order_status"] == "FILLED"]
    entry = next(each for each in story if each["client_order_id"] == f"sig:{signal_id}:0")
    return {each["leg"] for each in story if each.get("parent") == entry["permid"]}


def opening(daemon: Daemon, trade_id: int) -> str:
    """The id of the signal that opened a trade."""
    told = daemon.call("query_signals", limit=1000)
    return str(next(each["id"] for each in told if each["about"] == f"open_order {trade_id}"))


@pytest.mark.parametrize("buysell", ["BUY", "SELL"])
@pytest.mark.parametrize("leg", ["take_profit", "stop_loss", "close"])
def test_exits_really_act_and_only_once(daemon: Daemon, script: Script, leg: str, buysell: str) -> None:
    daemon.call("market_order", account="API_ACCOUNT", route="DEMO", symbol="BTCUSD", quantity=5)
    until(lambda: quiet(daemon), daemon)  # bitcoin is not lent here: both ways out of it, and in, take some
    before = held(daemon)
    up, price = 1 if buysell == "BUY" else -1, bid(daemon)
    given: dict[str, Any] = {"takeProfitLevel": price * (1 + up * 0.5), "stopLossLevel": price * (1 - up * 0.5)}
    trade_id = script.open(buysell, **given, **({"holdtime": 1} if leg == "close" else {}))

    began = opening(daemon, trade_id)
    name, away = {"take_profit": ("takeProfitLevel", up), "stop_loss": ("stopLossLevel", -up), "close": ("", 0)}[leg]
    level = price * (1 + away * 0.5)

    def closed() -> bool:
        """The level waits close to the price, and follows one that goes away from it: they meet when it turns.

        There are minutes in which it falls all the time, and now and then two of them follow each other.
        """
        nonlocal level
        near = bid(daemon) + 2 * away
        if away * near < away * level:
            answer = script.tell("update_opened_order", tradeID=trade_id, **{name: near})
            level = near if answer.status_code == 200 else level  # on the market's own side of it, it is refused
        return bool(script.rows("opened_trades", trade_id) == [])

    until(closed, daemon, 3 * PATIENCE)
    until(lambda: quiet(daemon), daemon)
    until(lambda: held(daemon) == before, daemon)
    assert closed_by(daemon, began) == {leg}
    assert "nothing to" in script.refused(script.tell("close_orders", tradeIDs=trade_id))


def test_a_trade_with_exits_is_closed_once_and_they_end(daemon: Daemon, script: Script) -> None:
    before, price = held(daemon, "MSFT"), bid(daemon, "MSFT")
    trade_id = script.open(
        instrument="MSFT", volume=10, stopLossLevel=price * 0.50001, takeProfitLevel=price * 1.50001, holdtime=3600
    )
    (row,) = script.rows("opened_trades", trade_id)
    assert row["stopLossLevel"] == pytest.approx(price * 0.5, rel=0.001)
    assert row["takeProfitLevel"] == pytest.approx(price * 1.5, rel=0.001)
    assert row["holdtime"] == 3600.0
    until(lambda: len(daemon.call("query_open_orders")) == 2, daemon)
    assert script.tell("close_orders", tradeIDs=trade_id).status_code == 200
    again = script.tell("close_orders", tradeIDs=trade_id)
    assert again.status_code in (200, 400)
    until(lambda: held(daemon, "MSFT") == before and quiet(daemon), daemon)
    assert closed_by(daemon, opening(daemon, trade_id)) == {"close"}
    assert script.rows("opened_trades", trade_id) == []


def test_closed_and_opened_the_other_way_in_one_breath(daemon: Daemon, script: Script) -> None:
    before = held(daemon, "IBM")
    stock = {"instrument": "IBM", "volume": 10, "ordertype": "MKT"}
    trade_id = script.tell("open_order", **stock, buysell="BUY", stopLossLevel=100).json()["tradeID"]
    for turn in range(6):
        up = turn % 2
        stop = {"stopLossLevel": 1 if up else 100_000, "buysell": "BUY" if up else "SELL"}
        assert script.tell("close_orders", tradeIDs=trade_id).status_code == 200
        trade_id = script.tell("open_order", **stock, **stop).json()["tradeID"]

    def settled() -> bool:
        return script.ids() == [str(trade_id)] and held(daemon, "IBM") == before + 10

    until(settled, daemon)
    script.tell("close_orders", tradeIDs=trade_id)
    until(lambda: quiet(daemon) and held(daemon, "IBM") == before, daemon)


def test_an_open_trade_gets_exits_moves_them_and_gives_them_up(daemon: Daemon, script: Script) -> None:
    before, price = held(daemon, "MSFT"), bid(daemon, "MSFT")
    trade_id = script.open(instrument="MSFT", volume=10)

    def working() -> dict[str, float]:
        told = daemon.call("query_open_orders").values()
        return {each["leg"]: each["stop_price"] or each["limit_price"] for each in told if each.get("leg")}

    low, high = round(price * 0.5, 2), round(price * 1.5, 2)
    answer = script.tell("update_opened_order", tradeID=trade_id, takeProfitLevel=high, stopLossLevel=low)
    assert answer.json() == {"res": "Submitted for order update!", "status": "SUCCESS"}
    until(lambda: working() == {"stop_loss": low, "take_profit": high}, daemon)
    (row,) = script.rows("opened_trades", trade_id)
    assert (row["stopLossLevel"], row["takeProfitLevel"]) == (low, high)
    script.tell("update_opened_order", tradeID=str(trade_id), stopLossLevel=low + 5, orderRef="guarded")
    until(lambda: working() == {"stop_loss": low + 5, "take_profit": high}, daemon)
    assert script.rows("opened_trades", trade_id)[0]["order_Ref"] == "guarded"
    script.tell("update_opened_order", tradeID=trade_id, takeProfitLevel=0)
    until(lambda: working() == {"stop_loss": low + 5}, daemon)
    assert "must be below" in script.refused(script.tell("update_opened_order", tradeID=trade_id, stopLossLevel=high))
    assert "price" in script.refused(script.tell("update_pending_order", tradeID=trade_id, price=5))
    script.tell("update_opened_order", tradeID=trade_id, holdtime=1)
    until(lambda: script.rows("opened_trades", trade_id) == [] and quiet(daemon), daemon)
    assert held(daemon, "MSFT") == before
    assert working() == {}


# ---------------------------------------------------------------- restarts


def test_after_a_kill_the_session_and_the_trades_are_the_same(make_daemon: MakeDaemon) -> None:
    daemon = started(make_daemon)
    script = Script(daemon).login()
    trades = [script.open(orderRef=f"number {number}") for number in range(3)]
    waiting = script.open(ordertype="LMT", price=100, timeinforce=3600)
    rows, pending = script.rows("opened_trades"), script.rows("pending_trades")
    daemon.kill()
    daemon.start().up()
    again = script.rows("opened_trades")
    assert [_lasting(each) for each in again] == [_lasting(each) for each in rows]
    assert [each["trade_ID"] for each in script.rows("pending_trades")] == [str(waiting)]
    assert script.rows("pending_trades") == pending
    new = script.open()
    assert new > max(waiting, *trades)
    for trade_id in trades:
        assert script.tell("close_orders", tradeIDs=trade_id).status_code == 200
    until(lambda: script.ids() == [str(new)], daemon)
    until(lambda: held(daemon) == 1, daemon)
    signals = daemon.call("query_signals", limit=1000)
    assert {each["outcome"] for each in signals} == {"DONE"}


def _lasting(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "unrealizedPL"}


def test_killed_right_after_each_answer_nothing_is_lost_or_doubled(make_daemon: MakeDaemon) -> None:
    daemon = started(make_daemon)
    script = Script(daemon).login()
    script.tell("open_order", instrument="BTCUSD", volume=1, ordertype="MKT", buysell="BUY")
    opened = []
    for number in range(5):
        given = {"instrument": "BTCUSD", "volume": 1, "ordertype": "MKT", "buysell": "BUY", "stopLossLevel": 100}
        opened.append(script.tell("open_order", **given).json()["tradeID"])
        daemon.kill()
        daemon.start().up()
        if number % 2:
            answer = script.tell("close_orders", tradeIDs=opened[-1])
            assert answer.status_code == 200, answer.text
            daemon.kill()
            daemon.start().up()
    kept = [str(each) for each in opened[::2]]

    def entries() -> list[str]:
        buys = [each for each in daemon.call("query_orders").values() if not each.get("leg") and each["side"] == "BUY"]
        return [each["order_status"] for each in buys if each["reason"] != "NEVER_ARRIVED"]

    def ended() -> bool:
        return all(each in ("FILLED", "CANCELED") for each in entries())

    def stops() -> int:
        return sum(each.get("leg") == "stop_loss" for each in daemon.call("query_open_orders").values())

    until(lambda: held(daemon) == 4 and script.ids()[1:] == kept and ended() and stops() == len(kept), daemon)
    found = entries()
    assert len(found) == 6
    assert [found[0], *found[1::2]] == ["FILLED"] * 4  # those closed may have been so before they were filled whole
    assert daemon.call("query_journal", kind="DifferenceFound", limit=1000) == []


def test_an_order_that_comes_again_is_one_trade_where_its_source_says_so(make_daemon: MakeDaemon) -> None:
    daemon = started(make_daemon)
    script = Script(daemon).login()
    order = {"instrument": "BTCUSD", "volume": 1, "ordertype": "MKT", "buysell": "BUY", "orderRef": "only a label"}
    until(lambda: script.tell("open_order", **order).status_code == 200, daemon)
    assert script.open(**order)
    assert len(script.ids()) == 2
    daemon.call("change_source", name="random", duplicate_window="3600")
    first = script.tell("open_order", **order)
    assert first.status_code == 200
    assert script.login().tell("open_order", **order).text == first.text
    daemon.kill()
    daemon.start().up()
    assert script.login().tell("open_order", **order).text == first.text
    until(lambda: quiet(daemon) and held(daemon) == 3, daemon)
    assert script.ids()[2:] == [str(first.json()["tradeID"])]
    assert script.open(**{**order, "volume": 2}) > first.json()["tradeID"]
    until(lambda: held(daemon) == 5, daemon)


# ---------------------------------------------------------------- what is refused


def test_who_is_not_known_learns_nothing(make_daemon: MakeDaemon) -> None:
    daemon = started(make_daemon)
    script = Script(daemon).login()
    right = script.token
    for token, call in (
        ("", "opened_trades"),
        ("x", "pending_trades"),
        (right[:-1], "query_order"),
        (right + "0", "accounts"),
        (right.upper(), "positions"),
        ("0-" + right.partition("-")[2], "balance"),
    ):
        script.token = token
        assert script.refused(script.ask(call)).startswith("Invalid session! Call session")
    for call in ("open_order", "close_orders", "cancel_orders", "update_opened_order", "update_pending_order"):
        assert script.refused(script.tell(call, tradeIDs=1, tradeID=1)).startswith("Invalid session! Call session")
    wrong = ({"user": "nobody"}, {"api_key": "wrong"}, {"user": ""}, {"api_key": ""}, {"user": KEY})
    for given, call in zip(wrong, ("session", "list_instrument", "session", "balance", "realtime_price"), strict=True):
        assert script.refused(script.ask(call, **given)) == "Invalid user or api_key!"
    told = {script.refused(script.ask("session", api_key="guess")) for _ in range(20)}
    assert told == {"Invalid user or api_key!", "Exceed maximum access count"}
    assert script.login().ids() == []
    assert daemon.call("query_orders") == {}


def test_no_secret_is_in_the_journal_the_log_or_an_answer(make_daemon: MakeDaemon) -> None:
    secret = "n0body-0ught-t0-read-this"
    daemon = started(make_daemon, source(secret=secret), LOG_HTTP_REQUESTS="1", LOG_HTTP_RESPONSES="1")
    script = Script(daemon, key=secret).login()
    script.open(orderRef="seen")
    script.tell("open_order", instrument="NOPE", volume=1, ordertype="MKT", buysell="BUY", orderRef=secret)
    script.tell("close_orders", tradeIDs=secret)
    script.ask("history_price", instrument=secret, interval="D")
    told = json.dumps([daemon.call("query_signals", limit=100), daemon.call("query_journal", limit=1000)])
    token = script.token
    assert daemon.stop() == 0
    assert "seen" in told
    written = {path.name: path.read_bytes() for path in daemon.folder.rglob("*") if path.is_file()}
    assert secret.encode() in written.pop(sources.FILE)
    for name, data in {**written, "told": told.encode()}.items():
        assert secret.encode() not in data, name
        assert token.encode() not in data, name


def test_what_is_changed_is_told_to_who_was_away(daemon: Daemon, script: Script) -> None:
    live = Stream(daemon, {"order-data": True, "signal-data": True})
    live.expect(".Authorized")
    trade_id = script.open(instrument="MSFT", volume=1)
    seq = daemon.call("query_journal", kind="SignalReceived", limit=1000)[-1]["seq"]
    script.tell("update_opened_order", tradeID=trade_id, stopLossLevel=1, orderRef="guarded")
    is_change = lambda line: ".order-data" in line and "OrderAmended" in line  # noqa: E731
    told = live.expect(is_change)
    away = Stream(daemon, {"order-data": True, "resume": seq})
    again = away.expect(is_change)
    assert json.loads(again.partition(" ")[2]) == json.loads(told.partition(" ")[2])
    entry = json.loads(told.partition(" ")[2])
    assert entry["exits"]["stop_loss"] == 1
    story = daemon.call("explain_order", id=entry["permid"])["story"]
    assert any("its exits: stop_loss 1" in each["text"] and "'guarded'" in each["text"] for each in story)


def test_nonsense_is_a_400_with_a_sentence(daemon: Daemon, script: Script) -> None:
    seen = daemon.call("query_orders")
    good = {"instrument": "BTCUSD", "buysell": "BUY", "volume": 1, "ordertype": "MKT"}
    nonsense: list[Any] = ["NaN", -1, 1e300, "x" * 1000, "", None, True, [], {}, "\0", "²"]
    for name in good:
        for value in nonsense:
            if (name, value) != ("buysell", -1):
                script.refused(script.tell("open_order", **{**good, name: value}))
    for name in ("takeProfitLevel", "stopLossLevel", "holdtime", "timeinforce", "price"):
        for value in nonsense:
            if value not in ("", None) or value is True:
                script.refused(script.tell("open_order", **{**good, "ordertype": "LMT", "price": 100, name: value}))
    for name, value in {"takeProfitLevel": 1, "stopLossLevel": 1e9, "holdtime": 1e12, "runmode": "live"}.items():
        script.refused(script.tell("open_order", **{**good, name: value}))
    assert "'NOPE'" in script.refused(script.tell("open_order", **{**good, "instrument": "NOPE"}))
    assert "20270101" in script.refused(script.tell("open_order", **{**good, "expiry": "20270101"}))
    for volume in (1e12, 0.00001):
        script.refused(script.tell("open_order", **{**good, "volume": volume}))
    for value in (*nonsense, 7, "7,8", "7,x", 10**40):
        for call in ("close_orders", "cancel_orders"):
            script.refused(script.tell(call, tradeIDs=value))
        for call in ("update_opened_order", "update_pending_order"):
            script.refused(script.tell(call, tradeID=value, holdtime=5))
        if value not in ("", None, 7) or value is True:
            script.refused(script.tell("opened_trades", tradeID=value)) if value != "7,8" else None
    for given in (
        {},
        {"instrument": "BTCUSD"},
        {"instrument": "BTCUSD", "interval": "S"},
        {"instrument": "NOPE", "interval": "D"},
        {"instrument": "BTCUSD", "interval": "M", "count": 0},
        {"instrument": "BTCUSD", "interval": "M", "count": 1001},
        {"instrument": "BTCUSD", "interval": "M", "count": "x"},
        {"instrument": "BTCUSD", "interval": "M", "timestamp": "soon"},
        {"instrument": "BTCUSD", "interval": "M", "timestamp": "0001-01-01"},
    ):
        script.refused(script.ask("history_price", **given))
    for symbols in ("", ",", "NOPE", "BTCUSD,NOPE", ",".join(["IBM"] * 101)):
        script.refused(script.ask("realtime_price", symbols=symbols))
    assert daemon.call("query_orders") == seen


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"user=YOUR_USER_ID", b'"x"', b"[" * 30_000])
def test_a_body_that_is_no_object(daemon: Daemon, script: Script, body: bytes) -> None:
    answer = requests.post(f"{script.base_url}/open_order", data=body, timeout=PATIENCE)
    assert script.refused(answer).endswith(("!", "."))


def test_a_name_that_stands_twice_in_a_query(daemon: Daemon, script: Script) -> None:
    given = [*script.given.items(), ("token", script.token), ("symbols", "IBM"), ("symbols", "MSFT")]
    answer = requests.get(f"{script.base_url}/realtime_price", params=given, timeout=PATIENCE)
    assert answer.status_code == 400
    assert "stands twice in the query string" in answer.text


def test_paths_and_methods_that_are_none(daemon: Daemon, script: Script) -> None:
    for path in ("", "nothing", "open_order/1/2", "../../status"):
        answer = requests.get(f"{script.base_url}/{path}", params=script.given, timeout=PATIENCE)
        assert answer.status_code == 404 or "/algogene" not in answer.url
    assert requests.get(f"{daemon.url}/algogene", timeout=PATIENCE).status_code in (401, 404)
    assert requests.get(f"{daemon.url}/algogene/rest/v2/session", timeout=PATIENCE).status_code == 404
    answer = script.ask("open_order")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert requests.put(f"{script.base_url}/session", timeout=PATIENCE).status_code == 405
    answer = requests.post(f"{script.base_url}/open_order", data=b" " * 300_000, timeout=PATIENCE)
    assert answer.status_code == 413


def test_too_many_calls_in_algogenes_words(make_daemon: MakeDaemon) -> None:
    daemon = started(make_daemon, source(rate=1))
    script = Script(daemon).login()
    answers = [script.ask("list_instrument") for _ in range(30)]
    assert script.refused(answers[-1]) == "Exceed maximum access count"


def test_one_user_with_several_accounts(make_daemon: MakeDaemon) -> None:
    daemon = started(make_daemon, source("one"), source("1000", account="PAPER_CASH"))
    script = Script(daemon).login()
    order = {"instrument": "IBM", "buysell": "BUY", "volume": 1, "ordertype": "MKT"}
    assert "give 1000, one" in script.refused(script.tell("open_order", **order))
    for accountid, account in (("1000", "PAPER_CASH"), ("one", "API_ACCOUNT"), ("PAPER_CASH", "PAPER_CASH")):
        script.given["accountid"] = accountid
        before = daemon.call("query_positions")[account].get("IBM", 0)
        assert script.tell("open_order", **order).status_code == 200
        until(lambda a=account, b=before: daemon.call("query_positions")[a].get("IBM", 0) == b + 1, daemon)
    assert len(script.rows("opened_trades")) == 2
    assert [each["accountid"] for each in script.ask("accounts").json()["res"]] == ["PAPER_CASH", "API_ACCOUNT"]


def test_an_account_of_the_gateway_that_is_not_the_sources(daemon: Daemon, script: Script) -> None:
    script.given["accountid"] = "PAPER_CASH"
    order = {"instrument": "IBM", "buysell": "BUY", "volume": 1, "ordertype": "MKT"}
    assert "'PAPER_CASH' is not one of this user's" in script.refused(script.tell("open_order", **order))


def test_a_shadow_source_sends_nothing(make_daemon: MakeDaemon) -> None:
    daemon = started(make_daemon, source(shadow=True, symbols={"XBT": "BTCUSD"}))
    script = Script(daemon).login()
    order = {"instrument": "XBT", "buysell": "BUY", "volume": 1, "ordertype": "MKT"}
    assert script.tell("open_order", **order).status_code == 200
    until(lambda: quiet(daemon), daemon)
    (signal,) = daemon.call("query_signals")
    assert signal["outcome"] == "SHADOW"
    assert "Would send BUY 1 BTCUSD MARKET" in signal["text"]
    assert "Would send BUY 1 BTCUSD MARKET." in daemon.call("replay_signal", id=signal["id"])
    assert daemon.call("query_orders") == {}
    assert "XBT" in script.ask("list_instrument").json()["res"]
