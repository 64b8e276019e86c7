"""A case: its number, its sentence, the flags that promise it, and what tries it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from txgateway.brokers import Can
from txgateway.brokers.conformance.subject import Subject
from txgateway.brokers.conformance.trial import Broken, Trial

__all__ = ["NOTHING", "Broken", "Case", "case", "cases"]

Tried = Callable[[Trial], Awaitable[None]]
NOTHING = Can(0)
"""What a case needs that is every broker's."""


@dataclass(frozen=True, slots=True)
class Case:
    """One rule. `needs` are the flags under which it holds; `sentence` says what is required, and why."""

    number: int
    name: str
    sentence: str
    needs: Can
    function: Tried

    def __str__(self) -> str:
        return f"C{self.number:02}-{self.name}"

    async def run(self, subject: Subject) -> None:
        """Try a fresh counterparty; Broken (an AssertionError) says what was wrong, with the sentence."""
        trial = Trial(subject)
        try:
            await self.function(trial)
        except Broken as broken:
            raise Broken(f"{self}: {self.sentence}\n  {broken}") from broken
        finally:
            await trial.end()


_CASES: dict[int, Case] = {}


def case(number: int, needs: Can = NOTHING) -> Callable[[Tried], Tried]:
    """Enter a function (its docstring is the sentence) among the cases."""

    def enter(function: Tried) -> Tried:
        assert number not in _CASES, f"case {number} is there twice"
        sentence = " ".join(inspect.cleandoc(function.__doc__ or "").split())
        name = function.__name__.replace("_", "-")
        _CASES[number] = Case(number, name, sentence, needs, function)
        return function

    return enter


def cases(can: Can = ~NOTHING) -> Sequence[Case]:
    """The cases that a broker with these flags must pass, in the order of their numbers."""
    return [_CASES[number] for number in sorted(_CASES) if _CASES[number].needs in can]
