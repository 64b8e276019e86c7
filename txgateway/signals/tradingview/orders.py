"""What one document of an alert asks for. What changes an order and cannot be understood is refused, never left out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from txgateway.model.exits import RESERVED, Level, Unit
from txgateway.model.order import OrderType, Side, TimeInForce
from txgateway.model.signal import Act, Amount, Instruction, Measure, Semantics, Source
from txgateway.signals import BadSignal, amount_of, number, shown
from txgateway.signals.tradingview.words import (
    ENTER,
    HOLDINGS,
    MEASURES,
    NO,
    SIDES,
    TYPES,
    WHOLE,
    YES,
    Fields,
    Said,
    plain,
)

LEVELS = {
    **dict.fromkeys(("percent", "pct", "percentage"), Unit.PERCENT),
    **dict.fromkeys(("amount", "away", "distance", "offset"), Unit.AWAY),
    **dict.fromkeys(("price", "limitprice", "stopprice", "limit", "stop"), Unit.PRICE),
}
"""How a take profit or a stop loss is given that is an object."""
CLOSES = {"long": Side.SELL, "short": Side.BUY}
"""Beside a word that closes, these name the position."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the words for the side come to, together."""

    act: Act
    side: Side | None = None
    whole: bool = False


def instruction_of(fields: Fields, source: Source) -> Instruction:
    """The instruction; BadSignal."""
    wish, target, amount = _wish(fields), _target(fields), _amount(fields)
    wish = _by_holding(fields, source, wish, target, amount)
    enters = target is not None and _enters(source, wish, target)
    if enters and target is not None and (amount is None or amount.measure is Measure.UNITS):
        amount = Amount(abs(target))
    where = fields.where
    if wish is None and target is None:
        raise BadSignal(f"{where}nothing says what to do: give an action (buy, sell, close) or a position_size.")
    act, side = (Act.TARGET, None) if wish is None else (wish.act, wish.side)
    if target is not None and _is_target(wish, amount, source):
        act, side, amount = Act.TARGET, None, None
    elif wish is not None and wish.whole:
        amount = None
    elif act is Act.CLOSE and amount is not None and amount.measure is Measure.MONEY:
        raise BadSignal(f"{where}a close of {amount} is not understood: give units, 50% of the position, or nothing.")
    if act is not Act.TARGET and not enters:
        target = None
    order_type, limit, stop = _terms(fields) if act is not Act.CANCEL else (None, None, None)
    opens = act in (Act.ORDER, Act.TARGET)
    return Instruction(
        act=act,
        symbol=_symbol(fields, act),
        side=side,
        amount=amount if act in (Act.ORDER, Act.CLOSE) else None,
        target=target,
        order_type=order_type,
        limit_price=limit,
        stop_price=stop,
        time_in_force=_time_in_force(fields),
        take_profit=_level(fields, "take_profit", Unit.PRICE) if opens else None,
        stop_loss=_level(fields, "stop_loss", Unit.PRICE) if opens else None,
        trailing_stop=_level(fields, "trailing_stop", Unit.AWAY) if opens else None,
        strategy=fields.text("strategy"),
        strategy_name=fields.text("strategy_name"),
        reference=_reference(fields),
        client_order_id=_client_order_id(fields),
    )


# ---------------------------------------------------------------- what is wanted


def _wish(fields: Fields) -> _Wish | None:
    said = [each for each in fields.all("side") if not _is_type(each)]
    said += [each for each in fields.all("order_type") if plain(each.name) == "type" and each.word in SIDES]
    if not said:
        return None
    for each in said:
        if each.word not in SIDES:
            raise BadSignal(
                f"{fields.where}{each.name} {shown(each.value)} is no word for a side: write buy, sell, close, long, "
                "short, flat, enter_long, exit_long, enter_short, exit_short or cancel."
            )
    found = _together({each.word for each in said})
    if found is None:
        what = " and ".join(f"{each.name} {shown(each.value)}" for each in said)
        raise BadSignal(f"{fields.where}{what} do not say one thing: say buy, sell or close once.")
    act, side = found
    reduces = act is Act.ORDER and _yes(fields, "reduce_only")
    return _Wish(Act.CLOSE if reduces else act, side, any(each.word in WHOLE for each in said))


def _is_type(said: Said) -> bool:
    """`"order": "limit"` beside an action."""
    return plain(said.name) == "order" and said.word in TYPES


def _together(words: set[str]) -> tuple[Act, Side | None] | None:
    """What words for a side say together, None where that is not one thing.

    Close with long or short ends that position, close with buy or sell one that this order closes.
    """
    meanings = {SIDES[word] for word in words} - {ENTER}
    if any(act is Act.CLOSE for act, _ in meanings):
        closing = {(Act.CLOSE, CLOSES[word] if word in CLOSES else SIDES[word][1]) for word in words}
        odd = {act for act, _ in meanings} - {Act.CLOSE, Act.ORDER} or ENTER in {SIDES[word] for word in words}
        sides = {side for _, side in closing if side is not None}
        return None if odd or len(sides) > 1 else (Act.CLOSE, next(iter(sides), None))
    if len(meanings) != 1:
        return None
    act, side = meanings.pop()
    return None if act is None else (act, side)


def _target(fields: Fields) -> Decimal | None:
    """The signed position that is asked for; None where the body says none."""
    target, size = fields.number("target"), fields.number("market_position_size")
    holding = fields.one("market_position")
    if holding is None:
        if size is not None and target is None:
            raise BadSignal(f"{fields.where}market_position_size needs a market_position: long, short or flat.")
        return target
    if holding.word not in HOLDINGS:
        raise BadSignal(f"{fields.where}{holding.name} {shown(holding.value)} is none of long, short, flat.")
    sign = HOLDINGS[holding.word]
    if target is None:
        target = size
    if target is None:
        return Decimal(0) if not sign else None
    if bool(sign) is not bool(target) or (sign > 0 > target):
        raise BadSignal(f"{fields.where}market_position {holding.word} does not fit a position of {target:f}.")
    return target if target < 0 else sign * target


def _amount(fields: Fields) -> Amount | None:
    said = fields.one("quantity")
    if said is None:
        return None
    amount = amount_of(said.value, f"{fields.where}{said.name}")
    kind = fields.one("quantity_type")
    if kind is None:
        return amount
    measure = MEASURES.get(kind.word)
    if measure is None or amount.measure not in (Measure.UNITS, measure):
        raise BadSignal(
            f"{fields.where}{kind.name} {shown(kind.value)} with {said.name} {shown(said.value)} is not understood: "
            "write units, money or percent_of_equity."
        )
    return Amount(amount.value, measure)


def _by_holding(
    fields: Fields, source: Source, wish: _Wish | None, target: Decimal | None, amount: Amount | None
) -> _Wish | None:
    """What the position adds to the words: flat ends all that is held, and a side against it is an exit in part."""
    if wish is not None and wish.act not in (Act.ORDER, Act.CLOSE):
        return wish
    holding = fields.one("market_position")
    sign = HOLDINGS[holding.word] if holding is not None else 0
    if (holding is not None and not sign) or (wish is not None and target == 0):
        return _Wish(Act.CLOSE, whole=True)
    if target is not None:
        sign = 1 if target > 0 else -1
    if wish is None and target is None and holding is not None:
        if source.semantics is Semantics.TARGET:
            return _Wish(Act.ORDER, Side.BUY if sign > 0 else Side.SELL)
        raise BadSignal(
            f"{fields.where}market_position alone says no order: add market_position_size, or an action and a quantity."
        )
    if wish is None or wish.side is None or amount is None or source.semantics is Semantics.TARGET:
        return wish
    return _Wish(Act.CLOSE, wish.side, wish.whole) if wish.side.sign * sign < 0 else wish


def _enters(source: Source, wish: _Wish | None, target: Decimal) -> bool:
    """Whether this enters the one position that a strategy may have: it is told by its size, and may be a reversal."""
    if source.semantics is not Semantics.ONE_POSITION or wish is None or wish.act is not Act.ORDER:
        return False
    return wish.side is not None and wish.side.sign * target > 0


def _is_target(wish: _Wish | None, amount: Amount | None, source: Source) -> bool:
    """Whether the position that is named stands before the order that is."""
    if wish is None:
        return True
    if wish.act is Act.CLOSE:
        return not wish.whole and amount is None
    return wish.act is Act.ORDER and (amount is None or source.semantics is Semantics.TARGET)


def _symbol(fields: Fields, act: Act) -> str:
    said = fields.all("symbol")
    if not said:
        if act is Act.CANCEL:
            return ""
        raise BadSignal(f'{fields.where}no symbol is named: add "ticker": "{{{{ticker}}}}" to the alert\'s message.')
    for other in said[1:]:
        if str(other.value).rpartition(":")[2].upper() != str(said[0].value).rpartition(":")[2].upper():
            fields.one("symbol")
    return fields.text("symbol", 100)


# ---------------------------------------------------------------- its terms


def _terms(fields: Fields) -> tuple[OrderType | None, Decimal | None, Decimal | None]:
    """Type, limit price, stop price. A price alone is what the chart shows, and makes no limit order."""
    limit, stop = _price(fields, "limit_price"), _price(fields, "stop_price")
    kind = _type(fields)
    if kind is None:
        if limit is not None:
            return OrderType.LIMIT if stop is None else OrderType.STOP_LIMIT, limit, stop
        return (None if stop is None else OrderType.STOP), None, stop
    if kind.has_limit and limit is None:
        limit = _price(fields, "price")
    if kind is OrderType.STOP and stop is None:
        stop = _price(fields, "price")
    for name, price, wanted in (("limit", limit, kind.has_limit), ("stop", stop, kind.has_stop)):
        if wanted and price is None:
            raise BadSignal(f"{fields.where}a {kind} order needs a {name} price.")
        if not wanted and price is not None:
            hint = ' A stop loss is called "stop_loss".' if name == "stop" else ""
            raise BadSignal(f"{fields.where}a {kind} order takes no {name} price: leave {name} out.{hint}")
    return kind, limit, stop


def _type(fields: Fields) -> OrderType | None:
    """The order's type; `type` may say what a side does, and where `order_type` is there anything at all."""
    said = [each for each in fields.all("order_type") if plain(each.name) != "type" or each.word not in SIDES]
    if any(plain(each.name) != "type" for each in said):
        said = [each for each in said if plain(each.name) != "type" or each.word in TYPES]
    said += [each for each in fields.all("side") if _is_type(each)]
    for each in said:
        if each.word not in TYPES:
            raise BadSignal(
                f"{fields.where}{each.name} {shown(each.value)} is no order type: "
                "write market, limit, stop or stop_limit."
            )
        if TYPES[each.word] is not TYPES[said[0].word]:
            raise BadSignal(f"{fields.where}{said[0].name} and {each.name} name two order types: send one of them.")
    return TYPES[said[0].word] if said else None


def _price(fields: Fields, field: str) -> Decimal | None:
    said = fields.first(field) if field == "price" else fields.one(field)
    if said is None:
        return None
    price = number(said.value, f"{fields.where}{said.name}")
    if price <= 0:
        raise BadSignal(f"{fields.where}{said.name} {price:f} must be above zero: leave it out if there is none.")
    return price


def _time_in_force(fields: Fields) -> TimeInForce | None:
    said = fields.one("time_in_force")
    if said is None:
        return None
    found = next((each for each in TimeInForce if plain(each) == said.word), None)
    if found is None:
        raise BadSignal(f"{fields.where}{said.name} {shown(said.value)} is none of {', '.join(TimeInForce)}.")
    return found


def _level(fields: Fields, field: str, unit: Unit) -> Level | None:
    said = fields.one(field)
    if said is None:
        return None
    value: Any = said.value
    if isinstance(value, dict):
        given = {plain(name): each for name, each in value.items() if plain(name) != "type" and each is not None}
        name = next(iter(given), "")
        if len(given) != 1 or name not in LEVELS:
            raise BadSignal(f"{fields.where}{said.name} is not understood: write a price, 2% or 1.5 away.")
        level = Level(number(given[name], f"{fields.where}{said.name}"), LEVELS[name])
    else:
        try:
            level = Level.parse("" if isinstance(value, bool | list) else str(value), unit)
        except ValueError:
            text = f"{fields.where}{said.name} {shown(value)} is not understood: write a price, 2% or 1.5 away."
            raise BadSignal(text) from None
    if not level.sane:
        raise BadSignal(f"{fields.where}{said.name} {level} must be above zero, and a percentage below 100.")
    return level


def _yes(fields: Fields, field: str) -> bool:
    said = fields.one(field)
    word = "" if said is None else plain(str(said.value))
    if said is not None and word not in YES | NO:
        raise BadSignal(f"{fields.where}{said.name} {shown(said.value)} is neither true nor false.")
    return word in YES


def _reference(fields: Fields) -> str:
    said = fields.first("reference") or fields.first("id")
    text = str(said.value).strip() if said is not None and isinstance(said.value, str | int | float) else ""
    return text[:64] if text.isprintable() else ""


def _client_order_id(fields: Fields) -> str:
    text = fields.text("client_order_id", 128)
    if RESERVED.search(text) or text.startswith("sig:"):
        raise BadSignal(f"{fields.where}client_order_id {shown(text)} is like the gateway's own: choose another.")
    return text
