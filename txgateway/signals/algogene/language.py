"""Reading a call: who sent it, and which instructions it is."""

from __future__ import annotations

from decimal import Decimal

from txgateway.model.exits import Level
from txgateway.model.order import OrderType, Side, TimeInForce
from txgateway.model.signal import Act, Amount, Answer, Instruction, Source
from txgateway.signals import BadSignal, Message, Post, Refusal, WrongSecret, same, shown
from txgateway.signals.algogene import answers, sessions
from txgateway.signals.algogene.fields import Fields

TRADING = frozenset({"open_order", "close_orders", "cancel_orders", "update_opened_order", "update_pending_order"})
"""The calls that ask for something; all others ask about something."""
FREE = frozenset({"session", "history_price", "list_instrument", "realtime_price"})
"""The calls that need no session."""
RUNMODES = ("livetest", "livetrade")
"""Both are taken: which account is traded, and with which money, is the source's."""
INVALID_SESSION = "Invalid session! Call session for a new token: each lasts an hour."
"""algogene.com's own words, which scripts look for, come first."""
_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL, "1": Side.BUY, "-1": Side.SELL}
_TYPES = {"MKT": OrderType.MARKET, "LMT": OrderType.LIMIT, "STOP": OrderType.STOP}


def opening_key(trade_id: str) -> str:
    """The key of the signal that opened a trade."""
    return f"open:{trade_id}"


class Algogene:
    """ALGOGENE's `Language`. A post's `call` is the call with the trades that it is for: `close_orders 192,193`.

    For open_order that is the new trade's id, which must be there; for others, those of its tradeIDs that there are.
    """

    outcome = True
    window = 0.0
    """A script sends the very same order again and again, and means it, unless its source says otherwise.

    Only an open_order is ever taken for one that came before: a close or change that comes twice is harmless, and may
    be meant anew.
    """

    def verify(self, source: Source, post: Post) -> None:
        """User and API key; and the session's token, where the call is about the account."""
        call = post.call.partition(" ")[0]
        try:
            fields = Fields.of(post)
            user, key = fields.text("user", ""), fields.text("api_key", "")
            token = fields.text("token", "")
        except BadSignal:
            raise WrongSecret("Invalid user or api_key!") from None
        if not same(key, source.secret) or not same(user, source.user or source.name):
            raise WrongSecret("Invalid user or api_key!")
        if call not in FREE and not sessions.is_valid(source, token, post.time):
            raise WrongSecret(INVALID_SESSION)

    def session(self, source: Source, post: Post) -> Answer:
        """A new session."""
        until = post.time + sessions.LASTS
        return answers.session(sessions.token_of(source, until), until)

    def read(self, source: Source, post: Post) -> Message:
        """The instructions of a call."""
        call, _, trade_id = post.call.partition(" ")
        fields = Fields.of(post)
        fields.check_names()
        runmode = fields.text("runmode", RUNMODES[0])
        if runmode.lower() not in RUNMODES:
            raise BadSignal(f"runmode {shown(runmode)} is neither {' nor '.join(RUNMODES)}.")
        if call == "open_order":
            return _open(fields, trade_id)
        if call in ("close_orders", "cancel_orders"):
            act = Act.CLOSE if call == "close_orders" else Act.CANCEL
            trades = tuple(trade_id.split(",")) if trade_id else _named(fields, call)
            instructions = tuple(_of(act, each) for each in trades)
            return Message(instructions=instructions, mark="", about=f"{call} {','.join(trades)}")
        if call in ("update_opened_order", "update_pending_order"):
            return _update(fields, call)
        raise BadSignal(f"{shown(call)} is no call that asks for anything.")

    def accepted(self, signal_id: str, message: Message, post: Post) -> Answer:
        """The call's own answer."""
        call, _, trade_id = post.call.partition(" ")
        named = [each.strategy for each in message.instructions]
        if call == "open_order":
            return answers.opened(trade_id, post.time)
        if call in ("close_orders", "cancel_orders"):
            fields, what = Fields.of(post), call.removesuffix("_orders")
            left = [each for each in fields.trades() if each not in named] if fields.has("tradeIDs") else []
            rest = f" There is nothing to {what} of {', '.join(left)}." if left else ""
            return answers.submitted(f"Submitted {what} order request for", named, rest)
        pending = "pending " if call == "update_pending_order" else ""
        return answers.updated(f"Submitted for {pending}order update!")

    def refused(self, refusal: Refusal, status: int) -> Answer:
        """HTTP 400 with the sentence in `res`."""
        return answers.refusal(refusal.text)


def _named(fields: Fields, call: str) -> tuple[str, ...]:
    """What a close or cancel names, where there is no such trade."""
    if call == "close_orders" and not fields.has("tradeIDs"):
        if fields.has("orderRef"):
            raise BadSignal(f"No open trade has the orderRef {shown(fields.text('orderRef'))}.")
        raise BadSignal("tradeIDs is missing, and so is an orderRef.")
    return fields.trades()


def _of(act: Act, trade_id: str) -> Instruction:
    return Instruction(act=act, strategy=trade_id, strategy_name=f"trade {trade_id}")


def _open(fields: Fields, trade_id: str) -> Message:
    openclose = fields.text("openclose", "open")
    if openclose.strip().lower() != "open":
        raise BadSignal(f"openclose {shown(openclose)}: open_order only opens; close_orders ends trades by tradeIDs.")
    order_type = _TYPES.get(fields.text("ordertype").upper())
    side = _SIDES.get(fields.text("buysell").upper())
    if order_type is None:
        raise BadSignal(f"ordertype {shown(fields.text('ordertype'))} is none of {', '.join(_TYPES)}.")
    if side is None:
        raise BadSignal(f"buysell {shown(fields.text('buysell'))} is neither BUY nor SELL.")
    instrument, volume = fields.text("instrument").strip(), fields.needed("volume")
    if not instrument:
        raise BadSignal("instrument is missing.")
    price = None if order_type is OrderType.MARKET else fields.needed("price")
    right = fields.text("right", "").upper()
    if right not in ("", "C", "P"):
        raise BadSignal(f"right {shown(right)} is neither C (a call) nor P (a put).")
    symbol = answers.named(instrument, fields.text("expiry", ""), right, fields.above_zero("strike"))
    good = fields.whole("timeinforce") or None
    instruction = Instruction(
        act=Act.OPEN,
        symbol=symbol,
        side=side,
        amount=Amount(volume),
        order_type=order_type,
        limit_price=price if order_type is OrderType.LIMIT else None,
        stop_price=price if order_type is OrderType.STOP else None,
        time_in_force=None if order_type is OrderType.MARKET else TimeInForce.GTC,
        take_profit=_level(fields.above_zero("takeProfitLevel")),
        stop_loss=_level(fields.above_zero("stopLossLevel")),
        hold_seconds=fields.whole("holdtime") or None,
        good_seconds=None if order_type is OrderType.MARKET else good,
        strategy=trade_id,
        strategy_name=f"trade {trade_id}",
        reference=fields.text("orderRef", ""),
    )
    return Message(
        instructions=(instruction,),
        key=opening_key(trade_id),
        mark=fields.mark("open_order"),
        about=f"open_order {trade_id}",
    )


def _level(price: Decimal | None) -> Level | None:
    return None if price is None else Level(price)


def _update(fields: Fields, call: str) -> Message:
    """A change of a trade; what is given as zero is taken away."""
    trade_id = fields.trade()
    profit, loss = fields.number("takeProfitLevel"), fields.number("stopLossLevel")
    pending = call == "update_pending_order"
    price = fields.needed("price") if pending and fields.has("price") else None
    good = fields.whole("timeinforce")
    instruction = Instruction(
        act=Act.AMEND,
        limit_price=price,
        take_profit=None if profit is None else Level(profit),
        stop_loss=None if loss is None else Level(loss),
        hold_seconds=fields.whole("holdtime"),
        good_seconds=good if pending else None,
        strategy=trade_id,
        strategy_name=f"trade {trade_id}",
        reference=fields.text("orderRef", ""),
    )
    told = (price, profit, loss, instruction.hold_seconds, instruction.good_seconds, instruction.reference or None)
    if all(each is None for each in told) and not fields.has("callback"):
        names = "price, timeinforce, " if pending else ""
        raise BadSignal(f"Nothing is to be changed: give {names}takeProfitLevel, stopLossLevel, holdtime or orderRef.")
    return Message(instructions=(instruction,), mark="", about=f"{call} {trade_id}")
