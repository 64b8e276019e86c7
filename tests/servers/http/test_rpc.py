"""JSON-RPC 2.0, by its specification's own examples and beyond."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import pytest_twisted
from txjsonrpc_ng.jsonrpclib import VERSION_2
from txjsonrpc_ng.web.jsonrpc import Proxy

from tests.servers.http.house import ACCOUNT, PASSWORD, USER, House, until
from txgateway.commands import COMMANDS
from txgateway.model.errors import NotAllowed

ORDER = {"account": ACCOUNT, "route": "DEMO", "symbol": "IBM", "quantity": 100}
Build = Callable[..., Awaitable[House]]


def call(method: str, params: Any = None, id_: Any = 1) -> dict[str, Any]:
    """A request."""
    return {"jsonrpc": "2.0", "method": method, "id": id_, **({} if params is None else {"params": params})}


def note(method: str, params: Any = None) -> dict[str, Any]:
    """A notification."""
    return {name: value for name, value in call(method, params).items() if name != "id"}


@pytest.mark.parametrize("path", ["/", "/rpc"])
@pytest_twisted.ensureDeferred
async def test_a_call(house: House, path: str) -> None:
    response = await house.call("POST", path, json=call("status"))
    assert response.headers["Content-Type"] == "application/json"
    assert response.content == b'{"jsonrpc":"2.0","result":"Up","id":1}'


@pytest_twisted.ensureDeferred
async def test_by_name_and_by_position(house: House) -> None:
    by_name = (await house.rpc(call("market_order", ORDER)))["result"]
    by_position = (await house.rpc(call("market_order", [ACCOUNT, "DEMO", "IBM", 100])))["result"]
    assert by_name["status"] == by_position["status"] == "Filled"
    assert by_name["permid"] != by_position["permid"]
    assert (await house.rpc(call("query_symbols", [])))["result"] == ["IBM"]


@pytest.mark.parametrize("id_", [1, 0, -5, 1.5, 2**70, "", "abc", "\u00fc\u2028\U0001f600", None])
@pytest_twisted.ensureDeferred
async def test_ids_come_back_as_they_were(house: House, id_: Any) -> None:
    answer = await house.rpc(call("status", id_=id_))
    assert answer == {"jsonrpc": "2.0", "result": "Up", "id": id_}
    assert type(answer["id"]) is type(id_)


@pytest_twisted.ensureDeferred
async def test_a_null_result_is_there(house: House) -> None:
    response = await house.call("POST", "/rpc", json=call("query_order", {"id": "nonsense"}))
    assert response.content == b'{"jsonrpc":"2.0","result":null,"id":1}'


@pytest_twisted.ensureDeferred
async def test_a_refused_order_is_a_result(house: House) -> None:
    refused = (await house.rpc(call("market_order", {**ORDER, "account": "NOBODY"})))["result"]
    assert (refused["status"], refused["reason"]) == ("Error", "UNKNOWN_ACCOUNT")
    unknown = (await house.rpc(call("cancel_order", ["nonsense"])))["result"]
    assert (unknown["status"], unknown["errorMsg"]) == ("Error", "Order not found")
    bars = (await house.rpc(call("query_bars", ["BTCUSD", "1", ".", "."])))["result"]
    assert bars["reason"] == "UNSUPPORTED"


@pytest.mark.parametrize(
    ("message", "code", "id_"),
    [
        ("", -32700, None),
        ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', -32700, None),
        (
            '[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method"',
            -32700,
            None,
        ),
        ('{"jsonrpc": "2.0", "method": "status", "id": NaN}', -32700, None),
        ('{"jsonrpc": "2.0", "method": "status", "id": 1, "id": 2}', -32700, None),
        (b'{"jsonrpc": "2.0", "method": "stat\xff", "id": 1}', -32700, None),
        ("[" * 100_000, -32700, None),
        ("[" * 5_000, -32700, None),
        ("[]", -32600, None),
        ("1", -32600, None),
        ("null", -32600, None),
        ('"status"', -32600, None),
        ("{}", -32600, None),
        ({"jsonrpc": "2.0", "method": 1, "params": "bar"}, -32600, None),
        ({"jsonrpc": "2.0", "id": 7}, -32600, 7),
        ({"jsonrpc": "2.0", "method": "status", "params": "bar", "id": 7}, -32600, 7),
        ({"jsonrpc": "2.0", "method": "status", "params": None, "id": 7}, -32600, 7),
        ({"jsonrpc": "2.0", "method": "status", "id": True}, -32600, None),
        ({"jsonrpc": "2.0", "method": "status", "id": {}}, -32600, None),
        ({"jsonrpc": "1.0", "method": "status", "id": 7}, -32600, 7),
        ({"method": "status", "params": [], "id": 7}, -32600, 7),
        ({"jsonrpc": 2.0, "method": "status", "id": 7}, -32600, 7),
        (call("foobar"), -32601, 1),
        (call(""), -32601, 1),
        (call("__dir__"), -32601, 1),
        (call("discover"), -32601, 1),
        (call("jsonrpc_discover"), -32601, 1),
        (call("system."), -32601, 1),
        (call("system.nonsense"), -32601, 1),
        (call("system.x.y.z"), -32601, 1),
        (call("rpc.nonsense"), -32601, 1),
        (call("a" * 10_000), -32601, 1),
        (call("query_symbol"), -32602, 1),
        (call("query_symbol", []), -32602, 1),
        (call("query_symbol", ["IBM", 2]), -32602, 1),
        (call("query_symbol", {"symbol": "IBM", "client": 1}), -32602, 1),
        (call("query_symbol", {"symbol": []}), -32602, 1),
        (call("status", [1]), -32602, 1),
        (call("rpc.discover", [1]), -32602, 1),
        (call("system.methodHelp"), -32602, 1),
        (call("system.methodHelp", [7]), -32602, 1),
        (call("system.methodHelp", ["nonsense"]), -32602, 1),
    ],
)
@pytest_twisted.ensureDeferred
async def test_errors(house: House, message: Any, code: int, id_: Any) -> None:
    response = await house.call(
        "POST", "/rpc", data=message if isinstance(message, str | bytes) else json.dumps(message)
    )
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"jsonrpc", "error", "id"}
    assert (answer["error"]["code"], answer["id"]) == (code, id_)
    assert 0 < len(answer["error"]["message"]) < 400
    assert set(answer["error"]["data"]) == {"reason"}


@pytest_twisted.ensureDeferred
async def test_not_up(build: Build) -> None:
    house = await build(up=False)
    answer = await house.rpc(call("query_orders"))
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32000, {"reason": "NOT_UP"})
    assert (await house.rpc(call("status")))["result"] == "Startup"


@pytest_twisted.ensureDeferred
async def test_what_else_fails(house: House, logged_failures: list[str]) -> None:
    answer = await house.rpc(call("query_account", ["PAPER_CASH"]))
    assert (answer["error"]["code"], answer["error"]["data"]) == (-32004, {"reason": "TIMED_OUT"})

    def broken(name: str, caller: Any, given: Any) -> Any:
        raise NotAllowed("You may only read.") if name == "halt" else RuntimeError("the secret of the house")

    house.api.call = broken  # type: ignore[method-assign]
    answer = await house.rpc(call("halt", ["why"]))
    assert answer["error"] == {"code": -32003, "message": "You may only read.", "data": {"reason": "NOT_ALLOWED"}}
    answer = await house.rpc(call("status"))
    assert (answer["error"]["code"], "secret" in json.dumps(answer)) == (-32603, False)
    assert "the secret of the house" in logged_failures.pop()
    house.api.call = lambda name, caller, given: float("nan")  # type: ignore[method-assign]
    assert (await house.rpc(call("status")))["error"]["code"] == -32603
    assert (await house.rpc([call("status"), call("status")]))["error"]["code"] == -32603
    logged_failures.clear()


# notifications and batches


@pytest_twisted.ensureDeferred
async def test_a_notification_is_done_and_not_answered(house: House) -> None:
    for message in (note("market_order", ORDER), note("nonsense"), note("query_symbol"), [note("market_order", ORDER)]):
        response = await house.call("POST", "/rpc", json=message)
        assert (response.status_code, response.content) == (204, b"")
    assert len(house.broker.sent) == 2


@pytest_twisted.ensureDeferred
async def test_a_batch_is_answered_in_its_order(house: House) -> None:
    answers = await house.rpc(
        [
            call("market_order", ORDER, "a"),
            note("market_order", ORDER),
            call("nonsense", id_="b"),
            {"foo": "boo"},
            1,
            call("query_order", ["nonsense"], "c"),
            call("query_accounts", id_=None),
        ]
    )
    assert [each["id"] for each in answers] == ["a", "b", None, None, "c", None]
    assert answers[0]["result"]["status"] == "Filled"
    assert [each.get("error", {}).get("code") for each in answers] == [None, -32601, -32600, -32600, None, None]
    assert answers[4]["result"] is None
    assert answers[5]["result"] == [ACCOUNT, "PAPER_CASH"]
    assert len(house.broker.sent) == 2


@pytest_twisted.ensureDeferred
async def test_the_specifications_odd_batches(house: House) -> None:
    assert [each["error"]["code"] for each in await house.rpc("[1,2,3]")] == [-32600] * 3
    assert [each["error"]["code"] for each in await house.rpc("[1]")] == [-32600]
    assert (await house.rpc("[]"))["error"]["code"] == -32600


@pytest_twisted.ensureDeferred
async def test_a_batch_of_a_thousand_orders_and_no_more(house: House) -> None:
    orders = [call("market_order", {**ORDER, "client_order_id": f"k{at}"}, at) for at in range(1000)]
    answers = await house.rpc(orders)
    assert [each["id"] for each in answers] == list(range(1000))
    assert {each["result"]["status"] for each in answers} == {"Filled"}
    assert [each["result"]["client_order_id"] for each in answers] == [f"k{at}" for at in range(1000)]
    assert (await house.rpc([*orders, call("status")]))["error"]["code"] == -32600
    assert len(house.broker.sent) == 1000


@pytest_twisted.ensureDeferred
async def test_a_waiting_call_does_not_hold_the_batch_back(house: House) -> None:
    await house.get("/add_symbol", symbol="IBM")
    house.broker.hold = True
    waiting = house.call("POST", "/rpc", json=[call("market_order", ORDER, at) for at in range(3)])
    await until(house.reactor, lambda: len(house.broker.held) == 3)
    house.broker.release_all()
    assert [each["result"]["status"] for each in (await waiting).json()] == ["Filled"] * 3


@pytest_twisted.ensureDeferred
async def test_long_results_in_a_batch(house: House) -> None:
    await house.orders(300)
    answers = await house.rpc([call("query_orders", id_=at) for at in range(5)])
    whole = await house.get("/query_orders")
    assert len(whole) == 300
    assert all(each["result"] == whole for each in answers)


# what there is


@pytest_twisted.ensureDeferred
async def test_discovery(house: House) -> None:
    document = (await house.rpc(call("rpc.discover")))["result"]
    assert {each["name"] for each in document["methods"]} == set(COMMANDS)
    assert document == await house.get("/openrpc.json")
    methods = (await house.rpc(call("system.listMethods")))["result"]
    assert set(methods) == {
        *COMMANDS,
        "rpc.discover",
        "system.listMethods",
        "system.methodHelp",
        "system.methodSignature",
    }
    for name in methods:
        text = (await house.rpc(call("system.methodHelp", [name])))["result"]
        assert text
        signature = (await house.rpc(call("system.methodSignature", {"method": name})))["result"]
        assert name not in COMMANDS or len(signature[0]) == len(COMMANDS[name].parameters) + 1


@pytest.mark.filterwarnings("ignore:Using readBody:DeprecationWarning")
@pytest_twisted.ensureDeferred
async def test_the_librarys_own_client(house: House) -> None:
    proxy = Proxy(f"{house.url}/rpc", USER, PASSWORD, version=VERSION_2)
    assert await proxy.callRemote("status") == "Up"
    order = await proxy.callRemote("market_order", ACCOUNT, "DEMO", "IBM", 100)
    assert order["status"] == "Filled"
    assert await proxy.callRemote("query_order", id=order["permid"]) == order
