"""Who knocks: a sender's own address behind proxies, how much a source may send, how often an address may be wrong.

A right secret is never held back by wrong ones, wherever they come from: senders share addresses, and an attacker must
not be able to shut a sender out.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from txgateway.access import Pace
from txgateway.model.signal import Source

BURST = 10.0
"""Seconds' worth of a source's signals that may come at once: many alerts come on the minute."""
WRONG_RATE, WRONG_BURST = 0.5, 20.0
"""Wrong secrets of one address, a second and at once, that are answered as such; beyond, it is told to slow down."""
ADDRESSES = 10_000
"""Addresses that are remembered; the one that was wrong longest ago is forgotten first."""
UNREADABLE = "unreadable"
"""As a sender's address: its proxy says something that is none."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Admission:
    """What the ways in for signals have in common. `seconds` is a monotonic clock."""

    def __init__(self, proxies: Iterable[str], seconds: Callable[[], float]) -> None:
        self._proxies = [ipaddress.ip_network(each) for each in proxies]
        self._seconds = seconds
        self._paces: dict[str, tuple[float, Pace]] = {}
        self._wrong: OrderedDict[str, Pace] = OrderedDict()

    def peer(self, request: Any) -> tuple[str, str]:
        """A request's sender: its address, and the name in its certificate (empty without one that was checked).

        X-Forwarded-For is believed from a trusted proxy alone: the rightmost address that is no trusted proxy itself.
        """
        peer = str(getattr(request.client, "host", ""))
        if not self._is_proxy(_address(peer)):
            return _shown(peer), _certified(request)
        said = request.requestHeaders.getRawHeaders(b"x-forwarded-for") or ()
        for word in reversed(b",".join(said).decode("latin-1").split(",") if said else []):
            found = _address(word)
            if found is None:
                return UNREADABLE, ""
            if not self._is_proxy(found):
                return str(found), ""
        return _shown(peer), ""

    def _is_proxy(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)

    def pace(self, source: Source) -> bool:
        """Whether a source may send one more now."""
        rate, pace = self._paces.get(source.name, (0.0, None))
        if pace is None or rate != source.rate:
            pace = Pace(source.rate, self._seconds, source.rate * BURST)
            self._paces[source.name] = (source.rate, pace)
        return pace.take()

    def wrong(self, host: str) -> bool:
        """Count a wrong secret from an address; False when there are too many."""
        pace = self._wrong.pop(host, None) or Pace(WRONG_RATE, self._seconds, WRONG_BURST)
        self._wrong[host] = pace
        while len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)
        return pace.take()


def _address(text: str) -> Address | None:
    """An address as proxies write it: with a port, in brackets, in quotes."""
    word = text.strip().strip('"')
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    elif word.count(":") == 1:
        word = word.partition(":")[0]
    try:
        found = ipaddress.ip_address(word)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _shown(peer: str) -> str:
    found = _address(peer)
    return peer if found is None else str(found)


def _certified(request: Any) -> str:
    """The common name in the certificate that a client has shown, and that TLS has checked."""
    shown = getattr(getattr(request.channel, "transport", None), "getPeerCertificate", lambda: None)()
    return "" if shown is None else str(shown.get_subject().CN or "")
