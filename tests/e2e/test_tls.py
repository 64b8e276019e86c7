"""TLS and client certificates on HTTP, the stream and the WebSocket; `txgateway certs`; our clients through it."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import requests

from tests.daemon import PATIENCE, ROOT, Daemon, until
from tests.e2e.conftest import PASSWORD, MakeDaemon
from txgateway_client import API
from txgateway_client.deferred import DeferredAPI
from txgateway_client.errors import GatewayUnreachable
from txgateway_monitor.settings import SettingsError


def certs(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`txgateway certs …` in the daemon's environment."""
    command = [sys.executable, "-m", "txgateway_client", "certs", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=daemon.environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def secured(daemon: Daemon, *arguments: str, client_ca: bool = False) -> Path:
    """Certificates made by the command line, and the daemon set up with them. Gives their folder."""
    made = certs(daemon, "make", *arguments)
    assert made.returncode == 0, made.stderr
    folder = daemon.folder / "tls"
    daemon.environment.update(TLS_CERT=str(folder / "server.pem"), TLS_KEY=str(folder / "server.key"))
    if client_ca:
        daemon.environment["TLS_CLIENT_CA"] = str(folder / "ca.pem")
        daemon.session.cert = (str(folder / "client.pem"), str(folder / "client.key"))
    daemon.session.trust_env = False  # or a CA bundle of the environment would come first
    daemon.session.verify = str(folder / "ca.pem")
    return folder


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    daemon = make_daemon()
    secured(daemon)
    return daemon.start().up()


@pytest.fixture(scope="module")
def guarded(make_daemon: MakeDaemon) -> Daemon:
    """One that takes only clients with a certificate."""
    daemon = make_daemon()
    secured(daemon, "--client", "client", "--client", "other", client_ca=True)
    return daemon.start().up()


def settings(daemon: Daemon, certificate: bool = False) -> dict[str, str]:
    folder = daemon.folder / "tls"
    found = {
        "TXGATEWAY_PROTOCOL": "https",
        "TXGATEWAY_HTTP_PORT": str(daemon.http_port),
        "TXGATEWAY_TCP_PORT": str(daemon.tcp_port),
        "TXGATEWAY_PASSWORD": PASSWORD,
        "TXGATEWAY_TLS_CA": str(folder / "ca.pem"),
    }
    if certificate:
        found |= {
            "TXGATEWAY_CLIENT_CERT": str(folder / "client.pem"),
            "TXGATEWAY_CLIENT_KEY": str(folder / "client.key"),
        }
    return found


def context(daemon: Daemon, version: ssl.TLSVersion | None = None, certificate: str = "") -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=str(daemon.folder / "tls" / "ca.pem"))
    if version is not None:
        found.minimum_version = ssl.TLSVersion.TLSv1
        found.maximum_version = version
        found.set_ciphers("ALL:@SECLEVEL=0")
    if certificate:
        found.load_cert_chain(f"{daemon.folder}/tls/{certificate}.pem", f"{daemon.folder}/tls/{certificate}.key")
    return found


def link(daemon: Daemon, port: int, **more: Any) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    return context(daemon, **more).wrap_socket(plain, server_hostname="localhost")


def netstring(text: str) -> bytes:
    return b"%d:%b," % (len(text.encode()), text.encode())


def read_to(connection: ssl.SSLSocket, wanted: bytes) -> bytes:
    data = b""
    while wanted not in data:
        more = connection.recv(65536)
        assert more, f"closed after {data!r}"
        data += more
    return data


def test_the_banner_says_how_to_come(daemon: Daemon) -> None:
    log = daemon.log.read_text()
    assert f"https://127.0.0.1:{daemon.http_port}" in log
    assert f"wss://127.0.0.1:{daemon.http_port}/stream" in log
    assert "TLS                 on every port" in log


def test_an_order_over_https(daemon: Daemon) -> None:
    order = daemon.call("market_order", account="API_ACCOUNT", route="DEMO", symbol="IBM", quantity=1)
    assert order["status"] == "Filled"
    assert len(daemon.call("query_journal", limit=1000)) > 5


def test_plain_clients_get_nothing(daemon: Daemon) -> None:
    for port in (daemon.http_port, daemon.tcp_port):
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
            plain.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
            told = plain.recv(65536)
            assert b"HTTP" not in told
            assert b"connected" not in told


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_from_1_2_up(daemon: Daemon, version: ssl.TLSVersion) -> None:
    for port in (daemon.http_port, daemon.tcp_port):
        with link(daemon, port, version=version) as connection:
            assert connection.version() == ("TLSv1.2" if version is ssl.TLSVersion.TLSv1_2 else "TLSv1.3")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_nothing_older(daemon: Daemon, version: ssl.TLSVersion) -> None:
    for port in (daemon.http_port, daemon.tcp_port):
        with pytest.raises(ssl.SSLError):
            link(daemon, port, version=version)


def test_the_stream_speaks_tls(daemon: Daemon) -> None:
    with link(daemon, daemon.tcp_port) as connection:
        read_to(connection, b".connected:")
        connection.sendall(netstring(f"auth txtrader_user {PASSWORD} " + '{"order-data":1}'))
        read_to(connection, b".Authorized paper")
        connection.sendall(netstring("marketorder API_ACCOUNT DEMO IBM 1"))
        read_to(connection, b"paper.order-data ")
        connection.sendall(netstring('call query_journal {"limit":1000}'))
        read_to(connection, b"paper.result: ")


def test_the_websocket_speaks_tls(daemon: Daemon) -> None:
    from base64 import b64encode

    from wsproto import ConnectionType, WSConnection
    from wsproto.events import AcceptConnection, Request, TextMessage

    wire = WSConnection(ConnectionType.CLIENT)
    login = b"Basic " + b64encode(f"txtrader_user:{PASSWORD}".encode())
    asked = Request(host="localhost", target="/stream", extra_headers=[(b"Authorization", login)])
    with link(daemon, daemon.http_port) as connection:
        connection.sendall(wire.send(asked))
        seen: list[Any] = []
        said = False
        while not any("Up" in event.data for event in seen if isinstance(event, TextMessage)):
            wire.receive_data(connection.recv(65536))
            seen += list(wire.events())
            if not said and any(isinstance(event, AcceptConnection) for event in seen):
                call = {"jsonrpc": "2.0", "id": 1, "method": "status", "params": []}
                connection.sendall(wire.send(TextMessage(json.dumps(call))))
                said = True


# ---------------------------------------------------------------- client certificates


def greeted(daemon: Daemon) -> bytes:
    """What the stream says to somebody without a certificate."""
    try:
        with link(daemon, daemon.tcp_port) as connection:
            return connection.recv(65536)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_without_a_certificate_of_the_ca_nobody_gets_in(guarded: Daemon, daemon: Daemon) -> None:
    assert guarded.call("status") == "Up"
    ca = str(guarded.folder / "tls" / "ca.pem")
    stranger = (str(daemon.folder / "tls" / "client.pem"), str(daemon.folder / "tls" / "client.key"))
    for cert in (None, stranger):
        with pytest.raises(requests.exceptions.ConnectionError):
            requests.get(f"{guarded.url}/health", verify=ca, cert=cert, timeout=PATIENCE)
    assert greeted(guarded) == b""
    with link(guarded, guarded.tcp_port, certificate="client-other") as connection:
        read_to(connection, b".connected:")
        connection.sendall(netstring("positions"))
        read_to(connection, b".Authorization required!")


# ---------------------------------------------------------------- renewal


def serial(daemon: Daemon, port: int) -> str:
    """Which certificate a new connection is shown."""
    with link(daemon, port) as connection:
        return str((connection.getpeercert() or {})["serialNumber"])


def hang_up(daemon: Daemon, said: str) -> None:
    """SIGHUP; wait until the log says what came of it, once more than before."""
    assert daemon.process is not None
    before = daemon.log.read_text().count(said)
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: daemon.log.read_text().count(said) > before, daemon)


def test_a_renewed_certificate_needs_no_restart_and_ends_no_connection(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    folder = secured(daemon)
    daemon.start().up()
    ports = (daemon.http_port, daemon.tcp_port)
    first = serial(daemon, ports[0])
    with link(daemon, daemon.tcp_port) as stream:
        read_to(stream, b".connected:")
        stream.sendall(netstring(f"auth txtrader_user {PASSWORD} " + '{"order-data":1}'))
        read_to(stream, b".Authorized paper")
        assert certs(daemon, "make", "--force").returncode == 0
        assert [serial(daemon, port) for port in ports] == [first, first], "not before it is told"
        hang_up(daemon, "server.pem was read anew, good until 20")
        renewed = [serial(daemon, port) for port in ports]
        assert renewed[0] == renewed[1] != first

        good = (folder / "server.pem").read_bytes()
        for broken, said in (
            (b"", "server.pem has no certificate in it; the certificate that was read before stays in use"),
            ((folder / "client.pem").read_bytes(), "server.key is not the key of"),
        ):
            (folder / "server.pem").write_bytes(broken)
            hang_up(daemon, said)
            assert [serial(daemon, port) for port in ports] == renewed
        (folder / "server.pem").unlink()
        hang_up(daemon, "server.pem cannot be read as certificates (No such file or directory)")
        assert [serial(daemon, port) for port in ports] == renewed
        (folder / "server.pem").write_bytes(good)
        hang_up(daemon, "server.pem was read anew")

        stream.sendall(netstring("marketorder API_ACCOUNT DEMO IBM 1"))
        read_to(stream, b"paper.order-data ")
    assert daemon.call("status") == "Up"
    assert "Traceback" not in daemon.log.read_text()


def test_another_client_ca_counts_for_who_comes_from_then_on(make_daemon: MakeDaemon) -> None:
    daemon, other = make_daemon(), make_daemon()
    folder = secured(daemon, client_ca=True)
    theirs = secured(other)
    (folder / "allowed.pem").write_bytes((folder / "ca.pem").read_bytes())
    daemon.environment["TLS_CLIENT_CA"] = str(folder / "allowed.pem")
    daemon.start().up()
    (folder / "allowed.pem").write_bytes((theirs / "ca.pem").read_bytes())
    hang_up(daemon, "was read anew")
    daemon.session.close()
    with pytest.raises(requests.exceptions.ConnectionError):
        daemon.call("status")
    daemon.session.cert = (str(theirs / "client.pem"), str(theirs / "client.key"))
    assert daemon.call("status") == "Up"


# ---------------------------------------------------------------- our clients


@pytest.mark.parametrize("name", ["daemon", "guarded"])
def test_the_blocking_client_and_the_command_line(request: pytest.FixtureRequest, name: str) -> None:
    there: Daemon = request.getfixturevalue(name)
    config = settings(there, certificate=name == "guarded")
    with API(config=config) as api:
        assert api.status() == "Up"
        assert api.market_order("API_ACCOUNT", "DEMO", "IBM", 1)["status"] == "Filled"
    environ = {**there.environ, **config}
    for variable in ("TXGATEWAY_TLS_CERT", "TXGATEWAY_TLS_KEY", "TXGATEWAY_TLS_CLIENT_CA"):
        environ.pop(variable, None)
    command = [sys.executable, "-m", "txgateway_client", "status"]
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, json.loads(ended.stdout)) == (0, "Up"), ended.stderr
    command = [sys.executable, "-m", "txgateway_monitor", "--options", "{}"]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        heard = []
        for line in monitor.stdout:
            heard.append(line)
            if "Authorized" in line or "authorized" in line.lower():
                break
        monitor.kill()
    assert "uthorized" in heard[-1], heard


@pytest_twisted.ensureDeferred
async def test_the_twisted_client(daemon: Daemon, guarded: Daemon) -> None:
    for there, certificate in ((daemon, False), (guarded, True)):
        api = DeferredAPI(config=settings(there, certificate))
        assert await api.status() == "Up"
        await api.close()


@pytest_twisted.ensureDeferred
async def test_a_server_that_is_not_ours_is_not_spoken_to(daemon: Daemon, guarded: Daemon) -> None:
    config = {**settings(daemon), "TXGATEWAY_TLS_CA": str(guarded.folder / "tls" / "ca.pem")}
    with API(config=config) as api, pytest.raises(GatewayUnreachable, match="certificate verify failed"):
        api.status()
    later = DeferredAPI(config=config)
    with pytest.raises(GatewayUnreachable):
        await later.status()
    await later.close()


def test_settings_that_do_not_fit_are_said(daemon: Daemon, tmp_path: Path) -> None:
    good = settings(daemon)
    for change, said in (
        ({"TXGATEWAY_TLS_CA": str(tmp_path / "none.pem")}, "TLS_CA=.*cannot be read"),
        ({"TXGATEWAY_CLIENT_CERT": good["TXGATEWAY_TLS_CA"]}, "CLIENT_CERT and CLIENT_KEY go together"),
        ({"TXGATEWAY_PROTOCOL": "http"}, "need PROTOCOL=https"),
    ):
        with pytest.raises(SettingsError, match=said):
            API(config={**good, **change})


# ---------------------------------------------------------------- the command line and the configuration


def test_certificates_are_shown_added_and_not_overwritten(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    assert "certs make" in certs(daemon, "show").stderr
    folder = secured(daemon, "--host", "gateway.example", "--host", "192.168.1.2")
    for key in folder.glob("*.key"):
        assert key.stat().st_mode & 0o777 == 0o600
    shown = certs(daemon, "show").stdout
    assert len(shown.splitlines()) == 3
    assert "gateway.example, 192.168.1.2, localhost, 127.0.0.1" in shown
    assert shown.count("SHA-256") == 3
    before = {path: path.read_bytes() for path in folder.iterdir()}
    again = certs(daemon, "make")
    assert again.returncode != 0
    assert "--force" in again.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert certs(daemon, "make", "--client", "bot").returncode == 0
    assert certs(daemon, "make", "--client", "bot").returncode != 0
    assert certs(daemon, "make", "--client", "a/b").returncode != 0
    assert len(certs(daemon, "show").stdout.splitlines()) == 4
    assert certs(daemon, "make", "--force").returncode == 0
    assert (folder / "ca.key").read_bytes() == before[folder / "ca.key"]
    assert (folder / "server.pem").read_bytes() != before[folder / "server.pem"]


def test_files_that_do_not_fit_stop_the_start_with_a_sentence(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon()
    folder = secured(daemon)
    for name, value, said in (
        ("TLS_KEY", folder / "client.key", "is not the key of"),
        ("TLS_KEY", folder / "ca.pem", "is no private key"),
        ("TLS_CERT", folder / "server.key", "has no certificate in it"),
        ("TLS_CLIENT_CA", folder / "server.key", "has no certificate in it"),
    ):
        before = dict(daemon.environment)
        daemon.environment[name] = str(value)
        ended = daemon.run()
        daemon.environment = before
        assert ended.returncode == 1, (name, value, ended.stderr)
        assert said in ended.stderr
        assert "certs make" in ended.stderr
        assert "Traceback" not in ended.stderr
    daemon.environment.pop("TLS_KEY")
    daemon.environment["TLS_CLIENT_CA"] = str(folder / "none.pem")
    ended = daemon.run("--check")
    assert ended.returncode == 2
    assert "it needs TXGATEWAY_TLS_KEY too" in ended.stderr
    assert "none.pem: cannot be read" in ended.stderr


def test_beyond_loopback_with_tls_and_a_password_needs_no_second_word(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(HOST="0.0.0.0")
    assert daemon.run("--check").returncode == 2
    secured(daemon)
    assert daemon.run("--check").returncode == 0
    daemon.environment["PASSWORD"] = "txtrader_pass"
    assert "with the default password" in daemon.run("--check").stderr
