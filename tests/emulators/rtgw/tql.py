"""The lines that a client sends: `word id TABLE;WHAT;WHERE`, a poke's fields behind a `!`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

NUMBERS = {"20001": "BANK", "20003": "BRANCH", "20008": "CUSTOMER", "20052": "DEPOSIT", "20683": "CURRENT_STATUS"}
"""Fields that RealTick's document writes by number in a WHERE."""
NAME = re.compile(r"[A-Z$][A-Z0-9_]*|[0-9]+")
QUOTED = re.compile(r"'((?:[^']|'')*)'")
BARE = re.compile(r"[^,'{}]+")


class NotUnderstood(ValueError):
    """A line, or a part of one, that means nothing: the text says why."""


class Line(NamedTuple):
    """One command to a logical connection."""

    word: str
    id: str
    rest: str


class Query(NamedTuple):
    """TABLE;WHAT;WHERE. An empty `what` is `*`."""

    table: str
    what: tuple[str, ...]
    where: Mapping[str, frozenset[str]]

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether a row fulfils the WHERE."""
        return all(str(row.get(field, "")) in values for field, values in self.where.items())

    def select(self, row: Mapping[str, Any], missing: str = "Error 0") -> dict[str, Any] | None:
        """The fields asked for; what the row does not have is `missing`. None when it has none of them."""
        if not self.what:
            return dict(row)
        if not any(field in row for field in self.what):
            return None
        return {field: row.get(field, missing) for field in self.what}

    def value(self, field: str) -> str:
        """The one value that the WHERE asks of a field, empty when it does not."""
        values = self.where.get(field, frozenset())
        return next(iter(values)) if len(values) == 1 else ""


def read_line(text: str) -> Line:
    """A command line, without its end."""
    word, _, rest = text.strip().partition(" ")
    name, _, rest = rest.partition(" ")
    if not name:
        raise NotUnderstood(f"a command has an id: {text[:80]!r}")
    return Line(word, name, rest)


def read_query(text: str) -> Query:
    """`TABLE;WHAT;WHERE`, all of which may be followed by nothing, none of which may be left out."""
    parts = text.split(";", 2)
    if len(parts) != 3:
        raise NotUnderstood(f"TABLE;WHAT;WHERE has two semicolons: {text[:80]!r}")
    table, what, where = (part.strip() for part in parts)
    fields = () if what == "*" else tuple(field.strip() for field in what.split(","))
    if not all(NAME.fullmatch(field) for field in fields):
        raise NotUnderstood(f"WHAT is * or fields: {what[:80]!r}")
    return Query(table, fields, read_where(where))


def read_where(text: str) -> dict[str, frozenset[str]]:
    """`A='x',B=5,C={'y','z'}`: what each field must be one of."""
    found: dict[str, frozenset[str]] = {}
    at = 0
    while at < len(text):
        name = NAME.match(text, at)
        if not name or text[name.end() : name.end() + 1] != "=":
            raise NotUnderstood(f"a condition is FIELD=value: {text[at : at + 80]!r}")
        field = NUMBERS.get(name[0], name[0])
        if field in found:
            raise NotUnderstood(f"{field} is asked twice")
        found[field], at = _read_values(text, name.end() + 1)
        if at < len(text):
            if text[at] != "," or at + 1 == len(text):
                raise NotUnderstood(f"between conditions is a comma: {text[at : at + 80]!r}")
            at += 1
    return found


def _read_values(text: str, at: int) -> tuple[frozenset[str], int]:
    """A value, or a set of them in braces, from here on; and where it ends."""
    if text[at : at + 1] != "{":
        value, at = _read_value(text, at)
        return frozenset([value]), at
    values = set()
    while text[at : at + 1] in ("{", ",") and at < len(text):
        value, at = _read_value(text, at + 1)
        values.add(value)
    if text[at : at + 1] != "}":
        raise NotUnderstood(f"a set ends with a brace: {text[at : at + 80]!r}")
    return frozenset(values), at + 1


def _read_value(text: str, at: int) -> tuple[str, int]:
    """'text', in which two quotes are one; or a bare number or word."""
    if quoted := QUOTED.match(text, at):
        return quoted[1].replace("''", "'"), quoted.end()
    if bare := BARE.match(text, at):
        return bare[0], bare.end()
    raise NotUnderstood(f"a value is 'quoted' or bare: {text[at : at + 80]!r}")


def read_poke(text: str) -> tuple[Query, dict[str, str]]:
    """`TABLE;WHAT;WHERE!FIELD=VALUE,…`. Nothing is escaped: behind a comma a new field begins."""
    item, mark, written = text.partition("!")
    if not mark:
        raise NotUnderstood("a poke has its fields behind a !")
    fields: dict[str, str] = {}
    for part in written.split(","):
        name, equals, value = part.partition("=")
        if not equals or not NAME.fullmatch(name):
            raise NotUnderstood(f"a field is NAME=VALUE: {part[:80]!r}")
        if name in fields:
            raise NotUnderstood(f"{name} is written twice")
        fields[name] = value
    return read_query(item), fields
