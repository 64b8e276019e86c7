"""A person's word, where no evidence can be had: it ends an order in doubt, or settles a difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from txgateway.brokers import Broker, Can
from txgateway.differences import Differences
from txgateway.history import History
from txgateway.intake import Intake
from txgateway.ledger import Ledger
from txgateway.model.account import Position
from txgateway.model.difference import Difference, Key, What
from txgateway.model.errors import GatewayError, Reason, Refused
from txgateway.model.events import OrderResolved, VenueStatus
from txgateway.model.order import CLOSED, Order, OrderReport, OrderStatus
from txgateway.reconcile import Word
from txgateway.reconciler import Reconciler
from txgateway.tally import Tally

log = Logger()


class Settlement:
    """Each is journalled with who said it, and why."""

    def __init__(
        self,
        ledger: Ledger,
        intake: Intake,
        history: History,
        reconciler: Reconciler,
        tally: Tally,
        differences: Differences,
        brokers: Mapping[str, Broker],
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._intake = intake
        self._history = history
        self._reconciler = reconciler
        self._tally = tally
        self._differences = differences
        self._brokers = brokers
        self._clock = clock

    async def resolve(self, order_id: str, status: OrderStatus, text: str, by: str) -> Order:
        """End an order in doubt because a person says so; the broker is asked once more before, and its word wins."""
        order = await self._history.get(order_id)
        if status not in (OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED):
            raise Refused(
                Reason.UNSUPPORTED,
                f"An order cannot be resolved as {status}: CANCELED, REJECTED or EXPIRED end it; a fill only ever "
                "comes as an execution of the broker, with its price and its id.",
                order.order_id,
            )
        _require_doubt(order)
        word = await self._last_word(order)
        order = self._ledger.state.order(order.order_id) or order
        _require_doubt(order)
        if isinstance(word, OrderReport) and word.status not in CLOSED:
            raise Refused(
                Reason.NOT_WORKING,
                f"The broker still holds order {order.order_id} ({word.status}): cancel it instead.",
                order.order_id,
            )
        ended = OrderResolved(order.order_id, status, text, by, self._clock())
        return await self._ledger.written(self._ledger.record(ended))

    async def _last_word(self, order: Order) -> Word | None:
        """What the broker says of an order in doubt now; None when it cannot be asked, or does not answer."""
        broker = self._brokers.get(order.venue)
        if broker is None or self._intake.status[order.venue] is not VenueStatus.UP or Can.LOOKUP not in broker.can:
            return None
        try:
            word = await self._reconciler.look_up(order.venue, order)
        except (GatewayError, CancelledError) as error:
            log.warn("Order {order_id} could not be looked up: {error}", order_id=order.order_id, error=str(error))
            return None
        await self._ledger.settled()
        return word

    async def settle(self, name: Key, text: str, by: str) -> Difference:
        """Settle a difference because a person says so; a position is taken over as the broker shows it now.

        Of a balance the gap is, as it was found: what has been traded since stays counted.
        """
        difference = self._difference(name)
        if difference.what == What.POSITION:
            broker = self._brokers.get(difference.venue)
            if broker is None or self._intake.status[difference.venue] is not VenueStatus.UP:
                raise Refused(
                    Reason.VENUE_DOWN,
                    f"Venue {difference.venue} is not up: its position can be taken over when it is.",
                )
            theirs = await broker.positions()
            difference = self._difference(name)
            symbol = (difference.account, difference.key)
            held = next((each for each in theirs if (each.account, each.symbol) == symbol), None)
            flat = Position(difference.venue, *symbol, Decimal(0))
            self._tally.take_position(held or flat, difference.venue)
        elif difference.what == What.BALANCE:
            self._tally.take_gap(difference)
        self._differences.gone(name, text, by)
        await self._ledger.settled()
        return replace(difference, resolved=self._clock(), text=text)

    def _difference(self, name: Key) -> Difference:
        found = self._ledger.state.differences.get(name)
        if found is None:
            venue, account, what, key = name
            whose = f" of account {account}" if account else ""
            raise Refused(
                Reason.NO_SUCH_DIFFERENCE,
                f"No difference over {what} {key}{whose} is open at {venue}: query_differences lists them.",
            )
        return found


def _require_doubt(order: Order) -> None:
    if order.status is not OrderStatus.UNKNOWN:
        raise Refused(
            Reason.NOT_WORKING,
            f"Order {order.order_id} is {order.status}: only an order that is UNKNOWN is ended by hand.",
            order.order_id,
        )
