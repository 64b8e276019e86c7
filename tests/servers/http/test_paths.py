"""Every command by path: its shape, its errors, who may ask."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted

from tests.servers.http.house import ACCOUNT, PASSWORD, USER, House, raw, until
from txgateway.commands import COMMANDS
from txgateway.model.errors import JournalError, NotAllowed
from txgateway.servers.http import answers

ORDER = {"account": ACCOUNT, "route": "DEMO", "symbol": "IBM", "quantity": 100}
Build = Callable[..., Awaitable[House]]


@pytest_twisted.ensureDeferred
async def test_a_call_without_arguments(house: House) -> None:
    response = await house.call("GET", "/status")
    assert (response.status_code, response.content) == (200, b'"Up"')
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Content-Length"] == "4"


@pytest_twisted.ensureDeferred
async def test_the_published_clients_way(house: House) -> None:
    """GET where there are no arguments, else POST with a JSON body; the connection is closed each time."""
    headers = {"Content-type": "application/json", "Connection": "close"}
    response = await house.call("GET", "/query_accounts", headers=headers)
    assert response.json() == [ACCOUNT, "PAPER_CASH"]
    assert response.headers["Connection"] == "close"
    response = await house.call("POST", "/market_order", headers=headers, json=ORDER)
    assert response.json()["status"] == "Filled"


@pytest_twisted.ensureDeferred
async def test_get_converts_what_it_carries(house: House) -> None:
    order = await house.get("/limit_order", **{**ORDER, "symbol": "ibm", "quantity": "-7", "limit_price": "183.25"})
    assert (order["symbol"], order["side"], order["quantity"], order["limit_price"]) == ("IBM", "SELL", 7, 183.25)
    assert order["status"] == "Accepted"


@pytest_twisted.ensureDeferred
async def test_blank_values_are_there(house: House) -> None:
    assert (await house.get("/query_account", account=ACCOUNT, fields=""))["_cash"] == 10_000_000.0
    response = await house.call("GET", "/query_symbol?symbol=")
    assert response.status_code == 400


@pytest_twisted.ensureDeferred
async def test_shapes(house: House) -> None:
    """What each reading call gives, as wire.md has it."""
    assert set(await house.get("/version")) >= {"txtrader", "txgateway", "python", "flags"}
    assert set(await house.get("/help")) == set(COMMANDS)
    assert (await house.get("/uptime")).startswith("started 2013-10-07 09:31:00 (elapsed 0:00:")
    assert (await house.get("/time")).startswith("2013-10-07 09:31:")
    symbol = await house.get("/add_symbol", symbol="ibm")
    assert symbol["bid"] == 183.1
    assert symbol["tradetime"].startswith("2013-10-07 09:31:")
    assert await house.get("/query_symbols") == ["IBM"]
    assert (await house.get("/query_symbols", data="true"))["IBM"]["last"] == 183.1
    assert await house.get("/query_symbol", symbol="NONESUCH") is None
    assert (await house.get("/query_symbol_data", symbol="IBM"))["STARTTIME"] == "09:30:00"
    assert await house.get("/query_symbol_bars", symbol="IBM") == []
    assert await house.get("/del_symbol", symbol="IBM") is True
    assert await house.get("/del_symbol", symbol="IBM") is False
    assert await house.get("/query_positions") == {ACCOUNT: {}, "PAPER_CASH": {}}
    assert await house.get("/query_account", account="api_account", fields="_cash") == {"_cash": 10_000_000.0}
    assert await house.get("/query_account", account="NOBODY") is None
    assert await house.get("/query_account", account=ACCOUNT, fields="nonsense") is None
    assert await house.post("/set_account", account="nobody") is False
    assert await house.post("/set_order_route", route={"SMART": {"A": 1}}) == {"SMART": {"A": 1}}
    assert await house.get("/get_order_route") == {"SMART": {"A": 1}}
    for bad in ("{bad", 5, "", True, {"A": 1}):
        response = await house.call("POST", "/set_order_route", json={"route": bad})
        assert (response.status_code, response.json()["reason"]) == (400, "BAD_ARGUMENT"), response.text
    assert await house.get("/get_order_route") == {"SMART": {"A": 1}}, "what is refused changes nothing"
    assert await house.get("/query_balances", account=ACCOUNT) == {
        ACCOUNT: {"USD": {"total": 10_000_000, "available": 9_999_816.9, "reserved": 0}}
    }
    instrument = await house.get("/query_instrument", symbol="BTCUSD")
    assert (instrument["tick_size"], instrument["order_types"][0]) == (0.001, "MARKET")
    assert (await house.get("/query_venues"))["paper"]["status"] == "UP"
    rows = await house.post("/query_bars", symbol="IBM", period=1, start="2013-10-07 09:31", end="2013-10-07 09:33")
    assert rows[0] == ["2013-10-07", "09:31:00", 183.0, 183.2, 182.9, 183.1, 100]


@pytest_twisted.ensureDeferred
async def test_an_orders_whole_life(house: House) -> None:
    order = await house.post("/market_order", **ORDER)
    id_ = order["permid"]
    assert order["text"] == "Buy 100 IBM (Filled)"
    assert [each["type"] for each in order["updates"]] == [
        "UserSubmitOrder",
        "ExchangeAcceptOrder",
        "ExchangeTradeOrder",
    ]
    assert await house.get("/query_order", id=id_) == order
    assert await house.get("/query_orders") == {id_: order}
    assert await house.get("/query_tickets") == {}
    executions = await house.get("/query_executions")
    assert executions["E-1"]["ORIGINAL_ORDER_ID"] == id_
    assert await house.get("/query_order_executions", id=id_) == executions
    assert await house.get("/query_execution", id="E-1") == executions["E-1"]
    assert await house.get("/query_execution", id="E-9") is None
    assert await house.get("/query_order", id="nonsense") is None
    assert (await house.get("/query_positions"))[ACCOUNT] == {"IBM": 100}
    story = await house.get("/explain_order", id=id_)
    assert [each["kind"] for each in story["story"]] == ["OrderSubmitted", "OrderAccepted", "Executed"]
    assert [each["kind"] for each in await house.get("/query_journal", order=id_)] == [
        each["kind"] for each in story["story"]
    ]


@pytest_twisted.ensureDeferred
async def test_tickets_and_changes(house: House) -> None:
    ticket = await house.post("/stage_market_order", tag="desk 7", **ORDER)
    assert (ticket["class"], ticket["status"], ticket["order_status"]) == ("ticket", "Submitted", "STAGED")
    assert list(await house.get("/query_tickets")) == [ticket["permid"]]
    assert await house.get("/query_orders") == {}
    assert (await house.get("/approve_ticket", id=ticket["permid"]))["status"] == "Filled"
    resting = await house.post("/limit_order", **ORDER, limit_price=180)
    assert list(await house.get("/query_open_orders")) == [resting["permid"]]
    replaced = await house.post("/replace_order", id=resting["permid"], quantity=50)
    assert (replaced["quantity"], replaced["status"]) == (50, "Accepted")
    assert (await house.get("/cancel_order", id=resting["permid"]))["status"] == "Cancelled"
    assert await house.get("/global_cancel") == "global cancel requested"


@pytest_twisted.ensureDeferred
async def test_a_key_seen_before_is_replayed(house: House) -> None:
    first = await house.post("/market_order", **ORDER, client_order_id="k-1")
    again = await house.post("/market_order", **ORDER, client_order_id="k-1")
    assert again.pop("replayed") is True
    assert again == first
    assert len(house.broker.sent) == 1
    conflict = await house.post("/market_order", **{**ORDER, "quantity": 5}, client_order_id="k-1")
    assert (conflict["status"], conflict["reason"], conflict["permid"]) == ("Error", "KEY_CONFLICT", first["permid"])


@pytest_twisted.ensureDeferred
async def test_a_refusal_is_an_answer(house: House) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"account": "NOBODY"}, "UNKNOWN_ACCOUNT"),
        ({"symbol": "NONESUCH"}, "UNKNOWN_SYMBOL"),
        ({"quantity": 0}, "BAD_QUANTITY"),
        ({"quantity": 1.5}, "BAD_LOT"),
    ]
    for changes, reason in cases:
        answer = await house.post("/market_order", **{**ORDER, **changes})
        assert (answer["status"], answer["reason"]) == ("Error", reason)
        assert answer["errorMsg"].endswith(".")
        assert answer["permid"]
    house.broker.rejects = "Not enough cash."
    rejected = await house.post("/market_order", **ORDER)
    assert (rejected["status"], rejected["reason"], rejected["errorMsg"]) == ("Error", "REJECTED", "Not enough cash.")
    unknown = await house.get("/cancel_order", id="nonsense")
    assert unknown == {"status": "Error", "errorMsg": "Order not found", "reason": "NO_SUCH_ORDER", "id": "nonsense"}


@pytest_twisted.ensureDeferred
async def test_what_the_venue_cannot_or_does_not_answer(house: House) -> None:
    bars = {"symbol": "BTCUSD", "period": "1", "start": ".", "end": "."}
    answer = await house.post("/query_bars", **bars)
    assert (answer["status"], answer["reason"]) == ("Error", "UNSUPPORTED")
    response = await house.call("GET", "/query_account?account=PAPER_CASH")
    assert response.status_code == 504
    assert response.json()["errorMsg"].startswith("Venue paper did not answer balances")


# who


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff:\xfe").decode(),
        "Basic " + base64.b64encode(f"{USER}:wrong".encode()).decode(),
        "Basic " + base64.b64encode(f"{USER}".encode()).decode(),
        "Basic " + base64.b64encode(f"nobody:{PASSWORD}".encode()).decode(),
        "Bearer " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
    ],
)
@pytest_twisted.ensureDeferred
async def test_nobody_else_gets_in(house: House, header: str | None) -> None:
    await house.get("/status")
    headers = {} if header is None else {"Authorization": header}
    for method, path in (
        ("GET", "/status"),
        ("POST", "/market_order"),
        ("POST", "/rpc"),
        ("GET", "/nonsense"),
        ("GET", "/"),
    ):
        response = await house.call(method, path, auth=lambda request: request, headers=headers, json=ORDER)
        assert response.status_code == 401
        assert response.json() == {"status": "Unauthorized"}
        assert response.headers["WWW-Authenticate"].startswith('Basic realm="txgateway"')
    assert house.broker.sent == []


@pytest_twisted.ensureDeferred
async def test_every_right_way_to_write_the_header(house: House) -> None:
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for header in (f"Basic {pair}", f"basic {pair}", f"BASIC  {pair} "):
        response = await house.call("GET", "/status", auth=lambda request: request, headers={"Authorization": header})
        assert response.json() == "Up"


# what goes wrong


@pytest_twisted.ensureDeferred
async def test_before_the_venue_is_up(build: Build) -> None:
    house = await build(up=False)
    for name in sorted(set(COMMANDS) - {"gateway_logon", "gateway_logoff"}):
        response = await house.call("GET", f"/{name}")
        if COMMANDS[name].needs_up:
            assert (response.status_code, response.content) == (503, b"false"), name
        else:
            assert response.status_code in (200, 400), name
    assert await house.get("/status") == "Startup"
    await house.connect()
    assert await house.get("/status") == "Up"


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("query_symbol", {}, "needs the argument 'symbol'"),
        ("market_order", {**ORDER, "client": "127.0.0.1"}, "has no argument 'client'"),
        ("market_order", {**ORDER, "quantity": "many"}, "'quantity' is 'many', which is not a finite number"),
        ("market_order", {**ORDER, "quantity": "NaN"}, "not a finite number"),
        ("market_order", {**ORDER, "quantity": "1e9999"}, "not a finite number"),
        ("market_order", {**ORDER, "quantity": [100]}, "not a finite number"),
        ("market_order", {**ORDER, "quantity": True}, "not a finite number"),
        ("market_order", {**ORDER, "symbol": {"a": 1}}, "not a name"),
        ("query_bars", {"symbol": "IBM", "period": "7x", "start": ".", "end": "."}, "period '7x'"),
        ("query_orders", {"since": "yesterday"}, "since 'yesterday' is no date"),
        ("submit_order", {"account": ACCOUNT, "symbol": "IBM", "side": "HOLD", "quantity": 1}, "side 'HOLD'"),
        ("query_order", {"id": "a" * 200_000}, "which is not a text"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_bad_arguments(house: House, name: str, arguments: dict[str, Any], why: str) -> None:
    response = await house.call("POST", f"/{name}", json=arguments)
    assert response.status_code == 400
    answer = response.json()
    assert (answer["status"], answer["reason"]) == ("Error", "BAD_ARGUMENT")
    assert why in answer["errorMsg"]
    assert len(answer["errorMsg"]) < 400
    assert house.broker.sent == []


@pytest_twisted.ensureDeferred
async def test_there_is_no_such_path(house: House) -> None:
    for path in ("/nonsense", "/status/", "//", "/../etc/passwd", "/status%00", "/jsonrpc_discover", "/" + "a" * 8000):
        response = await house.call("GET", path)
        assert response.status_code == 404, path
        assert response.json()["reason"] == "NO_SUCH_PATH"


@pytest_twisted.ensureDeferred
async def test_other_methods(house: House) -> None:
    for method in ("PUT", "DELETE", "PATCH", "HEAD", "NONSENSE"):
        response = await house.call(method, "/market_order", json=ORDER)
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, POST, OPTIONS")
    response = await house.call("OPTIONS", "/market_order")
    assert (response.status_code, response.headers["Allow"], response.content) == (204, "GET, POST, OPTIONS", b"")
    assert (await house.call("GET", "/rpc")).headers["Allow"] == "POST, OPTIONS"
    assert (await house.call("POST", "/openapi.json")).status_code == 405
    assert house.broker.sent == []


@pytest_twisted.ensureDeferred
async def test_a_surprise_is_told_in_one_sentence_and_logged(house: House, logged_failures: list[str]) -> None:
    def broken(name: str, caller: Any, given: Any) -> Any:
        raise RuntimeError("the secret of the house")

    house.api.call = broken  # type: ignore[method-assign]
    response = await house.call("GET", "/status")
    assert response.status_code == 500
    assert response.json() == {
        "status": "Error",
        "errorMsg": "The gateway made an error over this; its log says which.",
        "reason": "INTERNAL",
    }
    assert len(logged_failures) == 1
    assert "the secret of the house" in logged_failures.pop()


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (NotAllowed("You may only read."), 403, "NOT_ALLOWED"),
        (JournalError("The disk is full."), 500, "JOURNAL_FAILED"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_our_own_errors(
    house: House, error: Exception, code: int, reason: str, logged_failures: list[str]
) -> None:
    async def refuse() -> None:
        raise error

    house.api.call = lambda name, caller, given: refuse()  # type: ignore[method-assign]
    response = await house.call("GET", "/status")
    assert response.status_code == code
    assert response.json() == {"status": "Error", "errorMsg": str(error), "reason": reason}
    logged_failures.clear()


@pytest_twisted.ensureDeferred
async def test_a_result_that_is_no_json_is_a_surprise(
    house: House, logged_failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "TURN", 60.0)  # on a slow machine a part of it might be written by then
    house.api.call = lambda name, caller, given: float("nan")  # type: ignore[method-assign]
    assert (await house.call("GET", "/status")).status_code == 500
    house.api.call = lambda name, caller, given: [0] * 100 + [float("nan")]  # type: ignore[method-assign]
    assert (await house.call("GET", "/status")).status_code == 500
    assert len(logged_failures) == 2
    logged_failures.clear()


# the rest of the site


@pytest_twisted.ensureDeferred
async def test_health(house: House, logged_failures: list[str]) -> None:
    response = await house.call("GET", "/health", auth=None)
    assert (response.status_code, response.json()) == (
        200,
        {"status": "ok", "gateway": "Up", "halted": False, "halts": 0},
    )
    assert (await house.call("HEAD", "/health", auth=None)).status_code == 200
    assert (await house.call("POST", "/health", auth=None)).status_code == 405
    house.journal.fail_with = OSError("No space left on device")
    refused = await house.post("/market_order", **ORDER)
    assert (refused["status"], refused["reason"]) == ("Error", "JOURNAL_FAILED")
    response = await house.call("GET", "/health", auth=None)
    assert (response.status_code, response.json()) == (
        503,
        {"status": "journal", "gateway": "Up", "halted": False, "halts": 0},
    )
    assert "No space left on device" in logged_failures.pop()
    house.journal.fail_with = None
    house.gateway.stopping = True
    response = await house.call("GET", "/health", auth=None)
    assert (response.status_code, response.json()) == (
        503,
        {"status": "stopping", "gateway": "Shutdown", "halted": False, "halts": 0},
    )


@pytest_twisted.ensureDeferred
async def test_documents(house: House) -> None:
    assert (await house.get("/openapi.json"))["openapi"].startswith("3.1")
    assert (await house.get("/openrpc.json"))["openrpc"].startswith("1.")
    response = await house.call("HEAD", "/openapi.json")
    assert (response.status_code, response.content) == (200, b"")
    assert (await house.get("/"))["openapi"] == "/openapi.json"


@pytest_twisted.ensureDeferred
async def test_shutdown_is_passed_on(house: House) -> None:
    assert await house.post("/shutdown", message="tea") == f"shutdown requested by {USER} [tea]"
    assert house.stopped == [f"shutdown requested by {USER} [tea]"]


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_does_not_take_its_order_along(house: House) -> None:
    house.broker.hold = True
    client = house.socket()
    client.sendall(raw("POST", "/market_order", json.dumps(ORDER).encode()))
    await until(house.reactor, lambda: house.broker.held)
    client.close()
    await until(house.reactor, lambda: not house.connections)
    house.broker.release_all()
    await until(house.reactor, lambda: not house.gateway.state.working)
    orders = await house.get("/query_orders")
    assert [each["status"] for each in orders.values()] == ["Filled"]
