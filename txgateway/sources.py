"""The sources of signals: what each one is, read from the configuration's tables and from a file in the data folder.

The file is written by the daemon alone (RPC and CLI come through it), and has the secrets: only its owner may read it.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from twisted.logger import Logger

from txgateway import shapes
from txgateway.model.errors import BadArgument, JournalError, Reason, Refused
from txgateway.model.exits import Level, Unit
from txgateway.model.order import OrderType, TimeInForce
from txgateway.model.signal import SENDERS, Semantics, Sizing, Source, SourceKind

log = Logger()

FILE = "sources.json"
CONFIGURED = "the configuration"
"""Who changed a source that the configuration has."""
SETTINGS = tuple(each.name for each in fields(Source) if each.name not in ("name", "changed_by"))
"""Everything that there is to set of a source."""
SHORTEST, LONGEST = 12, 256
"""Characters of a secret."""
LARGEST = Decimal(10) ** 15
MOST = 1000
"""Entries of a map, and sources."""
_LONGEST_WAIT = 30 * 86400.0

E = TypeVar("E", bound=StrEnum)


class Sources:
    """Every source by name: those of the configuration, and those of the file, which alone can be changed."""

    def __init__(self, configured: Iterable[Source] = (), path: Path | None = None) -> None:
        """`path`: the file, which is read by `load`; None keeps them in memory alone."""
        self._configured = {each.name: each for each in configured}
        self._kept: dict[str, Source] = {}
        self._path = path

    def load(self) -> None:
        """Read the file, if it is there; ValueError, OSError: it cannot be read."""
        self._kept = read(self._path) if self._path else {}
        for name in self._kept.keys() & self._configured.keys():
            log.warn("source {name} of the data folder is left out: the configuration has one", name=name)

    def get(self, name: str) -> Source | None:
        """The source of that name."""
        return self._configured.get(name) or self._kept.get(name)

    def all(self) -> list[Source]:
        """Every source, by name."""
        found = {**self._kept, **self._configured}
        return [found[name] for name in sorted(found)]

    def is_configured(self, name: str) -> bool:
        """Whether it stands in the configuration."""
        return name in self._configured

    def put(self, source: Source) -> None:
        """Keep a source, new or changed: it is on disk when this returns. Refused, JournalError."""
        self._require_changeable(source.name)
        self._write({**self._kept, source.name: source})

    def remove(self, name: str) -> bool:
        """Forget a source; False when there is none. Refused, JournalError."""
        self._require_changeable(name)
        if name not in self._kept:
            return False
        self._write({each: source for each, source in self._kept.items() if each != name})
        return True

    def _require_changeable(self, name: str) -> None:
        if name in self._configured:
            text = f"Source {name} stands in the configuration: change its table [sources.{name}] there."
            raise Refused(Reason.CONFIGURED, text)

    def _write(self, kept: dict[str, Source]) -> None:
        if self._path is not None:
            try:
                write(self._path, kept.values())
            except OSError as error:
                raise JournalError(f"{self._path} cannot be written ({error.strerror}): nothing is changed.") from error
        self._kept = kept


# ---------------------------------------------------------------- the file


def read(path: Path) -> dict[str, Source]:
    """The sources in a file, none when it is not there; ValueError, OSError: it cannot be read."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is not what the gateway writes: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} is not what the gateway writes")
    found = {}
    for name, entry in document.items():
        try:
            by = str(entry.pop("changed_by", ""))
            found[name] = replace(source_of(name, entry), changed_by=by)
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: source {name!r} cannot be read ({error})") from None
    return found


def write(path: Path, sources: Iterable[Source]) -> None:
    """Keep sources in a file that only this user of the machine may read; all of it or nothing, and on the disk."""
    document = {each.name: {**written(each), "changed_by": each.changed_by} for each in sources}
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def written(source: Source) -> dict[str, Any]:
    """What differs from the defaults, the secret too, as `source_of` reads it."""
    plain = Source(name=source.name, kind=source.kind, account="")
    found: dict[str, Any] = {"kind": source.kind.value}
    for name in SETTINGS:
        value = getattr(source, name)
        if value != getattr(plain, name):
            found[name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    match value:
        case StrEnum():
            return value.value
        case Decimal():
            return f"{value:f}"
        case Level():
            return str(value)
        case Mapping():
            return dict(value)
        case tuple():
            return list(value)
    return value


# ---------------------------------------------------------------- what a person wrote


def source_of(name: str, table: Mapping[str, Any]) -> Source:
    """The source that a table describes; ValueError says in a sentence what is wrong, and shows no secret."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(f"name {name[:80]!r}: give 1 to 64 letters, digits, dots, dashes and underscores")
    unknown = [each for each in table if each not in SETTINGS]
    if unknown:
        raise ValueError(f"there is no setting {unknown[0]!r}; there are {', '.join(SETTINGS)}")
    values = {each: _READERS[each](each, value) for each, value in table.items() if value not in (None, "")}
    for needed in ("kind", "account", "secret"):
        if not values.get(needed):
            raise ValueError(f"give its {needed}{_HOW.get(needed, '')}")
    source = Source(name=name, **values)
    _check_together(source)
    return source


_HOW = {"kind": f", one of {', '.join(SourceKind)}", "secret": f", of {SHORTEST} characters or more"}


def _check_together(source: Source) -> None:
    sized = source.sizing is not Sizing.AS_SENT
    if sized and source.size is None:
        raise ValueError(f"sizing {source.sizing} needs a size")
    if not sized and source.size is not None:
        others = ", ".join(each for each in Sizing if each is not Sizing.AS_SENT)
        raise ValueError(f"a size needs a sizing of {others}")
    if source.sizing is Sizing.RISK and source.size is not None and source.size > 100:
        raise ValueError(f"size {source.size:f}: no more than 100 percent can be put at risk")
    if source.limit_offset is not None and source.order_type is not OrderType.LIMIT:
        raise ValueError("a limit_offset needs order_type LIMIT")
    try:
        shapes.check(source.mapping, source.template)
    except BadArgument as error:
        raise ValueError(str(error).rstrip(".")) from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > 4096 or not value.isprintable():
        raise ValueError(f"{name}: give printable text")
    return value.strip()


def _account(name: str, value: Any) -> str:
    text = _text(name, value)
    if not re.fullmatch(r"[^\s:,]{1,64}", text):
        raise ValueError(f"{name} {text[:80]!r}: give one account's name, without spaces, commas and colons")
    return text


def _secret(name: str, value: Any) -> str:
    """Anything that a URL and a header can carry as it is."""
    if not isinstance(value, str) or not re.fullmatch(rf"[A-Za-z0-9._~+=-]{{{SHORTEST},{LONGEST}}}", value):
        raise ValueError(f"{name}: give {SHORTEST} to {LONGEST} letters, digits and . _ ~ + = -")
    return value


def _flag(name: str, value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if str(value).strip().lower() not in words:
        raise ValueError(f"{name} {str(value)[:80]!r}: give true or false")
    return words[str(value).strip().lower()]


def _number(name: str, value: Any) -> Decimal:
    try:
        number = Decimal("NaN" if isinstance(value, bool) else str(value).strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 < number < LARGEST or number.adjusted() < -15:
        raise ValueError(f"{name} {str(value)[:80]!r}: give a number above 0")
    return number.normalize()


def _seconds(name: str, value: Any) -> float:
    text = str(value).strip()
    if name == "duplicate_window" and re.fullmatch(r"0+(\.0+)?", text):
        return 0.0
    seconds = float(_number(name, value))
    if seconds > _LONGEST_WAIT:
        raise ValueError(f"{name} {text}: give seconds, 30 days at most")
    return seconds


def _rate(name: str, value: Any) -> float:
    return float(min(_number(name, value), Decimal(10**6)))


def _level(name: str, value: Any) -> Level:
    try:
        level = Level.parse(str(value), Unit.AWAY)
    except ValueError:
        level = Level(Decimal(0), Unit.AWAY)
    if not level.sane or isinstance(value, bool):
        raise ValueError(f"{name} {str(value)[:80]!r}: give how far, such as 0.5 or 0.1%")
    return level


def _one_of(kinds: type[E]) -> Callable[[str, Any], E]:
    """A reader of a member's value, in either case."""

    def read_member(name: str, value: Any) -> E:
        found = next((each for each in kinds if each.value.lower() == str(value).strip().lower()), None)
        if found is None:
            raise ValueError(f"{name} {str(value)[:80]!r}: give one of {', '.join(kinds)}")
        return found

    return read_member


def _order_type(name: str, value: Any) -> OrderType:
    found = next((each for each in (OrderType.MARKET, OrderType.LIMIT) if each == str(value).strip().upper()), None)
    if found is None:
        raise ValueError(f"{name} {str(value)[:80]!r}: give MARKET or LIMIT, or leave it out for what is sent")
    return found


def _names(name: str, value: Any) -> Mapping[str, str]:
    """A table of text, or its lines as `FROM=TO,FROM=TO`, or JSON."""
    table = value
    if isinstance(value, str):
        try:
            table = json.loads(value) if value.lstrip().startswith("{") else dict(_pairs(value))
        except ValueError:
            table = None
    if not isinstance(table, Mapping) or not all(_is_name(each) for pair in table.items() for each in pair):
        raise ValueError(f"{name}: give a table of text, such as {{'BTCUSDT.P' = 'BTC/USDT'}}")
    if len(table) > MOST:
        raise ValueError(f"{name}: give {MOST} entries at most")
    return MappingProxyType({key.strip(): each.strip() for key, each in table.items()})


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= 1024 and value.isprintable()


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for word in filter(None, (each.strip() for each in text.split(","))):
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(word)
        yield key.strip(), value.strip()


def _addresses(name: str, value: Any) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    try:
        if not isinstance(words, list | tuple):
            raise ValueError
        return tuple(_network(word.strip()) for word in words if word.strip())
    except (ValueError, AttributeError):
        text = f"{name}: give addresses or networks, such as 52.89.214.238 or 10.0.0.0/8, or {' or '.join(SENDERS)}"
        raise ValueError(text) from None


def _network(word: str) -> str:
    if word.lower() in SENDERS:
        return word.lower()
    network = ipaddress.ip_network(word)
    return str(network.network_address if network.num_addresses == 1 else network)


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "kind": _one_of(SourceKind),
    "account": _account,
    "secret": _secret,
    "user": _text,
    "symbols": _names,
    "sizing": _one_of(Sizing),
    "size": _number,
    "rounding": _flag,
    "order_type": _order_type,
    "limit_offset": _level,
    "time_in_force": _one_of(TimeInForce),
    "route": _text,
    "semantics": _one_of(Semantics),
    "max_age": _seconds,
    "duplicate_window": _seconds,
    "shadow": _flag,
    "rate": _rate,
    "addresses": _addresses,
    "certificate": _text,
    "mapping": _names,
    "template": _text,
}
