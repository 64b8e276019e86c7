"""The commands about a venue itself, on a desk whose venue is one of perpetuals: what is asked, allowed and refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.desk import EVERYTHING, START, Bench, ChosenBroker, outcome
from txgateway import documents, render, wire
from txgateway.access import Caller
from txgateway.api import COMMANDS, About, Api
from txgateway.brokers import Can
from txgateway.feed import Feed
from txgateway.model.account import Position
from txgateway.model.errand import ErrandOutcome
from txgateway.model.errors import BadArgument, NotAllowed, Reason, Refused, TimedOut, Unsupported
from txgateway.model.events import ErrandBegun, ErrandEnded
from txgateway.model.instrument import Instrument
from txgateway.model.market import Depth, Funding, Level
from txgateway.model.order import Origin
from txgateway.model.rights import Grant, Right
from txgateway.model.scope import Scope
from txgateway.model.venue import EndpointCall, PositionMode, RateLimit

FLAGS = wire.Flags(UTC)
SPOT, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"


class Exchange(ChosenBroker):
    """A crypto exchange with one account, one spot pair and one perpetual."""

    def __init__(self, clock: Any = None) -> None:
        super().__init__(clock)
        self.margin, self.mode_now = D(1), PositionMode.ONE_WAY
        self.calls: list[EndpointCall] = []
        self.names = ["ACC"]

    def accounts(self) -> list[str]:
        return self.names

    async def instrument(self, symbol: str) -> Instrument | None:
        return Instrument(symbol=symbol, venue="paper") if symbol in (SPOT, PERPETUAL) else None

    async def depth(self, symbol: str, levels: int) -> Depth | None:
        if symbol != SPOT:
            return None
        sides = ([Level(D(f"{100 + sign * at}.5"), D("0.25")) for at in range(1, levels + 1)] for sign in (-1, 1))
        bids, asks = map(tuple, sides)
        return Depth(symbol, bids, asks, START, 42)

    async def funding(self, symbol: str) -> Funding | None:
        if symbol != PERPETUAL:
            return None
        return Funding(symbol, D("0.0001"), START, None, START + timedelta(hours=8), 28800, D("100.5"))

    async def leverage(self, account: str, symbol: str) -> D | None:
        return self.margin if symbol == PERPETUAL else None

    async def set_leverage(self, account: str, symbol: str, leverage: D) -> None:
        self.margin = leverage

    async def position_mode(self, account: str) -> PositionMode:
        return self.mode_now

    async def set_position_mode(self, account: str, mode: PositionMode) -> None:
        self.mode_now = mode

    async def call_endpoint(self, call: EndpointCall) -> Any:
        self.calls.append(call)
        return [{"price": "100.5"}]

    def rate_limits(self) -> list[RateLimit]:
        later = datetime(2026, 3, 2, 15, 0, 0, 500, tzinfo=UTC)
        return [RateLimit("orders", 100, 99, 10.0), RateLimit("weight", 6000, 600, 60.0, later)]


class Hall:
    """An API over a desk with that exchange."""

    def __init__(self, can: Can = EVERYTHING) -> None:
        self.broker = Exchange()
        self.bench = Bench(broker=self.broker)
        self.broker.can = can
        brokers: Any = {"paper": self.broker}
        self.feed = Feed(brokers, "paper", self.bench.clock, lambda moment: moment.date())
        self.gateway = self.bench.up().gateway
        about = About(
            header="", version="", flags={}, started=START, zone=UTC, default_venue="paper", default_account="ACC",
            default_route="", kinds={"paper": "ccxt"}, clock=self.bench.now, shutdown=lambda text: None,
        )  # fmt: skip
        self.api = Api(self.gateway, self.feed, brokers, about)

    def ask(self, method: str, grant: Grant | None = None, /, **arguments: Any) -> Any:
        """A command's result as its client gets it, which fits the schema that is published."""
        from jsonschema import Draft202012Validator

        caller = Caller("me", Origin.RPC) if grant is None else Caller("me", Origin.RPC, grant=grant)

        async def give() -> Any:
            found = self.api.call(method, caller, arguments)
            return await found if hasattr(found, "__await__") else found

        done = Deferred.fromCoroutine(give())
        self.bench.turn()
        shown = json.loads(render.text(outcome(done), FLAGS))
        schema = {**documents.result_schema(COMMANDS[method]), "components": {"schemas": documents.schemas()}}
        Draft202012Validator(schema).validate(shown)
        return shown


@pytest.fixture
def hall() -> Hall:
    return Hall()


TRADER = Grant((Right.TRADE,))
READER = Grant((Right.READ,))


def test_a_book(hall: Hall) -> None:
    book = hall.ask("query_depth", symbol="btc/usdt", levels=2)
    assert book == {
        "symbol": SPOT,
        "bids": [[99.5, 0.25], [98.5, 0.25]],
        "asks": [[101.5, 0.25], [102.5, 0.25]],
        "sequence": 42,
        "time": "2026-03-02T15:00:00Z",
    }
    assert len(hall.ask("query_depth", symbol="BTC/USDT@paper")["asks"]) == 10
    assert hall.ask("query_depth", symbol="NOSUCH") is None


@pytest.mark.parametrize("levels", [0, -1, 1001, 10**9])
def test_levels_that_cannot_be(hall: Hall, levels: int) -> None:
    with pytest.raises(BadArgument, match="none of 1 to 1000"):
        hall.ask("query_depth", symbol=SPOT, levels=levels)


def test_funding(hall: Hall) -> None:
    found = hall.ask("query_funding", symbol=PERPETUAL)
    assert (found["rate"], found["next_time"], found["mark_price"]) == (0.0001, "2026-03-02T23:00:00Z", 100.5)
    assert (found["next_rate"], found["index_price"]) == (None, None)
    assert hall.ask("query_funding", symbol="NOSUCH") is None
    with pytest.raises(Refused, match="is no perpetual"):
        hall.ask("query_funding", symbol=SPOT)


def test_leverage(hall: Hall) -> None:
    wanted = {"venue": "paper", "account": "ACC", "symbol": PERPETUAL, "leverage": 20}
    assert hall.ask("set_leverage", symbol=PERPETUAL, leverage="20.0") == wanted
    assert hall.ask("query_leverage", symbol=PERPETUAL.lower(), account="acc") == wanted
    assert hall.broker.margin.as_tuple().exponent == 0
    begun = [each.event for each in hall.bench.journal.records() if isinstance(each.event, ErrandBegun)]
    assert [(each.errand.value, each.errand.by) for each in begun] == [("20", "me")]


@pytest.mark.parametrize("leverage", [0, -1, "NaN", 1001, "1e40", True])
def test_a_leverage_that_cannot_be(hall: Hall, leverage: Any) -> None:
    with pytest.raises(BadArgument):
        hall.ask("set_leverage", symbol=PERPETUAL, leverage=leverage)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"symbol": SPOT}, Reason.UNSUPPORTED),
        ({"symbol": "NOSUCH"}, Reason.UNKNOWN_SYMBOL),
        ({"symbol": f"{PERPETUAL}@nowhere"}, Reason.UNKNOWN_VENUE),
        ({"symbol": PERPETUAL, "account": "NOBODY"}, Reason.UNKNOWN_ACCOUNT),
    ],
)
def test_what_has_no_leverage(hall: Hall, arguments: dict[str, Any], reason: Reason) -> None:
    for method, more in (("query_leverage", {}), ("set_leverage", {"leverage": 3})):
        with pytest.raises(Refused) as caught:
            hall.ask(method, **arguments, **more)
        assert caught.value.reason is reason
    assert hall.broker.margin == 1


def test_of_several_accounts_one_is_named(hall: Hall) -> None:
    hall.broker.names = ["ACC", "OTHER"]
    with pytest.raises(BadArgument, match="has 2 accounts"):
        hall.ask("set_leverage", symbol=PERPETUAL, leverage=3)
    mine = Grant((Right.TRADE,), accounts=("OTHER",))
    assert hall.ask("set_leverage", mine, symbol=PERPETUAL, leverage=3)["account"] == "OTHER"
    with pytest.raises(Refused, match="Account 'ACC' is unknown"):
        hall.ask("set_leverage", mine, symbol=PERPETUAL, leverage=4, account="ACC")


def test_leverage_needs_the_right_to_trade_that_symbol(hall: Hall) -> None:
    with pytest.raises(NotAllowed):
        hall.ask("set_leverage", READER, symbol=PERPETUAL, leverage=3)
    with pytest.raises(Refused, match="may not trade"):
        hall.ask("set_leverage", Grant((Right.TRADE,), symbols=("ETH/USDT",)), symbol=PERPETUAL, leverage=3)
    assert hall.broker.margin == 1


def test_a_position_mode(hall: Hall) -> None:
    assert hall.ask("query_position_mode")["mode"] == "ONE_WAY"
    assert hall.ask("set_position_mode", account="acc", mode="hedge")["mode"] == "HEDGE"
    assert hall.ask("set_position_mode", account="acc", mode="one-way")["mode"] == "ONE_WAY"
    with pytest.raises(BadArgument, match="none of ONE_WAY, HEDGE"):
        hall.ask("set_position_mode", account="acc", mode="both")
    with pytest.raises(Refused):
        hall.ask("set_position_mode", account="NOBODY", mode="HEDGE")


def test_rate_limits(hall: Hall) -> None:
    found = hall.ask("query_rate_limits", venue="paper")["paper"]
    assert (found["remaining"], found["reset"]) == (600, 1772463601)
    assert found["limits"]["orders"] == {"limit": 100, "remaining": 99, "seconds": 10.0, "reset": None}
    assert hall.ask("query_rate_limits") == {"paper": found}
    with pytest.raises(Refused, match="'nowhere' is unknown"):
        hall.ask("query_rate_limits", venue="nowhere")


def test_an_endpoint_for_everyone(hall: Hall) -> None:
    found = hall.ask("call_endpoint", TRADER, venue="paper", path="/ticker/price", params={"symbol": "BTCUSDT"})
    assert (found["venue"], found["data"], found["rate_limits"]["remaining"]) == ("paper", [{"price": "100.5"}], 600)
    (call,) = hall.broker.calls
    assert (call.path, call.api, call.method, call.params) == ("ticker/price", "public", "GET", {"symbol": "BTCUSDT"})
    assert not [each for each in hall.bench.journal.records() if isinstance(each.event, ErrandBegun)]


def test_what_changes_something_is_an_admins_and_on_record_without_secrets(hall: Hall) -> None:
    params = {"symbol": "BTCUSDT", "apiKey": "hush", "nested": {"Signature": "hush", "n": [1, 2]}, "token": "hush"}
    order = {"venue": "paper", "path": "order", "version": "private", "method": "post", "params": json.dumps(params)}
    with pytest.raises(NotAllowed, match="needs the scope admin"):
        hall.ask("call_endpoint", TRADER, **order)
    assert hall.broker.calls == []
    hall.ask("call_endpoint", **order)
    assert hall.broker.calls[0].params == params
    (begun,) = [each.event for each in hall.bench.journal.records() if isinstance(each.event, ErrandBegun)]
    shown = "POST order(symbol=BTCUSDT, apiKey=***, nested={Signature=***, n=[1, 2]}, token=***)"
    assert begun.errand.value == shown


def test_a_read_by_key_needs_no_admin(hall: Hall) -> None:
    hall.ask("call_endpoint", TRADER, venue="paper", path="account", version="PRIVATE")
    with pytest.raises(NotAllowed):
        hall.ask("call_endpoint", Grant((Right.ADMIN,), accounts=("ACC",)), venue="paper", path="account")


@pytest.mark.parametrize("scope", ["gateway", "venue:paper", "account:ACC", "owner:me"])
def test_a_halt_holds_for_calls_by_hand(hall: Hall, scope: str) -> None:
    hall.gateway.halt("lunch", "me", Scope.parse(scope))
    order = {"venue": "paper", "path": "order", "version": "private"}
    with pytest.raises(Refused, match="lunch") as caught:
        hall.ask("call_endpoint", **order, method="POST")
    assert caught.value.reason is Reason.HALTED
    hall.ask("call_endpoint", **order, method="DELETE")
    hall.ask("call_endpoint", **order, method="GET")
    assert [each.method for each in hall.broker.calls] == ["DELETE", "GET"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": ""}, {"path": "/"}, {"path": "http://elsewhere/x"}, {"path": "../v3/order"}, {"path": "order?a=1"},
        {"path": "a b"}, {"path": "x" * 501}, {"path": "a\nb"}, {"path": "a\\b"}, {"path": "a#b"},
        {"version": "v3"}, {"version": ""}, {"method": "TRACE"}, {"method": "G ET"},
        {"params": "[1]"}, {"params": "{"}, {"params": "x"}, {"params": '{"a": NaN}'}, {"params": "[" * 5000},
    ],
)  # fmt: skip
def test_a_call_that_cannot_be(hall: Hall, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadArgument):
        hall.ask("call_endpoint", **{"venue": "paper", "path": "time", **wrong})
    assert hall.broker.calls == []


def test_a_venue_that_cannot_says_so() -> None:
    nothing = Can.FUNDING | Can.LEVERAGE | Can.POSITION_MODE | Can.RATE_LIMITS | Can.RAW | Can.DEPTH
    hall = Hall(EVERYTHING & ~nothing)
    for method, arguments in (
        ("query_depth", {"symbol": SPOT}),
        ("query_funding", {"symbol": PERPETUAL}),
        ("query_leverage", {"symbol": PERPETUAL}),
        ("set_leverage", {"symbol": PERPETUAL, "leverage": 3}),
        ("query_position_mode", {}),
        ("set_position_mode", {"account": "ACC", "mode": "HEDGE"}),
        ("call_endpoint", {"venue": "paper", "path": "time"}),
        ("query_rate_limits", {"venue": "paper"}),
    ):
        with pytest.raises(Refused, match=r"^Venue paper .*: query_venues shows what each can\.$") as caught:
            hall.ask(method, **arguments)
        assert caught.value.reason is Reason.UNSUPPORTED
    assert hall.ask("query_rate_limits") == {}
    assert hall.broker.calls == []


def test_positions_with_what_the_venue_tells(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    hall.broker.held = [Position("paper", "ACC", PERPETUAL, D(-2), D(100), D("101.5"), D(150), D(20), D(-3))]
    hall.gateway.tally.take_position(hall.broker.held[0], "paper")
    hall.bench.turn()
    assert hall.ask("query_positions") == {"ACC": {PERPETUAL: -2}}
    assert hall.ask("query_positions", data=True)["ACC"][PERPETUAL] == {
        "venue": "paper",
        "quantity": -2,
        "average_price": 100,
        "entry_price": 100,
        "mark_price": 101.5,
        "liquidation_price": 150,
        "leverage": 20,
        "unrealized_profit": -3,
    }

    async def silent() -> Any:
        raise TimedOut("Venue paper did not answer positions within 20 s.")

    monkeypatch.setattr(hall.broker, "positions", silent)
    shown = hall.ask("query_positions", data=True)["ACC"][PERPETUAL]
    assert (shown["quantity"], shown["mark_price"]) == (-2, None)


@pytest.mark.parametrize("data", [False, True])
def test_what_is_held_is_not_known_before_the_venue_was_up(hall: Hall, data: bool) -> None:
    hall.gateway.tally.take_position(Position("paper", "ACC", PERPETUAL, D(-2)), "paper")
    hall.bench.turn()
    assert hall.ask("query_positions", data=data)["ACC"]
    been_up = hall.gateway.intake.been_up
    been_up.clear()
    been_up.add("another")
    assert hall.ask("query_positions", data=data) == {"ACC": None}


def test_a_position_whose_cost_we_do_not_know_has_the_venues(hall: Hall) -> None:
    hall.broker.held = [Position("paper", "ACC", PERPETUAL, D(-2), D(100))]
    hall.gateway.tally.take_position(Position("paper", "ACC", PERPETUAL, D(-2)), "paper")
    hall.bench.turn()
    assert hall.ask("query_positions", data=True)["ACC"][PERPETUAL]["average_price"] == 100


def test_a_call_that_the_venue_cannot_make_is_refused_and_not_in_doubt(hall: Hall) -> None:
    async def cannot(call: EndpointCall) -> Any:
        raise Unsupported("It has no such endpoint.")

    hall.broker.call_endpoint = cannot  # type: ignore[method-assign]
    with pytest.raises(Unsupported):
        hall.ask("call_endpoint", venue="paper", path="x", version="private", method="POST")
    (ended,) = [each for each in hall.bench.told if isinstance(each.record.event, ErrandEnded)]
    assert ended.record.event.outcome is ErrandOutcome.REFUSED
