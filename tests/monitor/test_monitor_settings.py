"""Where settings come from: the caller's dict, the environment, the defaults; the password from files too."""

from __future__ import annotations

from pathlib import Path

import pytest

from txgateway_monitor.settings import SettingsError, resolve


def test_defaults(tmp_path: Path) -> None:
    settings = resolve({}, {"XDG_DATA_HOME": str(tmp_path)})
    assert settings.url == "http://127.0.0.1:50080"
    assert settings.tcp_port == 50090
    assert (settings.username, settings.password) == ("txtrader_user", "txtrader_pass")
    assert (settings.account, settings.route) == ("API_ACCOUNT", "")
    assert "txtrader_pass" not in repr(settings)


def test_the_dict_comes_before_the_environment_and_our_names_before_txtraders() -> None:
    environment = {"TXGATEWAY_HOST": "env-ours", "TXTRADER_HOST": "env-theirs", "TXTRADER_USERNAME": "env-theirs"}
    assert resolve({"TXTRADER_HOST": "dict-theirs"}, environment).host == "dict-theirs"
    assert resolve({"TXTRADER_HOST": "no", "TXGATEWAY_HOST": "dict-ours"}, environment).host == "dict-ours"
    assert resolve({}, environment).host == "env-ours"
    assert resolve({}, environment).username == "env-theirs"


def test_empty_is_absent() -> None:
    assert resolve({"TXGATEWAY_HOST": None, "TXTRADER_HOST": ""}, {"TXGATEWAY_HOST": ""}).host == "127.0.0.1"


def test_numbers_may_be_numbers() -> None:
    settings = resolve({"TXGATEWAY_HTTP_PORT": 8080, "TXTRADER_TCP_PORT": 8081, "TXGATEWAY_READ_TIMEOUT": 2.5}, {})
    assert (settings.http_port, settings.tcp_port, settings.read_timeout) == (8080, 8081, 2.5)


def test_the_daemons_route_is_not_that_of_each_order() -> None:
    assert resolve({}, {"TXGATEWAY_API_ROUTE": "SMART"}).route == ""
    assert resolve({}, {"TXGATEWAY_API_ROUTE": "SMART", "TXTRADER_ROUTE": "DEMO2"}).route == "DEMO2"


def test_the_password_in_its_order(tmp_path: Path) -> None:
    data, named = tmp_path / "data", tmp_path / "named"
    data.mkdir()
    environment = {"TXGATEWAY_DATA_DIR": str(data)}
    assert resolve({}, environment).password == "txtrader_pass"
    (data / "password").write_text("from data\r\nsecond line")
    assert resolve({}, environment).password == "from data"
    assert resolve({}, {"XDG_DATA_HOME": str(tmp_path)}).password == "txtrader_pass"
    environment["TXTRADER_PASSWORD"] = "theirs"
    assert resolve({}, environment).password == "theirs"
    named.write_text("from file\n")
    environment["TXGATEWAY_PASSWORD_FILE"] = str(named)
    assert resolve({}, environment).password == "from file"
    environment["TXGATEWAY_PASSWORD"] = "ours"
    assert resolve({}, environment).password == "ours"
    assert resolve({"TXTRADER_PASSWORD": "dict"}, environment).password == "dict"


def test_the_default_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".local" / "share" / "txgateway"
    folder.mkdir(parents=True)
    (folder / "password").write_text("made by the daemon")
    assert resolve({}, {}).password == "made by the daemon"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"TXGATEWAY_HTTP_PORT": "http"}, "HTTP_PORT must be a port number"),
        ({"TXGATEWAY_HTTP_PORT": 0}, "HTTP_PORT must be a port number"),
        ({"TXTRADER_TCP_PORT": 65536}, "TCP_PORT must be a port number"),
        ({"TXGATEWAY_PROTOCOL": "ftp"}, "PROTOCOL must be http or https"),
        ({"TXGATEWAY_READ_TIMEOUT": "soon"}, "READ_TIMEOUT must be a number of seconds"),
        ({"TXGATEWAY_CONNECT_TIMEOUT": "nan"}, "CONNECT_TIMEOUT must be a number of seconds"),
        ({"TXGATEWAY_PASSWORD_FILE": "/nonexistent/file"}, "cannot read the password file /nonexistent/file"),
        ({"TXGATEWAY_PASSWORD_FILE": "/dev/null"}, "/dev/null is empty"),
    ],
)
def test_mistakes_are_named(config: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        resolve(config, {})


@pytest.mark.parametrize(
    ("host", "url", "loopback"),
    [
        ("::1", "http://[::1]:50080", True),
        ("[fe80::1]", "http://[fe80::1]:50080", False),
        ("localhost", "http://localhost:50080", True),
        ("gateway.example", "http://gateway.example:50080", False),
    ],
)
def test_addresses(host: str, url: str, loopback: bool) -> None:
    settings = resolve({"TXGATEWAY_HOST": host}, {})
    assert (settings.url, settings.on_loopback) == (url, loopback)
    assert not resolve({"TXGATEWAY_HOST": host, "TXGATEWAY_PROTOCOL": "https"}, {}).on_loopback
