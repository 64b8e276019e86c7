"""What goes wrong on purpose, when it is asked for: each fault with a chance, a count, seconds, an instrument. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tests.emulators import faults

KINDS = {
    "lost_ack": "An order, change or cancel is done and nothing of that moment is told: `when` hang (never answered), "
    "drop (the connection is broken) or unknown (the venue's answer that says that it does not know).",
    "lost_order": "An order, change or cancel is neither done nor answered; `when` as of lost_ack.",
    "late_ack": "An order, change or cancel is done; what the stream tells of that moment comes seconds later (1).",
    "rejected_order": "An order is refused by the exchange.",
    "rejected_replace": "A change is refused; the order lives as it was.",
    "half_replace": "Of a change's values one is done; where a change is a new order, the old one ends without it.",
    "rejected_cancel": "A cancel that could have been done is refused; the order lives.",
    "late_fill": "A fill is told by the stream so many seconds late (2).",
    "duplicated_fill": "A fill is told again so many seconds later (0).",
    "reordered_fills": "A fill is told after the next one, or so many seconds later (1).",
    "untold_fee": "At an order one of the quote asset is taken that no fill tells; with seconds it comes back.",
    "fill_after_cancel": "A cancel finds half of the rest filled: the cancel is told, seconds later (1) the fill.",
    "cancel_race": "The order is filled while its cancel is on the way, which comes too late.",
    "mute_feed": "A quote or trade is not told, nor what follows for so many seconds.",
    "half_open": "At an order, change or cancel every connection goes dead; seconds later, if given, all break.",
    "dropped_link": "At an order, change or cancel all connections break: `when` before or after it is done, or "
    "either; nobody can connect for so many seconds (1).",
    "rate_limit": "An order, change or cancel is answered 'too many requests': done seconds later (0.1) if it "
    "`arrives`, or never.",
    "slow_broker": "A request is taken up so many seconds later (1); `when` orders: only those about orders.",
    "no_answer": "A question (no order command) is never answered.",
    "server_error": "A question is answered 502 with a page of HTML.",
    "lost_diff": "A change of an order book is not told: the next one's numbers do not follow.",
    "restart": "At an order, change or cancel, which is done, all connections end; back seconds later (1).",
    "restart_empty": "The same, back with an empty book and the money of the start.",
}


@dataclass(slots=True)
class Faults(faults.Faults):
    """Those that are set."""

    known = KINDS
