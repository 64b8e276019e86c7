"""Where log events go: text for people or JSON for programs, one line each, from a level upwards."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    globalLogBeginner,
)
from zope.interface import implementer


def begin(logfile: str, level: str, form: str) -> Callable[[], None]:
    """Send every event of `level` and above to a file (`-`: standard output); gives what opens the file anew."""
    lines: Any = _Lines(logfile, _as_json if form == "json" else _as_text)
    predicate: Any = LogLevelFilterPredicate(defaultLogLevel=LogLevel.levelWithName(level))
    observer: Any = FilteringLogObserver(lines, [predicate])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=False)
    reopen: Callable[[], None] = lines.reopen
    return reopen


@implementer(ILogObserver)
class _Lines:
    """Writes each event as one line, and its traceback, if any, below it."""

    def __init__(self, logfile: str, form: Callable[[dict[str, Any]], str]) -> None:
        self._logfile = logfile
        self._form = form
        self._out: IO[str] = sys.stdout
        self.reopen()

    def reopen(self) -> None:
        """Open the file anew, after it was moved away."""
        if self._logfile != "-":
            before, self._out = self._out, Path(self._logfile).open("a", encoding="utf-8")  # noqa: SIM115
            if before is not sys.stdout:
                before.close()

    def __call__(self, event: dict[str, Any]) -> None:
        try:
            self._out.write(self._form(event) + "\n")
            self._out.flush()
        except (OSError, ValueError):
            return  # a full disk or a closed pipe must not stop trading


def _time(event: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _traceback(event: dict[str, Any]) -> str:
    failure = event.get("log_failure")
    return "" if failure is None else failure.getTraceback().rstrip()


def _as_text(event: dict[str, Any]) -> str:
    level = event["log_level"].name if event.get("log_level") else "info"
    name = event.get("log_namespace", "-").removeprefix("txgateway.")
    text = formatEvent(event).replace("\n", " ")
    traceback = _traceback(event)
    return f"{_time(event)} {level:<8} {name}: {text}" + (f"\n{traceback}" if traceback else "")


def _as_json(event: dict[str, Any]) -> str:
    level = event["log_level"].name if event.get("log_level") else "info"
    line = {"time": _time(event), "level": level, "logger": event.get("log_namespace", "-"), "text": formatEvent(event)}
    for name, value in event.items():
        if not name.startswith("log_") and isinstance(value, str | int | float | bool):
            line.setdefault(name, value)
    traceback = _traceback(event)
    if traceback:
        line["traceback"] = traceback
    return json.dumps(line, ensure_ascii=False)
