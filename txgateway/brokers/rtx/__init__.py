"""Realtick, by its gateway rtgw: text lines out, JSON lines in, on one TCP link with logical connections in it.

    broker (the contract) <- link (the socket, back-off, silence) <- protocol (the wire, without sockets)
                          <- pool (logical connections), throttle (messages a second)
                          <- quotes (who is listened to) <- market (prices, bars, the clock)
                          <- book (what the rows say of each order) <- translate (fields)

Only broker, link, pool, quotes and throttle know Twisted; the rest is pure.
"""

from __future__ import annotations

from txgateway.brokers.rtx.broker import RtxBroker

__all__ = ["RtxBroker"]
