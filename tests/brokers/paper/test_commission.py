"""What an order costs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txgateway.brokers.paper.commission import Commission
from txgateway.model.instrument import AssetClass

PLAIN = Commission()


@pytest.mark.parametrize(
    ("quantity", "price", "cost"),
    [
        (100, "180", "1.00"),  # the minimum
        (1000, "180", "5.00"),  # half a cent a share
        (10, "2", "0.20"),  # one per cent of the value wins over the minimum
        (1_000_000, "0.10", "1000.00"),  # one per cent at most
        (0, "180", "0"),
    ],
)
def test_a_stock_order_costs(quantity: int, price: str, cost: str) -> None:
    assert PLAIN.total(AssetClass.STOCK, Decimal(quantity), quantity * Decimal(price)) == Decimal(cost)


def test_crypto_and_currencies_cost_by_value() -> None:
    assert PLAIN.total(AssetClass.CRYPTO, Decimal("0.5"), Decimal(30_000)) == Decimal("54.00")
    assert PLAIN.total(AssetClass.FOREX, Decimal(1_000_000), Decimal(1_080_000)) == Decimal("21.60")


def test_no_maximum_and_no_cost() -> None:
    free = Commission(per_share=Decimal(0), minimum=Decimal(0))
    assert free.total(AssetClass.STOCK, Decimal(100), Decimal(18_000)) == 0
    dear = Commission(per_share=Decimal(5), maximum=Decimal(0))
    assert dear.total(AssetClass.STOCK, Decimal(100), Decimal(100)) == 500


@given(
    st.lists(st.tuples(st.integers(1, 5000), st.decimals("0.01", "900", places=2)), min_size=1, max_size=8),
    st.sampled_from([AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX]),
)
def test_the_number_of_fills_makes_no_difference(fills: list[tuple[int, Decimal]], kind: AssetClass) -> None:
    quantity = value = charged = Decimal(0)
    for size, price in fills:
        before = PLAIN.total(kind, quantity, value)
        quantity, value = quantity + size, value + size * price
        cost = PLAIN.total(kind, quantity, value) - before
        assert cost >= 0
        charged += cost
    assert charged == PLAIN.total(kind, quantity, value)
