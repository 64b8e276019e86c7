"""How ids are written where what they stand for is kept: an id is unique in its account, or at its venue."""

from __future__ import annotations


def client_key(account: str, client_order_id: str) -> str:
    """How an idempotency key is written where keys are kept."""
    return f"{account}/{client_order_id}"


def broker_key(venue: str, broker_order_id: str) -> str:
    """How a broker's order id is written where keys are kept."""
    return f"{venue}/{broker_order_id}"


def execution_key(account: str, execution_id: str) -> str:
    """How an execution's id is written where keys are kept."""
    return f"{account}/{execution_id}"


def signal_key(source: str, key: str) -> str:
    """How a signal's key is written where keys are kept."""
    return f"{source}/{key}"
