"""Where the gateway is and who we are: the caller's dict first, the environment next, the defaults last.

A setting X is read as `TXGATEWAY_X`, then as `TXTRADER_X`; an empty value counts as absent. The password may
also stand in a file: the one named by `TXGATEWAY_PASSWORD_FILE`, or `password` in the gateway's data folder.
`txgateway_client` reads its settings here too, so that one environment serves both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

PREFIXES = ("TXGATEWAY_", "TXTRADER_")

DEFAULTS = {
    "PROTOCOL": "http",
    "HOST": "127.0.0.1",
    "HTTP_PORT": "50080",
    "TCP_PORT": "50090",
    "USERNAME": "txtrader_user",
    "PASSWORD": "txtrader_pass",
    "API_ACCOUNT": "API_ACCOUNT",
    "ROUTE": "",
    "CONNECT_TIMEOUT": "5",
    "READ_TIMEOUT": "30",
    "TLS_CA": "",
    "CLIENT_CERT": "",
    "CLIENT_KEY": "",
}
# READ_TIMEOUT is longer than any answer: an order may wait 15 s for a first price and 5 s for its broker.

LOOPBACK = {"localhost", "::1", "[::1]"}


def _version() -> str:
    """The version of the installed distribution; a source tree that is not installed has none."""
    try:
        return metadata.version("txgateway")
    except metadata.PackageNotFoundError:
        return "0+uninstalled"


__version__ = _version()


class SettingsError(ValueError):
    """A setting cannot be used: the message names it."""

    exit_code = 2


@dataclass(frozen=True)
class Settings:
    """One gateway's address and our credentials, checked."""

    protocol: str
    host: str
    http_port: int
    tcp_port: int
    username: str
    password: str = field(repr=False)
    account: str
    route: str
    """Where our orders go; empty: by the gateway's own route, which `set_order_route` sets."""
    connect_timeout: float
    read_timeout: float
    tls_ca: str = ""
    """The file of the CA that the gateway's certificate is of; empty: those that this machine trusts."""
    client_cert: str = ""
    client_key: str = ""

    @property
    def url(self) -> str:
        """The address of the HTTP interface, without a slash at its end."""
        bare_ipv6 = ":" in self.host and not self.host.startswith("[")
        return f"{self.protocol}://{f'[{self.host}]' if bare_ipv6 else self.host}:{self.http_port}"

    @property
    def on_loopback(self) -> bool:
        """Whether the gateway is reached in plain text on this machine: never through a proxy, then."""
        return self.protocol == "http" and (self.host in LOOPBACK or self.host.startswith("127."))


def resolve(config: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this dict and this environment (the process's when None). Raises SettingsError."""
    sources: list[Mapping[str, object]] = [config or {}, os.environ if environ is None else environ]

    def text(*names: str) -> str:
        for source in sources:
            for name in names:
                value = _given(source, *(prefix + name for prefix in PREFIXES))
                if value is not None:
                    return value
        return DEFAULTS[names[0]]

    protocol = text("PROTOCOL").lower()
    if protocol not in ("http", "https"):
        raise SettingsError(f"PROTOCOL must be http or https, not {protocol!r}")
    settings = Settings(
        protocol=protocol,
        host=text("HOST"),
        http_port=_port("HTTP_PORT", text("HTTP_PORT")),
        tcp_port=_port("TCP_PORT", text("TCP_PORT")),
        username=text("USERNAME"),
        password=_password(sources),
        account=text("API_ACCOUNT"),
        route=text("ROUTE"),
        connect_timeout=_seconds("CONNECT_TIMEOUT", text("CONNECT_TIMEOUT")),
        read_timeout=_seconds("READ_TIMEOUT", text("READ_TIMEOUT")),
        tls_ca=_file("TLS_CA", text("TLS_CA")),
        client_cert=_file("CLIENT_CERT", text("CLIENT_CERT")),
        client_key=_file("CLIENT_KEY", text("CLIENT_KEY")),
    )
    if bool(settings.client_cert) is not bool(settings.client_key):
        raise SettingsError("CLIENT_CERT and CLIENT_KEY go together: give both, or neither")
    if protocol == "http" and (settings.tls_ca or settings.client_cert):
        raise SettingsError("TLS_CA and CLIENT_CERT need PROTOCOL=https: with http nothing is encrypted")
    return settings


def _file(name: str, text: str) -> str:
    """The path of a file that can be read, or nothing."""
    if not text:
        return ""
    path = Path(text).expanduser()
    try:
        path.open("rb").close()
    except OSError as error:
        raise SettingsError(f"{name}={text} cannot be read ({error.strerror}): give a PEM file") from error
    return str(path)


def _given(source: Mapping[str, object], *keys: str) -> str | None:
    """The first of these keys that has a value, as text."""
    for key in keys:
        value = source.get(key)
        if value is not None and value != "":
            return str(value)
    return None


def _password(sources: list[Mapping[str, object]]) -> str:
    """Given, in a named file, given by txTrader's name, in the data folder, the default: in that order."""
    for source in sources:
        password = _given(source, "TXGATEWAY_PASSWORD")
        if password is not None:
            return password
        named = _given(source, "TXGATEWAY_PASSWORD_FILE")
        if named is not None:
            return _password_file(Path(named))
        password = _given(source, "TXTRADER_PASSWORD")
        if password is not None:
            return password
    path = _data_folder(sources) / "password"
    return _password_file(path) if os.path.exists(path) else DEFAULTS["PASSWORD"]


def _password_file(path: Path) -> str:
    """The first line of a file, or a clear error."""
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the password file {path}: {error}") from error
    if not lines or not lines[0]:
        raise SettingsError(f"the password file {path} is empty")
    return lines[0]


def _data_folder(sources: list[Mapping[str, object]]) -> Path:
    """The gateway's data folder, where it leaves the password it made."""
    for source in sources:
        folder = _given(source, "TXGATEWAY_DATA_DIR", "TXTRADER_DATA_DIR")
        if folder is not None:
            return Path(folder).expanduser()
    for source in sources:
        folder = _given(source, "XDG_DATA_HOME")
        if folder is not None:
            return Path(folder) / "txgateway"
    return Path(os.path.expanduser("~")) / ".local" / "share" / "txgateway"


def _port(name: str, text: str) -> int:
    """A TCP port."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise SettingsError(f"{name} must be a port number from 1 to 65535, not {text!r}")
    return int(text)


def _seconds(name: str, text: str) -> float:
    """A time in seconds, above zero."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise SettingsError(f"{name} must be a number of seconds above 0, not {text!r}")
    return seconds
