"""Where a source's requests may come from, and what of a body is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from txgateway.model.signal import SENDERS, Source, SourceKind
from txgateway.signals import Post, WrongSecret, admit, redacted

SOURCE = Source(name="tv", kind=SourceKind.TRADINGVIEW, account="A", secret="x" * 12)
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def test_without_addresses_and_certificate_it_may_come_from_anywhere() -> None:
    admit(SOURCE, Post(b"", NOW))


@pytest.mark.parametrize("host", [*SENDERS["tradingview"], "::ffff:52.89.214.238", "10.1.2.3", "2001:db8::7"])
def test_an_address_of_the_source(host: str) -> None:
    admit(replace(SOURCE, addresses=("tradingview", "10.0.0.0/8", "2001:db8::/32")), Post(b"", NOW, host=host))


@pytest.mark.parametrize("host", ["", "52.89.214.239", "11.0.0.1", "2001:db9::1", "no address", "127.0.0.1"])
def test_any_other_address(host: str) -> None:
    with pytest.raises(WrongSecret):
        admit(replace(SOURCE, addresses=("tradingview", "10.0.0.0/8")), Post(b"", NOW, host=host))


def test_an_address_that_cannot_be_read_lets_nobody_in() -> None:
    with pytest.raises(WrongSecret):
        admit(replace(SOURCE, addresses=("everywhere",)), Post(b"", NOW, host="127.0.0.1"))


@pytest.mark.parametrize("name", ["", "Tradingview webhooks", "TradingView Webhooks "])
def test_another_certificate(name: str) -> None:
    source = replace(SOURCE, certificate="TradingView Webhooks")
    admit(source, Post(b"", NOW, certificate="TradingView Webhooks"))
    with pytest.raises(WrongSecret):
        admit(source, Post(b"", NOW, certificate=name))


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"passphrase": "hunter2", "a": 1}', '{"passphrase": "***", "a": 1}'),
        (b"secret=hunter2 side=buy", "secret=*** side=buy"),
        (b'api_key = "hunter 2", side=buy', "api_key = ***, side=buy"),
        (b"signalToken=hunter2\nside=buy", "signalToken=***\nside=buy"),
        (b"side=buy ticker=KEY quantity=2", "side=buy ticker=KEY quantity=2"),
    ],
)
def test_what_looks_like_a_secret_is_not_kept(body: bytes, kept: str) -> None:
    assert redacted(body) == kept
