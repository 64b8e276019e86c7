"""The daemon at Interactive Brokers: in mode tws, against the emulated TWS in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.trading import FAR, becomes, cancel_while_away, in_doubt, kill_among_orders, losses, lost_and_back
from tests.emulators.tws.contracts import catalogue
from tests.emulators.tws.process import Tws

ACCOUNT, OTHER = "DU1234567", "DU7654321"
TERMS = {"account": ACCOUNT, "route": "DEMO", "symbol": "IBM"}


@pytest.fixture(scope="module")
def tws() -> Iterator[Tws]:
    with Tws("--tick", "0", "--account", ACCOUNT, "--account", OTHER, "--position", f"{OTHER}:TSLA:-50") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def daemon(tws: Tws, make_daemon: MakeDaemon) -> Daemon:
    tws.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    return make_tws(make_daemon, tws.port, ENABLE_TICKER="1").start().up()


def make_tws(make_daemon: MakeDaemon, port: int, client: int = 7, **more: str) -> Daemon:
    """A daemon that is quick to look again."""
    environment = {"MODE": "tws", "API_HOST": "127.0.0.1", "API_PORT": str(port), "API_ACCOUNT": ACCOUNT, "RISK": FAR}
    environment |= {"API_CLIENT_ID": str(client), "RECONCILE_SECONDS": "2", "LOG_HTTP_REQUESTS": "0"}
    return make_daemon(**environment, **more)


@pytest.fixture(autouse=True)
def _market_and_manners(tws: Tws) -> Iterator[None]:
    """Each test begins with the same quote and a link that is well; whatever we say is what a client may say."""
    tws.do("clear")
    tws.do("unmute")
    tws.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    yield
    assert tws.violations() == []


def rest(daemon: Daemon, **more: Any) -> Any:
    order = daemon.call("limit_order", **{**TERMS, "limit_price": 1.5, "quantity": 10, **more})
    assert order["order_status"] == "NEW", order
    return order


def theirs(tws: Tws, name: str) -> list[Any]:
    """What TWS has of one of our orders."""
    return [each for each in tws.do("orders") if each["ref"] == name]


def agrees(daemon: Daemon, tws: Tws) -> None:
    """Nothing is in doubt, and the positions are those that TWS has."""

    def reconciled() -> bool:
        if in_doubt(daemon):
            return False
        ours = {account: held for account, held in daemon.call("query_positions").items() if held}
        net = {account: {name: float(size) for name, size in held.items()} for account, held in tws.do("net").items()}
        return ours == {account: held for account, held in net.items() if held}

    until(reconciled, daemon)


def test_paper_mode_loads_nothing_of_it() -> None:
    code = (
        "import sys, txgateway.service; from txgateway.config import load;"
        "load({'TXGATEWAY_MODE': 'paper', 'TXGATEWAY_DATA_DIR': '/nowhere'});"
        "assert not {'ib_async', 'numpy', 'ccxt'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


# ---------------------------------------------------------------- the market, the accounts


def test_it_comes_up_with_accounts_and_positions(daemon: Daemon) -> None:
    assert daemon.call("query_accounts") == [ACCOUNT, OTHER]
    assert daemon.call("query_positions")[OTHER] == {"TSLA": -50}
    account = daemon.call("query_account", account=ACCOUNT)
    assert {"_cash", "equity", "buying_power", "NetLiquidation"} <= set(account)


def test_symbols_and_bars(daemon: Daemon, tws: Tws) -> None:
    found = daemon.call("add_symbol", symbol="IBM")
    assert found["symbol"] == "IBM"
    assert found["fullname"]
    until(lambda: daemon.call("query_symbol", symbol="IBM")["bid"] == 185.1, daemon)
    tws.do("trade", symbol="IBM", price="185.15", size=100)
    until(lambda: daemon.call("query_symbol", symbol="IBM")["last"] == 185.15, daemon)
    assert daemon.call("query_symbol_data", symbol="IBM")["secType"] == "STK"
    assert daemon.call("add_symbol", symbol="NOSUCH") is None
    future = next((each for each in ("ES-202612-CME", "ES-202703-CME") if daemon.call("add_symbol", symbol=each)), None)
    assert future
    assert daemon.call("del_symbol", symbol=future) is True


def test_last_prices_of_what_is_subscribed_and_what_is_not(daemon: Daemon, tws: Tws) -> None:
    tws.do("trade", symbol="MSFT", price="410.15", size=100)
    tws.do("untraded", symbol="INTC")
    tws.do("subscribed", symbol="SPY", on=False)
    daemon.call("add_symbol", symbol="IBM")
    tws.do("trade", symbol="IBM", price="185.15", size=100)
    until(lambda: daemon.call("query_symbol", symbol="IBM")["last"] == 185.15, daemon)
    had = tws.do("status")["messages"].get("1", 0)
    try:
        found = daemon.call("query_last_prices", symbols="ibm,MSFT,INTC,SPY,EURUSD,NOSUCH,MSFT")
    finally:
        tws.do("subscribed", symbol="SPY", on=True)
        tws.do("trade", symbol="INTC", price="43", size=100)
    prices = {name: each["price"] for name, each in found.items() if each["price"] is not None}
    assert prices == {"IBM": 185.15, "MSFT": 410.15}
    assert all(found[name]["time"] for name in prices)
    reasons = {name: each["reason"] for name, each in found.items() if each["reason"]}
    none = dict.fromkeys(("INTC", "SPY", "EURUSD"), "NO_PRICE")
    assert reasons == {**none, "NOSUCH": "UNKNOWN_SYMBOL"}
    assert "354" in found["SPY"]["text"]
    assert "no trades" in found["EURUSD"]["text"]
    assert tws.do("status")["messages"]["1"] - had == 3, "IBM is subscribed, and a pair has no trades"
    until(lambda: not tws.do("status")["snapshots"], daemon)
    assert "MSFT" not in daemon.call("query_symbols")


def quoted_options(count: int) -> list[str]:
    """So many options that TWS knows."""
    today = date.today()  # noqa: DTZ011
    options = [each for each in catalogue(today).values() if each.kind == "OPT" and each.expiry > f"{today:%Y%m%d}"]
    return [f"{each.symbol}-{each.expiry}-{each.strike:f}-{each.right}" for each in options[:count]]


def test_as_many_last_prices_beside_another_venue_as_alone(tws: Tws, make_daemon: MakeDaemon) -> None:
    """None was ever asked about: each is looked up first, which takes longer than a few seconds."""
    daemon = make_daemon(PAPER_FEED="")
    daemon.folder.mkdir(parents=True)
    toml = daemon.folder / "venues.toml"
    where = f'host = "127.0.0.1"\nport = {tws.port}\nclient_id = 29\n'
    toml.write_text(f'[venues.tws]\nkind = "tws"\n{where}\n[venues.paper]\nkind = "paper"\naccounts = ["P"]\n')
    daemon.environment["CONFIG"] = str(toml)
    daemon.start()
    until(lambda: {each["status"] for each in daemon.call("query_venues").values()} == {"UP"}, daemon)
    options = quoted_options(99)
    assert len(options) == 99
    found = daemon.call("query_last_prices", symbols=[*options, "IBM@paper"])
    assert {name: each["reason"] for name, each in found.items() if each["price"] is None} == {}


def test_a_hundred_last_prices_at_once_and_orders_go_on(daemon: Daemon, tws: Tws) -> None:
    known = [*quoted_options(60), "IBM", "AAPL", "MSFT", "TSLA"]
    names = [*known, *(f"X{at}" for at in range(36))]
    found = daemon.call("query_last_prices", symbols=names)  # slowly enough: the fixture looks for violations
    assert list(found) == names
    assert {name for name, each in found.items() if each["price"] is not None} == set(known)
    assert {each["reason"] for name, each in found.items() if name not in known} == {"UNKNOWN_SYMBOL"}
    daemon.call("cancel_order", id=rest(daemon)["permid"])


def test_a_primary_exchange_is_set_and_outlives_a_restart(tws: Tws, make_daemon: MakeDaemon) -> None:
    daemon = make_tws(make_daemon, tws.port, 21).start().up()
    assert daemon.call("set_primary_exchange", symbol="IBM", exchange="NYSE") == {"IBM": "NYSE"}
    assert daemon.call("add_symbol", symbol="IBM")["symbol"] == "IBM"
    daemon.kill()
    daemon.start().up()
    assert daemon.call("add_symbol", symbol="IBM")["symbol"] == "IBM"
    assert daemon.call("set_primary_exchange", symbol="IBM", exchange=None) == {}


def test_a_primary_exchange_says_which_of_two_is_meant_and_is_judged(tws: Tws, make_daemon: MakeDaemon) -> None:
    daemon = make_tws(make_daemon, tws.port, 23, ENABLE_TICKER="1").start().up()
    tws.do("quote", symbol="900000001", bid="50", ask="51")
    tws.do("quote", symbol="900000002", bid="12", ask="13")
    terms = {"account": ACCOUNT, "route": "DEMO", "symbol": "TWIN", "quantity": 10}

    def exchange(name: str | None) -> Any:
        return daemon.call("set_primary_exchange", symbol="TWIN", exchange=name)

    denied = daemon.call("market_order", **terms)
    assert (denied["order_status"], denied["reason"]) == ("DENIED", "UNKNOWN_SYMBOL")
    assert "it may be several contracts: #900000001" in denied["updates"][-1]["fields"]["REASON"]
    for wrong, words in (("NASDAQ", "it has one at AMEX, NYSE."), ("no such thing", "'NO SUCH THING'")):
        assert words in exchange(wrong)["errorMsg"]
    assert daemon.call("set_primary_exchange", symbol="EURUSD", exchange="NYSE")["reason"] == "UNKNOWN_SYMBOL"
    assert exchange("nyse") == {"TWIN": "NYSE"}
    assert daemon.call("add_symbol", symbol="TWIN")["fullname"] == "TWIN THE ELDER"
    assert exchange("AMEX") == {"TWIN": "AMEX"}
    order = daemon.call("limit_order", **terms, limit_price=14)
    assert becomes(daemon, order["permid"], "FILLED")["avgfillprice"] == 13
    shown = daemon.call("query_symbol", symbol="TWIN")
    assert (shown["fullname"], shown["bid"]) == ("TWIN THE YOUNGER", 12)
    for name in ("NYSE", None):
        assert exchange(name)["reason"] == "IN_USE"
    becomes(daemon, daemon.call("market_order", **{**terms, "quantity": -10})["permid"], "FILLED")
    until(lambda: not daemon.call("query_positions")[ACCOUNT].get("TWIN"), daemon)
    assert exchange(None) == {}


# ---------------------------------------------------------------- orders


def test_a_market_order_fills_with_its_commission(daemon: Daemon, tws: Tws) -> None:
    order = daemon.call("market_order", **TERMS, quantity=50)
    whole = becomes(daemon, order["permid"], "FILLED")
    assert (whole["filled"], whole["avgfillprice"]) == (50, 185.2)
    (fill,) = daemon.call("query_order_executions", id=order["permid"]).values()
    assert fill["VOLUME"] == 50
    assert whole["commission"] > 0
    agrees(daemon, tws)


def test_limit_stop_and_stop_limit_orders(daemon: Daemon, tws: Tws) -> None:
    limit = daemon.call("limit_order", **TERMS, limit_price=185.5, quantity=-100)
    assert limit["order_status"] == "NEW"
    tws.do("quote", symbol="IBM", bid="185.60", ask="185.70")
    assert becomes(daemon, limit["permid"], "FILLED")["filled"] == 100
    stop = daemon.call("stop_order", **TERMS, stop_price=190, quantity=10)
    both = daemon.call("stoplimit_order", **TERMS, stop_price=190, limit_price=195, quantity=10)
    assert (stop["order_status"], both["order_status"]) == ("NEW", "NEW")
    for each in (stop, both):
        tws.do("trade", symbol="IBM", price="190")
        becomes(daemon, each["permid"], "FILLED")
    agrees(daemon, tws)


def test_an_order_is_amended_and_canceled(daemon: Daemon) -> None:
    order = rest(daemon, time_in_force="GTC")
    daemon.call("replace_order", id=order["permid"], quantity=20, limit_price=2.5)
    until(lambda: daemon.call("query_order", id=order["permid"])["quantity"] == 20, daemon)
    ended = daemon.call("cancel_order", id=order["permid"])
    assert (becomes(daemon, order["permid"], "CANCELED")["limit_price"], ended["reason"]) == (2.5, "USER")


def test_a_change_that_is_refused_says_so_and_leaves_the_order(daemon: Daemon, tws: Tws) -> None:
    order = rest(daemon)
    tws.do("fault", name="rejected_replace")
    answer = daemon.call("replace_order", id=order["permid"], limit_price=1.6)
    assert (answer["status"], answer["reason"]) == ("Error", "REJECTED")
    assert answer["errorMsg"].startswith("The change was refused: ")
    assert answer["errorMsg"].endswith("The order stays as it was.")
    after = daemon.call("query_order", id=order["permid"])
    assert (after["order_status"], after["limit_price"]) == ("NEW", 1.5)
    daemon.call("cancel_order", id=order["permid"])


def test_days_are_called_by_their_date(daemon: Daemon) -> None:
    """New York's, as IB names them; none of them a Saturday or Sunday."""
    bars = daemon.call("query_bars", symbol="IBM", period="DAY", start="-5", end=".")
    days = [date.fromisoformat(bar[0]) for bar in bars]
    assert len(days) == 5
    assert {bar[1] for bar in bars} == {"00:00:00"}
    assert {day.weekday() for day in days} <= set(range(5))
    alone = daemon.call("query_bars", symbol="IBM", period="DAY", start=bars[2][0], end=bars[2][0])
    assert alone == [bars[2]]


def test_bars_that_ib_refuses_are_null_and_it_is_said(daemon: Daemon, tws: Tws) -> None:
    tws.do("fault", name="pacing")
    assert daemon.call("query_bars", symbol="IBM", period="DAY", start="-11", end=".") is None
    log = daemon.log.read_text()
    assert "bars of IBM: Historical Market Data Service error message:Historical data request pacing" in log


def test_a_global_cancel(daemon: Daemon) -> None:
    orders = [rest(daemon) for _ in range(3)]
    daemon.call("global_cancel")
    for each in orders:
        becomes(daemon, each["permid"], "CANCELED")


def test_the_broker_says_no(daemon: Daemon, tws: Tws) -> None:
    tws.do("fault", name="rejected_order")
    refused = daemon.call("limit_order", **TERMS, limit_price=1.5, quantity=10)
    assert becomes(daemon, refused["permid"], "REJECTED")["text"]


def test_tickets_are_kept_here(daemon: Daemon, tws: Tws) -> None:
    ticket = daemon.call("stage_market_order", tag="desk", **TERMS, quantity=30)
    assert theirs(tws, ticket["permid"]) == []
    daemon.call("approve_ticket", id=ticket["permid"])
    assert becomes(daemon, ticket["permid"], "FILLED")["filled"] == 30
    agrees(daemon, tws)


def test_exits_are_kept_by_the_gateway(daemon: Daemon, tws: Tws) -> None:
    entry = daemon.call("submit_order", **TERMS, side="BUY", quantity=10, take_profit="190", stop_loss="180")

    def working() -> list[Any]:
        orders = daemon.call("query_orders").values()
        return [each for each in orders if each.get("parent") == entry["permid"] and each["order_status"] == "NEW"]

    until(lambda: len(working()) == 2, daemon)
    tws.do("quote", symbol="IBM", bid="190.10", ask="190.20")
    until(lambda: not working(), daemon)
    agrees(daemon, tws)


def test_what_others_send_is_taken_in(daemon: Daemon, tws: Tws) -> None:
    perm = tws.do("place", symbol="IBM", action="BUY", quantity=10, type="LMT", limit="1.25", account=ACCOUNT)

    def found() -> Any:
        orders = daemon.call("query_orders").values()
        return next((each for each in orders if each["broker_order_id"] == str(perm)), None)

    external = until(found, daemon)
    assert (external["order_status"], external["raw"]["ORIGIN"]) == ("NEW", "external")
    refused = daemon.call("cancel_order", id=external["permid"])
    assert refused["order_status"] == "NEW"
    assert "a person in TWS" in str(refused), refused
    tws.do("cancel", order=perm)
    becomes(daemon, external["permid"], "CANCELED")


# ---------------------------------------------------------------- when something fails


def test_a_dropped_link_loses_nothing(daemon: Daemon, tws: Tws) -> None:
    resting = rest(daemon)

    def drop() -> None:
        tws.do("drop", seconds=1)
        tws.do("fill", order=resting["permid"], size=4)

    lost_and_back(daemon, drop)
    until(lambda: daemon.call("query_order", id=resting["permid"])["filled"] == 4, daemon)
    daemon.call("cancel_order", id=resting["permid"])
    assert becomes(daemon, resting["permid"], "CANCELED")["filled"] == 4
    agrees(daemon, tws)


def test_a_cancel_while_the_link_is_down_is_sent_when_it_is_back(daemon: Daemon, tws: Tws) -> None:
    cancel_while_away(daemon, rest(daemon)["permid"], lambda: tws.do("drop", seconds=4))
    agrees(daemon, tws)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_link_that_drops_under_an_order(daemon: Daemon, tws: Tws, when: str) -> None:
    tws.do("fault", name="dropped_link", when=when, seconds=0.5)
    order = daemon.call("limit_order", **TERMS, limit_price=1.5, quantity=10, client_order_id=f"dropped-{when}")
    wanted = "REJECTED" if when == "before" else "NEW"
    ended = becomes(daemon, order["permid"], wanted)
    assert len(theirs(tws, order["permid"])) == (0 if when == "before" else 1)
    if when == "before":
        assert ended["reason"] == "NEVER_ARRIVED"
    else:
        daemon.call("cancel_order", id=order["permid"])
        becomes(daemon, order["permid"], "CANCELED")
    daemon.up()


def test_tws_without_ib_is_waited_out(daemon: Daemon, tws: Tws) -> None:
    resting = rest(daemon)
    before = losses(daemon)
    tws.do("lose")
    until(lambda: losses(daemon) > before, daemon)
    assert daemon.call("status") != "Up"
    tws.do("fill", order=resting["permid"], size=10)
    tws.do("regain", data=False)
    daemon.up()
    becomes(daemon, resting["permid"], "FILLED")
    tws.do("quote", symbol="IBM", bid="184.10", ask="184.20")
    until(lambda: daemon.call("query_symbol", symbol="IBM")["bid"] == 184.1, daemon)
    agrees(daemon, tws)


def test_killed_in_the_midst_of_orders_it_finds_every_one(tws: Tws, make_daemon: MakeDaemon) -> None:
    daemon = make_tws(make_daemon, tws.port, 22).start().up()
    daemon.call("add_symbol", symbol="IBM")
    kill_among_orders(daemon, {**TERMS, "quantity": 1}, 1.5, lambda name: theirs(tws, name))
