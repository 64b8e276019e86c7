"""An emulated exchange as a process: its command line, and its handle for tests that block."""

from __future__ import annotations

import logging
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from twisted.internet import asyncioreactor

from tests.emulators import command_line, process
from tests.emulators.crypto.control import Control
from tests.emulators.crypto.server import Emulator, Key, Options
from tests.emulators.loops import deferred


def key(text: str) -> Key:
    """Of an account."""
    words = text.split(":")
    if not 3 <= len(words) <= 4 or not all(words):
        raise ArgumentTypeError(f"a key is ACCOUNT:KEY:SECRET or ACCOUNT:KEY:SECRET:PASSWORD, not {text!r}")
    return Key(*words)


def balance(text: str) -> tuple[str, str, Decimal]:
    """Wallet, asset, amount."""
    match text.split(":"):
        case [wallet, asset, amount] if wallet and asset:
            return wallet, asset, command_line.amount(amount)
    raise ArgumentTypeError(f"a balance is WALLET:ASSET:AMOUNT, not {text!r}")


def parser(name: str) -> ArgumentParser:
    """The command line."""
    usage = f"An emulated {name}: REST and WebSocket on one TCP port, with faults on demand."
    made = command_line.parser(name, usage, latency="that each request takes")
    add = made.add_argument
    add("--key", type=key, action="append", metavar="ACCOUNT:KEY:SECRET[:PASSWORD]", help="may be given several times")
    balances = "in place of the usual money; may be given several times"
    add("--balance", type=balance, action="append", default=[], metavar="WALLET:ASSET:AMOUNT", help=balances)
    add("--limits", action="store_true", help="keep the venue's rate limits")
    return made


def options(given: Namespace) -> Options:
    """What an emulator is to be."""
    balances: dict[str, dict[str, Decimal]] = {}
    for wallet, asset, amount in given.balance:
        balances.setdefault(wallet, {})[asset] = amount
    money = {"keys": tuple(given.key or (Key(),)), "balances": balances or None}
    return Options(**command_line.named(given, Options) | money)


def main(make: Callable[[Options], Emulator], control: Callable[[Any], Control] = Control) -> None:
    """Until it is killed, or standard input ends. Says in one JSON line where it listens."""
    asyncioreactor.install()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    name = make.__module__.split(".")[2]
    command_line.run(
        parser(name),
        lambda given, reactor: control(make(options(given))),
        stop=lambda emulator: deferred(emulator.stop()),
    )


class Process(process.Process):
    """`python -m tests.emulators.NAME`; `options` as on its command line: `Process("woo", "--seed", "1")`."""

    def __init__(self, name: str, *options: str, errors: Path | None = None) -> None:
        super().__init__(*options, errors=errors)
        self.module = f"tests.emulators.{name}"
