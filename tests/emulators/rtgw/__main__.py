"""Run the emulator by hand: `python -m tests.emulators.rtgw --port 0`. Says in one JSON line where it listens."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from tests.emulators import command_line
from tests.emulators.rtgw.control import Control
from tests.emulators.rtgw.market import LISTINGS
from tests.emulators.rtgw.server import DEFAULT_ACCOUNTS, Emulator, Options


def parser() -> ArgumentParser:
    """The command line."""
    usage = "An emulated Realtick rtgw: quotes, bars, orders and accounts on a TCP port, with faults on demand."
    late = "that an order stays PENDING"
    made = command_line.parser("rtgw", usage, port_by_default=51070, latency=late)
    command_line.add_accounts(made, "BANK.BRANCH.CUSTOMER.DEPOSIT")
    add = made.add_argument
    add("--killed", choices=("DELETED", "CANCELLED"), default="DELETED", help="how a cancelled order's row ends")
    add("--state", type=Path, metavar="FILE", help="remember orders in this file over a restart")
    return made


def make(given: Namespace, reactor: Any) -> Control:
    """An emulator, and its controls; ValueError when it cannot be."""
    held = command_line.accounts(given, DEFAULT_ACCOUNTS)
    if wrong := [name for name in held["accounts"] if name.count(".") != 3]:
        raise ValueError(f"an account has four parts with dots between: {wrong[0]}")
    if wrong := [symbol for _, symbol, _ in given.position if symbol not in LISTINGS]:
        raise ValueError(f"no symbol {wrong[0]!r}; there are: {', '.join(LISTINGS)}")
    return Control(Emulator(Options(**command_line.named(given, Options) | held), reactor))


if __name__ == "__main__":
    command_line.run(parser(), make)
