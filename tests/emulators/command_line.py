"""`python -m tests.emulators.NAME`: what its command line may say, and its life until it is killed."""

from __future__ import annotations

import json
import math
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.stdio import StandardIO
from twisted.python import log

from tests.emulators.control import HOW, Control, ControlFactory, ControlLines
from tests.emulators.options import Options

Make = Callable[[Namespace, Any], Control]
"""Out of what was given and the reactor; ValueError or OSError when it cannot be."""


def port(text: str) -> int:
    """0 to 65535."""
    if not text.isdecimal() or int(text) > 65535:
        raise ArgumentTypeError(f"a port is 0 to 65535, not {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"seconds are a number from 0, not {text!r}")
    return value


def amount(text: str) -> Decimal:
    """Of money."""
    try:
        value = Decimal(text)
    except ArithmeticError:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ArgumentTypeError(f"an amount is a number, not {text!r}")
    return value


def moment(text: str) -> datetime:
    """Naive."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        value = None
    if value is None or value.tzinfo:
        raise ArgumentTypeError(f"a time is written like 2026-03-04T11:00, in US/Eastern, not {text!r}")
    return value


def holding(text: str) -> tuple[str, str, int]:
    """Account, symbol, signed shares."""
    match text.split(":"):
        case [account, symbol, shares] if shares.removeprefix("-").isdecimal():
            return account, symbol, int(shares)
    raise ArgumentTypeError(f"a position is ACCOUNT:SYMBOL:SHARES, not {text!r}")


def parser(name: str, usage: str, *, port_by_default: int = 0, latency: str) -> ArgumentParser:
    """With what every emulator takes, where `latency` says what is late; each adds its own."""
    made = ArgumentParser(prog=f"python -m tests.emulators.{name}", description=usage)
    add = made.add_argument
    add("--port", type=port, default=port_by_default, help="0: any that is free (default: %(default)s)")
    add("--control", type=port, metavar="PORT", help=f"a port for commands, 0: any that is free. {HOW}")
    add("--stdin", action="store_true", help="take JSON commands from standard input; its end ends the emulator")
    add("--interface", default="127.0.0.1", help="the address of this machine to listen at (default: %(default)s)")
    add("--seed", default="7", help="of prices and of chance")
    add("--tick", type=seconds, default=0.25, help="seconds between quotes; 0: only when told (default: %(default)s)")
    add("--latency", type=seconds, default=0.0, metavar="SECONDS", help=latency)
    return made


def add_accounts(to: ArgumentParser, account: str) -> None:
    """What an emulated gateway of brokerage accounts takes, too; `account` shows how one is named."""
    add = to.add_argument
    add("--account", action="append", metavar=account, help="may be given several times")
    add("--cash", type=amount, default=Decimal(1_000_000), help="of each account")
    position = {"metavar": "ACCOUNT:SYMBOL:SHARES", "help": "held at the start; may be given several times"}
    add("--position", type=holding, action="append", default=[], **position)
    add("--begins", type=moment, metavar="YYYY-MM-DDTHH:MM", help="what its clock shows first, in US/Eastern")


def accounts(given: Namespace, otherwise: Sequence[str]) -> dict[str, Any]:
    """The accounts and their positions; ValueError for a position of another account."""
    names = tuple(given.account or otherwise)
    positions: dict[str, dict[str, int]] = {}
    for account, symbol, shares in given.position:
        if account not in names:
            raise ValueError(f"no account {account!r} for a position in {symbol}; there are: {', '.join(names)}")
        positions.setdefault(account, {})[symbol] = shares
    return {"accounts": names, "positions": positions}


def named(given: Namespace, options: type[Options]) -> dict[str, Any]:
    """What was given by the names of the options."""
    return {each.name: getattr(given, each.name) for each in fields(options) if hasattr(given, each.name)}


def made(
    words: ArgumentParser, make: Make, reactor: Any, arguments: Sequence[str] | None = None
) -> tuple[Namespace, Any]:
    """What was given, and what was made of it; the process ends with a line that says what is wrong."""
    given = words.parse_args(arguments)
    try:
        return given, make(given, reactor)
    except (ValueError, OSError) as error:
        words.error(str(error))


def run(words: ArgumentParser, make: Make, stop: Callable[[Any], Any] = lambda emulator: emulator.stop()) -> None:
    """Until it is killed, or standard input ends. Says in one JSON line where it listens."""
    from twisted.internet import reactor  # whichever was installed before

    given, control = made(words, make, reactor)
    failed: list[Exception] = []

    def begin() -> None:
        try:
            listens = {"port": control.emulator.start()}
            reactor.addSystemEventTrigger("before", "shutdown", stop, control.emulator)
            if given.control is not None:
                listening = reactor.listenTCP(given.control, ControlFactory(control), interface="127.0.0.1")
                listens["control"] = listening.getHost().port
        except (OSError, CannotListenError) as error:
            failed.append(error)
            reactor.stop()
            return
        print(json.dumps(listens), flush=True)
        if given.stdin:
            StandardIO(ControlLines(control, ended=end))

    def end() -> None:
        if reactor.running:
            reactor.stop()

    log.startLogging(sys.stderr, setStdout=False)
    reactor.callWhenRunning(reactor.callLater, 0, begin)  # asyncio's loop runs only then
    reactor.run()
    if failed:
        words.error(f"it cannot listen: {failed[0]}")
