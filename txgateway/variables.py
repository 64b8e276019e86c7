"""What there is to set: each variable once, and the frozen Config that they come to. Nothing is read here.

Secrets are in no repr, description or sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import time, tzinfo
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import pytz

from txgateway import settings as read
from txgateway.model.credential import User
from txgateway.model.limits import Levels
from txgateway.model.scope import Scope, ScopeKind
from txgateway.model.signal import Source
from txgateway.sources import written

PREFIX = "TXGATEWAY_"
DEFAULT_PASSWORD = "txtrader_pass"
EMBEDDED = "paper"
"""The kind that is in this process, and connects to nobody."""
MASK = "********"
_SECRET_OPTION = re.compile(r"pass|secret|token|key|credential", re.IGNORECASE)

T = TypeVar("T")


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
        options = [f"{key}={shown(key, value)}" for key, value in self.options.items()]
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
    api_route: str = _set(read.route, "DEMO", "the route of orders that name none, until set_order_route gives another")
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


FIELDS = {f.metadata["name"] or f.name.upper(): f for f in fields(Config) if f.metadata}
"""The fields of Config by their variables' names."""
SETTINGS: Mapping[str, Setting] = {name: f.metadata["setting"] for name, f in FIELDS.items()}
"""Every setting by its variable's name without prefix."""


class Given(NamedTuple):
    """A setting's text, the place where a mistake in it is mended, and the kind of that place."""

    text: str
    label: str
    source: str

    def said(self, name: str = "") -> str:
        """Label and text, the text masked when the name says that it is a secret."""
        return f"{self.label}={shown(name, self.text)}"


def _described(source: Source, risk: Levels) -> str:
    """One line about a source of signals and its limits, secrets masked."""
    settings = [f"{key}={shown(key, value)}" for key, value in written(source).items()]
    scope = Scope(ScopeKind.SOURCE, source.name)
    limits = [f"{limit}={level.text}" for (where, limit), level in risk.items() if where == scope]
    return " ".join([f"source {source.name}:", *settings, *limits])


def shown(name: str, value: Any) -> str:
    """A value for people: secrets masked, also those inside a URL."""
    if SETTINGS[name].secret if name in SETTINGS else _SECRET_OPTION.search(name):
        return MASK
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(key, each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return ",".join(shown("", each) for each in value)
    return re.sub(r"//[^/@\s]*@", "//***@", str(value))
