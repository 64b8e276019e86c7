"""Who may do what: every command by every scope, by each way in; accounts and worth; tokens, users, failed logins."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, ROOT, Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.socketclient import WebSocket
from tests.e2e.stream import Stream
from txgateway.model.rights import INCLUDES, Right

SCOPES = {
    "read": """
        status uptime time version help query_venues query_halts query_risk query_flattens query_faults
        query_differences query_exits
        add_symbol del_symbol query_symbols query_symbol query_symbol_data query_symbol_bars query_bars query_instrument
        query_accounts query_account query_balances query_positions
        query_last_prices query_depth query_funding query_leverage query_position_mode query_rate_limits
        query_order query_orders query_open_orders query_tickets query_execution query_executions query_order_executions
        query_journal explain_order get_order_route
        query_sources query_integrations query_signals explain_signal replay_signal query_strategies
    """,
    "trade": """
        submit_order market_order limit_order stop_order stoplimit_order replace_order
        cancel_order global_cancel cancel_exits
        stage_market_order stage_limit_order stage_stop_order stage_stoplimit_order
        set_account set_order_route set_primary_exchange halt flatten
        set_leverage set_position_mode call_endpoint
    """,
    "approve": "approve_ticket reject_ticket",
    "admin": """
        shutdown gateway_logon gateway_logoff resume resolve_order resolve_difference
        set_fault clear_faults set_risk
        create_token query_tokens revoke_token query_access
        add_source change_source remove_source connect_proquant adjust_strategy
    """,
}
"""The scope that each command needs: a new command has to be thought over here."""
EVERY_ACCOUNT = """
    query_journal query_faults set_order_route set_primary_exchange call_endpoint
    shutdown gateway_logon gateway_logoff resume resolve_order resolve_difference set_fault clear_faults set_risk
    create_token query_tokens revoke_token query_access
    add_source change_source remove_source connect_proquant adjust_strategy
"""
"""Commands that concern every account: not for who is kept to some."""
URGENT = "cancel_order global_cancel cancel_exits halt flatten"
"""Commands that no request limit holds back."""
NEEDS = {name: scope for scope, names in SCOPES.items() for name in names.split()}
TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
OTHER = {**TERMS, "account": "PAPER_CASH"}
WRONG = {"no_such_argument": 1}
"""Whoever may give a command is told of this argument; whoever may not does not get so far."""


class Holder:
    """A token's holder, by every way in."""

    def __init__(self, daemon: Daemon, name: str, **grant: Any) -> None:
        made = daemon.call("create_token", name=name, **grant)
        self.daemon = daemon
        self.name = name
        self.token: str = made["token"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.token}"

    def ask(self, method: str, **arguments: Any) -> requests.Response:
        return self.session.post(f"{self.daemon.url}/{method}", json=arguments, timeout=PATIENCE)

    def call(self, method: str, **arguments: Any) -> Any:
        answer = self.ask(method, **arguments)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stream(self, options: Any) -> Stream:
        stream = Stream(self.daemon)
        stream.expect(".connected:")
        stream.send(f"auth {self.name} {self.token} {json.dumps(options)}")
        stream.expect(".Authorized")
        return stream


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon().start().up()
    daemon.call("add_symbol", symbol="IBM")
    return daemon


@pytest.fixture(scope="module")
def holders(daemon: Daemon) -> dict[str, Holder]:
    return {scope: Holder(daemon, f"all-{scope}", scopes=scope) for scope in SCOPES}


@pytest.fixture(scope="module")
def kept(daemon: Daemon) -> Holder:
    """Everything but to one account."""
    return Holder(daemon, "kept", scopes="read,trade,approve,admin", accounts="API_ACCOUNT")


# ---------------------------------------------------------------- scopes


def test_every_command_has_been_thought_over(daemon: Daemon) -> None:
    assert set(NEEDS) == set(daemon.call("help"))
    document = daemon.rpc("rpc.discover")["result"]
    assert {each["name"] for each in document["methods"]} == set(NEEDS)


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_reaches_its_commands_and_no_others(holders: dict[str, Holder], scope: str) -> None:
    for name, needed in NEEDS.items():
        answer = holders[scope].ask(name, **WRONG)
        if Right(needed) in INCLUDES[Right(scope)]:
            assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_ARGUMENT"), name
        else:
            assert (answer.status_code, answer.json()["reason"]) == (403, "NOT_ALLOWED"), name
            said = f"{name} needs the scope {needed}, which all-{scope} has not: an admin can grant it."
            assert answer.json()["errorMsg"] == said


def test_a_lower_scope_stops_the_command_and_not_only_its_arguments(daemon: Daemon, holders: dict[str, Holder]) -> None:
    before = daemon.call("query_orders")
    for name in ("market_order", "global_cancel", "shutdown", "approve_ticket"):
        assert holders["read"].ask(name, **TERMS, quantity=1).status_code == 403
    assert daemon.call("query_orders") == before
    assert daemon.call("status") == "Up"


def by_get(holder: Holder, name: str) -> str:
    answer = holder.session.get(f"{holder.daemon.url}/{name}", params=WRONG, timeout=PATIENCE)
    assert answer.status_code == (403 if answer.json()["reason"] == "NOT_ALLOWED" else 400)
    return str(answer.json()["reason"])


def rpc(holder: Holder, message: Any) -> Any:
    return holder.session.post(f"{holder.daemon.url}/rpc", json=message, timeout=PATIENCE).json()


def request(name: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": name, "params": WRONG}


def by_rpc(holder: Holder, name: str) -> str:
    error = rpc(holder, request(name))["error"]
    assert (error["code"] == -32003) is (error["data"]["reason"] == "NOT_ALLOWED")
    return str(error["data"]["reason"])


def by_batch(holder: Holder, name: str) -> str:
    first, last = rpc(holder, [request("status"), request(name)])
    assert first["error"]["data"]["reason"] == "BAD_ARGUMENT"
    return str(last["error"]["data"]["reason"])


def by_websocket(holder: Holder, name: str) -> str:
    socket = WebSocket(holder.daemon, holder.token)
    error = socket.call(name, WRONG)["error"]
    socket.close()
    assert (error["code"] == -32003) is (error["data"]["reason"] == "NOT_ALLOWED")
    return str(error["data"]["reason"])


def by_stream(holder: Holder, name: str) -> str:
    stream = holder.stream({})
    stream.send(f"call {name} {json.dumps(WRONG)}")
    error = stream.data("paper.result: ")["error"]
    stream.close()
    return str(error["reason"])


@pytest.mark.parametrize("way", [by_get, by_rpc, by_batch, by_websocket, by_stream])
def test_by_each_way_in_a_command_of_each_family(holders: dict[str, Holder], way: Any) -> None:
    for name in ("query_orders", "market_order", "halt", "approve_ticket", "revoke_token"):
        for scope, holder in holders.items():
            may = Right(NEEDS[name]) in INCLUDES[Right(scope)]
            assert way(holder, name) == ("BAD_ARGUMENT" if may else "NOT_ALLOWED"), (name, scope)


def test_the_streams_own_words_too(holders: dict[str, Holder]) -> None:
    stream = holders["read"].stream({})
    for line, name in (
        ("marketorder API_ACCOUNT DEMO IBM 1", "market_order"),
        ("globalcancel", "global_cancel"),
        ("shutdown now", "shutdown"),
        ("setaccount API_ACCOUNT", "set_account"),
    ):
        stream.send(line)
        stream.expect(f".error: {name} needs the scope {NEEDS[name]}, which all-read has not")
    stream.send("positions")
    stream.expect("paper.positions: ")
    stream.close()


def test_a_notification_that_is_not_allowed_does_nothing(daemon: Daemon, holders: dict[str, Holder]) -> None:
    before = daemon.call("query_executions")
    message = {"jsonrpc": "2.0", "method": "market_order", "params": {**TERMS, "quantity": 1}}
    answer = holders["read"].session.post(f"{daemon.url}/rpc", json=message, timeout=PATIENCE)
    assert (answer.status_code, answer.content) == (204, b"")
    assert daemon.call("query_executions") == before


# ---------------------------------------------------------------- accounts, symbols, worth


def test_who_is_kept_to_an_account_gives_no_command_that_concerns_all(kept: Holder) -> None:
    for name in NEEDS:
        answer = kept.ask(name, **WRONG)
        if name in EVERY_ACCOUNT.split():
            assert answer.status_code == 403, name
            assert answer.json()["errorMsg"] == f"{name} concerns every account, and kept is kept to API_ACCOUNT."
        else:
            assert answer.status_code == 400, name


def test_who_is_kept_to_an_account_sees_nothing_of_others(daemon: Daemon, kept: Holder) -> None:
    mine = daemon.call("market_order", **TERMS, quantity=1)["permid"]
    theirs = daemon.call("market_order", **OTHER, quantity=1)["permid"]
    ticket = daemon.call("stage_market_order", tag="t", **OTHER, quantity=1)["permid"]
    resting = daemon.call("limit_order", **OTHER, limit_price=1, quantity=1)["permid"]
    (execution,) = daemon.call("query_order_executions", id=theirs)

    assert kept.call("query_accounts") == ["API_ACCOUNT"]
    assert kept.call("query_account", account="PAPER_CASH") is None
    assert kept.call("query_account", account="API_ACCOUNT")["_cash"]
    assert set(kept.call("query_balances")) == {"API_ACCOUNT"}
    assert kept.call("query_balances", account="PAPER_CASH")["reason"] == "UNKNOWN_ACCOUNT"
    assert set(kept.call("query_positions")) == {"API_ACCOUNT"}
    assert kept.call("query_venues")["paper"]["accounts"] == ["API_ACCOUNT"]
    assert kept.call("query_order", id=mine)["permid"] == mine
    for hidden in (theirs, ticket, resting):
        assert kept.call("query_order", id=hidden) is None
        assert kept.call("explain_order", id=hidden) is None
        assert kept.call("query_order_executions", id=hidden) == {}
    assert kept.call("explain_order", id=mine)["order"]["permid"] == mine
    assert kept.call("query_execution", id=execution) is None
    for name in ("query_orders", "query_open_orders", "query_tickets", "query_executions"):
        for arguments in ({}, {"account": "PAPER_CASH"}, {"since": "2020-01-01"}):
            if "since" in arguments and name == "query_open_orders":
                continue
            found = kept.call(name, **arguments).values()
            accounts = {each.get("account", each.get("ACCOUNT")) for each in found}
            assert accounts <= {"API_ACCOUNT"}, (name, arguments)
    assert kept.call("query_differences", all=True) == []
    assert mine in kept.call("query_orders")
    assert kept.call("set_account", account="PAPER_CASH") is False


def test_who_is_kept_to_an_account_cannot_touch_others(daemon: Daemon, kept: Holder) -> None:
    resting = daemon.call("limit_order", **OTHER, limit_price=1, quantity=1)["permid"]
    own = daemon.call("limit_order", **TERMS, limit_price=1, quantity=1)["permid"]
    ticket = daemon.call("stage_market_order", tag="t", **OTHER, quantity=1)["permid"]
    for name, arguments in (
        ("cancel_order", {"id": resting}),
        ("replace_order", {"id": resting, "quantity": 2}),
        ("approve_ticket", {"id": ticket}),
        ("reject_ticket", {"id": ticket}),
    ):
        assert kept.call(name, **arguments)["reason"] == "NO_SUCH_ORDER", name
    for name in ("market_order", "stage_market_order"):
        more = {"tag": "t"} if name.startswith("stage") else {}
        refused = kept.call(name, **OTHER, **more, quantity=1, client_order_id="a-key-of-theirs")
        assert (refused["status"], refused["reason"]) == ("Error", "NOT_ALLOWED")
        assert refused["errorMsg"] == "kept may not trade account 'PAPER_CASH': an admin can grant it."
    assert daemon.call("market_order", **OTHER, quantity=1, client_order_id="a-key-of-theirs")["status"] == "Filled"
    kept.call("global_cancel")
    until(lambda: daemon.call("query_order", id=own)["status"] == "Cancelled", daemon)
    assert daemon.call("query_order", id=resting)["status"] == "Accepted"
    assert daemon.call("query_order", id=ticket)["order_status"] == "STAGED"


def test_who_is_kept_to_an_account_halts_that_and_no_more(daemon: Daemon, kept: Holder) -> None:
    for scope in ("gateway", "account:PAPER_CASH", "symbol:IBM", "venue:paper", "owner:txtrader_user"):
        answer = kept.ask("halt", reason="mine", scope=scope)
        assert (answer.status_code, answer.json()["reason"]) == (403, "NOT_ALLOWED"), scope
    daemon.call("halt", reason="theirs", scope="account:PAPER_CASH")
    assert kept.call("halt", reason="mine", scope="account:API_ACCOUNT")
    assert {each["scope"] for each in kept.call("query_halts")} == {"account:API_ACCOUNT"}
    for scope in ("account:API_ACCOUNT", "account:PAPER_CASH"):
        daemon.call("resume", scope=scope)


def test_who_is_kept_to_a_symbol_touches_no_other(daemon: Daemon) -> None:
    kept = Holder(daemon, "one-symbol", scopes="trade,approve", accounts="API_ACCOUNT", symbols="MSFT")
    theirs = daemon.call("limit_order", **TERMS, limit_price=1, quantity=1)["permid"]
    own = kept.call("limit_order", **{**TERMS, "symbol": "MSFT"}, limit_price=1, quantity=1)["permid"]
    ticket = daemon.call("stage_market_order", tag="t", **TERMS, quantity=1)["permid"]
    for name, arguments in (
        ("cancel_order", {"id": theirs}),
        ("replace_order", {"id": theirs, "quantity": 2}),
        ("cancel_exits", {"id": theirs}),
        ("approve_ticket", {"id": ticket}),
        ("reject_ticket", {"id": ticket}),
    ):
        refused = kept.call(name, **arguments)
        assert (refused["reason"], refused["errorMsg"]) == ("NOT_ALLOWED", "This login may not trade IBM, only MSFT.")
    for scope in ("gateway", "account:API_ACCOUNT", "symbol:IBM", "symbol:MSFT"):
        for name in ("halt", "flatten"):
            answer = kept.ask(name, reason="mine", scope=scope)
            assert answer.status_code == 403, (name, scope)
            assert f"may not halt or flatten {scope}, only owner:" in answer.json()["errorMsg"]
    kept.call("global_cancel")
    until(lambda: daemon.call("query_order", id=own)["status"] == "Cancelled", daemon)
    assert daemon.call("query_order", id=theirs)["status"] == "Accepted"
    assert daemon.call("query_order", id=ticket)["order_status"] == "STAGED"


EVENTS = {
    "order-notification": 1,
    "order-data": 1,
    "ticket-data": 1,
    "execution-notification": 1,
    "execution-data": 1,
    "position-data": 1,
}


def test_who_is_kept_to_an_account_hears_nothing_of_others(daemon: Daemon, kept: Holder) -> None:
    """Live and resumed: the same events, in the same order, and none of another account."""
    live = kept.stream({**EVENTS, "position": True})
    seq = int(next(line for line in live.heard if line.startswith(".Authorized")).split()[2])
    for terms in (OTHER, TERMS, OTHER):
        daemon.call("market_order", **terms, quantity=1)
        daemon.call("market_order", **{**terms, "symbol": "NOSUCH"}, quantity=1)
        daemon.call("stage_market_order", tag="t", **terms, quantity=1)
        daemon.call("set_account", account=terms["account"])
    last = daemon.call("stage_market_order", tag="last", **TERMS, quantity=1)["permid"]

    def heard(stream: Stream) -> list[str]:
        stream.expect(lambda line: line.startswith("paper.ticket-data ") and last in line)
        told = [line for line in stream.heard if not re.match(r"paper\.(time|current|accounts|error)|\.", line)]
        stream.close()
        return told

    resumed = kept.stream({**EVENTS, "resume": seq})
    first, second = heard(live), heard(resumed)
    assert first == second
    assert any("execution-data" in line for line in first)
    assert any("position-data" in line for line in first)
    everything = "\n".join([*live.heard, *resumed.heard])
    assert "API_ACCOUNT" in everything
    assert "PAPER_CASH" not in everything


def test_a_websocket_hears_nothing_of_other_accounts_either(daemon: Daemon, kept: Holder) -> None:
    socket = WebSocket(daemon, kept.token)
    socket.say({"options": {"order": True, "execution": True, "position-data": True, "ticket": True}})
    socket.expect(type="listening")
    for terms in (OTHER, TERMS):
        daemon.call("market_order", **terms, quantity=1)
    last = daemon.call("stage_market_order", tag="t", **TERMS, quantity=1)["permid"]
    while True:
        message = socket.expect()
        assert "PAPER_CASH" not in json.dumps(message)
        if message.get("type") == "ticket" and message["data"]["permid"] == last:
            break
    socket.close()


def test_symbols_and_worth_are_checked_in_the_order_path(daemon: Daemon) -> None:
    price = daemon.call("query_symbol", symbol="IBM")["last"]
    holder = Holder(daemon, "small", scopes="trade,approve", symbols="ibm,MSFT", max_notional=10 * price)
    order = holder.call("market_order", **TERMS, quantity=1)
    assert (order["status"], order["owner"]) == ("Filled", "small")
    refused = holder.call("market_order", **{**TERMS, "symbol": "AAPL"}, quantity=1, client_order_id="small-1")
    assert (refused["status"], refused["reason"]) == ("Error", "NOT_ALLOWED")
    assert refused["errorMsg"] == "This login may not trade AAPL, only IBM, MSFT: an admin can grant it."
    again = holder.call("market_order", **{**TERMS, "symbol": "AAPL"}, quantity=1, client_order_id="small-1")
    assert (again["permid"], again["replayed"]) == (refused["permid"], True)
    assert "OrderDenied" in [each["kind"] for each in daemon.call("explain_order", id="small-1")["story"]]
    for name, more in (
        ("market_order", {"quantity": 20}),
        ("market_order", {"quantity": -20}),
        ("limit_order", {"limit_price": 1, "quantity": -20}),
        ("limit_order", {"limit_price": round(3 * price, 2), "quantity": 5}),
        ("stop_order", {"stop_price": 1, "quantity": 20}),
        ("stoplimit_order", {"stop_price": 1, "limit_price": 1, "quantity": -20}),
        ("stage_market_order", {"tag": "t", "quantity": 20}),
    ):
        refused = holder.call(name, **TERMS, **more)
        assert (refused["status"], refused["reason"]) == ("Error", "NOT_ALLOWED"), (name, more)
        assert re.match(r"This login may send orders worth [\d.]+ at most, and this one is worth ", refused["errorMsg"])
    resting = holder.call("limit_order", **TERMS, limit_price=1, quantity=20)
    assert resting["status"] == "Accepted", "20 for 1 each are worth 20"
    assert holder.call("replace_order", id=resting["permid"], limit_price=round(price, 2))["reason"] == "NOT_ALLOWED"
    ticket = daemon.call("stage_market_order", tag="t", **TERMS, quantity=20)
    assert holder.call("approve_ticket", id=ticket["permid"])["reason"] == "NOT_ALLOWED"


# ---------------------------------------------------------------- tokens


def test_a_token_by_each_way_in(daemon: Daemon, holders: dict[str, Holder]) -> None:
    token = holders["read"].token
    for auth in ((token, ""), ("", token), ("all-read", token), ("txtrader_user", token)):
        answer = requests.get(f"{daemon.url}/status", auth=auth, timeout=PATIENCE)
        assert answer.status_code == (200 if auth[1] else 401), auth
    answer = requests.get(f"{daemon.url}/status", headers={"Authorization": "bearer " + token}, timeout=PATIENCE)
    assert answer.json() == "Up"


def test_a_token_survives_kills_and_restarts_and_is_revoked_at_once(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    holder = Holder(daemon, "bot", scopes="read,trade", accounts="API_ACCOUNT")
    Holder(daemon, "gone", scopes="read")
    assert daemon.call("revoke_token", name="gone") is True
    secret = holder.token.encode()
    for ending in (daemon.kill, daemon.stop):
        ending()
        daemon.start().up()
        assert holder.call("query_accounts") == ["API_ACCOUNT"]
        assert [each["name"] for each in daemon.call("query_tokens")] == ["bot"]
    for path in filter(lambda path: path.is_file(), daemon.folder.rglob("*")):
        assert secret not in path.read_bytes(), f"{path} has the token in it"
    stream, socket = holder.stream({}), WebSocket(daemon, holder.token)
    assert daemon.call("revoke_token", name="bot") is True
    told = stream.until_closed()
    assert told[-1].startswith(".error: your login has been changed, has expired or was taken back")
    assert "taken back" in json.dumps(socket.until_closed())
    assert holder.ask("status").status_code == 401
    assert daemon.call("query_tokens") == []
    daemon.stop()
    daemon.start().up()
    assert holder.ask("status").status_code == 401


def test_a_token_expires_by_the_clock(daemon: Daemon) -> None:
    for text in ("soon", "2020-01-01", "2999-13-01"):
        answer = daemon.get("create_token", name="never", scopes="read", expires=text)
        assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_ARGUMENT"), text

    def used(seconds: int) -> tuple[Holder, Stream] | None:
        """A token's holder and stream; none when the machine stood still for so long that it had expired before."""
        ends = int(time.time()) + seconds
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
        try:
            holder = Holder(daemon, f"brief-{seconds}", scopes="read", expires=at)
            stream = holder.stream({})
            assert holder.ask("status").status_code == 200
        except AssertionError:
            if time.time() < ends:
                raise
            return None
        return holder, stream

    holder, stream = next(filter(None, map(used, (3, 10, 30))))
    assert "has expired" in stream.until_closed()[-1]
    assert holder.ask("status").status_code == 401
    assert [each["expired"] for each in daemon.call("query_tokens") if each["name"] == holder.name] == [True]


@pytest.mark.parametrize(
    "given",
    [
        {"name": "", "scopes": "read"},
        {"name": "a b", "scopes": "read"},
        {"name": "x" * 65, "scopes": "read"},
        {"name": "x", "scopes": ""},
        {"name": "x", "scopes": "root"},
        {"name": "x", "scopes": "read,"},
        {"name": "x", "scopes": "read", "accounts": ","},
        {"name": "x", "scopes": "read", "max_notional": "NaN"},
        {"name": "x", "scopes": "read", "max_notional": "-1"},
        {"name": "x", "scopes": {"read": True}},
        {"name": "x"},
    ],
)
def test_no_token_is_made_of_nonsense(daemon: Daemon, given: dict[str, Any]) -> None:
    answer = daemon.session.post(f"{daemon.url}/create_token", json=given, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_ARGUMENT"), answer.text


def test_what_an_admin_does_is_in_the_journal(daemon: Daemon) -> None:
    daemon.call("query_tokens")  # what came before is on disk
    seq = 0
    while page := daemon.call("query_journal", after=seq, limit=1000):
        seq = page[-1]["seq"]
    daemon.call("create_token", name="watched", scopes="read")
    daemon.call("gateway_logon", username="me", password="s3cret-word")
    daemon.call("revoke_token", name="watched")
    daemon.call("query_tokens")
    records = daemon.call("query_journal", after=seq, kind="AdminActed,TokenCreated,TokenRevoked")
    assert [each["kind"] for each in records] == [
        *("AdminActed", "TokenCreated", "AdminActed", "AdminActed", "TokenRevoked")
    ]
    acts = [each["event"] for each in records if each["kind"] == "AdminActed"]
    assert [each["command"] for each in acts] == ["create_token", "gateway_logon", "revoke_token"]
    assert {(each["user"], each["host"], each["origin"]) for each in acts} == {("txtrader_user", "127.0.0.1", "rpc")}
    assert acts[0]["arguments"] == "name=watched, scopes=read"
    assert "s3cret" not in json.dumps(records)


# ---------------------------------------------------------------- users


def users(daemon: Daemon, *arguments: str, word: str = "") -> subprocess.CompletedProcess[str]:
    """`txgateway users …` in the daemon's environment."""
    command = [sys.executable, "-m", "txgateway_client", "users", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=daemon.environ, input=word, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def as_user(daemon: Daemon, name: str, word: str, method: str = "query_accounts") -> requests.Response:
    return requests.get(f"{daemon.url}/{method}", auth=(name, word), timeout=PATIENCE)


def test_users_of_the_command_line_come_in_are_changed_and_removed(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    made = users(
        daemon, "add", "alice", "--scope", "trade", "--account", "PAPER_CASH", "--password-stdin", word="wonderland\n"
    )
    assert (made.returncode, made.stdout) == (0, "alice may come in: trade on PAPER_CASH.\n"), made.stderr
    assert made.stderr == ""
    words = ("--scope", "read", "--account", "NOPE", "--account", "PAPER_CASH", "--password-stdin")
    strange = users(daemon, "add", "carol", *words, word="long-enough\n")
    assert strange.returncode == 0
    assert "warning: the configuration names no account NOPE, only API_ACCOUNT, PAPER_CASH" in strange.stderr
    assert users(daemon, "remove", "carol").returncode == 0
    file = daemon.folder / "users.json"
    assert (file.stat().st_mode & 0o777, b"wonderland" in file.read_bytes()) == (0o600, False)
    daemon.start().up()
    assert as_user(daemon, "alice", "wonderland").json() == ["PAPER_CASH"]
    assert as_user(daemon, "alice", "wonderlands").status_code == 401
    stream = Stream(daemon)
    stream.expect(".connected:")
    stream.send("auth alice wonderland {}")
    stream.send("accounts")
    stream.expect(".accounts: ['PAPER_CASH']")

    changed = users(daemon, "password", "alice", "--generate")
    word = changed.stdout.splitlines()[1]
    until(lambda: as_user(daemon, "alice", word).status_code == 200, daemon)
    assert as_user(daemon, "alice", "wonderland").status_code == 401
    assert "log in again" in stream.until_closed()[-1]

    assert "bob" not in users(daemon, "list").stdout
    assert users(daemon, "add", "bob", "--scope", "read", "--password-stdin", word="builder-1\n").returncode == 0
    until(lambda: as_user(daemon, "bob", "builder-1").status_code == 200, daemon)
    assert as_user(daemon, "bob", "builder-1", "halt?reason=x").status_code == 403
    listed = users(daemon, "list").stdout
    assert re.search(r"^alice +trade on PAPER_CASH  \(by .+ on .+\)$", listed, re.MULTILINE)
    assert [each["name"] for each in daemon.call("query_access")["users"]] == ["txtrader_user", "alice", "bob"]
    assert users(daemon, "remove", "bob").returncode == 0
    until(lambda: as_user(daemon, "bob", "builder-1").status_code == 401, daemon)

    records = daemon.call("query_journal", kind="UserChanged,UserRemoved")
    told = [(each["kind"], each["event"]["name"]) for each in records]
    assert told == [("UserChanged", "alice"), ("UserChanged", "alice"), ("UserChanged", "bob"), ("UserRemoved", "bob")]
    assert all(each["event"]["by"] for each in records)
    assert "argon2" not in json.dumps(records)
    daemon.kill()
    daemon.start().up()
    assert as_user(daemon, "alice", word).status_code == 200
    assert len(daemon.call("query_journal", kind="UserChanged,UserRemoved")) == 4


def test_the_command_line_refuses_nonsense(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    for arguments, word, said in (
        (
            ("add", "txtrader_user", "--scope", "read", "--password-stdin"),
            "long enough",
            "in the configuration already",
        ),
        (("add", "a:b", "--scope", "read", "--password-stdin"), "longenough", "without spaces and colons"),
        (("add", "alice", "--scope", "read", "--password-stdin"), "short", "8 to 1000 characters"),
        (("add", "alice", "--scope", "read", "--password-stdin"), "two words", "password without spaces"),
        (("add", "alice", "--scope", "root", "--password-stdin"), "longenough", "root"),
        (("add", "alice", "--scope", "read", "--max-notional", "x", "--password-stdin"), "longenough", "above zero"),
        (("remove", "nobody"), "", "There is no user nobody"),
        (("password", "nobody", "--generate"), "", "There is no user nobody"),
    ):
        ended = users(daemon, *arguments, word=word + "\n")
        assert ended.returncode != 0, arguments
        assert said in ended.stderr, ended.stderr
        assert "Traceback" not in ended.stderr
    assert not (daemon.folder / "users.json").exists()


def test_a_broken_file_of_users_stops_a_start_and_changes_nothing_later(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    users(daemon, "add", "alice", "--scope", "read", "--password-stdin", word="wonderland\n")
    daemon.start().up()
    file = daemon.folder / "users.json"
    good = file.read_text()
    for broken in ("{", "[]", '{"alice": {}}', good.replace("read", "root")):
        at = daemon.log.stat().st_size
        file.write_text(broken)
        until(lambda at=at: "nobody is let in or out" in daemon.log.read_text()[at:], daemon)
        assert as_user(daemon, "alice", "wonderland").status_code == 200
    daemon.stop()
    ended = daemon.run()
    assert ended.returncode == 1
    assert "users.json" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_users_of_the_toml_file(make_daemon: MakeDaemon, tmp_path: Any) -> None:
    daemon = make_daemon()
    hashed = users(daemon, "hash", "--password-stdin", word="wonderland\n").stdout.strip()
    toml = tmp_path / "txgateway.toml"
    table = f'[users.carol]\npassword_hash = "{hashed}"\nscopes = ["read"]\nmax_notional = 1000\n'
    toml.write_text(table + '[users.dave]\nscopes = "read"\n[users.eve]\npassword_hash = "x"\nscopes = ["root"]\n')
    daemon.environment["CONFIG"] = str(toml)
    ended = daemon.run("--check")
    assert ended.returncode == 2
    assert ended.stderr.count("[users.dave]") == 2
    assert ended.stderr.count("[users.eve]") == 2
    toml.write_text(table)
    daemon.start().up()
    assert as_user(daemon, "carol", "wonderland").status_code == 200
    assert as_user(daemon, "carol", "wonderland", "halt?reason=x").status_code == 403
    assert hashed not in daemon.run("--check").stdout


# ---------------------------------------------------------------- failed logins, limits


def test_failed_logins_are_slow_counted_and_lock_nobody_else_out(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(LOGIN_DELAY="5").start().up()
    begun = time.monotonic()
    for at in range(3):
        assert as_user(daemon, "txtrader_user", f"guess-{at}").status_code == 401
    assert time.monotonic() - begun >= 0.25 + 0.5 + 1.0 - 0.05
    assert daemon.call("status") == "Up"
    told = daemon.call("query_access")
    assert told["failed_logins"] == 3
    source = told["sources"][0]
    assert (source["host"], source["user"], source["failed_logins"]) == ("127.0.0.1", "txtrader_user", 3)
    assert "guess" not in daemon.log.read_text()
    assert "wrong login of 'txtrader_user' from 127.0.0.1" in daemon.log.read_text()


def test_requests_above_the_limit_are_refused_by_each_way_in_but_cancels(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(REQUEST_RATE="1").start()
    until(lambda: daemon.get("cancel_order", id="x").status_code == 200, daemon)
    order = "no-such-order"

    until(lambda: daemon.get("status").status_code == 429, daemon)
    answers = [daemon.get("uptime") for _ in range(5)]
    refused = [each for each in answers if each.status_code == 429]
    assert refused[0].json()["reason"] == "TOO_MANY_REQUESTS"
    assert "txtrader_user sends too many requests" in refused[0].json()["errorMsg"]
    batch = [{"jsonrpc": "2.0", "id": at, "method": "status"} for at in range(10)]
    told = daemon.session.post(f"{daemon.url}/rpc", json=batch, timeout=PATIENCE).json()
    assert told[-1]["error"]["code"] == -32006
    socket = WebSocket(daemon)
    socket.call("status", {})
    assert socket.call("status", {})["error"]["data"]["reason"] == "TOO_MANY_REQUESTS"
    stream = Stream(daemon, {})
    stream.send("positions")
    stream.send("positions")
    stream.expect(".error: txtrader_user sends too many requests")
    for _ in range(50):
        assert daemon.call("cancel_order", id=order)["reason"] == "NO_SUCH_ORDER"
        assert daemon.call("global_cancel") == "global cancel requested"


def test_what_is_urgent_is_said(daemon: Daemon) -> None:
    from txgateway.api import COMMANDS

    assert {name for name, each in COMMANDS.items() if each.urgent} == set(URGENT.split())


def test_who_is_kept_to_an_account_sees_its_limits_and_their_use_and_nobody_elses(daemon: Daemon) -> None:
    holder = Holder(daemon, "risk-watcher", scopes="read,trade", accounts="PAPER_CASH")
    daemon.call("set_risk", scope="account:API_ACCOUNT", limit="max_quantity", value=77777)
    daemon.call("set_risk", scope="account:PAPER_CASH", limit="max_quantity", value=88888)
    daemon.call("limit_order", **TERMS, limit_price=1, quantity=1)
    holder.call("limit_order", **OTHER, limit_price=1, quantity=1)
    report = holder.call("query_risk")
    assert {each["scope"] for each in report["limits"]} == {"gateway", "owner:*", "account:PAPER_CASH"}
    assert {each["scope"] for each in report["use"]} == {"account:PAPER_CASH", "owner:risk-watcher"}
    assert all(set(each["holdings"]) == {"PAPER_CASH IBM"} for each in report["use"])
    assert holder.call("query_risk", scope="account:PAPER_CASH")["use"][0]["scope"] == "account:PAPER_CASH"
    for scope in ("gateway", "account:API_ACCOUNT", "symbol:IBM", "owner:txtrader_user"):
        assert holder.ask("query_risk", scope=scope).status_code == 403
    assert holder.ask("set_risk", scope="account:PAPER_CASH", limit="max_quantity", value=1).status_code == 403
