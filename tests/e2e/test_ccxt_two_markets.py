"""One daemon, one key of WOO, two venues: its spot market and its perpetuals. Neither takes the other's for its own."""

from __future__ import annotations

from typing import Any

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.trading import becomes
from tests.emulators.crypto.process import Process

RISK = "price_collar=off,max_notional=off,reference_age=off,max_gross_exposure=off,max_position=off"
SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
VENUE = """
[venues.{name}]
kind = "ccxt"
exchange = "woo"
market = "{market}"
key = "key"
secret = "secret"
uid = "uid"
accounts = ["{account}"]
url = "http://127.0.0.1:{port}"
patience = 2
"""


def test_two_venues_of_one_key_trade_restart_and_agree(make_daemon: MakeDaemon) -> None:
    emulator = Process("woo", "--tick", "0", "--key", "main:key:secret", "--balance", "spot:USDT:5000000").start()
    try:
        for pair in ("BTC-USDT", "BTC-USDT-PERP"):
            emulator.do("quote", symbol=pair, bid=50000, ask=50010, bid_size=1000, ask_size=1000)
        daemon = make(make_daemon, emulator.port)
        trade(daemon, emulator)
        agree(daemon, emulator)
        orders = len(daemon.call("query_orders"))
        daemon.kill()
        emulator.do("place", symbol="BTC-USDT-PERP", side="BUY", quantity="0.1")
        daemon.start()
        agree(daemon, emulator)
        assert len(daemon.call("query_orders")) <= orders + 1
        report = daemon.call("flatten", scope="account:WOOSWAP", reason="home")
        assert "errorMsg" not in report, report
        until(lambda: float(emulator.do("net").get("BTC-USDT-PERP", 0)) == 0, daemon)
        until(lambda: not daemon.call("query_flattens"), daemon)
        agree(daemon, emulator)
        daemon.end()
        assert emulator.violations() == []
    finally:
        emulator.kill()


def make(make_daemon: MakeDaemon, port: int) -> Daemon:
    daemon = make_daemon(RISK=RISK, RECONCILE_SECONDS="1", LOG_HTTP_REQUESTS="0")
    daemon.folder.mkdir(parents=True, exist_ok=True)
    path = daemon.folder / "venues.toml"
    markets = (("woo", "spot", "WOOSPOT"), ("wooswap", "swap", "WOOSWAP"))
    path.write_text(
        "".join(VENUE.format(name=name, market=market, account=to, port=port) for name, market, to in markets)
    )
    daemon.environment["CONFIG"] = str(path)
    daemon.environment.pop("PAPER_FEED", None)
    return daemon.start().up()


def trade(daemon: Daemon, emulator: Process) -> None:
    """Both, by turns; in each something rests, and is filled in part."""
    for account, symbol in (("WOOSPOT", SPOT), ("WOOSWAP", SWAP)):
        terms: dict[str, Any] = {"account": account, "route": "", "symbol": symbol}
        bought = daemon.call("market_order", **terms, quantity=0.5)
        becomes(daemon, bought["permid"], "FILLED")
        rests = daemon.call("limit_order", **terms, limit_price=45000, quantity=0.3)
        emulator.do("fill", order=emulator.do("orders")[-1]["number"], size="0.1")
        until(lambda: daemon.call("query_order", id=rests["permid"])["filled"] == 0.1, daemon)  # noqa: B023


def agree(daemon: Daemon, emulator: Process) -> None:
    """Both venues are up, no difference is open, and each holds what the exchange has in its market, nothing else."""

    def reconciled() -> bool:
        venues = daemon.call("query_venues")
        if {each["status"] for each in venues.values()} != {"UP"}:
            return False
        if any(each.get("resolved") is None for each in daemon.call("query_differences")):
            return False
        spot = sum(map(float, emulator.do("balances")["spot"].get("BTC", ())))
        swap = float(emulator.do("net").get("BTC-USDT-PERP", 0))
        held = daemon.call("query_positions")
        return close(held.get("WOOSPOT", {}), SPOT, spot) and close(held.get("WOOSWAP", {}), SWAP, swap)

    until(reconciled, daemon)
    for order in daemon.call("query_orders").values():
        assert order["symbol"] == (SPOT if order["venue"] == "woo" else SWAP), order
    for fill in daemon.call("query_executions").values():
        assert fill["DISP_NAME"] == (SPOT if fill["ACCOUNT"] == "WOOSPOT" else SWAP), fill


def close(held: dict[str, float], symbol: str, quantity: float) -> bool:
    """Whether this is all that is held."""
    others = {name: amount for name, amount in held.items() if name != symbol and amount}
    return not others and abs(held.get(symbol, 0) - quantity) < 1e-9
