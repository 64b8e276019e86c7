"""What goes wrong on purpose, when it is asked for: each fault with a chance, a count, seconds, a symbol. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tests.emulators import faults

KINDS = {
    "lost_ack": "An order, change or cancel is done; nothing of that moment is told.",
    "lost_order": "An order, change or cancel is neither done nor answered.",
    "late_ack": "An order, change or cancel is done; what is told of that moment is told so many seconds later (1).",
    "code_10349": "Behind an order's acceptance comes 10349 (TIF set by preset), which is no cancel: the order lives.",
    "rejected_order": "Error 201, and the order Inactive (`when` Cancelled: that).",
    "held_short": "404, and the order waits PreSubmitted, whyHeld locate, until it is accepted by the control.",
    "rejected_replace": "Error 201 for a change; the order lives as it was, and nothing else is told.",
    "half_replace": "Of a change's values one is done (of stop, limit, quantity the first); it is told as done.",
    "rejected_cancel": "Error 10148 for a cancel that could have been done; the order lives.",
    "duplicated_status": "An order's openOrder and orderStatus are told twice, as the real one often does.",
    "late_fill": "A fill's execDetails come so many seconds late (2); the order's status does not.",
    "duplicated_fill": "A fill's execDetails and commission are told again so many seconds later (0).",
    "reordered_fills": "A fill's execDetails come after the next one's, or so many seconds later (1).",
    "late_commission": "A fill's commissionReport comes so many seconds late (1), with -1 never.",
    "corrected_fill": "A fill is told again with a corrected price a tick worse: its id differs behind the last dot.",
    "untold_fee": "At a fill a dollar more is taken than its commissionReport tells.",
    "fill_after_cancel": "A cancel finds half of the rest filled: Cancelled is told, seconds later (1) the fill.",
    "cancel_race": "It is filled while its cancel is on the way: 10148, then the fill (`when` after: 10148 last).",
    "id_rollback": "At a client's start its nextValidId is 1 again, and ids of orders that have ended are free.",
    "client_in_use": "Error 326 at a client's start, and the link is closed.",
    "mute_feed": "A tick is not told, nor what follows for so many seconds.",
    "half_open": "At an order, change or cancel the link goes dead; seconds later, if given, the gateway finds out.",
    "dropped_link": "At an order, change or cancel the link breaks: `when` before or after it is done, or either.",
    "rate_limit": "Error 100 for an order, change, cancel: seconds later (0.1) done if it `arrives`, or by chance.",
    "slow_broker": "A message is taken up so many seconds later (1); `when` orders: only those about orders.",
    "no_answer": "A request for data is never answered.",
    "pacing": "A request for bars is refused with 162.",
    "restart": "At an order, change or cancel, which is done, TWS ends its links, and is back seconds later (1).",
    "restart_empty": "The same, back with an empty book.",
}


@dataclass(slots=True)
class Faults(faults.Faults):
    """Those that are set."""

    known = KINDS
