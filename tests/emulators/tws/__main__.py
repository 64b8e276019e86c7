"""Run the emulator by hand: `python -m tests.emulators.tws --port 0`. Says in one JSON line where it listens."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from tests.emulators import command_line
from tests.emulators.tws.control import Control
from tests.emulators.tws.server import DEFAULT_ACCOUNTS, NEWEST, OLDEST, Emulator, Options


def parser() -> ArgumentParser:
    """The command line."""
    usage = "An emulated TWS: contracts, ticks, bars, orders and accounts on a TCP port, with faults on demand."
    late = "from PreSubmitted to Submitted, and to Cancelled"
    made = command_line.parser("tws", usage, port_by_default=7497, latency=late)
    command_line.add_accounts(made, "DU1234567")
    add = made.add_argument
    add("--version", type=int, default=NEWEST, help=f"the server version, {OLDEST} to {NEWEST} (default: %(default)s)")
    add("--master", type=int, metavar="CLIENT", help="the client id that hears of everybody's orders")
    add("--rate", type=int, default=50, help="messages a second that a client may send; 0: any number")
    add("--no-pacing", dest="pacing", action="store_false", help="requests for bars are not paced")
    return made


def make(given: Namespace, reactor: Any) -> Control:
    """An emulator, and its controls; ValueError when it cannot be."""
    held = command_line.accounts(given, DEFAULT_ACCOUNTS)
    return Control(Emulator(Options(**command_line.named(given, Options) | held), reactor))


if __name__ == "__main__":
    command_line.run(parser(), make)
