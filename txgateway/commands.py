"""What a command is: its typed arguments, its help, and how what a client sends becomes them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import UnionType
from typing import Any, NewType, TypeVar, get_args, get_type_hints

from txgateway.model.errors import BadArgument
from txgateway.model.rights import Right

Upper = NewType("Upper", str)
"""A name that is upper-cased on the way in: a symbol (its venue, after @, left as it is), an account."""
Text = NewType("Text", str)
"""Text that may also come as a JSON object, which is then written as JSON."""
Names = NewType("Names", tuple[str, ...])
"""Names with commas between them, or a list of them, each upper-cased as `Upper` is."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a command."""

    name: str
    type: Any
    required: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `needs_up` ones are not answered before the venue has been up once.

    `narrow` ones keep a caller who is restricted to some accounts to those; all others refuse such a caller. `urgent`
    ones make things safer, and no request limit holds them back.
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: Any
    doc: str
    needs_up: bool
    function: Callable[..., Any]
    right: Right = Right.READ
    narrow: bool = False
    urgent: bool = False

    @property
    def signature(self) -> str:
        """The first line of its help: `name(argument, optional=default)`."""
        shown = (each.name if each.required else f"{each.name}={_shown(each.default)}" for each in self.parameters)
        return f"{self.name}({', '.join(shown)})"

    @property
    def help(self) -> str:
        """The signature, then what it does."""
        return f"{self.signature}\n\n{self.doc}"

    def arguments(self, given: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
        """The arguments, by name or by position, as the types the command wants; BadArgument says what is wrong."""
        named = self._named(given)
        known = {each.name for each in self.parameters}
        for name in named:
            if name not in known:
                takes = ", ".join(each.name for each in self.parameters) or "no arguments"
                raise BadArgument(f"{self.name} has no argument {name!r}: it takes {takes}.")
        values = {}
        for each in self.parameters:
            value = named.get(each.name)
            if value is None:
                if each.required:
                    raise BadArgument(f"{self.name} needs the argument {each.name!r}: {self.signature}.")
                values[each.name] = each.default
            else:
                values[each.name] = _converted(self.name, each, value)
        return values

    def _named(self, given: Mapping[str, Any] | Sequence[Any]) -> Mapping[str, Any]:
        if isinstance(given, Mapping):
            return given
        if len(given) > len(self.parameters):
            raise BadArgument(f"{self.name} takes {len(self.parameters)} arguments at most: {self.signature}.")
        return {each.name: value for each, value in zip(self.parameters, given, strict=False)}


COMMANDS: dict[str, Command] = {}
"""Every command by name."""
_BEFORE_UP = frozenset(
    {"status", "uptime", "version", "help", "shutdown", "query_venues", "gateway_logon", "gateway_logoff"}
    | {"halt", "resume", "query_halts", "query_faults", "set_fault", "clear_faults"}
    | {"flatten", "query_flattens", "query_differences"}
    | {"create_token", "query_tokens", "revoke_token", "query_access"}
    | {"query_sources", "change_source", "remove_source", "query_integrations", "connect_proquant"}
)


def command(right: Right, *, narrow: bool = False, urgent: bool = False) -> Callable[[T], T]:
    """Put a function of (house, caller, the client's arguments) among the commands; callers need the right.

    Say `narrow` only where a caller's accounts are looked at, or where no account is concerned.
    """

    def enter(function: T) -> T:
        name: str = function.__name__  # type: ignore[attr-defined]
        hints = get_type_hints(function)
        parameters = []
        for each in list(inspect.signature(function).parameters.values())[2:]:  # type: ignore[arg-type]
            required = each.default is inspect.Parameter.empty
            parameters.append(Parameter(each.name, hints[each.name], required, None if required else each.default))
        doc = inspect.cleandoc(function.__doc__ or "")
        needs_up = name not in _BEFORE_UP
        COMMANDS[name] = Command(
            name,
            tuple(parameters),
            hints["return"],
            doc,
            needs_up,
            function,  # type: ignore[arg-type]
            right,
            narrow,
            urgent,
        )
        return function

    return enter


# ---------------------------------------------------------------- arguments


def _converted(name: str, parameter: Parameter, value: Any) -> Any:
    wanted = parameter.type
    if isinstance(wanted, UnionType) or get_args(wanted):
        wanted = next(each for each in get_args(wanted) if each is not type(None))
    try:
        return _CONVERTERS[wanted](value)
    except _OddName as odd:
        raise BadArgument(f"{name}: argument {parameter.name!r} has {odd}, which is not a name.") from None
    except (ValueError, TypeError, InvalidOperation, OverflowError):
        what = _TYPE_WORDS[wanted]
        raise BadArgument(f"{name}: argument {parameter.name!r} is {_brief(value)}, which is not {what}.") from None


def _brief(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:80] + "…"


def _str(value: Any) -> str:
    if isinstance(value, bool | dict | list) or value is None:
        raise TypeError
    text = str(value)
    if len(text) > 100_000 or "\0" in text:
        raise ValueError
    return text


def _text(value: Any) -> str:
    return (
        json.dumps(value)
        if isinstance(value, dict)
        else ",".join(map(_str, value))
        if isinstance(value, list)
        else _str(value)
    )


def _upper(value: Any) -> str:
    name, at, venue = _str(value).strip().partition("@")
    if not name:
        raise ValueError
    return name.upper() + at + venue


class _OddName(ValueError):
    """One of several names is none; says which."""


def _names(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else _str(value).split(",")
    names = []
    for at, each in enumerate(given, 1):
        try:
            names.append(_upper(each))
        except (ValueError, TypeError):
            raise _OddName(f"{_brief(each)} as name {at} of {len(given)}") from None
    return tuple(names)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise TypeError
    text = repr(value) if isinstance(value, float) else _str(value).strip()
    if "_" in text:  # Python reads 18_5 as 185; who wrote it may have meant 18.5
        raise ValueError
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise ValueError
    return number


def _int(value: Any) -> int:
    number = _decimal(value)
    if number != int(number) or abs(number) > 2**63:
        raise ValueError
    return int(number)


def _bool(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}
    return words[str(value).strip().lower()] if str(value).strip().lower() in words else _fail()


def _fail() -> bool:
    raise ValueError


_CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    str: _str,
    Text: _text,
    Upper: _upper,
    Names: _names,
    Decimal: _decimal,
    int: _int,
    bool: _bool,
}
_TYPE_WORDS = {
    str: "a text",
    Text: "a text or an object",
    Upper: "a name",
    Names: "names with commas, or a list of names",
    Decimal: "a finite number",
    int: "a whole number",
    bool: "true or false",
}


def _shown(default: Any) -> str:
    return "null" if default is None else json.dumps(default)
