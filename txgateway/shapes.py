"""Bodies of other shapes: what a source's `template` and `mapping` make of them, and what is wrong with one. Pure.

A template says how a line of text is written: `{side} {symbol} {quantity}`, `{symbol}|{side}|{_}|{quantity}`, and with
a part that may be missing `{side} {symbol}[ q={quantity}]`. `{_}` is anything; a space is any number of them.
A mapping says where each field is in a JSON body, by JMESPath: `{"symbol": "data.pair", "side": "data.what"}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from txgateway.model.errors import BadArgument

FIELDS = (
    "symbol",
    "side",
    "quantity",
    "quantity_type",
    "target",
    "market_position",
    "market_position_size",
    "price",
    "limit_price",
    "stop_price",
    "order_type",
    "time_in_force",
    "take_profit",
    "stop_loss",
    "trailing_stop",
    "reduce_only",
    "secret",
    "time",
    "max_lag",
    "id",
    "strategy",
    "strategy_name",
    "client_order_id",
    "reference",
)
"""What a mapping and a template may name."""
SKIPPED = "_"
LONGEST = 2000
"""Characters of a template, of an expression, and of a line that a template reads."""
_TOKEN = re.compile(
    r"\{(?P<field>[^{}]*)\}|(?P<open>\[)|(?P<close>\])|(?P<space>\s+)|(?P<text>[^\s{}\[\]]+)|(?P<wrong>.)"
)


def check(mapping: Mapping[str, str], template: str) -> None:
    """BadArgument says the first thing that is wrong with a source's mapping or template."""
    if template:
        _pattern(template)
    for name, expression in mapping.items():
        if name not in FIELDS:
            raise BadArgument(f"mapping: there is no field {name[:60]!r}; the fields are {', '.join(FIELDS)}.")
        _expression(name, expression)


def read_line(template: str, line: str) -> dict[str, str] | None:
    """The fields of a line that is written like the template; None where it is not."""
    found = _pattern(template).fullmatch(line.strip()) if len(line) <= LONGEST else None
    if found is None:
        return None
    return {name: value.strip() for name, value in found.groupdict().items() if value is not None and value.strip()}


def pick(mapping: Mapping[str, str], document: Any) -> dict[str, Any]:
    """The fields that a mapping finds in a document; BadArgument where an expression does not fit what is there."""
    found = {}
    for name, expression in mapping.items():
        try:
            value = _expression(name, expression).search(document)
        except BadArgument:
            raise
        except Exception as error:  # a library's functions over a stranger's values: whatever it is, it did not fit
            text = f"mapping: the expression for {name} does not fit this body ({type(error).__name__})."
            raise BadArgument(text) from None
        if value is not None:
            found[name] = value
    return found


# ---------------------------------------------------------------- templates


@lru_cache(maxsize=256)
def _pattern(template: str) -> re.Pattern[str]:
    """A template as a pattern in which every field ends where the next character begins: it never has to go back."""
    if len(template) > LONGEST:
        raise BadArgument(f"template: it is longer than {LONGEST} characters.")
    tokens = [(str(each.lastgroup), str(each[str(each.lastgroup)])) for each in _TOKEN.finditer(template.strip())]
    _require_closed(tokens)
    written, named = "", set[str]()
    for at, (kind, text) in enumerate(tokens):
        if kind in ("open", "close"):
            written += "(?:" if kind == "open" else ")?"
        elif kind == "field":
            written += _field(text.strip(), named, set(_next(tokens, at + 1)))
        else:
            written += r"\s++" if kind == "space" else re.escape(text)
    if not named - {SKIPPED}:
        raise BadArgument("template: it names no field: write for example {side} {symbol} {quantity}.")
    return re.compile(written)


def _require_closed(tokens: list[tuple[str, str]]) -> None:
    inside = False
    for kind, text in tokens:
        if kind == "wrong":
            raise BadArgument(f"template: {text!r} opens or closes no field: fields are written {{symbol}}.")
        if kind in ("open", "close"):
            if inside == (kind == "open"):
                raise BadArgument("template: each [ needs its ], and none may be inside another.")
            inside = kind == "open"
    if inside:
        raise BadArgument("template: a [ has no ].")


def _field(name: str, named: set[str], ends: set[str]) -> str:
    if name != SKIPPED and name not in FIELDS:
        raise BadArgument(f"template: there is no field {name[:60]!r}; the fields are {', '.join(FIELDS)}, and _.")
    if name != SKIPPED and name in named:
        raise BadArgument(f"template: {{{name}}} is there twice.")
    if "" in ends:
        raise BadArgument(
            f"template: nothing parts {{{name}}} from the next field: put a space or a sign between them."
        )
    named.add(name)
    stops = "".join(r"\s" if each == " " else re.escape(each) for each in sorted(ends))
    value = ".++" if not ends else f"[^{stops}]++" if " " in ends else f"[^{stops}]*+"
    return value if name == SKIPPED else f"(?P<{name}>{value})"


def _next(tokens: list[tuple[str, str]], at: int) -> Iterator[str]:
    """The characters that can come next: a space for any, nothing at all for a field."""
    for position in range(at, len(tokens)):
        kind, text = tokens[position]
        if kind == "open":
            closed = next((i for i in range(position, len(tokens)) if tokens[i][0] == "close"), len(tokens))
            yield from _next(tokens, closed + 1)
        elif kind != "close":
            yield {"field": "", "space": " "}.get(kind, text[0])
            return


# ---------------------------------------------------------------- mappings


@lru_cache(maxsize=1024)
def _expression(name: str, expression: str) -> Any:
    """A compiled expression; BadArgument where it cannot be, or calls a function that is none."""
    if not expression.strip() or len(expression) > LONGEST:
        raise BadArgument(f"mapping: the expression for {name} is no text of 1 to {LONGEST} characters.")
    try:
        compiled = jmespath.compile(expression)
    except (JMESPathError, ValueError, RecursionError) as error:
        raise BadArgument(f"mapping: the expression for {name} is no JMESPath: {_one_line(error)}") from None
    for function, given in _calls(compiled.parsed):
        signature = Functions.FUNCTION_TABLE.get(function, {}).get("signature")
        if signature is None:
            raise BadArgument(f"mapping: the expression for {name} calls {function}(), which JMESPath does not have.")
        if given < len(signature) or (given > len(signature) and not (signature and signature[-1].get("variadic"))):
            raise BadArgument(f"mapping: the expression for {name} calls {function}() with {given} arguments.")
    return compiled


def _calls(node: Any) -> Iterator[tuple[str, int]]:
    if isinstance(node, dict):
        if node.get("type") == "function_expression":
            yield node["value"], len(node["children"])
        for child in node.get("children", ()):
            yield from _calls(child)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
