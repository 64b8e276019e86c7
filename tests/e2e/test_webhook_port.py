"""The port for senders of signals: what is there and what is not, its TLS, proxies, and senders that are wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import requests

from tests.daemon import PATIENCE, ROOT, Daemon
from tests.e2e.conftest import MakeDaemon

SENDER, STRANGER = "203.0.113.9", "198.51.100.7"


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    """One behind a proxy, with a port for signals."""
    return make_daemon(WEBHOOK_PORT="0", WEBHOOK_HOST="127.0.0.1", TRUSTED_PROXIES="127.0.0.1,10.0.0.0/8").start().up()


def source(daemon: Daemon, name: str, **more: Any) -> Any:
    return daemon.call("add_source", kind="generic", account="API_ACCOUNT", name=name, shadow=True, **more)


def signal(made: Any, secret: str = "", session: Any = requests, **headers: str) -> requests.Response:
    body = {"symbol": "IBM", "side": "BUY", "quantity": 1}
    bearer = {"Authorization": f"Bearer {secret or made['secret']}"}
    found: requests.Response = session.post(made["url"], json=body, headers={**bearer, **headers}, timeout=PATIENCE)
    return found


def test_signals_have_a_port_of_their_own_with_nothing_else_on_it(daemon: Daemon) -> None:
    made = source(daemon, "own")
    base = made["url"].partition("/webhooks/")[0]
    assert base not in (daemon.url, f"http://127.0.0.1:{daemon.tcp_port}")
    assert signal(made).json()["status"] == "Accepted"
    for path in ("", "status", "rpc", "health", "help", "openapi.json", "stream", "webhooks", "query_sources"):
        for method in ("GET", "POST"):
            answer = requests.request(method, f"{base}/{path}", auth=daemon.session.auth, timeout=PATIENCE)
            assert (answer.status_code, answer.json()["reason"]) == (404, "NO_SUCH_PATH"), path
    here = {**made, "url": made["url"].replace(base, daemon.url)}
    there = signal(here)
    assert (there.status_code, there.json()["reason"]) == (404, "NO_SUCH_PATH")
    assert there.json()["errorMsg"] == f"Signals do not come in by this port: send them to {base}, by the same path."
    assert daemon.session.post(here["url"], json={}, timeout=PATIENCE).status_code == 404
    assert "signals             " + base + "/webhooks/" in daemon.log.read_text()


def test_algogene_scripts_come_in_by_that_port_too(daemon: Daemon) -> None:
    made = daemon.call("add_source", kind="algogene", account="API_ACCOUNT", name="script", shadow=True)
    login = {"user": "script", "api_key": made["secret"]}
    assert not made["url"].startswith(daemon.url)
    assert "token" in requests.get(f"{made['url']}/session", login, timeout=PATIENCE).json()["res"]
    wrong = requests.get(f"{made['url']}/session", {**login, "api_key": "a-wrong-secret"}, timeout=PATIENCE)
    assert (wrong.status_code, "token" in wrong.text) == (400, False)
    there = daemon.session.get(f"{daemon.url}/algogene/rest/v1/session", params=login, timeout=PATIENCE)
    assert there.status_code == 404


def test_what_is_too_large_or_no_post(daemon: Daemon) -> None:
    made = source(daemon, "large")
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    for size, status in ((256 * 1024, 400), (256 * 1024 + 1, 413), (4 * 1024 * 1024, 413)):
        assert requests.post(made["url"], b" " * size, headers=bearer, timeout=PATIENCE).status_code == status
    assert requests.get(made["url"], headers=bearer, timeout=PATIENCE).status_code == 405
    assert signal({**made, "url": f"{made['url']}x"}).status_code == 404


def test_a_message_too_large_for_its_secret_to_be_read_is_told_its_size(daemon: Daemon) -> None:
    made = daemon.call("add_source", kind="tradingview", account="API_ACCOUNT", name="wordy", shadow=True)
    body = json.dumps({"secret": made["secret"], "symbol": "IBM", "side": "buy", "comment": "x" * 40_000})
    answer = requests.post(made["url"], body, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["reason"]) == (413, "TOO_LARGE")
    assert answer.json()["errorMsg"].startswith(f"The message has {len(body)} bytes, and may have 32768")
    (shown,) = daemon.call("query_sources", name="wordy")
    assert shown["wrong_secrets"] == 0
    answer = requests.post(f"{made['url']}/{made['secret']}", body, timeout=PATIENCE)
    assert (answer.status_code, "may have 32768" in answer.text) == (400, True)
    assert requests.post(made["url"], '{"secret": "wrong"}', timeout=PATIENCE).status_code == 401


def test_where_a_signal_is_from_is_what_the_proxy_says(daemon: Daemon) -> None:
    made = source(daemon, "placed", addresses=[SENDER])
    answer = signal(made)
    assert (answer.status_code, answer.json()["errorMsg"]) == (
        401,
        "The request comes from 127.0.0.1, which is no address of this source.",
    )
    assert "source placed: not let in from 127.0.0.1: The request comes from 127.0.0.1, which" in daemon.log.read_text()
    assert "source placed: wrong secret" not in daemon.log.read_text()
    assert signal(made, **{"X-Forwarded-For": f"{SENDER}, 10.0.0.1"}).status_code == 200
    assert signal(made, **{"X-Forwarded-For": f"{SENDER}, {STRANGER}"}).status_code == 401
    assert signal(made, **{"X-Forwarded-For": f"{STRANGER}, {SENDER}"}).status_code == 200
    assert signal(made, **{"X-Forwarded-For": f"{SENDER}, nowhere"}).status_code == 401
    (seen, *_) = daemon.call("query_signals", source="placed")
    assert seen["host"] == SENDER


def test_without_a_trusted_proxy_the_header_says_nothing(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    made = source(daemon, "placed", addresses=[SENDER])
    assert signal(made, **{"X-Forwarded-For": SENDER}).status_code == 401
    daemon.call("change_source", name="placed", addresses="127.0.0.0/8")
    assert signal(made, **{"X-Forwarded-For": SENDER}).status_code == 200


def test_wrong_secrets_are_slowed_and_never_hold_back_a_right_one(daemon: Daemon) -> None:
    made = source(daemon, "guessed", rate=1)
    place = {"X-Forwarded-For": STRANGER}
    answers = [signal(made, "a-wrong-secret", **place).status_code for _ in range(40)]
    assert (answers[0], answers[-1]) == (401, 429)
    assert answers.count(401) < 30
    assert signal(made, **place).status_code == 200
    assert signal(made, "a-wrong-secret", **{"X-Forwarded-For": SENDER}).status_code == 401
    (shown,) = daemon.call("query_sources", name="guessed")
    assert (shown["received"], shown["wrong_secrets"]) == (1, 41)
    assert daemon.log.read_text().count("source guessed: wrong secret from") == answers.count(401) + 1


def test_a_source_sends_as_fast_as_it_may_and_no_faster(daemon: Daemon) -> None:
    made = source(daemon, "quick", rate=1)
    answers = [signal(made) for _ in range(20)]
    assert [each.status_code for each in answers[:10]] == [200] * 10
    assert answers[-1].status_code == 429
    assert "Source quick may send 1 a second" in answers[-1].json()["errorMsg"]
    assert signal(source(daemon, "patient")).status_code == 200
    daemon.call("change_source", name="quick", rate=1000)
    assert signal(made).status_code == 200


def test_tls_with_certificates_that_a_source_may_insist_on(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(WEBHOOK_PORT="0")
    command = [sys.executable, "-m", "txgateway_client", "certs", "make", "--client", "tv", "--client", "other"]
    subprocess.run(command, cwd=ROOT, env=daemon.environ, capture_output=True, timeout=PATIENCE, check=True)
    tls = daemon.folder / "tls"
    daemon.environment.update(TLS_CERT=str(tls / "server.pem"), TLS_KEY=str(tls / "server.key"))
    daemon.environment.update(WEBHOOK_CLIENT_CA=str(tls / "ca.pem"))
    daemon.session.trust_env, daemon.session.verify = False, str(tls / "ca.pem")
    daemon.start().up()
    sender = requests.Session()
    sender.trust_env, sender.verify = False, str(tls / "ca.pem")
    made, plain = source(daemon, "certified", certificate="tv"), source(daemon, "plain")
    assert made["url"].startswith("https://127.0.0.1:")
    assert (made["warning"], plain["warning"]) == ("", "")
    assert (signal(made, session=sender).status_code, signal(plain, session=sender).status_code) == (401, 200)
    for name, status in (("other", 401), ("tv", 200)):
        sender.close()
        sender.cert = (str(tls / f"client-{name}.pem"), str(tls / f"client-{name}.key"))
        assert signal(made, session=sender).status_code == status, name
    assert (
        "not let in from 127.0.0.1: The request comes with the client certificate of 'other'" in daemon.log.read_text()
    )
    sender.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(made["url"].replace("https:", "http:"), timeout=PATIENCE)


def test_bodies_of_any_kind_are_answered_and_leave_no_traceback(daemon: Daemon) -> None:
    made = source(daemon, "any", rate=1000)
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    bodies = [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"symbol": NaN}', b"[" * 5000, b'{"side": "BUY"}', b"0"]
    bodies += [json.dumps({"symbol": "IBM", "side": "BUY", "quantity": each}).encode() for each in (None, [], {}, -1)]
    for body in bodies:
        answer = requests.post(made["url"], body, headers=bearer, timeout=PATIENCE)
        assert answer.status_code in (200, 400), (body, answer.text)
    assert "Traceback" not in daemon.log.read_text()
