"""What goes wrong on purpose, when it is asked for: each fault with a chance, a count, seconds, a symbol. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tests.emulators import faults

KINDS = {
    "lost_ack": "The poke is done; neither its ack nor its status nor any row of that moment is told.",
    "lost_poke": "The poke is neither done nor answered.",
    "refused_poke": "A poke's ack is POKE_FAILED; it is not done, no status comes.",
    "refused_connect": "A connect's OnInitAck has status \"0\": there is no such connection.",
    "broken_request": "A request is acknowledged and half answered, then ends with OnTerminate.",
    "late_fill": "A fill's row is told so many seconds late (2); the order's own row is not late.",
    "duplicated_fill": "A fill's row is told again so many seconds later (0).",
    "reordered_fills": "A fill's row is told after the next one's, or so many seconds later (1).",
    "fill_after_cancel": "A cancel finds half of the rest filled: the kill is told, seconds later (1) the fill.",
    "cancel_race": "The order is filled while its cancel is on the way, which is refused: too late.",
    "half_replace": "Of a change's two values one is done (of stop price, price, volume the first); it is told done.",
    "rejected_replace": "A change is refused: its row is DELETED with a REASON, the order is as it was.",
    "rejected_order": "A ClerkReject, and the order DELETED.",
    "id_rollback": "The order ids begin again at 1: ids of orders that have ended are given anew.",
    "mute_feed": "A quote or trade is not told, nor what follows for so many seconds.",
    "half_open": "At a poke the link goes dead: nothing is read, nothing told, nothing closed.",
    "dropped_link": "At a poke the link breaks: before it is done, after it, or (without `when`) either.",
    "rate_limit": "A poke's status is \"0\"; seconds later (0.1) it is done all the same; without `arrives` perhaps.",
    "slow_broker": "A line is taken up so many seconds later (1).",
    "terminated_advise": "At a poke every advise ends with OnTerminate; the link stays.",
    "restart": "At a poke, which is done, the emulator ends its links and is back so many seconds later (1).",
    "restart_empty": "The same, back with an empty book.",
}  # fmt: skip


@dataclass(slots=True)
class Faults(faults.Faults):
    """Those that are set."""

    known = KINDS
