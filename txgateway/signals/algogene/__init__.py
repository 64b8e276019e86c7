"""ALGOGENE's REST calls, spoken by the gateway: a script written for algogene.com changes its base URL alone.

    GET  session              user, api_key -> {"res": {"expired_utc": "YYYY-MM-DD HH:MM:SS.ffffff", "token": ...}}
    POST open_order           -> {"status": "PENDING_TO_FILL", "timestamp_utc": ..., "tradeID": 746805590705}
    POST close_orders         tradeIDs (192, "192,193") or orderRef -> {"res": ..., "status": "SUCCESS"}
    POST cancel_orders        tradeIDs -> the same
    POST update_opened_order, update_pending_order          tradeID -> {"res": ..., "status": "SUCCESS"}
    GET  opened_trades, query_order, pending_trades         [tradeID] -> {"count": n, "res": [{...}]}
    GET  accounts, positions, balance                       of the source's account
    GET  history_price, list_instrument, realtime_price     of its venue; without a session

Every call carries `user` and `api_key`, those of the account its session's `token` too: a GET in its query, a POST in a
JSON body, whatever its Content-Type. What is refused is HTTP 400 with a sentence in `res`.

A trade is a strategy of its own, named by its tradeID, with one entry and what is attached to it. The shapes are those
of the published example and of ALGOGENE's own clients; members are in their order, by name.
"""

from txgateway.signals.algogene.answers import Price, Trade
from txgateway.signals.algogene.fields import Fields
from txgateway.signals.algogene.language import FREE, TRADING, Algogene, opening_key

__all__ = ["FREE", "TRADING", "Algogene", "Fields", "Price", "Trade", "opening_key"]
