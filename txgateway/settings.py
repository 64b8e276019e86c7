"""How a setting's text is read: a reader gives a value, or a ValueError that says what to give instead."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable
from datetime import time
from pathlib import Path

import pytz

from txgateway.model.limits import Levels, read_levels
from txgateway.model.route import read_route

LONGEST_WAIT = 30 * 86400


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that may have been meant, in parentheses after a space; else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _matching(pattern: str, give: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(give)
        return text

    return read


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return int(text)

    return read


def choice(*words: str) -> Callable[[str], str]:
    """A reader of one of these words, in either case."""

    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"give {', '.join(words[:-1])} or {words[-1]}")
        return text.lower()

    return read


any_text = str
word = _matching(r"\S+", "give one word without spaces")
username = _matching(r"[^\s:]+", "give a name without spaces and colons, which no login could carry")
password = _matching(r"\S+", "give a password without spaces, which the stream's auth command could not carry")
account = _matching(r"[^\s:,]+", "give one account's name, without spaces, commas and colons")
reactor = choice("asyncio", "uvloop", "epoll", "poll", "select")
log_format = choice("text", "json")
kind = str.lower


def route(text: str) -> str:
    """A route, as `set_order_route` takes it."""
    read_route(text)
    return text.strip()


def flag(text: str) -> bool:
    """Yes or no."""
    answer = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in answer:
        raise ValueError("give 1 or 0 (or true/false, yes/no, on/off)")
    return answer[text.lower()]


def port(text: str) -> int:
    """A TCP port."""
    try:
        return whole(0, 65535)(text)
    except ValueError:
        raise ValueError("give a port, a whole number from 0 to 65535 (0 takes any free one)") from None


def timeout(text: str) -> float:
    """Seconds to wait for something."""
    seconds = float(text) if re.fullmatch(r"[0-9]{0,9}\.?[0-9]{1,9}", text) else 0
    if not 0 < seconds <= LONGEST_WAIT:
        raise ValueError("give seconds, more than 0 and at most 30 days")
    return seconds


def wait(text: str) -> float:
    """Seconds that something may take; 0 is no such limit."""
    try:
        return 0.0 if re.fullmatch(r"0*\.?0+", text) else timeout(text)
    except ValueError:
        raise ValueError("give seconds, at most 30 days, or 0") from None


def log_level(text: str) -> str:
    """The name twisted.logger has for a level."""
    name = {"warning": "warn", "fatal": "critical"}.get(text.lower(), text)
    return choice("debug", "info", "warn", "error", "critical")(name)


def clock_time(text: str) -> time:
    """A time of day; quotes around it are taken off, as env files keep them."""
    match = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", text.strip("\"'"))
    if not match or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError("give a time of day as HH:MM, such as 05:00")
    return time(int(match[1]), int(match[2]))


def zone(text: str) -> str:
    """The proper name of a time zone."""
    try:
        return str(pytz.timezone(text).zone)
    except pytz.UnknownTimeZoneError:
        hint = did_you_mean(text, pytz.all_timezones)
        raise ValueError(f"there is no such time zone{hint}; give one such as America/New_York") from None


def codes(text: str) -> frozenset[int]:
    """Error codes."""
    words = [each.strip() for each in text.split(",") if each.strip()]
    if not all(re.fullmatch(r"[0-9]{1,9}", each) for each in words):
        raise ValueError("give error codes with commas between them, such as 2100,2104")
    return frozenset(map(int, words))


def limits(text: str) -> Levels:
    """Limits that orders are judged by."""
    try:
        return read_levels(text)
    except ValueError as error:
        raise ValueError(f"{error}; give such as max_notional=1000000,account:A1/max_position=500") from None


def interface(text: str) -> str:
    """An address to listen on."""
    try:
        if ":" in text or re.fullmatch(r"[0-9.]+", text):
            ipaddress.ip_address(text)
        elif not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", text):
            raise ValueError
    except ValueError:
        raise ValueError("give an address of this machine, such as 127.0.0.1, ::1 or 0.0.0.0") from None
    return text


def optional_port(text: str) -> int | None:
    """A TCP port, or none."""
    return port(text) if text else None


def optional_interface(text: str) -> str:
    """An address to listen on, or none."""
    return interface(text) if text else ""


def networks(text: str) -> tuple[str, ...]:
    """Addresses and networks."""
    try:
        return tuple(str(ipaddress.ip_network(each.strip())) for each in text.split(",") if each.strip())
    except ValueError:
        raise ValueError("give addresses or networks with commas between them, such as 127.0.0.1,10.0.0.0/8") from None


def base_url(text: str) -> str:
    """The beginning of a URL, without a slash at its end; or nothing."""
    host = r"([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])"
    if text and not re.fullmatch(rf"https?://{host}(:[0-9]{{1,5}})?(/[A-Za-z0-9._~/-]*)?", text):
        raise ValueError("give a URL without a user and a query, such as https://gw.example.com")
    return text.rstrip("/")


def optional_path(text: str) -> Path | None:
    """A file, or none."""
    return Path(text) if text else None


def optional_rate(text: str) -> float | None:
    """So many a second, or nothing said."""
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        raise ValueError("give a number a second, such as 5000; 0 is no limit")
    return float(text)


def journal(text: str) -> str:
    """The path of an SQLite file."""
    file = text.removeprefix("sqlite://")
    if not file or "://" in file:
        raise ValueError("give the path of a file, or sqlite:///path/of/a/file")
    return file
