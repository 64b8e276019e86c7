"""ProQuant and the real daemon: an event in, an order on the paper broker out, told on the stream; integrations."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from tests.e2e.stream import Stream

SECRET = "n0t-in-any-journal-or-log"
"""Of every source here."""
TOKEN = "x-txgateway-token"
ERROR = {"x-proquant-error": "1"}
STRATEGY = {"id": "6bbc583bf6d70605bbbc892f66367ab7", "name": "Gold High-Risk"}
EXAMPLE = """
{
    "v1": {
        "deprecation": null,
        "event": {
            "timestamp": 1549623690730,
            "type": "SIGNAL_OPEN",
            "integration": {
                "name": "user@foo.bar",
                "description": "Foo Bar FX",
                "imageUrl": "https://foo.bar/logo.png",
                "webhook": {
                    "url": "https://foo.bar/api/proquant",
                    "headers": {
                        "x-foo-bar-api-token": "baz"
                    }
                }
            },
            "data": {
                "direction": "BUY",
                "ticker": "XAUUSD",
                "quantity": 10,
                "strategy": {
                    "id": "6bbc583bf6d70605bbbc892f66367ab7",
                    "name": "Gold High-Risk"
                },
                "proquantPositionId": "960fe1a63d264d0f4e19a0ebf385497e"
            }
        }
    }
}
"""
"""The example of ProQuant's guide, as it stands there."""


class Times:
    """ProQuant's clock: each event has a moment of its own."""

    now = 1_772_460_000_000

    @classmethod
    def next(cls) -> int:
        cls.now += 1
        return cls.now


class ProQuant:
    """ProQuant's service, small: keeps what it is asked, and answers what the test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.may_answer = Event()
        self.may_answer.set()
        house = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                house.asked.append((self.path, json.loads(body)))
                house.may_answer.wait(PATIENCE)
                status, answer = house.answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def proquant() -> Iterator[ProQuant]:
    house = ProQuant()
    yield house
    house.may_answer.set()
    house.server.shutdown()
    house.server.server_close()


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon, proquant: ProQuant) -> Daemon:
    daemon = make_daemon(PROQUANT_URL=proquant.url, PAPER_ACCOUNTS="API_ACCOUNT,PAPER_CASH:cash:1000").start().up()
    for name, account in (("gold", "API_ACCOUNT"), ("cash", "PAPER_CASH"), ("seed", "API_ACCOUNT")):
        daemon.call("add_source", kind="proquant", account=account, name=name, secret=SECRET, symbols={"XAUUSD": "GLD"})
    daemon.call("add_source", kind="generic", account="API_ACCOUNT", name="plain")
    daemon.call("set_risk", limit="max_quantity", value="1000", scope="source:gold")
    for symbol in ("GLD", "BTCUSD"):
        daemon.call("add_symbol", symbol=symbol)
    return daemon


def event(kind: str, data: Any = None, at: int | None = None, **version: Any) -> dict[str, Any]:
    """An event as ProQuant sends it: with our own header, and so our secret, in it."""
    webhook = {"url": "https://gw.example.com/webhooks/proquant/gold", "headers": {TOKEN: SECRET}}
    integration = {"name": "me", "description": "txGateway", "imageUrl": "", "webhook": webhook}
    said = {"timestamp": at or Times.next(), "type": kind, "integration": integration, "data": data}
    return {"v1": {"deprecation": None, "event": said, **version}}


def signal(kind: str, strategy: str, at: int | None = None, **data: Any) -> dict[str, Any]:
    values = {"direction": "BUY", "ticker": "XAUUSD", "quantity": 10, "strategy": {"id": strategy, "name": strategy}}
    return event(f"SIGNAL_{kind}", {**values, "proquantPositionId": f"{strategy}-1", **data}, at)


def post(daemon: Daemon, body: Any, source: str = "gold", secret: str = SECRET, rest: str = "") -> requests.Response:
    data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    url = f"{daemon.url}/webhooks/proquant/{source}{rest}"
    headers = {"Content-Type": "application/json", TOKEN: secret}
    return requests.post(url, data, headers=headers, timeout=PATIENCE)


def taken(answer: requests.Response) -> None:
    """ProQuant sees that all went well."""
    assert (answer.status_code, answer.content) == (200, b""), answer.text


def refused(answer: requests.Response, kind: str, status: int = 400) -> None:
    """ProQuant sees its own error, as its guide asks for it."""
    assert (answer.status_code, answer.content) == (status, b'{"type":"' + kind.encode() + b'"}'), answer.text
    assert answer.headers["x-proquant-error"] == "1"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.content))


def orders(daemon: Daemon, source: str = "gold", killed: bool = False) -> list[tuple[str, float, str]]:
    """Side, quantity and symbol of the source's orders, in their order.

    Where the daemon was `killed` over one that had not gone out yet, it never arrived, and another was sent for it.
    """
    found = [each for each in daemon.call("query_orders").values() if each["owner"] == source]
    found = [each for each in found if not (killed and each["reason"] == "NEVER_ARRIVED")]
    return [(each["side"], each["quantity"], each["symbol"]) for each in sorted(found, key=lambda each: each["permid"])]


def held(daemon: Daemon, strategy: str) -> list[tuple[str, float]]:
    return [(each["symbol"], each["quantity"]) for each in daemon.call("query_strategies", strategy=strategy)]


def listen(daemon: Daemon) -> Stream:
    stream = Stream(daemon, {"signal-data": True, "order-data": True})
    stream.expect(".Authorized")
    return stream


def ended(stream: Stream) -> dict[str, Any]:
    """The end of a signal, and its orders as the stream told them."""
    found = stream.data("paper.signal-data ", event="ended")
    told = [json.loads(line.partition(" ")[2]) for line in stream.heard if ".order-data" in line]
    return {**found, "told": [each for each in told if each["permid"] in found["orders"]]}


# ---------------------------------------------------------------- what the signals do


def test_the_example_of_the_guide_as_it_stands(daemon: Daemon) -> None:
    stream = listen(daemon)
    taken(post(daemon, EXAMPLE, "seed"))
    signal = ended(stream)
    assert (signal["outcome"], signal["source"]) == ("DONE", "seed")
    assert {(each["side"], each["quantity"], each["symbol"], each["owner"]) for each in signal["told"]} == {
        ("BUY", 10, "GLD", "seed")
    }
    until(lambda: held(daemon, "Gold High-Risk") == [("GLD", 10)], daemon)
    (position,) = daemon.call("query_strategies", source="seed")
    assert position["reference"] == "960fe1a63d264d0f4e19a0ebf385497e"
    assert position["strategy"] == "6bbc583bf6d70605bbbc892f66367ab7"


def test_open_reopen_and_close(daemon: Daemon) -> None:
    stream, before = listen(daemon), len(orders(daemon))
    taken(post(daemon, signal("OPEN", "turns")))
    assert len(ended(stream)["orders"]) == 1
    until(lambda: held(daemon, "turns") == [("GLD", 10)], daemon)
    taken(post(daemon, signal("REOPEN", "turns", direction="SELL", quantity=25)))
    assert len(ended(stream)["orders"]) == 2
    until(lambda: held(daemon, "turns") == [("GLD", -25)], daemon)
    taken(post(daemon, signal("CLOSE", "turns")))
    assert len(ended(stream)["orders"]) == 1
    until(lambda: held(daemon, "turns") == [], daemon)
    sides = [side for side, *_ in orders(daemon)[before:]]
    assert [quantity for _, quantity, _ in orders(daemon)[before:]] == [10, 10, 25, 25]
    assert [side.startswith("BUY") for side in sides] == [True, False, False, True]


def test_a_close_at_once_behind_its_open_never_reverses(daemon: Daemon) -> None:
    before = len(orders(daemon))
    with ThreadPoolExecutor(8) as pool:
        taken(post(daemon, signal("OPEN", "haste")))
        answers = list(pool.map(lambda _: post(daemon, signal("CLOSE", "haste")), range(8)))
    assert sorted(each.status_code for each in answers) == [200] + [400] * 7
    for each in answers:
        if each.status_code == 400:
            refused(each, "PositionNotFound")
    until(lambda: held(daemon, "haste") == [], daemon)
    assert [quantity for _, quantity, _ in orders(daemon)[before:]] == [10, 10]


def test_older_payloads_with_an_instrument(daemon: Daemon) -> None:
    stream = listen(daemon)
    body = signal("OPEN", "older", ticker=None, instrument="XAUUSD")
    del body["v1"]["event"]["data"]["ticker"]
    taken(post(daemon, body))
    assert ended(stream)["told"][0]["symbol"] == "GLD"


def test_the_secret_may_end_the_url(daemon: Daemon) -> None:
    stream = listen(daemon)
    taken(post(daemon, signal("OPEN", "by-url"), secret="", rest=f"/{SECRET}"))
    assert ended(stream)["outcome"] == "DONE"


# ---------------------------------------------------------------- what its user does


@pytest.mark.parametrize("kind", ["APPROVED", "REJECTED", "DELETED"])
def test_an_integration_s_life_is_told_and_kept(daemon: Daemon, kind: str) -> None:
    stream = listen(daemon)
    taken(post(daemon, event(f"INTEGRATION_{kind}")))
    told = stream.data("paper.signal-data ", event="integration")
    assert (told["source"], told["name"], told["step"]) == ("gold", "me", kind)
    (kept,) = daemon.call("query_integrations", source="gold")
    assert (kept["name"], kept["step"], kept["description"]) == ("me", kind, "txGateway")


@pytest.mark.parametrize(("kind", "enabled"), [("ENABLED", True), ("DISABLED", False)])
def test_a_strategy_s_life_is_told_and_kept(daemon: Daemon, kind: str, enabled: bool) -> None:
    stream = listen(daemon)
    taken(post(daemon, event(f"STRATEGY_{kind}", STRATEGY)))
    told = stream.data("paper.signal-data ", event="integration")
    assert (told["step"], told["strategy"], told["strategy_name"]) == (kind, *STRATEGY.values())
    (kept,) = daemon.call("query_integrations", source="gold")
    assert kept["strategies"] == [{"strategy": STRATEGY["id"], "name": STRATEGY["name"], "enabled": enabled}]


def test_what_is_unknown_is_nothing_to_us(daemon: Daemon) -> None:
    before = orders(daemon)
    taken(post(daemon, event("POSITION_DREAMT_OF", {"what": ["ever"]})))
    assert orders(daemon) == before


# ---------------------------------------------------------------- every error type


@pytest.mark.parametrize(
    ("kind", "source", "data"),
    [
        ("InsufficientFunds", "cash", {}),
        ("QuantityTooLow", "gold", {"ticker": "BTCUSD", "quantity": 0.0001}),
        ("QuantityTooHigh", "gold", {"quantity": 1001}),
        ("InvalidQuantityPrecision", "gold", {"quantity": 0.0001}),
        ("UnsupportedInstrument", "gold", {"ticker": "XAGUSD"}),
    ],
)
@pytest.mark.parametrize("act", ["OPEN", "REOPEN"])
def test_a_signal_that_cannot_be(daemon: Daemon, act: str, kind: str, source: str, data: dict[str, Any]) -> None:
    before = orders(daemon, source)
    refused(post(daemon, signal(act, f"no-{kind}", **data), source), kind)
    assert orders(daemon, source) == before
    (kept,) = daemon.call("query_signals", source=source, limit=1)
    assert (kept["outcome"], kept["answer"]["status"]) == ("REFUSED", 400)
    assert kept["text"]


BROKER = """
from dataclasses import replace
from decimal import Decimal
from txgateway.brokers.paper import PaperBroker

class Ruled(PaperBroker):
    async def instrument(self, symbol):
        found = await super().instrument(symbol)
        return found and replace(found, min_quantity=Decimal(5), max_quantity=Decimal(50))
"""


@pytest.fixture(scope="module")
def ruled(make_daemon: MakeDaemon) -> Daemon:
    """A venue where an order has 5 to 50 units, installed as a stranger's would be."""
    daemon = make_daemon(PAPER_FEED="")
    outside = daemon.folder.parent / "outside"
    info = outside / "ruled_broker-1.0.dist-info"
    info.mkdir(parents=True)
    (outside / "ruled_broker.py").write_text(BROKER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ruled-broker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[txgateway.brokers]\nruled = ruled_broker:Ruled\n")
    daemon.configure('[venues.ruled]\nkind = "ruled"\naccounts = "API_ACCOUNT"\nfeed = "synthetic:7"\n')
    daemon.variables["PYTHONPATH"] = str(outside)
    daemon.start().up()
    daemon.call("add_source", kind="proquant", account="API_ACCOUNT", name="gold", secret=SECRET)
    daemon.call("add_symbol", symbol="GLD")
    return daemon


@pytest.mark.parametrize(
    ("quantity", "reason", "kind"),
    [(4, "QUANTITY_TOO_LOW", "QuantityTooLow"), (51, "QUANTITY_TOO_HIGH", "QuantityTooHigh")],
)
def test_what_the_instrument_allows(ruled: Daemon, quantity: int, reason: str, kind: str) -> None:
    refused(post(ruled, signal("OPEN", "ruled", ticker="GLD", quantity=quantity)), kind)
    assert ruled.call("query_signals", limit=1)[0]["reason"] == reason
    order = ruled.call("market_order", account="API_ACCOUNT", route="DEMO", symbol="GLD", quantity=quantity)
    assert order["reason"] == reason


def test_one_position_a_strategy(daemon: Daemon) -> None:
    taken(post(daemon, signal("OPEN", "single")))
    refused(post(daemon, signal("OPEN", "single")), "PositionAlreadyExists")
    refused(post(daemon, signal("OPEN", "single", ticker="BTCUSD", quantity=1)), "PositionAlreadyExists")
    taken(post(daemon, signal("CLOSE", "single")))
    refused(post(daemon, signal("CLOSE", "single")), "PositionNotFound")


def test_who_does_not_prove_itself(daemon: Daemon) -> None:
    before = daemon.call("query_signals", limit=1)
    refused(post(daemon, signal("OPEN", "thief"), secret="wrong"), "InvalidCredentials", 401)
    refused(post(daemon, signal("OPEN", "thief"), secret="", rest="/wrong"), "InvalidCredentials", 401)
    refused(post(daemon, signal("OPEN", "thief"), "nobody"), "InvalidCredentials", 404)
    assert daemon.call("query_signals", limit=1) == before


@pytest.mark.parametrize("act", ["OPEN", "REOPEN", "CLOSE"])
def test_the_market_is_closed(closed: Daemon, act: str) -> None:
    refused(post(closed, signal(act, "held" if act == "CLOSE" else "new")), "MarketClosed")
    assert closed.call("query_orders") == {}


@pytest.fixture(scope="module")
def closed(make_daemon: MakeDaemon) -> Daemon:
    """A Sunday."""
    venue = ['kind = "paper"', 'feed = "synthetic:7"', 'calendar = "XNYS"', 'start = "2024-03-03T15:00:00Z"']
    daemon = make_daemon().configure("\n".join(["[venues.paper]", *venue, ""])).start().up()
    daemon.call(
        "add_source", kind="proquant", account="API_ACCOUNT", name="gold", secret=SECRET, symbols={"XAUUSD": "GLD"}
    )
    daemon.call("add_symbol", symbol="GLD")
    daemon.call(
        "adjust_strategy",
        source="gold",
        strategy="held",
        account="API_ACCOUNT",
        symbol="GLD",
        quantity=10,
        text="it holds something",
    )
    return daemon


def test_what_proquant_has_no_word_for_is_a_sentence_without_its_header(daemon: Daemon) -> None:
    daemon.call("halt", reason="a test", scope="source:gold")
    answer = post(daemon, signal("OPEN", "halted"))
    daemon.call("resume", scope="source:gold")
    assert answer.status_code == 400
    assert "x-proquant-error" not in answer.headers
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "halted" in answer.text.lower()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"[" * 1000,
        b'{"v1": 1}',
        b'{"v9": {"event": {}}}',
        b'{"v1": {"event": {"type": "SIGNAL_OPEN", "timestamp": 1e400}}}',
        signal("OPEN", "bad", quantity="NaN"),
        signal("OPEN", "bad", quantity=-1),
        signal("OPEN", "", quantity=1),
        signal("OPEN", "bad", direction="SIDEWAYS"),
        event("SIGNAL_CLOSE", []),
    ],
)
def test_nonsense_is_told_in_a_sentence_and_kept(daemon: Daemon, body: Any) -> None:
    before = orders(daemon)
    answer = post(daemon, body)
    assert (answer.status_code, "x-proquant-error" in answer.headers) == (400, False)
    assert answer.text.endswith((".", ". Look at the message that the sender is told to send."))
    assert orders(daemon) == before
    assert daemon.call("query_signals", limit=1)[0]["reason"] == "BAD_SIGNAL"


# ---------------------------------------------------------------- deliveries again


def test_the_same_event_makes_one_order_however_often_it_comes(daemon: Daemon) -> None:
    before = len(orders(daemon))
    bodies = [signal("OPEN", f"many-{at}") for at in range(5)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda body: post(daemon, body), bodies * 10))
    for each in answers:
        taken(each)
    signals = daemon.call("query_signals", source="gold", limit=5)
    until(lambda: all(each["outcome"] == "DONE" for each in daemon.call("query_signals", source="gold", limit=5)))
    assert len({each["id"] for each in signals}) == 5
    assert len(orders(daemon)) == before + 5
    no = signal("OPEN", "many-0")
    for _ in range(3):
        refused(post(daemon, no), "PositionAlreadyExists")
    taken(post(daemon, signal("CLOSE", "many-0")))
    refused(post(daemon, no), "PositionAlreadyExists")
    until(lambda: held(daemon, "many-0") == [], daemon)
    assert len(orders(daemon)) == before + 6


def test_a_delivery_again_after_kill_9_is_answered_as_before(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    daemon.call(
        "add_source", kind="proquant", account="API_ACCOUNT", name="gold", secret=SECRET, symbols={"XAUUSD": "GLD"}
    )
    daemon.call("add_symbol", symbol="GLD")
    opened, again, approved = signal("OPEN", "s"), signal("OPEN", "s"), event("INTEGRATION_APPROVED")
    taken(post(daemon, approved))
    taken(post(daemon, opened))
    daemon.kill()
    daemon.start().up()
    daemon.call("add_symbol", symbol="GLD")
    until(lambda: held(daemon, "s") == [("GLD", 10)], daemon)
    taken(post(daemon, opened))
    refused(post(daemon, again), "PositionAlreadyExists")
    daemon.kill()
    daemon.start().up()
    taken(post(daemon, opened))
    taken(post(daemon, approved))
    refused(post(daemon, again), "PositionAlreadyExists")
    assert orders(daemon, killed=True) == [("BUY", 10, "GLD")]
    assert daemon.call("query_positions")["API_ACCOUNT"] == {"GLD": 10}
    assert [each["step"] for each in daemon.call("query_integrations")] == ["APPROVED"]
    journal = daemon.call("query_journal", limit=1000)
    assert [each["kind"] for each in journal].count("IntegrationChanged") == 1


# ---------------------------------------------------------------- a version's end


def test_the_end_of_a_version_is_heard_everywhere(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    daemon.call(
        "add_source", kind="proquant", account="API_ACCOUNT", name="gold", secret=SECRET, symbols={"XAUUSD": "GLD"}
    )
    daemon.call("add_symbol", symbol="GLD")
    stream = listen(daemon)
    body = signal("OPEN", "s")
    body["v1"]["deprecation"] = "2030-01-01T00:00:00.000Z"
    body["v2"] = {"deprecation": None, "event": {"entirely": "other"}}
    taken(post(daemon, body))
    warning = "ProQuant ends v1 of its events on '2030-01-01': update the gateway before. It has 'v2' already."
    assert stream.expect("paper.error: gold ").endswith(warning)
    assert ended(stream)["outcome"] == "DONE"
    assert f"source gold: {warning}" in daemon.log.read_text()
    for _ in range(2):
        assert daemon.call("query_sources")[0]["warning"] == warning
        assert daemon.call("query_integrations")[0]["warning"] == warning
        daemon.kill()
        daemon.start().up()


# ---------------------------------------------------------------- asking ProQuant


def test_an_integration_is_asked_for_as_the_guide_says(daemon: Daemon, proquant: ProQuant) -> None:
    stream = listen(daemon)
    made = daemon.call(
        "connect_proquant",
        source="gold",
        email="user@example.com",
        name="account 7",
        image_url="https://example.com/logo.png",
    )
    assert (made["step"], made["name"], made["user_email"]) == ("REQUESTED", "account 7", "user@example.com")
    url = f"{daemon.url}/webhooks/proquant/gold"
    document = {
        "name": "account 7",
        "description": "txGateway",
        "imageUrl": "https://example.com/logo.png",
        "userEmail": "user@example.com",
        "webhook": {"url": url, "headers": {TOKEN: SECRET}},
    }
    assert proquant.asked[-1] == ("/api/integrations/v1/integrations", document)
    assert [stream.data("paper.signal-data ", event="integration")["step"] for _ in range(2)] == [
        "ASKED",
        "REQUESTED",
    ]
    webhook = proquant.asked[-1][1]["webhook"]
    taken(requests.post(webhook["url"], json=event("INTEGRATION_APPROVED"), headers=webhook["headers"], timeout=60))


def test_what_proquant_says_no_to_is_told_without_our_secret(daemon: Daemon, proquant: ProQuant) -> None:
    proquant.answer = (422, f'{{"error": "no such user", "headers": {{"{TOKEN}": "{SECRET}"}}}}'.encode())
    answer = daemon.session.post(
        f"{daemon.url}/connect_proquant", json={"source": "gold", "email": "nobody@example.com", "name": "no"}
    ).json()
    proquant.answer = (200, b"{}")
    assert (answer["status"], answer["reason"]) == ("Error", "NOT_CONNECTED")
    assert "ProQuant answered 422" in answer["errorMsg"]
    assert "no such user" in answer["errorMsg"]
    assert SECRET not in answer["errorMsg"]
    (kept,) = [each for each in daemon.call("query_integrations") if each["name"] == "no"]
    assert (kept["step"], kept["text"]) == ("FAILED", answer["errorMsg"])


def test_proquant_away_and_an_address_it_cannot_reach(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(PROQUANT_URL="http://127.0.0.1:1").start().up()
    daemon.call("add_source", kind="proquant", account="API_ACCOUNT", name="gold", secret=SECRET)
    question = {"source": "gold", "email": "user@example.com"}
    answer = daemon.session.post(f"{daemon.url}/connect_proquant", json=question).json()
    assert answer["reason"] == "NOT_CONNECTED"
    assert "cannot be reached" in answer["errorMsg"]
    assert daemon.call("query_integrations")[0]["step"] == "FAILED"
    daemon.stop()
    daemon.environment["PROQUANT_URL"] = "https://www.proquant.com"
    daemon.start().up()
    answer = daemon.session.post(f"{daemon.url}/connect_proquant", json=question).json()
    assert "set TXGATEWAY_WEBHOOK_URL" in answer["errorMsg"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "nobody"},
        {"email": "a@b.c d"},
        {"email": "a\n@b.c"},
        {"email": ""},
        {"email": "user@example.com", "image_url": "javascript:1"},
        {"email": "user@example.com", "name": "a\nb"},
        {"email": "user@example.com", "description": "x" * 201},
        {"email": "user@example.com", "source": "plain"},
    ],
)
def test_bad_arguments_ask_nothing(daemon: Daemon, proquant: ProQuant, wrong: dict[str, Any]) -> None:
    before = len(proquant.asked)
    answer = daemon.session.post(f"{daemon.url}/connect_proquant", json={"source": "gold", **wrong})
    assert answer.status_code == 400
    assert len(proquant.asked) == before


def test_the_command_line(daemon: Daemon, proquant: ProQuant) -> None:
    def run(*arguments: str) -> str:
        environ = {**daemon.environ, "TXGATEWAY_PASSWORD": PASSWORD, "COLUMNS": "300"}
        done = subprocess.run(
            [sys.executable, "-m", "txgateway_client", "proquant", *arguments],
            env=environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    assert "REQUESTED" in run("connect", "gold", "user@example.com", "--name", "by command")
    assert proquant.asked[-1][1]["name"] == "by command"
    assert "by command" in run("list")


def test_the_secret_is_nowhere_but_in_the_sources_file(daemon: Daemon) -> None:
    post(daemon, signal("OPEN", SECRET))
    post(daemon, event("STRATEGY_ENABLED", {"id": "x", "name": f"key {SECRET}"}))
    for path in daemon.folder.rglob("*"):
        if path.is_file() and path.name != "sources.json":
            assert SECRET.encode() not in path.read_bytes(), path


# ---------------------------------------------------------------- kills


def test_strategies_that_turn_about_while_the_daemon_is_killed(make_daemon: MakeDaemon) -> None:
    """Each strategy sends its events in order, each again until it is answered; every position is as the last said."""
    daemon = make_daemon().start().up()
    daemon.call("add_source", kind="proquant", account="API_ACCOUNT", name="gold", secret=SECRET, rate=10_000)
    daemon.call("add_symbol", symbol="GLD")
    strategies, turns, over = [f"turn-{at}" for at in range(6)], 40, Event()

    def deliver(body: dict[str, Any]) -> requests.Response:
        while True:
            try:
                answer = post(daemon, body)
            except requests.RequestException:
                assert not over.is_set(), "the daemon did not start again"
                continue
            if answer.status_code == 200 or "x-proquant-error" in answer.headers:
                return answer  # else its venue is not up yet: its user would send another event

            body["v1"]["event"]["timestamp"] = Times.next()

    def run(strategy: str) -> int:
        last = turn = 0
        while turn < turns or kills < 2:
            act = "OPEN" if not last else "CLOSE" if turn % 5 == 4 else "REOPEN"
            direction, quantity = ("BUY", "SELL")[turn % 2], 1 + turn % 3
            taken(deliver(signal(act, strategy, ticker="GLD", direction=direction, quantity=quantity)))
            last = 0 if act == "CLOSE" else quantity if direction == "BUY" else -quantity
            turn += 1
        return last

    kills = 0

    def kill() -> None:
        nonlocal kills
        try:
            while not over.wait(0.3):
                daemon.kill()
                daemon.start().up()
                kills += 1
        finally:
            over.set()

    killer = Thread(target=kill)
    with ThreadPoolExecutor(len(strategies)) as pool:
        running = [pool.submit(run, each) for each in strategies]
        killer.start()
        try:
            wanted = [each.result() for each in running]
        finally:
            over.set()
            killer.join()

    def settled() -> bool:
        signals = daemon.call("query_signals", outcome="PENDING")
        return not signals and not daemon.call("query_open_orders")

    until(settled, daemon)
    shown = {each["strategy"]: each["quantity"] for each in daemon.call("query_strategies")}
    held = [shown.get(each, 0) for each in strategies]
    assert held == wanted, [
        [(one["seq"], one["kind"], one["text"][:150]) for one in daemon.call("explain_signal", id=each["id"])["story"]]
        for each in daemon.call("query_signals", limit=60)
        for strategy, has, wants in zip(strategies, held, wanted, strict=True)
        if has != wants and strategy in each["about"]
    ]
    assert daemon.call("query_positions")["API_ACCOUNT"].get("GLD", 0) == sum(wanted)
    assert not [each for each in daemon.call("query_signals", limit=1000) if each["reason"] == "UNFINISHED"]
