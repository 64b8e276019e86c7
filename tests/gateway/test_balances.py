"""Cash is compared with what our executions moved: what else moved it is shown until it is gone or somebody says so."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_HALF_EVEN
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.desk import Bench, ChosenBroker
from txgateway.brokers import Can
from txgateway.model.account import AccountReport, Balance, adds_up
from txgateway.model.difference import Difference, What
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import (
    BalancesReported,
    DifferenceFound,
    DifferenceRaised,
    DifferenceResolved,
    Executed,
    Severity,
    VenueStatus,
)
from txgateway.model.execution import Execution
from txgateway.model.order import Side
from txgateway.state import State

OURS = ("paper", "ACC")
KEY = ("paper", "ACC", "balance", "USD")


def desk(**more: Any) -> Bench:
    """A desk whose broker fills at 100 for a commission of 1, and is reconciled every minute."""
    bench = Bench(**{"reconcile_seconds": 60, **more})
    bench.broker.can |= Can.CASH
    bench.broker.holds_fills = True
    return bench.up()


def pass_time(bench: Bench, seconds: int) -> None:
    for _ in range(seconds):
        bench.turn(1)


def told(bench: Bench, *kinds: type) -> list[Any]:
    return [change.record.event for change in bench.told if isinstance(change.record.event, kinds)]


def shown(bench: Bench) -> list[tuple[str, str, str, str]]:
    """What is open over one of the accounts: the broker pays both alike."""
    found = [each for each in bench.gateway.differences.open() if each.account in ("", "ACC")]
    return [(each.what, each.key, each.ours, each.theirs) for each in found]


def alarms(bench: Bench) -> list[Any]:
    """Every difference over cash that was ever told."""
    return [each for each in told(bench, DifferenceFound) if each.what == What.BALANCE]


def cash(bench: Bench) -> dict[str, D]:
    return bench.gateway.state.cash[OURS]


def settle(bench: Bench, reason: str = "A deposit.") -> Difference:
    settled: Difference = bench.do(bench.gateway.settle(KEY, reason, "alice"))
    return settled


def same_after_a_restart(bench: Bench) -> None:
    state = bench.gateway.state
    replayed = bench.restart().gateway.state
    assert list(replayed.dump()) == list(state.dump())
    assert State.load(state.dump()).cash == replayed.cash == state.cash


# ---------------------------------------------------------------- all adds up


def test_we_start_from_what_the_broker_says_and_count_what_is_traded() -> None:
    bench = desk()
    first = [(each.account, each.totals) for each in told(bench, BalancesReported)]
    assert first == [(account, (("USD", D(1000)),)) for account in ("ACC", "OTHER")]
    bench.submit()
    assert cash(bench) == {"USD": D(1000) - 100 * 100 - 1}
    bench.submit(side=Side.SELL, quantity=D(30))
    assert cash(bench) == {"USD": D(1000) - 70 * 100 - 2}
    seq = bench.gateway.state.seq
    pass_time(bench, 200)
    assert bench.gateway.state.seq == seq, "nothing is said while all adds up"
    assert bench.broker.asked.count("balances") == 2 * 4, "each account, on connect and each minute"
    same_after_a_restart(bench)


def test_it_is_compared_on_every_connect_and_begun_once() -> None:
    bench = desk(reconcile_seconds=0)
    bench.submit()
    bench.broker.stopService()
    bench.up()
    again = bench.restart().up()
    assert told(again, BalancesReported) == []
    again.broker.money["USD"] += 5
    again.broker.stopService()
    again.up()
    pass_time(again, 3)
    assert shown(again) == [("balance", "USD", "-9001", "-8996")]


def test_what_a_broker_does_not_claim_is_not_compared() -> None:
    bench = Bench(reconcile_seconds=60).up()
    pass_time(bench, 130)
    assert "balances" not in bench.broker.asked
    assert bench.gateway.state.cash == {}


def test_a_journal_of_before_cash_was_compared_begins_with_what_the_broker_says() -> None:
    old = Bench().up()
    old.submit()
    bench = old.restart()
    bench.broker.can |= Can.CASH
    bench.broker.holds_fills = True
    bench.up()
    assert cash(bench) == {"USD": D(-9001)}
    bench.submit(side=Side.SELL)
    assert cash(bench) == {"USD": D(998)}


# ---------------------------------------------------------------- it does not


def test_a_deposit_is_shown_with_both_figures_until_it_is_gone() -> None:
    bench = desk(difference_raise_seconds=300)
    bench.broker.money["USD"] += 500
    pass_time(bench, 60)
    assert shown(bench) == [], "one look is not enough: something may be on its way"
    pass_time(bench, 3)
    found, other = told(bench, DifferenceFound)
    assert (found.account, found.what, found.key, found.ours, found.theirs) == ("ACC", "balance", "USD", "1000", "1500")
    assert found.severity is Severity.WARNING
    bench.submit()
    pass_time(bench, 600)
    assert told(bench, DifferenceFound, DifferenceRaised) == [found, other], (
        "the gap is the same; no emergency with age"
    )
    difference = bench.gateway.state.differences[KEY]
    assert (bench.gateway.differences.seen(difference) - difference.found).total_seconds() > 500
    same_after_a_restart(bench)
    bench.broker.money["USD"] -= 500
    pass_time(bench, 60)
    assert shown(bench) == []
    assert [each.key for each in told(bench, DifferenceResolved)] == ["USD", "USD"]


def test_a_gap_that_grows_is_told_anew_with_its_age() -> None:
    bench = desk()
    bench.broker.money["USD"] -= 5
    pass_time(bench, 63)
    bench.broker.money["USD"] -= 2
    pass_time(bench, 63)
    found = [each for each in told(bench, DifferenceFound) if each.account == "ACC"]
    assert [(each.ours, each.theirs) for each in found] == [("1000", "995"), ("1000", "993")]
    assert found[1].found == found[0].time
    assert len(shown(bench)) == 1


def test_a_person_takes_the_gap_over_and_what_was_traded_since_stays_counted() -> None:
    bench = desk()
    bench.broker.money["USD"] += 500
    pass_time(bench, 63)
    bench.submit()
    settled = settle(bench)
    assert (settled.ours, settled.theirs, settled.text) == ("1000", "1500", "A deposit.")
    assert told(bench, DifferenceResolved)[-1].by == "alice"
    assert cash(bench) == {"USD": D(1500) - 10001}
    pass_time(bench, 130)
    assert shown(bench) == []
    same_after_a_restart(bench)
    with pytest.raises(Refused) as caught:
        settle(bench)
    assert caught.value.reason is Reason.NO_SUCH_DIFFERENCE


def test_a_balance_is_settled_while_the_venue_is_down() -> None:
    bench = desk()
    bench.broker.money["USD"] += 500
    pass_time(bench, 63)
    bench.broker.stopService()
    settle(bench)
    bench.up()
    pass_time(bench, 63)
    assert shown(bench) == []


def test_what_changed_since_a_gap_was_shown_is_left_to_be_found() -> None:
    bench = desk()
    bench.broker.money["USD"] += 500
    pass_time(bench, 63)
    bench.broker.money["USD"] += 7
    settle(bench)
    pass_time(bench, 63)
    assert ("balance", "USD", "1500", "1507") in shown(bench)


def test_each_currency_is_a_balance_of_its_own() -> None:
    bench = desk()
    bench.broker.money["EUR"] = D(20)
    pass_time(bench, 63)
    assert {each[1:] for each in shown(bench)} == {("EUR", "0", "20")}
    del bench.broker.money["EUR"], bench.broker.money["USD"]
    pass_time(bench, 63)
    assert {each[1:] for each in shown(bench)} == {("USD", "1000", "0")}


def test_a_fill_in_another_currency_moves_that() -> None:
    bench = desk()
    bench.broker.mode = "accept"
    order = bench.submit().order
    fill = replace(bench.broker.fill(order, D(10), "2"), currency="EUR")
    bench.broker.fills[-1] = fill
    bench.gateway.report(Executed(fill, bench.now()), "paper")
    bench.turn()
    assert cash(bench) == {"USD": D(1000), "EUR": D(-21)}
    pass_time(bench, 130)
    assert alarms(bench) == []


# ---------------------------------------------------------------- nobody is alarmed for nothing


def unheard(bench: Bench, quantity: int = 10) -> Execution:
    """A fill that is in the broker's books and that nobody was told of."""
    bench.broker.mode = "accept"
    order = bench.submit(quantity=D(quantity)).order
    bench.broker.hold(order)
    return bench.broker.fill(order, D(quantity))


def test_a_fill_that_was_not_told_is_taken_in_and_is_no_difference() -> None:
    bench = desk()
    fill = unheard(bench)
    pass_time(bench, 130)
    assert cash(bench) == {"USD": D(-1)}
    assert fill.execution_id in bench.gateway.state.executions_today()
    assert alarms(bench) == []


class Hasty(ChosenBroker):
    """It fills between two answers: after its positions were asked for and before its balances are."""

    fills_now: Any = None

    async def balances(self, account: str) -> AccountReport:
        if self.fills_now is not None and account == "ACC":
            act, self.fills_now = self.fills_now, None
            act()
        return await super().balances(account)


def hasty(**more: Any) -> tuple[Bench, Hasty]:
    bench = Bench(reconcile_seconds=60, **more)
    broker = Hasty(bench.clock, bench.broker.can | Can.CASH)
    broker.holds_fills = True
    return Bench(bench.journal, broker, reconcile_seconds=60, **more), broker


@pytest.mark.parametrize("is_told", [True, False])
def test_a_fill_while_the_broker_is_asked_is_no_difference(is_told: bool) -> None:
    bench, broker = hasty()
    bench.up()

    broker.mode = "accept"
    order = bench.submit(quantity=D(10)).order
    broker.hold(order)

    def fills() -> None:
        fill = broker.fill(order, D(10))
        if is_told:
            bench.gateway.report(Executed(fill, bench.now()), "paper")

    broker.fills_now = fills
    pass_time(bench, 200)
    assert broker.fills_now is None
    assert cash(bench) == {"USD": D(-1)}
    assert alarms(bench) == []


def test_an_account_that_trades_just_then_is_begun_by_the_next_look() -> None:
    bench, broker = hasty()
    broker.mode = "mute"
    strange = Execution(
        execution_id="S1", venue="paper", account="ACC", symbol="IBM", side=Side.BUY, quantity=D(2), price=D(3),
        time=bench.now(), broker_order_id="elsewhere",
    )  # fmt: skip
    broker.fills_now = lambda: broker.fills.append(strange)
    bench.up()
    assert OURS not in bench.gateway.state.cash, "its cash has a fill that was not known"
    assert bench.gateway.state.cash["paper", "OTHER"] == {"USD": D(1000)}
    pass_time(bench, 130)
    assert cash(bench) == {"USD": D(994)}
    assert alarms(bench) == []


def test_a_fill_of_long_ago_is_looked_for_before_a_gap_is_told() -> None:
    bench = desk()
    bench.submit()
    pass_time(bench, 130)
    old = bench.broker.fills[0]
    there = replace(old, execution_id="O1", quantity=D(1), symbol="AAPL", order_id="", broker_order_id="elsewhere")
    back = replace(there, execution_id="O2", side=Side.SELL, price=D(101))
    bench.broker.fills[:0] = [there, back]
    pass_time(bench, 65)
    assert {"O1", "O2"} <= set(bench.gateway.state.executions_today())
    assert cash(bench) == {"USD": D(1000) - 10001 - 101 + 100}
    pass_time(bench, 65)
    assert shown(bench) == []


def test_rounded_reports_are_no_difference_and_do_not_pile_up() -> None:
    bench = desk()
    bench.broker.mode = "accept"
    exact = ChosenBroker.balances

    async def rounded(account: str) -> AccountReport:
        report = await exact(bench.broker, account)
        cents = tuple(Balance(each.currency, *[each.total.quantize(D("0.01"))] * 2) for each in report.balances)
        return replace(report, balances=cents)

    bench.broker.balances = rounded  # type: ignore[method-assign]
    for _ in range(30):
        order = bench.submit(quantity=D(1)).order
        fill = replace(bench.broker.fill(order, D(1)), commission=D("0.0349"))
        bench.broker.fills[-1] = fill
        bench.gateway.report(Executed(fill, bench.now()), "paper")
        bench.turn()
        pass_time(bench, 61)
    assert shown(bench) == []


@pytest.mark.parametrize("figure", ["NaN", "Infinity"])
def test_what_is_no_amount_is_not_compared_and_stops_nothing(figure: str) -> None:
    bench = desk()
    bench.broker.money["USD"] = D(figure)
    pass_time(bench, 130)
    assert bench.gateway.intake.status["paper"] is VenueStatus.UP
    assert shown(bench) == []
    assert cash(bench) == {"USD": D(1000)}


def test_balances_that_cannot_be_had_are_a_reconciliation_that_failed() -> None:
    bench = desk()

    async def down(account: str) -> AccountReport:
        raise Refused(Reason.VENUE_DOWN, "Ask later.")

    kept, bench.broker.balances = bench.broker.balances, down  # type: ignore[method-assign]
    pass_time(bench, 61)
    assert [each[0] for each in shown(bench)] == ["reconciliation"]
    bench.broker.stopService()
    bench.up()
    assert bench.submit().order.filled_quantity == 100, "that nobody can say what the cash is stops no trading"
    assert [each[0] for each in shown(bench)] == ["reconciliation"]
    bench.broker.balances = kept  # type: ignore[method-assign]
    pass_time(bench, 5)
    assert shown(bench) == []


def test_a_link_that_breaks_under_the_question_leaves_all_as_it_was() -> None:
    bench = desk()
    bench.broker.answer_when = Deferred()
    bench.broker.money["USD"] += 5
    pass_time(bench, 61)
    bench.broker.stopService()
    bench.broker.answer_when = None
    bench.turn()
    assert shown(bench) == []
    bench.up()
    pass_time(bench, 3)
    assert len(shown(bench)) == 1


# ---------------------------------------------------------------- rounding

AMOUNTS = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=6)


@given(AMOUNTS, st.sampled_from(["0.01", "0.0001", "0.00000001"]))
def test_a_rounded_amount_adds_up(amount: D, place: str) -> None:
    assert adds_up(amount, amount.quantize(D(place), ROUND_HALF_EVEN))


@given(AMOUNTS, st.decimals("0.02", 1000, places=2))
def test_two_cents_do_not(amount: D, more: D) -> None:
    assert not adds_up(amount, amount + more)
    assert not adds_up(amount, amount - more)


def test_small_amounts_of_dear_currencies_count() -> None:
    assert not adds_up(D("0.50000000"), D("0.50000002"))
    assert adds_up(D("0.500000004"), D("0.50000000"))
    assert adds_up(D("1000.004"), D(1000))
    assert adds_up(D(10) ** 12, D(10) ** 12)


FILLS = st.lists(
    st.tuples(
        st.sampled_from(list(Side)), st.integers(1, 500), st.decimals("0.01", 900, places=2),
        st.decimals(0, 9, places=4), st.sampled_from(["USD", "EUR"]), st.sampled_from(["ACC", "OTHER"]),
    ),
    max_size=20,
)  # fmt: skip


@given(FILLS)
def test_cash_is_what_it_was_and_the_sum_of_all_executions(fills: list[Any]) -> None:
    bench = desk()
    bench.broker.mode = "accept"
    wanted = {account: {"USD": D(1000), "EUR": D(0)} for account in ("ACC", "OTHER")}
    for number, (side, quantity, price, commission, currency, account) in enumerate(fills):
        fill = Execution(
            execution_id=f"H{number}", venue="paper", account=account, symbol="IBM", side=side, quantity=D(quantity),
            price=price, commission=commission, currency=currency, time=bench.now(), broker_order_id=f"E{number}",
        )  # fmt: skip
        bench.broker.fills.append(fill)
        for _ in range(1 + number % 2):
            bench.gateway.report(Executed(fill, bench.now()), "paper")
        bench.turn()
        spent = quantity * price if side is Side.BUY else -quantity * price
        wanted[account][currency] -= spent + commission
    ours = {account: {"EUR": D(0), **bench.gateway.state.cash["paper", account]} for account in wanted}
    assert ours == wanted
    pass_time(bench, 65)
    assert shown(bench) == []
