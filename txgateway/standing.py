"""How strategies stand now: what each holds, has working, and has closing by itself."""

from __future__ import annotations

from decimal import Decimal

from txgateway.model.order import OrderType
from txgateway.model.signal import StrategyPosition
from txgateway.state import State

ZERO = Decimal(0)


class Standing:
    """Reads it off the state, whose families have the positions that have exits attached."""

    def __init__(self, state: State) -> None:
        self._state = state

    def at(self, account: str, symbol: str, source: str, strategy: str) -> StrategyPosition:
        """What is on record of a strategy's position."""
        return self._state.strategies.at((account, symbol), (source, strategy))

    def held(self, position: StrategyPosition) -> Decimal:
        """What it holds (signed), less what others' hands closed."""
        return self._state.strategies.held(position, self._account_holds(position))

    def now(self, position: StrategyPosition) -> Decimal:
        """What it will hold when its orders are filled, and what closes by itself has closed (signed).

        What rests at a price to give up what it holds may never be filled: that is held until it is.
        """
        held = self.held(position)
        working = [left for order_id, left in position.working.items() if left * held >= 0 or self._is_market(order_id)]
        return held + sum(working, ZERO) - self._leaving(position)

    def closable(self, position: StrategyPosition) -> Decimal:
        """What of it can still be given up (signed): what is only to be filled is not held yet.

        What rests at a price to give it up may never be filled, and exits are not attached on the strength of it.
        """
        held, leaving = self.held(position), self._leaving(position)
        sure = (left for order_id, left in position.working.items() if left * held < 0 and self._is_market(order_id))
        left = held + sum(sure, ZERO) - leaving
        return left if left * held > 0 else ZERO

    def intended(self, position: StrategyPosition) -> Decimal:
        """The same when all that was taken in for it has been carried out, too (signed)."""
        planned = self._state.strategies.planned(position)
        return self.now(position) if planned is None else planned

    def elsewhere(self, position: StrategyPosition) -> StrategyPosition | None:
        """What the same strategy holds, or is to hold, of another symbol or in another account."""
        name = (position.source, position.strategy)
        for place in self._state.strategies.places(*name):
            found = self._state.strategies.at(place, name)
            if place != (position.account, position.symbol) and self.intended(found):
                return found
        return None

    def opening(self, position: StrategyPosition) -> list[str]:
        """Its working orders that do not surely, and merely, give up what it holds."""
        held, working = self.held(position), position.working
        sure = {each: left for each, left in working.items() if left * held < 0 and self._is_market(each)}
        return [each for each in working if each not in sure or abs(sum(sure.values(), ZERO)) > abs(held)]

    def _is_market(self, order_id: str) -> bool:
        order = self._state.order(order_id)
        return order is not None and order.order_type is OrderType.MARKET

    def families(self, position: StrategyPosition) -> dict[str, Decimal]:
        """Its entries that have exits which nobody has ended: what is left of each (signed)."""
        return {entry: left for entry, left, closing in self._families(position) if not closing}

    def closing(self, position: StrategyPosition) -> list[str]:
        """Its entries that are being closed by what keeps their exits."""
        return [entry for entry, _, closing in self._families(position) if closing]

    def _leaving(self, position: StrategyPosition) -> Decimal:
        return sum((left for _, left, closing in self._families(position) if closing), ZERO)

    def _families(self, position: StrategyPosition) -> list[tuple[str, Decimal, str]]:
        mine = (position.account, position.symbol, position.source, position.strategy)
        return [
            (each.entry, each.left if each.long else -each.left, each.closing)
            for each in self._state.families
            if each.signal
            and (each.account, each.symbol, each.owner, each.strategy) == mine
            and each.left > 0
            and not each.ended
        ]

    def _account_holds(self, position: StrategyPosition) -> Decimal:
        found = self._state.positions.get(position.account, {}).get(position.symbol)
        return found.quantity if found is not None else ZERO
