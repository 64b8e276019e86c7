"""HTTP around the methods: who may ask, what cannot be read, before the venue is up, gzip, JSON-RPC, documents."""

from __future__ import annotations

import gzip
import http.client
import json
from base64 import b64encode
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon, spoil_book
from txgateway.api import COMMANDS

ALWAYS = ("status", "uptime", "version", "help", "query_venues")
"""What is answered before the venue has been up."""
SAFETY = (
    *("shutdown", "gateway_logon", "gateway_logoff", "halt", "resume", "query_halts", "flatten", "query_flattens"),
    *("query_differences", "query_faults", "set_fault", "clear_faults"),
    *("create_token", "query_tokens", "revoke_token", "query_access"),
    *("query_sources", "change_source", "remove_source", "query_integrations", "connect_proquant"),
)
"""What is, too: trading must be halted, and a credential taken back, whatever the venue does."""
NOT_YET = COMMANDS.keys() - {*ALWAYS, *SAFETY}
"""All the rest is not."""


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return make_daemon().start().up()


@pytest.fixture(scope="module")
def early(make_daemon: MakeDaemon) -> Daemon:
    """A daemon whose venue has not been up."""
    daemon = make_daemon()
    spoil_book(daemon)
    return daemon.start()


def post(daemon: Daemon, path: str, body: bytes, **headers: str) -> requests.Response:
    return daemon.session.post(f"{daemon.url}/{path}", data=body, headers=headers, timeout=PATIENCE)


def rpc(daemon: Daemon, message: Any, path: str = "rpc") -> requests.Response:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return post(daemon, path, body)


# ---------------------------------------------------------------- who


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic " + b64encode(b"txtrader_user:wrong").decode()},
        {"Authorization": "Basic " + b64encode(f"someone:{PASSWORD}".encode()).decode()},
        {"Authorization": "Basic " + b64encode(f"txtrader_user:{PASSWORD}x".encode()).decode()},
        {"Authorization": "Basic " + b64encode(b"txtrader_user").decode()},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer " + b64encode(f"txtrader_user:{PASSWORD}".encode()).decode()},
        {"Authorization": ""},
    ],
    ids=["none", "wrong", "other user", "longer", "no colon", "no base64", "no basic", "empty"],
)
@pytest.mark.parametrize("path", ["status", "query_orders", "market_order", "rpc", "", "openapi.json", "nosuch"])
def test_without_the_password_nothing_is_answered(daemon: Daemon, path: str, headers: dict[str, str]) -> None:
    for method in ("GET", "POST"):
        if (method, path) in {("GET", "rpc"), ("POST", "openapi.json")}:
            continue
        answer = requests.request(method, f"{daemon.url}/{path}", headers=headers, timeout=PATIENCE)
        assert (answer.status_code, answer.content) == (401, b'{"status":"Unauthorized"}')
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert answer.headers["Content-Type"] == "application/json"


def test_health_needs_no_password(daemon: Daemon, early: Daemon) -> None:
    answer = requests.get(f"{daemon.url}/health", timeout=PATIENCE)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "gateway": "Up", "halted": False, "halts": 0})
    assert requests.get(f"{early.url}/health", timeout=PATIENCE).json()["gateway"] == "Startup"


# ---------------------------------------------------------------- what cannot be read


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("query_order", b"", "'id'"),
        ("query_order", b"{}", "'id'"),
        ("query_order", b'{"id": null}', "'id'"),
        ("query_order", b'{"id": {}}', "'id'"),
        ("query_order", b'{"id": "x", "other": 1}', "'other'"),
        ("query_order", b'["x"]', "object"),
        ("query_order", b'"x"', "object"),
        ("query_order", b"{", "not JSON"),
        ("query_order", b'{"id": "x"} {}', "not JSON"),
        ("query_order", b'{"id": "x", "id": "y"}', "twice"),
        ("query_order", b'{"id": "\xff"}', "UTF-8"),
        ("query_order", b'{"id": "\\ud800"}', ""),
        ("query_order", b"[" * 100_000, ""),
        ("help", b'{"NaN": NaN}', "NaN"),
        ("query_orders", b'{"limit": 1.5}', "limit"),
        ("query_orders", b'{"limit": 0}', "limit"),
        ("query_orders", b'{"limit": true}', "limit"),
        ("query_orders", b'{"since": "soon"}', "soon"),
        ("query_orders", b'{"status": "Lost"}', "LOST"),
        ("query_symbols", b'{"data": "perhaps"}', "perhaps"),
        ("query_journal", b'{"limit": 1001}', "1001"),
        ("query_journal", b'{"kind": "Nothing"}', "Nothing"),
        ("query_bars", b'{"symbol": "IBM", "period": "X", "start": ".", "end": "."}', "period"),
        ("query_bars", b'{"symbol": "IBM", "period": 0, "start": ".", "end": "."}', "period"),
        ("query_bars", b'{"symbol": "IBM", "period": 1, "start": "yesterday", "end": "."}', "yesterday"),
        ("query_bars", b'{"symbol": "IBM", "period": 1, "start": ".", "end": "2026-02-30"}', "2026-02-30"),
        ("set_order_route", b'{"route": {"A": null, "B": null}}', "route"),
        ("set_order_route", rb'{"route": "[\"A\", \"B\"]"}', "route"),
        ("submit_order", b'{"account": "A", "symbol": "IBM", "side": "UP", "quantity": 1}', "UP"),
    ],
)
def test_arguments_that_cannot_be_read(daemon: Daemon, path: str, body: bytes, says: str) -> None:
    answer = post(daemon, path, body)
    told = answer.json()
    assert (answer.status_code, told["status"], told["reason"]) == (400, "Error", "BAD_ARGUMENT"), answer.text
    assert says in told["errorMsg"]
    assert set(told) == {"status", "errorMsg", "reason"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", '"NaN"', '"inf"', '"1e400"'])
def test_what_is_no_number_is_refused_and_nothing_is_ordered(daemon: Daemon, number: str) -> None:
    body = f'{{"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM", "quantity": {number}}}'.encode()
    before = daemon.call("query_orders")
    assert post(daemon, "market_order", body).status_code == 400
    message = b'{"jsonrpc": "2.0", "method": "market_order", "id": 1, "params": ' + body + b"}"
    code = rpc(daemon, message).json()["error"]["code"]
    assert code == (-32602 if number.startswith('"') else -32700)
    text = number.strip('"')
    terms = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
    assert daemon.get("market_order", **terms, quantity=text).status_code == 400
    assert daemon.call("query_orders") == before


def test_paths_and_methods_that_are_none(daemon: Daemon) -> None:
    answer = daemon.get("nosuch")
    assert (answer.status_code, answer.json()["reason"]) == (404, "NO_SUCH_PATH")
    for method in ("PUT", "DELETE", "PATCH"):
        answer = daemon.session.request(method, f"{daemon.url}/status", timeout=PATIENCE)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST, OPTIONS")
    assert daemon.session.options(f"{daemon.url}/status", timeout=PATIENCE).status_code == 204
    answer = post(daemon, "status", b" " * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["reason"]) == (413, "TOO_LARGE")


# ---------------------------------------------------------------- before the venue is up


def test_before_the_venue_is_up(early: Daemon) -> None:
    assert early.get("status").json() == "Startup"
    for method in ALWAYS:
        assert early.get(method).status_code == 200
    for method in sorted(NOT_YET):
        for answer in (early.get(method), post(early, method, b'{"symbol": "IBM"}')):
            assert (answer.status_code, answer.content) == (503, b"false"), method
    error = early.rpc("query_orders")["error"]
    assert (error["code"], error["data"]["reason"]) == (-32000, "NOT_UP")
    assert early.call("query_venues")["paper"]["status"] == "DOWN"


def test_a_venue_that_could_not_start_says_why(early: Daemon) -> None:
    venue = early.call("query_venues")["paper"]
    assert (venue["status"], venue["errors"]) == ("DOWN", 1)
    assert "book-paper.sqlite3" in venue["last_error"]
    assert venue["last_error"] in early.log.read_text()


def test_a_venue_that_could_not_start_can_be_logged_on_once_it_can(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    book = spoil_book(daemon)
    daemon.start()
    assert daemon.get("query_accounts").status_code == 503
    book.unlink()
    daemon.call("gateway_logon")
    daemon.up()
    assert daemon.call("query_accounts") == ["API_ACCOUNT", "PAPER_CASH"]


def test_logoff_and_logon(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    terms = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM", "quantity": 1}
    waiting = daemon.call("limit_order", **terms, limit_price=1)
    daemon.call("gateway_logoff")
    until(lambda: daemon.call("status") == "Disconnected", daemon)
    refused = daemon.call("market_order", **terms)
    assert (refused["status"], refused["reason"]) == ("Error", "VENUE_DOWN")
    assert daemon.call("query_order", id=waiting["permid"])["status"] == "Accepted"
    bars = daemon.call("query_bars", symbol="IBM", period=1, start="-1", end=".")
    assert bars is None, "wire.md: null on failure"
    daemon.call("gateway_logon")
    daemon.up()
    assert daemon.call("market_order", **terms)["status"] == "Filled"
    assert daemon.call("cancel_order", id=waiting["permid"])["status"] == "Cancelled"


# ---------------------------------------------------------------- connections and sizes


def test_a_connection_is_kept_and_pipelined(daemon: Daemon) -> None:
    login = b64encode(f"txtrader_user:{PASSWORD}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=PATIENCE)
    connection.connect()
    socket = connection.sock
    for _ in range(3):
        connection.request("GET", "/status", headers={"Authorization": f"Basic {login}"})
        assert connection.getresponse().read() == b'"Up"'
        assert connection.sock is socket
    connection.request("GET", "/status", headers={"Authorization": f"Basic {login}", "Connection": "close"})
    assert connection.getresponse().read() == b'"Up"'
    assert connection.sock is None, "the published client says Connection: close"


def test_large_answers_are_compressed_for_those_who_take_it(daemon: Daemon) -> None:
    for _ in range(10):
        daemon.call("market_order", account="NOBODY", route="DEMO", symbol="IBM", quantity=1)
    url = f"{daemon.url}/query_orders"
    plain = daemon.session.get(url, headers={"Accept-Encoding": "identity"}, timeout=PATIENCE)
    assert "Content-Encoding" not in plain.headers
    with daemon.session.get(url, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=PATIENCE) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"] == "Accept-Encoding"
        raw = packed.raw.read(decode_content=False)
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 4
    small = daemon.session.get(f"{daemon.url}/status", headers={"Accept-Encoding": "gzip"}, timeout=PATIENCE)
    assert "Content-Encoding" not in small.headers


# ---------------------------------------------------------------- JSON-RPC


@pytest.mark.parametrize(
    ("message", "code", "id_"),
    [
        (b"", -32700, None),
        (b"{", -32700, None),
        (b'{"jsonrpc": "2.0", "method": "status", "id": NaN}', -32700, None),
        (1, -32600, None),
        ([], -32600, None),
        ({"method": "status", "id": 1}, -32600, 1),
        ({"jsonrpc": "1.0", "method": "status", "id": 1}, -32600, 1),
        ({"jsonrpc": "2.0", "id": 1}, -32600, 1),
        ({"jsonrpc": "2.0", "method": 7, "id": "a"}, -32600, "a"),
        ({"jsonrpc": "2.0", "method": "status", "params": "x", "id": 1}, -32600, 1),
        ({"jsonrpc": "2.0", "method": "status", "id": {}}, -32600, None),
        ({"jsonrpc": "2.0", "method": "nosuch", "id": 1}, -32601, 1),
        ({"jsonrpc": "2.0", "method": "_status", "id": 1}, -32601, 1),
        ({"jsonrpc": "2.0", "method": "query_order", "id": 1}, -32602, 1),
        ({"jsonrpc": "2.0", "method": "query_order", "params": ["a", "b"], "id": 1}, -32602, 1),
        ({"jsonrpc": "2.0", "method": "query_order", "params": {"name": "a"}, "id": 1}, -32602, 1),
    ],
)
def test_rpc_errors_are_the_specifications(daemon: Daemon, message: Any, code: int, id_: Any) -> None:
    for path in ("", "rpc"):
        answer = rpc(daemon, message, path)
        told = answer.json()
        assert answer.status_code == 200
        assert set(told) == {"jsonrpc", "error", "id"}
        assert (told["jsonrpc"], told["error"]["code"], told["id"]) == ("2.0", code, id_)
        assert told["error"]["message"]
        assert told["error"]["data"]["reason"]


def test_rpc_results(daemon: Daemon) -> None:
    assert daemon.rpc("status", id="a") == {"jsonrpc": "2.0", "result": "Up", "id": "a"}
    assert daemon.rpc("status", id=None) == {"jsonrpc": "2.0", "result": "Up", "id": None}
    assert daemon.rpc("query_order", ["NOSUCH"]) == {"jsonrpc": "2.0", "result": None, "id": 1}
    refused = daemon.rpc("market_order", ["API_ACCOUNT", "DEMO", "IBM", 0])["result"]
    assert (refused["status"], refused["reason"]) == ("Error", "BAD_QUANTITY")


def test_notifications_are_done_and_not_answered(daemon: Daemon) -> None:
    message = {"jsonrpc": "2.0", "method": "set_order_route", "params": ["QUIET"]}
    answer = rpc(daemon, message)
    assert (answer.status_code, answer.content) == (204, b"")
    until(lambda: daemon.call("get_order_route") == {"QUIET": None}, daemon)
    answer = rpc(daemon, [message, {**message, "params": []}, {**message, "method": "nosuch"}])
    assert (answer.status_code, answer.content) == (204, b"")


def test_batches_are_answered_in_their_order(daemon: Daemon) -> None:
    one = {"jsonrpc": "2.0", "method": "status"}
    batch = [{**one, "id": 1}, one, 7, {**one, "method": "nosuch", "id": 2}, {**one, "method": "query_orders", "id": 3}]
    answers = rpc(daemon, batch).json()
    assert [each["id"] for each in answers] == [1, None, 2, 3]
    assert [each.get("error", {}).get("code") for each in answers] == [None, -32600, -32601, None]
    assert isinstance(answers[3]["result"], dict)
    orders = [
        {**one, "method": "market_order", "params": ["API_ACCOUNT", "DEMO", "IBM", 1], "id": number}
        for number in range(50)
    ]
    filled = rpc(daemon, orders).json()
    assert [each["id"] for each in filled] == list(range(50))
    assert {each["result"]["status"] for each in filled} == {"Filled"}
    assert len({each["result"]["permid"] for each in filled}) == 50
    assert rpc(daemon, [{**one, "id": 1}] * 1001).json()["error"]["code"] == -32600


def test_rpc_tells_its_methods(daemon: Daemon) -> None:
    names = daemon.rpc("system.listMethods")["result"]
    assert {*daemon.call("help"), "rpc.discover", "system.listMethods"} <= {*names, "system.listMethods"}
    assert daemon.rpc("system.methodHelp", ["market_order"])["result"] == daemon.call("help")["market_order"]
    assert daemon.rpc("system.methodSignature", ["uptime"])["result"] == [["string"]]
    assert daemon.rpc("system.methodSignature", ["status"])["result"] == [["string", "string"]]
    assert daemon.rpc("system.methodHelp", ["nosuch"])["error"]["code"] == -32602


# ---------------------------------------------------------------- documents


def test_the_openapi_document_is_valid(daemon: Daemon) -> None:
    document = daemon.get("openapi.json").json()
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    methods = set(daemon.call("help"))
    assert {path.removeprefix("/") for path in document["paths"]} >= methods
    for method in methods:
        assert set(document["paths"][f"/{method}"]) == {"get", "post"}


def test_the_openrpc_document_is_complete(daemon: Daemon) -> None:
    document = daemon.get("openrpc.json").json()
    assert document == daemon.rpc("rpc.discover")["result"]
    assert document["openrpc"].startswith("1.")
    assert set(document["info"]) >= {"title", "version"}
    assert {each["name"] for each in document["methods"]} == set(daemon.call("help"))
    for method in document["methods"]:
        required = [each["required"] for each in method["params"]]
        assert required == sorted(required, reverse=True), "what is required comes first, or positions would not do"
        for schema in (method["result"]["schema"], *(each["schema"] for each in method["params"])):
            Draft202012Validator.check_schema(schema)
            assert_known(schema, document)


def assert_known(schema: Any, document: Any) -> None:
    """Every reference in a schema leads somewhere."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if reference is not None:
            assert reference.rpartition("/")[2] in document["components"]["schemas"]
        for each in schema.values():
            assert_known(each, document)
    elif isinstance(schema, list):
        for each in schema:
            assert_known(each, document)
