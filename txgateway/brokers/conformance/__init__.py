"""What every broker must do, as numbered cases that a broker's author runs under plain pytest.

    import pytest, pytest_twisted
    from txgateway.brokers.conformance import Subject, cases

    class Mine(Subject):
        symbol, account, quantity, low_price, high_price = "IBM", "DU1", Decimal(10), Decimal(1), Decimal(9000)
        def make(self, report): return MyBroker(Setup("mine", OPTIONS, self.folder, report, reactor, utc_now))
        async def pause(self): await deferLater(reactor, 0.01)

    @pytest.mark.parametrize("case", cases(MyBroker.can), ids=str)
    @pytest_twisted.ensureDeferred
    async def test_conformance(case, tmp_path): await case.run(Mine(tmp_path))

`cases(can)` are those that the flags promise; each has one sentence with what is required and why (`case.sentence`),
which a failure repeats. A `Subject` stands for a fresh counterparty; its optional methods (fill, inject, reconnect)
make more cases possible, and a case that needs one that is not there skips itself. Faults are injected by the broker's
own set_fault where it claims Can.FAULTS. Nothing here comes from tests/: `txgateway` alone is needed.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from txgateway.brokers.conformance.case import Broken, Case, cases
from txgateway.brokers.conformance.subject import Subject
from txgateway.brokers.conformance.trial import Trial

__all__ = ["Broken", "Case", "Subject", "Trial", "cases"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")  # its cases enter themselves
