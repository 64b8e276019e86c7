"""What a client asks: parameters, keys, signatures, and the errors that Binance answers with. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.orders import Account, Refused

CLIENT_ID = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
LATEST, WIDEST = 5000, 60000
"""The recvWindow when none is given, and the largest, in milliseconds."""


class Wrong(Exception):
    """An error of Binance: a code and its message, with the HTTP status."""

    def __init__(self, code: int, text: str, status: int = 400, **more: Any) -> None:
        super().__init__(text)
        self.code, self.text, self.status = code, text, status
        self.body = {"code": code, "msg": text} | more


def missing(name: str) -> Wrong:
    """-1102."""
    return Wrong(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


class Asked(dict[str, str]):
    """The parameters of a request, query and body together."""

    def word(self, name: str) -> str:
        """One that must be there."""
        if not self.get(name):
            raise missing(name)
        return self[name]

    def whole(self, name: str, otherwise: int | None = None) -> int | None:
        """A whole number, if it is there."""
        value = self.get(name, "")
        if not value:
            return otherwise
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise Wrong(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        return int(value)

    def amount(self, name: str) -> Decimal | None:
        """A decimal number, if it is there."""
        value = self.get(name, "")
        if not value:
            return None
        if not re.fullmatch(r"\d{1,20}(\.\d{1,20})?", value):
            legal = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
            raise Wrong(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
        return Decimal(value)

    def truth(self, name: str) -> bool:
        """true or false; false when it is not there."""
        return self.get(name, "false").lower() == "true"

    def names(self, name: str = "symbols") -> list[str] | None:
        """A JSON list of names, if it is there."""
        if not self.get(name):
            return None
        try:
            return [str(each) for each in json.loads(self[name])]
        except (ValueError, TypeError):
            raise Wrong(-1100, f"Illegal characters found in parameter '{name}'.") from None

    def client_id(self, name: str) -> str:
        """A client order id, checked; "" when there is none."""
        value = self.get(name, "")
        if value and not CLIENT_ID.match(value):
            raise Wrong(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{CLIENT_ID.pattern}'.")
        return value


def limit_of(asked: Asked, usual: int, most: int) -> int:
    """How many are asked for."""
    limit = asked.whole("limit", usual)
    if limit is None or limit < 1:
        raise Wrong(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, most)


def asked(query: str, body: str) -> Asked:
    """The parameters of a query string and a form."""
    return Asked(parse_qsl(query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True))


def unsigned(text: str) -> str:
    """Without its signature."""
    return "&".join(each for each in text.split("&") if each and not each.startswith("signature="))


def sign(secret: str, payload: str) -> str:
    """What the signature must be."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def check_key(account: Account | None, key: str | None) -> Account:
    """Whose key it is."""
    if not key:
        raise Wrong(-2014, "API-key format invalid.", 401)
    if account is None:
        raise Wrong(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    return account


def check_signed(params: Asked, payload: str, secret: str, now: int) -> None:
    """The timestamp is of now, and the signature is right; or Wrong."""
    stamp, window = params.whole("timestamp"), params.whole("recvWindow", LATEST)
    if stamp is None:
        raise missing("timestamp")
    if not params.get("signature"):
        raise missing("signature")
    if window is None or not 0 <= window <= WIDEST:
        raise Wrong(-1131, "recvWindow must be less than 60000.")
    if stamp >= now + 1000:
        raise Wrong(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now - stamp > window:
        raise Wrong(-1021, "Timestamp for this request is outside of the recvWindow.")
    if not hmac.compare_digest(sign(secret, payload), params["signature"]):
        raise Wrong(-1022, "Signature for this request is not valid.")


SPOT_REFUSALS = {
    "tick": (-1013, "Filter failure: PRICE_FILTER"),
    "step": (-1013, "Filter failure: LOT_SIZE"),
    "least": (-1013, "Filter failure: LOT_SIZE"),
    "most": (-1013, "Filter failure: LOT_SIZE"),
    "value": (-1013, "Filter failure: NOTIONAL"),
    "side": (-1117, "Invalid side."),
    "kind": (-1116, "Invalid orderType."),
    "tif": (-1115, "Invalid timeInForce."),
    "balance": (-2010, "Account has insufficient balance for requested action."),
    "duplicate": (-2010, "Duplicate order sent."),
    "post_only": (-2010, "Order would immediately match and take."),
    "triggers": (-2010, "Order would trigger immediately."),
    "fault": (-2010, "This action is disabled on this account."),
}
FUTURES_REFUSALS = {
    "tick": (-4014, "Price not increased by tick size."),
    "step": (-1111, "Precision is over the maximum defined for this asset."),
    "least": (-4003, "Quantity less than or equal to zero."),
    "most": (-4005, "Quantity greater than max quantity."),
    "value": (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
    "side": (-1117, "Invalid side."),
    "kind": (-1116, "Invalid orderType."),
    "tif": (-1115, "Invalid timeInForce."),
    "margin": (-2019, "Margin is insufficient."),
    "duplicate": (-4116, "ClientOrderId is duplicated."),
    "post_only": (-5022, "Due to the order could not be executed as maker, the Post Only order will be rejected."),
    "triggers": (-2021, "Order would immediately trigger."),
    "reduce_only": (-2022, "ReduceOnly Order is rejected."),
    "position_side": (-4061, "Order's position side does not match user's setting."),
    "leverage": (-4028, "Leverage is not valid"),
    "unchanged": (-5027, "No need to modify the order."),
    "quantity": (-2011, "Unknown order sent."),
    "position_open": (-4068, "Position side cannot be changed if there exists position."),
    "order_open": (-4067, "Position side cannot be changed if there exists open orders."),
    "fault": (-2010, "Order is rejected."),
}
LATE = (-2011, "Unknown order sent.")
NO_ORDER = (-2013, "Order does not exist.")


def refusal(refused: Refused, instrument: Instrument) -> Wrong:
    """What Binance calls it."""
    known = FUTURES_REFUSALS if instrument.perp else SPOT_REFUSALS
    if refused.why == "missing":
        return missing(refused.text)
    if refused.why in ("over", "no_order"):
        return Wrong(*LATE)
    return Wrong(*known.get(refused.why, (-1013, refused.text)))
