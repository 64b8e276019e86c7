"""Signals that change a trade: the exits of its position, and its entry's price and time while that works."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from txgateway import sizing
from txgateway.amends import Amendment
from txgateway.gateway import Gateway
from txgateway.model.errors import Reason, Refused
from txgateway.model.exits import ExitPlan, Level
from txgateway.model.instrument import Instrument
from txgateway.model.order import Order, OrderType, Side
from txgateway.model.rights import Grant
from txgateway.model.signal import Instruction, Signal, StrategyPosition
from txgateway.standing import Standing

ZERO = Decimal(0)


class Revisions:
    """Judges and carries out such a change."""

    def __init__(self, gateway: Gateway, standing: Standing) -> None:
        self._gateway = gateway
        self._standing = standing

    async def check(self, instruction: Instruction, position: StrategyPosition, instrument: Instrument) -> None:
        """Refused where it could not be carried out now."""
        entry = await self._entry(instruction, position)
        plan = self._plan(instruction, entry, instrument)
        denial = await self._gateway.amends.check(entry.order_id, plan) if str(plan) else None
        if denial is not None:
            raise Refused(denial.reason, denial.text)

    async def carry_out(
        self, signal: Signal, instruction: Instruction, position: StrategyPosition, instrument: Instrument, grant: Grant
    ) -> str:
        """Change it: the exits first, for they protect. Gives what was done, in a sentence."""
        entry = await self._entry(instruction, position)
        plan = self._plan(instruction, entry, instrument)
        until = entry.good_till
        if instruction.good_seconds is not None:
            until = signal.time + timedelta(seconds=instruction.good_seconds) if instruction.good_seconds else None

        def amendment() -> Amendment:
            now = self._standing.at(position.account, position.symbol, position.source, position.strategy)
            self._require_open(instruction, now)
            return Amendment(
                good_till=until,
                left=abs(self._standing.held(now)),
                price=now.average_price,
                began=now.opened,
                reference=instruction.reference or None,
            )

        wanted = None if self._gateway.amends.had(entry) is None and not str(plan) else plan
        await self._gateway.amends.amend(entry.order_id, wanted, amendment, signal.source)
        if instruction.limit_price is not None:
            price = sizing.on_grid(instruction.limit_price, instrument, entry.side, entry.order_type.has_stop)
            limit, stop = (price, None) if entry.order_type.has_limit else (None, price)
            if (limit, stop) != (entry.limit_price, entry.stop_price):
                entry = await self._gateway.replace(entry.order_id, None, limit, stop, signal.source, grant)
                if not entry.asks_replace and (limit, stop) != (entry.limit_price, entry.stop_price):
                    text = f"The venue did not change the price of order {entry.order_id}: {entry.text or entry.status}"
                    raise Refused(Reason.REJECTED, text, entry.order_id)
        return f"Order {entry.order_id} is changed."

    async def _entry(self, instruction: Instruction, position: StrategyPosition) -> Order:
        name = instruction.strategy_name or instruction.strategy
        self._require_open(instruction, position)
        entry = await self._gateway.history.get(position.entry)
        if instruction.limit_price is not None and not (
            position.entry in position.working and entry.order_type is not OrderType.MARKET
        ):
            raise Refused(Reason.NOT_WORKING, f"Strategy {name} has no order whose price could be changed.")
        return entry

    def _require_open(self, instruction: Instruction, position: StrategyPosition) -> None:
        """Refused where there is nothing, or an order closes it: exits beside that would close it twice."""
        name = instruction.strategy_name or instruction.strategy
        held = self._standing.held(position)
        if not position.entry or not (held or position.working):
            raise Refused(Reason.NO_POSITION, f"Strategy {name} has no position and no order: nothing can be changed.")
        if not self._standing.intended(position) or any(left * held < 0 for left in position.working.values()):
            raise Refused(Reason.NOT_WORKING, f"Strategy {name} is being closed: nothing can be changed.")

    def _plan(self, instruction: Instruction, entry: Order, instrument: Instrument) -> ExitPlan:
        """The exits that it has then: what is not mentioned stays, what is zero goes."""
        plan = self._gateway.amends.had(entry) or ExitPlan()
        if instruction.take_profit is not None:
            plan = replace(plan, take_profit=_level(instruction.take_profit, instrument, entry.side))
        if instruction.stop_loss is not None:
            plan = replace(plan, stop_loss=_level(instruction.stop_loss, instrument, entry.side))
        if instruction.hold_seconds is not None:
            plan = replace(plan, hold_seconds=instruction.hold_seconds or None)
        return plan


def _level(level: Level, instrument: Instrument, side: Side) -> Level | None:
    return sizing.level_on_grid(level, instrument, side) if level.value else None
