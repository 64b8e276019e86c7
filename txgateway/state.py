"""What is true now: the fold of the journal. `apply` is the same live, in replay and on a snapshot's rest. Pure.

Working orders are kept as objects. What closed, and every execution, is kept packed for the venue's trading day (a
hundred thousand orders a day must neither fill the memory nor slow the collector down); the journal has the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from txgateway import codec, today
from txgateway.books import Books, closes_for_all
from txgateway.families import Families
from txgateway.integrations import Integrations
from txgateway.keys import broker_key, client_key, execution_key
from txgateway.life import advance, enriched
from txgateway.model.account import Position
from txgateway.model.book import Book
from txgateway.model.credential import Token
from txgateway.model.difference import Difference, Key, key_of
from txgateway.model.errand import Errand
from txgateway.model.events import (
    ENTRIES,
    NOTES,
    AccountsOpened,
    BalancesReported,
    DifferenceFound,
    DifferenceRaised,
    DifferenceResolved,
    ErrandBegun,
    ErrandEnded,
    Event,
    Executed,
    ExternalOrderFound,
    FlattenEnded,
    FlattenRequested,
    IntegrationChanged,
    LeaseEnded,
    LeaseLost,
    LeaseTaken,
    LimitChanged,
    OrderAmended,
    OrderRestored,
    PositionReported,
    Record,
    SettingChanged,
    SignalAdvanced,
    SignalEnded,
    SignalReceived,
    SignalRefused,
    StrategyAdjusted,
    TokenCreated,
    TokenRevoked,
    TradingDayStarted,
    TradingHalted,
    TradingResumed,
    UserChanged,
    UserRemoved,
)
from txgateway.model.execution import Execution
from txgateway.model.halts import Flatten, Halt
from txgateway.model.integration import Integration
from txgateway.model.lease import Lease
from txgateway.model.order import CLOSED, Order, OrderStatus, Origin
from txgateway.model.scope import GATEWAY, Scope
from txgateway.model.signal import Signal, StrategyPosition
from txgateway.strategies import Strategies
from txgateway.today import Day

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Change:
    """What one record did: the order as it stands after it, and the execution with the order's figures.

    `renamed`: the order got its broker_order_id, or another one, by this record.
    """

    record: Record
    order: Order | None = None
    execution: Execution | None = None
    renamed: bool = False


class State:
    """Orders, executions, positions, books, limits, settings, days: everything a replay of the journal would give."""

    def __init__(self) -> None:
        self.seq = 0
        self.working: dict[str, Order] = {}
        self.tickets: set[str] = set()
        """Those of the working orders that wait for a person."""
        self.days: dict[str, Day] = {}
        self.positions: dict[str, dict[str, Position]] = {}
        self.cash: dict[tuple[str, str], dict[str, Decimal]] = {}
        """(venue, account) -> currency -> what the broker said it was, and what our executions have moved since."""
        self.settings: dict[str, str] = {}
        self.halts: dict[Scope, Halt] = {}
        self.flattens: dict[int, Flatten] = {}
        """Those that have not ended, by their numbers."""
        self.errands: dict[int, Errand] = {}
        """Those that have not ended, by their numbers."""
        self.leases: dict[str, Lease] = {}
        """Those that have not ended, by their ids."""
        self.limits: dict[tuple[str, str], LimitChanged] = {}
        """What people set, by scope and limit; a new dict with each change."""
        self.last_execution: dict[str, datetime] = {}
        self.differences: dict[Key, Difference] = {}
        self.opened: dict[str, list[str]] = {}
        self.shared: dict[str, str] = {}
        """Broker's ids that two orders have had on one day, and the one that had it before."""
        self.tokens: dict[str, Token] = {}
        """By what is kept of their secrets."""
        self.users: dict[str, UserChanged] = {}
        """What the journal has last said of each user: their passwords' hashes are elsewhere."""
        self.books = Books()
        self.families = Families()
        self.strategies = Strategies()
        self.integrations = Integrations()
        self._clients: dict[str, str] = {}
        self._brokers: dict[str, str] = {}

    # reading

    @property
    def halted(self) -> str | None:
        """Why the whole gateway is halted, to whatever level; None when it is not."""
        halt = self.halts.get(GATEWAY)
        return None if halt is None else halt.text

    def order(self, order_id: str) -> Order | None:
        """The order, if it is working or closed today."""
        order = self.working.get(order_id)
        if order is not None:
            return order
        for day in self.days.values():
            packed = day.orders.get(order_id)
            if packed is not None:
                return codec.unpack_order(packed)
        return None

    def find_client(self, account: str, client_order_id: str) -> Order | None:
        """The order behind an idempotency key, if it is working or closed today."""
        order = self.order(client_order_id)
        if order is not None and order.account == account and order.client_order_id == client_order_id:
            return order
        return self._find(client_key(account, client_order_id), self._clients, "clients")

    def find_broker(self, venue: str, broker_order_id: str) -> Order | None:
        """The order behind a broker's id, if it is working or closed today."""
        return self._find(broker_key(venue, broker_order_id), self._brokers, "brokers")

    def sure_broker(self, venue: str, broker_order_id: str) -> Order | None:
        """The same as evidence: None as well when two orders have had that id."""
        if broker_key(venue, broker_order_id) in self.shared:
            return None
        return self.find_broker(venue, broker_order_id)

    def _find(self, key: str, working: dict[str, str], index: str) -> Order | None:
        order_id = working.get(key)
        if order_id is not None:
            return self.working[order_id]
        for day in self.days.values():
            order_id = getattr(day, index).get(key)
            if order_id is not None:
                return self.order(order_id)
        return None

    def orders_today(self) -> dict[str, Order | bytes]:
        """Every working order, and every one closed today packed, as they are at this moment."""
        found: dict[str, Order | bytes] = dict(self.working)
        for day in self.days.values():
            found.update(day.orders)
        return found

    def execution(self, execution_id: str) -> Execution | None:
        """An execution of today by the broker's id."""
        for day in self.days.values():
            packed = day.executions.get(execution_id)
            if packed is not None:
                return codec.unpack_execution(packed)
        return None

    def same_execution(self, execution: Execution) -> Execution | None:
        """The execution of today with the same id in the same account: ids of two accounts may be alike."""
        for name in (execution.execution_id, execution_key(execution.account, execution.execution_id)):
            known = self.execution(name)
            if known is not None and (known.venue, known.account) == (execution.venue, execution.account):
                return known
        return None

    def executions_today(self) -> dict[str, bytes]:
        """Every execution of today, packed, in the order they came at each venue."""
        found: dict[str, bytes] = {}
        for day in self.days.values():
            found.update(day.executions)
        return found

    def trading_day(self, venue: str) -> date | None:
        """The venue's trading day, None before the first."""
        day = self.days.get(venue)
        return day.day if day else None

    def working_at(self, venue: str) -> list[Order]:
        """The venue's orders that are not closed."""
        return [order for order in self.working.values() if order.venue == venue]

    # the fold

    def apply(self, record: Record) -> Change:
        """Take one record in; IllegalMove, with nothing changed, when the order table has no row for it."""
        event = record.event
        order: Order | None = None
        execution: Execution | None = None
        named = ""
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)
        elif isinstance(event, ENTRIES):
            order = advance(None, record)
            self._put(None, order)
            if isinstance(event, ExternalOrderFound):
                self._day(order.venue).loose.pop(broker_key(order.venue, order.broker_order_id), None)
            if order.exits is not None or order.leg is not None or order.oco:
                self.families.take(event, order)
            if order.signal:
                self.strategies.take(event, None, order, self._holds(order.account, order.symbol))
        elif isinstance(event, NOTES):
            self.families.note(event)
        elif (order_id := getattr(event, "order_id", None)) is not None:
            before = self.order(order_id)
            if before is not None or isinstance(event, OrderRestored):
                named = before.broker_order_id if before else ""
                order = advance(before, record)
                self._put(before, order)
            if order is None or order.exits is not None or order.leg is not None or order.oco:
                self.families.take(event, order)  # type: ignore[arg-type]
            if isinstance(event, OrderAmended):
                self.strategies.amend(event, order)
            if isinstance(event, Executed):
                day = self.trading_day(event.execution.venue)
                execution = enriched(event.execution, order, record.seq, day)
                self._fill(execution, order)
                if order is not None:
                    self.books.count(execution, order, not self._holds(order.account, order.symbol))
                    if order.origin is Origin.FLATTEN:
                        place, source = (order.account, order.symbol), None if closes_for_all(order) else order.owner
                        self.strategies.flatten(place, source, execution.signed_quantity, self._holds(*place))
            if order is not None and order.signal:
                self.strategies.take(event, before, order, self._holds(order.account, order.symbol))
        self.seq = record.seq
        return Change(record, order, execution, order is not None and order.broker_order_id != named)

    def _put(self, before: Order | None, after: Order) -> None:
        if after.tag is not None:
            (self.tickets.add if after.status is OrderStatus.STAGED else self.tickets.discard)(after.order_id)
        self.books.reserve(before, after)
        day = self._day(after.venue)
        client = client_key(after.account, after.client_order_id)
        broker = broker_key(after.venue, after.broker_order_id) if after.broker_order_id else ""
        if after.status in CLOSED:
            if self.working.pop(after.order_id, None) is not None:
                self._clients.pop(client, None)
                named = broker_key(after.venue, before.broker_order_id if before else "")
                if self._brokers.get(named) == after.order_id:  # a broker whose ids began again gave it to another
                    del self._brokers[named]
            day.orders[after.order_id] = codec.pack_order(after)
            if after.client_order_id != after.order_id:
                day.clients[client] = after.order_id
            if broker:
                self._name(day, broker, after.order_id)
                day.brokers[broker] = after.order_id
            return
        if after.order_id not in self.working:
            day.orders.pop(after.order_id, None)
            if after.client_order_id != after.order_id:
                self._clients[client] = after.order_id
        self.working[after.order_id] = after
        if broker and (
            before is None or before.broker_order_id != after.broker_order_id or broker not in self._brokers
        ):
            self._name(day, broker, after.order_id)
            self._brokers[broker] = after.order_id

    def _name(self, day: Day, broker: str, order_id: str) -> None:
        """Notice a broker's id that another order has, or has had today."""
        for held in (self._brokers.get(broker), day.brokers.get(broker)):
            if held is not None and held != order_id:
                self.shared.setdefault(broker, held)

    def _fill(self, execution: Execution, order: Order | None) -> None:
        day = self._day(execution.venue)
        name = execution.execution_id
        if any(name in each.executions for each in self.days.values()):
            name = execution_key(execution.account, name)
        day.executions[name] = codec.pack_execution(execution)
        if not execution.order_id and execution.broker_order_id:
            broker = broker_key(execution.venue, execution.broker_order_id)
            quantity, value = day.loose.get(broker, (ZERO, ZERO))
            value += execution.quantity * execution.price
            day.loose[broker] = (quantity + execution.quantity, value)
        self.last_execution[execution.venue] = execution.time
        cash = self.cash.get((execution.venue, execution.account))
        if cash is not None:
            cash[execution.currency] = cash.get(execution.currency, ZERO) + execution.cash
        self.books.fill(execution, order)
        held = self.positions.setdefault(execution.account, {})
        position = held.get(execution.symbol) or Position(execution.venue, execution.account, execution.symbol, ZERO)
        self._hold(position.after(execution.signed_quantity, execution.price))

    def _hold(self, position: Position) -> None:
        held = self.positions.setdefault(position.account, {})
        if position.quantity:
            held[position.symbol] = position
        else:
            held.pop(position.symbol, None)

    def _day(self, venue: str) -> Day:
        day = self.days.get(venue)
        if day is None:
            day = self.days[venue] = Day()
        return day

    def _start_day(self, event: TradingDayStarted) -> None:
        self.days[event.venue] = Day(event.day)
        self.families.start_day(event.venue)
        if self.shared:
            mine = f"{event.venue}/"
            kept = {key: held for key, held in self.shared.items() if key in self._brokers or not key.startswith(mine)}
            self.shared = kept

    def _find_difference(self, event: DifferenceFound) -> None:
        self.differences[key_of(event)] = Difference(
            venue=event.venue,
            account=event.account,
            what=event.what,
            key=event.key,
            ours=event.ours,
            theirs=event.theirs,
            severity=event.severity,
            found=event.found or event.time,
            risen=event.time,
            seq=self.seq + 1,
        )
        self.families.report(event)

    def _raise_difference(self, event: DifferenceRaised) -> None:
        difference = self.differences.get(key_of(event))
        if difference is not None:
            changed = replace(difference, severity=event.severity, risen=event.time, seq=self.seq + 1)
            self.differences[difference.name] = changed

    def _resolve_difference(self, event: DifferenceResolved) -> None:
        difference = self.differences.pop(key_of(event), None)
        if difference is not None:
            self._day(event.venue).settle(replace(difference, resolved=event.time, text=event.text, seq=self.seq + 1))

    def _open_accounts(self, event: AccountsOpened) -> None:
        opened = self.opened.setdefault(event.venue, [])
        opened.extend(each for each in event.accounts if each not in opened)
        self.books.start_day(event.venue, self.positions)

    def _report_position(self, event: PositionReported) -> None:
        position = Position(event.venue, event.account, event.symbol, event.quantity, event.average_price)
        self.books.correct(position)
        self._hold(position)

    def _holds(self, account: str, symbol: str) -> Decimal:
        position = self.positions.get(account, {}).get(symbol)
        return position.quantity if position is not None else ZERO

    def _receive_signal(self, event: SignalReceived) -> None:
        self.strategies.receive(event, self.seq + 1)

    def _refuse_signal(self, event: SignalRefused) -> None:
        self.strategies.refuse(event, self.seq + 1)

    def _advance_signal(self, event: SignalAdvanced) -> None:
        self.strategies.advance(event, self.seq + 1)

    def _end_signal(self, event: SignalEnded) -> None:
        self.strategies.end(event, self.seq + 1)

    def _adjust_strategy(self, event: StrategyAdjusted) -> None:
        self.strategies.adjust(event, self._holds(event.account, event.symbol))

    def _change_integration(self, event: IntegrationChanged) -> None:
        self.integrations.take(event)

    def _report_balances(self, event: BalancesReported) -> None:
        self.cash.setdefault((event.venue, event.account), {}).update(event.totals)

    def _change_limit(self, event: LimitChanged) -> None:
        key = (event.scope, event.limit)
        others = {each: limit for each, limit in self.limits.items() if each != key}
        self.limits = others if event.value is None else {**others, key: event}

    def _change_setting(self, event: SettingChanged) -> None:
        if event.value is None:
            self.settings.pop(event.name, None)
        else:
            self.settings[event.name] = event.value

    def _halt(self, event: TradingHalted) -> None:
        self.halts[event.scope] = Halt(event.scope, event.level, event.text, event.by, event.time, event.exits_go_on)

    def _resume(self, event: TradingResumed) -> None:
        self.halts.pop(event.scope, None)

    def _flatten(self, event: FlattenRequested) -> None:
        self.flattens[event.number] = Flatten(event.number, event.scope, event.text, event.by, event.time)
        self.families.flatten(event)

    def _end_flatten(self, event: FlattenEnded) -> None:
        self.flattens.pop(event.number, None)

    def _begin_errand(self, event: ErrandBegun) -> None:
        self.errands[event.errand.number] = event.errand

    def _end_errand(self, event: ErrandEnded) -> None:
        self.errands.pop(event.number, None)

    def _take_lease(self, event: LeaseTaken) -> None:
        self.leases[event.lease] = Lease(event.lease, event.user, event.name, event.seconds)

    def _lose_lease(self, event: LeaseLost) -> None:
        lease = self.leases.get(event.lease)
        if lease is not None:
            self.leases[event.lease] = replace(lease, lost=event.time)

    def _end_lease(self, event: LeaseEnded) -> None:
        self.leases.pop(event.lease, None)

    def _create_token(self, event: TokenCreated) -> None:
        self._drop_token(event.token.name)
        self.tokens[event.token.digest] = event.token

    def _revoke_token(self, event: TokenRevoked) -> None:
        self._drop_token(event.name)

    def _drop_token(self, name: str) -> None:
        for digest in [digest for digest, token in self.tokens.items() if token.name == name]:
            del self.tokens[digest]

    def _change_user(self, event: UserChanged) -> None:
        self.users[event.name] = event

    def _remove_user(self, event: UserRemoved) -> None:
        self.users.pop(event.name, None)

    # snapshots

    def dump(self) -> Iterator[bytes]:
        """The whole state as lines of JSON, taken at this moment however slowly it is then read."""
        head: dict[str, Any] = {"seq": self.seq, "halts": list(self.halts.values()), "settings": dict(self.settings)}
        head["flattens"] = list(self.flattens.values())
        head["leases"] = list(self.leases.values())
        head["errands"] = list(self.errands.values())
        head["owned"] = [
            (*pair, *owner, str(total)) for pair, bought in self.books.bought.items() for owner, total in bought.items()
        ]
        head["last_execution"] = {venue: time.isoformat() for venue, time in self.last_execution.items()}
        head["cash"] = [
            (*whose, [(currency, str(total)) for currency, total in cash.items()]) for whose, cash in self.cash.items()
        ]
        head["opened"] = {venue: list(accounts) for venue, accounts in self.opened.items()}
        head["shared"] = dict(self.shared)
        differences = list(self.differences.values())
        positions = [position for held in self.positions.values() for position in held.values()]
        working = list(self.working.values())
        limits = list(self.limits.values())
        books = self.books.dump()
        days = [(venue, day.copy()) for venue, day in self.days.items()]
        access: list[Token | UserChanged] = [*self.tokens.values(), *self.users.values()]
        signals = [*self.strategies.dump(), *self.integrations.dump()]
        return _lines(head, differences, positions, limits, books, working, days, access, self.families.dump(), signals)

    @classmethod
    def load(cls, lines: Iterable[bytes]) -> State:
        """The state that `dump` wrote; ValueError when the lines are not that."""
        state = cls()
        day = Day()
        for line in lines:
            tag, a, b, body = codec.decode_line(line)
            if tag in today.TAGS:
                day.load(tag, a, b, body)
            elif tag == "W":
                state._put(None, codec.unpack_order(body))
            elif tag in ("N", "n", "O", "o"):
                state.families.load(tag, a, body)
            elif tag in ("S", "s"):
                state.strategies.load(tag, body)
            elif tag == "I":
                state.integrations.load(body)
            elif tag == "P":
                state._hold(codec.decode_position(body))
            elif tag == "F":
                difference = codec.decode_difference(body)
                state.differences[difference.name] = difference
            elif tag == "M":
                limit = codec.decode_limit(body)
                state.limits[limit.scope, limit.limit] = limit
            elif tag == "X":
                state.books.load(codec.decode_book(body))
            elif tag == "T":
                token = codec.decode_token(body)
                state.tokens[token.digest] = token
            elif tag == "U":
                state.users[a] = codec.decode_event(b, body)  # type: ignore[assignment]
            elif tag == "D":
                day = state.days[a] = Day(date.fromisoformat(b) if b else None)
            elif tag == "H":
                head = codec.decode_any(body)
                state.seq, state.settings = head["seq"], head["settings"]
                for halt in codec.decode_halts(codec.encode(head["halts"])):
                    state.halts[halt.scope] = halt
                for flatten in codec.decode_flattens(codec.encode(head["flattens"])):
                    state.flattens[flatten.number] = flatten
                for lease in codec.decode_leases(codec.encode(head["leases"])):
                    state.leases[lease.lease] = lease
                for errand in codec.decode_errands(codec.encode(head["errands"])):
                    state.errands[errand.number] = errand
                for account, symbol, owner, origin, total in head["owned"]:
                    state.books.bought.setdefault((account, symbol), {})[owner, Origin(origin)] = Decimal(total)
                for venue, account, totals in head["cash"]:
                    state.cash[venue, account] = {currency: Decimal(total) for currency, total in totals}
                state.opened, state.shared = head["opened"], head["shared"]
                times = head["last_execution"].items()
                state.last_execution = {venue: datetime.fromisoformat(time) for venue, time in times}
            else:
                raise ValueError(f"a snapshot has a line of the unknown kind {tag!r}")
        return state


_HANDLERS: dict[type[Event], Any] = {
    TradingDayStarted: State._start_day,
    DifferenceFound: State._find_difference,
    DifferenceRaised: State._raise_difference,
    DifferenceResolved: State._resolve_difference,
    AccountsOpened: State._open_accounts,
    PositionReported: State._report_position,
    BalancesReported: State._report_balances,
    SettingChanged: State._change_setting,
    LimitChanged: State._change_limit,
    TradingHalted: State._halt,
    TradingResumed: State._resume,
    ErrandBegun: State._begin_errand,
    ErrandEnded: State._end_errand,
    FlattenRequested: State._flatten,
    FlattenEnded: State._end_flatten,
    LeaseTaken: State._take_lease,
    LeaseLost: State._lose_lease,
    LeaseEnded: State._end_lease,
    TokenCreated: State._create_token,
    TokenRevoked: State._revoke_token,
    UserChanged: State._change_user,
    UserRemoved: State._remove_user,
    SignalReceived: State._receive_signal,
    SignalRefused: State._refuse_signal,
    SignalAdvanced: State._advance_signal,
    SignalEnded: State._end_signal,
    StrategyAdjusted: State._adjust_strategy,
    IntegrationChanged: State._change_integration,
}


_TAGS: dict[type, str] = {Signal: "S", StrategyPosition: "s", Integration: "I"}


def _lines(
    head: dict[str, Any],
    differences: list[Difference],
    positions: list[Position],
    limits: list[LimitChanged],
    books: list[Book],
    working: list[Order],
    days: list[tuple[str, Day]],
    access: list[Token | UserChanged],
    families: list[tuple[str, str, bytes]],
    signals: list[Signal | StrategyPosition | Integration],
) -> Iterator[bytes]:
    line = codec.encode_line
    yield line("H", "", "", codec.encode(head))
    for difference in differences:
        yield line("F", "", "", codec.encode(difference))
    for each in access:
        if isinstance(each, Token):
            yield line("T", "", "", codec.encode(each))
        else:
            yield line("U", each.name, codec.kind_of(each), codec.encode(each))
    for position in positions:
        yield line("P", "", "", codec.encode(position))
    for limit in limits:
        yield line("M", "", "", codec.encode(limit))
    for book in books:
        yield line("X", "", "", codec.encode(book))
    for order in working:
        yield line("W", "", "", codec.pack_order(order))
    for tag, key, kin in families:
        yield line(tag, key, "", kin)
    for signal in signals:
        yield line(_TAGS[type(signal)], "", "", codec.encode(signal))
    for venue, day in days:
        yield from day.dump(venue)
