"""What is told to whom, with what goes wrong on the way: late, doubled and swapped fills, a mute feed."""

from __future__ import annotations

from collections.abc import Callable

from tests.emulators.rtgw.faults import Faults
from tests.emulators.rtgw.link import Link
from tests.emulators.rtgw.market import LISTINGS
from tests.emulators.rtgw.orders import Row
from tests.emulators.rtgw.tables import QUOTE, TRADE, Tables
from tests.emulators.rtgw.tql import Query


class Teller:
    """Tells the links' advises of ORDERS and LIVEQUOTE. Time is given by `seconds` and `later`."""

    def __init__(
        self,
        links: list[Link],
        faults: Faults,
        seconds: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self.links = links
        self.faults = faults
        self.seconds = seconds
        self.later = later
        self.muted: set[str] = set()
        """Of quotes, orders, clock: what is not told."""
        self.quiet = False
        """True while a poke is done of which nothing is told."""
        self._muted_until = 0.0
        self._held: list[Row] = []
        self._life = 0

    def forget(self) -> None:
        """What was to be told later never is: the emulator has been restarted."""
        self._held.clear()
        self._life += 1

    def unmute(self) -> None:
        """All is told again."""
        self.muted.clear()
        self._muted_until = 0.0

    # ---------------------------------------------------------------- rows of ORDERS

    def tell(self, row: Row) -> None:
        """A row of ORDERS, unless it is a fill that is late, doubled or out of order."""
        if self.quiet:
            return
        if row["TYPE"] != "ExchangeTradeOrder":
            self._deliver(row)
            return
        happens, symbol = self.faults.happens, row["DISP_NAME"]
        if doubled := happens("duplicated_fill", symbol):
            self._deliver_later(doubled.after(0), row)
        if late_fill := happens("late_fill", symbol):
            self._deliver_later(late_fill.after(2), row)
        elif held := happens("reordered_fills", symbol):
            self._held.append(row)
            self.later(held.after(1), lambda: self._release([row]))
        else:
            self._deliver(row)
            self._release(self._held[::-1])

    def _deliver_later(self, seconds: float, row: Row) -> None:
        """Not in this turn in any case, and not when the emulator has been restarted by then."""
        life = self._life
        self.later(max(seconds, 0.001), lambda: self._deliver(row) if life == self._life else None)

    def _release(self, rows: list[Row]) -> None:
        for row in rows:
            if any(row is each for each in self._held):
                self._held = [each for each in self._held if each is not row]
                self._deliver(row)

    def _deliver(self, row: Row) -> None:
        if "orders" in self.muted:
            return
        for link in self.links:
            for each in link.connections.values():
                if each.query and each.query.table == "ORDERS" and each.query.takes(row):
                    selected = each.query.select(row)
                    if selected is not None:
                        link.say("update", each.id, {"row": selected})

    # ---------------------------------------------------------------- quotes

    @staticmethod
    def shown(query: Query, tables: Tables) -> Row | None:
        """What a quote's advise shows now."""
        symbol = query.value("DISP_NAME")
        if query.table != "LIVEQUOTE" or symbol not in LISTINGS:
            return None
        return query.select(tables.live(symbol))

    def tell_quotes(self, symbol: str, tables: Tables) -> None:
        """To every advise of the symbol: what has changed, a quote or a trade always whole."""
        for link in self.links:
            for each in link.connections.values():
                if not each.query or each.query.value("DISP_NAME") != symbol:
                    continue
                shown = self.shown(each.query, tables)
                if shown is None or shown == each.last:
                    continue
                changed = {name for name, value in shown.items() if each.last.get(name) != value}
                for group in (QUOTE, TRADE):
                    if changed.intersection(group):
                        changed.update(group)
                each.last = shown
                if not self._is_muted(symbol):
                    link.say("update", each.id, {"row": {k: v for k, v in shown.items() if k in changed}})

    def _is_muted(self, symbol: str) -> bool:
        if "quotes" in self.muted or self.seconds() < self._muted_until:
            return True
        fault = self.faults.happens("mute_feed", symbol)
        if fault:
            self._muted_until = self.seconds() + fault.after(0)
        return bool(fault)
