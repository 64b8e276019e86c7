"""The documents for programs: they hold every command, and the objects they promise are those that are given."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.wire.nouns import EXECUTION, FLAGS, ORDERS, TICKER
from tests.wire.test_render import RESULTS
from txgateway import documents, render, wire
from txgateway.commands import COMMANDS
from txgateway.wire import Flags

OPENRPC, OPENAPI = documents.openrpc("1.0"), documents.openapi("1.0")
SCHEMAS = documents.schemas()


def references(value: Any) -> set[str]:
    return set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(value)))


@pytest.mark.parametrize("document", [OPENRPC, OPENAPI], ids=["openrpc", "openapi"])
def test_every_reference_leads_somewhere(document: Any) -> None:
    for reference in references(document):
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def test_every_command_is_a_method() -> None:
    assert [method["name"] for method in OPENRPC["methods"]] == list(COMMANDS)
    market_order = next(method for method in OPENRPC["methods"] if method["name"] == "market_order")
    assert [(each["name"], each["required"]) for each in market_order["params"]] == [
        ("account", True),
        ("route", True),
        ("symbol", True),
        ("quantity", True),
        ("client_order_id", False),
        ("time_in_force", False),
    ]
    assert market_order["result"]["schema"] == {"$ref": "#/components/schemas/OrderResult"}
    assert market_order["description"].startswith("market_order(account, route, symbol, quantity, ")


def test_every_command_is_a_path_with_get_and_post() -> None:
    assert set(OPENAPI["paths"]) == {f"/{name}" for name in COMMANDS} | {"/health"}
    names = [each["operationId"] for path in OPENAPI["paths"].values() for each in path.values()]
    assert len(names) == len(set(names))
    body = OPENAPI["paths"]["/query_bars"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["symbol", "period", "start", "end"]
    assert set(OPENAPI["paths"]["/status"]["get"]["responses"]) == {
        "200",
        "400",
        "401",
        "403",
        "429",
        "500",
        "503",
        "504",
    }


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_result_has_a_schema(command: Any) -> None:
    open_ended = {"version", "help", "query_symbol_data", "query_account", "set_order_route", "get_order_route"}
    schema = documents.result_schema(command)
    assert schema
    assert "{}" not in json.dumps(schema) or command.name in open_ended | {"set_primary_exchange"}
    assert all(isinstance(word, str) for row in documents.signature(command) for word in row)


OBJECTS = {
    "Order": [wire.order(order) for order in ORDERS.values()],
    "Execution": [wire.execution(EXECUTION, FLAGS)],
    "Symbol": [wire.symbol(TICKER, FLAGS), wire.symbol(TICKER, Flags(FLAGS.zone, True, True, True))],
    "Venue": [render.render(RESULTS["venues"], FLAGS)["paper"]],
    "Instrument": [render.render(RESULTS["instrument"], FLAGS)],
    "JournalRecord": render.render(RESULTS["records"], FLAGS),
    "Story": [render.render(RESULTS["story"], FLAGS)],
}


@pytest.mark.parametrize("name", OBJECTS)
def test_the_objects_are_as_the_schema_says(name: str) -> None:
    schema = SCHEMAS[name]
    for value in OBJECTS[name]:
        assert set(schema["required"]) <= set(value) <= set(schema["properties"])
        for member, each in value.items():
            assert fits(each, schema["properties"][member]), (name, member, each)


KINDS = {"string": str, "number": (int, float), "integer": int, "boolean": bool, "object": dict, "array": list}


def fits(value: Any, schema: Any) -> bool:
    """Whether a value is of a schema's type: as much of JSON Schema as our documents use."""
    if "$ref" in schema:
        return fits(value, SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "enum" in schema:
        return value in schema["enum"]
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if value is None or isinstance(value, bool):
        return ("null" if value is None else "boolean") in types
    return any(isinstance(value, KINDS[each]) for each in types if each != "null")
