"""Every command of the stream and its exact answer, on a real port."""

from __future__ import annotations

import json
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from tests.servers.stream.house import PASSWORD, USER, House
from txgateway.audience import Settings


@pytest_twisted.ensureDeferred
async def test_greeting_and_login(house: House) -> None:
    client = await house.connect()
    assert await client.heard(".connected") == ": txGateway 9.9 2026-01-01 test on host.example"
    assert await client.answer(f"auth {USER} {PASSWORD} {{}}") == ".Authorized paper"


@pytest_twisted.ensureDeferred
async def test_what_may_be_said_before_auth(house: House) -> None:
    client = await house.connect()
    await client.heard(".connected")
    assert await client.answer("status") == ".status: Up"
    commands = (await client.answer("help")).removeprefix(".commands: ")
    assert commands.startswith("['auth', 'help', 'quit'")
    assert await client.answer("frobnicate now") == ".what?"
    assert await client.answer("auth me") == ".error: it is written: auth USERNAME PASSWORD [OPTIONS]"
    client.say("bye bye")
    await client.ended()


@pytest.mark.parametrize("command", ["orders", "marketorder", "shutdown now", "accounts", "call status"])
@pytest_twisted.ensureDeferred
async def test_a_command_before_auth_ends_the_connection(house: House, command: str) -> None:
    client = await house.connect()
    assert await client.answer(command, ".Auth") == ".Authorization required!"
    await client.ended()
    assert house.stopped == []


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_ends_the_connection(house: House) -> None:
    client = await house.connect()
    assert await client.answer(f"auth {USER} wrong {{}}", ".Auth") == ".Authorization required!"
    await client.ended()


@pytest_twisted.ensureDeferred
async def test_before_the_venue_is_up(build: Any) -> None:
    house = await build(up=False)
    client = await house.login()
    assert await client.answer("status") == ".status: Startup"
    assert await client.answer("orders") == ".Initialization not complete!"
    await client.ended()
    waiting = await house.login()
    await house.up()
    assert await waiting.heard("paper.connection-status-changed: ", 3) == "Up"
    assert waiting.all("paper.connection-status-changed: ") == ["Pending", "Initializing", "Up"]
    assert await waiting.heard("paper.accounts: ") == '["API_ACCOUNT","OTHER","SECOND"]'
    assert await waiting.json("orders", "paper.orders: ") == {}


@pytest_twisted.ensureDeferred
async def test_accounts(house: House) -> None:
    client, other = await house.login(), await house.login()
    assert await client.answer("accounts", ".accounts") == ".accounts: ['API_ACCOUNT', 'OTHER', 'SECOND']"
    assert json.loads(await client.heard("paper.accounts: ")) == ["API_ACCOUNT", "OTHER", "SECOND"]
    assert await client.answer("setaccount other", "true") == "true"
    assert await other.heard("paper.current-account: ") == "OTHER"
    assert await client.heard("paper.current-account: ") == "OTHER"
    assert await client.answer("setaccount NOBODY", "false") == "false"


@pytest_twisted.ensureDeferred
async def test_symbols(house: House) -> None:
    client = await house.login()
    added = await client.json("add ibm", "paper.symbol: ")
    assert (added["symbol"], added["fullname"], added["bid"]) == ("IBM", "IBM Inc.", 99.9)
    assert house.paper.subscribed == {"IBM"}
    assert await client.json("query IBM", "paper.symbol: ") == added
    assert await client.json("querydata IBM", "paper.symbol-data: ") == {
        "DISP_NAME": "IBM",
        "STARTTIME": "09:30:00",
        "STOPTIME": "16:00:00",
    }
    assert await client.json("symbols", "paper.symbols: ") == {"IBM": added}
    assert await client.json("add NONSENSE", "paper.symbol: ") is None
    assert await client.json("del IBM", "paper.symbol: ") is True
    assert await client.json("del IBM", "paper.symbol: ") is False
    assert house.paper.subscribed == set()


@pytest_twisted.ensureDeferred
async def test_symbols_are_released_with_the_connection(house: House) -> None:
    client, other = await house.login(), await house.login()
    await client.json("add IBM", "paper.symbol: ")
    await client.json("add AAPL", "paper.symbol: ")
    await other.json("add IBM", "paper.symbol: ")
    client.say("quit")
    await house.until(lambda: house.paper.subscribed == {"IBM"})
    other.cut()
    await house.until(lambda: house.paper.subscribed == set())


@pytest_twisted.ensureDeferred
async def test_symbol_fields_select_raw_fields(house: House) -> None:
    client = await house.login({"SYMBOL_FIELDS": ["DISP_NAME", "BID", "NOPE"]})
    expected = {"DISP_NAME": "IBM", "BID": 99.9, "NOPE": ""}
    assert await client.json("add IBM", "paper.symbol: ") == expected
    assert await client.json("symbols", "paper.symbols: ") == {"IBM": expected}


@pytest_twisted.ensureDeferred
async def test_orders_are_answered_as_objects(house: House) -> None:
    client = await house.login()
    order = await client.json("marketorder API_ACCOUNT DEMO IBM -100", "{")
    assert (order["status"], order["text"]) == ("Filled", "Sell 100 IBM (Filled)")
    limit = await client.json("limitorder API_ACCOUNT DEMO IBM 90.5 100", "{")
    assert (limit["status"], limit["limit_price"]) == ("Accepted", 90.5)
    stop = await client.json("stoporder API_ACCOUNT DEMO IBM 120 100", "{")
    assert stop["stop_price"] == 120.0
    both = await client.json("stoplimitorder API_ACCOUNT DEMO IBM 120 121.5 100", "{")
    assert (both["stop_price"], both["limit_price"]) == (120.0, 121.5)
    ticket = await client.json("stagemarketorder TAG1 API_ACCOUNT DEMO IBM 100", "{")
    assert (ticket["class"], ticket["order_status"], ticket["owner"]) == ("ticket", "STAGED", USER)
    assert set(await client.json("orders", "paper.orders: ")) == {each["permid"] for each in (order, limit, stop, both)}
    assert list(await client.json("tickets", "paper.tickets: ")) == [ticket["permid"]]
    executions = await client.json("executions", "paper.executions: ")
    assert [each["ORIGINAL_ORDER_ID"] for each in executions.values()] == [order["permid"]]
    positions = await client.json("positions", "paper.positions: ")
    assert positions == {"API_ACCOUNT": {"IBM": -100}, "OTHER": {}, "SECOND": {}}
    canceled = await client.json(f"cancel {limit['permid']}", "{")
    assert (canceled["permid"], canceled["status"]) == (limit["permid"], "Cancelled")
    assert await client.answer("globalcancel", ".") == ".global order cancel requested"
    await house.until(lambda: list(house.gateway.state.working) == [ticket["permid"]])


@pytest_twisted.ensureDeferred
async def test_a_client_order_id_makes_an_order_one(house: House) -> None:
    client = await house.login()
    first = await client.json("limitorder API_ACCOUNT DEMO IBM 90 100 my-key", "{")
    again = await client.json("limitorder API_ACCOUNT DEMO IBM 90 100 my-key", "{")
    assert (again["permid"], again["replayed"], first["client_order_id"]) == (first["permid"], True, "my-key")
    other = await client.json("limitorder API_ACCOUNT DEMO IBM 91 100 my-key", "{")
    assert (other["status"], other["reason"]) == ("Error", "KEY_CONFLICT")


@pytest_twisted.ensureDeferred
async def test_refusals_are_error_objects(house: House) -> None:
    client = await house.login()
    refused = await client.json("marketorder NOBODY DEMO IBM 100", "{")
    assert (refused["status"], refused["reason"]) == ("Error", "UNKNOWN_ACCOUNT")
    unknown = await client.json("cancel 12345", "{")
    assert unknown == {"status": "Error", "errorMsg": "Order not found", "reason": "NO_SUCH_ORDER", "id": "12345"}


@pytest_twisted.ensureDeferred
async def test_bars(house: House) -> None:
    client = await house.login()
    row = ["2013-10-07", "09:31:00", 183.0, 183.2, 182.9, 183.1, 12345]
    assert await client.json("getbars IBM 1 2013-10-07 09:30:00 2013-10-07 16:00:00", "[") == [row]
    assert await client.json("getbars IBM 1 -5 .", "[") == [row]
    assert await client.answer("getbars NONSENSE 1 . .", "null") == "null"
    assert (await client.answer("getbars IBM 1 2013-99-07 09:30 . .", ".error")).startswith(".error: start ")
    assert (await client.answer("getbars IBM", ".error")).startswith(".error: it is written: getbars SYM")


@pytest_twisted.ensureDeferred
async def test_arguments_that_cannot_be_read(house: House) -> None:
    client = await house.login()
    wrong = await client.answer("marketorder API_ACCOUNT DEMO IBM many", ".error")
    assert wrong == ".error: market_order: argument 'quantity' is 'many', which is not a finite number."
    short = await client.answer("marketorder API_ACCOUNT DEMO IBM", ".error")
    assert short == ".error: it is written: marketorder ACCOUNT ROUTE SYM QTY [CLIENT_ORDER_ID]"
    client.say("  ")
    assert await client.answer("status", ".status") == ".status: Up"


@pytest_twisted.ensureDeferred
async def test_call_reaches_every_method(house: House) -> None:
    client = await house.login()
    start = "paper.result: "
    assert await client.json("call status", start) == {"method": "status", "result": "Up"}
    given = {"account": "API_ACCOUNT", "symbol": "IBM", "side": "BUY", "quantity": 5, "order_type": "LIMIT"}
    told = await client.json(f"call submit_order {json.dumps({**given, 'limit_price': 90.25})} T1", start)
    order = told["result"]
    assert (told["tag"], order["order_status"], order["limit_price"]) == ("T1", "NEW", 90.25)
    listed = await client.json("call query_open_orders", start)
    assert list(listed["result"]) == [order["permid"]]
    replaced = await client.json(f'call replace_order {{"id":"{order["permid"]}","limit_price":91}} T2', start)
    assert replaced["result"]["limit_price"] == 91.0
    refused = await client.json('call cancel_order {"id":"nothing"} T3', start)
    assert (refused["tag"], refused["result"]["reason"]) == ("T3", "NO_SUCH_ORDER")
    wrong = await client.json('call cancel_order {"wrong":1} T4', start)
    assert (wrong["tag"], wrong["error"]["reason"]) == ("T4", "BAD_ARGUMENT")
    unknown = await client.json("call dance", start)
    assert unknown["error"]["message"] == "there is no method 'dance': help lists them"
    assert (await client.answer('call status {"a":1,"a":2}', ".error")).startswith(".error: the arguments cannot")


@pytest_twisted.ensureDeferred
async def test_a_long_list_comes_whole(house: House) -> None:
    client = await house.login({"order-data": 1})
    ids = await house.submit(400)
    orders = await client.json("orders", "paper.orders: ")
    assert list(orders) == sorted(ids)
    await house.until(lambda: len(client.all("paper.order-data ")) == 3 * len(ids))


@pytest_twisted.ensureDeferred
async def test_shutdown_stops_the_daemon_and_tells_everyone(house: House) -> None:
    client, other = await house.login(), await house.login()
    client.say("shutdown enough for today")
    await house.until(lambda: house.stopped)
    assert house.stopped == [f"shutdown requested by {USER} [enough for today]"]
    await house.publisher.stop()
    assert await other.heard("paper.connection-status-changed: ") == "Shutdown"
    await other.ended()
    await client.ended()


@pytest.mark.parametrize("on", [True, False])
@pytest_twisted.ensureDeferred
async def test_the_log_switches(build: Any, on: bool) -> None:
    logged: list[str] = []

    def watch(event: dict[str, Any]) -> None:
        if event["log_namespace"].startswith("txgateway.") and event["log_level"] is LogLevel.info:
            logged.append(formatEvent(event))

    globalLogPublisher.addObserver(watch)
    house = await build(settings=Settings(log_messages=on, log_connections=on))
    client = await house.login("order-notification")
    await client.answer("add IBM", "paper.symbol")
    (order,) = await house.submit()
    await client.heard("paper.order.", 3)
    client.say("quit")
    await house.until(lambda: not house.factory.sessions)
    globalLogPublisher.removeObserver(watch)
    told = "\n".join(logged)
    for part in ("connected", "disconnected", f"auth {USER} …", ": add IBM", f"order.{order}"):
        assert (part in told) is on
    assert PASSWORD not in told


@pytest_twisted.ensureDeferred
async def test_another_venues_channel(house: House) -> None:
    client = await house.login({"venue": "second", "order-data": 1, "quotes": 1})
    assert client.lines[-1] == ".Authorized second"
    await house.until(lambda: client.lines)
    assert (await client.json("add IBM", "second.symbol: "))["symbol"] == "IBM"
    assert house.second.subscribed == {"IBM"}
    assert house.paper.subscribed == set()
    assert await client.heard("second.quote.IBM:") == "99.9 200 100.1 300"
    assert (await client.json("add IBM@paper", "second.symbol: "))["symbol"] == "IBM@paper"
    assert set(await client.json("symbols", "second.symbols: ")) == {"IBM", "IBM@paper"}
    default = await house.login({"quotes": 1, "order-data": 1})
    house.second.quote("IBM", "98", "99")
    assert await default.heard("paper.quote.IBM@second:") == "98.0 200 99.0 300"
    order = await client.json("marketorder SECOND DEMO IBM 100", "{")
    assert order["venue"] == "second"
    assert await client.answer("status", ".status") == ".status: Up"
    house.second.stopService()
    assert await client.heard("second.connection-status-changed: ") == "Disconnected"
    assert await client.answer("status", ".status") == ".status: Disconnected"
    assert await default.answer("status", ".status") == ".status: Up"
    assert default.all("paper.connection-status-changed") == []
    strange = await house.login({"venue": "third"})
    assert "venue 'third' is unknown" in await strange.heard(".error: ")


@pytest_twisted.ensureDeferred
async def test_a_second_auth_changes_the_options(house: House) -> None:
    client = await house.login("order-notification")
    await house.submit()
    await house.until(lambda: len(client.all("paper.order.")) == 3)
    assert await client.answer(f'auth {USER} {PASSWORD} {{"execution-data":1}}', ".Auth") == ".Authorized paper"
    await house.submit()
    await client.heard("paper.execution-data ")
    assert len(client.all("paper.order.")) == 3
    assert len(client.all("paper.order")) == 3
