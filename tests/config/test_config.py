"""The configuration: where each setting comes from, every mistake's sentence, and no secret in sight."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pytest

from txgateway import agreement, config
from txgateway import options as table
from txgateway.brokers.paper import options as paper_options
from txgateway.config import SETTINGS, Check, Config, ConfigError
from txgateway.sources import SETTINGS as SOURCE_SETTINGS

ROOT = Path(__file__).parents[2]
TOML = "/etc/txgateway.toml"


def load(
    environ: Mapping[str, str] | None = None,
    *,
    files: Mapping[str, str] | None = None,
    toml: str = "",
    kinds: tuple[str, ...] = ("paper", "tws"),
    check: Check = lambda options: {},
) -> Config:
    """A Config of nothing but what is given here."""
    there = {**(files or {}), **({TOML: toml} if toml else {})}

    def read_text(path: Path) -> str:
        if str(path) not in there:
            raise FileNotFoundError(2, "No such file or directory")
        return there[str(path)]

    toml_variable = {"TXGATEWAY_CONFIG": TOML} if toml else {}
    environ = {"HOME": "/home/me", **toml_variable, **(environ or {})}
    return config.load(environ, read_text, dict.fromkeys(kinds, check))


def mistakes(environ: Mapping[str, str] | None = None, **given: Any) -> list[str]:
    """What is wrong with that."""
    with pytest.raises(ConfigError) as raised:
        load(environ, **given)
    return list(raised.value.mistakes)


# -- where a setting comes from


def test_nothing_set_is_a_paper_gateway_on_loopback() -> None:
    made = load()
    assert (made.host, made.http_port, made.tcp_port) == ("127.0.0.1", 50080, 50090)
    assert (made.username, made.password, made.password_source) == (
        "txtrader_user",
        "txtrader_pass",
        "default",
    )
    assert made.data_dir == Path("/home/me/.local/share/txgateway")
    assert made.journal == "/home/me/.local/share/txgateway/journal.sqlite3"
    assert made.generated_password_file == made.data_dir / "password"
    assert (made.daemon_reactor, made.log_level, made.log_format) == ("asyncio", "info", "text")
    assert (made.local_reset_time, made.time_offset) == (time(5), 0)
    assert made.suppress_error_codes == {2100}
    assert made.api_route == "DEMO"
    (venue,) = made.venues
    assert (venue.name, venue.kind) == ("paper", "paper")
    assert venue.accounts == ("API_ACCOUNT", "PAPER_CASH")
    assert made.api_account == "API_ACCOUNT"


def test_the_seeds_variables_are_all_here_with_their_defaults() -> None:
    readme = """
        USERNAME txtrader_user  PASSWORD txtrader_pass  HTTP_PORT 50080  TCP_PORT 50090  DAEMON_LOGFILE -
        API_HOST localhost  API_PORT 51070  API_ACCOUNT api_account  API_TIMEZONE America/New_York
        API_ROUTE DEMO  API_CLIENT_ID 0  ENABLE_TICKER 0  ENABLE_HIGH_LOW 1  ENABLE_BARCHART 1
        ENABLE_SYMBOL_BARCHART 0  ENABLE_SECONDS_TICK 1  ENABLE_EXCEPTION_HALT 0  LOG_API_MESSAGES 0
        DEBUG_API_MESSAGES 0  LOG_CLIENT_MESSAGES 0  LOG_HTTP_REQUESTS 1  LOG_HTTP_RESPONSES 0
        LOG_ORDER_UPDATES 0  TIME_OFFSET 0  SUPPRESS_ERROR_CODES 2100  TIMEOUT_DEFAULT 15  TIMEOUT_ACCOUNT 15
        TIMEOUT_ADDSYMBOL 15  TIMEOUT_BARCHART 10  TIMEOUT_ORDER 300  TIMEOUT_ORDERSTATUS 3600
        TIMEOUT_POSITION 20  TIMEOUT_TIMER 10  ENABLE_AUTO_RESET 1  LOCAL_RESET_TIME 05:00
        GATEWAY_DISCONNECT_TIMEOUT 30"""
    seed = readme.split()
    for name, default in zip(seed[::2], seed[1::2], strict=True):
        assert SETTINGS[name].default == default, name
    others = """MODE DAEMON_REACTOR DAEMON_PIDFILE HOST LOG_LEVEL LOG_CXN_EVENTS LOG_RESPONSE_TRUNCATE
        LOG_ORDER_UPDATE_DUPS LOG_EXECUTION_UPDATES LOG_CALLBACK_METRICS ENABLE_EXECUTION_ACCOUNT_FORMAT
        GATEWAY_DISCONNECT_SHUTDOWN"""
    assert set(others.split()) <= set(SETTINGS)


def test_the_old_name_is_read_when_the_new_one_is_absent() -> None:
    assert load({"TXTRADER_HTTP_PORT": "1", "TXTRADER_TCP_PORT": "2", "TXGATEWAY_TCP_PORT": "3"}).http_port == 1
    assert load({"TXTRADER_TCP_PORT": "2", "TXGATEWAY_TCP_PORT": "3"}).tcp_port == 3
    assert load({"TXTRADER_PROTOCOL": "http", "TXTRADER_SOMETHING": "1"}).http_port == 50080


def test_an_empty_value_is_as_good_as_none() -> None:
    assert load({"TXGATEWAY_HTTP_PORT": "  ", "TXTRADER_HTTP_PORT": "1"}).http_port == 1
    assert load({"TXGATEWAY_HTTP_PORT": ""}, toml='[gateway]\nhttp_port = ""').http_port == 50080


def test_the_environment_wins_over_the_file_and_the_file_over_the_default() -> None:
    toml = "[gateway]\nhttp_port = 1\ntcp_port = 2\n"
    made = load({"TXTRADER_HTTP_PORT": "3"}, toml=toml)
    assert (made.http_port, made.tcp_port) == (3, 2)
    sources = {name: source for name, _, source in made.given}
    assert [sources[name] for name in ("HTTP_PORT", "TCP_PORT", "HOST")] == ["TXTRADER", "toml", "default"]


def test_toml_has_types_of_its_own() -> None:
    made = load(
        toml="""[gateway]
        enable_ticker = true
        timeout_order = 2.5
        suppress_error_codes = [2100, 2104]
        paper_accounts = ["a", "b:cash:5"]
        local_reset_time = 06:30:00
        log_level = "WARNING"
        """
    )
    assert made.enable_ticker is True
    assert made.timeout_order == 2.5
    assert made.suppress_error_codes == {2100, 2104}
    assert made.local_reset_time == time(6, 30)
    assert made.log_level == "warn"
    assert made.default_venue.accounts == ("A", "B")


@pytest.mark.parametrize("word", ["1", "true", "YES", "on", "0", "False", "no", "off"])
def test_flags_are_said_in_several_words(word: str) -> None:
    assert load({"TXGATEWAY_ENABLE_TICKER": word}).enable_ticker is (word.lower() in {"1", "true", "yes", "on"})


def test_the_data_folder() -> None:
    assert load({"TXGATEWAY_DATA_DIR": "/data"}).journal == "/data/journal.sqlite3"
    assert load({"XDG_DATA_HOME": "/xdg"}).data_dir == Path("/xdg/txgateway")
    assert load({"XDG_DATA_HOME": "relative"}).data_dir == Path("/home/me/.local/share/txgateway")
    assert load({"TXGATEWAY_DATA_DIR": "~/d"}).data_dir == Path("/home/me/d")
    assert load({"TXGATEWAY_JOURNAL": "sqlite:///j/a.db"}).journal == "/j/a.db"
    assert "say where to keep the journal" in mistakes({"HOME": ""})[0]
    assert load({"HOME": "", "TXGATEWAY_DATA_DIR": "/data"}).data_dir == Path("/data")


def test_the_time_zone_is_a_pytz_zone() -> None:
    zone = load({"TXGATEWAY_API_TIMEZONE": "US/Eastern"}).timezone
    assert str(zone.utcoffset(datetime(2026, 7, 1))) == "-1 day, 20:00:00"  # noqa: DTZ001


def test_the_clients_variables_are_left_to_the_clients() -> None:
    assert load({f"TXGATEWAY_{name}": "x" for name in config.CLIENT_VARIABLES}) == load()


# -- the password


@pytest.mark.parametrize(
    ("environ", "password", "source"),
    [
        ({"TXGATEWAY_PASSWORD": "a", "TXGATEWAY_PASSWORD_FILE": "/pw"}, "a", "TXGATEWAY_PASSWORD"),
        ({"TXGATEWAY_PASSWORD_FILE": "/pw", "TXTRADER_PASSWORD": "b"}, "from-file", "/pw"),
        ({"TXGATEWAY_PASSWORD_FILE": "~/pw"}, "from-home", "/home/me/pw"),
        ({"TXTRADER_PASSWORD": "b", "TXGATEWAY_DATA_DIR": "/data"}, "b", "TXTRADER_PASSWORD"),
        ({"TXGATEWAY_DATA_DIR": "/data"}, "kept", "/data/password"),
        ({"TXGATEWAY_DATA_DIR": "/other"}, "txtrader_pass", "default"),
    ],
)
def test_where_the_password_is(environ: dict[str, str], password: str, source: str) -> None:
    files = {"/pw": "from-file\n", "/home/me/pw": "from-home", "/data/password": "kept\n"}
    made = load(environ, files=files)
    assert (made.password, made.password_source) == (password, source)


def test_a_password_in_the_toml_file_comes_after_the_environment() -> None:
    toml = '[gateway]\npassword = "c"\n'
    assert load(toml=toml).password_source == f"{TOML} [gateway] password"
    assert load({"TXTRADER_PASSWORD": "b"}, toml=toml).password == "b"


def test_a_password_file_that_cannot_be_read_or_is_empty() -> None:
    environ = {"TXGATEWAY_PASSWORD_FILE": "/pw"}
    assert mistakes(environ) == [
        "TXGATEWAY_PASSWORD_FILE=/pw: the password cannot be read (No such file or directory); give a file that can be."
    ]
    assert mistakes(environ, files={"/pw": "\n"}) == [
        "TXGATEWAY_PASSWORD_FILE=/pw: the file is empty; write the password into it, on one line."
    ]


def test_no_secret_is_shown_anywhere() -> None:
    secret = "hunter2-secret"
    toml = f"""
    [venues.live]
    kind = "tws"
    api_secret = "{secret}"
    url = "wss://me:{secret}@example/"
    login = {{user = "me", password = "{secret}"}}
    """
    made = load({"TXGATEWAY_PASSWORD": secret}, toml=toml)
    assert made.password == secret
    assert made.default_venue.options["api_secret"] == secret
    assert secret not in f"{made!r} {made} {made.venues!r} {made.describe()}"
    assert "TXGATEWAY_PASSWORD=******** (TXGATEWAY_PASSWORD)" in made.describe()
    assert "url=wss://***@example/" in made.describe()[-1]


@pytest.mark.parametrize(
    "environ",
    [
        {"TXGATEWAY_PASSWORD": "hunter2 secret"},
        {"TXGATEWAY_PASSWROD": "hunter2"},
        {"TXGATEWAY_JOURNAL": "postgresql://me:hunter2@db/journal"},
        {"TXGATEWAY_PASSWORD_FILE": "/pw"},
    ],
)
def test_no_sentence_tells_a_secret(environ: dict[str, str]) -> None:
    (sentence,) = mistakes(environ, files={"/pw": "hunter2 secret"})
    assert "hunter2" not in sentence


# -- mistakes


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("HTTP_PORT", "70000", "give a port, a whole number from 0 to 65535"),
        ("HTTP_PORT", "-1", "give a port"),
        ("TCP_PORT", "8_0", "give a port"),
        ("TCP_PORT", "٣", "give a port"),
        ("API_PORT", "9" * 5000, "give a port"),
        ("HOST", "300.1.1.1", "give an address of this machine"),
        ("HOST", "[::1]", "give an address of this machine"),
        ("USERNAME", "a:b", "without spaces and colons"),
        ("ALLOW_INSECURE", "maybe", "give 1 or 0"),
        ("ENABLE_TICKER", "2", "give 1 or 0"),
        ("TIMEOUT_ORDER", "nan", "give seconds, more than 0"),
        ("TIMEOUT_ORDER", "inf", "give seconds"),
        ("TIMEOUT_ORDER", "0", "give seconds"),
        ("TIMEOUT_ORDER", "-5", "give seconds"),
        ("TIMEOUT_ORDER", "1e9", "give seconds"),
        ("TIMEOUT_ORDER", "9" * 400, "give seconds"),
        ("GATEWAY_DISCONNECT_TIMEOUT", "soon", "give seconds"),
        ("TICKET_SECONDS", "-1", "give seconds, at most 30 days, or 0"),
        ("TICKET_SECONDS", "never", "or 0"),
        ("TICKET_FOUR_EYES", "two", "give 1 or 0"),
        ("TIME_OFFSET", "1.5", "give a whole number"),
        ("TIME_OFFSET", "9" * 18, "give a whole number"),
        ("LOCAL_RESET_TIME", "24:00", "give a time of day as HH:MM"),
        ("LOCAL_RESET_TIME", "5", "give a time of day as HH:MM"),
        ("API_TIMEZONE", "America/NewYork", "did you mean America/New_York?"),
        ("API_ACCOUNT", "two words", "give one account's name"),
        ("DAEMON_REACTOR", "epol", "give asyncio, uvloop, epoll, poll or select"),
        ("LOG_LEVEL", "loud", "give debug, info, warn, error or critical"),
        ("LOG_FORMAT", "xml", "give text or json"),
        ("SUPPRESS_ERROR_CODES", "2100;2104", "give error codes with commas"),
        ("MODE", "rtx", "no broker of this kind is installed; those that are: paper, tws"),
        ("JOURNAL", "redis://host", "give the path of a file"),
    ],
)
def test_each_mistake_has_its_sentence(variable: str, value: str, says: str) -> None:
    (sentence,) = mistakes({f"TXGATEWAY_{variable}": value})
    assert sentence.startswith(f"TXGATEWAY_{variable}={value}: ")
    assert says in sentence
    assert sentence.endswith(".")


def test_every_mistake_is_told_at_once() -> None:
    found = mistakes(
        {
            "TXGATEWAY_HTTP_PORT": "x",
            "TXTRADER_TIMEOUT_ORDER": "inf",
            "TXGATEWAY_HTTP_PROT": "1",
            "TXGATEWAY_HOST": "0.0.0.0",
        },
        toml='[gateway]\nlog_level = "loud"\n[venues.sim]\nkind = "papre"\n',
    )
    assert [sentence.partition(": ")[0] for sentence in found] == [
        "TXGATEWAY_HTTP_PROT",
        "TXGATEWAY_HTTP_PORT=x",
        f"{TOML} [gateway] log_level=loud",
        "TXTRADER_TIMEOUT_ORDER=inf",
        f"{TOML} [venues.sim] kind=papre",
        "TXGATEWAY_HOST=0.0.0.0",
    ]


def test_an_unknown_variable_is_a_mistake_with_a_hint() -> None:
    assert mistakes({"TXGATEWAY_HTTP_PROT": "1"}) == [
        "TXGATEWAY_HTTP_PROT: there is no such setting (did you mean TXGATEWAY_HTTP_PORT?); correct it or take it away."
    ]


def test_both_servers_on_one_port() -> None:
    assert "give the stream another" in mistakes({"TXGATEWAY_TCP_PORT": "50080"})[0]
    assert load({"TXGATEWAY_TCP_PORT": "0", "TXGATEWAY_HTTP_PORT": "0"}).tcp_port == 0


@pytest.mark.parametrize("reactor", ["poll", "epoll", "select"])
def test_an_asyncio_broker_needs_asyncios_reactor(reactor: str) -> None:
    assert load({"TXGATEWAY_DAEMON_REACTOR": reactor}).daemon_reactor == reactor
    (sentence,) = mistakes({"TXGATEWAY_DAEMON_REACTOR": reactor, "TXGATEWAY_MODE": "tws"})
    assert "venue tws (tws) needs asyncio" in sentence


def test_uvloop_has_to_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "find_spec", lambda name: None)
    assert "uvloop is not installed" in mistakes({"TXGATEWAY_DAEMON_REACTOR": "uvloop"})[0]


# -- beyond loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_may_have_the_default_password(host: str) -> None:
    assert load({"TXGATEWAY_HOST": host}).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "gateway.example"])
def test_beyond_loopback_has_to_be_said_twice(host: str) -> None:
    (sentence,) = mistakes({"TXGATEWAY_HOST": host})
    assert "with the default password and without TLS" in sentence
    assert "set TXGATEWAY_PASSWORD and set TXGATEWAY_TLS_CERT and TXGATEWAY_TLS_KEY" in sentence
    (sentence,) = mistakes({"TXGATEWAY_HOST": host, "TXGATEWAY_PASSWORD": "own"})
    assert "reach the daemon without TLS; listen on 127.0.0.1, or set TXGATEWAY_TLS_CERT" in sentence
    assert "or say TXGATEWAY_ALLOW_INSECURE=1" in sentence
    tls = {"TXGATEWAY_TLS_CERT": "/server.pem", "TXGATEWAY_TLS_KEY": "/server.key"}
    files = dict.fromkeys(tls.values(), "pem")
    (sentence,) = mistakes({"TXGATEWAY_HOST": host, **tls}, files=files)
    assert "with the default password; listen on 127.0.0.1, or set TXGATEWAY_PASSWORD" in sentence
    assert load({"TXGATEWAY_HOST": host, "TXGATEWAY_PASSWORD": "own", **tls}, files=files).host == host
    assert load({"TXGATEWAY_HOST": host, "TXGATEWAY_ALLOW_INSECURE": "1"}).host == host


def test_the_default_password_is_known_wherever_it_stands() -> None:
    files = {"/home/me/.local/share/txgateway/password": "txtrader_pass\n"}
    assert "with the default password" in mistakes({"TXGATEWAY_HOST": "0.0.0.0"}, files=files)[0]


# -- paper


def test_a_paper_venue_has_its_settings_from_the_variables() -> None:
    made = load(
        {
            "TXGATEWAY_PAPER_FEED": "replay:~/ibm/*.csv@60x,loop",
            "TXTRADER_PAPER_CALENDAR": "XNYS",
            "TXGATEWAY_PAPER_COMMISSION": "0",
            "TXGATEWAY_PAPER_LATENCY": "0.25",
            "TXGATEWAY_PAPER_FAULTS": "lost_ack:0.1,seed:42",
            "TXGATEWAY_API_TIMEZONE": "UTC",
        }
    )
    assert dict(made.default_venue.options) == {
        "timezone": "UTC",
        "feed": "replay:/home/me/ibm/*.csv@60x,loop",
        "accounts": "API_ACCOUNT,PAPER_CASH:cash",
        "calendar": "XNYS",
        "commission": "0",
        "latency": "0.25",
        "faults": "lost_ack:0.1,seed:42",
    }


def test_paper_accounts() -> None:
    made = load({"TXGATEWAY_PAPER_ACCOUNTS": "dad:cash:5000.50, Mum:margin,kid"})
    assert made.default_venue.accounts == ("DAD", "MUM", "KID")
    assert made.api_account == "DAD"
    assert load({"TXGATEWAY_API_ACCOUNT": "mine"}).default_venue.accounts == ("MINE", "PAPER_CASH")


def test_the_current_account_is_one_of_them() -> None:
    environ = {"TXGATEWAY_PAPER_ACCOUNTS": "a,b", "TXTRADER_API_ACCOUNT": "b"}
    assert load(environ).api_account == "B"
    assert mistakes({**environ, "TXTRADER_API_ACCOUNT": "c"}) == [
        "TXTRADER_API_ACCOUNT=c: venue paper has no such account; give one of A, B."
    ]


# -- venues


def test_a_mode_of_the_environment_is_a_venue_of_that_name() -> None:
    made = load({"TXGATEWAY_MODE": "TWS", "TXGATEWAY_API_PORT": "4002", "TXTRADER_API_ACCOUNT": "DU1"})
    (venue,) = made.venues
    assert (venue.name, venue.kind, venue.accounts) == ("tws", "tws", ("DU1",))
    assert dict(venue.options) == {
        "host": "localhost",
        "port": 4002,
        "client_id": 0,
        "route": "DEMO",
        "accounts": "DU1",
        "timezone": "America/New_York",
    }


VENUES = """
[venues.sim]
kind = "paper"
feed = "synthetic:9"
accounts = ["S1", "S2:cash:100"]
commission = 0.01

[venues.IB-live]
kind = "tws"
accounts = ["U1"]
port = 7496
"""


def test_a_file_configures_many_venues_and_the_first_is_the_default() -> None:
    made = load({"TXGATEWAY_PAPER_LATENCY": "0.25"}, toml=VENUES)
    sim, live = made.venues
    assert made.default_venue is sim
    assert (made.mode, made.api_account) == ("paper", "S1")
    assert (sim.options["feed"], sim.options["commission"]) == ("synthetic:9", 0.01)
    assert (sim.options["latency"], sim.options["timezone"]) == ("0.25", "America/New_York")
    assert sim.accounts == ("S1", "S2")
    assert (live.name, live.kind, live.accounts) == ("IB-live", "tws", ("U1",))
    assert dict(live.options) == {"port": 7496, "accounts": ["U1"]}
    assert made.describe()[-1] == "venue IB-live: kind=tws accounts=U1 port=7496"


def test_a_kind_looks_at_its_own_options() -> None:
    def check(options: Mapping[str, Any]) -> dict[str, str]:
        wrong = {"token": "give the new one.", "feed": "give another"}
        return {name: instead for name, instead in wrong.items() if name in options} | {"user": "give a user."}

    assert mistakes({"TXTRADER_PAPER_FEED": "live"}, check=check) == [
        "TXTRADER_PAPER_FEED=live: give another.",
        "user: give a user.",
    ]
    assert mistakes(toml='[venues.a]\nkind = "tws"\ntoken = "abc"', check=check) == [
        f"{TOML} [venues.a] token=********: give the new one.",
        f"{TOML} [venues.a] user: give a user.",
    ]


def test_a_kind_whose_library_is_missing() -> None:
    def check(options: Mapping[str, Any]) -> dict[str, str]:
        raise ImportError("No module named 'ib_async'")

    assert (
        "the broker tws cannot be loaded (No module named 'ib_async')"
        in mistakes({"TXGATEWAY_MODE": "tws"}, check=check)[0]
    )


def test_a_venue_whose_library_is_missing_is_no_mistake_where_there_is_another() -> None:
    def check(options: Mapping[str, Any]) -> dict[str, str]:
        if "port" in options:
            raise ImportError("No module named 'ib_async'")
        return {}

    toml = '[venues.ib]\nkind = "tws"\nport = 7497\n[venues.paper]\nkind = "paper"\n'
    config = load(toml=toml, check=check)
    assert [bool(venue.trouble) for venue in config.venues] == [True, False]
    assert "(DOWN: the broker tws cannot be loaded (No module named 'ib_async'); install what it needs)" in (
        config.venues[0].describe()
    )
    both = toml.replace('kind = "paper"', 'kind = "paper"\nport = 1')
    assert len(mistakes(toml=both, check=check)) == 2


@pytest.mark.parametrize(
    ("feed", "source", "says"),
    [
        ("venue:ib", "tws", None),
        ("venue:ib", "paper", "venue ib is a paper venue, too, and has no live prices"),
        ("venue:paper", "tws", "a venue cannot trade on its own prices; name another"),
        ("venue:none", "tws", "there is no venue none; name one of ib"),
        ("venue:none", "paper", "there is no venue none; there is none but paper"),
    ],
)
def test_whose_prices_a_paper_venue_trades_on(feed: str, source: str, says: str | None) -> None:
    own = f'[venues.paper]\nkind = "paper"\naccounts = ["P"]\nfeed = "{feed}"\n'
    toml = f'{own}[venues.ib]\nkind = "{source}"\naccounts = ["I"]\n'
    if says is None:
        assert load(toml=toml).venues[0].options["feed"] == feed
        return
    assert [each.startswith(f"{TOML} [venues.paper] feed={feed}: {says}") for each in mistakes(toml=toml)] == [True]
    by_variable = toml.replace(f'feed = "{feed}"\n', "")
    if source == "tws":
        (mistake,) = mistakes({"TXGATEWAY_PAPER_FEED": feed}, toml=by_variable)
        assert mistake.startswith(f"TXGATEWAY_PAPER_FEED={feed}: {says}")


def test_two_paper_venues_in_a_ring_are_two_mistakes() -> None:
    toml = '[venues.a]\nkind = "paper"\naccounts = ["A"]\nfeed = "venue:b"\n'
    toml += '[venues.b]\nkind = "paper"\naccounts = ["B"]\nfeed = "venue:a"\n'
    assert [each.partition(":")[0] for each in mistakes(toml=toml)] == [
        f"{TOML} [venues.a] feed=venue",
        f"{TOML} [venues.b] feed=venue",
    ]


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[venue.a]\nkind = "paper"', f"{TOML} venue: there is no such setting (did you mean venues?)"),
        ("gateway = 1", f"{TOML} gateway: give a table, written [gateway]"),
        (
            "[gateway]\nhttp_prot = 1",
            f"{TOML} [gateway] http_prot: there is no such setting (did you mean http_port?)",
        ),
        ("[gateway]\nconfig = 'x'", f"{TOML} [gateway] config: there is no such setting"),
        ("[gateway]\nhttp_port = 70000", f"{TOML} [gateway] http_port=70000: give a port"),
        ("[gateway]\ntimeout_order = nan", "timeout_order=nan: give seconds"),
        ("[gateway]\ntimeout_order = inf", "timeout_order=inf: give seconds"),
        ("[gateway]\nlocal_reset_time = 2026-01-01", "local_reset_time: give text, a number"),
        ("[gateway", f"{TOML}: this is not TOML"),
        ("[venues.a]\nport = 1", f"{TOML} [venues.a]: give it a table with its kind in it, which is one of paper, tws"),
        ("venues.a = 1", f"{TOML} [venues.a]: give it a table with its kind in it"),
        ('[venues.a]\nkind = "Twss"', "is installed (did you mean tws?)"),
        ("[gateway]\nlocal_reset_time = 05:00:30", "local_reset_time=05:00:30: give a time of day"),
        ('[venues."a b"]\nkind = "tws"', "[venues.a b]: give a name of letters"),
        ('[venues.a]\nkind = "tws"\naccounts = 1', "[venues.a] accounts: give a list of names"),
        (VENUES.replace("U1", "S1"), "account S1: venues sim and IB-live both have it"),
    ],
)
def test_mistakes_in_the_file(toml: str, says: str) -> None:
    assert says in mistakes(toml=toml)[0]


def test_a_file_that_is_not_there() -> None:
    assert mistakes({"TXTRADER_CONFIG": "/no.toml"}) == [
        "TXTRADER_CONFIG=/no.toml: cannot be read (No such file or directory); give a TOML file."
    ]


def test_a_mode_beside_venues_has_to_agree() -> None:
    assert load({"TXGATEWAY_MODE": "paper"}, toml=VENUES).mode == "paper"
    (sentence,) = mistakes({"TXTRADER_MODE": "tws"}, toml=VENUES)
    assert sentence == (
        f"TXTRADER_MODE=tws: {TOML} has venues of its own, sim first; take TXTRADER_MODE away, or the [venues] tables."
    )


def test_without_an_installation_there_are_no_brokers() -> None:
    assert "none (install txgateway with pip)" in mistakes(kinds=())[0]


def test_looking_at_the_installed_kinds_installs_no_reactor(tmp_path: Path) -> None:
    program = """if True:
        import os, sys
        from txgateway import config
        assert config.load(os.environ).default_venue.kind == "paper"
        try:
            config.load({**os.environ, "TXGATEWAY_PAPER_FEED": "nonsense"})
        except config.ConfigError as error:
            print(error)
        assert "twisted.internet.reactor" not in sys.modules
    """
    environ = {"TXGATEWAY_DATA_DIR": str(tmp_path), "PATH": ""}
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("TXGATEWAY_PAPER_FEED=nonsense: ")


# -- what it gives


def test_a_config_is_frozen() -> None:
    made = load()
    with pytest.raises(FrozenInstanceError):
        made.http_port = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        made.default_venue.options["feed"] = 1  # type: ignore[index]


def test_description_has_a_line_for_every_setting_and_venue() -> None:
    lines = load({"TXTRADER_HTTP_PORT": "1"}, toml=VENUES).describe()
    assert len(lines) == len(SETTINGS) + 2
    assert "TXGATEWAY_HTTP_PORT=1 (TXTRADER)" in lines
    assert "TXGATEWAY_PAPER_FEED=synthetic (default)" in lines


# -- signals


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"WEBHOOK_PORT": "x"}, "TXGATEWAY_WEBHOOK_PORT=x: give a port"),
        ({"WEBHOOK_PORT": "50080"}, "TXGATEWAY_WEBHOOK_PORT=50080: HTTP_PORT is this port; give another one"),
        ({"WEBHOOK_PORT": "50090"}, "TXGATEWAY_WEBHOOK_PORT=50090: TCP_PORT is this port; give another one"),
        ({"WEBHOOK_HOST": "127.0.0.1"}, "TXGATEWAY_WEBHOOK_HOST=127.0.0.1: it is about TXGATEWAY_WEBHOOK_PORT; give"),
        ({"WEBHOOK_PORT": "1", "WEBHOOK_HOST": "0.0.0.0"}, "WEBHOOK_HOST=0.0.0.0: secrets would come in without TLS"),
        ({"WEBHOOK_PORT": "1", "WEBHOOK_CLIENT_CA": "/c"}, "WEBHOOK_CLIENT_CA=/c: it needs TXGATEWAY_TLS_CERT too"),
        ({"TRUSTED_PROXIES": "me"}, "TXGATEWAY_TRUSTED_PROXIES=me: give addresses or networks"),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "TXGATEWAY_TRUSTED_PROXIES=10.0.0.1/8: give addresses or networks"),
        ({"WEBHOOK_URL": "gw.example.com"}, "TXGATEWAY_WEBHOOK_URL=gw.example.com: give a URL without a user"),
        ({"WEBHOOK_URL": "https://a:b@gw/"}, "give a URL without a user and a query"),
        ({"WEBHOOK_URL": "https://gw/?a=1"}, "give a URL without a user and a query"),
    ],
)
def test_mistakes_about_signals(environ: dict[str, str], says: str) -> None:
    (sentence,) = mistakes({f"TXGATEWAY_{name}": value for name, value in environ.items()}, files={"/c": ""})
    assert says in sentence


def test_a_port_for_signals_may_be_open_to_all_with_tls_or_by_saying_so() -> None:
    given = {"TXGATEWAY_WEBHOOK_PORT": "1", "TXGATEWAY_WEBHOOK_HOST": "0.0.0.0"}
    assert load({**given, "TXGATEWAY_ALLOW_INSECURE": "1"}).webhook_host == "0.0.0.0"
    tls = {"TXGATEWAY_TLS_CERT": "/cert", "TXGATEWAY_TLS_KEY": "/key"}
    assert load({**given, **tls}, files={"/cert": "", "/key": ""}).webhook_port == 1
    urls = ("https://gw.example.com/", "http://127.0.0.1:8080", "https://[::1]:1/a/b", "")
    assert [load({"TXGATEWAY_WEBHOOK_URL": each}).webhook_url for each in urls] == [
        "https://gw.example.com",
        "http://127.0.0.1:8080",
        "https://[::1]:1/a/b",
        "",
    ]
    proxies = load({"TXGATEWAY_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8"}).trusted_proxies
    assert proxies == ("127.0.0.1/32", "10.0.0.0/8")


# -- the examples


def test_the_example_environment_has_every_setting_once_with_its_default() -> None:
    text = (ROOT / "etc/txgateway.env").read_text("utf-8")
    shown = re.findall(r"^#TXGATEWAY_([A-Z_]+)=(.*)$", text, re.MULTILINE)
    assert sorted(shown) == sorted((name, setting.default) for name, setting in SETTINGS.items())
    for name, setting in SETTINGS.items():
        assert f"# {setting.what}\n#TXGATEWAY_{name}=" in text, name
    environ = {f"TXGATEWAY_{name}": value for name, value in shown}
    assert load({**environ, "TXGATEWAY_PASSWORD": ""}).venues == load().venues


def test_the_example_file_is_good_as_it_is_and_with_its_comments_taken_off() -> None:
    text = (ROOT / "etc/txgateway.toml").read_text("utf-8")
    assert load(toml=text).default_venue.kind == "paper"
    uncommented = re.sub(r"^#(?=[\w\[])", "", text, flags=re.MULTILINE)
    assert len(tomllib.loads(uncommented)["venues"]) > len(tomllib.loads(text)["venues"])
    assert len(load(toml=uncommented, kinds=("paper", "rtx", "tws", "ccxt")).venues) > 1
    assert set(tomllib.loads(uncommented)["sources"]["tv-alerts"]) == {*SOURCE_SETTINGS, "venue", "limits"}


def test_what_no_venue_reads_is_a_mistake_where_one_would_go_elsewhere() -> None:
    """The variables of the one venue of the environment say nothing of one with a table: it would go to localhost."""
    (said,) = mistakes({"TXGATEWAY_API_HOST": "elsewhere"}, toml='[venues.a]\nkind = "tws"')
    assert said.startswith("TXGATEWAY_API_HOST=elsewhere: no venue of a table reads it; write host into")
    assert "[venues.a]" in said
    for toml in ('[venues.a]\nkind = "tws"\nhost = "there"', '[venues.a]\nkind = "paper"'):
        assert load({"TXGATEWAY_API_HOST": "elsewhere"}, toml=toml).default_venue.name == "a"
    load({"TXGATEWAY_API_ACCOUNT": "U1", "TXGATEWAY_API_TIMEZONE": "UTC"}, toml='[venues.a]\nkind = "tws"')


def test_a_file_may_begin_with_the_mark_of_its_encoding(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('\ufeff[venues.a]\nkind = "paper"\n', "utf-8")
    made = config.load({"TXGATEWAY_CONFIG": str(file), "HOME": str(tmp_path)})
    assert made.default_venue.name == "a"


def test_the_value_of_a_misspelt_option_is_not_shown() -> None:
    def check(options: Mapping[str, Any]) -> dict[str, str]:
        return table.mistakes(options, {"secret": ("", str), "port": (1, table.port("it"))})

    toml = '[venues.b]\nkind = "tws"\nsecrt = "hush-hush"\nport = "here"\n'
    said = mistakes(toml=toml, check=check)
    assert f"{TOML} [venues.b] secrt: there is no such option (did you mean secret?); correct it" in str(said)
    assert any("port=here: give the port" in each for each in said), "of others it is"
    assert "hush" not in str(said)
    with pytest.raises(ValueError, match="secrt: there is no such option") as raised:
        table.read({"secrt": "hush-hush"}, {"secret": ("", str)})
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("route", ["5", "null", "{bad", '""', '{"A": 1, "B": 2}', '{"A": 5}', "[1]"])
def test_what_is_no_route_is_refused(route: str) -> None:
    (sentence,) = mistakes({"TXGATEWAY_API_ROUTE": route})
    assert f"TXGATEWAY_API_ROUTE={route}: " in sentence
    assert 'give a name, or {"name": {"parameter": value}} with one name' in sentence


def test_every_mistake_within_a_value_is_told() -> None:
    (sentence,) = mistakes({"TXGATEWAY_RISK": "max_notional=x,nonsense=1,max_position,order_rate=5"})
    for said in ("max_notional", "'nonsense'", "'max_position' must be"):
        assert said in sentence
    wrong = paper_options.mistakes({"accounts": "A:foo,B:cash:-5,A,A"})["accounts"]
    for said in ("'foo' is not a number", "-5 must be zero or more", "A is named twice"):
        assert said in wrong


@pytest.mark.parametrize("kind", ["tws", "paper"])
def test_an_account_is_named_once(kind: str) -> None:
    toml = f'[venues.v]\nkind = "{kind}"\naccounts = ["A", "B", "A"]\n'
    check = paper_options.mistakes if kind == "paper" else lambda options: {}
    (sentence,) = mistakes(toml=toml, check=check)
    assert "accounts" in sentence
    assert "A is named twice" in sentence
