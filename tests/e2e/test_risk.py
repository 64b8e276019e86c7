"""The limits on the real daemon: set, met, told, shown; and what a kill -9 leaves of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.daemon import Daemon, until
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream

TERMS = {"account": "API_ACCOUNT", "route": "DEMO", "symbol": "IBM"}
ACCOUNTS = "API_ACCOUNT,SECOND"


@pytest.fixture(scope="module")
def daemon(make_daemon: MakeDaemon) -> Daemon:
    return make_daemon(PAPER_ACCOUNTS=ACCOUNTS).start().up()


def order(daemon: Daemon, method: str = "market_order", **terms: Any) -> Any:
    return daemon.call(method, **{**TERMS, "quantity": 1, **terms})


@contextmanager
def limited(daemon: Daemon, scope: str, limit: str, value: Any, warn: Any = None) -> Iterator[None]:
    """With a limit for as long as it takes."""
    more = {} if warn is None else {"warn": warn}
    daemon.call("set_risk", scope=scope, limit=limit, value=value, **more)
    try:
        yield
    finally:
        daemon.call("set_risk", scope=scope, limit=limit)


def price(daemon: Daemon, symbol: str = "IBM") -> float:
    found: float = daemon.call("query_symbol", symbol=symbol)["last"]
    return found


def cancel_all(daemon: Daemon) -> None:
    daemon.call("global_cancel")
    until(lambda: not daemon.call("query_open_orders"), daemon)


# ---------------------------------------------------------------- each limit


def test_a_symbol_on_the_restricted_list_is_not_traded(daemon: Daemon) -> None:
    with limited(daemon, "gateway", "restricted", ["IBM", "TSLA"]):
        refused = order(daemon)
        assert (refused["status"], refused["reason"], refused["order_status"]) == ("Error", "RESTRICTED", "DENIED")
        assert order(daemon, symbol="MSFT")["status"] == "Filled"
    assert order(daemon)["status"] == "Filled"


def test_the_very_same_order_without_a_key_is_not_sent_twice(daemon: Daemon) -> None:
    with limited(daemon, "account:SECOND", "duplicate_window", 3600):
        terms = {"account": "SECOND", "quantity": 7}
        assert order(daemon, **terms)["status"] == "Filled"
        assert order(daemon, **terms)["reason"] == "DUPLICATE"
        assert order(daemon, **terms, client_order_id="mine-1")["status"] == "Filled"
        assert order(daemon, **terms, client_order_id="mine-2")["status"] == "Filled"
        daemon.kill()
        daemon.start().up()
        assert order(daemon, **terms)["reason"] == "DUPLICATE", "also after kill -9"
    assert order(daemon, account="SECOND", quantity=7)["status"] == "Filled"


def test_too_many_orders_in_one_second_are_refused_and_cancels_are_not(daemon: Daemon) -> None:
    waiting = order(daemon, "limit_order", limit_price=1)
    with limited(daemon, "owner:txtrader_user", "order_rate", 0):
        assert order(daemon)["reason"] == "ORDER_RATE"
        assert daemon.call("replace_order", id=waiting["permid"], quantity=2)["reason"] == "ORDER_RATE"
        assert daemon.call("cancel_order", id=waiting["permid"])["status"] == "Cancelled"


def test_more_units_than_one_order_may_have(daemon: Daemon) -> None:
    with limited(daemon, "symbol:ibm", "max_quantity", 10):
        refused = order(daemon, quantity=11)
        assert refused["reason"] == "MAX_QUANTITY"
        assert "above 10 (max_quantity of symbol:IBM)" in refused["errorMsg"]
        assert order(daemon, quantity=-10)["status"] == "Filled"
        assert order(daemon, quantity=11, symbol="TSLA")["order_status"] in {"FILLED", "PARTIALLY_FILLED"}


def test_a_last_quote_that_is_too_old_is_no_price(daemon: Daemon) -> None:
    with limited(daemon, "account:API_ACCOUNT", "reference_age", "0.000001"):
        assert order(daemon)["reason"] == "STALE_PRICE"
        assert order(daemon, account="SECOND")["status"] == "Filled"


def test_a_price_too_far_on_the_bad_side_of_the_market(daemon: Daemon) -> None:
    last = price(daemon)
    assert order(daemon, "limit_order", limit_price=round(last * 1.2, 2))["reason"] == "PRICE_COLLAR"
    assert order(daemon, "limit_order", limit_price=round(last * 0.8, 2), quantity=-1)["reason"] == "PRICE_COLLAR"
    low = order(daemon, "limit_order", limit_price=round(last * 0.5, 2))
    assert low["order_status"] == "NEW", "the good side is anybody's own affair"
    refused = daemon.call("replace_order", id=low["permid"], limit_price=round(last * 1.2, 2))
    assert (refused["status"], refused["reason"]) == ("Error", "PRICE_COLLAR")
    stop = {"stop_price": 9000, "limit_price": 9000 * 1.2}
    assert order(daemon, "stoplimit_order", **stop)["reason"] == "PRICE_COLLAR"
    with limited(daemon, "gateway", "price_collar", "0.000000001"), limited(daemon, "gateway", "max_notional", "off"):
        assert order(daemon, "stop_order", stop_price=9000)["order_status"] == "NEW"
    cancel_all(daemon)


def test_more_money_than_one_order_may_come_to(daemon: Daemon) -> None:
    with limited(daemon, "account:API_ACCOUNT", "max_notional", 1000):
        assert order(daemon, quantity=100)["reason"] == "MAX_NOTIONAL"
        assert order(daemon, "limit_order", limit_price=1, quantity=1000)["order_status"] == "NEW"
        assert order(daemon, "limit_order", limit_price=1, quantity=1001)["reason"] == "MAX_NOTIONAL"
    cancel_all(daemon)


def test_a_position_that_would_become_too_large_with_all_that_works(daemon: Daemon) -> None:
    terms = {"account": "SECOND", "symbol": "MSFT"}
    with limited(daemon, "account:SECOND", "max_position", 50):
        assert order(daemon, "limit_order", limit_price=1, quantity=50, **terms)["order_status"] == "NEW"
        assert order(daemon, quantity=1, **terms)["reason"] == "MAX_POSITION"
        cancel_all(daemon)
        assert order(daemon, quantity=50, **terms)["status"] == "Filled"
        assert order(daemon, quantity=1, **terms)["reason"] == "MAX_POSITION"
        with limited(daemon, "account:SECOND", "max_position", 1):
            assert order(daemon, quantity=-20, **terms)["status"] == "Filled", "what reduces always passes"
        daemon.call("set_risk", scope="account:SECOND", limit="max_position", value=50)
        assert order(daemon, quantity=-81, **terms)["reason"] == "MAX_POSITION"


def test_all_positions_together_would_become_too_large(daemon: Daemon) -> None:
    use = daemon.call("query_risk", scope="account:API_ACCOUNT")["use"][0]
    with limited(daemon, "account:API_ACCOUNT", "max_gross_exposure", use["exposure"] + 500):
        waiting = {"limit_price": 1, "symbol": "GE"}
        assert order(daemon, "limit_order", quantity=1, **waiting)["order_status"] == "NEW"
        assert order(daemon, "limit_order", quantity=10, **waiting)["reason"] == "MAX_GROSS_EXPOSURE"
    cancel_all(daemon)


def test_too_much_was_lost_today_only_what_reduces_is_taken(daemon: Daemon) -> None:
    def lost() -> bool:
        """Buying and selling costs the spread, whatever the market does meanwhile."""
        order(daemon, symbol="BA", quantity=50)
        order(daemon, symbol="BA", quantity=-50)
        loss: float = daemon.call("query_risk", scope="symbol:BA")["use"][0]["profit_and_loss"]
        return loss < -2

    order(daemon, symbol="BA")
    until(lost, daemon)
    with limited(daemon, "symbol:BA", "max_daily_loss", 1):
        refused = order(daemon, symbol="BA")
        assert refused["reason"] == "MAX_DAILY_LOSS"
        assert "only orders that reduce" in refused["errorMsg"]
        assert order(daemon, symbol="BA", quantity=-2)["reason"] == "MAX_DAILY_LOSS"
        assert order(daemon, symbol="BA", quantity=-1)["status"] == "Filled"
        assert order(daemon)["status"] == "Filled", "of another symbol"


def test_a_large_order_becomes_a_ticket_that_a_person_approves(daemon: Daemon) -> None:
    with limited(daemon, "gateway", "approval_notional", 5000):
        assert order(daemon)["status"] == "Filled"
        ticket = order(daemon, quantity=60, client_order_id="large-1")
        assert (ticket["class"], ticket["order_status"]) == ("ticket", "STAGED")
        assert ticket["permid"] in daemon.call("query_tickets")
        again = order(daemon, quantity=60, client_order_id="large-1")
        assert (again["replayed"], again["permid"]) == (True, ticket["permid"])
        assert daemon.call("approve_ticket", id=ticket["permid"])["order_status"] in {"FILLED", "PARTIALLY_FILLED"}


def test_an_owner_that_has_used_up_its_executions_is_halted_until_a_person_resumes(daemon: Daemon) -> None:
    with limited(daemon, "gateway", "execution_budget", "2/3600"):
        orders = [order(daemon) for _ in range(3)]
        until(lambda: daemon.call("query_halts"), daemon)
        assert orders[0]["status"] == "Filled"
        assert order(daemon)["reason"] == "HALTED"
        (halt,) = daemon.call("query_halts")
        assert (halt["scope"], halt["by"]) == ("owner:txtrader_user", "gateway")
        assert "2 executions within 3600 s are the execution_budget of gateway" in halt["text"]
    daemon.kill()
    daemon.start().up()
    assert order(daemon)["reason"] == "HALTED"
    daemon.call("resume", scope="owner:txtrader_user")
    assert order(daemon)["status"] == "Filled"


# ---------------------------------------------------------------- told and kept


def test_above_a_warn_level_an_order_goes_through_and_all_who_listen_are_told(daemon: Daemon) -> None:
    stream = Stream(daemon, {"status-data": 1})
    stream.expect(".Authorized")
    with limited(daemon, "account:API_ACCOUNT", "max_quantity", 100, 5):
        changed = stream.data("paper.status-data ", event="LimitChanged")
        assert (changed["scope"], changed["limit"], changed["value"], changed["warn"]) == (
            "account:API_ACCOUNT", "max_quantity", "100", "5")  # fmt: skip
        filled = order(daemon, quantity=6)
        assert filled["status"] == "Filled"
        told = stream.data("paper.status-data ", event="RiskWarned")
        assert (told["order_id"], told["reason"]) == (filled["permid"], "MAX_QUANTITY")
        assert stream.expect(f"paper.error: {filled['permid']} MAX_QUANTITY ").endswith("is above the warn level 5.")
    story = daemon.call("explain_order", id=filled["permid"])["story"]
    assert "RiskWarned" in [each["kind"] for each in story]
    stream.close()
    again = Stream(daemon, {"status-data": 1, "order-data": 1, "resume": story[0]["seq"] - 1})
    assert again.data("paper.status-data ", event="RiskWarned")["seq"] == told["seq"]
    seqs = [each["seq"] for each in story if each["kind"] != "RiskWarned"]
    assert again.data("paper.order-data ", order_status="FILLED")["seq"] == seqs[-1]
    again.close()


def test_a_change_that_is_refused_is_in_the_orders_story(daemon: Daemon) -> None:
    waiting = order(daemon, "limit_order", limit_price=1)
    with limited(daemon, "gateway", "max_quantity", 5):
        assert daemon.call("replace_order", id=waiting["permid"], quantity=6)["reason"] == "MAX_QUANTITY"
    story = daemon.call("explain_order", id=waiting["permid"])["story"]
    assert story[-1]["kind"] == "ChangeDenied"
    assert story[-1]["text"].startswith("txtrader_user asked for a replace, refused here (MAX_QUANTITY): Quantity 6")
    assert daemon.call("query_order", id=waiting["permid"]) == waiting
    cancel_all(daemon)


def test_limits_outlive_kill_minus_9_and_a_clean_stop(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(RISK="max_quantity=20:10,account:API_ACCOUNT/restricted=TSLA").start().up()

    def shown() -> dict[str, tuple[str, Any, str]]:
        limits = daemon.call("query_risk")["limits"]
        return {f"{each['scope']} {each['limit']}": (each["value"], each["warn"], each["source"]) for each in limits}

    assert shown() == {
        "gateway max_quantity": ("20", "10", "configuration"),
        "gateway reference_age": ("900", None, "default"),
        "gateway price_collar": ("0.1", None, "default"),
        "gateway max_notional": ("100000000", None, "default"),
        "account:API_ACCOUNT restricted": ("TSLA", None, "configuration"),
        "owner:* order_rate": ("5000", None, "default"),
    }
    daemon.call("set_risk", scope="gateway", limit="max_quantity", value=5)
    daemon.call("set_risk", scope="gateway", limit="price_collar", value="off")
    waiting = order(daemon, "limit_order", limit_price=1, quantity=5)
    before, use = shown(), daemon.call("query_risk")["use"]
    assert before["gateway max_quantity"][2].startswith("set by txtrader_user at ")
    held = {"quantity": 0, "buys": 5, "sells": 0}
    assert [each["scope"] for each in use] == ["gateway", "account:API_ACCOUNT", "owner:txtrader_user"]
    assert all(each["holdings"] == {"API_ACCOUNT IBM": held} for each in use)
    for end in (daemon.kill, daemon.stop):
        end()
        daemon.start().up()
        assert shown() == before
        assert daemon.call("query_risk", scope="gateway")["use"][0]["holdings"] == {"API_ACCOUNT IBM": held}
        assert order(daemon, quantity=6)["reason"] == "MAX_QUANTITY"
        assert order(daemon, symbol="TSLA")["reason"] == "RESTRICTED"
    daemon.call("cancel_order", id=waiting["permid"])
    assert all(each["holdings"] == {} for each in daemon.call("query_risk", scope="gateway")["use"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"scope": "nowhere", "limit": "max_quantity", "value": 1}, "is none of gateway, venue:NAME"),
        ({"scope": "account:NOBODY", "limit": "max_quantity", "value": 1}, "account 'NOBODY' is unknown"),
        ({"scope": "venue:nowhere", "limit": "max_quantity", "value": 1}, "venue 'nowhere' is unknown"),
        ({"scope": "symbol:IBM@paper", "limit": "max_quantity", "value": 1}, "write symbol:IBM"),
        ({"scope": "gateway", "limit": "max_quantitty", "value": 1}, "is none of restricted, session_only"),
        ({"scope": "gateway", "limit": "max_quantity", "value": "NaN"}, "must be a number from 0 up"),
        ({"scope": "gateway", "limit": "max_quantity", "value": -5}, "must be a number from 0 up"),
        ({"scope": "gateway", "limit": "max_quantity", "value": 5, "warn": 6}, "must be at most its value 5"),
        ({"scope": "gateway", "limit": "max_quantity", "warn": 6}, "needs a value beside it"),
        ({"scope": "gateway", "limit": "restricted", "value": "I\nBM\u0007"}, "must be printable"),
        ({"scope": "gateway", "limit": "restricted", "value": "X" * 20_000}, "10000 characters at most"),
        ({"scope": "gateway"}, "needs the argument 'limit'"),
    ],
)
def test_what_is_no_limit_is_told_in_a_sentence(daemon: Daemon, arguments: dict[str, Any], says: str) -> None:
    before = daemon.call("query_risk")["limits"]
    answer = daemon.session.post(f"{daemon.url}/set_risk", json=arguments, timeout=60)
    assert answer.status_code == 400
    assert says in answer.json()["errorMsg"]
    assert daemon.call("query_risk")["limits"] == before


def test_no_limit_keeps_a_flatten_from_closing_a_position(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon().start().up()
    assert order(daemon, quantity=30)["status"] == "Filled"
    for limit, value in (
        ("restricted", "IBM"),
        ("order_rate", 0),
        ("max_quantity", 1),
        ("max_notional", 1),
        ("max_position", 0),
        ("max_daily_loss", 0),
        ("approval_notional", 1),
        ("execution_budget", "1/3600"),
        ("reference_age", "0.000001"),
    ):
        daemon.call("set_risk", scope="gateway", limit=limit, value=value)
    daemon.call("flatten", scope="account:API_ACCOUNT", reason="enough")
    until(lambda: daemon.call("query_flattens") == [], daemon)
    assert daemon.call("query_positions")["API_ACCOUNT"] == {}
    assert [halt["scope"] for halt in daemon.call("query_halts")] == ["account:API_ACCOUNT"], (
        "no owner ran out of budget"
    )
