"""WOO's error codes: {"success": false, "code": …, "message": …}, mostly with HTTP 400."""

from __future__ import annotations

from tests.emulators.crypto.orders import Refused


class Fault(Exception):
    """An error that a client is told."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


CODES = {
    "symbol": (317156, "unsupported symbol"),
    "side": (-1005, "side is in wrong format"),
    "kind": (-1005, "type is in wrong format"),
    "tif": (-1005, "type is in wrong format"),
    "tick": (-1103, "The order price is not following the tick size rule for the symbol."),
    "step": (-1104, "The order quantity is not following the step size rule for the symbol."),
    "least": (302115, "Order quantity too small"),
    "most": (302172, "The max order size is exceeded."),
    "value": (-1102, "The order value (price * size) is too small."),
    "missing": (-1005, "A parameter is missing."),
    "balance": (302154, "Insufficient balance."),
    "margin": (302170, "Collateral is not sufficient to cover initial margin requirements under Spot & Futures."),
    "duplicate": (302117, "The client_order_id is repeated."),
    "reduce_only": (302138, "Insufficient position for reduce only order."),
    "position_side": (302186, "The position side you've used is not compatible with your current position mode."),
    "no_order": (317184, "The order cannot be found, or it is already completed."),
    "post_only": (-1012, "The place/cancel order request is rejected by internal module."),
    "triggers": (317150, "trigger price must be greater than the market price"),
    "order_open": (302126, "Attempt failed. Please close your futures positions, cancel open orders and try again."),
    "over": (317161, "The order is completed"),
    "unchanged": (302130, "The order didn't update."),
    "quantity": (317170, "The order quantity must bigger than the executed quantity."),
    "leverage": (302306, "Invalid leverage, please provide positive integer leverage"),
    "position_open": (
        302126,
        "Attempt failed. Please close your futures positions, cancel open orders and try again.",
    ),
    "no_market": (317168, "Order failed due to internal service error. Please contact customer service."),
    "fault": (317168, "Order failed due to internal service error. Please contact customer service."),
}
"""Why the book refuses something, and how WOO says so."""
LIMITED = Fault(-1003, "Rate limit exceed.", 429)


def fault_of(refused: Refused) -> Fault:
    """A refusal in WOO's words."""
    code, text = CODES.get(refused.why, (-1000, "An unknown error occurred while processing the request"))
    return Fault(code, text)
