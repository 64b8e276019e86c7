"""The controls of an emulator: a JSON object a line, `{"do": "quote", "symbol": "IBM", …}`.

The answer is `{"ok": …}` or `{"error": …}`. Over the control port or standard input.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from tests.emulators.faults import Faults

PREFIX = "do_"
HOW = 'A command is a JSON object on one line, with its name as "do": {"do": "help"} tells all of them.'
WRONG = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError)
"""What a command raises that was told nonsense."""


class Controlled(Protocol):
    """What every emulator can suffer."""

    faults: Faults

    def close_port(self, seconds: float) -> None:
        """Nobody can connect for so long."""

    def drop(self) -> None:
        """Every link breaks."""

    def restart(self, seconds: float, empty: bool) -> None:
        """End and begin again, on the same port; with nothing in the book if it is to be empty."""


class Control:
    """Every command once: what is called do_NAME is the command NAME, its docstring its help."""

    def __init__(self, emulator: Controlled) -> None:
        self.emulator: Any = emulator

    def obey(self, line: str | bytes) -> dict[str, Any]:
        """One command as JSON; the answer."""
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict) or "do" not in message:
            return {"error": HOW}
        try:
            name = message.pop("do")
            command = getattr(self, f"{PREFIX}{name}", None)
            if command is None:
                raise ValueError(f"no command {name!r}; there are: {', '.join(self.names())}")
            return {"ok": command(**message)}
        except WRONG as error:
            return {"error": f"{type(error).__name__}: {error}"}

    @classmethod
    def names(cls) -> list[str]:
        """The commands."""
        return [name.removeprefix(PREFIX) for name in dir(cls) if name.startswith(PREFIX)]

    def do_help(self) -> dict[str, str]:
        """Every command, its arguments and what it does."""
        commands = {name: getattr(self, PREFIX + name) for name in self.names()}
        return {name: f"{inspect.signature(each)}: {inspect.getdoc(each)}" for name, each in commands.items()}

    # ---------------------------------------------------------------- faults

    def do_fault(self, name: str, **more: Any) -> None:
        """Set a fault: count (1; null: for ever), chance (1), seconds, symbol, when, arrives."""
        self.emulator.faults.set(name, **more)

    def do_faults(self) -> dict[str, Any]:
        """What faults there are, and what is set."""
        faults = self.emulator.faults
        return {"there are": faults.known, "set": [asdict(fault) for fault in faults.all]}

    def do_clear(self, name: str = "") -> None:
        """Take away the faults of a name, or all."""
        self.emulator.faults.clear(name)

    def do_drop(self, seconds: float = 0) -> None:
        """Break every link; nobody can connect for so many seconds."""
        if seconds:
            self.emulator.close_port(seconds)
        self.emulator.drop()

    def do_restart(self, memory: bool = True, seconds: float = 1) -> None:
        """End and be back after so many seconds, with the book or (memory false) an empty one."""
        self.emulator.restart(seconds, not memory)


@implementer(IHalfCloseableProtocol)
class ControlLines(LineReceiver):
    """The control port, or standard input. Every command is answered, also when no more follow."""

    delimiter = b"\n"

    def __init__(self, control: Control, ended: Callable[[], Any] | None = None) -> None:
        self.control = control
        self._ended = ended

    def lineReceived(self, line: bytes) -> None:
        """A command."""
        if line.strip():
            self.transport.write(json.dumps(self.control.obey(line)).encode() + b"\n")

    def readConnectionLost(self) -> None:
        """No more commands; the answers still go out."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nobody hears the answers."""
        self.transport.loseConnection()

    def connectionLost(self, reason: Any = None) -> None:
        """On standard input the end of it all."""
        if self._ended:
            self._ended()


class ControlFactory(Factory):
    """Control connections."""

    noisy = False

    def __init__(self, control: Control) -> None:
        self.control = control

    def buildProtocol(self, addr: Any) -> ControlLines:
        """One has come."""
        return ControlLines(self.control)
