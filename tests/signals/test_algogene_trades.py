"""ALGOGENE's trades at a desk: ids that are never given twice, trades against each other, changes gone over again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

from tests.gateway.exits_desk import Venue, desk
from tests.signals.house import House
from txgateway.blotter import Blotter
from txgateway.keys import signal_key
from txgateway.model.errors import Reason
from txgateway.model.order import Side
from txgateway.model.signal import Answer, Outcome, Source, SourceKind
from txgateway.signals import Post
from txgateway.signals.algogene import Algogene, Fields, opening_key, sessions

SOURCE = Source(name="tv", kind=SourceKind.ALGOGENE, account="ACC", secret="a-long-enough-key", user="me")
ORDER = {"instrument": "IBM", "volume": 10, "ordertype": "MKT"}


def house() -> House:
    """One whose venue holds what is no market order."""
    return House(SOURCE, bench=desk(), languages={SourceKind.ALGOGENE: Algogene()})


def tell(house: House, call: str, source: Source = SOURCE, **given: Any) -> Answer:
    """A call, with all that follows from it."""
    until = datetime(2100, 1, 1, tzinfo=UTC)
    login = {"user": "me", "api_key": "a-long-enough-key", "token": sessions.token_of(SOURCE, until)}
    post = Post(json.dumps({**login, **given}).encode(), house.bench.now(), call=call)
    answer: Answer = house.bench.do(house.signaling.receive(source, post))
    house.bench.turn(1)
    return answer


def blotter(house: House) -> Blotter:
    bench = house.bench
    made = Blotter(
        bench.gateway,
        house.feed,
        {"paper": bench.broker},
        house.carrier,
        bench.journal.find,
        bench.clock,
        bench.now,
        UTC,
    )
    made.start()
    return made


def new_trade(house: House, made: Blotter) -> int:
    return int(house.bench.do(made.new_trade(SOURCE)))


# ---------------------------------------------------------------- ids


def test_an_id_is_the_clocks_milliseconds_and_never_given_twice() -> None:
    at = house()
    made = blotter(at)
    first = new_trade(at, made)
    assert first == int(at.bench.now().timestamp() * 1000)
    assert [new_trade(at, made) for _ in range(3)] == [first + 1, first + 2, first + 3]
    at.bench.turn(60)
    assert new_trade(at, made) == first + 60_000


def test_a_clock_that_went_back_over_a_restart_gives_none_again() -> None:
    at = house()
    late = int(at.bench.now().timestamp() * 1000) + 5_000_000
    tell(at, f"open_order {late}", **ORDER, buysell="BUY")
    at = at.restart().up()
    made = blotter(at)
    assert at.bench.now().timestamp() * 1000 < late
    assert new_trade(at, made) == late + 1


def test_one_that_only_the_journal_remembers_is_not_given_again() -> None:
    at = house()
    now = int(at.bench.now().timestamp() * 1000)
    for trade_id in (now, now + 1):
        tell(at, f"open_order {trade_id}", **ORDER, buysell="BUY")
    strategies = at.bench.gateway.state.strategies
    strategies.signals.clear()
    strategies.positions.clear()
    at.bench.clock.rightNow = 0.0
    assert new_trade(at, blotter(at)) == now + 2


def test_the_same_id_again_is_the_first_answer_and_no_second_order() -> None:
    at = house()
    first = tell(at, "open_order 192", **ORDER, buysell="BUY")
    assert tell(at, "open_order 192", **ORDER, buysell="BUY") == first
    assert len(at.sent) == 1
    assert at.bench.gateway.state.strategies.known("tv", opening_key("192"), at.bench.now()) is not None


# ---------------------------------------------------------------- the same call again


def open_again(at: House, trade_id: int, **more: Any) -> Answer:
    """The same order under a new tradeID, as the server gives one to each call."""
    given = {**ORDER, "buysell": "BUY", **more}
    return tell(at, f"open_order {trade_id}", source=replace(SOURCE, duplicate_window=60), **given)


def test_by_default_the_same_call_again_is_another_trade() -> None:
    at = house()
    for trade_id in (1, 2):
        tell(at, f"open_order {trade_id}", **ORDER, buysell="BUY", orderRef="only a label")
    assert len(at.sent) == 2


def test_within_the_window_the_same_call_is_the_same_trade_and_after_it_another() -> None:
    at = house()
    first = open_again(at, 1)
    at.bench.turn(29)
    assert open_again(at, 2, token=sessions.token_of(SOURCE, datetime(2101, 1, 1, tzinfo=UTC))) == first
    assert len(at.sent) == 1
    assert open_again(at, 3, orderRef="another") != first
    assert len(at.sent) == 2
    at.bench.turn(31)
    assert json.loads(open_again(at, 4).body)["tradeID"] == 4
    assert len(at.sent) == 3
    assert at.held("4") == 10


def test_the_same_call_is_known_to_the_next_daemon_and_its_id_is_not_given_again() -> None:
    at = house()
    first = open_again(at, 1)
    at = at.restart().up()
    assert open_again(at, 2) == first
    assert (at.sent, at.held("1"), at.held("2")) == ([("BUY", 10, "IBM")], 10, 0)
    at.bench.turn(61)
    at.bench.gateway.state.strategies.signals.clear()
    key = signal_key("tv", opening_key("1"))
    assert at.bench.do(at.bench.journal.find("signal", key)) is not None


def test_a_close_or_change_that_comes_again_is_meant_again() -> None:
    at, source = house(), replace(SOURCE, duplicate_window=60)
    open_again(at, 1)
    for level in (90, 80, 90):
        tell(at, "update_opened_order", source=source, tradeID=1, stopLossLevel=level)
    (family,) = at.bench.gateway.state.families.live.values()
    assert family.plan.stop_loss is not None
    assert family.plan.stop_loss.value == 90
    tell(at, "close_orders 1", source=source, orderRef="x")
    open_again(at, 2, orderRef="x")
    assert tell(at, "close_orders 2", source=source, orderRef="x").status == 200
    assert (at.held("1"), at.held("2")) == (0, 0)


# ---------------------------------------------------------------- trades against each other


def account_holds(house: House) -> D:
    position = house.bench.gateway.state.positions["ACC"].get("IBM")
    return D(0) if position is None else position.quantity


def test_each_is_closed_for_itself_though_the_account_holds_nothing() -> None:
    at = house()
    tell(at, "open_order 1", **ORDER, buysell="BUY", stopLossLevel=50)
    tell(at, "open_order 2", **ORDER, buysell="SELL", stopLossLevel=150)
    assert account_holds(at) == 0
    assert (at.held("1"), at.held("2")) == (10, -10)
    tell(at, "close_orders 1", tradeIDs=1)
    assert (at.held("1"), at.held("2"), account_holds(at)) == (0, -10, -10)
    tell(at, "close_orders 2", tradeIDs=2)
    assert (at.held("2"), account_holds(at)) == (0, 0)
    assert not at.bench.gateway.state.families.live


def test_a_hold_time_closes_its_own_trade_though_the_account_holds_nothing() -> None:
    at = house()
    tell(at, "open_order 1", **ORDER, buysell="BUY", holdtime=30)
    tell(at, "open_order 2", **ORDER, buysell="SELL")
    assert account_holds(at) == 0
    at.bench.turn(60)
    at.bench.turn(1)
    assert (at.held("1"), at.held("2"), account_holds(at)) == (0, -10, -10)


def test_what_others_hands_closed_is_not_closed_again() -> None:
    at = house()
    tell(at, "open_order 1", **ORDER, buysell="BUY", holdtime=30)
    at.bench.submit(side=Side.SELL, quantity=D(10))
    assert account_holds(at) == 0
    at.bench.turn(60)
    at.bench.turn(1)
    assert account_holds(at) == 0
    assert tell(at, "close_orders 1", tradeIDs=1).status == 400


# ---------------------------------------------------------------- changes


def test_a_change_that_was_answered_is_made_after_a_crash_once() -> None:
    at = house()
    tell(at, "open_order 1", **ORDER, buysell="BUY")
    at.carrier.begin = lambda signal: None  # type: ignore[method-assign]  it is killed right after the answer
    assert tell(at, "update_opened_order", tradeID=1, stopLossLevel=90.004).status == 200
    assert len(at.sent) == 1
    again = at.restart().up()
    again.bench.turn(1)
    stops = [each for each in again.bench.broker.sent if each.leg is not None]
    assert [(each.stop_price, each.quantity) for each in stops] == [(D("90.01"), 10)]
    assert again.signal.outcome is Outcome.DONE
    once_more = again.restart().up()
    once_more.bench.turn(1)
    assert len(once_more.bench.broker.sent) == 2


def test_a_change_of_what_is_not_there_is_refused_on_record() -> None:
    at = house()
    for call in ("update_opened_order", "update_pending_order", "cancel_orders 7", "close_orders 7"):
        answer = tell(at, call, tradeID=7, tradeIDs=7, holdtime=5)
        assert answer.status == 400
        assert json.loads(answer.body)["res"].startswith("Strategy trade 7 has no ")
        assert at.signal.outcome is Outcome.REFUSED
    assert at.sent == []


def test_what_is_filled_while_a_change_is_looked_at_has_its_exits_too() -> None:
    at = house()
    tell(at, "open_order 1", **{**ORDER, "ordertype": "LMT", "price": 90}, buysell="BUY")
    venue, amends, market = live(at), at.bench.gateway.amends, at.bench.gateway.amends._market
    looks = iter((False, True))

    async def slow(name: str, symbol: str) -> Any:
        if next(looks, False):  # the second look: the change is being made
            venue.trade(venue.live()[0].order_id, 4, "90")
        return await market(name, symbol)

    amends._market = slow
    assert tell(at, "update_pending_order", tradeID=1, stopLossLevel=80).status == 200
    at.bench.turn(2)
    (family,) = at.bench.gateway.state.families.live.values()
    assert (family.filled, family.left) == (4, 4)
    assert [each.quantity for each in venue.live() if each.stop_price == 80] == [4]


def live(house: House) -> Venue:
    """Its venue."""
    assert isinstance(house.bench.broker, Venue)
    return house.bench.broker


def test_what_an_order_closes_already_gets_no_exits_beside_it() -> None:
    at = house()
    tell(at, "open_order 1", **ORDER, buysell="BUY")
    live(at).fills_market = False
    assert tell(at, "close_orders 1", tradeIDs=1).status == 200
    answer = tell(at, "update_opened_order", tradeID=1, stopLossLevel=90)
    assert answer.status == 400
    assert json.loads(answer.body)["res"] == "Strategy trade 1 is being closed: nothing can be changed."
    assert len(at.sent) == 2


def test_what_is_being_closed_holds_up_no_other_close() -> None:
    at = house()
    for trade_id in (1, 2):
        tell(at, f"open_order {trade_id}", **ORDER, buysell="BUY")
    live(at).fills_market = False
    tell(at, "close_orders 1", tradeIDs=1)
    assert blotter(at).meant(SOURCE, "close_orders", Fields({"tradeIDs": "1,2,3"})) == ("2",)
    answer = tell(at, "close_orders 2", tradeIDs="1,2,3")
    told = "Submitted close order request for '2', There is nothing to close of 1, 3."
    assert json.loads(answer.body) == {"res": told, "status": "SUCCESS"}
    assert at.sent[2:] == [("SELL", 10, "IBM"), ("SELL", 10, "IBM")]
    assert blotter(at).meant(SOURCE, "close_orders", Fields({"tradeIDs": "1,2,3"})) == ()


def test_prices_are_put_on_the_instruments_grid_and_never_to_the_worse() -> None:
    at = house()
    for buysell, limit in (("BUY", "95.01"), ("SELL", "105.02")):
        price = {"BUY": 95.0149, "SELL": 105.0111}[buysell]
        tell(at, f"open_order {1 + len(at.sent)}", **{**ORDER, "ordertype": "LMT"}, buysell=buysell, price=price)
        assert at.bench.broker.sent[-1].limit_price == D(limit)


def test_an_order_whose_time_was_over_before_it_could_be_sent_is_not_sent() -> None:
    at = house()
    at.carrier.begin = lambda signal: None  # type: ignore[method-assign]  it is killed right after the answer
    for trade_id, seconds in ((1, 20), (2, 200)):
        limit = {**ORDER, "ordertype": "LMT", "price": 90}
        assert tell(at, f"open_order {trade_id}", **limit, buysell="BUY", timeinforce=seconds).status == 200
    again = at.restart()
    again.bench.clock.advance(at.bench.clock.seconds() + 60)
    again.up()
    assert [each.strategy for each in again.bench.broker.sent] == ["2"]
    assert again.bench.broker.sent[0].good_till is not None
    signals = again.bench.gateway.state.strategies.signals.values()
    assert [each.reason for each in signals] == [Reason.STALE_SIGNAL, None]
