"""What the account holds, between two answers of the exchange. Pure.

Where a stream brings the balances they are taken as they come. Where none does they are estimated: what was there
when it was asked, what own fills moved since, and what own orders hold back now in place of what they held back then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from txgateway.brokers.ccxt.words import Held

ZERO = Decimal(0)


class Balances:
    """The balances of one link.

    `asked`: when the exchange was asked last, by the reactor's seconds; `since`: the same by its clock.
    """

    def __init__(self, by_stream: bool) -> None:
        self.by_stream = by_stream
        self.asked: float | None = None
        self.since: datetime | None = None
        self._total: dict[str, Decimal] = {}
        self._used: dict[str, Decimal] = {}
        self._locked: Mapping[str, Decimal] = {}

    def snapshot(
        self, balances: Iterable[Held], locked: Mapping[str, Decimal], at: float, since: datetime | None = None
    ) -> None:
        """The exchange's own answer; `locked` is what our open orders hold back."""
        self._total, self._used = {}, {}
        for each in balances:
            self.hear(each)
        self._locked, self.asked, self.since = dict(locked), at, since

    def hear(self, held: Held) -> None:
        """A currency's balance came."""
        self._total[held.currency] = held.total
        if held.used is not None:
            self._used[held.currency] = held.used

    def moved(self, amounts: Mapping[str, Decimal], time: datetime | None = None) -> None:
        """A fill of ours moved so much of each currency. A stream tells that itself, and so did a later answer."""
        if self.by_stream or (time is not None and self.since is not None and time < self.since):
            return
        for currency, moved in amounts.items():
            self._total[currency] = self._total.get(currency, ZERO) + moved

    def held(self, locked: Mapping[str, Decimal]) -> list[Held]:
        """What is held now, given what our open orders hold back now."""
        found = []
        for currency, total in self._total.items():
            used = self._used.get(currency, ZERO)
            if not self.by_stream:
                used = max(ZERO, used + locked.get(currency, ZERO) - self._locked.get(currency, ZERO))
            found.append(Held(currency=currency, total=total, used=used))
        return found


def locked_by(orders: Iterable[tuple[str, str, int, Decimal, Decimal | None]]) -> dict[str, Decimal]:
    """What open orders (base, quote, sign, left, limit) hold back of each currency."""
    found: dict[str, Decimal] = {}
    for base, quote, sign, left, limit in orders:
        currency, amount = (quote, left * (limit or ZERO)) if sign > 0 else (base, left)
        found[currency] = found.get(currency, ZERO) + amount
    return found
