"""Environment and TOML file -> one frozen Config, checked once; every mistake is told, all of them at once.

A setting X is read from TXGATEWAY_X, else TXTRADER_X, else `x` in the [gateway] table of the TOML file named
by TXGATEWAY_CONFIG, else its default; an empty value is as good as none. Venues: one, named after its kind,
from the environment alone (TXGATEWAY_MODE), or any number as [venues.NAME] tables, the first the default one.
Secrets are in no repr, description or sentence.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import time
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from txgateway import settings as read
from txgateway.agreement import Agreement
from txgateway.brokers import ENTRY_POINTS
from txgateway.model.credential import User
from txgateway.model.limits import level_of, limit_of
from txgateway.model.rights import grant_of
from txgateway.model.scope import Scope, ScopeKind
from txgateway.model.signal import Source
from txgateway.options import UNKNOWN
from txgateway.sources import CONFIGURED, source_of
from txgateway.sources import SETTINGS as SOURCE_SETTINGS
from txgateway.variables import (
    DEFAULT_PASSWORD,
    EMBEDDED,
    FIELDS,
    MASK,
    PREFIX,
    SETTINGS,
    Config,
    Given,
    Setting,
    Venue,
    shown,
)

__all__ = ["SETTINGS", "Check", "Config", "ConfigError", "Setting", "Venue", "installed_kinds", "load"]

OLD_PREFIX = "TXTRADER_"
CLIENT_VARIABLES = frozenset(
    {"CLIENT_CERT", "CLIENT_KEY", "CONNECT_TIMEOUT", "OPTIONS", "PROTOCOL", "READ_TIMEOUT", "ROUTE", "TLS_CA"}
)
"""Variables of the client programs alone: in the daemon's environment neither settings nor mistakes."""


class ConfigError(Exception):
    """The configuration cannot be used: `mistakes` has a sentence for each thing that is wrong."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


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
        self.given: dict[str, Given] = {}
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
        agreement = Agreement(self.given, self.values, self.toml_path, self.venue_tables, self.read_text, self._wrong)
        agreement.check(venues)
        if self.mistakes:
            raise ConfigError(self.mistakes)
        self.values["MODE"] = venues[0].kind
        given = {name: (name, shown(name, each.text), each.source) for name, each in self.given.items()}
        given["PASSWORD"] = ("PASSWORD", MASK, password_source)
        return Config(
            **{f.name: self.values[name] for name, f in FIELDS.items()},
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

    def _find(self, name: str) -> Given:
        """The text of a setting from the first place that has one."""
        secret = SETTINGS[name].secret
        for prefix, source in ((PREFIX, "environment"), (OLD_PREFIX, "TXTRADER")):
            if text := self.environ.get(prefix + name):
                return Given(text if secret else self._at_home(text.strip()), prefix + name, source)
        label = f"{self.toml_path} [gateway] {name.lower()}"
        if text := self._toml_text(label, self.gateway_table.get(name.lower(), "")):
            return Given(text if secret else self._at_home(text), label, "toml")
        return Given(SETTINGS[name].default, PREFIX + name, "default")

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

    def _value(self, name: str, given: Given) -> Any:
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
            if not (optional and isinstance(error, FileNotFoundError | NotADirectoryError)):
                reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
                self._wrong(label, f"the password cannot be read ({reason}); give a file that can be")
            return None
        if not text:
            self._wrong(label, "the file is empty; write the password into it, on one line")
            return None
        return self._value("PASSWORD", Given(text, label, "")) or ""

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
            given[option] = Given(shown(option, value), f"{where} {option}", "toml")
        wrong, trouble = self._kinds_own_check(kind, options)
        for option, instead in wrong.items():
            shows = option in given and not instead.startswith(UNKNOWN)
            said = given[option].said(option) if shows else f"{where} {option}".strip()
            self._wrong(said, instead.rstrip("."))
        accounts = self._account_names(options.get("accounts") or "", f"{where} accounts")
        twice = sorted({each for each in accounts if accounts.count(each) > 1})
        if kind == "paper":
            accounts = tuple(map(str.upper, accounts))
        elif twice:
            self._wrong(f"{where} accounts".strip(), f"{', '.join(twice)} is named twice; name each account once")
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


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def _read_text(path: Path) -> str:
    return path.read_text("utf-8-sig")  # some editors begin a file with a mark of its encoding
