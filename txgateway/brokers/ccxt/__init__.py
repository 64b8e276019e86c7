"""Crypto exchanges by ccxt: one connector, spot and perpetual swaps; what differs from exchange to exchange is data.

    broker (the contract) <- session (one link: the markets, the private stream, questions, back-up polls)
                          <- exchange (ccxt's object, and every frame that comes), frames (private frames, exact)
                          <- book (what is said of each order), balances, memory (a file of names and symbols)
                          <- translate (ccxt's unified words), errors, ids, peculiarities (a table), words (nouns)
                          <- market, depth, prices, limits (the public side)

ccxt's own watch_orders loses events in bursts: it is only used to subscribe, and frames are taken as they come. Only
broker, session, exchange and memory know Twisted, asyncio or files; the rest is pure.
"""

from __future__ import annotations

from txgateway.brokers.ccxt.broker import CcxtBroker

__all__ = ["CcxtBroker"]
