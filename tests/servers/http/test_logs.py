"""LOG_HTTP_REQUESTS, LOG_HTTP_RESPONSES, LOG_RESPONSE_TRUNCATE: one line each, and no secret in any."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest_twisted

from tests.servers.http.house import ACCOUNT, PASSWORD, USER, ZONE, House
from txgateway.servers.http import HttpSettings
from txgateway.wire import Flags

FLAGS = Flags(ZONE)
Build = Callable[..., Awaitable[House]]
SECRET = "hunter2hunter2"


def rpc(params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "gateway_logon", "params": params, "id": 1}


async def log_on(house: House) -> None:
    """A password given in every way there is."""
    named = {"username": "u", "password": SECRET}
    await house.call("GET", "/gateway_logon", params=named)
    await house.call("POST", "/gateway_logon", json=named)
    await house.call("GET", "/gateway_logon", params={"new_password": SECRET})
    await house.call("POST", "/rpc", json=rpc(named))
    await house.call("POST", "/rpc", json=rpc(["u", SECRET]))
    await house.call("GET", "/status", auth=(USER, SECRET))
    await house.call("GET", f"/nonsense?password={SECRET}")


@pytest_twisted.ensureDeferred
async def test_silence(build: Build, lines: list[str]) -> None:
    house = await build()
    await log_on(house)
    assert lines == []


@pytest_twisted.ensureDeferred
async def test_requests(build: Build, lines: list[str]) -> None:
    house = await build(settings=HttpSettings(FLAGS, log_requests=True))
    await house.post("/query_account", account=ACCOUNT)
    await house.rpc({"jsonrpc": "2.0", "method": "query_account", "params": [ACCOUNT], "id": 1})
    given = f"query_account {{'account': '{ACCOUNT}'}} by {USER} from 127.0.0.1"
    assert lines == [f"HTTP POST {given}"] * 2


@pytest_twisted.ensureDeferred
async def test_who_was_turned_away(build: Build, lines: list[str]) -> None:
    house = await build(settings=HttpSettings(FLAGS, log_requests=True))
    await house.call("GET", "/status?password=x", auth=(USER, SECRET))
    assert lines == ["HTTP GET /status unauthorized from 127.0.0.1"]


@pytest_twisted.ensureDeferred
async def test_secrets_that_are_made_are_not_in_the_log(build: Build, lines: list[str]) -> None:
    house = await build(settings=HttpSettings(FLAGS, log_responses=True, log_truncate=10_000))
    token = (await house.call("POST", "/create_token", json={"name": "a", "scopes": "read"})).json()["token"]
    source = {"kind": "generic", "account": "API_ACCOUNT", "name": "b"}
    made = (await house.call("POST", "/add_source", json=source)).json()
    rpc = {"jsonrpc": "2.0", "id": 1, "method": "change_source", "params": {"name": "b", "new_secret": True}}
    changed = (await house.call("POST", "/rpc", json=rpc)).json()["result"]
    assert made["secret"] in made["message"]
    for secret in (token, made["secret"], changed["secret"]):
        assert not any(secret in line for line in lines)
    assert sum('"secret":"***"' in line and '"message":"***"' in line for line in lines) == 2


@pytest_twisted.ensureDeferred
async def test_a_webhooks_secret_that_went_astray_is_not_in_the_log(build: Build, lines: list[str]) -> None:
    house = await build(settings=HttpSettings(FLAGS, log_requests=True, log_responses=True))
    for path in (
        "/webhooks/tradingview/tv/open-sesame",
        "//webhooks/proquant/open-sesame",
        "/webhooks/a/b/open-sesame/",
    ):
        await house.call("POST", path)
        await house.call("POST", path, auth=("nobody", "wrong"))
    assert len(lines) > 6
    assert not any("open-sesame" in line for line in lines)


@pytest_twisted.ensureDeferred
async def test_answers_are_cut(build: Build, lines: list[str]) -> None:
    house = await build(settings=HttpSettings(FLAGS, log_responses=True, log_truncate=10))
    await house.get("/status")
    await house.get("/help")
    await house.call("GET", "/nonsense")
    assert lines == ['HTTP 200 /status "Up"', 'HTTP 200 /help {"add_sour', 'HTTP 404 /nonsense {"status":']


@pytest_twisted.ensureDeferred
async def test_no_secret_is_logged(build: Build, lines: list[str]) -> None:
    house = await build(settings=HttpSettings(FLAGS, log_requests=True, log_responses=True, log_truncate=10_000))
    await log_on(house)
    assert len(lines) > 10
    assert not [each for each in lines if SECRET in each or PASSWORD in each]
    assert "HTTP POST gateway_logon {'username': 'u', 'password': '***'}" in "\n".join(lines)


@pytest_twisted.ensureDeferred
async def test_a_flood_of_words_is_cut(build: Build, lines: list[str]) -> None:
    house = await build(settings=HttpSettings(FLAGS, log_requests=True))
    await house.call("POST", "/query_order", json={"id": "x" * 50_000})
    await house.rpc({"jsonrpc": "2.0", "method": "m" * 50_000, "id": 1})
    assert max(map(len, lines)) < 1200
