"""What all measurements share: the scale, the folder, the load generator, and the journal with many orders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.processes import PASSWORD, USER, Daemon, Load, Yardstick, request
from bench.runs import Scale

ACCOUNT = "API_ACCOUNT"
SYMBOLS = ("IBM", "AAPL", "MSFT", "GOOG", "TSLA", "SPY", "INTC", "AMZN")
QUOTES = f'auth {USER} {PASSWORD} {{"quotes":1}}'
"""How a stream client logs in that wants quotes."""
QUIET = f"auth {USER} {PASSWORD} {{}}"
"""… and one that wants nothing."""
BUSY = 0.9
"""A load generator that computes for more of the time than this was what limited the figure."""


@dataclass(frozen=True, slots=True)
class ManyOrders:
    """The journal, book and snapshot of a daemon that took `scale.orders` orders today.

    And the memory that this daemon had in the end, after it had also been asked for all of them and their executions.
    """

    folder: Path
    memory: float


class Workshop:
    """Starts what a measurement needs; everything ends with `held`."""

    def __init__(self, scale: Scale, folder: Path, held: ExitStack) -> None:
        self.scale = scale
        self.folder = folder
        self.busiest = 0.0
        """The largest share of the time that the load generator computed in any job."""
        self._held = held
        self._folders = 0
        self._many: ManyOrders | None = None

    @cached_property
    def _load(self) -> Load:
        load = Load(self.folder)
        self._held.enter_context(load)
        return load

    def new_folder(self) -> Path:
        """An empty one."""
        self._folders += 1
        folder = self.folder / str(self._folders)
        folder.mkdir()
        return folder

    @contextmanager
    def daemon(
        self, folder: Path | None = None, /, variables: Mapping[str, str] | None = None, **settings: str
    ) -> Iterator[Daemon]:
        """A daemon for as long as it is needed; its folder goes with it, unless it is a given one."""
        place = folder or self.new_folder()
        try:
            with Daemon(place, settings, variables) as daemon:
                yield daemon
        finally:
            if folder is None:
                shutil.rmtree(place, ignore_errors=True)

    def yardstick(self, *arguments: str) -> Yardstick:
        """A yardstick, to be used in a `with`."""
        return Yardstick(self.folder, arguments)

    # jobs

    def do(self, what: str, **job: Any) -> dict[str, Any]:
        """A job for the load generator."""
        result = self._load.do(what, **job)
        self.busiest = max(self.busiest, result.get("busy", 0.0))
        return result

    def calls(self, port: int, requests: Sequence[str], clients: int, seconds: float | None = None) -> dict[str, Any]:
        """Ask for one turn's seconds, or for so many."""
        seconds = seconds or self.scale.seconds
        return self.do("calls", port=port, requests=requests, clients=clients, seconds=seconds)

    def send_orders(self, daemon: Daemon, count: int, clients: int = 64) -> dict[str, Any]:
        """Send so many market orders."""
        return self.do("calls", port=daemon.port, requests=market_orders(), clients=clients, count=count)

    # many orders

    def many_orders(self) -> ManyOrders:
        """Made once in a run, by sending them."""
        if self._many is None:
            folder = self.new_folder()
            with Daemon(folder, {}) as daemon:
                self.send_orders(daemon, self.scale.orders)
                daemon.ask_for_all()
                memory = daemon.memory()
                daemon.stop()
            self._many = ManyOrders(folder, memory)
        return self._many


def market_orders(account: str = ACCOUNT, symbols: Sequence[str] = SYMBOLS) -> list[str]:
    """Orders to buy and to sell one share of each of some symbols."""
    return [
        request("/market_order", {"account": account, "route": "DEMO", "symbol": symbol, "quantity": quantity})
        for quantity in (1, -1)
        for symbol in symbols
    ]
