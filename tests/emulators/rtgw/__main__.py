"""Run the emulator by hand: `python -m tests.emulators.rtgw --port 0`. Says in one JSON line where it listens."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from twisted.internet import reactor, stdio
from twisted.python import log

from tests.emulators.rtgw.control import Control, ControlFactory, ControlLines
from tests.emulators.rtgw.market import LISTINGS
from tests.emulators.rtgw.server import DEFAULT_ACCOUNTS, Emulator, Options


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    usage = "An emulated Realtick rtgw: quotes, bars, orders and accounts on a TCP port, with faults on demand."
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.rtgw", description=usage)
    add = parser.add_argument
    add("--port", type=int, default=51070, help="0: any that is free (default: %(default)s)")
    add("--control", type=int, metavar="PORT", help="a port for JSON commands, 0: any that is free")
    add("--stdin", action="store_true", help="take JSON commands from standard input; its end ends the emulator")
    add("--interface", default="127.0.0.1")
    add("--seed", default="7", help="of prices and of chance")
    add("--account", action="append", metavar="BANK.BRANCH.CUSTOMER.DEPOSIT", help="may be given several times")
    add("--cash", type=Decimal, default=Decimal(1_000_000), help="of each account")
    add("--position", action="append", default=[], metavar="ACCOUNT:SYMBOL:SHARES", help="what the day begins with")
    add("--tick", type=float, default=0.25, help="seconds between quotes; 0: only when told")
    add("--begins", type=datetime.fromisoformat, metavar="YYYY-MM-DDTHH:MM", help="what the feed's clock shows first")
    add("--latency", type=float, default=0.0, help="seconds that an order stays PENDING")
    add("--killed", choices=("DELETED", "CANCELLED"), default="DELETED", help="how a cancelled order's row ends")
    add("--state", type=Path, metavar="FILE", help="remember orders in this file over a restart")
    return parser.parse_args(arguments)


def options(given: argparse.Namespace) -> Options:
    """What an emulator is to be; ValueError when it cannot be."""
    accounts = tuple(given.account or DEFAULT_ACCOUNTS)
    if wrong := [name for name in accounts if name.count(".") != 3]:
        raise ValueError(f"an account has four parts with dots between: {wrong[0]}")
    positions: dict[str, dict[str, int]] = {}
    for each in given.position:
        account, symbol, shares = each.split(":")
        if account not in accounts or symbol not in LISTINGS:
            raise ValueError(f"no such account or symbol: {each}")
        positions.setdefault(account, {})[symbol] = int(shares)
    names = ("seed", "cash", "tick", "begins", "killed", "latency", "state", "port", "interface")
    return Options(accounts=accounts, positions=positions, **{name: getattr(given, name) for name in names})


def main() -> None:
    """Until it is killed, or standard input ends."""
    given = parse()
    try:
        emulator = Emulator(options(given), reactor)
    except ValueError as error:
        sys.exit(f"rtgw emulator: {error}")
    log.startLogging(sys.stderr, setStdout=False)
    control, listens = Control(emulator), {"port": emulator.start()}
    if given.control is not None:
        port = reactor.listenTCP(given.control, ControlFactory(control), interface="127.0.0.1")
        listens["control"] = port.getHost().port
    print(json.dumps(listens), flush=True)
    if given.stdin:
        stdio.StandardIO(ControlLines(control, ended=reactor.stop))
    reactor.addSystemEventTrigger("before", "shutdown", emulator.stop)
    reactor.run()


if __name__ == "__main__":
    main()
