"""A broker for the tiny exchange: an example of how one is written. txgateway/brokers/README.md goes through it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

from txgateway.brokers import Can, Setup
from txgateway.model.account import AccountReport, Balance, Position
from txgateway.model.errors import Ambiguous, GatewayError, Reason, Refused, Unsupported
from txgateway.model.events import (
    CancelRejected,
    Executed,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    VenueError,
    VenueStatus,
    VenueStatusChanged,
)
from txgateway.model.execution import Execution
from txgateway.model.instrument import Instrument
from txgateway.model.market import Bar, Period, Quote
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType, Origin, Side, TimeInForce

log = Logger()

SYMBOL = "ACME"
BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds until the next attempt to connect."""
LONGEST_LINE = 64 * 1024 * 1024
"""All fills come in one line: a million of them fit."""
STATES = {
    "open": OrderStatus.NEW,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
}


# ---------------------------------------------------------------- settings


def port_of(value: Any) -> int:
    """A port, as TOML or the environment gives it."""
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,5}", str(value)) or not 0 < int(value) < 65536:
        raise ValueError("give the port of the exchange, a whole number from 1 to 65535")
    return int(value)


def seconds_of(value: Any) -> float:
    """A time to wait."""
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", str(value)) or not float(value):
        raise ValueError("give seconds, such as 10 or 0.5")
    return float(value)


OPTIONS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "host": (str, "localhost"),
    "port": (port_of, 7070),
    "patience": (seconds_of, 10),
    "silence": (seconds_of, 10),
}
"""Each setting's reader and default. patience: how long an answer may take; silence: after how long a link is dead."""
OF_THE_ENVIRONMENT = {"accounts", "route", "timezone", "client_id"}
"""What a venue without a TOML file is given as well, and this kind does not need."""


def mistakes(options: Mapping[str, Any]) -> dict[str, str]:
    """What to give instead, for each option that cannot be used."""
    wrong = {}
    for name, value in options.items():
        if name in OPTIONS:
            try:
                OPTIONS[name][0](value)
            except ValueError as error:
                wrong[name] = str(error)
        elif name not in OF_THE_ENVIRONMENT:
            wrong[name] = f"there is no such option; those there are: {', '.join(OPTIONS)}"
    return wrong


# ---------------------------------------------------------------- the wire


class Link(LineOnlyReceiver):
    """One connection: questions go out, answers come back by their number, news go to the broker."""

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_LINE

    def __init__(self, broker: TinyBroker) -> None:
        self.broker = broker
        self.waiting: dict[int, Deferred[Any]] = {}
        self.lost: Deferred[str] = Deferred()
        self.heard = broker.seconds()
        self.asked = 0
        self.over = ""
        self.beat = LoopingCall(self.look)
        self.beat.clock = broker.setup.reactor

    def connectionMade(self) -> None:
        self.beat.start(self.broker.silence / 3, now=False)

    def look(self) -> None:
        """A link over which nothing comes is dead, however well it looks: ask for a sign of life, then give it up."""
        if self.broker.seconds() - self.heard > self.broker.silence:
            self.end("nothing came for too long")
        else:
            self.send({"id": 0, "do": "ping"})

    def send(self, message: Mapping[str, Any]) -> None:
        try:
            self.sendLine(json.dumps(message).encode())
        except RuntimeError as error:  # uvloop, where the link was reset a moment ago
            self.end(str(error))

    def lineReceived(self, line: bytes) -> None:
        if self.over:
            return
        self.heard = self.broker.seconds()
        try:
            message = json.loads(line, parse_float=Decimal)
            if "told" in message:
                self.broker.told(message)
            elif message["id"] in self.waiting:
                self.waiting.pop(message["id"]).callback(message)
        except Exception:
            log.failure("The tiny exchange said {line}, which cannot be read.", line=line[:200])
            self.end("what it said could not be read")

    def connectionLost(self, reason: Any = None) -> None:
        self.end(reason.getErrorMessage())

    def end(self, text: str) -> None:
        """Whatever ended it: nobody waits any longer, and nothing of it is told any more."""
        if self.over:
            return
        self.over = text
        if self.beat.running:
            self.beat.stop()
        self.transport.abortConnection()
        waiting, self.waiting = self.waiting, {}
        for answer in waiting.values():
            answer.errback(Ambiguous(f"The link to the tiny exchange broke: {text}."))
        self.lost.callback(text)

    async def ask(self, do: str, **terms: Any) -> Any:
        """An answer's `yes`. No raises what the exchange will not do; Ambiguous: nobody knows."""
        if self.over:
            raise Refused(Reason.VENUE_DOWN, "The tiny exchange is not connected: nothing was done.")
        self.asked += 1
        number, answer = self.asked, Deferred()
        self.waiting[number] = answer
        self.send({"id": number, "do": do, **terms})
        try:
            message = await answer.addTimeout(self.broker.patience, self.broker.setup.reactor)
        except TooLate:
            raise Ambiguous(f"The tiny exchange did not answer {do} in {self.broker.patience:g} s.") from None
        finally:
            self.waiting.pop(number, None)
        if "no" in message:
            raise No(message["no"], message.get("code", ""))
        return message["yes"]


class No(GatewayError):
    """The exchange's no, with its code."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


# ---------------------------------------------------------------- its words as ours


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def order_fields(order: Order) -> dict[str, Any]:
    """An order as the exchange takes it. Our id is its name: so it is known again, whatever happens."""
    limit = None if order.limit_price is None else f"{order.limit_price:f}"
    side = "buy" if order.side is Side.BUY else "sell"
    return {"name": order.order_id, "symbol": order.symbol, "side": side, "size": f"{order.quantity:f}", "limit": limit}


def name_of(order: Order) -> str:
    """What the exchange calls an order: one that we did not send has the name that its sender gave it."""
    return order.client_order_id if order.origin is Origin.EXTERNAL else order.order_id


def report_of(account: str, row: Mapping[str, Any]) -> OrderReport:
    """An order as the exchange has it."""
    filled, limit = Decimal(row["filled"]), amount(row["limit"])
    status = STATES[row["state"]]
    if status is OrderStatus.NEW and filled:
        status = OrderStatus.PARTIALLY_FILLED
    return OrderReport(
        broker_order_id=row["number"],
        order_id=row["name"],
        account=account,
        symbol=row["symbol"],
        side=Side(row["side"].upper()),
        quantity=Decimal(row["size"]),
        order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
        status=status,
        time=time_of(row["at"]),
        time_in_force=TimeInForce.DAY,
        limit_price=limit,
        filled_quantity=filled,
        average_price=Decimal(row["paid"]) / filled if filled else Decimal(0),
    )


def execution_of(venue: str, account: str, fill: Mapping[str, Any]) -> Execution:
    """A fill, by the exchange's own id: told twice it is one."""
    return Execution(
        execution_id=fill["key"],
        venue=venue,
        account=account,
        symbol=fill["symbol"],
        side=Side(fill["side"].upper()),
        quantity=Decimal(fill["size"]),
        price=Decimal(fill["price"]),
        time=time_of(fill["at"]),
        order_id=fill["name"],
        broker_order_id=fill["number"],
    )


# ---------------------------------------------------------------- the broker


class TinyBroker:
    """One account at the tiny exchange."""

    can = Can.MARKET | Can.LIMIT | Can.DAY | Can.QUOTES | Can.CLIENT_ORDER_ID | Can.LOOKUP | Can.EXECUTION_HISTORY

    mistakes = staticmethod(mistakes)

    def __init__(self, setup: Setup) -> None:
        wrong = mistakes(setup.options)
        if wrong:
            raise ValueError("; ".join(f"{name}: {instead}" for name, instead in wrong.items()))
        given = {name: reader(setup.options.get(name, default)) for name, (reader, default) in OPTIONS.items()}
        self.setup = setup
        self.venue = setup.venue
        self.seconds = setup.reactor.seconds
        self.host, self.port = given["host"], given["port"]
        self.patience, self.silence = given["patience"], given["silence"]
        self.life: Deferred[None] | None = None
        self.link: Link | None = None
        self.names: Sequence[str] = ()
        self.heard: set[str] = set()

    # life

    def startService(self) -> None:
        if self.life is None:
            self.say(VenueStatus.CONNECTING, f"connecting to {self.host}:{self.port}")
            self.life = Deferred.fromCoroutine(self.live())
            self.life.addErrback(self.died)

    def stopService(self) -> None:
        life, self.life = self.life, None
        if life is not None:
            life.cancel()
            self.say(VenueStatus.DOWN, "stopped")

    async def live(self) -> None:
        """Connect, log in, wait until the link is lost, begin again: until it is cancelled."""
        tries = 0
        while True:
            link, up = Link(self), False
            try:
                endpoint = HostnameEndpoint(self.setup.reactor, self.host, self.port)
                await connectProtocol(endpoint, link)
                self.names = await link.ask("login")
                self.link, up, tries = link, True, 0
                self.say(VenueStatus.RECONCILING, "ready to be asked")
                text = await link.lost
            except Exception as error:
                if self.life is None:
                    raise
                text = f"{type(error).__name__}: {error}"
            finally:
                self.link = None
                if link.transport is not None:
                    link.end("closed")
            if up:
                self.say(VenueStatus.DOWN, text)
                self.say(VenueStatus.CONNECTING, "connecting again")
            else:
                self.setup.report(VenueError(self.venue, 0, f"the tiny exchange cannot be reached: {text}"))
            await deferLater(self.setup.reactor, BACK_OFF[min(tries, len(BACK_OFF) - 1)])
            tries += 1

    def died(self, failure: Any) -> None:
        if self.life is not None:
            log.failure("The life of {venue} ended unexpectedly.", failure, venue=self.venue)

    def say(self, status: VenueStatus, text: str) -> None:
        self.setup.report(VenueStatusChanged(self.venue, status, text, self.now()))

    def now(self) -> datetime:
        return self.setup.clock()

    def accounts(self) -> Sequence[str]:
        return self.names

    def linked(self) -> Link:
        if self.link is None:
            raise Refused(Reason.VENUE_DOWN, f"Venue {self.venue} is not connected: nothing was done.")
        return self.link

    # what the exchange tells unasked

    def told(self, message: Mapping[str, Any]) -> None:
        report, now = self.setup.report, self.now()
        match message["told"], message.get("state"):
            case "order", "open":
                report(OrderAccepted(message["name"], message["number"], now))
            case "order", "canceled":
                report(OrderCanceled(message["name"], Reason.USER, message["why"], now))
            case "order", "expired":
                report(OrderExpired(message["name"], message["why"], now))
            case "fill", _:
                report(Executed(execution_of(self.venue, self.names[0], message), now))
            case "price", _ if message["symbol"] in self.heard:
                size, time = Decimal(message["size"]), time_of(message["at"])
                report(Quote(message["symbol"], Decimal(message["bid"]), size, Decimal(message["ask"]), size, time))

    # orders

    async def submit(self, order: Order) -> None:
        """Its answer says that it arrived; what becomes of it is told."""
        try:
            await self.linked().ask("order", **order_fields(order))
        except No as no:
            if no.code == "duplicate":
                raise Ambiguous(f"The tiny exchange has this order already: {no}") from None
            raise Refused(Reason.REJECTED, str(no)) from None

    async def cancel(self, order: Order) -> None:
        try:
            await self.linked().ask("cancel", name=name_of(order))
        except No as no:
            self.setup.report(CancelRejected(order.order_id, Reason.TOO_LATE, str(no), self.now()))

    # questions

    async def open_orders(self) -> Sequence[OrderReport]:
        return [report_of(self.names[0], row) for row in await self.linked().ask("orders")]

    async def lookup(self, order: Order) -> OrderReport | None:
        row = await self.linked().ask("order_of", name=name_of(order))
        return None if row is None else report_of(self.names[0], row)

    async def executions(self, since: datetime | None) -> Sequence[Execution]:
        after = None if since is None else since.isoformat(timespec="microseconds")
        fills = await self.linked().ask("fills", after=after)
        return [execution_of(self.venue, self.names[0], fill) for fill in fills]

    async def positions(self) -> Sequence[Position]:
        held = Decimal((await self.linked().ask("account"))["held"])
        return [Position(self.venue, self.names[0], SYMBOL, held)] if held else []

    async def balances(self, account: str) -> AccountReport:
        link = self.linked()
        if account not in self.names:
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"Venue {self.venue} has no account {account}.")
        money = Decimal((await link.ask("account"))["money"])
        return AccountReport(account, money, (Balance("USD", money, money),))

    async def instrument(self, symbol: str) -> Instrument | None:
        self.linked()
        return next((each for each in await self.instruments() if each.symbol == symbol), None)

    async def instruments(self) -> Sequence[Instrument]:
        return [Instrument(symbol=SYMBOL, venue=self.venue, fullname="Acme Corporation")]

    # the market

    def subscribe(self, symbol: str) -> None:
        self.heard.add(symbol)
        self.listen(symbol, True)

    def unsubscribe(self, symbol: str) -> None:
        self.heard.discard(symbol)
        self.listen(symbol, False)

    def listen(self, symbol: str, on: bool) -> None:
        """Nobody waits for this; after a reconnect everything that is listened to is subscribed again."""
        if self.link is not None:
            asked = Deferred.fromCoroutine(self.link.ask("listen", symbol=symbol, on=on))
            asked.addErrback(lambda failure: failure.trap(GatewayError) and None)

    async def bars(self, symbol: str, period: Period, start: datetime, end: datetime) -> Sequence[Bar]:
        raise Unsupported(f"Venue {self.venue} has no bars.")
