"""The `txgateway` command against a gateway on a real socket: what it sends, writes, asks, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import EntryPoint
from typing import Any

import click
import pytest
import pytest_twisted
from click.testing import CliRunner, Result
from twisted.internet.threads import deferToThread

from txgateway_client import GatewayUnreachable, cli
from txgateway_client.errors import EXIT_CODES
from txgateway_client.subcommands import subcommands
from txgateway_client.terminal import Terminal

Run = Callable[..., Awaitable[Result]]

ORDERS = {
    "A1": {
        "permid": "A1",
        "symbol": "IBM",
        "side": "BUY",
        "quantity": 100,
        "order_type": "LIMIT",
        "limit_price": 183.5,
        "status": "Accepted",
        "order_status": "NEW",
        "raw": {"SECRET": 1},
    },
    "A2": {"permid": "A2", "symbol": "SPY", "side": "SELL", "quantity": 5, "status": "Filled", "avgfillprice": 168.0},
}


@pytest.fixture
def run(config: dict[str, object]) -> Run:
    """Runs the command in a thread, configured by the environment."""
    environment = {name: str(value) for name, value in config.items()}

    def start(*arguments: str, text: str = "", **more: str) -> Awaitable[Result]:
        return deferToThread(CliRunner().invoke, cli.cli, list(arguments), input=text, env={**environment, **more})

    return start


@pytest_twisted.ensureDeferred
async def test_json_where_no_terminal_is(run: Run) -> None:
    result = await run("status")
    assert (result.exit_code, result.stdout, result.stderr) == (0, '"Up"\n', "")
    result = await run("query_accounts")
    assert json.loads(result.stdout) == ["API_ACCOUNT"]


@pytest.mark.parametrize("arguments", [("--compress", "query_orders"), ("query_orders", "-c"), ("-c", "query-orders")])
@pytest_twisted.ensureDeferred
async def test_json_on_one_line(gateway: Any, run: Run, arguments: tuple[str, ...]) -> None:
    gateway.answers["query_orders"] = ORDERS
    result = await run(*arguments)
    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout) == ORDERS


@pytest_twisted.ensureDeferred
async def test_faults_have_a_roof_of_their_own(gateway: Any, run: Run) -> None:
    fault = {"fault": "late_fill", "chance": 0.5, "count": None, "seconds": 2.0, "symbol": "IBM", "happened": 0}
    gateway.answers["query_faults"] = {"known": {"late_fill": "A fill is late."}, "venues": {"paper": [fault]}}
    gateway.answers["set_fault"] = [fault]
    gateway.answers["clear_faults"] = {"paper": []}
    result = await run("faults", "list", "--table")
    assert ["paper", "late_fill", "0.5", "2", "IBM", "0"] in [line.split() for line in result.stdout.splitlines()]
    assert "late_fill  A fill is late." in result.stdout
    words = ["set", "late_fill", "--chance", "0.5", "--seconds", "2", "--symbol", "ibm", "--count", "3"]
    result = await run("faults", *words)
    assert json.loads(result.stdout) == [fault]
    given = {"fault": "late_fill", "chance": "0.5", "seconds": 2, "symbol": "IBM", "count": 3}
    assert gateway.called("set_fault") == [given]
    result = await run("faults", "clear", "--table")
    assert (result.exit_code, result.stdout) == (0, "(none)\n")
    assert (await run("faults", "set", "late_fill", "--count", "0")).exit_code == 2


SOURCE = {
    "name": "tv",
    "kind": "tradingview",
    "account": "A1",
    "venue": "paper",
    "url": "http://gw/webhooks/tradingview/tv",
    "settings": {"shadow": True},
    "received": 3,
    "message": None,
}


@pytest_twisted.ensureDeferred
async def test_a_new_source_shows_what_to_paste(gateway: Any, run: Run) -> None:
    made = {**SOURCE, "message": '{\n  "secret": "s3cret"\n}', "place": "Paste it there."}
    gateway.answers["add_source"] = made
    words = ("--venue", "paper", "--account", "A1", "--shadow", "true", "--size", "2.5", "--symbols", "A=B")
    result = await run("source", "add", "tradingview", *words, "--table")
    assert result.stdout.splitlines() == [
        "tv takes signals of tradingview for account A1 at paper.",
        "Paste it there.",
        "",
        "URL:",
        "http://gw/webhooks/tradingview/tv",
        "",
        "Message:",
        "{",
        '  "secret": "s3cret"',
        "}",
        "",
        "The secret is shown this once: `txgateway source change tv --new-secret` makes another.",
    ]
    given = {
        "kind": "tradingview",
        "venue": "paper",
        "account": "A1",
        "shadow": "true",
        "size": "2.5",
        "symbols": "A=B",
    }
    assert gateway.called("add_source") == [given]
    assert json.loads((await run("source", "add", "tradingview")).stdout) == made


@pytest_twisted.ensureDeferred
async def test_sources_are_listed_shown_changed_and_removed(gateway: Any, run: Run) -> None:
    gateway.answers.update(query_sources=[SOURCE], change_source=SOURCE, remove_source=True)
    listed = (await run("source", "list", "--table")).stdout.splitlines()
    assert listed[1].split() == ["tv", "tradingview", "A1", "paper", "shadow=yes", "3", SOURCE["url"]]
    shown = (await run("source", "show", "tv", "--table")).stdout
    assert "settings  shadow=yes" in shown
    await run("source", "change", "tv", "--new-secret", "--max-age", "")
    assert gateway.called("change_source") == [{"name": "tv", "new_secret": True, "max_age": ""}]
    assert (await run("source", "change", "tv", "--order-type", "", "--tif", "", "--shadow", "true")).exit_code == 0
    assert gateway.called("change_source")[1:] == [
        {"name": "tv", "order_type": "", "time_in_force": "", "shadow": "true", "new_secret": False}
    ]
    assert (await run("source", "change", "tv", "--order-type", "stop")).exit_code == 2
    assert (await run("source", "remove", "tv")).exit_code == 0
    assert (await run("source", "remove", "tv", "--force")).exit_code == 0
    assert gateway.called("remove_source") == [{"name": "tv", "force": False}, {"name": "tv", "force": True}]
    gateway.answers.update(query_sources={"status": "Error", "errorMsg": "No.", "reason": "NO_SUCH_SOURCE"})
    result = await run("source", "show", "none", "--table")
    assert (result.exit_code, result.stdout) == (1, "No. (NO_SUCH_SOURCE)\n")


@pytest.mark.parametrize("arguments", [("--table", "query_orders"), ("query_orders", "--table")])
@pytest_twisted.ensureDeferred
async def test_a_table_when_it_is_asked_for(gateway: Any, run: Run, arguments: tuple[str, ...]) -> None:
    gateway.answers["query_orders"] = ORDERS
    result = await run(*arguments)
    assert result.stdout.splitlines() == [
        "ID    SYMBOL    SIDE      QUANTITY  TYPE      LIMIT    AVERAGE  STATUS",
        "A1    IBM       BUY            100  LIMIT     183.5             NEW",
        "A2    SPY       SELL             5                         168  Filled",
    ]


@pytest_twisted.ensureDeferred
async def test_what_is_said_after_the_command_comes_first(run: Run) -> None:
    assert (await run("--table", "status", "--json")).stdout == '"Up"\n'
    assert (await run("--json", "status", "--table")).stdout == "Up\n"


@pytest_twisted.ensureDeferred
async def test_a_table_on_a_terminal(gateway: Any, config: dict[str, object]) -> None:
    gateway.answers["query_positions"] = {"API_ACCOUNT": {"IBM": -100}}

    def on_terminal() -> tuple[str, int]:
        ours, theirs = pty.openpty()
        environment = {**os.environ, **{name: str(value) for name, value in config.items()}}
        process = subprocess.Popen(
            [sys.executable, "-m", "txgateway_client", "query_positions"], stdout=theirs, env=environment
        )
        os.close(theirs)
        written = b""
        while part := _read(ours):
            written += part
        os.close(ours)
        return written.decode(), process.wait(60)

    written, code = await deferToThread(on_terminal)
    assert written.split("\r\n") == ["ACCOUNT      SYMBOL      QUANTITY", "API_ACCOUNT  IBM             -100", ""]
    assert code == 0


def _read(terminal: int) -> bytes:
    """What was written to a terminal; nothing at its end."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


@pytest_twisted.ensureDeferred
async def test_negative_quantities(gateway: Any, run: Run) -> None:
    for command in ("market_order", "market-order"):
        assert (await run(command, "ACC", "DEMO", "ibm", "-100")).exit_code == 0
    assert (await run("limit_order", "ACC", "DEMO", "IBM@ib", "-1.50", "-0.25", "--tif", "gtc")).exit_code == 0
    first, second = gateway.called("market_order")
    assert (first["symbol"], first["quantity"]) == ("IBM", -100)
    assert second["quantity"] == -100
    (limit,) = gateway.called("limit_order")
    assert {"limit_price": "-1.50", "quantity": "-0.25", "time_in_force": "GTC"}.items() <= limit.items()
    assert limit["symbol"] == "IBM@ib"


@pytest_twisted.ensureDeferred
async def test_last_prices_of_names_one_after_the_other_or_with_commas(gateway: Any, run: Run) -> None:
    none = {"price": None, "time": None, "reason": "UNKNOWN_SYMBOL", "text": "Symbol 'NO' is unknown."}
    found = {"IBM": {"price": 183.5, "time": "2013-10-07T13:31:00.250Z", "reason": None, "text": ""}, "NO": none}
    gateway.answers["query_last_prices"] = found
    result = await run("query_last_prices", "ibm", "btc/usdt@woo,no", "--table")
    assert gateway.called("query_last_prices") == [{"symbols": "IBM,BTC/USDT@woo,no"}]
    assert result.stdout.splitlines() == [
        "SYMBOL      PRICE  TIME                      REASON          TEXT",
        "IBM         183.5  2013-10-07 13:31:00.250Z",
        "NO                                           UNKNOWN_SYMBOL  Symbol 'NO' is unknown.",
    ]
    assert (await run("query-last-prices")).exit_code == 2
    assert (await run("query_last_prices", "IBM", "--wach")).exit_code == 2


@pytest_twisted.ensureDeferred
async def test_the_last_n_bars(gateway: Any, run: Run) -> None:
    gateway.answers["query_bars"] = [["2013-10-07", "09:31:00", 183.0, 183.2, 182.9, 183.1, 12345]]
    result = await run("query_bars", "ibm", "D", "-5", ".", "--table")
    assert gateway.called("query_bars") == [{"symbol": "IBM", "period": "D", "start": "-5", "end": "."}]
    assert result.stdout.splitlines()[1] == "2013-10-07  09:31:00     183   183.2  182.9    183.1     12345"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("market_order", "ACC", "DEMO", "IBM", "--forze"), "No such option"),
        (("market_order", "ACC", "DEMO", "IBM", "-x"), "No such option"),
        (("market_order", "ACC", "DEMO", "IBM", "many"), "'many' is no number"),
        (("market_order", "ACC", "DEMO", "IBM", "nan"), "'nan' is no number"),
        (("market_order", "ACC", "DEMO", "IBM"), "Missing argument 'QUANTITY'"),
        (("market_order", "ACC", "DEMO", "IBM", "1", "2"), "unexpected extra argument"),
        (("query_orders", "--limit", "0"), "Invalid value for '--limit'"),
        (("query_bars", "IBM", "hour", ".", "."), "period: 'hour' is neither minutes"),
        (("sell", "-100", "IBM", "--force"), "must be above zero"),
        (("buy", "0", "IBM", "--force"), "must be above zero"),
        (("submit", "HOLD", "1", "IBM"), "'HOLD' is not one of"),
        (("nonsense",), "No such command 'nonsense'"),
        (("-p", "http", "status"), "HTTP_PORT must be a port number"),
        (("completion", "tcsh"), "'tcsh' is not one of"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_usage(gateway: Any, run: Run, arguments: tuple[str, ...], said: str) -> None:
    result = await run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert not gateway.calls


@pytest_twisted.ensureDeferred
async def test_exit_codes_of_troubles(gateway: Any, run: Run, wire: Any, nobody: int) -> None:
    gateway.answers |= {"query_orders": wire.NOT_READY, "uptime": wire.Reply(500), "query_bars": wire.Reply(400, b"no")}
    order = ("market_order", "A", "R", "IBM", "1", "--client-order-id", "k1")
    for arguments, environment, code, said in (
        (("query_bars", "IBM", "5", ".", "."), {}, 2, "txgateway: query_bars: no\n"),
        (("status",), {"TXGATEWAY_HTTP_PORT": str(nobody)}, 3, "is txgatewayd running there?"),
        (("status",), {"TXGATEWAY_PASSWORD": "wrong"}, 4, "check TXGATEWAY_USERNAME"),
        (("query_orders",), {}, 5, "is not up yet"),
        (order, {}, 6, "(here: --client-order-id k1)\n"),
        (("uptime",), {}, 7, "answered HTTP 500"),
    ):
        gateway.trouble("market_order", *[wire.DROP] * 6)
        result = await run(*arguments, **environment)
        assert result.exit_code == code, arguments
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""
        assert "Traceback" in (await run("-v", *arguments, **environment)).stderr
        assert str(code) in (await run("--help")).stdout
        assert EXIT_CODES[code] in (await run("--help")).stdout


@pytest_twisted.ensureDeferred
async def test_negative_answers_end_with_1(gateway: Any, run: Run) -> None:
    gateway.answers |= {"query_order": None, "del_symbol": False, "query_symbols": [], "add_symbol": None}
    gateway.answers["cancel_order"] = {"status": "Error", "errorMsg": "Order not found", "id": "X"}
    for arguments, code in (
        (("query_order", "X"), 1),
        (("del_symbol", "X"), 1),
        (("add_symbol", "X"), 1),
        (("cancel_order", "X"), 1),
        (("market_order", "A", "R", "IBM", "0"), 1),
        (("buy", "1", "IBM", "--force"), 0),
        (("query_symbols",), 0),
    ):
        assert (await run(*arguments)).exit_code == code, arguments
    kept = {"permid": "X", "status": "Pending", "reason": "VENUE_DOWN", "errorMsg": "The cancel is kept."}
    gateway.answers["cancel_order"] = kept
    result = await run("cancel_order", "X", "--table")
    assert (result.exit_code, result.stdout) == (1, "The cancel is kept. (VENUE_DOWN, order X)\n")
    gateway.answers["query_order"] = {"permid": "X", "status": "Error", "order_status": "REJECTED"}
    assert (await run("query_order", "X")).exit_code == 0


@pytest_twisted.ensureDeferred
async def test_an_unexpected_error_is_one_sentence(gateway: Any, run: Run) -> None:
    gateway.answers["query_positions"] = [1, 2]
    result = await run("--table", "query_positions")
    assert result.exit_code == 7
    assert result.stderr.startswith("txgateway: AttributeError: ")
    assert "Traceback" in (await run("-v", "--table", "query_positions")).stderr


@pytest.mark.parametrize(
    ("verb", "side"), [("buy", "BUY"), ("sell", "SELL"), ("short", "SELL_SHORT"), ("cover", "BUY_TO_COVER")]
)
@pytest_twisted.ensureDeferred
async def test_trades_in_peoples_words(gateway: Any, run: Run, verb: str, side: str) -> None:
    assert (await run("-a", "ACC", "-r", "SMART", verb, "100", "ibm", "--force")).exit_code == 0
    (sent,) = gateway.called("submit_order")
    assert sent.pop("client_order_id")
    assert sent == {
        "account": "ACC",
        "symbol": "IBM",
        "side": side,
        "quantity": 100,
        "order_type": "MARKET",
        "route": "SMART",
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--limit", "183.50"], {"order_type": "LIMIT", "limit_price": "183.50"}),
        (["--stop", "180"], {"order_type": "STOP", "stop_price": 180}),
        (["-s", "-1.5", "-l", "0"], {"order_type": "STOP_LIMIT", "stop_price": "-1.5", "limit_price": 0}),
        (["--staged", "rebalance"], {"order_type": "MARKET", "tag": "rebalance"}),
        (["--tif", "ioc", "--client-order-id", "k1"], {"time_in_force": "IOC", "client_order_id": "k1"}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_options_of_trades(gateway: Any, run: Run, options: list[str], expected: dict[str, Any]) -> None:
    assert (await run("submit", "sellshort", "5", "IBM", *options, "--force")).exit_code == 0
    (sent,) = gateway.called("submit_order")
    assert {"side": "SELL_SHORT", **expected}.items() <= sent.items()


@pytest_twisted.ensureDeferred
async def test_a_trade_is_asked_about_before_it_is_sent(gateway: Any, run: Run) -> None:
    result = await run("buy", "100", "ibm", "--limit", "183.5", "--staged", "T", text="n\n")
    assert "BUY 100 IBM, LIMIT, limit 183.5, DAY (GTC at a venue without days), account API_ACCOUNT" in result.stderr
    assert "the gateway's route, staged as 'T'" in result.stderr
    assert result.exit_code == 1
    assert "IBM, MARKET, IOC, account" in (await run("buy", "100", "ibm", "--tif", "IOC", text="n\n")).stderr
    assert not gateway.calls
    result = await run("buy", "100", "ibm", text="y\n")
    assert result.exit_code == 0
    assert '"status": "Filled"' in result.stdout
    assert "send it?" not in result.stdout


@pytest_twisted.ensureDeferred
async def test_options_before_the_command_come_before_the_environment(gateway: Any, run: Run) -> None:
    port = str(gateway.port)
    result = await run("-h", "localhost", "-p", port, "status", TXGATEWAY_HOST="192.0.2.1", TXGATEWAY_HTTP_PORT="1")
    assert result.exit_code == 0
    assert (await run("-U", "nobody", "-P", "wrong", "status")).exit_code == 4


@pytest_twisted.ensureDeferred
async def test_help_of_the_gateway(gateway: Any, run: Run) -> None:
    gateway.answers["help"] = {"b": "b(x)\n\n  second\n", "a": "a()\n\n  first\n"}
    assert (await run("help", "--table")).stdout == "a() \n\n  first\n\nb(x)\n\n  second\n".replace("() ", "()")
    assert json.loads((await run("help")).stdout) == gateway.answers["help"]


def test_every_method_has_a_command_with_a_short_text() -> None:
    commands = {command.name: command for command in subcommands()}
    assert {"query_bars", "replace_order", "explain_order", "stage_stoplimit_order", "set_account"} <= commands.keys()
    for name, command in commands.items():
        assert command.short_help, name
        assert {"--json", "--compress"} <= {option for param in command.params for option in param.opts}, name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = CliRunner().invoke(cli.cli, ["completion", shell])
    assert result.exit_code == 0
    assert f"_TXGATEWAY_COMPLETE={shell}_complete" in result.stdout


def test_completion_completes() -> None:
    words = {"COMP_WORDS": "txgateway query_ord", "COMP_CWORD": "1", "_TXGATEWAY_COMPLETE": "bash_complete"}
    result = CliRunner().invoke(cli.cli, [], prog_name="txgateway", env=words)
    assert result.stdout.split() == ["plain,query_order", "plain,query_order_executions", "plain,query_orders"]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs entry points for one test."""

    def install(*entries: tuple[str, str]) -> None:
        group = cli.COMMANDS_GROUP
        found = {name: EntryPoint(name, value, group) for name, value in entries}
        monkeypatch.setattr(cli, "_plugins", lambda: found)

    return install


@click.command()
@click.argument("word")
@click.pass_obj
def say_word(terminal: Terminal, word: str) -> None:
    """Say a word with the status."""
    terminal.show([word, terminal.api.status()])


@pytest_twisted.ensureDeferred
async def test_commands_of_other_packages(
    run: Run, plugins: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "a_plugin", sys.modules[__name__])
    plugins(("say-word", "a_plugin:say_word"))
    for name in ("say-word", "say_word"):
        result = await run("--table", name, "hello")
        assert (result.exit_code, result.stdout) == (0, "hello\nUp\n")
    assert "say-word" in (await run("--help")).stdout


@pytest.mark.parametrize("value", ["no_such_package.cli:journal", "json:no_such_name", "json:dumps"])
@pytest_twisted.ensureDeferred
async def test_a_broken_command_of_another_package_is_a_warning(
    run: Run, plugins: Callable[..., None], value: str
) -> None:
    plugins(("journal", value))
    result = await run("--help")
    assert result.exit_code == 0
    assert "query_orders" in result.stdout
    assert f"txgateway: warning: the command 'journal' ({value}) cannot be loaded: " in result.stderr
    result = await run("journal", "verify", "--all")
    assert result.exit_code == 7
    assert f"txgateway: the command 'journal' ({value}) cannot be loaded: " in result.stderr
    assert (await run("status")).stderr == ""


@pytest_twisted.ensureDeferred
async def test_watch_writes_blocks_until_ctrl_c(gateway: Any, config: dict[str, object]) -> None:
    gateway.answers["query_positions"] = {"API_ACCOUNT": {"IBM": 100}}
    command = [sys.executable, "-m", "txgateway_client", "--table", "query_positions", "--watch", "0.01"]

    def watch() -> tuple[list[str], str, int]:
        environment = {**os.environ, **{name: str(value) for name, value in config.items()}}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            lines = [process.stdout.readline() for _ in range(10)]
            process.send_signal(signal.SIGINT)
            return lines, process.stderr.read(), process.wait(60)

    lines, errors, code = await deferToThread(watch)
    assert lines[0].startswith("query_positions every 0.01 s, ")
    assert lines[3] == lines[8] == "API_ACCOUNT  IBM              100\n"
    assert (errors, code) == ("", 0)


def test_watch_waits_for_a_gateway_that_is_away(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([{"A": {"IBM": 1}}, GatewayUnreachable("nobody there"), {"A": {"IBM": 2}}])
    naps: list[float] = []

    def ask() -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    Terminal(as_json=False, sleep=sleep).watch(ask, 2, "query_positions")
    written = capsys.readouterr().out
    assert naps == [2, 2, 2]
    assert written.count("query_positions every 2 s") == 3
    assert written.index("IBM") < written.index("(nobody there)") < written.rindex("IBM")


@pytest_twisted.ensureDeferred
async def test_an_optional_argument(gateway: Any, run: Run) -> None:
    gateway.answers |= {"query_account": {"_cash": 1.0}, "reject_ticket": {"permid": "T"}}
    await run("query_account", "A")
    await run("query_account", "A", "_cash,EXCESS")
    await run("reject_ticket", "T")
    assert gateway.called("query_account") == [{"account": "A"}, {"account": "A", "fields": "_cash,EXCESS"}]
    assert gateway.called("reject_ticket") == [{"id": "T", "reason": ""}]


TICKET = {
    "permid": "T1",
    "owner": "ann",
    "account": "A",
    "symbol": "IBM",
    "side": "SELL",
    "quantity": 5,
    "order_type": "STOP_LIMIT",
    "limit_price": 98.5,
    "stop_price": 99.0,
    "time_in_force": "GTC",
    "status": "Submitted",
    "order_status": "STAGED",
    "raw": {"ORDER_TAG": "desk-1"},
}


@pytest_twisted.ensureDeferred
async def test_tickets_are_shown_with_who_sent_them(gateway: Any, run: Run) -> None:
    gateway.answers["query_tickets"] = {"T1": TICKET}
    shown = (await run("--table", "tickets")).stdout
    assert gateway.called("query_tickets") == [{"status": "STAGED"}]
    for word in ("T1", "ann", "SELL", "STOP_LIMIT", "98.5", "GTC", "desk-1"):
        assert word in shown
    assert json.loads((await run("tickets")).stdout) == {"T1": TICKET}
    gateway.answers["query_tickets"] = {}
    assert "(none)" in (await run("--table", "tickets")).stdout


@pytest_twisted.ensureDeferred
async def test_a_ticket_is_approved_after_a_question(gateway: Any, run: Run) -> None:
    gateway.answers |= {"query_order": TICKET, "approve_ticket": {**TICKET, "status": "Filled"}}
    result = await run("approve", "T1", text="n\n")
    assert result.exit_code != 0
    question = "SELL 5 IBM, STOP_LIMIT, stop 99, limit 98.5, GTC, account A, sent by ann as 'desk-1': send it?"
    assert question in result.stderr
    assert gateway.called("approve_ticket") == []
    assert (await run("approve", "T1", text="y\n")).exit_code == 0
    assert (await run("approve", "T1", "--force")).exit_code == 0
    assert gateway.called("approve_ticket") == [{"id": "T1"}] * 2
    gateway.answers["query_order"] = None
    result = await run("approve", "T2", text="y\n")
    assert (result.exit_code, "no ticket T2 waits" in result.stderr) == (2, True)
    gateway.answers["approve_ticket"] = {"status": "Error", "errorMsg": "Trading is halted.", "reason": "HALTED"}
    assert (await run("approve", "T1", "--force")).exit_code == 1


@pytest_twisted.ensureDeferred
async def test_a_ticket_is_rejected_with_words(gateway: Any, run: Run) -> None:
    gateway.answers["reject_ticket"] = {**TICKET, "status": "Cancelled"}
    assert (await run("reject", "T1", "too", "early")).exit_code == 0
    assert (await run("reject", "T1")).exit_code == 0
    assert gateway.called("reject_ticket") == [{"id": "T1", "reason": "too early"}, {"id": "T1", "reason": ""}]


@pytest_twisted.ensureDeferred
async def test_a_flatten_that_is_not_flat_yet_is_no_success(gateway: Any, run: Run) -> None:
    line = {"account": "A", "symbol": "IBM", "quantity": 7, "flat": False, "text": "The market is closed."}
    report = {"number": 9, "scope": "account:A", "flat": False, "ended": False, "text": "x", "positions": [line]}
    gateway.answers |= {"flatten": report, "query_flattens": [report]}
    result = await run("--table", "flatten", "account:A", "enough")
    assert (result.exit_code, "account:A is NOT FLAT YET" in result.stdout) == (1, True)
    assert "The market is closed." in result.stdout
    assert gateway.called("flatten") == [{"scope": "account:A", "reason": "enough"}]
    assert "NOT FLAT YET" in (await run("--table", "query_flattens")).stdout
    gateway.answers["flatten"] = {**report, "flat": True, "ended": True, "positions": []}
    result = await run("--table", "flatten", "account:A", "enough")
    assert (result.exit_code, result.stdout) == (0, "account:A is flat\n")


@pytest.mark.parametrize(("options", "everything"), [((), False), (("--all",), True)])
@pytest_twisted.ensureDeferred
async def test_a_yes_or_no_is_a_flag(gateway: Any, run: Run, options: tuple[str, ...], everything: bool) -> None:
    gateway.answers["query_differences"] = []
    result = await run("query_differences", *options)
    assert (result.exit_code, result.stdout) == (0, "[]\n"), result.stderr
    assert gateway.called("query_differences") == [{"all": everything}]


@pytest_twisted.ensureDeferred
async def test_a_status_other_than_up_is_an_exit_code_for_loops(gateway: Any, run: Run) -> None:
    for status in ("Startup", "Pending", "Initializing", "Disconnected", "Shutdown"):
        gateway.answers["status"] = status
        result = await run("status")
        assert (result.exit_code, result.stdout) == (5, f'"{status}"\n')


@pytest_twisted.ensureDeferred
async def test_an_order_names_a_route_only_when_it_was_told_one(gateway: Any, run: Run) -> None:
    assert (await run("buy", "1", "IBM", "--force", TXGATEWAY_API_ROUTE="ARCA")).exit_code == 0
    assert (await run("-r", "NYSE", "buy", "1", "IBM", "--force")).exit_code == 0
    assert (await run("-r", "NYSE", "buy", "1", "IBM", "--force", "--route", "BATS", "-a", "OTHER")).exit_code == 0
    assert (await run("buy", "1", "IBM", "--force", TXGATEWAY_ROUTE="ARCA")).exit_code == 0
    sent = gateway.called("submit_order")
    assert [each.get("route") for each in sent] == [None, "NYSE", "BATS", "ARCA"]
    assert [each["account"] for each in sent] == ["API_ACCOUNT", "API_ACCOUNT", "OTHER", "API_ACCOUNT"]


@pytest_twisted.ensureDeferred
async def test_options_may_be_written_with_underscores(gateway: Any, run: Run) -> None:
    assert (await run("buy", "1", "IBM", "--force", "--client_order_id", "k1", "--stop_loss=2%")).exit_code == 0
    (sent,) = gateway.called("submit_order")
    assert (sent["client_order_id"], sent["stop_loss"]) == ("k1", "2%")
    assert (
        await run("market_order", "ACC", "DEMO", "IBM", "1", "--client_order_id=k_2", "--tif", "gtc")
    ).exit_code == 0
    (sent,) = gateway.called("market_order")
    assert (sent["client_order_id"], sent["time_in_force"]) == ("k_2", "GTC")
    gateway.answers["replace_order"] = {"status": "Accepted"}
    assert (await run("replace_order", "k_2", "--limit_price", "5")).exit_code == 0
    assert gateway.called("replace_order")[0]["limit_price"] == 5
    assert (await run("submit", "SELL_SHORT", "1", "IBM", "--force", "--no_verbose")).exit_code == 2
    assert (await run("--no_verbose", "submit", "sell_short", "1", "IBM", "--force")).exit_code == 0
    assert gateway.called("submit_order")[-1]["side"] == "SELL_SHORT"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("buy", "1", "IBM", "--limt", "5"), "No such option --limt. Did you mean --limit?"),
        (("buy", "1", "--limt", "IBM"), "No such option --limt. Did you mean --limit?"),
        (("limit_order", "A", "R", "IBM", "1", "1", "--client-order-di=k"), "--client-order-di. Did you mean"),
        (("limit_order", "A", "R", "IBM", "1", "1", "--route", "X"), "route is no option of limit_order, but"),
        (("query_orders", "--password", "X"), "--password goes before the command: "),
        (("buy", "1", "IBM", "more"), "unexpected extra argument (more)"),
        (("buy", "1", "IBM", "more", "-5"), "unexpected extra arguments (more -5)"),
    ],
)  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_is_no_option_is_named(gateway: Any, run: Run, words: tuple[str, ...], says: str) -> None:
    result = await run(*words)
    assert (result.exit_code, gateway.calls) == (2, [])
    assert says in result.stderr.replace("\n", " ").replace("'", "")
