"""The names and words that alerts are written in, and what each stands for: the conventions seen in the wild."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from txgateway.model.order import OrderType, Side
from txgateway.model.signal import Act, Measure
from txgateway.signals import BadSignal, number, shown
from txgateway.signals.tradingview.bodies import Document

NAMES = {
    "symbol": "ticker symbol instrument tv_instrument market",
    "side": "action side order_action direction order",
    "quantity": "quantity qty contracts order_contracts size amount volume",
    "quantity_type": "quantity_type qty_type size_type amount_type",
    "target": "position_size target target_position",
    "market_position": "market_position",
    "market_position_size": "market_position_size",
    "price": "price order_price",
    "limit_price": "limit limit_price",
    "stop_price": "stop stop_price",
    "order_type": "order_type type",
    "time_in_force": "time_in_force tif",
    "take_profit": "take_profit tp",
    "stop_loss": "stop_loss sl",
    "trailing_stop": "trailing_stop trail",
    "reduce_only": "reduce_only",
    "secret": "passphrase secret key token apikey auth_key signal_token password",
    "time": "timenow timestamp alert_timestamp time",
    "max_lag": "max_lag",
    "id": "id alert_id nonce alert_timestamp",
    "strategy": "strategy_id strategy strategy_name",
    "strategy_name": "strategy_name",
    "client_order_id": "client_order_id",
    "reference": "order_id",
}
"""Field of shapes.FIELDS -> the names it is sent under, the surest first; capitals, `_`, `-` and `.` do not matter."""
NESTED = frozenset("strategy order data signal alert trade params payload".split())  # noqa: SIM905
"""Objects whose members count as the body's own; others (`bar`) are not looked into."""
LOOSE = frozenset({"market", "volume"})
"""Names that often mean something else: they count only where no surer one is there."""
CANDLE = frozenset({"open", "high", "low", "close", "bar"})
"""Beside any of these `volume` is the bar's."""


def plain(name: str) -> str:
    """A name without what does not matter."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


_SENT_AS: dict[str, list[str]] = {of: [plain(name) for name in names.split()] for of, names in NAMES.items()}
_KNOWN = frozenset(name for names in _SENT_AS.values() for name in names)


@dataclass(frozen=True, slots=True)
class Said:
    """A value with the name it came under."""

    name: str
    value: Any

    @property
    def word(self) -> str:
        """The value as a word of a table."""
        return plain(self.value) if isinstance(self.value, str) else ""


class Fields:
    """What a document says, by the names of shapes.FIELDS. What is null or empty is not said."""

    def __init__(self, document: Document) -> None:
        self.where = document.where
        self._said: dict[str, list[Said]] = {}
        if document.read:
            for name, value in document.value.items():
                self._add(name, Said(name, value))
        else:
            self._by_convention(document.value)

    def all(self, field: str) -> list[Said]:
        """Every value of a field, the surest name first."""
        return self._said.get(field, [])

    def one(self, field: str) -> Said | None:
        """The value of a field; BadSignal where the body says two."""
        said = self.all(field)
        for other in said[1:]:
            if _same(said[0].value, other.value):
                continue
            a, b = said[0], other
            raise BadSignal(
                f"{self.where}{a.name} says {shown(a.value)}, {b.name} says {shown(b.value)}: send one of them, "
                "or give the source a mapping."
            )
        return said[0] if said else None

    def first(self, field: str) -> Said | None:
        """The value under the surest of a field's names."""
        return next(iter(self.all(field)), None)

    def number(self, field: str) -> Decimal | None:
        """A number; BadSignal."""
        said = self.one(field)
        return None if said is None else number(_stripped(said.value), f"{self.where}{said.name}")

    def text(self, field: str, most: int = 200) -> str:
        """Text, or a number as it is written; empty where nothing is said; BadSignal."""
        said = self.first(field)
        if said is None:
            return ""
        text = str(said.value).strip() if isinstance(said.value, str | int | float) else ""
        if not text or len(text) > most or not text.isprintable() or isinstance(said.value, bool):
            raise BadSignal(f"{self.where}{said.name} {shown(said.value)} is no text of 1 to {most} characters.")
        return text

    def used(self) -> Iterator[Said]:
        """Everything that is looked at."""
        for said in self._said.values():
            yield from said

    def _by_convention(self, value: Mapping[str, Any]) -> None:
        spoken: dict[str, list[tuple[bool, Said]]] = {}
        for name, inner, said in _members(value):
            spoken.setdefault(name, []).append((inner, said))
        if CANDLE & spoken.keys():
            spoken.pop("volume", None)
        for field, names in _SENT_AS.items():
            for name in names:
                if field == "strategy" and name == "strategyname" and self.all("strategy"):
                    continue
                for inner, said in spoken.get(name, ()):
                    outside = not inner or field != "id" or name != "id"
                    if outside and not (name in LOOSE and self.all(field)):
                        self._add(field, said)

    def _add(self, field: str, said: Said) -> None:
        if said.value is not None and not (isinstance(said.value, str) and not said.value.strip()):
            self._said.setdefault(field, []).append(said)


def _members(value: Mapping[str, Any], inner: str = "", depth: int = 0) -> Iterator[tuple[str, bool, Said]]:
    """plain name, whether it stands inside `strategy` or `order`, and what is said; wrappers are no inside."""
    for written, each in value.items():
        name = plain(written)
        if isinstance(each, dict) and name in NESTED and depth < 3:
            within = inner or (written if name in ("strategy", "order") else "")
            yield from _members(each, within, depth + 1)
            continue
        if inner and plain(inner) == "strategy" and name in ("id", "name"):
            name = f"strategy{name}"
        elif name.startswith("strategy") and name not in _KNOWN and name.removeprefix("strategy") in _KNOWN:
            name = name.removeprefix("strategy")
        yield name, bool(inner), Said(f"{inner}.{written}" if inner else written, each)


def _same(one: Any, other: Any) -> bool:
    a, b = str(one).strip().lower(), str(other).strip().lower()
    if a == b:
        return True
    try:
        return number(one, "") == number(other, "")
    except BadSignal:
        return False


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


# ---------------------------------------------------------------- the words


def _table(*rows: tuple[str, Any]) -> dict[str, Any]:
    return {plain(word): meaning for words, meaning in rows for word in words.split()}


ENTER = (None, None)
SIDES: dict[str, tuple[Act | None, Side | None]] = _table(
    ("buy long enter_long entry_long long_entry open_long buy_to_open", (Act.ORDER, Side.BUY)),
    ("sell short enter_short entry_short short_entry open_short sell_short sell_to_open", (Act.ORDER, Side.SELL)),
    ("exit_long close_long long_exit sell_to_close", (Act.CLOSE, Side.SELL)),
    ("exit_short close_short short_exit buy_to_close buy_to_cover", (Act.CLOSE, Side.BUY)),
    ("close exit flat flatten close_all close_position", (Act.CLOSE, None)),
    ("enter entry open", ENTER),
    ("cancel cancel_all cancel_orders", (Act.CANCEL, None)),
)
"""What a side's word asks for: a CLOSE with a side ends only a position that this side closes."""
WHOLE = frozenset(plain(word) for word in ("flat", "flatten", "close_all", "close_position"))
"""Words that end the whole position, whatever quantity stands beside them."""
HOLDINGS = {"long": 1, "short": -1, "flat": 0}
TYPES: dict[str, OrderType] = _table(
    ("market mkt", OrderType.MARKET),
    ("limit lmt", OrderType.LIMIT),
    ("stop stop_market stp", OrderType.STOP),
    ("stop_limit stp_lmt", OrderType.STOP_LIMIT),
)
MEASURES: dict[str, Measure] = _table(
    ("units contracts shares quantity fixed fixed_quantity", Measure.UNITS),
    ("money cash usd usdt dollar dollars dollar_amount notional fixed_cash", Measure.MONEY),
    ("percent percentage equity percent_of_equity equity_percent", Measure.PERCENT),
)
YES, NO = frozenset({"true", "yes", "1", "on"}), frozenset({"false", "no", "0", "off"})
