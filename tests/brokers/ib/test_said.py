"""What is said where something is wrong, or looks so: which account, which route, whose port, and notices."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.protocol import Factory, Protocol

from tests.brokers.ib.conftest import Trials
from tests.brokers.ib.subject import ACCOUNT
from tests.brokers.ib.test_wire import codes, said
from tests.emulators.tws.control import Control
from txgateway.brokers.conformance.trial import Trial
from txgateway.brokers.ib import link
from txgateway.model.errors import Reason
from txgateway.model.events import OrderRejected


@pytest_twisted.ensureDeferred
async def test_that_a_farm_is_well_is_no_error(trial: Trial, tws: Control) -> None:
    tws.do_farm(True)
    tws.do_farm(True, history=True)
    await trial.rest()
    await trial.still()
    assert codes(trial) == []
    tws.do_farm(False)
    await trial.until(lambda: codes(trial) == [2103], "that it is broken is one")


@pytest.mark.parametrize(("given", "warned"), [("DU999", True), (ACCOUNT, False), ("api_account", False), ("", False)])
@pytest_twisted.ensureDeferred
async def test_an_account_that_the_login_does_not_have(given: str, warned: bool, trials: Trials) -> None:
    trial = trials(accounts=given)
    await trial.begin()
    text = f"the login has no account DU999, which API_ACCOUNT names; it has {ACCOUNT}: all of them may be traded"
    assert said(trial, "account") == ([text] if warned else [])
    assert trial.broker.accounts() == (ACCOUNT,)


@pytest_twisted.ensureDeferred
async def test_a_route_to_an_exchange_that_has_not_got_it_is_named(trial: Trial) -> None:
    order = trial.order(route="NONSENSE")
    await trial.broker.submit(order)
    await trial.until(lambda: trial.events(order, OrderRejected), "it is rejected")
    (rejected,) = trial.events(order, OrderRejected)
    assert rejected.reason is Reason.UNSUPPORTED
    assert "at exchange NONSENSE, which its route names: name another, or SMART." in rejected.text


class Another(Protocol):
    """Somebody who speaks otherwise: says nothing, or hangs up."""

    hangs_up = False

    def dataReceived(self, data: bytes) -> None:
        if self.hangs_up:
            self.transport.loseConnection()


@pytest.mark.parametrize("hangs_up", [False, True])
@pytest_twisted.ensureDeferred
async def test_what_listens_there_is_no_tws(hangs_up: bool, trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    from twisted.internet import reactor

    monkeypatch.setattr(link, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(Another, "hangs_up", hangs_up)
    somebody: Any = reactor
    port = somebody.listenTCP(0, Factory.forProtocol(Another), interface="127.0.0.1")
    trial = trials(port=port.getHost().port)
    trial.broker.startService()
    words = "it was closed at once" if hangs_up else "nothing that TWS says came within 0.2 s"
    await trial.until(lambda: said(trial, words), words)
    assert "is that TWS or IB Gateway, does it allow API connections" in said(trial, words)[0]
    await trial.stop()
    await port.stopListening()
