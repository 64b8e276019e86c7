"""What both clients promise over a real connection: reuse, time-outs, lost answers, and errors that say what to do."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred

from txgateway_client import (
    BadArgument,
    GatewayTimeout,
    GatewayUnreachable,
    NotReady,
    OutcomeUnknown,
    Unauthorized,
    UnexpectedAnswer,
)
from txgateway_client.deferred import DeferredAPI

ORDER = ("market_order", "API_ACCOUNT", "DEMO", "IBM", 100)


@pytest_twisted.ensureDeferred
async def test_calls_use_one_connection_again(gateway: Any, client: Any) -> None:
    ask = client().ask
    for _ in range(5):
        assert await ask("status") == "Up"
        assert (await ask(*ORDER))["status"] == "Filled"
    assert gateway.connections == 1


@pytest_twisted.ensureDeferred
async def test_get_without_arguments_and_post_with_them(gateway: Any, client: Any) -> None:
    gateway.answers["query_order"] = None
    ask = client().ask
    await ask("status")
    assert await ask("query_order", "X1") is None
    assert gateway.calls == [("GET", "status", {}), ("POST", "query_order", {"id": "X1"})]
    assert {head["content-type"] for head in gateway.headers} == {"application/json"}
    assert all(head["user-agent"].startswith("txgateway-client/") for head in gateway.headers)


@pytest_twisted.ensureDeferred
async def test_gzip_is_read(gateway: Any, client: Any, wire: Any) -> None:
    gateway.answers["query_orders"] = wire.zipped({"A": {"permid": "A"}})
    assert await client().ask("query_orders") == {"A": {"permid": "A"}}
    assert "gzip" in gateway.headers[0]["accept-encoding"]


@pytest_twisted.ensureDeferred
async def test_a_refused_order_is_an_answer_and_no_exception(client: Any) -> None:
    order = await client().ask("market_order", "API_ACCOUNT", "DEMO", "IBM", 0)
    assert order["status"] == "Error"
    assert order["reason"] == "MALFORMED"


@pytest_twisted.ensureDeferred
async def test_every_order_has_a_key_of_its_own(gateway: Any, client: Any) -> None:
    ask = client().ask
    await ask(*ORDER)
    await ask(*ORDER)
    await ask(*ORDER, client_order_id="mine")
    keys = [call["client_order_id"] for call in gateway.called("market_order")]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"
    assert len(keys[0]) == 36


@pytest.mark.parametrize("trouble", ["DROP", "CUT"])
@pytest_twisted.ensureDeferred
async def test_an_order_whose_answer_is_lost_is_sent_again_with_its_key(
    gateway: Any, client: Any, wire: Any, trouble: str
) -> None:
    gateway.trouble("market_order", getattr(wire, trouble))
    order = await client().ask(*ORDER)
    assert order["replayed"] is True
    first, second = gateway.called("market_order")
    assert first == second
    assert len(gateway.orders) == 1


@pytest_twisted.ensureDeferred
async def test_an_order_that_is_not_answered_in_time_is_sent_again(gateway: Any, client: Any, wire: Any) -> None:
    gateway.trouble("market_order", wire.HANG)
    order = await client(READ_TIMEOUT=0.2).ask(*ORDER)
    assert order["replayed"] is True


@pytest_twisted.ensureDeferred
async def test_an_order_whose_answers_are_all_lost_has_an_unknown_outcome(gateway: Any, client: Any, wire: Any) -> None:
    gateway.trouble("market_order", *[wire.DROP] * 3)
    ask = client().ask
    with pytest.raises(OutcomeUnknown, match="call again with the same arguments and client_order_id='k1'") as caught:
        await ask(*ORDER, client_order_id="k1")
    assert (caught.value.method, caught.value.client_order_id) == ("market_order", "k1")
    assert len(gateway.called("market_order")) == 3
    again = await ask(*ORDER, client_order_id=caught.value.client_order_id)
    assert again["replayed"] is True
    assert len(gateway.orders) == 1


@pytest_twisted.ensureDeferred
async def test_after_a_lost_answer_no_other_failure_hides_the_doubt(gateway: Any, client: Any, wire: Any) -> None:
    gateway.trouble("market_order", wire.DROP, wire.NOT_READY, wire.Reply(401))
    with pytest.raises(OutcomeUnknown) as caught:
        await client().ask(*ORDER)
    assert isinstance(caught.value.__cause__, Unauthorized)


@pytest_twisted.ensureDeferred
async def test_a_server_error_on_an_order_leaves_it_in_doubt(gateway: Any, client: Any, wire: Any) -> None:
    gateway.trouble("market_order", wire.Reply(500, b'{"errorMsg": "no idea"}'), wire.Reply(200, b"<html>"))
    assert (await client().ask(*ORDER))["replayed"] is True


@pytest.mark.parametrize("status", [400, 401, 404, 503])
@pytest_twisted.ensureDeferred
async def test_an_order_that_was_clearly_not_taken_is_not_sent_again(
    gateway: Any, client: Any, wire: Any, status: int
) -> None:
    gateway.trouble("market_order", wire.Reply(status, b"false"))
    with pytest.raises((BadArgument, Unauthorized, UnexpectedAnswer, NotReady)):
        await client().ask(*ORDER)
    assert len(gateway.called("market_order")) == 1


@pytest_twisted.ensureDeferred
async def test_a_read_on_a_stale_connection_is_asked_again_once(gateway: Any, client: Any, wire: Any) -> None:
    ask = client().ask
    await ask("status")
    gateway.trouble("status", wire.DROP)
    assert await ask("status") == "Up"
    gateway.trouble("status", wire.DROP, wire.DROP)
    with pytest.raises(GatewayUnreachable, match="was lost during status"):
        await ask("status")


@pytest_twisted.ensureDeferred
async def test_a_read_that_is_not_answered_in_time_is_an_error_at_once(gateway: Any, client: Any, wire: Any) -> None:
    gateway.trouble("status", wire.HANG)
    with pytest.raises(GatewayTimeout, match=r"did not answer status within 0\.2 s"):
        await client(READ_TIMEOUT=0.2).ask("status")
    assert len(gateway.called("status")) == 1


@pytest_twisted.ensureDeferred
async def test_a_cancelled_deferred_is_not_asked_again(gateway: Any, config: Any, wire: Any) -> None:
    api = DeferredAPI(config=config)
    arrived: Deferred[None] = Deferred()

    def hang(arguments: Any) -> Any:
        arrived.callback(None)
        return wire.HANG

    gateway.answers["query_orders"] = hang
    for ask in (lambda: api.query_orders(), lambda: api.market_order("A", "R", "IBM", 1, client_order_id="k")):
        gateway.trouble("market_order", hang)
        answer = ask()
        await arrived
        arrived = Deferred()
        answer.cancel()
        with pytest.raises(CancelledError):
            await answer
    assert len(gateway.calls) == 2
    assert (await api.market_order("A", "R", "IBM", 1, client_order_id="k"))["replayed"] is True
    await api.close()


@pytest.mark.parametrize(("method", "calls"), [("cancel_order", 2), ("approve_ticket", 1), ("replace_order", 1)])
@pytest_twisted.ensureDeferred
async def test_only_what_may_be_done_twice_is_asked_again(
    gateway: Any, client: Any, wire: Any, method: str, calls: int
) -> None:
    gateway.answers[method] = {"permid": "A"}
    gateway.trouble(method, wire.DROP, wire.DROP)
    with pytest.raises(OutcomeUnknown, match="look before you call again") as caught:
        await client().ask(method, "A")
    assert caught.value.client_order_id is None
    assert len(gateway.called(method)) == calls


@pytest_twisted.ensureDeferred
async def test_nobody_there(client: Any, nobody: int) -> None:
    made = client(HTTP_PORT=nobody)
    for call in (("status",), ORDER):
        with pytest.raises(GatewayUnreachable, match=r"cannot reach .*refused.*: is txgatewayd running there\?"):
            await made.ask(*call)


@pytest_twisted.ensureDeferred
async def test_wrong_password(gateway: Any, client: Any) -> None:
    made = client(PASSWORD="wrong")
    with pytest.raises(Unauthorized, match="check TXGATEWAY_USERNAME and TXGATEWAY_PASSWORD") as caught:
        await made.ask("status")
    assert "wrong" not in str(caught.value)
    assert "wrong" not in repr(made.api)
    assert "wrong" not in repr(made.api.settings)


@pytest_twisted.ensureDeferred
async def test_answers_that_say_no(gateway: Any, client: Any, wire: Any) -> None:
    ask = client().ask
    gateway.answers["query_orders"] = wire.NOT_READY
    with pytest.raises(NotReady, match="wait until its status is Up"):
        await ask("query_orders")
    gateway.answers["query_bars"] = wire.Reply(400, b'{"status": "Error", "errorMsg": "period: no such period"}')
    with pytest.raises(BadArgument, match="query_bars: period: no such period"):
        await ask("query_bars", "IBM", 5, ".", ".")
    gateway.answers["set_leverage"] = wire.Reply(400, b'{"errorMsg": "set_leverage: leverage 0 is none of 1 to 9."}')
    with pytest.raises(BadArgument, match=r"^set_leverage: leverage 0 is none"):
        await ask("set_leverage", "IBM", 0)
    gateway.answers["halt"] = wire.Reply(403, b'{"error": "scope admin is needed"}')
    with pytest.raises(Unauthorized, match="'trader' is not allowed to call halt: scope admin is needed"):
        await ask("halt", "lunch")
    gateway.answers["uptime"] = wire.Reply(502, b"<html>" + b"bad " * 200)
    with pytest.raises(UnexpectedAnswer, match=r"answered HTTP 502: <html>bad .*…") as caught:
        await ask("uptime")
    assert caught.value.status == 502
    with pytest.raises(UnexpectedAnswer, match="no command explain_order"):
        await ask("explain_order", "A")
    gateway.answers["time"] = wire.Reply(200, b"not json")
    with pytest.raises(UnexpectedAnswer, match="something that is no JSON"):
        await ask("time")


@pytest_twisted.ensureDeferred
async def test_set_account_is_remembered_when_the_gateway_knows_it(gateway: Any, client: Any) -> None:
    made = client(API_ACCOUNT="FIRST", ROUTE="SMART")
    assert (made.api.account, made.api.route) == ("FIRST", "SMART")
    gateway.answers["set_account"] = lambda arguments: arguments["account"] == "OTHER"
    assert await made.ask("set_account", "WRONG") is False
    assert made.api.account == "FIRST"
    assert await made.ask("set_account", "OTHER") is True
    assert made.api.account == "OTHER"


@pytest_twisted.ensureDeferred
async def test_wait_for_up(gateway: Any, client: Any, wire: Any) -> None:
    gateway.trouble("status", "Startup", wire.DROP, wire.DROP, "Initializing")
    made = client()
    assert await made.ask("wait_for_up", 30, 0.001) == "Up"
    assert len(gateway.called("status")) == 5
    gateway.answers["status"] = "Disconnected"
    with pytest.raises(NotReady, match="is Disconnected, not Up"):
        await made.ask("wait_for_up", 0.01, 0.005)


@pytest_twisted.ensureDeferred
async def test_wait_for_up_ends_at_once_for_a_wrong_password_and_in_time_for_nobody(client: Any, nobody: int) -> None:
    with pytest.raises(Unauthorized):
        await client(PASSWORD="wrong").ask("wait_for_up")
    with pytest.raises(GatewayUnreachable):
        await client(HTTP_PORT=nobody).ask("wait_for_up", 0.01, 0.005)
