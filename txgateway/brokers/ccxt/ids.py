"""Our order id in the form that an exchange takes for a client's id, and back. Pure.

TEXT is the id itself. UUID is made of it, and the id is read out of it again. NUMBER is a hash, of which the id must be
remembered (memory).
"""

from __future__ import annotations

import re
from enum import Enum, auto
from hashlib import blake2b
from uuid import UUID

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_OURS = re.compile(f"[{_LETTERS}]{{1,20}}")


class IdForm(Enum):
    """What a client's id may look like."""

    TEXT = auto()
    UUID = auto()
    NUMBER = auto()


def client_id(form: IdForm, order_id: str) -> str:
    """What is sent; the same every time."""
    if form is IdForm.TEXT:
        return order_id
    if form is IdForm.NUMBER:
        return str((int.from_bytes(blake2b(order_id.encode(), digest_size=8).digest()) >> 1) or 1)
    if _OURS.fullmatch(order_id) is None:
        return str(UUID(bytes=blake2b(order_id.encode(), digest_size=16).digest(), version=4))
    number = 0
    for letter in order_id:
        number = number << 5 | _LETTERS.index(letter)
    payload = (number << 5 | len(order_id)) << 17 | _check(order_id)
    return str(UUID(int=_spread(payload)))


def order_id(form: IdForm, written: str) -> str:
    """The order id that a client's id was made of; empty where it was not made here, or must be remembered."""
    if form is IdForm.TEXT:
        return written
    if form is IdForm.NUMBER:
        return ""
    try:
        payload = _gather(UUID(written).int)
    except ValueError:
        return ""
    check, number = payload & 0x1FFFF, payload >> 17
    length, number = number & 31, number >> 5
    letters = []
    for _ in range(length):
        letters.append(_LETTERS[number & 31])
        number >>= 5
    found = "".join(reversed(letters))
    return found if found and not number and check == _check(found) else ""


def _check(found: str) -> int:
    return int.from_bytes(blake2b(found.encode(), digest_size=3).digest()) & 0x1FFFF


def _spread(payload: int) -> int:
    """122 bits around the version (4) and the variant of a UUID."""
    high, middle, low = payload >> 74, payload >> 62 & 0xFFF, payload & (1 << 62) - 1
    return high << 80 | 4 << 76 | middle << 64 | 2 << 62 | low


def _gather(number: int) -> int:
    high, middle, low = number >> 80, number >> 64 & 0xFFF, number & (1 << 62) - 1
    if number >> 76 & 15 != 4 or number >> 62 & 3 != 2:
        return 0
    return high << 74 | middle << 62 | low
