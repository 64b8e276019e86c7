"""The commands described for programs: the OpenRPC document of JSON-RPC and the OpenAPI document of the paths. Pure.

Both are made from the commands themselves: names, arguments, types and help are said once, in api.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from txgateway.api import (
    AccessReport,
    BarRows,
    DifferenceReport,
    EndpointReport,
    Entry,
    ExitsReport,
    FaultsReport,
    InstrumentReport,
    LastPriceReport,
    LeverageReport,
    Listing,
    PositionModeReport,
    PositionReport,
    RateLimitsReport,
    SignalStory,
    SourceReport,
    Story,
    StrategyReport,
    TokenReport,
    VenueReport,
)
from txgateway.commands import COMMANDS, Command, Names, Parameter, Text, Upper
from txgateway.gateway import Reply
from txgateway.model.account import AccountReport, Position
from txgateway.model.errors import Reason
from txgateway.model.execution import Execution
from txgateway.model.fault import Fault
from txgateway.model.halts import FlattenReport, Halt
from txgateway.model.instrument import Instrument
from txgateway.model.integration import Integration
from txgateway.model.limits import DEFAULTS, Limit, RiskReport
from txgateway.model.market import Depth, Funding, Ticker
from txgateway.model.order import Order, OrderStatus
from txgateway.model.signal import Signal

Schema = dict[str, Any]

ARGUMENTS: Mapping[Any, Schema] = {
    str: {"type": "string"},
    Upper: {"type": "string", "description": "Upper-cased by the server."},
    Text: {"type": ["string", "object", "array"], "description": "A text, or a JSON value that is written as text."},
    Names: {
        "type": ["string", "array"],
        "items": {"type": "string"},
        "description": "Names with commas, or a list of names. Upper-cased by the server.",
    },
    Decimal: {"type": ["number", "string"], "description": "A decimal number; as a string no digit is lost."},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
}
"""The schema of each type that an argument can have."""

_NOUNS = {
    Order: "OrderResult",
    Reply: "OrderResult",
    Execution: "Execution",
    Ticker: "Symbol",
    Position: "Quantity",
    AccountReport: "Balances",
    VenueReport: "Venue",
    DifferenceReport: "Difference",
    TokenReport: "Token",
    AccessReport: "Access",
    ExitsReport: "Exits",
    InstrumentReport: "Instrument",
    Entry: "JournalRecord",
    Story: "Story",
    SignalStory: "SignalStory",
    SourceReport: "Source",
    Integration: "Integration",
    Signal: "Signal",
    StrategyReport: "Strategy",
    Halt: "Halt",
    FaultsReport: "Faults",
    Fault: "Fault",
    FlattenReport: "Flatten",
    RiskReport: "Risk",
    BarRows: "Bars",
    Depth: "Depth",
    Funding: "Funding",
    PositionReport: "Position",
    LastPriceReport: "LastPrice",
    LeverageReport: "Leverage",
    PositionModeReport: "PositionMode",
    RateLimitsReport: "RateLimits",
    EndpointReport: "EndpointAnswer",
}
ATTACHED = (
    "True for an exit that the broker was given with its entry: it sleeps until that is filled whole, and is of the "
    "broker's bracket from then on. query_exits tells which sleep."
)
_TEXT, _NUMBER, _WHOLE, _FLAG = {"type": "string"}, {"type": "number"}, {"type": "integer"}, {"type": "boolean"}
_TYPES: Mapping[str, Schema] = {
    "s": _TEXT,
    "n": _NUMBER,
    "i": _WHOLE,
    "b": _FLAG,
    "o": {"type": "object"},
    "i?": {"type": ["integer", "null"]},
    "s?": {"type": ["string", "null"]},
    "n?": {"type": ["number", "null"]},
    "o?": {"type": ["object", "null"]},
    "s*": {"type": "array", "items": _TEXT},
    "s*?": {"type": ["array", "null"], "items": _TEXT},
}

ORDER = (
    "permid:s symbol:s cusip:s account:s quantity:n class:s type:s status:s filled:n remaining:n avgfillprice:n text:s "
    "origin:s order_status:s client_order_id:s broker_order_id:s venue:s side:s order_type:s limit_price:n? "
    "stop_price:n? time_in_force:s route:s owner:s reason:s? commission:n created:s updated:s seq:i updates:o raw:o"
)
EXECUTION = (
    "ORDER_ID:s ORIGINAL_ORDER_ID:s ACCOUNT:s AVG_PRICE:n BUYORSELL:s CURRENCY:s CURRENT_STATUS:s DISP_NAME:s "
    "EXCHANGE:s EXIT_VEHICLE:s FILL_ID:s ORDER_RESIDUAL:n ORIGINAL_PRICE:n? ORIGINAL_VOLUME:n PRICE:n PRICE_TYPE:s "
    "TIME_STAMP:s TIME_ZONE:s MARKET_TRD_DATE:s TRD_TIME:s VOLUME:n VOLUME_TRADED:n CUSIP:s VENUE:s "
    "BROKER_ORDER_ID:s COMMISSION:n FEE:n FEE_CURRENCY:s TIME:s seq:i"
)
SYMBOL = (
    "symbol:s last:n tradetime:s size:n volume:n open:n close:n vwap:n fullname:s cusip:s high:n low:n bid:n bidsize:n "
    "ask:n asksize:n bars:o"
)
VENUE = (
    "name:s kind:s status:s default:b accounts:s* can:s* time:s errors:i last_error:s domain:s connected_since:s? "
    "last_reconciled:s? failed_reconciliations:i differences:i since:s? status_text:s last_error_time:s? refusals:i "
    "reconnects:i"
)
DIFFERENCE = "venue:s account:s what:s key:s ours:s theirs:s severity:s found:s seen:s age:i resolved:s? text:s seq:i"
"""Members and their types: s string, n number, i integer, b boolean, o object or array, s* strings, ? or null."""
_GRANT = "name:s scopes:s* accounts:s*? symbols:s*? max_notional:n? by:s"
_OPTIONAL = frozenset("high low bid bidsize ask asksize bars".split())  # noqa: SIM905


def _members(text: str) -> Schema:
    properties: dict[str, Schema] = {}
    for each in text.split():
        name, _, kind = each.partition(":")
        properties[name] = _TYPES[kind]
    required = [name for name in properties if name not in _OPTIONAL]
    return {"type": "object", "properties": properties, "required": required}


def _venue() -> Schema:
    venue, latency = _members(VENUE), _members("count:i of:i p50_ms:n? p99_ms:n? max_ms:n?")
    latency["description"] = "Milliseconds, of the last `of` answers."
    venue["properties"] = {**venue["properties"], "order_latency": latency, "question_latency": latency}
    venue["required"] = [*venue["required"], "order_latency", "question_latency"]
    return venue


def _risk() -> Schema:
    risk = _members("limits:o use:o")
    use = _members("scope:s exposure:n profit_and_loss:n orders_last_second:i executions_in_window:n? holdings:o")
    limits = _members("scope:s limit:s value:s warn:s? source:s")
    return {**risk, "properties": {"limits": _listed(limits), "use": _listed(use)}}


def _listed(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _by_name(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


@cache
def schemas() -> Mapping[str, Schema]:
    """The objects that commands give, by name."""
    order = _members(ORDER)
    order["properties"] = {
        **order["properties"],
        "updates": _listed(_members("id:s type:s fields:o time:n")),
        "status": {"enum": ["Submitted", "Pending", "Accepted", "Filled", "Cancelled", "Changed", "Error"]},
        "order_status": {"enum": [each.value for each in OrderStatus]},
        "class": {"enum": ["order", "ticket"]},
        "errorMsg": {**_TEXT, "description": "Why it was refused or rejected: there where status is Error."},
        "exits": _plan(),
        "oco": {**_TEXT, "description": "The name of the group of which this is one: there where it is one."},
        "good_till": {**_TEXT, "description": "When the gateway ends it: there where it has such a time."},
        "parent": {**_TEXT, "description": "The permid of the entry that this is an exit of: there where it is one."},
        "leg": {"enum": ["stop_loss", "take_profit", "close", "undo"], "description": "Which exit this is."},
        "attached": {**_FLAG, "description": ATTACHED},
        "replayed": {**_FLAG, "description": "True when the client_order_id had been seen before: nothing was sent."},
    }
    refusal = _members("status:s errorMsg:s reason:s")
    refusal["properties"] = {
        **refusal["properties"],
        "status": {"const": "Error"},
        "reason": {"type": "string", "examples": [each.value for each in Reason]},
        "permid": _TEXT,
        "id": _TEXT,
    }
    symbol = _members(SYMBOL)
    symbol["properties"] = {**symbol["properties"], "bars": _ref("Bars")}
    row = [_TEXT, _TEXT, _NUMBER, _NUMBER, _NUMBER, _NUMBER, _NUMBER]
    return {
        "Order": order,
        "Refusal": refusal,
        "OrderResult": {"anyOf": [_ref("Order"), _ref("Refusal")]},
        "Execution": _members(EXECUTION),
        "Symbol": symbol,
        "Quantity": {**_NUMBER, "description": "Below zero when short."},
        "Balances": _by_name(_members("total:n available:n reserved:n")),
        "Venue": _venue(),
        "Difference": _members(DIFFERENCE),
        "Token": _members(f"{_GRANT} created:s expires:s? expired:b token:s?"),
        "Access": {
            "type": "object",
            "properties": {
                "users": _listed(_members(_GRANT)),
                "failed_logins": _WHOLE,
                "turned_away": _WHOLE,
                "sources": _listed(_members("host:s user:s failed_logins:i last:s?")),
            },
            "required": ["users", "failed_logins", "turned_away", "sources"],
        },
        "Instrument": _instrument(),
        "Flatten": {
            "type": "object",
            "properties": {
                **_members("number:i scope:s flat:b ended:b text:s")["properties"],
                "positions": _listed(_members("account:s symbol:s quantity:n flat:b text:s")),
            },
            "required": ["number", "scope", "flat", "ended", "text", "positions"],
        },
        "Risk": _risk(),
        "Halt": _members("scope:s level:s text:s by:s time:s"),
        "Fault": _members("fault:s chance:n count:i? seconds:n? symbol:s account:s happened:i"),
        "Faults": {
            "type": "object",
            "properties": {"known": _by_name(_TEXT), "venues": _by_name(_listed(_ref("Fault")))},
            "required": ["known", "venues"],
        },
        "Exits": _exits(),
        "JournalRecord": _members("seq:i time:s kind:s order_id:s? event:o hash:s"),
        "Story": {
            "type": "object",
            "properties": {
                "order": _ref("Order"),
                "story": _listed(_members("seq:i time:s kind:s order_id:s? text:s event:o")),
            },
            "required": ["order", "story"],
        },
        "SignalStory": {
            "type": "object",
            "properties": {
                "id": _TEXT,
                "story": _listed(_members("seq:i time:s kind:s order_id:s? text:s event:o")),
            },
            "required": ["id", "story"],
        },
        "Signal": _members(
            "id:s source:s kind:s account:s time:s outcome:s key:s about:s instructions:s* orders:s* reason:s? text:s "
            "answer:o host:s shadow:b seq:i"
        ),
        "Source": _members(
            "name:s kind:s account:s venue:s url:s settings:o configured:b by:s received:i refused:i repeated:i "
            "wrong_secrets:i last_seen:s? warning:s secret:s? message:s? place:s?"
        ),
        "Integration": {
            "type": "object",
            "properties": {
                **_members("source:s name:s step:s changed:s description:s user_email:s url:s text:s by:s warning:s")[
                    "properties"
                ],
                "strategies": _listed(_members("strategy:s name:s enabled:b")),
            },
            "required": ["source", "name", "step", "changed", "url", "warning", "strategies"],
        },
        "Strategy": _members(
            "source:s strategy:s name:s account:s symbol:s quantity:n intended:n reference:s opened:s? orders:s*"
        ),
        "Bars": {
            **_listed({"type": "array", "prefixItems": row, "items": False}),
            "description": "[date, time, open, high, low, close, volume], oldest first.",
        },
        "Depth": _depth(),
        "Funding": _members(
            "symbol:s rate:n time:s next_rate:n? next_time:s? interval_seconds:i? mark_price:n? index_price:n?"
        ),
        "Position": _members(
            "venue:s quantity:n average_price:n entry_price:n? mark_price:n? liquidation_price:n? leverage:n? "
            "unrealized_profit:n?"
        ),
        "LastPrice": _members("price:n? time:s? reason:s? text:s"),
        "Leverage": _members("venue:s account:s symbol:s leverage:n"),
        "PositionMode": _members("venue:s account:s mode:s"),
        "RateLimits": _rate_limits(),
        "EndpointAnswer": {
            "type": "object",
            "properties": {
                "venue": _TEXT,
                "data": {"description": "What the venue answered, as it is."},
                "rate_limits": {"anyOf": [_ref("RateLimits"), {"type": "null"}]},
            },
            "required": ["venue", "data", "rate_limits"],
        },
        "Error": _members("status:s errorMsg:s reason:s"),
    }


def _depth() -> Schema:
    level = {"type": "array", "prefixItems": [_NUMBER, _NUMBER], "items": False, "description": "[price, size]"}
    depth = _members("symbol:s bids:o asks:o sequence:i time:s")
    return {**depth, "properties": {**depth["properties"], "bids": _listed(level), "asks": _listed(level)}}


def _rate_limits() -> Schema:
    report = _members("remaining:i? reset:i? limits:o")
    limits = _by_name(_members("limit:i remaining:i seconds:n reset:i?"))
    return {**report, "properties": {**report["properties"], "limits": limits}}


def _plan() -> Schema:
    level = {"type": ["number", "string", "null"]}
    members = {"take_profit": level, "stop_loss": level, "trailing_stop": level, "hold_seconds": _TYPES["n?"]}
    return {"type": "object", "properties": members, "description": "What is attached: there where something is."}


def _exits() -> Schema:
    report = _members(
        "entry:s account:s symbol:s side:s exits:o filled:n left:n average_price:n began:s? stop_price:n? orders:o "
        "asleep:s* trouble:s closing:s ended:s"
    )
    report["properties"] = {**report["properties"], "exits": _plan(), "orders": _listed(_ref("Order"))}
    return report


def _instrument() -> Schema:
    kinds = {Decimal: "n", bool: "b"}
    hints = get_type_hints(Instrument)
    names = [name for name in Instrument.__slots__ if name != "raw"]
    members = [f"{name}:{'o?' if name == 'session' else kinds.get(hints[name], 's')}" for name in names]
    return _members(" ".join([*members, "order_types:s*", "times_in_force:s*"]))


# ---------------------------------------------------------------- types


def _wanted(parameter: Parameter) -> Any:
    """An argument's type without its `| None`."""
    if isinstance(parameter.type, UnionType) or get_args(parameter.type):
        return next(each for each in get_args(parameter.type) if each is not type(None))
    return parameter.type


def argument_schema(parameter: Parameter) -> Schema:
    """The schema of one argument."""
    schema = dict(ARGUMENTS[_wanted(parameter)])
    if not parameter.required and parameter.default is not None:
        schema["default"] = parameter.default
    return schema


def result_schema(command: Command) -> Schema:
    """The schema of a command's result."""
    if command.returns is Listing:
        return _by_name(_ref("Execution" if "executions" in command.name else "Order"))
    return _result(command.returns)


def _result(kind: Any) -> Schema:
    if kind in _NOUNS:
        return _ref(_NOUNS[kind])
    if kind is type(None):
        return {"type": "null"}
    if kind in (str, bool, int, float):
        return {str: _TEXT, bool: _FLAG, int: _WHOLE, float: _NUMBER}[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, UnionType):
        return {"anyOf": [_result(each) for each in arguments]}
    if origin is dict:
        return _by_name(_result(arguments[1]))
    if origin is list:
        return _listed(_result(arguments[0]))
    return {}


def signature(command: Command) -> list[list[str]]:
    """A command's types in JSON's words: the result's, then each argument's."""
    words = [result_schema(command).get("type", "object")]
    words += [ARGUMENTS[_wanted(each)]["type"] for each in command.parameters]
    return [[word if isinstance(word, str) else word[0] for word in words]]


def _summary(command: Command) -> str:
    return command.doc.partition("\n")[0]


# ---------------------------------------------------------------- documents

_INFO = "A trading gateway: txTrader's calls and more, over paths and JSON-RPC 2.0."
_RPC_ERRORS = {
    -32602: "An argument is missing, unknown, or cannot be read as its type.",
    -32603: "The gateway made an error; its log has the details.",
    -32000: "The venue has not been up yet (data.reason NOT_UP).",
    -32002: "The journal cannot be read (data.reason JOURNAL_FAILED).",
    -32003: "The credential does not reach this command (data.reason NOT_ALLOWED).",
    -32004: "A venue did not answer in time (data.reason TIMED_OUT).",
    -32006: "The caller sends more requests than it may (data.reason TOO_MANY_REQUESTS).",
    -32005: "The venue may or may not have done it (data.reason AMBIGUOUS).",
}


def reasons() -> str:
    """The reason codes as README's table: `make reasons` prints it, and a test compares."""
    rows = ["| reason | what it means |", "| --- | --- |", *(f"| `{each}` | {each.meaning} |" for each in Reason)]
    return "\n".join(rows) + "\n"


def limits() -> str:
    """The limits as README's table: `make reasons` prints it too."""
    default = {limit: f"{level.text}, `{scope}`" for (scope, limit), level in DEFAULTS.items()}
    rows = ["| limit | what it is | by default |", "| --- | --- | --- |"]
    rows += [f"| `{each}` | {each.meaning} | {default.get(each, '')} |" for each in Limit]
    return "\n".join(rows) + "\n"


@cache
def openrpc(version: str) -> dict[str, Any]:
    """The OpenRPC document: what rpc.discover gives."""
    return {
        "openrpc": "1.3.2",
        "info": {"title": "txgateway", "version": version, "description": _INFO},
        "methods": [_method(each) for each in COMMANDS.values()],
        "components": {"schemas": schemas()},
    }


def _method(command: Command) -> Schema:
    return {
        "name": command.name,
        "summary": _summary(command),
        "description": command.help,
        "paramStructure": "either",
        "params": [
            {"name": each.name, "required": each.required, "schema": argument_schema(each)}
            for each in command.parameters
        ],
        "result": {"name": "result", "schema": result_schema(command)},
        "errors": [{"code": code, "message": text} for code, text in _RPC_ERRORS.items()],
    }


@cache
def openapi(version: str) -> dict[str, Any]:
    """The OpenAPI document of the paths."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "txgateway", "version": version, "description": _INFO},
        "security": [{"basic": []}, {"token": []}],
        "paths": {f"/{each.name}": _path(each) for each in COMMANDS.values()} | {"/health": _health()},
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer"},
            },
            "responses": _responses(),
        },
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _responses() -> Schema:
    texts = {
        "BadArgument": "An argument is missing, unknown, or cannot be read as its type.",
        "NotAllowed": "The credential does not reach this command.",
        "TooMany": "Too many requests, or too many wrong logins from the same address.",
        "Failed": "The gateway made an error; its log has the details.",
        "TimedOut": "A venue did not answer in time.",
    }
    found = {name: {"description": text, "content": _json(_ref("Error"))} for name, text in texts.items()}
    found["Unauthorized"] = {"description": "No user or the wrong password.", "content": _json(_members("status:s"))}
    found["NotUp"] = {"description": "The venue has not been up yet.", "content": _json({"const": False})}
    return found


_CODES = {
    "400": "BadArgument",
    "401": "Unauthorized",
    "403": "NotAllowed",
    "429": "TooMany",
    "500": "Failed",
    "503": "NotUp",
    "504": "TimedOut",
}


def _path(command: Command) -> Schema:
    """GET with the arguments as a query, POST with them as a JSON object."""
    properties = {each.name: argument_schema(each) for each in command.parameters}
    required = [each.name for each in command.parameters if each.required]
    responses = {code: {"$ref": f"#/components/responses/{name}"} for code, name in _CODES.items()}
    result = {"description": "The result.", "content": _json(result_schema(command))}
    both = {"summary": _summary(command), "description": command.help, "responses": {"200": result, **responses}}
    query = [
        {"name": each.name, "in": "query", "required": each.required, "schema": argument_schema(each)}
        for each in command.parameters
    ]
    body = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {
        "get": {**both, "operationId": f"get_{command.name}", "parameters": query},
        "post": {
            **both,
            "operationId": command.name,
            "requestBody": {"required": bool(required), "content": _json(body)},
        },
    }


def _health() -> Schema:
    content = _json(_members("status:s gateway:s halted:b halts:i"))
    responses = {
        "200": {"description": "Orders can be taken.", "content": content},
        "503": {"description": "Stopping, or the journal cannot be written.", "content": content},
    }
    text = "Say whether the daemon works"
    return {"get": {"summary": text, "operationId": "health", "security": [], "responses": responses}}
