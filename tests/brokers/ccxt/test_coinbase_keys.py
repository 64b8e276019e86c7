"""Every kind of key that Coinbase Advanced Trade gives is good for requests and for the private stream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import Coinbase
from txgateway.brokers import Can
from txgateway.brokers.conformance import Trial, cases
from txgateway.model.events import VenueError

KINDS = pytest.mark.parametrize("kind", ["legacy", "ECDSA", "Ed25519"])
[FILLS] = [case for case in cases(Can.MARKET) if str(case).startswith("C13")]


class Keyed(Coinbase):
    """With a key of a kind: its names in the emulator's `keys`."""

    names: tuple[str, str]

    def more(self) -> dict[str, Any]:
        keys = self.control.do_keys()
        return {**super().more(), "key": keys[self.names[0]], "secret": keys[self.names[1]]}


def keyed(kind: str) -> type[Keyed]:
    pairs = {"legacy": ("key", "secret"), "ECDSA": ("cdp", "cdp_secret"), "Ed25519": ("cdp2", "cdp2_secret")}
    return type(kind, (Keyed,), {"names": pairs[kind]})


@KINDS
@pytest_twisted.ensureDeferred
async def test_an_order_is_placed_and_its_fill_is_told(kind: str, tmp_path: Path) -> None:
    await FILLS.run(keyed(kind)(tmp_path))


@KINDS
@pytest_twisted.ensureDeferred
async def test_it_is_good_by_the_exchanges_clock(kind: str, tmp_path: Path) -> None:
    """For the stream, and for the rules that are read anew, too."""
    subject = keyed(kind)(tmp_path)
    subject.emulator.ahead = 300.0
    trial = Trial(subject)
    try:
        await trial.begin()
        broker: Any = trial.broker
        order = await trial.rest()
        await trial.ask(subject.fill(broker, order, order.quantity))
        await trial.until(lambda: trial.filled(order) == order.quantity, "its fill is told")
        await broker._session.market._refresh()
    finally:
        await trial.end()


@pytest.mark.parametrize("inside", ["MHcCAQEEIabc", "", "no base64!"])
@pytest_twisted.ensureDeferred
async def test_a_key_that_cannot_be_read_is_told_as_the_wrong_option(inside: str, tmp_path: Path) -> None:
    secret = f"-----BEGIN EC PRIVATE KEY-----\n{inside}\n-----END EC PRIVATE KEY-----\n"
    subject = Coinbase(tmp_path, key="organizations/1/apiKeys/2", secret=secret)
    trial = Trial(subject)
    trial.broker = subject.make(trial.told.append)
    trial.broker.startService()
    try:
        await trial.until(lambda: told(trial), "that it cannot connect")
        assert "The option secret of venue ccxt is wrong: it has not the form of a secret of coinbase" in told(trial)[0]
    finally:
        await trial.end()


def told(trial: Trial) -> list[str]:
    return [each.text for each in trial.told if isinstance(each, VenueError)]
