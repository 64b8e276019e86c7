"""The embedded default broker: a counterparty of our own, with prices, a matching engine, accounts and a book file.

`PaperBroker` gives the broker contract (txgateway.brokers) over one feed: the synthetic market or a replay of files.
The way of an order through this folder:

    broker (service, latency, reports) -> exchange (orders' lives) -> matching (against what the market shows)
                                                                   -> accounts, commission (what it costs, who may)
                                       -> book (SQLite, committed before anything is reported)
    prices: feed (the contract) <- synthetic + pulse (made up), files + replay + history + player (recorded)

Everything but broker, pulse, player and book is pure: no reactor, no clock, no I/O of its own (files reads files).
"""

from __future__ import annotations

from txgateway.brokers.paper.broker import PaperBroker

__all__ = ["PaperBroker"]
