"""The turns of symbols: what is about one account and symbol goes one after another, in the order it came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import DeferredLock

from txgateway.model.signal import Act, Instruction, Plan, Source

Named = Callable[[Source, Instruction], Awaitable[tuple[Instruction, str]]]
"""The instruction with its symbol, and the venue's for it."""


@dataclass(slots=True)
class Turn:
    """One signal's: the venue's symbol of each instruction, and the lines of those symbols that it holds."""

    symbols: dict[int, str] = field(default_factory=dict)
    lines: list[DeferredLock] = field(default_factory=list)

    def release(self) -> None:
        """Let the next of the same symbol begin."""
        lines, self.lines = self.lines, []
        for line in lines:
            line.release()


class Turns:
    """A line for each account and symbol, and a door for each account."""

    def __init__(self, named: Named) -> None:
        self._named = named
        self._doors: dict[str, DeferredLock] = {}
        self._lines: dict[tuple[str, str], DeferredLock] = {}

    async def join(
        self,
        source: Source,
        plans: Sequence[Plan],
        instructions: Iterable[tuple[int, Instruction]],
        turn: Turn,
        strict: bool = False,
    ) -> None:
        """Wait for the turn of all symbols that these are about: what comes later comes after all of them.

        What cannot be named yet is left for later, unless it is `strict`. A cancel of every symbol waits for all.
        """
        door = self._doors.setdefault(source.account, DeferredLock())
        await door.acquire()  # held only until the lines are joined: so that two never overtake each other on the way
        try:
            every = False
            for at, instruction in instructions:
                plan = plans[at] if at < len(plans) else None
                if plan is not None and plan.symbol:
                    turn.symbols[at] = plan.symbol
                elif instruction.act is Act.CANCEL and not instruction.symbol:
                    every = True
                else:
                    try:
                        turn.symbols[at] = (await self._named(source, instruction))[1]
                    except Exception:  # it is said when its turn comes
                        if strict:
                            raise
            joined = set(turn.symbols.values())
            if every:
                joined |= {symbol for account, symbol in self._lines if account == source.account}
            lines = [self._lines.setdefault((source.account, symbol), DeferredLock()) for symbol in sorted(joined)]
            turns = [line.acquire() for line in lines]
        finally:
            door.release()
        for line, mine in zip(lines, turns, strict=True):
            await mine
            turn.lines.append(line)
