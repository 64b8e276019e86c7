"""Environment and TOML file -> one frozen Config, checked once; every mistake is told, all of them at once.

A setting X is read from TXGATEWAY_X, else TXTRADER_X, else `x` in the [gateway] table of the TOML file named
by TXGATEWAY_CONFIG, else its default; an empty value is as good as none. Venues: one, named after its kind,
from the environment alone (TXGATEWAY_MODE), or any number as [venues.NAME] tables, the first the default one.
Secrets are in no repr, description or sentence.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import time, tzinfo
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, cast

import pytz

from txgateway import settings as read
from txgateway.brokers import ENTRY_POINTS
from txgateway.model.credential import User
from txgateway.model.limits import Levels, level_of, limit_of
from txgateway.model.rights import grant_of
from txgateway.model.scope import Scope, ScopeKind
from txgateway.model.signal import Source
from txgateway.sources import CONFIGURED, source_of, written
from txgateway.sources import SETTINGS as SOURCE_SETTINGS

PREFIX, OLD_PREFIX = "TXGATEWAY_", "TXTRADER_"
DEFAULT_PASSWORD = "txtrader_pass"
EMBEDDED = "paper"
"""The kind that is in this process, and connects to nobody."""
NEEDS_ASYNCIO = frozenset({"tws", "ib", "ccxt"})
"""Kinds whose library runs on asyncio's loop."""
CLIENT_VARIABLES = frozenset(
    {"CLIENT_CERT", "CLIENT_KEY", "CONNECT_TIMEOUT", "OPTIONS", "PROTOCOL", "READ_TIMEOUT", "ROUTE", "TLS_CA"}
)
"""Variables of the client programs alone: in the daemon's environment neither settings nor mistakes."""

_MASK = "********"
_SECRET_OPTION = re.compile(r"pass|secret|token|key|credential", re.IGNORECASE)

T = TypeVar("T")


class ConfigError(Exception):
    """The configuration cannot be used: `mistakes` has a sentence for each thing that is wrong."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


# -- what there is to set: the one table that load, describe and etc/txgateway.env go by


@dataclass(frozen=True)
class Setting:
    """One variable: its reader, its default as text (load computes some that are empty), what it is."""

    read: Callable[[str], Any]
    default: str
    what: str
    secret: bool = False


def _set(reader: Callable[[str], T], default: str, what: str, *, name: str = "", secret: bool = False) -> T:
    """A Config field whose name, in upper case, is the variable's, unless `name` says otherwise."""
    return cast(T, field(metadata={"setting": Setting(reader, default, what, secret), "name": name}))


@dataclass(frozen=True)
class Venue:
    """One configured connection: `kind` finds the broker; the stream's lines of it begin with `name`."""

    name: str
    kind: str
    accounts: tuple[str, ...]
    options: Mapping[str, Any] = field(repr=False)
    """What the broker is set up with: for kind paper its PAPER_ settings and, over them, its table."""
    trouble: str = ""
    """Why its broker cannot be loaded, if it cannot: it stays down, and the other venues do not mind."""

    def describe(self) -> str:
        """One line, secrets masked."""
        options = [f"{key}={_shown(key, value)}" for key, value in self.options.items()]
        down = [f"(DOWN: {self.trouble})"] if self.trouble else []
        return " ".join([f"venue {self.name}: kind={self.kind}", *options, *down])


@dataclass(frozen=True, repr=False, kw_only=True)
class Config:
    """Everything that can be set, typed and checked."""

    username: str = _set(read.username, "txtrader_user", "the name that clients log in with")
    password: str = _set(read.password, DEFAULT_PASSWORD, "their password", secret=True)
    password_file: Path | None = _set(read.optional_path, "", "a file that has it instead")
    host: str = _set(read.interface, "127.0.0.1", "the address to listen on")
    http_port: int = _set(read.port, "50080", "the HTTP port; 0 takes any free one")
    tcp_port: int = _set(read.port, "50090", "the stream's port; 0 takes any free one")
    allow_insecure: bool = _set(
        read.flag, "0", "1 allows a HOST beyond loopback without TLS or a password of one's own"
    )
    tls_cert: Path | None = _set(read.optional_path, "", "the server's certificate (PEM): TLS on every port")
    tls_key: Path | None = _set(read.optional_path, "", "its private key (PEM)")
    tls_client_ca: Path | None = _set(read.optional_path, "", "a CA (PEM): clients need a certificate of it")
    webhook_port: int | None = _set(
        read.optional_port, "", "a port for senders of signals alone; empty: they come in by the HTTP port"
    )
    webhook_host: str = _set(read.optional_interface, "", "the address that port listens on; empty: HOST")
    webhook_client_ca: Path | None = _set(
        read.optional_path, "", "a CA (PEM): senders there are asked for a certificate, which a source may insist on"
    )
    trusted_proxies: tuple[str, ...] = _set(
        read.networks, "", "addresses of proxies whose X-Forwarded-For says where a signal is from"
    )
    webhook_url: str = _set(
        read.base_url, "", "the address that senders of signals are told, such as https://gw.example.com"
    )
    proquant_url: str = _set(read.base_url, "https://www.proquant.com", "where ProQuant is asked for integrations")
    request_rate: float | None = _set(
        read.optional_rate,
        "",
        "requests a second of each user; 0: no limit; empty: 5000, and none for USERNAME",
    )

    login_delay: float = _set(
        read.wait, "5", "seconds until a wrong login is answered, at most; the first takes 0.25; 0: at once"
    )

    data_dir: Path = _set(Path, "", "all state; default ~/.local/share/txgateway (XDG)")
    config_file: Path | None = _set(read.optional_path, "", "the TOML file, see txgateway.toml", name="CONFIG")
    journal: str = _set(read.journal, "", "the SQLite file; default journal.sqlite3 in DATA_DIR")
    daemon_reactor: str = _set(
        read.reactor, "asyncio", "asyncio (on uvloop where installed), uvloop, epoll, poll or select"
    )
    daemon_logfile: str = _set(read.any_text, "-", "the log's file; - is standard output")
    daemon_pidfile: Path | None = _set(read.optional_path, "", "where the process id goes, if anywhere")
    log_level: str = _set(read.log_level, "info", "debug, info, warn, error or critical")
    log_format: str = _set(read.log_format, "text", "text or json, one line an event")

    mode: str = _set(read.kind, "paper", "the broker, paper, rtx, tws or ccxt, when no TOML file has venues")
    api_host: str = _set(read.word, "localhost", "where that broker is; for rtx the host of rtgw, for tws that of TWS")
    api_port: int = _set(read.port, "51070", "its port")
    api_account: str = _set(
        read.account, "api_account", "the account at the start; for rtx BANK.BRANCH.CUSTOMER.DEPOSIT"
    )
    api_route: str = _set(read.any_text, "DEMO", "the route at the start, as set_order_route takes it")
    api_timezone: str = _set(read.zone, "America/New_York", "the zone of trading days and local times")
    api_client_id: int = _set(read.whole(0, 2**31 - 1), "0", "our client number (tws)")

    ccxt_exchange: str = _set(read.word, "binance", "the crypto exchange, by ccxt's name of it")
    ccxt_key: str = _set(read.any_text, "", "the API key", secret=True)
    ccxt_secret: str = _set(
        read.any_text, "", r"its secret; a private key on one line, with \n for its line breaks", secret=True
    )
    ccxt_password: str = _set(read.any_text, "", "its passphrase, where the exchange gives one", secret=True)
    ccxt_uid: str = _set(read.any_text, "", "the user's or application's id, where the exchange asks for it")
    ccxt_market: str = _set(read.any_text, "", "spot or swap, where the exchange has both; empty: what it is first")
    ccxt_domain: str = _set(read.any_text, "live", "live, testnet or demo")
    ccxt_url: str = _set(
        read.any_text, "", "another address for all of it: an emulator's, such as http://localhost:8080"
    )
    ccxt_symbols: str = _set(read.any_text, "", "only these pairs or quote currencies: BTC/USDT,EUR; empty: all")

    paper_feed: str = _set(read.any_text, "synthetic", "synthetic[:seed], replay:<files>[@speed][,loop] or venue:NAME")
    paper_accounts: str = _set(
        read.any_text, "", "NAME[:margin or :cash][:amount],...; default API_ACCOUNT,PAPER_CASH:cash"
    )
    paper_calendar: str = _set(read.any_text, "", "a calendar such as XNYS; empty: always open")
    paper_commission: str = _set(read.any_text, "0.005", "for each share; txgateway.toml has finer terms")
    paper_latency: str = _set(read.any_text, "0", "seconds between an order and its arrival")
    paper_faults: str = _set(read.any_text, "", "what goes wrong on purpose: lost_ack:0.1,late_fill:0.05:2s,seed:42")

    risk: Levels = _set(read.limits, "", "limits: [SCOPE/]LIMIT=VALUE[:WARN],...; over them set_risk")

    enable_ticker: bool = _set(read.flag, "0", "1 sends quotes and trades to stream clients")
    enable_high_low: bool = _set(read.flag, "1", "1 gives symbols their high and low")
    enable_barchart: bool = _set(read.flag, "1", "1 keeps live minute bars")
    enable_symbol_barchart: bool = _set(read.flag, "0", "1 puts the live bars into symbols too")
    enable_seconds_tick: bool = _set(read.flag, "1", "1 keeps the feed's clock by the second")
    enable_execution_account_format: bool = _set(read.flag, "1", "1 puts ACCOUNT into executions")
    enable_exception_halt: bool = _set(read.flag, "0", "1 halts trading at an unexpected error")
    enable_auto_reset: bool = _set(read.flag, "1", "1 reconnects the venues at LOCAL_RESET_TIME")
    local_reset_time: time = _set(read.clock_time, "05:00", "HH:MM in API_TIMEZONE")
    ticket_seconds: float = _set(read.wait, "0", "seconds a ticket may wait; 0: its trading day, GTC for ever")
    ticket_four_eyes: bool = _set(read.flag, "0", "1: another than its sender must approve a ticket")
    gateway_disconnect_timeout: float = _set(read.timeout, "30", "seconds without the venue until an alarm")
    gateway_disconnect_shutdown: bool = _set(read.flag, "0", "1 stops the daemon at that alarm")

    time_offset: int = _set(read.whole(-(10**9), 10**9), "0", "seconds added to the feed's clock")
    suppress_error_codes: frozenset[int] = _set(read.codes, "2100", "error codes not to pass on")
    timeout_default: float = _set(read.timeout, "15", "seconds: requests to the venue")
    timeout_account: float = _set(read.timeout, "15", "seconds: account data")
    timeout_addsymbol: float = _set(read.timeout, "15", "seconds: a symbol and its first price")
    timeout_barchart: float = _set(read.timeout, "10", "seconds: historical bars")
    timeout_order: float = _set(read.timeout, "300", "seconds until an unanswered order is UNKNOWN")
    timeout_orderstatus: float = _set(read.timeout, "3600", "seconds: an order's status request")
    timeout_position: float = _set(read.timeout, "20", "seconds: positions")
    reconcile_seconds: int = _set(
        read.whole(0, 86400), "60", "seconds between reconciliations while a venue is up; 0: on every connect alone"
    )
    difference_raise_seconds: int = _set(
        read.whole(0, 10**9), "300", "seconds until a difference that stays open is more severe; 0: never"
    )
    timeout_timer: float = _set(read.timeout, "10", "seconds: the feed's clock")

    log_api_messages: bool = _set(read.flag, "0", "1 logs what venues send and are sent")
    debug_api_messages: bool = _set(read.flag, "0", "1 logs the same as raw bytes")
    log_client_messages: bool = _set(read.flag, "0", "1 logs what stream clients send")
    log_http_requests: bool = _set(read.flag, "1", "1 logs HTTP calls")
    log_http_responses: bool = _set(read.flag, "0", "1 logs their answers")
    log_response_truncate: int = _set(read.whole(0, 10**6), "96", "characters of an answer to log")
    log_order_updates: bool = _set(read.flag, "0", "1 logs order events")
    log_order_update_dups: bool = _set(read.flag, "0", "1 logs repeated reports too")
    log_execution_updates: bool = _set(read.flag, "1", "1 logs executions")
    log_cxn_events: bool = _set(read.flag, "0", "1 logs connections that open and close")
    log_callback_metrics: bool = _set(read.flag, "0", "1 logs how long venues took")

    venues: tuple[Venue, ...]
    users: tuple[User, ...] = field(repr=False, default=())
    """Who else may come in, by the TOML file."""
    sources: tuple[Source, ...] = field(repr=False, default=())
    """Who sends signals, by the TOML file."""
    password_source: str
    """Where the password is: a variable, a file, or "default"."""
    given: tuple[tuple[str, str, str], ...]
    """(variable, text, source) of each setting, secrets masked."""

    @property
    def timezone(self) -> tzinfo:
        """API_TIMEZONE as a pytz zone: localize with it, never pass it as tzinfo=."""
        return pytz.timezone(self.api_timezone)

    @property
    def speaks_tls(self) -> bool:
        """Whether anything here may: every broker but the embedded one is somewhere else."""
        return self.tls_cert is not None or any(venue.kind != EMBEDDED for venue in self.venues)

    @property
    def default_venue(self) -> Venue:
        """The venue of a symbol that names none."""
        return self.venues[0]

    @property
    def generated_password_file(self) -> Path:
        """Where the daemon leaves the password when none was configured."""
        return self.data_dir / "password"

    def describe(self) -> list[str]:
        """A line for each setting (name=value and where it is from), venue and source of signals, secrets masked."""
        settings = [f"{PREFIX}{name}={text} ({source})" for name, text, source in self.given]
        return [
            *settings,
            *(venue.describe() for venue in self.venues),
            *(_described(each, self.risk) for each in self.sources),
        ]

    def __repr__(self) -> str:
        return f"Config({', '.join(self.describe())})"


_FIELDS = {f.metadata["name"] or f.name.upper(): f for f in fields(Config) if f.metadata}
SETTINGS: Mapping[str, Setting] = {name: f.metadata["setting"] for name, f in _FIELDS.items()}
"""Every setting by its variable's name without prefix."""


_SOURCE = (*SOURCE_SETTINGS, "venue", "secret_file", "limits")
_USER = ("password_hash", "scopes", "accounts", "symbols", "max_notional")
_PAPER = ("feed", "accounts", "calendar", "commission", "latency", "faults")
_OPTIONS = {"paper": {"timezone": "API_TIMEZONE", **{option: f"PAPER_{option.upper()}" for option in _PAPER}}}
"""By kind, the options that every venue of it has from a variable, its table or none."""
_API_OPTIONS = {
    "host": "API_HOST",
    "port": "API_PORT",
    "client_id": "API_CLIENT_ID",
    "accounts": "API_ACCOUNT",
    "route": "API_ROUTE",
    "timezone": "API_TIMEZONE",
}
"""The options of a venue of any other kind that is configured by the environment alone."""
_CCXT = ("exchange", "key", "secret", "password", "uid", "market", "domain", "url", "symbols")
_OF_ALL = frozenset({"API_ACCOUNT", "API_ROUTE", "API_TIMEZONE"})
"""Those of them that say something about the whole daemon, too."""
_API_OPTIONS_OF = {"ccxt": {"accounts": "API_ACCOUNT", **{option: f"CCXT_{option.upper()}" for option in _CCXT}}}
"""The same of kinds that have variables of their own."""


# -- load


Check = Callable[[Mapping[str, Any]], Mapping[str, str]]
"""A kind's own look at a venue's options: option -> what to give instead."""


def installed_kinds() -> dict[str, Check]:
    """The brokers there are; a class may check its options by a static method `mistakes`."""
    return {entry.name: partial(_mistakes_by, entry) for entry in entry_points(group=ENTRY_POINTS)}


def _mistakes_by(entry: EntryPoint, options: Mapping[str, Any]) -> Mapping[str, str]:
    check: Check | None = getattr(entry.load(), "mistakes", None)
    return check(options) if check else {}


def load(
    environ: Mapping[str, str],
    read_text: Callable[[Path], str] | None = None,
    kinds: Mapping[str, Check] | None = None,
) -> Config:
    """The Config of an environment, or ConfigError with every mistake.

    `read_text` reads the TOML and password files, `kinds` are the brokers there are, by default the installed ones.
    """
    return _Reading(environ, read_text or _read_text, installed_kinds() if kinds is None else kinds).config()


class _Given(NamedTuple):
    """A setting's text, the place where a mistake in it is mended, and the kind of that place."""

    text: str
    label: str
    source: str

    def said(self, name: str = "") -> str:
        """Label and text, the text masked when the name says that it is a secret."""
        return f"{self.label}={_shown(name, self.text)}"


class _Reading:
    """One load in progress: what is given, and the mistakes found so far."""

    def __init__(
        self,
        environ: Mapping[str, str],
        read_text: Callable[[Path], str],
        kinds: Mapping[str, Check],
    ) -> None:
        self.mistakes: list[str] = []
        self.environ = {name: text for name, text in environ.items() if text.strip()}
        self.read_text = read_text
        self.kinds = kinds
        self.toml_path = ""
        self.gateway_table: Mapping[str, Any] = {}
        self.venue_tables: Mapping[str, Any] = {}
        self.user_tables: Mapping[str, Any] = {}
        self.source_tables: Mapping[str, Any] = {}
        self.given: dict[str, _Given] = {}
        self.values: dict[str, Any] = {}

    def config(self) -> Config:
        """Read everything, then say what is wrong or give the Config."""
        self._find_unknown_variables()
        self._read_toml()
        self.given = {name: self._find(name) for name in SETTINGS}
        self._compute_defaults()
        self.values = {name: self._value(name, self.given[name]) for name in SETTINGS}
        self.values["PASSWORD"], password_source = self._password()
        venues = self._venues()
        users = tuple(self._users())
        sources = tuple(self._sources(venues))
        self._check_source_names(sources, users)
        self._check_together(venues)
        if self.mistakes:
            raise ConfigError(self.mistakes)
        self.values["MODE"] = venues[0].kind
        given = {name: (name, _shown(name, each.text), each.source) for name, each in self.given.items()}
        given["PASSWORD"] = ("PASSWORD", _MASK, password_source)
        return Config(
            **{f.name: self.values[name] for name, f in _FIELDS.items()},
            venues=venues,
            users=users,
            sources=sources,
            password_source=password_source,
            given=tuple(given.values()),
        )

    def _wrong(self, where: str, what: str) -> None:
        self.mistakes.append(f"{where}: {what}.")

    def _find_unknown_variables(self) -> None:
        for variable in sorted(self.environ):
            name = variable.removeprefix(PREFIX)
            if name != variable and name not in SETTINGS and name not in CLIENT_VARIABLES:
                hint = read.did_you_mean(variable.upper(), [PREFIX + known for known in SETTINGS])
                self._wrong(variable, f"there is no such setting{hint}; correct it or take it away")

    def _read_toml(self) -> None:
        found = self._find("CONFIG")
        if not found.text:
            return
        self.toml_path = found.text
        try:
            document = tomllib.loads(self.read_text(Path(found.text)))
        except OSError as error:
            self._wrong(found.said(), f"cannot be read ({error.strerror or error}); give a TOML file")
            return
        except ValueError as error:
            self._wrong(found.text, f"this is not TOML: {error}")
            return
        self._check_names(found.text, document, ["gateway", "sources", "users", "venues"])
        self.gateway_table = self._table(document, "gateway")
        self.venue_tables = self._table(document, "venues")
        self.user_tables = self._table(document, "users")
        self.source_tables = self._table(document, "sources")
        self._check_names(
            f"{found.text} [gateway]",
            self.gateway_table,
            [name.lower() for name in SETTINGS if name != "CONFIG"],
        )

    def _table(self, document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        table = document.get(name, {})
        if isinstance(table, dict):
            return table
        self._wrong(f"{self.toml_path} {name}", f"give a table, written [{name}]")
        return {}

    def _check_names(self, where: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in table:
            if name not in known:
                hint = read.did_you_mean(name, known)
                self._wrong(f"{where} {name}", f"there is no such setting{hint}; correct it or take it away")

    def _find(self, name: str) -> _Given:
        """The text of a setting from the first place that has one."""
        secret = SETTINGS[name].secret
        for prefix, source in ((PREFIX, "environment"), (OLD_PREFIX, "TXTRADER")):
            if text := self.environ.get(prefix + name):
                return _Given(text if secret else self._at_home(text.strip()), prefix + name, source)
        label = f"{self.toml_path} [gateway] {name.lower()}"
        if text := self._toml_text(label, self.gateway_table.get(name.lower(), "")):
            return _Given(text if secret else self._at_home(text), label, "toml")
        return _Given(SETTINGS[name].default, PREFIX + name, "default")

    def _toml_text(self, label: str, value: Any) -> str:
        """A TOML value as it would stand in a variable."""
        match value:
            case bool():
                return str(int(value))
            case str() | int() | float():
                return str(value)
            case time():
                return f"{value}" if value.second or value.microsecond else f"{value:%H:%M}"
            case [*items] if all(isinstance(item, str | int) for item in items):
                return ",".join(map(str, items))
        self._wrong(label, "give text, a number, true or false, or a list of text")
        return ""

    def _at_home(self, text: str) -> str:
        """`~/x` and `replay:~/x` as a shell would have it."""
        home = self.environ.get("HOME", "~")
        return re.sub(r"(^|:)~(?=/)", lambda match: match[1] + home, text)

    def _compute_defaults(self) -> None:
        """The defaults that depend on other settings."""
        environ, given = self.environ, self.given
        if not given["DATA_DIR"].text:
            shared = environ.get("XDG_DATA_HOME", "")
            if not shared.startswith("/"):
                shared = f"{environ['HOME']}/.local/share" if "HOME" in environ else ""
            if not shared:
                self._wrong(f"{PREFIX}DATA_DIR", "say where to keep the journal, as there is no HOME for it")
            given["DATA_DIR"] = given["DATA_DIR"]._replace(text=f"{shared}/txgateway")
        if not given["JOURNAL"].text:
            given["JOURNAL"] = given["JOURNAL"]._replace(text=f"{given['DATA_DIR'].text}/journal.sqlite3")
        if not given["PAPER_ACCOUNTS"].text:
            account = re.sub(r"[\s:,]", "_", given["API_ACCOUNT"].text.upper())
            given["PAPER_ACCOUNTS"] = given["PAPER_ACCOUNTS"]._replace(text=f"{account},PAPER_CASH:cash")

    def _value(self, name: str, given: _Given) -> Any:
        """What the text says; where it says nothing sensible that is noted, and None goes on."""
        setting = SETTINGS[name]
        try:
            return setting.read(given.text)
        except ValueError as error:
            self._wrong(given.label if setting.secret else given.said(name), str(error))
            return None

    def _password(self) -> tuple[str, str]:
        """The password and where it is: the first place that has one, in the clear or in a file."""
        password, file = self.given["PASSWORD"], self.given["PASSWORD_FILE"]
        for source in ("environment", "TXTRADER", "toml"):
            if password.source == source:
                return self.values["PASSWORD"] or "", password.label
            if file.source == source:
                return self._password_in(Path(file.text), file.said()) or "", file.text
        generated = Path(self.given["DATA_DIR"].text) / "password"
        kept = self._password_in(generated, str(generated), optional=True)
        return (DEFAULT_PASSWORD, "default") if kept is None else (kept, str(generated))

    def _password_in(self, path: Path, label: str, optional: bool = False) -> str | None:
        """The password a file has; None, and unless that is fine a mistake, when it has none."""
        try:
            text = self.read_text(path).rstrip("\r\n")
        except (OSError, ValueError) as error:
            if not (optional and isinstance(error, FileNotFoundError)):
                reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
                self._wrong(label, f"the password cannot be read ({reason}); give a file that can be")
            return None
        if not text:
            self._wrong(label, "the file is empty; write the password into it, on one line")
            return None
        return self._value("PASSWORD", _Given(text, label, "")) or ""

    # -- venues

    def _venues(self) -> tuple[Venue, ...]:
        """The [venues.NAME] tables, or the one venue of the environment; the first is the default."""
        mode, kind = self.given["MODE"], self.values["MODE"]
        if not self.venue_tables:
            self._check_kind(mode.said(), kind)
            venues: tuple[Venue, ...] = (self._venue(kind, kind, {}, ""),)
            self._check_loaded(venues, {kind: mode.said()})
            return venues
        venues = tuple(self._venue_of_table(name, table) for name, table in self.venue_tables.items())
        self._check_loaded(venues, {name: f"{self.toml_path} [venues.{name}] kind" for name in self.venue_tables})
        if mode.source != "default" and kind != venues[0].kind:
            has = f"{self.toml_path} has venues of its own, {venues[0].name} first"
            self._wrong(mode.said(), f"{has}; take {mode.label} away, or the [venues] tables")
        return venues

    def _check_loaded(self, venues: Sequence[Venue], labels: Mapping[str, str]) -> None:
        """A broker that cannot be loaded is a mistake where there is no other."""
        if all(venue.trouble for venue in venues):
            for venue in venues:
                self._wrong(labels[venue.name], venue.trouble)

    def _venue_of_table(self, name: str, table: Any) -> Venue:
        where = f"{self.toml_path} [venues.{name}]"
        if not isinstance(table, dict) or "kind" not in table:
            self._wrong(where, f"give it a table with its kind in it, which is {self._kinds_there()}")
            return Venue(name, "", (), {})
        table = dict(table)
        kind = str(table.pop("kind"))
        self._check_kind(f"{where} kind={kind}", kind)
        self._check_unheard(where, kind, table)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,31}", name):
            self._wrong(where, "give a name of letters, digits, _ and -")
        return self._venue(name, kind, table, where)

    def _check_kind(self, said: str, kind: str) -> None:
        if kind not in self.kinds:
            there = ", ".join(sorted(self.kinds)) or "none (install txgateway with pip)"
            hint = read.did_you_mean(kind.lower(), sorted(self.kinds))
            self._wrong(said, f"no broker of this kind is installed{hint}; those that are: {there}")

    def _kinds_there(self) -> str:
        return f"one of {', '.join(sorted(self.kinds))}" if self.kinds else "none (install txgateway with pip)"

    def _check_unheard(self, where: str, kind: str, table: Mapping[str, Any]) -> None:
        """What is about the one venue of the environment says nothing of a venue with a table of its own."""
        variables = {} if kind == EMBEDDED else _API_OPTIONS_OF.get(kind, _API_OPTIONS)
        for option, variable in variables.items():
            given = self.given[variable]
            if variable not in _OF_ALL and given.source != "default" and option not in table:
                self._wrong(given.said(variable), f"no venue of a table reads it; write {option} into {where}")

    def _venue(self, name: str, kind: str, table: Mapping[str, Any], where: str) -> Venue:
        """A venue whose options are its kind's variables and, over them, its table; its kind looks at them too."""
        variables = _OPTIONS.get(kind, {} if self.venue_tables else _API_OPTIONS_OF.get(kind, _API_OPTIONS))
        options = {option: self.values[variable] for option, variable in variables.items()} | dict(table)
        given = {option: self.given[variable] for option, variable in variables.items()}
        for option, value in table.items():
            given[option] = _Given(_shown(option, value), f"{where} {option}", "toml")
        wrong, trouble = self._kinds_own_check(kind, options)
        for option, instead in wrong.items():
            said = given[option].said(option) if option in given else f"{where} {option}".strip()
            self._wrong(said, instead.rstrip("."))
        accounts = self._account_names(options.get("accounts") or "", f"{where} accounts")
        if kind == "paper":
            accounts = tuple(map(str.upper, accounts))
        return Venue(name, kind, accounts, MappingProxyType(options), trouble)

    def _kinds_own_check(self, kind: str, options: Mapping[str, Any]) -> tuple[Mapping[str, str], str]:
        """Mistakes by option, and why the broker cannot be loaded, if it cannot."""
        try:
            return (self.kinds[kind](options) if kind in self.kinds else {}), ""
        except Exception as error:  # whatever a stranger's package does
            said = f"{type(error).__name__}: {error}" if not isinstance(error, ImportError) else str(error)
            return {}, f"the broker {kind} cannot be loaded ({said}); install what it needs"

    def _account_names(self, accounts: Any, label: str) -> tuple[str, ...]:
        """The names in `A,B` or ["A", "B"], without what a paper account has behind its colon."""
        words = accounts.split(",") if isinstance(accounts, str) else accounts
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            return tuple(name for word in words if (name := word.partition(":")[0].strip()))
        self._wrong(label, 'give a list of names, such as ["A1", "A2"]')
        return ()

    # -- users

    def _users(self) -> Iterator[User]:
        """The [users.NAME] tables."""
        for name, table in self.user_tables.items():
            where = f"{self.toml_path} [users.{name}]"
            entry = dict(table) if isinstance(table, dict) else {}
            self._check_names(where, entry, _USER)
            hashed = entry.get("password_hash")
            if not (isinstance(hashed, str) and hashed.startswith("$argon2")):
                self._wrong(where, "give its password_hash, as `txgateway users hash` shows it")
            lists = [entry.get(each) for each in ("scopes", "accounts", "symbols")]
            worth = entry.get("max_notional")
            if not all(each is None or _is_names(each) for each in lists) or not lists[0]:
                self._wrong(where, 'give lists of names, scopes = ["read", "trade"] among them')
                continue
            try:
                grant = grant_of(lists[0], lists[1], lists[2], None if worth is None else str(worth))
                yield User(read.username(name), str(hashed), grant, "the configuration")
            except ValueError as error:
                self._wrong(where, str(error))
            if name == self.values["USERNAME"]:
                self._wrong(where, f"{PREFIX}USERNAME has this name already; use another")

    # -- sources of signals

    def _sources(self, venues: Sequence[Venue]) -> Iterator[Source]:
        """The [sources.NAME] tables; their limits go to those of the setting."""
        for name, table in self.source_tables.items():
            where = f"{self.toml_path} [sources.{name}]"
            entry = dict(table) if isinstance(table, dict) else {}
            self._check_names(where, entry, _SOURCE)
            entry = {key: value for key, value in entry.items() if key in _SOURCE}
            venue, limits = entry.pop("venue", None), entry.pop("limits", {})
            if (file := entry.pop("secret_file", None)) is not None:
                if "secret" in entry:
                    self._wrong(where, "it has a secret and a secret_file; give one of them")
                entry["secret"] = self._secret_in(Path(self._at_home(str(file))), f"{where} secret_file={file}")
            entry["account"] = self._account_of(venues, venue, entry.get("account"), where)
            try:
                source = source_of(name, entry)
                self._limit_source(name, limits)
            except ValueError as error:
                self._wrong(where, str(error))
                continue
            yield replace(source, changed_by=CONFIGURED)

    def _secret_in(self, path: Path, label: str) -> str:
        try:
            return self.read_text(path).strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            self._wrong(label, f"the secret cannot be read ({reason}); give a file that can be")
            return "unreadable-secret"

    def _account_of(self, venues: Sequence[Venue], venue: Any, account: Any, where: str) -> Any:
        """The account as its venue writes it; what no venue has is a mistake where all say what they have."""
        found = [each for each in venues if venue in (None, each.name)]
        if not found:
            there = ", ".join(each.name for each in venues)
            self._wrong(f"{where} venue={venue}", f"there is no such venue; there are {there}")
            return account
        known = [name for each in found for name in each.accounts]
        if account is None and venue is not None and len(known) == 1:
            return known[0]
        for name in (account, str(account).upper()):
            if name in known:
                return name
        if account is not None and all(each.accounts for each in found):
            self._wrong(f"{where} account={account}", f"no venue has it; give one of {', '.join(known)}")
        return account

    def _limit_source(self, name: str, limits: Any) -> None:
        """`limits = { max_notional = "10000:8000" }`: limits at the scope of the source, a warn level after a colon."""
        if not isinstance(limits, dict):
            raise ValueError('limits: give a table such as { max_notional = "10000" }')
        scope, levels = Scope(ScopeKind.SOURCE, name), dict(self.values["RISK"] or {})
        for key, given in limits.items():
            limit = limit_of(str(key))
            value, colon, warn = self._toml_text(f"{self.toml_path} [sources.{name}] {key}", given).partition(":")
            if (scope, limit) in levels:
                raise ValueError(f"{scope}/{limit} is among the limits of {PREFIX}RISK already; take one away")
            levels[scope, limit] = level_of(limit, value, warn if colon else None)
        self.values["RISK"] = levels

    def _check_source_names(self, sources: Sequence[Source], users: Sequence[User]) -> None:
        """Orders are owned by their source's name: no user may have it."""
        taken = {self.values["USERNAME"], *(user.name for user in users)}
        for source in sources:
            where = f"{self.toml_path} [sources.{source.name}]"
            if source.name in taken:
                self._wrong(where, "a user has this name already; give it another")

    # -- what has to fit together

    def _check_together(self, venues: Sequence[Venue]) -> None:
        self._check_accounts(venues)
        self._check_feeds(venues)
        self._check_tls()
        self._check_reach()
        self._check_webhooks()
        reactor, ports = self.given["DAEMON_REACTOR"], (self.values["HTTP_PORT"], self.values["TCP_PORT"])
        if ports[0] == ports[1] and ports[0]:
            self._wrong(self.given["TCP_PORT"].said(), "HTTP has this port; give the stream another one")
        if reactor.text == "uvloop" and find_spec("uvloop") is None:
            self._wrong(reactor.said(), "uvloop is not installed; install it, or say asyncio")
        for venue in venues:
            if venue.kind in NEEDS_ASYNCIO and self.values["DAEMON_REACTOR"] in {"epoll", "poll", "select"}:
                needs = f"venue {venue.name} ({venue.kind}) needs asyncio"
                self._wrong(reactor.said(), f"{needs}; say asyncio or uvloop")

    def _check_feeds(self, venues: Sequence[Venue]) -> None:
        """A paper venue may trade on another's live prices: those of a venue that has some of its own."""
        kinds = {venue.name: venue.kind for venue in venues}
        for venue in venues:
            kind, _, source = str(venue.options.get("feed", "")).strip().partition(":")
            source = source.strip()
            if venue.kind != EMBEDDED or kind != "venue" or not source:
                continue
            own = "feed" in (self.venue_tables.get(venue.name) or {})
            label = f"{self.toml_path} [venues.{venue.name}] feed=venue:{source}"
            said = label if own else self.given["PAPER_FEED"].said()
            if source == venue.name:
                self._wrong(said, "a venue cannot trade on its own prices; name another, or say what feed it has")
            elif source not in kinds:
                others = ", ".join(name for name, kind in kinds.items() if kind != EMBEDDED)
                there = (
                    f"name one of {others}" if others else "there is none but paper; add it as a [venues.NAME] table"
                )
                self._wrong(said, f"there is no venue {source}; {there}")
            elif kinds[source] == EMBEDDED:
                what = f"venue {source} is a paper venue, too, and has no live prices"
                self._wrong(said, f"{what}; name the venue that has them, or give both the same feed")

    def _check_accounts(self, venues: Sequence[Venue]) -> None:
        """Every account belongs to one venue, and the first current one to the default venue."""
        venue_of: dict[str, str] = {}
        for venue in venues:
            for account in venue.accounts:
                if venue_of.setdefault(account, venue.name) != venue.name:
                    both = f"venues {venue_of[account]} and {venue.name} both have it"
                    self._wrong(f"account {account}", f"{both}; give each venue accounts of its own")
        first, current = venues[0], self.given["API_ACCOUNT"]
        if current.source == "default" and first.accounts:
            self.values["API_ACCOUNT"] = first.accounts[0]
        elif first.kind == "paper" and self.values["API_ACCOUNT"]:
            self.values["API_ACCOUNT"] = current.text.upper()
            if first.accounts and current.text.upper() not in first.accounts:
                names = ", ".join(first.accounts)
                self._wrong(current.said(), f"venue {first.name} has no such account; give one of {names}")

    def _check_webhooks(self) -> None:
        """A port of its own is no other's, and beyond loopback it speaks TLS: secrets come in by it."""
        port, values = self.given["WEBHOOK_PORT"], self.values
        for name in ("HTTP_PORT", "TCP_PORT") if values["WEBHOOK_PORT"] else ():
            if values[name] == values["WEBHOOK_PORT"]:
                self._wrong(port.said(), f"{name} is this port; give another one")
        for name in ("WEBHOOK_HOST", "WEBHOOK_CLIENT_CA"):
            if self.given[name].text and not port.text:
                self._wrong(self.given[name].said(), f"it is about {PREFIX}WEBHOOK_PORT; give that too")
        host, plain = self.given["WEBHOOK_HOST"], not self.given["TLS_CERT"].text
        if port.text and host.text and plain and not values["ALLOW_INSECURE"] and not _is_loopback(host.text):
            self._wrong(
                host.said(),
                f"secrets would come in without TLS; listen on 127.0.0.1 behind a proxy, or set {PREFIX}TLS_CERT and "
                f"{PREFIX}TLS_KEY, or say {PREFIX}ALLOW_INSECURE=1 where the network itself is guarded",
            )

    def _check_tls(self) -> None:
        """A certificate goes with its key, and files that are named are there."""
        given = {name: self.given[name] for name in ("TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA", "WEBHOOK_CLIENT_CA")}
        needs = [("TLS_CERT", "TLS_KEY"), ("TLS_KEY", "TLS_CERT")]
        needs += [("TLS_CLIENT_CA", "TLS_CERT"), ("WEBHOOK_CLIENT_CA", "TLS_CERT")]
        for name, other in needs:
            if given[name].text and not given[other].text:
                self._wrong(given[name].said(), f"it needs {PREFIX}{other} too; `txgateway certs make` makes them all")
        for each in given.values():
            if each.text:
                try:
                    self.read_text(Path(each.text))
                except (OSError, ValueError) as error:
                    reason = error.strerror if isinstance(error, OSError) else "not PEM"
                    self._wrong(each.said(), f"cannot be read ({reason}); give a PEM file that can be")

    def _check_reach(self) -> None:
        """Beyond loopback only with a password of one's own and TLS, or by saying so twice."""
        host = self.given["HOST"]
        if self.values["ALLOW_INSECURE"] or not self.values["HOST"] or _is_loopback(host.text):
            return
        default, plain = self.values["PASSWORD"] == DEFAULT_PASSWORD, not self.given["TLS_CERT"].text
        how = [text for wrong, text in ((default, "with the default password"), (plain, "without TLS")) if wrong]
        do = [f"set {PREFIX}PASSWORD"] * default + [f"set {PREFIX}TLS_CERT and {PREFIX}TLS_KEY"] * plain
        if how:
            self._wrong(
                host.said(),
                f"other machines could reach the daemon {' and '.join(how)}; listen on 127.0.0.1, "
                f"or {' and '.join(do)}, or say {PREFIX}ALLOW_INSECURE=1 where the network itself is guarded",
            )


def _described(source: Source, risk: Levels) -> str:
    """One line about a source of signals and its limits, secrets masked."""
    settings = [f"{key}={_shown(key, value)}" for key, value in written(source).items()]
    scope = Scope(ScopeKind.SOURCE, source.name)
    limits = [f"{limit}={level.text}" for (where, limit), level in risk.items() if where == scope]
    return " ".join([f"source {source.name}:", *settings, *limits])


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _shown(name: str, value: Any) -> str:
    """A value for people: secrets masked, also those inside a URL."""
    if SETTINGS[name].secret if name in SETTINGS else _SECRET_OPTION.search(name):
        return _MASK
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(key, each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return ",".join(_shown("", each) for each in value)
    return re.sub(r"//[^/@\s]*@", "//***@", str(value))


def _read_text(path: Path) -> str:
    return path.read_text("utf-8-sig")  # some editors begin a file with a mark of its encoding
