"""Rate limits: what was used of each, ours and by the exchange's count, and when the next request may go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from txgateway.brokers.ccxt.limits import LONGEST_BAN, MARGIN, Counts, Pool, Pools, Request, request

WEIGHT = Pool("weight", 100, 60.0, Counts.WEIGHT, "x-used")
ORDERS = Pool("orders", 10, 10.0, Counts.ORDERS, "x-orders")
EACH = Pool("each", 5, 1.0, Counts.SYMBOL_ORDERS)
NOW = 1_000_020.0
"""At the beginning of a minute, and of ten seconds."""
ORDER = Request(1.0, True, is_order=True, symbol="BTC")


def test_a_request_draws_on_all_its_pools() -> None:
    pools = Pools([WEIGHT, ORDERS])
    pools.charge(ORDER, NOW)
    pools.charge(Request(20.0), NOW)
    assert [(each.name, each.limit, each.remaining) for each in pools.shown(NOW)] == [
        ("weight", 100, 79),
        ("orders", 10, 9),
    ]


def test_the_first_pool_that_is_full_holds_it_back() -> None:
    pools = Pools([WEIGHT, ORDERS])
    for _ in range(9):
        assert pools.wait(ORDER, NOW) == 0
        pools.charge(ORDER, NOW)
    assert 9 < pools.wait(ORDER, NOW) <= 10.2, "the margin is not for orders"
    assert pools.wait(Request(1.0), NOW) == 0
    assert pools.wait(ORDER, NOW + 10.2) == 0


def test_the_margin_and_more_is_for_cancels() -> None:
    pools = Pools([WEIGHT])
    pools.charge(Request(100.0), NOW)
    assert pools.wait(Request(1.0), NOW) > 0
    assert pools.wait(Request(1.0, True, is_cancel=True), NOW) == 0


def test_in_a_short_window_a_request_counts_from_when_it_is_over() -> None:
    pools = Pools([EACH, ORDERS])
    for _ in range(4):
        pools.charge(ORDER, NOW)
    assert pools.wait(ORDER, NOW + 1.05) == 0
    for _ in range(4):
        pools.ended(ORDER, NOW, NOW + 0.4)
    assert pools.wait(ORDER, NOW + 0.5) > 0.8, "they may have arrived as late as that"
    assert pools.wait(ORDER, NOW + 1.45) == 0
    pools.ended(ORDER, NOW, NOW + 5)
    assert [each.remaining for each in pools.shown(NOW + 5)] == [4, 6], "the long window counts each once"


def test_a_share_is_a_share_of_each() -> None:
    pools = Pools([WEIGHT, ORDERS], share=0.5)
    assert [(each.limit, each.remaining) for each in pools.shown(NOW)] == [(50, 50), (5, 5)]
    pools.charge(Request(40.0), NOW)
    assert pools.wait(Request(7.0), NOW) == 0
    assert pools.wait(Request(8.0), NOW) > 0, f"{50 * (1 - MARGIN)} are for questions"


def test_what_is_larger_than_its_pool_goes_alone() -> None:
    pools = Pools([WEIGHT], share=0.1)
    assert pools.wait(Request(50.0), NOW) == 0
    pools.charge(Request(50.0), NOW)
    assert pools.wait(Request(1.0), NOW) > 0


def test_each_symbol_has_its_own() -> None:
    pools = Pools([EACH])
    for _ in range(4):
        pools.charge(ORDER, NOW)
    assert pools.wait(ORDER, NOW) > 0
    assert pools.wait(Request(1.0, True, is_order=True, symbol="ETH"), NOW) == 0
    (shown,) = pools.shown(NOW)
    assert shown.remaining == 1, "the tightest is shown"


def test_the_exchanges_count_holds_where_it_is_higher() -> None:
    pools = Pools([WEIGHT])
    pools.charge(Request(10.0), NOW + 1)
    pools.answered(200, {"X-Used": "97"}, NOW + 2)
    assert pools.shown(NOW + 2)[0].remaining == 3
    assert 57 <= pools.wait(Request(1.0), NOW + 2) <= 59
    pools.charge(Request(2.0), NOW + 5)
    assert pools.shown(NOW + 5)[0].remaining == 1, "what was sent since comes on top"
    assert pools.shown(NOW + 60)[0].remaining == 88, "its minute is over; ours is not"
    assert pools.shown(NOW + 67)[0].remaining == 100


def test_ours_holds_where_it_is_higher() -> None:
    pools = Pools([WEIGHT])
    pools.charge(Request(50.0), NOW + 1)
    pools.answered(200, {"x-used": "3", "x-orders": "junk"}, NOW + 2)
    assert pools.shown(NOW + 2)[0].remaining == 50


@pytest.mark.parametrize(
    ("code", "headers", "seconds"),
    [
        (429, {"Retry-After": "7"}, 7),
        (418, {"retry-after": "120"}, 120),
        (429, {}, 1),
        (418, {"Retry-After": "soon"}, 1),
        (418, {"Retry-After": "9" * 12}, LONGEST_BAN),
    ],
)
def test_after_too_many_nothing_is_sent(code: int, headers: dict[str, str], seconds: float) -> None:
    pools = Pools([WEIGHT])
    pools.answered(code, headers, NOW)
    for each in (Request(1.0), ORDER, Request(1.0, True, is_cancel=True)):
        assert pools.wait(each, NOW) == seconds
    shown = pools.shown(NOW)[0]
    assert (shown.remaining, shown.reset) == (0, datetime.fromtimestamp(NOW + seconds, UTC))
    assert pools.wait(ORDER, NOW + seconds) == 0


def test_a_limit_that_is_whole_has_no_reset() -> None:
    pools = Pools([ORDERS])
    assert pools.shown(NOW)[0].reset is None
    pools.charge(ORDER, NOW)
    reset = pools.shown(NOW)[0].reset
    assert reset is not None
    assert NOW + 10 <= reset.timestamp() <= NOW + 10.2
    assert pools.shown(reset.timestamp())[0].remaining == 10


@pytest.mark.parametrize(
    ("path", "method", "private", "order", "cancel"),
    [
        ("order", "POST", True, True, False),
        ("order", "PUT", True, True, False),
        ("order", "DELETE", True, False, True),
        ("order", "GET", True, False, False),
        ("order/cancelReplace", "POST", True, True, False),
        ("trade/order", "POST", True, True, False),
        ("trade/allOrders", "DELETE", True, False, True),
        ("brokerage/orders", "POST", True, True, False),
        ("brokerage/orders/batch_cancel", "POST", True, False, True),
        ("brokerage/orders/edit", "POST", True, True, False),
        ("algoOrder", "POST", True, True, False),
        ("leverage", "POST", True, False, False),
        ("depth", "GET", False, False, False),
    ],
)
def test_what_a_request_is(path: str, method: str, private: bool, order: bool, cancel: bool) -> None:
    found = request(path, method, private, 2.0, {"symbol": "BTCUSDT"})
    assert (found.is_order, found.is_cancel, found.weight, found.symbol) == (order, cancel, 2.0, "BTCUSDT")


@given(some.lists(some.tuples(some.floats(0, 3), some.integers(1, 30)), max_size=60), some.sampled_from([1.0, 0.5]))
def test_no_window_ever_has_more_than_our_share(steps: list[tuple[float, int]], share: float) -> None:
    """Sent as soon as it may be, nothing goes beyond the share in any window (but what is larger than it)."""
    pools, now, sent = Pools([Pool("w", 60, 10.0, Counts.WEIGHT)], share), NOW, list[tuple[float, int]]()
    for pause, cost in steps:
        now += pause
        asked: Any = Request(float(cost))
        while (wait := pools.wait(asked, now)) > 0:
            now += wait
        pools.charge(asked, now)
        sent.append((now, cost))
    for start, first in sent:
        total = sum(cost for at, cost in sent if start <= at < start + 10.0)
        assert total <= max(60 * share, first), sent
