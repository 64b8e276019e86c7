"""A route: where a broker is to send an order, by a name that may have parameters."""

from __future__ import annotations

import json
from typing import Any

LONGEST_NAME = 64
FORMS = 'give a name, or {"name": {"parameter": value}} with one name'


def read_route(text: str) -> dict[str, Any]:
    """{name: None or {parameter: value}} of a name, or of such an object or a name in JSON; else ValueError."""
    value: Any = text.strip()
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        if value[:1] in ("{", "[", '"'):
            raise ValueError(f"it is no JSON: {FORMS}") from None
    if isinstance(value, str):
        value = {value.strip(): None}
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(FORMS)
    name, parameters = next(iter(value.items()))
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name[0] in '{["':
        raise ValueError(f"a route's name has 1 to {LONGEST_NAME} printable characters: {FORMS}")
    if not isinstance(parameters, dict | None):
        raise ValueError(f"the parameters of a route are an object: {FORMS}")
    return {name: parameters}


def _no_number(text: str) -> Any:
    raise ValueError(text)
