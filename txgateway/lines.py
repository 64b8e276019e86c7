"""The stream's language: what clients may say, and every line the server says. Pure.

The protocol, on TCP (default port 50090). It is txTrader's; what is marked + is new and stands beside it.

A message is a netstring, `<length>:<bytes>,`, with one line of UTF-8 text inside: at most 1 MB from a client (64 kB
before it has logged in), at most 512 MB to it. A client that sends anything else, is silent before it has logged in, or
leaves half a message lying, is told why (`.error: ...`) where that can be done, and disconnected.

    server  .connected: <label> <version> <date> ... on <hostname>
    client  auth <username> <password> <options>
    server  .Authorized <channel>                  the channel is a venue's name: the default one's, or option `venue`'s
            .Authorized <channel> <seq>            + with option `position` or `resume`: the journal's last record
            .Authorization required!               and closes: the wrong password, or a command before `auth`

Options are a JSON object (a true value asks for it), or words with spaces between them; exactly `noquotes notrades`
means `order-notification`. Names that are not known mean nothing, and one that is asked for is answered `.error:`.

    order-notification  order-data   ticket-notification  ticket-data   execution-notification  execution-data
    quotes  trades  SYMBOL_FIELDS: [raw names, for this client's symbol objects]
  + position-data  reconciliation-data  signal-data  status-data  depth-data
  + venue: the name of another venue: its channel, its status, and its symbols without `@venue`
  + resume: a seq: everything after it comes first, from the journal, then what happens now, without a gap or a repeat
  + cancel-on-disconnect: seconds (0: at once): when this connection goes, the orders it sent are cancelled after so
    long, unless a new connection of the same user with this option takes the lease up; answered `.lease <id> <seconds>`
  + lease: the name of that lease: a new connection takes it by its name, also from one that only seems to be there
  + position: true: `.Authorized` says the seq of the journal's last record, from which a first `resume` can start

A client may send (the answers to commands may overtake each other):

    help                                      .commands: [...]                       also before auth
    status                                    .status: Up                            also before auth
    quit, exit, bye [TEXT]                    closes
    accounts                                  .accounts: ['A', ...] and <channel>.accounts: <json>
    setaccount A                              true or false, and <channel>.current-account: A to all
    add SYM, del SYM, query SYM               <channel>.symbol: <json>               null when it is unknown
    querydata SYM                             <channel>.symbol-data: <json>
    symbols                                   <channel>.symbols: <json>              name -> symbol object
    positions, orders, tickets, executions    <channel>.positions: <json>, ...
    getbars SYM PERIOD DATE TIME DATE TIME    the bars as JSON (also `.` for a date and time, -N for the first pair)
    marketorder ACCOUNT ROUTE SYM QTY         the order as JSON; a refusal is the Error object
    limitorder, stoporder ACCOUNT ROUTE SYM PRICE QTY
    stoplimitorder ACCOUNT ROUTE SYM STOP LIMIT QTY
    stagemarketorder TAG ACCOUNT ROUTE SYM QTY
  + stagelimitorder, stagestoporder TAG ACCOUNT ROUTE SYM PRICE QTY
  + stagestoplimitorder TAG ACCOUNT ROUTE SYM STOP LIMIT QTY
  + approve ID, reject ID                   a ticket: the order as JSON
    cancel ID
    globalcancel                              .global order cancel requested
    shutdown TEXT                             the daemon stops
  + each order command takes one more word, a client_order_id: sent twice, it is the same order
  + call METHOD {json arguments} [TAG]        <channel>.result: {"method": .., "tag": .., "result": ..} of any method of
                                              the API, or {"method": .., "tag": .., "error": {"message", "reason"}}

Anything else is answered `.what?`; a command that fails `.error: <text>`; one that comes before the venue has been up
`.Initialization not complete!`, and a close.

The server says by itself (without an option unless one is named in brackets):

    <channel>.time: YYYY-mm-dd HH:MM:00                        each minute of the feed's clock
    <channel>.error: <id> <text>
    <channel>.connection-status-changed: <status>              the channel's venue; Shutdown when the daemon stops
    <channel>.accounts: <json>, <channel>.current-account: A
    <channel>.order.<id> <account> <type> <status>             [order-notification]      and the same with `ticket`
    <channel>.order-data <json order>                          [order-data]              and the same with `ticket`
    <channel>.execution.<id> <account> <order id> <status>     [execution-notification]
    <channel>.execution-data <json execution>                  [execution-data]
    <channel>.quote.SYM:<bid> <bidsize> <ask> <asksize>        [quotes]
    <channel>.trade.SYM:<last> <size> <volume>                 [trades]
  + <channel>.position-data <json>        [position-data]        a position after a fill, or as the broker reports it
  + <channel>.status-data <json>          [status-data]          a venue's life; halts, flattens, limits, warn levels
  + <channel>.signal-data <json>          [signal-data]          a webhook's signal: `event` is received, refused, ended
                                                                 or, of its sender's life, integration
  + <channel>.reconciliation-data <json>  [reconciliation-data]  ours and the broker's words differ: `event` is found,
                                                                 raised (its severity) or resolved
  + <channel>.depth-data <json>           [depth-data]           the book of an active symbol whose venue shows one:
                                                                 {symbol, bids: [[price, size], ...], asks, sequence,
                                                                 time}; it is in no journal, and has no seq of ours

`-data` carries `seq`, its place in the journal, as a member. One record's lines come in the order order, execution,
position; each notification just before its data. Other venues' instruments are SYM@venue in quotes, trades and symbol
objects; a symbol may have a colon in it (BTC/USDT:USDT), and the last one of a line ends it. A client that reads slowly
gets the newest quote, trade and book of each instrument only, and every other line; when too many wait for it, it is
told so and disconnected, and can resume.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from txgateway import wire
from txgateway.model.errors import (
    Ambiguous,
    BadArgument,
    GatewayError,
    JournalError,
    NotAllowed,
    NotUp,
    Reason,
    Refused,
    TimedOut,
    TooMany,
    Unsupported,
)

BEFORE_AUTH = 64 * 1024
"""The longest message of a client that has not logged in: a login with its options."""
AFTER_AUTH = 1024 * 1024
"""The longest message of one that has: the longest route and arguments that any command takes, many times over."""

# ---------------------------------------------------------------- bytes


class BrokenNetstring(GatewayError):
    """The bytes are no netstring, or one above the limit: nothing after them can be understood."""


class Netstrings:
    """Cuts received bytes into messages, wherever the network has cut them."""

    def __init__(self, limit: int = BEFORE_AUTH) -> None:
        self.limit = limit
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        """Whether a message has begun that is not whole yet."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Every message that is whole now; BrokenNetstring after the last good one."""
        buffer = self._buffer
        buffer += data
        while buffer:
            digits = len(str(self.limit))
            colon = buffer.find(b":", 0, digits + 1)
            head = bytes(buffer[:colon] if colon >= 0 else buffer[: digits + 1])
            if not head.isdigit() or len(head) > digits or (head[0] == 48 and len(head) > 1):
                raise BrokenNetstring(f"a message begins with {head!r}, which is no netstring's length")
            if int(head) > self.limit:
                raise BrokenNetstring(f"a message of {int(head)} bytes is above the limit of {self.limit}")
            end = colon + 1 + int(head)
            if colon < 0 or len(buffer) <= end:
                return
            if buffer[end] != 44:
                raise BrokenNetstring(f"a message of {int(head)} bytes does not end with a comma")
            message = bytes(buffer[colon + 1 : end])
            del buffer[: end + 1]
            yield message


def netstring(body: bytes) -> bytes:
    """A message as it is sent."""
    return b"%d:%b," % (len(body), body)


# ---------------------------------------------------------------- what clients say


@dataclass(frozen=True, slots=True)
class Guard:
    """Cancel on disconnect: after so many seconds (None: not any more), under a lease that may have a name."""

    seconds: float | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """What a client asked for when it logged in; `complaints` are about what could not be understood."""

    wanted: frozenset[str] = frozenset()
    venue: str | None = None
    resume: int | None = None
    symbol_fields: tuple[str, ...] | None = None
    position: bool = False
    guard: Guard | None = None
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """`auth`, with its options as they were written: they are read once the password has been found right."""

    username: str
    password: str
    options: str


@dataclass(frozen=True, slots=True)
class Request:
    """A command: the API's method and arguments (none where the stream itself answers), and its answer's label."""

    word: str
    method: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    tag: str | None = None

    @property
    def long(self) -> bool:
        """Whether the answer may be a long list: one at a time for each client."""
        return self.method in _LONG if self.word != "call" else self.method.startswith(("query_", "explain_"))

    def around(self, channel: str) -> tuple[str, str]:
        """What stands before and after the result's JSON in the answer's line."""
        if self.word == "call":
            return f'{channel}.result: {{{self._about},"result":', "}"
        return (f"{channel}.{self.label}: " if self.label else ""), ""

    def failed(self, channel: str, error: GatewayError) -> str:
        """The line that answers a command which failed; a refusal is a result, so that it looks the same everywhere."""
        refusal = refusal_of(error)
        if refusal is not None:
            before, after = self.around(channel)
            return f"{before}{wire.dumps(wire.refusal(refusal)).decode()}{after}"
        if self.word != "call":
            return f".error: {error}"
        why = wire.dumps({"message": str(error), "reason": code_of(error)[1]}).decode()
        return f'{channel}.result: {{{self._about},"error":{why}}}'

    @property
    def _about(self) -> str:
        tag = "" if self.tag is None else f',"tag":{wire.dumps(self.tag).decode()}'
        return f'"method":{wire.dumps(self.method).decode()}{tag}'


@dataclass(frozen=True, slots=True)
class _Command:
    """A command's words as help shows them, the method behind it, and the label of its answer."""

    usage: str
    method: str
    names: tuple[str, ...] = ()
    label: str = ""

    @property
    def required(self) -> int:
        """How many words it needs."""
        return len(self.names) - self.usage.count("[")


_ORDER = ("account", "route", "symbol")
_KEY = ("quantity", "client_order_id")
_COMMANDS = {
    each.usage.partition(" ")[0]: each
    for each in (
        _Command("add SYM", "add_symbol", ("symbol",), "symbol"),
        _Command("del SYM", "del_symbol", ("symbol",), "symbol"),
        _Command("query SYM", "query_symbol", ("symbol",), "symbol"),
        _Command("querydata SYM", "query_symbol_data", ("symbol",), "symbol-data"),
        _Command("accounts", "query_accounts", (), "accounts"),
        _Command("setaccount A", "set_account", ("account",)),
        _Command("positions", "query_positions", (), "positions"),
        _Command("orders", "query_orders", (), "orders"),
        _Command("tickets", "query_tickets", (), "tickets"),
        _Command("executions", "query_executions", (), "executions"),
        _Command("marketorder ACCOUNT ROUTE SYM QTY [CLIENT_ORDER_ID]", "market_order", (*_ORDER, *_KEY)),
        _Command(
            "limitorder ACCOUNT ROUTE SYM PRICE QTY [CLIENT_ORDER_ID]", "limit_order", (*_ORDER, "limit_price", *_KEY)
        ),
        _Command(
            "stoporder ACCOUNT ROUTE SYM PRICE QTY [CLIENT_ORDER_ID]", "stop_order", (*_ORDER, "stop_price", *_KEY)
        ),
        _Command(
            "stoplimitorder ACCOUNT ROUTE SYM STOP LIMIT QTY [CLIENT_ORDER_ID]",
            "stoplimit_order",
            (*_ORDER, "stop_price", "limit_price", *_KEY),
        ),
        _Command(
            "stagemarketorder TAG ACCOUNT ROUTE SYM QTY [CLIENT_ORDER_ID]",
            "stage_market_order",
            ("tag", *_ORDER, *_KEY),
        ),
        _Command(
            "stagelimitorder TAG ACCOUNT ROUTE SYM PRICE QTY [CLIENT_ORDER_ID]",
            "stage_limit_order",
            ("tag", *_ORDER, "limit_price", *_KEY),
        ),
        _Command(
            "stagestoporder TAG ACCOUNT ROUTE SYM PRICE QTY [CLIENT_ORDER_ID]",
            "stage_stop_order",
            ("tag", *_ORDER, "stop_price", *_KEY),
        ),
        _Command(
            "stagestoplimitorder TAG ACCOUNT ROUTE SYM STOP LIMIT QTY [CLIENT_ORDER_ID]",
            "stage_stoplimit_order",
            ("tag", *_ORDER, "stop_price", "limit_price", *_KEY),
        ),
        _Command("approve ID", "approve_ticket", ("id",)),
        _Command("reject ID", "reject_ticket", ("id",)),
        _Command("cancel ID", "cancel_order", ("id",)),
        _Command("globalcancel", "global_cancel"),
    )
}
_BARS = "getbars SYM PERIOD DATE TIME DATE TIME"
_CALL = "call METHOD {json arguments} [TAG]"
QUIT = ("quit", "exit", "bye")
BEFORE_LOGIN = frozenset({"auth", "help", "status", *QUIT})
"""What a client may say before it has logged in."""
_LONG = {"query_symbols", "query_orders", "query_tickets", "query_executions", "query_bars"}
WORDS = ("auth", "help", *QUIT, "status", *_COMMANDS, "symbols", "getbars", "shutdown", "call")
"""Every command, as help lists them."""
_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2})?|\.")
_ALONE = re.compile(r"\.|-\d+")
"""What stands for a date and a time by itself."""


def parse(text: str) -> Login | Request | None:
    """What a client says; None when it is no command. BadArgument shows how the command is written."""
    words = text.split()
    word = words[0] if words else ""
    if word not in WORDS:
        return None
    rest = text.strip()[len(word) :].strip()
    if word == "auth":
        return _login(rest)
    if word == "call":
        return _call(rest)
    if word == "getbars":
        return _bars(words[1:])
    if word == "shutdown":
        return Request(word, "shutdown", {"message": rest})
    if word == "symbols":
        return Request(word, "query_symbols", {"data": True}, "symbols")
    if word not in _COMMANDS:
        return Request(word)
    command = _COMMANDS[word]
    if not command.required <= len(words) - 1 <= len(command.names):
        raise BadArgument(f"it is written: {command.usage}")
    return Request(word, command.method, dict(zip(command.names, words[1:], strict=False)), command.label)


def _login(rest: str) -> Login:
    words = rest.split(maxsplit=2)
    if len(words) < 2:
        raise BadArgument("it is written: auth USERNAME PASSWORD [OPTIONS]")
    return Login(words[0], words[1], words[2] if len(words) > 2 else "")


def _call(rest: str) -> Request:
    method, _, given = rest.partition(" ")
    given, brace, tag = given.strip().rpartition("}")
    try:
        arguments = wire.loads((given + brace).encode()) if brace else {}
    except (BadArgument, UnicodeEncodeError) as error:
        raise BadArgument(f"the arguments cannot be read: {error} It is written: {_CALL}") from None
    words = tag.split()
    if not method or len(words) > 1 or "{" in tag or not isinstance(arguments, dict):
        raise BadArgument(f"it is written: {_CALL}")
    return Request("call", method, arguments, "result", words[0] if words else None)


def _bars(words: Sequence[str]) -> Request:
    rest = list(words[2:])
    alone = len(rest) == 2 or (len(rest) == 3 and _ALONE.fullmatch(rest[0]) and not _TIME.fullmatch(rest[1]))
    start, end = (rest[:1], rest[1:]) if alone else (rest[:2], rest[2:])
    if not (len(start) and 1 <= len(end) <= 2):
        raise BadArgument(f"it is written: {_BARS}")
    arguments = {"symbol": words[0], "period": words[1], "start": _moment(*start), "end": _moment(*end)}
    return Request("getbars", "query_bars", arguments)


def _moment(day: str, clock: str = ".") -> str:
    return day if clock == "." or _ALONE.fullmatch(day) else f"{day} {clock}"


def options(text: str) -> Options:
    """The options of a login, in any of their three forms."""
    text = text.strip()
    if text == "noquotes notrades":
        return Options(frozenset({"order-notification"}))
    if not text.startswith("{"):
        words = frozenset(text.split())
        guard = Guard(0.0) if GUARD in words else None
        return Options(words, position="position" in words, guard=guard)
    try:
        return options_from(wire.loads(text.encode()))
    except BadArgument as error:
        return Options(complaints=(f"the options cannot be read and are left out: {error}",))


def options_from(given: Mapping[str, Any]) -> Options:
    """The same from an object."""
    complaints = []
    resume, fields, venue = given.get("resume"), given.get("SYMBOL_FIELDS"), given.get("venue")
    if resume is not None and (isinstance(resume, bool) or not isinstance(resume, int) or resume < 0):
        complaints.append(f"resume {_short(resume)} is no record's number: you hear what happens from now on")
        resume = None
    if fields is not None and not (isinstance(fields, list) and all(isinstance(each, str) for each in fields)):
        complaints.append("SYMBOL_FIELDS is no list of names: you get the whole symbol objects")
        fields = None
    if venue is not None and not isinstance(venue, str):
        complaints.append(f"venue {_short(venue)} is no venue's name: you are on the default one's channel")
        venue = None
    guard = _guard(given, complaints) if GUARD in given else None
    wanted = frozenset(name for name, value in given.items() if value)
    chosen = tuple(fields) if fields else None
    position = bool(given.get("position")) or "resume" in given
    return Options(wanted, venue, resume, chosen, position, guard, tuple(complaints))


SETTINGS = frozenset({"SYMBOL_FIELDS", "venue", "resume", "position", "cancel-on-disconnect", "lease"})
"""The options that ask for no news."""
LEGACY = frozenset({"noquotes", "notrades"})
"""Words of old clients that ask for nothing."""


def unknown_options(wanted: frozenset[str], known: frozenset[str]) -> str:
    """The complaint about names that nobody knows, with what may have been meant; empty when there are none."""
    unknown = sorted(wanted - known - SETTINGS - LEGACY)
    if not unknown:
        return ""
    meant = get_close_matches(unknown[0][:40], sorted(known | SETTINGS), 1)
    more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(sorted(known | SETTINGS))}."
    return f"option {_short(unknown[0])}{more} is unknown and asks for nothing: {hint}"


GUARD = "cancel-on-disconnect"
LONGEST_GUARD = 86_400


def _guard(given: Mapping[str, Any], complaints: list[str]) -> Guard | None:
    seconds, name = given[GUARD], given.get("lease") or ""
    if seconds is None or seconds is False:
        return Guard(None)
    if seconds is True:
        seconds = 0
    if not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_GUARD:
        limit = f"seconds from 0 to {LONGEST_GUARD}"
        complaints.append(f"{GUARD} {_short(seconds)} is none of {limit}: your orders stay when you disconnect")
        return None
    if not isinstance(name, str) or len(name) > 100 or not name.isprintable():
        complaints.append(f"lease {_short(name)} is no name: your lease has none")
        name = ""
    return Guard(float(seconds), name)


def _short(value: Any) -> str:
    text = wire.dumps(value).decode()
    return text if len(text) <= 40 else f"{text[:40]}…"


# ---------------------------------------------------------------- what the server says


def refusal_of(error: Exception) -> Refused | None:
    """The refusal that an error is: an answer like any other."""
    if isinstance(error, Refused):
        return error
    return Refused(Reason.UNSUPPORTED, str(error)) if isinstance(error, Unsupported) else None


def code_of(error: Exception) -> tuple[int, str]:
    """An error's JSON-RPC code and reason."""
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), (-32603, "INTERNAL"))


_CODES: dict[type[GatewayError], tuple[int, str]] = {
    BadArgument: (-32602, "BAD_ARGUMENT"),
    NotUp: (-32000, "NOT_UP"),
    JournalError: (-32002, "JOURNAL_FAILED"),
    NotAllowed: (-32003, "NOT_ALLOWED"),
    TooMany: (-32006, "TOO_MANY_REQUESTS"),
    TimedOut: (-32004, "TIMED_OUT"),
    Ambiguous: (-32005, "AMBIGUOUS"),
}
NOT_ANY_MORE = "your login has been changed, has expired or was taken back: log in again"
INTERNAL = "the gateway made an error over this; its log says which"


def connected(header: str, hostname: str) -> str:
    """The greeting."""
    return f".connected: {header} on {hostname}"


def authorized(channel: str, seq: int | None) -> str:
    """The answer to a right login."""
    return f".Authorized {channel}" if seq is None else f".Authorized {channel} {seq}"


def lease(lease: str, seconds: float) -> str:
    """What answers the option cancel-on-disconnect."""
    return f".lease {lease} {seconds:g}"


def status(word: str) -> str:
    """The answer to `status`."""
    return f".status: {word}"


AUTHORIZATION_REQUIRED = ".Authorization required!"
NOT_UP = ".Initialization not complete!"
WHAT = ".what?"
CANCELING = ".global order cancel requested"


def error(text: str) -> str:
    """Why a command failed, or a client is disconnected."""
    return f".error: {text}"


def accounts(names: Sequence[str]) -> str:
    """The first of the two lines that answer `accounts`."""
    return f".accounts: {list(names)}"


def help_line() -> str:
    """The answer to `help`."""
    return f".commands: {list(WORDS)}"


_SECRET = re.compile(r'("[^"]*(?:pass|token|secret)[^"]*"\s*:\s*)"(?:[^"\\]|\\.)*"?', re.IGNORECASE)


def masked(text: str) -> str:
    """What a client sent, as it may stand in a log: without passwords, however it spelled its JSON."""
    return _SECRET.sub(r'\1"***"', text)
