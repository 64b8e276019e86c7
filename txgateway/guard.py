"""What the pre-trade checks go by: the limits in force, what was sent lately, what is held and what it is worth.

The checks themselves are in risk, and pure; here is what has to be remembered between two orders.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from txgateway import risk
from txgateway.model.book import Book, Holding
from txgateway.model.events import LimitChanged
from txgateway.model.instrument import Instrument
from txgateway.model.limits import (
    DEFAULTS,
    EACH,
    Level,
    Levels,
    Limit,
    LimitReport,
    RiskReport,
    UseReport,
    level_of,
)
from txgateway.model.market import Mark, Quote, Trade
from txgateway.model.order import Order, OrderRequest, OrderStatus, Origin
from txgateway.model.scope import GATEWAY, Scope, ScopeKind, Subject
from txgateway.risk import Bounds, Decision, Denial, Facts, Recent, Total, Valuation, Windows
from txgateway.risk.valuation import OWNERS
from txgateway.state import State

ZERO = Decimal(0)
Shown = Callable[[str, str], tuple[Mark | None, Trade | None]]
"""(venue, symbol) -> what a unit is worth, and the market's last trade, as far as the desk has heard of it."""
MOST_SUBJECTS = 10_000
"""Subjects whose limits are remembered; beyond that they are found anew."""
MOST_VALUED = 500
"""Books that are valued at once: some milliseconds' work."""
_IN_MONEY = (Limit.MAX_GROSS_EXPOSURE, Limit.MAX_DAILY_LOSS)


def unknown(venue: str, symbol: str) -> tuple[Mark | None, Trade | None]:
    """A market that nobody has heard of."""
    return None, None


class Guard:
    """Judges orders by the limits, and remembers what that needs. `seconds` never runs back; `clock` is the wall's."""

    def __init__(
        self,
        state: State,
        configured: Levels,
        shown: Shown,
        clock: Callable[[], datetime],
        seconds: Callable[[], float],
    ) -> None:
        self._state = state
        self._configured = configured
        self._shown = shown
        self._clock = clock
        self._seconds = seconds
        self._windows = Windows()
        self._recent = Recent()
        self._valuation = Valuation()
        self._read: dict[tuple[str, str], LimitChanged] | None = None
        self._set: Levels = {}
        self._bounds: dict[Subject, Bounds] = {}
        self._in_money = False
        self._valued = False
        self._due: list[tuple[str, str]] = []

    # limits

    def find(self, scope: Scope, limit: Limit) -> Level | None:
        """The level in force at a scope: its own, else EACH's: by people, the configuration, the default."""
        self._read_limits()
        for where in (scope, Scope(scope.kind, EACH)):
            for levels in (self._set, self._configured, DEFAULTS):
                level = levels.get((where, limit))
                if level is not None:
                    return level
        return None

    def bounds(self, subject: Subject) -> Bounds:
        """All that holds for a subject."""
        self._read_limits()
        bounds = self._bounds.get(subject)
        if bounds is None:
            if len(self._bounds) >= MOST_SUBJECTS:
                self._bounds.clear()
            bounds = self._bounds[subject] = risk.bounds_of(subject, self.find)
        return bounds

    def _read_limits(self) -> None:
        """Take in what people set, when it has changed."""
        if self._read is self._state.limits:
            return
        self._read = self._state.limits
        self._bounds.clear()
        self._set = {
            (Scope.parse(each.scope), Limit(each.limit)): level_of(Limit(each.limit), each.value or "", each.warn)
            for each in self._read.values()
        }
        both = [(limit, each) for _, limit, level, _ in self._in_force() for each in (level.value, level.warn)]
        held = [(limit, each) for limit, each in both if each is not None]
        self._in_money = any(limit in _IN_MONEY for limit, _ in held)
        longest = float(max((each for limit, each in held if limit is Limit.DUPLICATE_WINDOW), default=ZERO))
        if longest > self._recent.longest:
            self._remember(longest)
        self._recent.longest = longest

    def _remember(self, seconds: float) -> None:
        """Take in what was sent in the last so many seconds: also after a restart nothing is sent twice."""
        self._recent.longest = seconds
        now, found = self._clock().timestamp(), []
        for order_id in sorted(self._state.orders_today(), reverse=True):
            order = self._state.order(order_id)
            if order is None:
                continue
            if now - order.created.timestamp() >= seconds:
                break
            if order.client_order_id == order_id and order.status is not OrderStatus.DENIED:
                found.append(order)
        for order in reversed(found):
            self._recent.add(fingerprint(order), order.created.timestamp())

    def _in_force(self) -> Iterator[tuple[Scope, Limit, Level, str]]:
        """Every limit that somebody or something set, once for each scope, with its source."""
        told: set[tuple[Scope, Limit]] = set()
        for levels, source in ((self._set, ""), (self._configured, "configuration"), (DEFAULTS, "default")):
            for (scope, limit), level in levels.items():
                if (scope, limit) in told:
                    continue
                told.add((scope, limit))
                by = self._state.limits.get((str(scope), str(limit)))
                yield scope, limit, level, source or (f"set by {by.by} at {by.time:%Y-%m-%d %H:%M:%SZ}" if by else "")

    # judging

    def restricted(self, request: OrderRequest, subject: Subject) -> Denial | None:
        """Whether the symbol is traded at all: known before anything is looked up."""
        return risk.check_restricted(request, self.bounds(subject))

    def judge(
        self,
        request: OrderRequest,
        subject: Subject,
        instrument: Instrument,
        quote: Quote | None,
        now: datetime,
        before: Order | None = None,
        approved: bool = False,
    ) -> Decision:
        """Every check by the limits; `now` is the venue's clock, `before` the order that is to be replaced."""
        bounds = self.bounds(subject)
        key = (subject.account, subject.symbol)
        mark, last = self._shown(subject.venue, subject.symbol)
        books = self._state.books.by_owner.get(key)
        own = books.get(subject.owner) if books else None
        facts = Facts(
            bounds=bounds,
            instrument=instrument,
            quote=quote,
            now=now,
            last=last,
            mark=mark.price if mark else None,
            holding=self._state.books.holding(*key),
            own=own.holding if own else Holding(),
            sent={scope: self._windows.count(scope, self._seconds(), 1.0) for scope, _ in bounds.order_rate},
            since_same=self._since_same(request, bounds),
            totals=self._totals(bounds, key) if bounds.needs_totals else {},
            before=before,
            approved=approved,
        )
        return risk.judge(request, facts)

    def sent(self, request: OrderRequest, subject: Subject, before: Order | None = None) -> None:
        """An order, or what it is to become, is on its way: it counts from now on."""
        if subject.origin is Origin.FLATTEN:
            return
        now = self._seconds()
        for scope in self.bounds(subject).counted:
            self._windows.add(scope, now, 1.0)
        if self._recent.longest and before is None and request.client_order_id is None:
            self._recent.add(fingerprint(request), self._clock().timestamp())

    def _since_same(self, request: OrderRequest, bounds: Bounds) -> float | None:
        if bounds.duplicate_window is None or request.client_order_id is not None:
            return None
        return self._recent.since(fingerprint(request), self._clock().timestamp())

    # what is held, and what it is worth

    def _totals(self, bounds: Bounds, key: tuple[str, str]) -> dict[Scope, Total]:
        """The totals of the scopes with a limit in money, with what has changed, and this symbol, valued now."""
        if not self._valued:
            self._value_all()
        self._state.books.touched.add(key)
        self._take_changes()
        limited = (*bounds.max_gross_exposure, *bounds.max_daily_loss)
        return {scope: self._valuation.total(scope) for scope, _ in limited}

    def revalue(self) -> None:
        """Value what is held at the market's last prices, some hundred books a time: each second, while that counts."""
        self._read_limits()
        if not self._in_money:
            self._valued = False
            return
        if not self._valued:
            self._value_all()
        self._take_changes()
        if not self._due:
            self._due = list(self._state.books.by_owner)
        for key in self._due[-MOST_VALUED:]:
            self._value(key)
        del self._due[-MOST_VALUED:]

    def _value_all(self) -> None:
        self._valuation.clear()
        self._state.books.touched.clear()
        for key in self._state.books.by_owner:
            self._value(key)
        self._valued = True

    def _take_changes(self) -> None:
        for key in self._state.books.touched:
            self._value(key)
        self._state.books.touched.clear()

    def _value(self, key: tuple[str, str]) -> None:
        books = self._state.books.by_owner.get(key, {})
        mark, price = None, ZERO
        if books:
            mark, _ = self._shown(next(iter(books.values())).venue, key[1])
            position = self._state.positions.get(key[0], {}).get(key[1])
            price = mark.price if mark else position.average_price if position else ZERO
        self._valuation.put(key, books, price, mark)

    def unpriced(self) -> set[tuple[str, str]]:
        """(venue, symbol) of what is held or works and has no price yet, though a limit in money holds."""
        if not self._in_money:
            return set()
        places = {
            (book.venue, symbol) for (_, symbol), books in self._state.books.by_owner.items() for book in books.values()
        }
        return {place for place in places if self._shown(*place)[0] is None}

    # executions

    def executed(self, order: Order) -> tuple[Scope, str] | None:
        """Count a fill; the owner that has used up its budget by it, and why it must be halted."""
        if not order.owner or order.origin in (Origin.EXTERNAL, Origin.FLATTEN):
            return None
        held = [each for each in self.bounds(Subject.of(order)).execution_budget if each[1].value is not None]
        now, counts = self._seconds(), {}
        for seconds in {level.seconds for _, level in held}:
            self._windows.add((order.owner, seconds), now, float(seconds))
            counts[seconds] = self._windows.count((order.owner, seconds), now, float(seconds))
        for scope, level in held:
            if level.value is not None and counts[level.seconds] >= level.value:
                for seconds in counts:
                    self._windows.clear((order.owner, seconds))
                within = f"{counts[level.seconds]} executions within {level.seconds:f} s"
                owner = Scope(ScopeKind.OWNER, order.owner)
                return owner, f"{within} are the execution_budget of {scope}: look into it, then resume {owner}"
        return None

    # telling

    def report(self, scope: Scope | None = None) -> RiskReport:
        """Every limit in force and what is used of it; with a scope only its own and the gateway's."""
        self._read_limits()
        self._value_all()
        wanted = None if scope is None else {scope, GATEWAY, Scope(scope.kind, EACH)}
        order = list(Limit)
        limits = sorted(
            (
                LimitReport(scope=where, limit=limit, level=level, source=source)
                for where, limit, level, source in self._in_force()
                if wanted is None or where in wanted
            ),
            key=lambda each: (*_by_kind(each.scope), order.index(each.limit)),
        )
        held = self._held()
        scopes = [scope] if scope is not None else self._scopes_in_use(held)
        return RiskReport(tuple(limits), tuple(self._use(each, held.get(each, {})) for each in scopes))

    def limits_of(self, scope: Scope) -> list[LimitReport]:
        """The limits in force of one scope itself."""
        self._read_limits()
        found = self._in_force()
        return [
            LimitReport(scope=where, limit=limit, level=level, source=by)
            for where, limit, level, by in found
            if where == scope
        ]

    def _held(self) -> dict[Scope, dict[str, list[Decimal]]]:
        """What is held and works, by scope, then by account and symbol."""
        found: dict[Scope, dict[str, list[Decimal]]] = {GATEWAY: {}}
        for (account, symbol), books in sorted(self._state.books.by_owner.items()):
            for book in books.values():
                for scope in scopes_of_book(book):
                    sums = found.setdefault(scope, {}).setdefault(f"{account} {symbol}", [ZERO, ZERO, ZERO])
                    for at, more in enumerate((book.quantity, book.buys, book.sells)):
                        sums[at] += more
        return found

    def _scopes_in_use(self, held: Iterable[Scope]) -> list[Scope]:
        """The gateway, the accounts and owners with something in their books, and whoever has a limit of its own."""
        shown = [scope for scope in held if scope.kind in (ScopeKind.ACCOUNT, ScopeKind.OWNER) and scope.name]
        named = [scope for scope, *_ in self._in_force() if scope.name not in ("", EACH)]
        return [GATEWAY, *sorted({*shown, *named}, key=_by_kind)]

    def _executions(self, scope: Scope) -> int | None:
        """An owner's executions in the window of its budget; None where nobody counts."""
        levels = [self.find(each, Limit.EXECUTION_BUDGET) for each in (scope, GATEWAY)]
        windows = {level.seconds for level in levels if level is not None and level.value is not None}
        if scope.kind is not ScopeKind.OWNER or not windows:
            return None
        return max(self._windows.count((scope.name, each), self._seconds(), float(each)) for each in windows)

    def _use(self, scope: Scope, held: Mapping[str, list[Decimal]]) -> UseReport:
        total = self._valuation.total(scope)
        return UseReport(
            scope=scope,
            exposure=total.exposure,
            profit_and_loss=total.profit,
            orders_last_second=self._windows.count(scope, self._seconds(), 1.0),
            executions_in_window=self._executions(scope),
            holdings={name: dict(zip(("quantity", "buys", "sells"), sums, strict=True)) for name, sums in held.items()},
        )


def scopes_of_book(book: Book) -> tuple[Scope, ...]:
    """Every scope that sees a book."""
    named = {ScopeKind.VENUE: book.venue, ScopeKind.ACCOUNT: book.account, ScopeKind.SYMBOL: book.symbol}
    owners = (Scope(kind, book.owner) for kind in OWNERS if book.owner)
    return (GATEWAY, *(Scope(kind, name) for kind, name in named.items()), *owners)


def _by_kind(scope: Scope) -> tuple[int, str]:
    return list(ScopeKind).index(scope.kind), scope.name


def fingerprint(order: OrderRequest | Order) -> Hashable:
    """What two orders share that are the very same, keys aside."""
    what = (order.account, order.symbol, order.side, order.quantity, order.order_type)
    return (*what, order.limit_price, order.stop_price)
