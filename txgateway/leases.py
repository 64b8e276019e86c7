"""Cancel on disconnect: the orders of a stream connection that asked for it end when it has been gone for so long.

A lease is its connection's until that goes, or until a newer connection of the same user takes it up: a named one by
its name, also from a connection that is not known to be dead yet; an unnamed one only once it is lost. A daemon that
dies takes its connections with it: after a restart each lease runs from when the venues of its orders are UP.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any

from txgateway.cancels import Cancels
from txgateway.intake import Intake
from txgateway.ledger import Ledger
from txgateway.model.errors import Reason
from txgateway.model.events import LeaseEnded, LeaseLost, LeaseTaken, VenueStatus
from txgateway.model.lease import Lease
from txgateway.model.order import Order


class Leases:
    """Who holds which lease, and the end of those that nobody holds."""

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        reactor: Any,
        clock: Callable[[], datetime],
        cancels: Cancels,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._intake = intake
        self._reactor = reactor
        self._clock = clock
        self._cancels = cancels
        self._holders: dict[str, Hashable] = {}
        self._due: dict[str, float] = {}
        self._over: set[str] = set()
        self._is_stopping = is_stopping
        """A daemon that stops ends its connections itself: none of them is lost by that."""

    def hold(self, user: str, name: str, seconds: float | None, current: str, holder: Hashable) -> str:
        """The lease of a connection that asked for this (None: for none any more) and has `current` until now."""
        known = self._state.leases.get(current) if self._holders.get(current) is holder else None
        if seconds is None:
            if known is not None:
                self._end(current, "Given up by its connection: its orders stay.")
            return ""
        if known is not None and known.user == user:
            self._ledger.record(LeaseTaken(current, user, known.name, seconds, self._clock()))
            return current
        self.lost(current, holder)
        return self.take(user, name, seconds, holder)

    def take(self, user: str, name: str, seconds: float, holder: Hashable) -> str:
        """A lease for a connection: its user's of that name, or one that was lost; else a new one."""
        lease = self._found(user, name) or f"lease-{self._state.seq + 1}"
        self._holders[lease] = holder
        self._due.pop(lease, None)
        self._ledger.record(LeaseTaken(lease, user, name, seconds, self._clock()))
        return lease

    def _found(self, user: str, name: str) -> str | None:
        for each in self._state.leases.values():
            same = each.user == user and each.name == name and each.lease not in self._over
            if same and (name or each.lease not in self._holders):
                return each.lease
        return None

    def lost(self, lease: str, holder: Hashable) -> None:
        """The connection is gone; nothing happens when a newer one holds its lease."""
        if self._is_stopping() or self._holders.get(lease) is not holder:
            return
        del self._holders[lease]
        seconds = self._state.leases[lease].seconds
        self._ledger.record(LeaseLost(lease, self._clock()))
        self._due[lease] = self._reactor.seconds() + seconds
        self.watch()

    def takes(self, lease: str) -> bool:
        """Whether an order may still be sent under a lease: not when what it had is being cancelled."""
        return lease in self._state.leases and lease not in self._over

    def watch(self) -> None:
        """Each second: cancel what is open under the leases that nobody took up in time; end those without any."""
        lost = [each for each in self._state.leases.values() if each.lease not in self._holders]
        if not lost or self._is_stopping():
            return
        orders: dict[str, list[Order]] = {}
        for order in self._state.working.values():
            if order.lease:
                orders.setdefault(order.lease, []).append(order)
        now = self._reactor.seconds()
        for lease in lost:
            left = orders.get(lease.lease, [])
            if not left:
                self._end(lease.lease, "Its connection is gone, and nothing is open under it.")
                continue
            if lease.lease not in self._due and self._may_begin(left):
                self._due[lease.lease] = now + lease.seconds
            if self._due.get(lease.lease, now + 1) <= now:
                self._run_out(lease, left)

    def _may_begin(self, orders: list[Order]) -> bool:
        """After a restart: whether the venues are there that the lease is about."""
        venues = {order.venue for order in orders}
        return all(self._intake.status[venue] is VenueStatus.UP for venue in venues)

    def _run_out(self, lease: Lease, orders: list[Order]) -> None:
        self._over.add(lease.lease)
        name = f" {lease.name!r}" if lease.name else ""
        text = f"The connection of {lease.user} that sent it (lease{name}) has been gone for {lease.seconds:g} s."
        for order in orders:
            self._cancels.ask(order, "gateway", Reason.DISCONNECTED, text)

    def _end(self, lease: str, text: str) -> None:
        self._holders.pop(lease, None)
        self._due.pop(lease, None)
        self._over.discard(lease)
        self._ledger.record(LeaseEnded(lease, text, self._clock()))
