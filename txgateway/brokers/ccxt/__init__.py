"""Crypto exchanges by ccxt: one connector, spot and perpetual swaps; what differs from exchange to exchange is data.

    broker (the contract) <- orders (what is sent), endpoints (requests by hand)
                          <- session (one link: the markets, the private stream, questions, back-up polls) with its
                             lists (of orders and fills) and perpetuals (leverage, position mode): to them it is a link
                          <- exchange (ccxt's object, and every frame that comes), frames (private frames, exact)
                          <- book (what is said of each order), balances, memory (a file of names and symbols)
                          <- translate (ccxt's unified words), errors, ids, peculiarities (a table), words (nouns)
                          <- market (the public side) with its streams, books (of depth), prices, limits

ccxt's own watch_orders loses events in bursts: it is only used to subscribe, and frames are taken as they come. What
says that it is pure knows neither Twisted nor asyncio nor files.
"""

from __future__ import annotations

from txgateway.brokers.ccxt.broker import CcxtBroker

__all__ = ["CcxtBroker"]
