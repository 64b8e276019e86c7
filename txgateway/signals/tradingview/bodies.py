"""An alert's message as documents: JSON whatever the Content-Type says, several JSON texts, words of text, a template.

What cannot be read is told by its place (line and column), and what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from txgateway import shapes
from txgateway.model.errors import BadArgument
from txgateway.model.signal import Source
from txgateway.signals import MOST_INSTRUCTIONS, BadSignal, from_json, shown

BATCHES = ("orders", "signals", "alerts")
"""Members of a body that hold its orders; what else it says holds for all of them."""
LARGEST = 32 * 1024
"""Bytes of a message: several times what TradingView lets one have, and read in little time by whomever it is sent."""
_PLACEHOLDER = re.compile(r"\{\{[^{}\n]{0,80}\}\}")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|[\[\]{}]', re.DOTALL)
_NO_NUMBER = re.compile(r"[:,\[]\s*(-?(?:NaN|nan|Infinity|inf|n/a|null\.|∅))\s*(?=[,}\]\s])")
_SOLID = re.compile(r"\S")
_COLUMN = re.compile(r"line (\d+) column (\d+) \(char (\d+)\)")
_NAME = re.compile(r'"([A-Za-z][\w.\- ]{0,40})"\s*:')
_WORD = re.compile(r"""(?P<name>[\w.\-]++)\s*+=\s*+(?P<value>"[^"]*"|'[^']*'|[^\s,;|]+)|(?P<stray>[^\s,;|]+)""")


@dataclass(frozen=True, slots=True)
class Document:
    """One order's worth of a message: `value` as JSON says it, `where` for a sentence (empty in a message of one).

    `read`: its names are already those of shapes.FIELDS, because the source's template gave them.
    """

    value: dict[str, Any] = field(repr=False)
    where: str = ""
    read: bool = False


def text_of(body: bytes) -> str:
    """The message as text; BadSignal."""
    if len(body) > LARGEST:
        raise BadSignal(f"The message has {len(body)} bytes, and may have {LARGEST}.")
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise BadSignal(f"The message is not UTF-8 (byte {error.start + 1}).") from None
    if not text:
        raise BadSignal("The message is empty: write the order into the alert's message.")
    return text


def documents(source: Source, body: bytes) -> list[Document]:
    """Everything that a message says, an order each; BadSignal."""
    text = text_of(body)
    if text[0] in "{[":
        found = _from_json(text)
    elif source.template:
        found = _from_template(source, text)
    else:
        found = _from_words(source, text)
    if len(found) > MOST_INSTRUCTIONS:
        raise BadSignal(f"The message holds {len(found)} orders, and may hold {MOST_INSTRUCTIONS}.")
    return found


def place(text: str, at: int) -> str:
    """Where a character is, as editors count."""
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"


# ---------------------------------------------------------------- JSON


def _from_json(text: str) -> list[Document]:
    parts = list(_texts(text))
    found: list[Any] = []
    for at, part in parts:
        try:
            value = from_json(part.encode())
        except BadSignal as error:
            raise BadSignal(_diagnosis(text, at, part, str(error))) from None
        found += value if isinstance(value, list) else [value]
    if not found:
        raise BadSignal("The message is an empty list: there is no order in it.")
    entries = list(_opened(found))
    several = len(entries) > 1
    return [Document(each, f"Order {n} of {len(entries)}: " if several else "") for n, each in enumerate(entries, 1)]


def _texts(text: str) -> Iterator[tuple[int, str]]:
    """The JSON texts that stand one after the other, with where each begins."""
    begin = depth = count = 0
    for token in _TOKEN.finditer(text):
        if token[0][0] == '"':
            continue
        depth += 1 if token[0] in "{[" else -1
        if depth > 0:
            continue
        yield begin, text[begin : token.end()]
        depth, count = 0, count + 1
        if count > MOST_INSTRUCTIONS:
            raise BadSignal(f"The message holds more than {MOST_INSTRUCTIONS} orders.")
        following = _SOLID.search(text, token.end())
        begin = following.start() if following else len(text)
        if begin == len(text) or text[begin] not in "{[":
            break
    if begin < len(text):
        yield begin, text[begin:]


def _opened(found: list[Any]) -> Iterator[dict[str, Any]]:
    for number, value in enumerate(found, 1):
        if not isinstance(value, dict):
            raise BadSignal(f"Order {number} of {len(found)} is {shown(value)}: each must be a JSON object.")
        name = next((each for each in BATCHES if isinstance(value.get(each), list)), None)
        if name is None:
            yield value
            continue
        head = {each: of for each, of in value.items() if each != name}
        for at, entry in enumerate(value[name], 1):
            if not isinstance(entry, dict):
                raise BadSignal(f"{name}: entry {at} is {shown(entry)}, and must be a JSON object.")
            yield {**head, **entry}
        if not value[name]:
            raise BadSignal(f"{name} is an empty list: there is no order in it.")


def _diagnosis(text: str, at: int, part: str, error: str) -> str:
    """What is wrong with a JSON text, where, and what to do."""
    strings = re.compile(r'"(?:[^"\\\n]|\\.)*"').sub(lambda each: '"' + "s" * (len(each[0]) - 2) + '"', part)
    if found := _PLACEHOLDER.search(part):
        return unexpanded(found[0], place(text, at + found.start()))
    if found := _NO_NUMBER.search(strings):
        named = _named(part, found.start(1))
        return (
            f"{found[1]} at {place(text, at + found.start(1))}{named} is no JSON: the alert had no value there. "
            "Let the alert fire only when it has one."
        )
    if part[0] not in "{[":
        return f"The message is no JSON at {place(text, at)}: there is text behind the order."
    column = _COLUMN.search(error)
    if column is None:
        return f"The message cannot be read: {error}"
    spot = min(int(column[3]), max(len(part) - 1, 0))
    where = f"{place(text, at + spot)}{_named(part, spot)}"
    if {"“", "”", "‘", "’"} & set(strings):
        return f'The message is no JSON at {where}: it has typographic quotes, and JSON has plain ones (").'
    if "'" in strings[: spot + 1]:
        return f"The message is no JSON at {where}: names and texts stand in double quotes, not in single ones."
    if "control character" in error:
        return f"The message is no JSON at {where}: write \\n for a line break inside a text."
    if "Expecting value" in error:
        return f"The message is no JSON at {where}: a value is missing there; a placeholder may have come to nothing."
    hint = 'Look there for a quote inside a text (write \\" for it), a comma too few or too many, or a missing }.'
    return f"The message is no JSON at {where}. {hint}"


def _named(part: str, spot: int) -> str:
    names = [each for each in _NAME.finditer(part, 0, spot + 1) if each.end() <= spot + 1]
    return f" (by {names[-1][1]!r})" if names else ""


def unexpanded(placeholder: str, where: str) -> str:
    """A sentence about a placeholder that TradingView left as it is."""
    return (
        f"The placeholder {placeholder} at {where} was not replaced: TradingView does not know it, "
        "or knows it in a strategy's alerts only. Correct the alert's message."
    )


# ---------------------------------------------------------------- text


def _from_template(source: Source, text: str) -> list[Document]:
    lines = list(_lines(source, text))
    found = []
    for number, line in lines:
        fields = shapes.read_line(source.template, line)
        if fields is None:
            raise BadSignal(f"Line {number} is not written as the source's template says.")
        found.append(Document(dict(fields), f"Line {number}: " if len(lines) > 1 else "", read=True))
    if not found:
        raise BadSignal("The message has nothing but its secret: there is no order in it.")
    return found


def _lines(source: Source, text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something; one that is the secret alone has said it."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not _is_secret(line.strip(), source.secret):
            yield number, line.strip()


def _is_secret(text: str, secret: str) -> bool:
    """Whether this is the secret, or what stands in its place."""
    return text == secret or not text.strip("*")


def _from_words(source: Source, text: str) -> list[Document]:
    """`name=value` words. Lines are one order as long as no name comes twice; else each line is one of its own."""
    lines = [(number, _words(number, line, source.secret)) for number, line in _lines(source, text)]
    names = [name.lower() for _, words in lines for name in words]
    if not names:
        raise BadSignal("The message has nothing but its secret: there is no order in it.")
    if len(set(names)) == len(names):
        return [Document({name: value for _, words in lines for name, value in words.items()})]
    heads = {name: value for _, words in lines if len(words) == 1 for name, value in words.items()}
    entries = [(number, words) for number, words in lines if len(words) > 1]
    if not entries:
        raise BadSignal(f"{next(name for name in names if names.count(name) > 1)} is given twice.")
    return [Document({**heads, **words}, f"Line {number}: ") for number, words in entries]


def _words(number: int, line: str, secret: str) -> dict[str, str]:
    if len(line) > shapes.LONGEST:
        raise BadSignal(f"Line {number} is longer than {shapes.LONGEST} characters.")
    found: dict[str, str] = {}
    for word in _WORD.finditer(line):
        if word["name"] is None:
            if _is_secret(word["stray"], secret):
                continue
            raise BadSignal(
                f"Line {number}, column {word.start() + 1}: there is text that is no name=value, and the source has no "
                "template. Write JSON, write name=value words, or give the source a template."
            )
        if word["name"].lower() in {name.lower() for name in found}:
            raise BadSignal(f"Line {number}: {word['name']} is given twice.")
        found[word["name"]] = word["value"].strip("\"'")
    return found


def picked(source: Source, document: Document) -> Document:
    """A document as the source's mapping reads it; as it is, where there is none."""
    if not source.mapping or document.read:
        return document
    try:
        return Document(shapes.pick(source.mapping, document.value), document.where, read=True)
    except BadArgument as error:
        raise BadSignal(f"{document.where}{error}") from None
