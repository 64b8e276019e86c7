"""A command's result as text for people. Pure; what is not known here is shown by its shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tabulate import tabulate

ORDER_COLUMNS = {
    "id": ("permid",),
    "time": ("created",),
    "account": ("account",),
    "symbol": ("symbol",),
    "side": ("side",),
    "quantity": ("quantity",),
    "filled": ("filled",),
    "type": ("order_type", "type"),
    "limit": ("limit_price",),
    "stop": ("stop_price",),
    "tif": ("time_in_force",),
    "average": ("avgfillprice",),
    "status": ("order_status", "status"),
    "key": ("client_order_id",),
}
TICKET_COLUMNS = {
    name: ORDER_COLUMNS[name] for name in ("id", "time", "account", "symbol", "side", "quantity", "type")
} | {
    "limit": ("limit_price",),
    "stop": ("stop_price",),
    "tif": ("time_in_force",),
    "by": ("owner",),
    "tag": ("tag",),
}
EXECUTION_COLUMNS = {
    "id": ("ORDER_ID",),
    "order": ("ORIGINAL_ORDER_ID",),
    "account": ("ACCOUNT",),
    "symbol": ("DISP_NAME",),
    "side": ("BUYORSELL",),
    "volume": ("VOLUME",),
    "price": ("PRICE",),
    "exchange": ("EXCHANGE",),
    "date": ("MARKET_TRD_DATE",),
    "time": ("TRD_TIME",),
}
SYMBOL_COLUMNS = {
    name: (name,) for name in ("symbol", "fullname", "last", "bid", "bidsize", "ask", "asksize", "volume", "close")
}
VENUE_COLUMNS = {
    "venue": ("name",),
    **{name: (name,) for name in ("kind", "status", "domain", "default", "accounts", "connected_since")},
    "p50 ms": ("p50_ms",),
    "p99 ms": ("p99_ms",),
    "errors": ("errors",),
    "last_error_time": ("last_error_time",),
    "last_error": ("last_error",),
}
"""p50 and p99 are those of orders' answers."""
DIFFERENCE_COLUMNS = {
    name: (name,)
    for name in ("severity", "what", "key", "account", "venue", "ours", "theirs", "age", "found", "resolved", "text")
}
BAR_COLUMNS = ("date", "time", "open", "high", "low", "close", "volume")
HALT_COLUMNS = {name: (name,) for name in ("scope", "level", "text", "by", "time")}
LIMIT_COLUMNS = {name: (name,) for name in ("scope", "limit", "value", "warn", "source")}
USE_COLUMNS = {
    "scope": ("scope",),
    "exposure": ("exposure",),
    "profit and loss": ("profit_and_loss",),
    "orders/s": ("orders_last_second",),
    "executions": ("executions_in_window",),
}
HOLDING_COLUMNS = {name: (name,) for name in ("scope", "holding", "quantity", "buys", "sells")}
JOURNAL_COLUMNS = {name: (name,) for name in ("seq", "time", "kind", "order_id", "event")}
STORY_COLUMNS = {name: (name,) for name in ("seq", "time", "order_id", "kind", "text")}

FAULT_COLUMNS = {
    name: (name,) for name in ("venue", "fault", "chance", "count", "seconds", "symbol", "account", "happened")
}

NOTHING = "(none)"
LONGEST = 100
"""A record's event is cut here: `--json` has it whole."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)\d*Z")

HIDDEN = ("raw", "updates")
"""The parts of an order that are for programs: a table shows what they add up to."""


def render(value: Any, command: str = "") -> str:
    """The result of a command (its name says which columns people want) as text."""
    if isinstance(value, Mapping) and "errorMsg" in value and command != "query_order":
        return _refusal(value)
    shape = _SHAPES.get(command)
    return shape(value) if shape is not None and value else _by_shape(value)


def _refusal(value: Mapping[str, Any]) -> str:
    """A no: its sentence, its code, and the order that stands for it, where there is one."""
    about = [cell(value[name]) for name in ("reason", "permid") if value.get(name)]
    return cell(value["errorMsg"]) + (f" ({', order '.join(about)})" if about else "")


def _records(columns: Mapping[str, Sequence[str]], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table of objects: each column is the first of its keys that an object has."""
    cells = [
        [next((row[key] for key in keys if row.get(key) not in (None, "")), None) for keys in columns.values()]
        for row in rows
    ]
    return _table(list(columns), cells)


def _by_id(columns: Mapping[str, Sequence[str]]) -> Callable[[Mapping[str, Mapping[str, Any]]], str]:
    """A table of the objects of a mapping, whose keys are in the objects too."""
    return lambda value: _records(columns, value.values())


def _orders(value: Mapping[str, Mapping[str, Any]]) -> str:
    """One row for each order; its key where its sender gave it one."""
    return _records(ORDER_COLUMNS, (_without_own_key(each) for each in value.values()))


def _without_own_key(order: Mapping[str, Any]) -> Mapping[str, Any]:
    made_here = order.get("client_order_id") == order.get("permid")
    return {**order, "client_order_id": None} if made_here else order


def _tickets(value: Mapping[str, Mapping[str, Any]]) -> str:
    """One row for each ticket, with the tag that its sender gave it."""
    return _records(TICKET_COLUMNS, ({**each, "tag": each["raw"]["ORDER_TAG"]} for each in value.values()))


def _venues(value: Mapping[str, Mapping[str, Any]]) -> str:
    """A table of venues, named by their keys."""
    rows = ({"name": name, **venue, **(venue.get("order_latency") or {})} for name, venue in value.items())
    return _records(VENUE_COLUMNS, rows)


def _differences(value: Iterable[Mapping[str, Any]]) -> str:
    """One row for each difference."""
    return _records(DIFFERENCE_COLUMNS, value)


def _risk(value: Mapping[str, Any]) -> str:
    """The limits in force, what is used of them, and what is held and works."""
    use = value.get("use") or []
    holdings = [
        {"scope": each["scope"], "holding": name, **holding}
        for each in use
        for name, holding in each["holdings"].items()
    ]
    tables = [_records(LIMIT_COLUMNS, value.get("limits") or []), _records(USE_COLUMNS, use)]
    return "\n\n".join([*tables, _records(HOLDING_COLUMNS, holdings)] if holdings else tables)


def _positions(value: Mapping[str, Mapping[str, Any] | None]) -> str:
    """One row for each symbol held, with what else is told of it; and the accounts of which nothing is known yet."""
    known = {account: of for account, of in value.items() if of is not None}
    objects = [
        {"account": account, "symbol": symbol, **held}
        for account, of in known.items()
        for symbol, held in of.items()
        if isinstance(held, Mapping)
    ]
    held = [(account, symbol, quantity) for account, of in known.items() for symbol, quantity in of.items()]
    table = _table(["account", "symbol", "quantity"], held)
    if objects:
        table = _records({name: (name,) for name in objects[0]}, objects)
    lacking = [account for account, of in value.items() if of is None]
    return f"{table}\n\nNot known yet: {', '.join(lacking)} (query_venues says why)." if lacking else table


def _last_prices(value: Mapping[str, Mapping[str, Any]]) -> str:
    """One row for each symbol, with why it has no price where it has none."""
    columns = {name: (name,) for name in ("symbol", "price", "time", "reason", "text")}
    return _records(columns, ({"symbol": name, **report} for name, report in value.items()))


def _depth(value: Mapping[str, Any]) -> str:
    """The book as a ladder: both sides beside each other, the best first."""
    bids, asks = value.get("bids") or [], value.get("asks") or []
    rows = [
        (*(reversed(bids[at]) if at < len(bids) else ("", "")), *(asks[at] if at < len(asks) else ("", "")))
        for at in range(max(len(bids), len(asks)))
    ]
    return _table(["bid size", "bid", "ask", "ask size"], rows)


def _rate_limits(value: Mapping[str, Mapping[str, Any]]) -> str:
    """One row for each limit of each venue."""
    columns = {name: (name,) for name in ("venue", "name", "limit", "remaining", "seconds", "reset")}
    rows = [
        {"venue": venue, "name": name, **limit}
        for venue, report in value.items()
        for name, limit in report["limits"].items()
    ]
    return _records(columns, rows)


def _balances(value: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """One row for each currency of each account."""
    kinds = ("total", "available", "reserved")
    rows = [
        (account, currency, *(balance.get(kind) for kind in kinds))
        for account, balances in value.items()
        for currency, balance in balances.items()
    ]
    return _table(["account", "currency", *kinds], rows)


def _bars(value: Sequence[Sequence[Any]]) -> str:
    """One row for each bar."""
    return _table(BAR_COLUMNS, value)


def _journal(value: Iterable[Mapping[str, Any]]) -> str:
    """One row for each record."""
    return _records(JOURNAL_COLUMNS, ({**record, "event": _short(cell(record.get("event")))} for record in value))


def _story(value: Mapping[str, Any]) -> str:
    """What happened to an order, and what it is now."""
    return f"{_by_shape(value.get('order'))}\n\n{_records(STORY_COLUMNS, value.get('story') or [])}"


SOURCE_COLUMNS = {
    "source": ("name",),
    **{name: (name,) for name in ("kind", "account", "venue", "settings", "limits", "received", "refused", "repeated")},
    "wrong secrets": ("wrong_secrets",),
    "last seen": ("last_seen",),
    "url": ("url",),
}


def _source(value: Mapping[str, Any]) -> str:
    """A source; where its secret was just made, the URL and the message to paste, as they are."""
    if not value.get("message"):
        return _by_shape(value)
    head = f"{value['name']} takes signals of {value['kind']} for account {value['account']} at {value['venue']}."
    again = f"The secret is shown this once: `txgateway source change {value['name']} --new-secret` makes another."
    lines = [head, value["place"], "", "URL:", value["url"], "", "Message:", *value["message"].split("\n"), "", again]
    lines += ["", f"Warning: {value['warning']}"] if value.get("warning") else []
    return "\n".join(map(_plain, lines))


def _sources(value: Iterable[Mapping[str, Any]]) -> str:
    """One row for each source."""
    return _records(SOURCE_COLUMNS, value)


INTEGRATION_COLUMNS = {
    name: (name,)
    for name in ("source", "name", "step", "changed", "user_email", "url", "strategies", "warning", "text")
}


def _integrations(value: Iterable[Mapping[str, Any]]) -> str:
    """One row for each integration, with the names of the strategies that signal."""
    return _records(INTEGRATION_COLUMNS, [{**each, "strategies": _enabled(each)} for each in value])


def _enabled(integration: Mapping[str, Any]) -> str:
    strategies = integration.get("strategies") or []
    return ", ".join(str(each["name"] or each["strategy"]) for each in strategies if each["enabled"])


SIGNAL_COLUMNS = {name: (name,) for name in ("time", "id", "source", "outcome", "instructions", "reason", "text")}
STRATEGY_COLUMNS = {
    name: (name,) for name in ("source", "strategy", "name", "account", "symbol", "quantity", "intended", "opened")
}


def _signals(value: Iterable[Mapping[str, Any]]) -> str:
    """One row for each signal."""
    return _records(SIGNAL_COLUMNS, [{**each, "instructions": "; ".join(each["instructions"])} for each in value])


def _faults(value: Mapping[str, Any]) -> str:
    """What is set at each venue, and what there is."""
    rows = [{"venue": venue, **fault} for venue, faults in value["venues"].items() for fault in faults]
    return f"{_records(FAULT_COLUMNS, rows)}\n\n{_table(['known', 'what happens'], value['known'].items())}"


FLATTEN_COLUMNS = {name: (name,) for name in ("account", "symbol", "quantity", "flat", "text")}


def _flatten(value: Mapping[str, Any]) -> str:
    """Whether it is flat, and one row for each position."""
    said = "flat" if value.get("flat") else "NOT FLAT" if value.get("ended") else "NOT FLAT YET"
    head = f"{_plain(str(value.get('scope')))} is {said}"
    positions = value.get("positions") or []
    return f"{head}\n\n{_records(FLATTEN_COLUMNS, positions)}" if positions else head


def _flattens(value: Iterable[Mapping[str, Any]]) -> str:
    """One under the other."""
    return "\n\n".join(map(_flatten, value))


def _help(value: Mapping[str, Any]) -> str:
    """The gateway's help texts, one under the other."""
    return "\n\n".join(str(text).strip() for _, text in sorted(value.items()))


_SHAPES: dict[str, Callable[[Any], str]] = {
    "query_orders": _orders,
    "query_open_orders": _orders,
    "query_tickets": _orders,
    "tickets": _tickets,
    "query_executions": _by_id(EXECUTION_COLUMNS),
    "query_order_executions": _by_id(EXECUTION_COLUMNS),
    "query_all_symbols": _by_id(SYMBOL_COLUMNS),
    "query_venues": _venues,
    "query_differences": _differences,
    "query_positions": _positions,
    "query_last_prices": _last_prices,
    "query_depth": _depth,
    "query_rate_limits": _rate_limits,
    "query_balances": _balances,
    "query_bars": _bars,
    "query_symbol_bars": _bars,
    "query_journal": _journal,
    "query_risk": _risk,
    "set_risk": _risk,
    "flatten": _flatten,
    "query_flattens": _flattens,
    "query_halts": lambda value: _records(HALT_COLUMNS, value),
    "explain_order": _story,
    "explain_signal": lambda value: _records(STORY_COLUMNS, value.get("story") or []),
    "query_signals": _signals,
    "add_source": _source,
    "change_source": _source,
    "query_sources": _sources,
    "query_integrations": _integrations,
    "query_strategies": lambda value: _records(STRATEGY_COLUMNS, value),
    "query_faults": _faults,
    "set_fault": lambda value: _records(FAULT_COLUMNS, value),
    "clear_faults": lambda value: _faults({"venues": value, "known": {}}).partition("\n\n")[0],
    "help": _help,
}


def _by_shape(value: Any) -> str:
    """Any JSON: an object as name and value, a list as lines, everything else as its text."""
    if isinstance(value, Mapping) and value:
        rows = [(name, item) for name, item in value.items() if name not in HIDDEN]
        return tabulate(
            [(_plain(str(name)), cell(item)) for name, item in rows], tablefmt="plain", disable_numparse=True
        )
    if isinstance(value, list):
        return "\n".join(cell(item) for item in value) or NOTHING
    return cell(value) if value not in (None, {}) else NOTHING


def _table(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with numbers to the right, without columns that nothing is in."""
    columns = list(zip(*rows, strict=False))
    kept = [(header, column) for header, column in zip(headers, columns, strict=False) if any(map(_filled, column))]
    if not kept:
        return NOTHING
    return tabulate(
        zip(*([cell(item) for item in column] for _, column in kept), strict=True),
        headers=[header.upper() for header, _ in kept],
        tablefmt="plain",
        disable_numparse=True,
        colalign=["right" if all(map(_numeric, column)) else "left" for _, column in kept],
    )


def _filled(item: Any) -> bool:
    """Whether there is something to show."""
    return item is not None and item != ""


def _numeric(item: Any) -> bool:
    """Whether a cell may stand in a column of numbers."""
    return not _filled(item) or (isinstance(item, int | float) and not isinstance(item, bool))


def cell(item: Any) -> str:
    """One value as text on one line."""
    if item is None:
        return ""
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, float):
        return format(Decimal(repr(item)), "f").removesuffix(".0")
    if isinstance(item, Mapping):
        return ", ".join(f"{_plain(str(name))}={cell(inner)}" for name, inner in item.items())
    if isinstance(item, list):
        return ", ".join(cell(inner) for inner in item)
    return _plain(_TIME.sub(r"\1 \2Z", str(item)))


def _short(text: str) -> str:
    """Text that a table has room for."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(text: str) -> str:
    """Text that can do nothing to a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
