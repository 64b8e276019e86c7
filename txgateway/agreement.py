"""What the settings have to be together: no port or account twice, files that are there, no secret in the open."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from txgateway.variables import DEFAULT_PASSWORD, EMBEDDED, PREFIX, Given, Venue

NEEDS_ASYNCIO = frozenset({"tws", "ib", "ccxt"})
"""Kinds whose library runs on asyncio's loop."""


class Agreement:
    """The settings of one load: as they are given, and the values that they have; what does not fit is told `wrong`."""

    def __init__(
        self,
        given: Mapping[str, Given],
        values: dict[str, Any],
        toml_path: str,
        venue_tables: Mapping[str, Any],
        read_text: Callable[[Path], str],
        wrong: Callable[[str, str], None],
    ) -> None:
        self.given = given
        self.values = values
        self.toml_path = toml_path
        self.venue_tables = venue_tables
        self.read_text = read_text
        self._wrong = wrong

    def check(self, venues: Sequence[Venue]) -> None:
        """Tell of every mistake; the current account becomes the default venue's where none is given."""
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


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
