"""The embedded default broker: a counterparty of our own, with prices, a matching engine, accounts and a book file.

`PaperBroker` gives the broker contract (txgateway.brokers) over one feed: the synthetic market, a replay of files, or
another venue's live prices.
The way of an order through this folder, and of prices to it:

    broker (service, questions) <-> link (the doors in and out) <- latency (the way), faults (what goes wrong on it)
                                 -> exchange (orders' lives) -> admission (may it come in) -> accounts, commission
                                                             -> matching (against what the market shows)
                                 -> book, rows (SQLite, committed before anything is told)
    feed (the contract) <- pulse (made up) <- synthetic <- days, names
                        <- player (recorded) <- replay, history <- files
                        <- venue (another venue's, live)

Only broker, link, latency, pulse and player know a reactor; only book and files touch files. The rest is pure.
"""

from __future__ import annotations

from txgateway.brokers.paper.broker import PaperBroker

__all__ = ["PaperBroker"]
