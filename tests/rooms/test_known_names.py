"""A halt or flatten of a name that nobody knows is refused; where nobody can tell, the halt comes first."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.desk import D, outcome, request
from tests.rooms.test_venue_commands import Hall
from txgateway.access import Caller
from txgateway.feed import HAS_SECONDS
from txgateway.model.account import Position
from txgateway.model.errors import BadArgument, TimedOut
from txgateway.model.order import OrderType, Origin


@pytest.fixture
def hall() -> Hall:
    hall = Hall()
    hall.api._signaling = Sources()  # type: ignore[assignment]
    return hall


class Sources:
    """No sources at all."""

    @property
    def sources(self) -> dict[str, Any]:
        return {}


def give(hall: Hall, method: str, seconds: float = 0, **arguments: Any) -> Any:
    caller = Caller("me", Origin.RPC)
    done = Deferred.fromCoroutine(hall.api.call(method, caller, {"reason": "drill", **arguments}))
    hall.bench.turn(seconds)
    return outcome(done)


@pytest.mark.parametrize("method", ["halt", "flatten"])
@pytest.mark.parametrize("name", ["symbol:BTC/USD", "owner:nobody", "source:nobody", "bot:nobody"])
def test_a_name_that_nobody_knows_is_refused_and_nothing_halted(hall: Hall, method: str, name: str) -> None:
    with pytest.raises(BadArgument, match=" is unknown: "):
        give(hall, method, scope=name)
    assert not hall.gateway.state.halts


@pytest.mark.parametrize("method", ["halt", "flatten"])
def test_a_symbol_that_the_venue_has_is_taken_though_nothing_is_held(hall: Hall, method: str) -> None:
    give(hall, method, scope="symbol:BTC/USDT")
    assert [str(each) for each in hall.gateway.state.halts] == ["symbol:BTC/USDT"]


def test_a_halt_comes_first_where_the_venue_cannot_be_asked(hall: Hall) -> None:
    hall.broker.stopService()
    hall.bench.turn()
    assert give(hall, "halt", scope="symbol:WHAT") == (
        "trading halted for symbol:WHAT: drill "
        "(Whether there is a symbol WHAT could not be found out: no answer of paper.)"
    )


def test_a_halt_waits_no_longer_for_a_venue_than_a_panic_can(hall: Hall) -> None:
    async def silence(symbol: str) -> None:
        await Deferred()

    hall.broker.instrument = silence  # type: ignore[assignment, method-assign]
    assert "no answer of paper" in give(hall, "halt", HAS_SECONDS, scope="symbol:WHAT")


def test_an_answer_that_failed_says_nothing(hall: Hall) -> None:
    async def fails(symbol: str) -> None:
        raise TimedOut("Venue paper did not answer.")

    hall.broker.instrument = fails  # type: ignore[assignment, method-assign]
    assert "no answer of paper" in give(hall, "halt", scope="symbol:WHAT")


def test_what_the_broker_holds_is_flattened_though_it_has_no_rules_for_it(hall: Hall) -> None:
    hall.broker.held = [Position("paper", "ACC", "OLD", D(5), D(1))]
    hall.broker.mode = "accept"
    report = give(hall, "flatten", 10, scope="symbol:OLD")
    assert [(line.symbol, line.quantity, line.flat) for line in report.positions] == [("OLD", D(5), False)]


def test_what_works_here_can_be_halted_by_its_symbol_and_its_owner(hall: Hall) -> None:
    hall.broker.mode = "accept"
    limit = request(symbol="BTC/USDT", order_type=OrderType.LIMIT, limit_price=D(90))
    hall.bench.do(hall.gateway.submit(limit, "robot", Origin.BOT))

    async def none(symbol: str) -> None:
        return None

    hall.broker.instrument = none  # type: ignore[assignment, method-assign]
    for name in ("symbol:BTC/USDT", "owner:robot", "bot:robot"):
        assert give(hall, "halt", scope=name) == f"trading halted for {name}: drill"
