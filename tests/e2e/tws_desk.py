"""A daemon on an emulated TWS, and short ways to look at the exits that are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.trading import FAR, in_doubt
from tests.emulators.tws.process import Tws

ACCOUNT = "DU1234567"
ENTRY = {"account": ACCOUNT, "symbol": "IBM", "side": "BUY", "quantity": 100, "order_type": "LIMIT", "limit_price": 180}
BRACKET = {"take_profit": "190", "stop_loss": "170"}
ENDED = ("Filled", "Cancelled", "Inactive")


def running() -> Iterator[Tws]:
    """An emulated TWS whose market stands still; what it should not have been sent fails the test."""
    emulator = Tws("--tick", "0", "--account", ACCOUNT).start()
    emulator.do("quote", symbol="IBM", bid="185.10", ask="185.20")
    yield emulator
    violations = emulator.violations()
    emulator.kill()
    assert violations == []


def connect(tws: Tws, make_daemon: MakeDaemon, brackets: str) -> Daemon:
    """A daemon whose exits are `native` brackets where they can be, or the gateway's own."""
    where = f'host = "127.0.0.1"\nport = {tws.port}\nclient_id = 7\n'
    daemon = make_daemon(API_ACCOUNT=ACCOUNT, RISK=FAR, RECONCILE_SECONDS="2")
    return daemon.configure(f'[venues.tws]\nkind = "tws"\n{where}brackets = "{brackets}"\n').start().up()


def enter(daemon: Daemon) -> str:
    """An entry that rests, with two exits to come."""
    order = daemon.call("submit_order", **ENTRY, **BRACKET)
    assert order["order_status"] == "NEW", order
    return str(order["permid"])


def exits(tws: Tws) -> list[dict[str, Any]]:
    """Every exit that TWS ever had."""
    return [each for each in tws.do("orders") if each["action"] == "SELL"]


def working(tws: Tws) -> dict[str, tuple[int, dict[str, Any]]]:
    """What is left of each exit that works at TWS, by its type, and the exit; there is one of a type at most."""
    found = [each for each in exits(tws) if each["status"] not in ENDED]
    left = {each["type"]: (int(each["quantity"]) - int(each["filled"]), each) for each in found}
    assert len(left) == len(found), f"two exits of a kind: {found}"
    return left


def rest(daemon: Daemon, tws: Tws, **wanted: int) -> dict[str, dict[str, Any]]:
    """Wait until exactly so much is left of the exits at TWS, such as LMT=40, STP=40; the exits."""

    def so() -> Any:
        found = working(tws)
        same = {kind: size for kind, (size, _) in found.items()} == wanted
        return [{kind: each for kind, (_, each) in found.items()}] if same else None

    found: dict[str, dict[str, Any]] = until(so, daemon)[0]
    return found


def protected(daemon: Daemon, tws: Tws) -> dict[str, dict[str, Any]]:
    """An entry is filled, and its exits rest: they."""
    entry = enter(daemon)
    tws.do("fill", order=entry, size=100)
    return rest(daemon, tws, LMT=100, STP=100)


def held(tws: Tws) -> int:
    """The position at TWS."""
    return int(tws.do("net")[ACCOUNT].get("IBM", 0))


def settled(daemon: Daemon, tws: Tws, position: int) -> None:
    """Nothing is in doubt, and we hold what TWS holds."""
    assert held(tws) == position

    def agreed() -> bool:
        if in_doubt(daemon):
            return False
        return daemon.call("query_positions")[ACCOUNT].get("IBM", 0) == position

    until(agreed, daemon)
