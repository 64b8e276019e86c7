"""An emulated exchange as a process: its command line, and its handle for tests that block."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.emulators import process
from tests.emulators.crypto.control import Control, ControlLines
from tests.emulators.crypto.server import Emulator, Key, Options


def parse(name: str, arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    usage = f"An emulated {name}: REST and WebSocket on one TCP port, with faults on demand."
    parser = argparse.ArgumentParser(prog=f"python -m tests.emulators.{name}", description=usage)
    add = parser.add_argument
    add("--port", type=int, default=0, help="0: any that is free (default)")
    add("--control", type=int, metavar="PORT", help="a port for JSON commands, 0: any that is free")
    add("--stdin", action="store_true", help="take JSON commands from standard input; its end ends the emulator")
    add("--interface", default="127.0.0.1")
    add("--seed", default="7", help="of prices and of chance")
    add("--key", action="append", metavar="ACCOUNT:KEY:SECRET[:PASSWORD]", help="may be given several times")
    add("--balance", action="append", default=[], metavar="WALLET:ASSET:AMOUNT", help="in place of the usual money")
    add("--tick", type=float, default=0.25, help="seconds between quotes; 0: only when told (default: %(default)s)")
    add("--latency", type=float, default=0.0, help="seconds that each request takes")
    add("--limits", action="store_true", help="keep the venue's rate limits")
    return parser.parse_args(arguments)


def options(given: argparse.Namespace) -> Options:
    """What an emulator is to be; ValueError when it cannot be."""
    keys = []
    for each in given.key or []:
        words = each.split(":")
        if not 3 <= len(words) <= 4:
            raise ValueError(f"a key is ACCOUNT:KEY:SECRET, not {each!r}")
        keys.append(Key(*words))
    balances: dict[str, dict[str, Decimal]] = {}
    for each in given.balance:
        wallet, asset, amount = each.split(":")
        balances.setdefault(wallet, {})[asset] = Decimal(amount)
    names = ("seed", "tick", "latency", "limits", "port", "interface")
    return Options(
        keys=tuple(keys) or (Key(),), balances=balances or None, **{name: getattr(given, name) for name in names}
    )


def main(make: Callable[[Options], Emulator], control: Callable[[Any], Control] = Control) -> None:
    """Until it is killed, or standard input ends. Says in one JSON line where it listens."""
    name = make.__module__.split(".")[2]
    given = parse(name)
    try:
        emulator = make(options(given))
    except (ValueError, ArithmeticError) as error:
        sys.exit(f"{name} emulator: {error}")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    asyncio.run(_run(emulator, control(emulator), given))


async def _run(emulator: Emulator, control: Control, given: argparse.Namespace) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, ended.set)
    listens = {"port": emulator.start()}
    if given.control is not None:
        server = await loop.create_server(lambda: ControlLines(control), "127.0.0.1", given.control)
        listens["control"] = server.sockets[0].getsockname()[1]
    print(json.dumps(listens), flush=True)

    def out(data: bytes) -> None:
        sys.stdout.write(data.decode())
        sys.stdout.flush()

    if given.stdin:
        await loop.connect_read_pipe(lambda: ControlLines(control, out, ended.set), sys.stdin)
    await ended.wait()
    await emulator.stop()


class Process(process.Process):
    """`python -m tests.emulators.NAME`; `options` as on its command line: `Process("woo", "--seed", "1")`."""

    def __init__(self, name: str, *options: str, errors: Path | None = None) -> None:
        super().__init__(*options, errors=errors)
        self.module = f"tests.emulators.{name}"
