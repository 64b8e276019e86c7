"""The daemon at a crypto exchange: in mode ccxt, against the emulated Binance in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.trading import FAR, becomes, cancel_while_away, in_doubt, kill_among_orders
from tests.emulators.crypto.process import Process

ACCOUNT, SECRET = "CRYPTO", "s3cret-0f-the-key"
TERMS = {"account": ACCOUNT, "route": "", "symbol": "BTC/USDT"}


@pytest.fixture(scope="module")
def binance() -> Iterator[Process]:
    key, money = f"main:key:{SECRET}", "spot:USDT:100000000"
    emulator = Process("binance", "--tick", "0", "--key", key, "--balance", money).start()
    yield emulator
    emulator.kill()


@pytest.fixture(scope="module")
def daemon(binance: Process, make_daemon: MakeDaemon) -> Daemon:
    binance.do("quote", symbol="BTC-USDT", bid=50000, ask=50010, bid_size=1000, ask_size=1000)
    return make_ccxt(make_daemon, binance.port).start().up()


def make_ccxt(make_daemon: MakeDaemon, port: int, **more: str) -> Daemon:
    """A daemon that is quick to look again."""
    environment = {
        "MODE": "ccxt",
        "CCXT_EXCHANGE": "binance",
        "CCXT_KEY": "key",
        "CCXT_SECRET": SECRET,
        "CCXT_URL": f"http://127.0.0.1:{port}",
        "API_ACCOUNT": ACCOUNT,
        "RISK": f"{FAR},max_gross_exposure=off,max_position=off",
        "RECONCILE_SECONDS": "2",
        "LOG_HTTP_REQUESTS": "0",
    }
    return make_daemon(**{**environment, **more})


@pytest.fixture(autouse=True)
def _market_and_manners(binance: Process) -> Iterator[None]:
    """Each test begins with the same quote and a link that is well; whatever we say is what a client may say."""
    binance.do("clear")
    binance.do("quote", symbol="BTC-USDT", bid=50000, ask=50010, bid_size=1000, ask_size=1000)
    yield
    assert binance.violations() == []


def theirs(binance: Process, name: str) -> list[Any]:
    """What the exchange has of one of our orders."""
    return [each for each in binance.do("orders") if each["client_id"] == name]


def agrees(daemon: Daemon, binance: Process) -> None:
    """Nothing is in doubt, no difference is open, and what is held is what the exchange has."""

    def reconciled() -> bool:
        if in_doubt(daemon):
            return False
        if [each for each in daemon.call("query_differences") if each.get("resolved") is None]:
            return False
        theirs = sum(map(float, binance.do("balances")["spot"].get("BTC", ())))
        return abs(daemon.call("query_positions").get(ACCOUNT, {}).get("BTC/USDT", 0) - theirs) < 1e-9

    until(reconciled, daemon)


def test_it_comes_up_with_its_account(daemon: Daemon) -> None:
    assert daemon.call("query_accounts") == [ACCOUNT]
    account = daemon.call("query_account", account=ACCOUNT)
    assert account["_cash"] == 100_000_000
    assert SECRET not in daemon.log.read_text()


def test_a_wrong_key_is_told_in_the_exchanges_words(binance: Process, make_daemon: MakeDaemon) -> None:
    daemon = make_ccxt(make_daemon, binance.port, CCXT_KEY="another").start()
    until(lambda: "Invalid API-key, IP, or permissions" in daemon.log.read_text(), daemon)
    assert "private stream" not in daemon.log.read_text()
    assert "Traceback" not in daemon.log.read_text()


def test_a_check_finds_what_the_exchange_needs(make_daemon: MakeDaemon) -> None:
    checked = make_ccxt(make_daemon, 1, CCXT_KEY="", CCXT_EXCHANGE="woo", CCXT_DOMAIN="demo").run("--check")
    told = checked.stdout + checked.stderr
    assert checked.returncode == 2
    assert all(f"TXGATEWAY_CCXT_{each}" in told for each in ("KEY", "UID", "DOMAIN"))
    assert SECRET not in told
    assert make_ccxt(make_daemon, 1).run("--check").returncode == 0


def test_orders_fill_and_the_position_is_less_by_the_fee(daemon: Daemon, binance: Process) -> None:
    bought = daemon.call("market_order", **TERMS, quantity=0.5)
    becomes(daemon, bought["permid"], "FILLED")
    assert bought["time_in_force"] == "GTC"
    until(lambda: daemon.call("query_positions")[ACCOUNT] == {"BTC/USDT": 0.5 - 0.0005}, daemon)
    sold = daemon.call("market_order", **TERMS, quantity=-0.2)
    assert becomes(daemon, sold["permid"], "FILLED")["commission"] == pytest.approx(0.2 * 50000 * 0.001)
    agrees(daemon, binance)


def test_a_limit_order_rests_is_filled_and_canceled(daemon: Daemon, binance: Process) -> None:
    order = daemon.call("limit_order", **TERMS, limit_price=45000, quantity=0.3)
    assert order["order_status"] == "NEW"
    binance.do("fill", order=order["order_id"] if "order_id" in order else order["permid"], size="0.1")
    until(lambda: daemon.call("query_order", id=order["permid"])["filled"] == 0.1, daemon)
    daemon.call("cancel_order", id=order["permid"])
    assert becomes(daemon, order["permid"], "CANCELED")["filled"] == 0.1
    agrees(daemon, binance)


def test_refusals_say_why(daemon: Daemon) -> None:
    for more, reason in (
        ({"symbol": "NOSUCH/USDT"}, "UNKNOWN_SYMBOL"),
        ({"quantity": 0.0000001}, "BAD_LOT"),
        ({"limit_price": 45000.001}, "BAD_TICK"),
        ({"time_in_force": "DAY"}, "UNSUPPORTED"),
        ({"quantity": 5000, "limit_price": 45000}, "INSUFFICIENT_FUNDS"),
    ):
        answer = daemon.call("limit_order", **{**TERMS, "limit_price": 45000, "quantity": 0.1, **more})
        found = answer.get("reason") or answer.get("order_reason")
        assert found == reason, answer
    answer = daemon.call("limit_order", **{**TERMS, "symbol": "BTCUSDT", "limit_price": 45000, "quantity": 0.1})
    assert "did you mean BTC/USDT?" in answer["errorMsg"]


def test_a_pair_is_not_sold_short_though_it_is_held(daemon: Daemon) -> None:
    becomes(daemon, daemon.call("market_order", **TERMS, quantity=0.1)["permid"], "FILLED")
    terms = {"account": ACCOUNT, "symbol": "BTC/USDT", "order_type": "MARKET", "quantity": 0.05}
    answer = daemon.call("submit_order", **terms, side="SELL_SHORT")
    assert (answer["reason"], answer["errorMsg"]) == (
        "NOT_SHORTABLE",
        "BTC/USDT cannot be sold short at venue ccxt: SELL sells what is held.",
    )


def test_days_are_told_by_their_date_at_the_exchange(daemon: Daemon) -> None:
    today = datetime.now(UTC).date()
    days = [str(today - timedelta(days=ago)) for ago in (3, 2, 1)]
    bars = daemon.call("query_bars", symbol="BTC/USDT", period="DAY", start=days[0], end=days[-1])
    assert [each[:2] for each in bars] == [[day, "00:00:00"] for day in days]
    last = daemon.call("query_bars", symbol="BTC/USDT", period="DAY", start="-4", end=".")
    assert last[:3] == bars
    months = daemon.call("query_bars", symbol="BTC/USDT", period="MONTH", start="-1", end=".")
    assert [each[:2] for each in months] == [[str(today.replace(day=1)), "00:00:00"]]


def test_a_stop_waits_for_its_price(daemon: Daemon, binance: Process) -> None:
    order = daemon.call("stop_order", **TERMS, stop_price=52000, quantity=0.1)
    assert order["order_status"] == "NEW"
    binance.do("quote", symbol="BTC-USDT", bid=52010, ask=52020, bid_size=1000, ask_size=1000)
    binance.do("trade", symbol="BTC-USDT", price=52015)
    becomes(daemon, order["permid"], "FILLED")
    agrees(daemon, binance)


def test_exits_are_as_large_as_what_is_held(daemon: Daemon, binance: Process) -> None:
    held = daemon.call("query_positions").get(ACCOUNT, {}).get("BTC/USDT", 0)
    terms = {"account": ACCOUNT, "symbol": "BTC/USDT", "side": "BUY", "stop_loss": "40000", "take_profit": "60000"}
    entry = daemon.call("submit_order", **terms, quantity=0.12345)
    becomes(daemon, entry["permid"], "FILLED")

    def exits() -> list[Any]:
        return [each for each in daemon.call("query_open_orders").values() if each.get("parent") == entry["permid"]]

    two = until(lambda: len(found := exits()) == 2 and found, daemon)
    assert {each["quantity"] for each in two} == {0.12332}, "0.12345 less a fee of 0.1 %, in lots of 0.00001"
    binance.do("quote", symbol="BTC-USDT", bid=60010, ask=60020, bid_size=1000, ask_size=1000)
    until(lambda: not exits(), daemon)
    left = daemon.call("query_positions")[ACCOUNT]["BTC/USDT"] - held
    assert left == pytest.approx(0.12345 * 0.999 - 0.12332)
    agrees(daemon, binance)


def test_a_dropped_link_is_made_anew_and_reconciled(daemon: Daemon, binance: Process) -> None:
    order = daemon.call("limit_order", **TERMS, limit_price=45000, quantity=0.3)
    binance.do("drop", seconds=0.3)
    binance.do("fill", order=order["permid"], size="0.3")
    becomes(daemon, order["permid"], "FILLED")
    daemon.up()
    agrees(daemon, binance)


def test_a_cancel_while_the_link_is_down_is_sent_when_it_is_back(daemon: Daemon, binance: Process) -> None:
    order = daemon.call("limit_order", **TERMS, limit_price=45000, quantity=0.3)
    cancel_while_away(daemon, order["permid"], lambda: binance.do("drop", seconds=4))
    agrees(daemon, binance)


def test_paper_trading_on_its_prices_pays_the_ask_and_gets_the_bid(binance: Process, make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(RISK=FAR, LOG_HTTP_REQUESTS="0")
    daemon.folder.mkdir(parents=True)
    toml = daemon.folder / "txgateway.toml"
    toml.write_text(
        f"""
[venues.paper]
kind = "paper"
accounts = ["REHEARSAL"]
feed = "venue:binance"
[venues.binance]
kind = "ccxt"
key = "key"
secret = "{SECRET}"
accounts = ["{ACCOUNT}"]
url = "http://127.0.0.1:{binance.port}"
"""
    )
    daemon.environment.update(CONFIG=str(toml), PAPER_FEED="")
    daemon.start().up()
    until(lambda: {each["status"] for each in daemon.call("query_venues").values()} == {"UP"}, daemon)
    binance.do("trade", symbol="BTC-USDT", price=50005, size=0.01)
    daemon.call("add_symbol", symbol="BTC/USDT")
    terms = {"account": "REHEARSAL", "route": "", "symbol": "BTC/USDT"}
    for quantity, price in ((0.2, 50010), (-0.1, 50000)):
        made = daemon.call("market_order", **terms, quantity=quantity)
        assert becomes(daemon, made["permid"], "FILLED")["avgfillprice"] == price


def test_killed_in_the_midst_of_orders_it_finds_every_one(binance: Process, make_daemon: MakeDaemon) -> None:
    daemon = make_ccxt(make_daemon, binance.port).start().up()
    kill_among_orders(daemon, {**TERMS, "quantity": 0.01}, 45000, lambda name: theirs(binance, name))
