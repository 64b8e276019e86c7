"""Who knocks: addresses behind proxies, the paces of sources, and addresses that are wrong too often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway.admission import ADDRESSES, UNREADABLE, WRONG_BURST, Admission
from txgateway.model.signal import Source, SourceKind


class Request:
    """As much of one as is looked at."""

    def __init__(self, peer: str, *forwarded: str, certificate: str = "") -> None:
        self.client = SimpleNamespace(host=peer)
        self.requestHeaders = SimpleNamespace(
            getRawHeaders=lambda name: [each.encode("latin-1", "replace") for each in forwarded] or None
        )
        subject = SimpleNamespace(CN=certificate)
        shown: Any = SimpleNamespace(get_subject=lambda: subject) if certificate else None
        self.channel = SimpleNamespace(transport=SimpleNamespace(getPeerCertificate=lambda: shown))


@pytest.mark.parametrize(
    ("peer", "forwarded", "host"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("1.1.1.1",), "203.0.113.9"),
        ("127.0.0.1", (), "127.0.0.1"),
        ("127.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", ("1.1.1.1, 203.0.113.9",), "203.0.113.9"),
        ("127.0.0.1", ("1.1.1.1", "203.0.113.9"), "203.0.113.9"),
        ("127.0.0.1", ("1.1.1.1, 203.0.113.9, 10.1.2.3",), "203.0.113.9"),
        ("127.0.0.1", ("10.1.2.3",), "127.0.0.1"),
        ("127.0.0.1", ("203.0.113.9:4711",), "203.0.113.9"),
        ("127.0.0.1", ('"[2001:db8::1]:4711"',), "2001:db8::1"),
        ("127.0.0.1", ("2001:db8::1",), "2001:db8::1"),
        ("::ffff:127.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("::ffff:203.0.113.9", (), "203.0.113.9"),
        ("127.0.0.1", ("203.0.113.9, unknown",), UNREADABLE),
        ("127.0.0.1", ("",), UNREADABLE),
    ],
)
def test_a_senders_address_is_what_a_trusted_proxy_says(peer: str, forwarded: tuple[str, ...], host: str) -> None:
    admission = Admission(["127.0.0.1/32", "10.0.0.0/8"], lambda: 0.0)
    assert admission.peer(Request(peer, *forwarded)) == (host, "")


@given(st.lists(st.text(max_size=30), max_size=4))
def test_no_header_passes_for_a_proxy_that_is_none(forwarded: list[str]) -> None:
    assert Admission([], lambda: 0.0).peer(Request("127.0.0.1", *forwarded)) == ("127.0.0.1", "")
    host, _ = Admission(["127.0.0.1/32"], lambda: 0.0).peer(Request("127.0.0.1", *forwarded))
    assert host


def test_a_certificate_is_the_senders_own_and_not_its_proxys() -> None:
    admission = Admission(["127.0.0.1/32"], lambda: 0.0)
    assert admission.peer(Request("203.0.113.9", certificate="TV")) == ("203.0.113.9", "TV")
    assert admission.peer(Request("127.0.0.1", "203.0.113.9", certificate="TV")) == ("203.0.113.9", "")


def test_a_source_may_send_ten_seconds_worth_at_once_and_its_rate_after() -> None:
    now = [0.0]
    admission = Admission([], lambda: now[0])
    source = Source(name="a", kind=SourceKind.GENERIC, account="A", rate=2)
    assert [admission.pace(source) for _ in range(21)] == [True] * 20 + [False]
    now[0] = 1.0
    assert [admission.pace(source) for _ in range(3)] == [True, True, False]
    slow = Source(name="slow", kind=SourceKind.GENERIC, account="A", rate=0.01)
    assert [admission.pace(slow) for _ in range(2)] == [True, False]
    faster = Source(name="a", kind=SourceKind.GENERIC, account="A", rate=3)
    assert admission.pace(faster), "a change of the rate holds at once"


def test_an_address_that_is_wrong_too_often_is_told_so_and_others_are_not() -> None:
    now = [0.0]
    admission = Admission([], lambda: now[0])
    answers = [admission.wrong("203.0.113.9") for _ in range(int(WRONG_BURST) + 5)]
    assert answers == [True] * int(WRONG_BURST) + [False] * 5
    assert admission.wrong("203.0.113.10")
    now[0] = 2.0
    assert [admission.wrong("203.0.113.9") for _ in range(2)] == [True, False]


def test_addresses_do_not_fill_the_memory() -> None:
    admission = Admission([], lambda: 0.0)
    for number in range(ADDRESSES + 10):
        admission.wrong(str(number))
    assert len(admission._wrong) == ADDRESSES
