"""Interactive Brokers, by TWS or IB Gateway, on ib_async's client and decoder.

    broker (the contract) <- link (the socket, back-off, silence) <- client (ib_async's, paced; Inbox: what comes)
                          <- session (questions and answers of one link), told (fills wait for their commission)
                          <- directory (which contract a symbol means), lines and snapshots (prices)
                          <- book (what the messages say of each order), ticks, clock, window, pacing, numbers
                          <- translate, contracts, codes (the words)

ib_async.IB is not used: its trades vanish with the link, and it ends orders on messages that end nothing. Only broker,
link, client, session, snapshots and told know Twisted; numbers keeps a file; the rest is pure.
"""

from __future__ import annotations

from txgateway.brokers.ib.broker import IbBroker

__all__ = ["IbBroker"]
