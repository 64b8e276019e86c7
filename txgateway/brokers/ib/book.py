"""The orders of one link, as TWS's messages tell of them: messages in, events out. Pure.

An order ends by a status that says so, and an error alone ends nothing: after one the open orders are asked for
(`unsure`), and `settle` says what the list means. permId is an order's identity at IB; the number, with the client's,
is only how it is changed and canceled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ib_async import Contract
from ib_async import Execution as IbExecution
from ib_async import Order as IbOrder

from txgateway.brokers.ib import codes, translate
from txgateway.brokers.ib.translate import CANCELED, FILLED, INACTIVE, LIVE, SENT, Terms
from txgateway.model.errors import Reason
from txgateway.model.events import (
    CancelRejected,
    OrderAccepted,
    OrderCanceled,
    OrderEvent,
    OrderRejected,
    OrderReplaced,
    ReplaceRejected,
)
from txgateway.model.order import Order, OrderReport, OrderStatus, OrderType, Side, TimeInForce

ZERO = Decimal(0)
MOST = 20_000
"""Orders that ended, and are remembered."""


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """One order. `name` is ours, or empty; `perm_id` is 0 until IB has given one.

    `since` is when it was heard of first. `accepted` and `ended` are what was told; `refusal` is the last error that
    may have ended it, `end_text` the reason that came with its end. `held`: why IB keeps it back (a locate).
    `replace_asked` has no answer yet. `limited`: TWS said that there were too many messages. `parent` is the number of
    the order whose child it is. `waits`: it has no number yet, for it has not left.
    `exchange`: where its route sends it, if that names one.
    """

    name: str
    client_id: int
    number: int
    contract: Contract
    account: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    terms: Terms
    since: datetime
    symbol: str = ""
    perm_id: int = 0
    status: str = "PendingSubmit"
    held: str = ""
    filled: Decimal = ZERO
    average: Decimal = ZERO
    heard: bool = False
    accepted: bool = False
    ended: bool = False
    limited: bool = False
    refusal: tuple[int, str] | None = None
    end_text: str = ""
    cancel_asked: bool = False
    replace_asked: Terms | None = None
    raw: IbOrder | None = None
    parent: int = 0
    waits: bool = False
    exchange: str = ""

    @property
    def key(self) -> str:
        """How events name it: by our id, or by IB's for another's."""
        return self.name or str(self.perm_id)

    @property
    def working(self) -> bool:
        """Whether it may still be filled, as far as was heard."""
        return not self.ended and self.stands

    @property
    def stands(self) -> bool:
        """Whether IB has it. An inactive order is over, unless it is kept back, as one whose shares are located."""
        return self.status in LIVE | SENT or (self.status == INACTIVE and bool(self.held))

    def report(self, symbol: str) -> OrderReport:
        """The order as IB has it."""
        word = "Submitted" if self.stands else self.status
        status = OrderStatus.REJECTED if self.ended and self.refused else translate.status_in(word, self.filled)
        code, text = self.refusal or (0, self.end_text)
        closed = status in (OrderStatus.REJECTED, OrderStatus.CANCELED)
        return OrderReport(
            broker_order_id=str(self.perm_id) if self.perm_id else "",
            account=self.account,
            symbol=symbol,
            side=self.side,
            quantity=self.terms.quantity,
            order_type=self.order_type,
            status=status,
            time=self.since,
            order_id=self.name or None,
            time_in_force=self.time_in_force,
            limit_price=self.terms.limit,
            stop_price=self.terms.stop,
            filled_quantity=self.filled,
            average_price=self.average,
            reason=codes.reason(code, text) if closed and self.refusal else None,
            text=text if closed else "",
        )

    @property
    def refused(self) -> bool:
        """Whether its end was a refusal: nothing of it was traded."""
        return self.refusal is not None and not self.filled


class Book:
    """`is_ours` says of an orderRef whether it is an id of ours; `client_id` is this link's."""

    def __init__(self, client_id: int, is_ours: Callable[[str], bool]) -> None:
        self.client_id = client_id
        self.unsure: dict[Entry, None] = {}
        """Of which the broker is to be asked."""
        self.listed: set[Entry] | None = None
        """Those of the list that is coming in."""
        self._is_ours = is_ours
        self._named: dict[str, Entry] = {}
        self._perms: dict[int, Entry] = {}
        self._numbers: dict[tuple[int, int], Entry] = {}

    # finding

    def find(self, name: str, broker_order_id: str = "") -> Entry | None:
        """By our id, else by IB's."""
        found = self._named.get(name) if name else None
        if found is None and broker_order_id.isdigit():
            found = self._perms.get(int(broker_order_id))
        return found

    def numbered(self, number: int) -> Entry | None:
        """The order of this client that has a number; -1 is everybody's."""
        return self._numbers.get((self.client_id, number)) if number != -1 else None

    def parent_of(self, entry: Entry) -> int:
        """The number of the order whose child it is while that works; then 0: IB knows it no more, and refuses it."""
        parent = self.numbered(entry.parent) if entry.parent else None
        return entry.parent if parent is not None and parent.working else 0

    def _find(self, client_id: int, number: int, perm_id: int, reference: str | None = None) -> Entry | None:
        """Never by a number that another order has by now."""
        found = self._perms.get(perm_id) if perm_id else None
        if found is not None:
            return found
        found = self._numbers.get((client_id, number)) if number else None
        if found is None or (perm_id and found.perm_id not in (0, perm_id)):
            return None
        return found if not reference or not found.name or reference == found.name else None

    def open(self) -> list[Entry]:
        """Those that work."""
        return [entry for entry in {**self._by_identity()} if entry.working]

    def _by_identity(self) -> dict[Entry, None]:
        return dict.fromkeys([*self._perms.values(), *self._named.values()])

    # what we do

    def waiting(self, order: Order, contract: Contract, now: datetime) -> Entry:
        """An order is to be sent when it is its turn."""
        entry = Entry(
            name=order.order_id,
            client_id=self.client_id,
            number=0,
            contract=contract,
            account=order.account,
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            terms=translate.terms_of(order),
            since=now,
            symbol=order.symbol,
            waits=True,
        )
        self._keep(entry)
        return entry

    def sent(self, entry: Entry, number: int, parent: int = 0, exchange: str = "") -> None:
        """It is sent now, by this number, to an exchange if its route names one."""
        entry.number, entry.parent, entry.waits, entry.exchange = number, parent, False, exchange
        self._numbers[entry.client_id, number] = entry

    def drop(self, entry: Entry) -> None:
        """It was not sent, and will not be: its sender is told."""
        entry.ended, entry.waits = True, False
        self._named.pop(entry.name, None)
        self._numbers.pop((entry.client_id, entry.number), None)

    def _keep(self, entry: Entry) -> None:
        if entry.name:
            self._named[entry.name] = entry
        if entry.perm_id:
            self._perms[entry.perm_id] = entry
        if entry.number:
            self._numbers[entry.client_id, entry.number] = entry
        if len(self._perms) > 2 * MOST:
            self._forget()

    def _forget(self) -> None:
        """Let go of the oldest that ended."""
        old = [entry for entry in self._perms.values() if not entry.working][:MOST]
        for entry in old:
            self._perms.pop(entry.perm_id, None)
            self._named.pop(entry.name, None)
            self._numbers.pop((entry.client_id, entry.number), None)

    # what TWS says

    def open_order(self, contract: Contract, order: IbOrder, status: str, now: datetime) -> list[OrderEvent]:
        """An order as it is listed, or has become."""
        if order.whatIf:
            return []
        entry = self._find(order.clientId, order.orderId, order.permId, order.orderRef)
        if entry is None:
            entry = self._new(contract, order, status, now)
            self._keep(entry)
            if self.listed is not None:
                self.listed.add(entry)
            return []
        entry.heard = True
        entry.raw = order
        self._identify(entry, order.permId)
        if entry.number == 0 and order.orderId:  # a person's order, which TWS has bound to client 0
            entry.number, entry.client_id = order.orderId, order.clientId
            self._numbers[entry.client_id, entry.number] = entry
        if self.listed is not None:
            self.listed.add(entry)
        events = self._status(entry, status, now)
        shown = translate.terms_in(order)
        settled = status in ("Submitted", "PreSubmitted")
        if (settled or (entry.replace_asked is None and status in LIVE)) and shown.quantity:
            events += self._terms(entry, shown, now)
        return events

    def _new(self, contract: Contract, order: IbOrder, status: str, now: datetime) -> Entry:
        """An order that was there before us, or is another's: what it was before is not told."""
        reference = order.orderRef or ""
        return Entry(
            name=reference if self._is_ours(reference) and reference not in self._named else "",
            client_id=order.clientId,
            number=order.orderId,
            contract=contract,
            account=order.account,
            side=translate.side_in(order.action),
            order_type=translate.type_in(order.orderType),
            time_in_force=translate.time_in_force_in(order.tif),
            terms=translate.terms_in(order),
            since=now,
            perm_id=order.permId,
            status=status,
            filled=translate.amount(order.filledQuantity),
            heard=True,
            accepted=True,
            raw=order,
            parent=order.parentId,
        )

    def _terms(self, entry: Entry, shown: Terms, now: datetime) -> list[OrderEvent]:
        asked = entry.replace_asked
        if shown == entry.terms and asked != shown:
            return []
        if shown != entry.terms or asked is not None:
            entry.terms, entry.replace_asked, entry.refusal = shown, None, None
            terms = (shown.quantity, shown.limit, shown.stop)
            return [OrderReplaced(entry.key, *terms, now, str(entry.perm_id) if entry.perm_id else "")]
        return []

    def order_status(
        self,
        client_id: int,
        number: int,
        perm_id: int,
        status: str,
        filled: float,
        average: float,
        held: str,
        now: datetime,
    ) -> list[OrderEvent]:
        """An order's status, what is filled of it in all, and why it is kept back if it is."""
        entry = self._find(client_id, number, perm_id)
        if entry is None:
            return []
        entry.heard, entry.held = True, held
        self._identify(entry, perm_id)
        so_far = translate.amount(filled)
        if so_far >= entry.filled:
            entry.filled, entry.average = so_far, translate.amount(average) or entry.average
        return self._status(entry, status, now)

    def _identify(self, entry: Entry, perm_id: int) -> None:
        if perm_id and entry.perm_id != perm_id:
            entry.perm_id = perm_id
            self._perms[perm_id] = entry

    def _status(self, entry: Entry, status: str, now: datetime) -> list[OrderEvent]:
        entry.status = status
        if status in CANCELED:
            if entry.ended:
                return []
            if entry.refusal is None and entry.replace_asked is None and (entry.cancel_asked or entry.end_text):
                return self._end(entry, now)
            self.unsure[entry] = None  # its reason is on the way, or it is the answer to a change and lives
            return []
        if status == INACTIVE and not entry.held:
            if not entry.ended:
                self.unsure[entry] = None
            return []
        alive = entry.stands and status not in SENT
        if alive:
            entry.ended = False
        if alive and entry.refusal is None and not entry.end_text:
            self.unsure.pop(entry, None)
        events: list[OrderEvent] = []
        if alive or status == FILLED:
            events += self._accept(entry, now)
        if status == FILLED:
            events += self._too_late(entry, now)
        return events

    def _accept(self, entry: Entry, now: datetime) -> list[OrderEvent]:
        if entry.accepted or not entry.perm_id:
            return []
        entry.accepted = True
        return [OrderAccepted(entry.key, str(entry.perm_id), now)]

    def _too_late(self, entry: Entry, now: datetime) -> list[OrderEvent]:
        """What was asked for and is overtaken by the last fill."""
        events: list[OrderEvent] = []
        text = "The order was filled before it."
        if entry.replace_asked is not None:
            events.append(ReplaceRejected(entry.key, Reason.TOO_LATE, text, now))
        if entry.cancel_asked:
            events.append(CancelRejected(entry.key, Reason.TOO_LATE, text, now))
        entry.replace_asked, entry.cancel_asked = None, False
        return events

    def _end(self, entry: Entry, now: datetime) -> list[OrderEvent]:
        entry.ended, asked, entry.cancel_asked, entry.replace_asked = True, entry.cancel_asked, False, None
        if entry.refusal is not None:
            code, text = entry.refusal
            there = code == codes.NO_CONTRACT and bool(entry.exchange)  # IB knows the contract, but not there
            why = Reason.UNSUPPORTED if there else codes.reason(code, text)
            if entry.refused:
                return [OrderRejected(entry.key, why, text, now)]
            return [OrderCanceled(entry.key, why, text, now)]
        if entry.status == INACTIVE and not entry.filled:
            return [OrderRejected(entry.key, Reason.REJECTED, entry.end_text or "IB made the order inactive.", now)]
        text = entry.end_text or ("Canceled as asked." if asked else "Canceled at IB.")
        return [OrderCanceled(entry.key, translate.end_reason(entry.time_in_force, asked), text, now)]

    def error(self, number: int, code: int, text: str, now: datetime) -> list[OrderEvent]:
        """An error that names one of this client's orders."""
        entry = self.numbered(number)
        if entry is None or codes.informs(code):
            return []
        if code == codes.NO_CONTRACT and entry.exchange:
            text = f"{text} at exchange {entry.exchange}, which its route names: name another, or SMART."
        if code == codes.RATE_LIMIT:
            return self._limited(entry, text, now)
        entry.heard = True
        if code in codes.CANCEL_REFUSED and (entry.cancel_asked or entry.replace_asked is None):
            if not entry.cancel_asked or entry.ended:
                return []
            entry.cancel_asked = False
            return [CancelRejected(entry.key, codes.CANCEL_REFUSED[code], text, now)]
        if code == codes.ORDER_CANCELED:
            entry.end_text = text
            if entry.status in CANCELED and not entry.ended and entry.replace_asked is None:
                self.unsure.pop(entry, None)
                return self._end(entry, now)
        else:
            entry.refusal = (code, text)
        if not entry.ended:
            self.unsure[entry] = None
        return []

    def _limited(self, entry: Entry, text: str, now: datetime) -> list[OrderEvent]:
        """There were too many messages. A new order is in doubt; what was asked of one that works must be asked again.

        Should it have been done all the same, that is told as any change and any end is.
        """
        if entry.cancel_asked:
            entry.cancel_asked = False
            return [CancelRejected(entry.key, Reason.REJECTED, text, now)]
        if entry.replace_asked is not None:
            entry.replace_asked = None
            return [ReplaceRejected(entry.key, Reason.REJECTED, text, now)]
        entry.limited = True
        return []

    def unsent(self, entry: Entry, now: datetime) -> list[OrderEvent]:
        """An order that waited for its turn was taken back: TWS never hears of it."""
        entry.heard, entry.status, entry.waits = True, "ApiCancelled", False
        entry.end_text = "Canceled before it was sent: it waited behind other messages."
        return self._end(entry, now)

    def never_sent(self, entry: Entry, why: Entry) -> None:
        """TWS holds an order back, because another of its bracket was refused: it is to be canceled."""
        code, text = why.refusal or (0, "")
        entry.refusal = (code, f"Another order of its bracket was refused: {text}")
        self.unsure[entry] = None

    def executed(self, its: IbExecution, now: datetime) -> tuple[Entry | None, list[OrderEvent]]:
        """The order of a fill; that it was filled proves that it was accepted."""
        entry = self._find(its.clientId, its.orderId, its.permId, its.orderRef)
        if entry is None:
            return None, []
        entry.heard = True
        self._identify(entry, its.permId)
        so_far = translate.amount(its.cumQty)
        if so_far >= entry.filled:
            entry.filled, entry.average = so_far, translate.amount(its.avgPrice) or entry.average
        return entry, self._accept(entry, now)

    # when the broker was asked

    def settle(self, entry: Entry, listed: bool, now: datetime) -> list[OrderEvent]:
        """What the list of open orders, asked for after something was said of an order, means for it.

        It stays unsure when it was accepted and is neither open nor known to have ended.
        """
        alive = listed and entry.stands
        unknown = not entry.ended and not alive and entry.status not in CANCELED | {INACTIVE, FILLED}
        if unknown and (entry.refusal is None or entry.accepted or entry.filled):
            return []
        self.unsure.pop(entry, None)
        if entry.ended or entry.status == FILLED:
            return []
        if not alive:
            return self._end(entry, now)
        refusal, entry.refusal, entry.end_text = entry.refusal, None, ""
        code, text = refusal or (0, "IB left the order as it was.")
        if entry.replace_asked is not None and refusal is not None:
            entry.replace_asked = None
            return [ReplaceRejected(entry.key, codes.reason(code, text), text, now)]
        if entry.cancel_asked and refusal is not None:
            entry.cancel_asked = False
            return [CancelRejected(entry.key, codes.reason(code, text), text, now)]
        return []

    def completed(self, order: IbOrder, status: str, text: str) -> Entry | None:
        """What the list of the day's completed orders says of an order that is known here."""
        entry = self._perms.get(order.permId) or self._named.get(order.orderRef or "")
        if entry is None:
            return None
        entry.status = status
        entry.filled = max(entry.filled, translate.amount(order.filledQuantity))
        entry.end_text = entry.end_text or text
        return entry


def as_entry(
    contract: Contract, order: IbOrder, status: str, text: str, names: Iterable[str], now: datetime
) -> Entry:  # fmt: skip
    """A completed order, which has no number any more."""
    reference = order.orderRef or ""
    terms = translate.terms_in(order)
    return Entry(
        name=reference if reference in set(names) else "",
        client_id=-1,
        number=0,
        contract=contract,
        account=order.account,
        side=translate.side_in(order.action),
        order_type=translate.type_in(order.orderType),
        time_in_force=translate.time_in_force_in(order.tif),
        terms=terms,
        since=now,
        perm_id=order.permId,
        status=status,
        filled=translate.amount(order.filledQuantity),
        end_text=text,
    )
