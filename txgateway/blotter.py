"""What a script that trades through ALGOGENE's calls is shown: its trades, its account, its market."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from twisted.internet.defer import Deferred

from txgateway import bars as bar_ranges
from txgateway.brokers import Broker
from txgateway.carrier import Carrier
from txgateway.feed import Feed
from txgateway.gateway import Gateway
from txgateway.keys import signal_key
from txgateway.model.errors import Reason, Refused
from txgateway.model.events import SignalEnded, VenueStatus
from txgateway.model.exits import ExitPlan, Leg, Level, Unit
from txgateway.model.instrument import AssetClass
from txgateway.model.market import Bar, Period
from txgateway.model.market import Unit as Span
from txgateway.model.order import Order, Side
from txgateway.model.signal import Act, Answer, Instruction, Source, SourceKind, StrategyPosition
from txgateway.signals import BadSignal, shown
from txgateway.signals.algogene import Fields, Price, Trade, answers, opening_key
from txgateway.state import Change

ZERO = Decimal(0)
CATCH_UP_SECONDS = 2.0
"""How long an answer about trades waits for what the script has just asked for to have been sent."""
MOST_BARS = 1000
MOST_SYMBOLS = 100
INTERVALS = {
    "M": 1,
    "M2": 2,
    "M5": 5,
    "M10": 10,
    "M15": 15,
    "M30": 30,
    "H": 60,
    "H2": 120,
    "H3": 180,
    "H4": 240,
    "H6": 360,
    "H12": 720,
}
"""ALGOGENE's words for periods, in minutes; D is a day."""


class Blotter:
    """Answers ALGOGENE's calls that only ask; and knows which trades there are, for those that do more."""

    def __init__(
        self,
        gateway: Gateway,
        feed: Feed,
        brokers: Mapping[str, Broker],
        carrier: Carrier,
        find: Callable[[str, str], Awaitable[str | None]],
        reactor: Any,
        clock: Callable[[], datetime],
        zone: Any,
    ) -> None:
        self._gateway = gateway
        self._strategies = gateway.state.strategies
        self._feed = feed
        self._brokers = brokers
        self._carrier = carrier
        self._find = find
        self._reactor = reactor
        self._clock = clock
        self._zone = zone
        self._last = 0
        self._waiting: list[tuple[str, Deferred[None]]] = []

    def start(self) -> None:
        """Begin listening to the desk; know the tradeIDs that were given before."""
        self._gateway.listeners.append(self._heard)
        mine = [each for each in self._strategies.signals.values() if each.kind is SourceKind.ALGOGENE]
        names = [instruction.strategy for each in mine for instruction in each.instructions]
        self._last = max((int(each) for each in names if each.isdecimal() and len(each) <= 18), default=0)

    # trades by their ids

    async def new_trade(self, source: Source) -> str:
        """A tradeID that was never given: the clock's milliseconds, and never below the last."""
        while True:
            self._last = max(self._last + 1, int(self._clock().timestamp() * 1000))
            trade_id = str(self._last)
            if await self._find("signal", signal_key(source.name, opening_key(trade_id))) is None:
                return trade_id

    def meant(self, source: Source, call: str, fields: Fields) -> tuple[str, ...]:
        """The trades there are of those that a close or cancel names, by their ids or by their orderRef."""
        there = self._open(source) if call == "close_orders" else self._pending(source)
        try:
            if fields.has("tradeIDs"):
                return tuple(each for each in fields.trades() if each in there)
            if call == "close_orders" and fields.has("orderRef"):
                reference = fields.text("orderRef")
                return tuple(each for each in there if there[each] == reference)
        except BadSignal:
            return ()  # as it will be said, on record, when the call is read
        return ()

    def _open(self, source: Source) -> dict[str, str]:
        """tradeID -> reference, of what is open, waits at the venue or is on its way there, and is not being closed."""
        standing = self._carrier.standing
        known = [*self._positions(source), *self._coming(source)]
        return {
            each.strategy: each.reference
            for each in known
            if standing.intended(standing.at(each.account, each.symbol, each.source, each.strategy))
        }

    def _pending(self, source: Source) -> dict[str, str]:
        waiting = [each for each in self._positions(source) if each.entry in each.working]
        return {each.strategy: each.reference for each in [*waiting, *self._coming(source)]}

    def _coming(self, source: Source) -> list[StrategyPosition]:
        """What was taken in and is not at the venue yet."""
        return [
            StrategyPosition(
                source=source.name,
                strategy=each.strategy,
                account=plan.account,
                symbol=plan.symbol,
                reference=each.reference,
            )
            for signal in self._strategies.pending.values()
            if signal.source == source.name
            for each, plan in zip(signal.instructions, signal.plans, strict=False)
            if each.act is Act.OPEN
        ]

    def _positions(self, source: Source, trade_id: str = "") -> list[StrategyPosition]:
        """The positions and orders of a source's trades, the oldest first."""
        held = [
            each
            for by_name in self._strategies.positions.values()
            for (name, strategy), each in by_name.items()
            if name == source.name and strategy.isdecimal() and trade_id in ("", strategy)
        ]
        return sorted(held, key=lambda each: int(each.strategy))

    # answers about trades

    async def trades(self, source: Source, call: str, fields: Fields) -> Answer:
        """Open trades, pending ones, or both of one."""
        wanted = fields.trade() if fields.has("tradeID") else ""
        await self._caught_up(source)
        await self._gateway.settled()
        opened: list[Trade] = []
        pending: list[Trade] = []
        for position in self._positions(source, wanted):
            held = self._carrier.standing.held(position)
            entry = await self._entry(position)
            if held and entry is not None:
                opened.append(await self._trade(source, position, entry, held))
            if entry is not None and position.entry in position.working:
                pending.append(await self._waiting_trade(source, position, entry))
        if call == "query_order" and wanted:
            return answers.one_trade(wanted, opened, pending)
        return answers.pending_trades(pending) if call == "pending_trades" else answers.opened_trades(opened)

    async def _entry(self, position: StrategyPosition) -> Order | None:
        try:
            return await self._gateway.history.get(position.entry)
        except Refused:
            return None

    async def _trade(self, source: Source, position: StrategyPosition, entry: Order, held: Decimal) -> Trade:
        asset_class, multiplier = await self._kind(entry)
        mark, _ = self._feed.shown(entry.venue, entry.symbol)
        worth = mark.price if mark is not None else position.average_price
        plan = self._exits(entry)
        return Trade(
            trade_id=position.strategy,
            instrument=self._instrument(source, entry),
            symbol=entry.symbol,
            side=Side.BUY if held > 0 else Side.SELL,
            volume=abs(held),
            price=position.average_price,
            time=position.opened or entry.updated,
            broker=entry.venue,
            asset_class=asset_class,
            reference=position.reference,
            take_profit=self._price(entry, plan.take_profit, Leg.TAKE_PROFIT),
            stop_loss=self._price(entry, plan.stop_loss, Leg.STOP_LOSS),
            hold_seconds=plan.hold_seconds or 0,
            profit=(worth - position.average_price) * held * multiplier,
        )

    async def _waiting_trade(self, source: Source, position: StrategyPosition, order: Order) -> Trade:
        asset_class, _ = await self._kind(order)
        price = order.limit_price if order.limit_price is not None else order.stop_price
        lasts = order.good_till - order.created if order.good_till is not None else timedelta(0)
        plan = self._exits(order)
        return Trade(
            trade_id=position.strategy,
            instrument=self._instrument(source, order),
            symbol=order.symbol,
            side=order.side,
            volume=order.leaves_quantity,
            price=price or ZERO,
            time=order.created,
            broker=order.venue,
            asset_class=asset_class,
            reference=position.reference or self._reference(order),
            take_profit=self._price(order, plan.take_profit, Leg.TAKE_PROFIT),
            stop_loss=self._price(order, plan.stop_loss, Leg.STOP_LOSS),
            hold_seconds=plan.hold_seconds or 0,
            good_seconds=round(lasts.total_seconds()),
        )

    async def _kind(self, order: Order) -> tuple[AssetClass, Decimal]:
        instrument = await self._feed.instrument(order.venue, order.symbol)
        return (AssetClass.STOCK, Decimal(1)) if instrument is None else (instrument.asset_class, instrument.multiplier)

    def _exits(self, entry: Order) -> ExitPlan:
        """What is attached to an entry still."""
        family = self._gateway.state.families.find(entry.order_id)
        plan = entry.exits if family is None else None if family.ended else family.plan
        return plan or ExitPlan()

    def _price(self, entry: Order, level: Level | None, leg: Leg) -> Decimal:
        """A level as a price: the one that a person set, where one did."""
        family = self._gateway.state.families.find(entry.order_id)
        if family is not None and leg in family.by_hand:
            return family.prices.get(leg, ZERO)
        return level.value if level is not None and level.unit is Unit.PRICE else ZERO

    def _opening(self, order: Order) -> Instruction | None:
        signal = self._strategies.signals.get(order.signal)
        found = signal.instructions if signal is not None else ()
        return next((each for each in found if each.strategy == order.strategy), None)

    def _reference(self, order: Order) -> str:
        opening = self._opening(order)
        return opening.reference if opening is not None else ""

    def _instrument(self, source: Source, order: Order) -> str:
        """As the script called it, as long as that is remembered."""
        opening = self._opening(order)
        return opening.symbol if opening is not None else _theirs(source, order.symbol)

    # what was just asked for

    async def _caught_up(self, source: Source) -> None:
        """Wait until what was taken in has been sent and answered, or a moment: a script asks at once how it went."""
        venue = self._gateway.venue_of(source.account)
        if (
            venue is None
            or self._gateway.intake.status[venue] is not VenueStatus.UP
            or not self._is_behind(source.name)
        ):
            return
        done: Deferred[None] = Deferred()
        self._waiting.append((source.name, done))
        late = self._reactor.callLater(CATCH_UP_SECONDS, _fire, done)
        await done
        if late.active():
            late.cancel()

    def _is_behind(self, source: str) -> bool:
        return any(each.source == source for each in self._strategies.pending.values())

    def _heard(self, change: Change) -> None:
        if self._waiting and isinstance(change.record.event, SignalEnded):
            ready = [done for name, done in self._waiting if done.called or not self._is_behind(name)]
            self._waiting = [(name, done) for name, done in self._waiting if done not in ready]
            for done in ready:
                _fire(done)

    # the account

    async def accounts(self, sources: Sequence[Source], runmode: str) -> Answer:
        """The accounts of one user's sources."""
        rows = []
        for account, trades in {each.account: not each.shadow for each in sources}.items():
            report = await self._brokers[self._venue(account)].balances(account)
            rows.append((account, runmode, report, trades))
        return answers.accounts(rows, self._clock())

    async def balance(self, source: Source) -> Answer:
        """What the account is worth."""
        report = await self._brokers[self._venue(source.account)].balances(source.account)
        currency = report.values.get("currency") or next((each.currency for each in report.balances), "USD")
        return answers.balance(report, str(currency), self._clock())

    async def positions(self, source: Source) -> Answer:
        """What the account holds, by whoever's orders."""
        await self._gateway.settled()
        last: dict[str, datetime] = {}
        for each in self._strategies.positions.items():
            (account, symbol), held = each
            times = [position.opened for position in held.values() if position.opened is not None]
            if account == source.account and times:
                last[symbol] = max(times)
        rows = []
        for symbol, position in sorted(self._gateway.state.positions.get(source.account, {}).items()):
            mark, trade = self._feed.shown(position.venue, symbol)
            price = mark.price if mark is not None else trade.price if trade is not None else position.average_price
            multiplier = mark.multiplier if mark is not None else Decimal(1)
            worth = position.quantity * price * multiplier
            rows.append((_theirs(source, symbol), position.quantity, worth, last.get(symbol)))
        return answers.positions(rows)

    def _venue(self, account: str) -> str:
        venue = self._gateway.venue_of(account)
        if venue is None:
            raise Refused(Reason.UNKNOWN_ACCOUNT, f"Account {account!r} is unknown: change the source.")
        return venue

    # the market

    async def prices(self, source: Source, fields: Fields) -> Answer:
        """The last quotes of some symbols."""
        names = [each.strip() for each in fields.text("symbols").split(",") if each.strip()]
        if not 0 < len(names) <= MOST_SYMBOLS:
            raise BadSignal(f"symbols names {len(names)} instruments: give 1 to {MOST_SYMBOLS} of them.")
        found = []
        for name in dict.fromkeys(names):
            symbol = await self._symbol(source, name)
            _, quote = await self._feed.market(self._venue(source.account), symbol)
            if quote is None:
                raise Refused(Reason.NO_PRICE, f"The market has shown no price of {name} yet: ask again later.")
            found.append(Price(name, quote))
        return answers.prices(found)

    async def instruments(self, source: Source) -> Answer:
        """All that the account's venue can list, by the script's names, and what the source maps."""
        known = await self._brokers[self._venue(source.account)].instruments()
        return answers.instruments([*source.symbols, *(_theirs(source, each.symbol) for each in known)])

    async def history(self, source: Source, fields: Fields) -> Answer:
        """Bars that ended before a time, the last so many."""
        name = answers.named(
            fields.text("instrument").strip(),
            fields.text("expiry", ""),
            fields.text("right", "").upper(),
            fields.above_zero("strike"),
        )
        interval, count = fields.text("interval").upper(), fields.whole("count")
        if interval != "D" and interval not in INTERVALS:
            raise BadSignal(f"interval {shown(interval)} is not one of {', '.join(INTERVALS)} and D.")
        if count is None or not 0 < count <= MOST_BARS:
            count = 1 if count is None else count
            if not 0 < count <= MOST_BARS:
                raise BadSignal(f"count {count} must be from 1 to {MOST_BARS}.")
        period = Period(1, Span.DAY) if interval == "D" else Period(INTERVALS[interval], Span.MINUTE)
        venue = self._venue(source.account)
        end = _time(fields.text("timestamp")) if fields.has("timestamp") else self._brokers[venue].now()
        symbol = await self._symbol(source, name)
        found = await self._bars(venue, symbol, period, min(end, self._brokers[venue].now()), count)
        return answers.history(name, symbol, found, period)

    async def _bars(self, venue: str, symbol: str, period: Period, end: datetime, count: int) -> list[Bar]:
        """The last so many that are over, and whose time lies before `end`."""
        kept: list[Bar] = []
        days = period.unit is Span.DAY
        instrument = await self._feed.instrument(venue, symbol)
        zone = bar_ranges.zone_of_days(period, self._zone, instrument.session if instrument is not None else None)
        today = _midnight(self._brokers[venue].now().astimezone(zone))
        wanted = bar_ranges.Range(end - bar_ranges.span(period, count), end, count)
        for start in bar_ranges.starts(wanted, period):
            found = await self._feed.bars(self._feed.name_of(venue, symbol), period, start, end + timedelta(days=days))
            shown = [
                replace(each, time=_midnight(each.time.astimezone(zone))) if days else each for each in found or ()
            ]
            kept = [each for each in shown if answers.ended(each, period) < end and (not days or each.time < today)]
            if len(kept) >= count:
                break
        return kept[-count:]

    async def _symbol(self, source: Source, written: str) -> str:
        _, symbol = await self._carrier.grounds.named(source, Instruction(act=Act.ORDER, symbol=written))
        return symbol


def _theirs(source: Source, symbol: str) -> str:
    """What a source calls a venue's symbol."""
    return next((name for name, mapped in source.symbols.items() if mapped == symbol), symbol)


def _midnight(local: datetime) -> datetime:
    """A day by its date, as a time of UTC."""
    return datetime(local.year, local.month, local.day, tzinfo=UTC)


def _time(text: str) -> datetime:
    """`YYYY-MM-DD[ HH:MM:SS[.ffffff]]`, UTC."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadSignal(f"timestamp {shown(text)} is no time: write YYYY-MM-DD HH:MM:SS.") from None
    if found.year < 1970:
        raise BadSignal(f"timestamp {shown(text)} is too long ago.")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _fire(waiting: Deferred[None]) -> None:
    if not waiting.called:
        waiting.callback(None)
