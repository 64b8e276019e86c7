"""An emulated Coinbase: Advanced Trade and Exchange, their REST and WebSockets on one real socket, over one book.

    python -m tests.emulators.coinbase --port 0 --control 0     by hand; --help has the rest
    echo '{"do": "keys"}' | nc -q1 127.0.0.1 PORT               what to sign with; {"do": "help"}: what it can be told

In tests: `CoinbaseEmulator(Options(tick=0)).start()` in a running loop, or `Process("coinbase", "--tick", "0")`.
It shares no code with txgateway or ccxt: what it says was written from the documents at docs.cdp.coinbase.com. ccxt
and ccxt.pro (`coinbase`, `coinbaseexchange`), which nobody of us wrote, trade on it in the tests.

    /api/v3/brokerage/…, /v2/…      Advanced Trade: CB-ACCESS-KEY, -SIGN, -TIMESTAMP (legacy key), or a Bearer JWT, by
                                    ES256 or EdDSA (CDP keys), whose uri must be the request's
    WS /ws/advanced                 subscribe to a channel: level2 (told as l2_data), market_trades, ticker, candles,
                                    ticker_batch, heartbeats, user; a connection's messages are numbered from 0
    /products, /orders, /fills, …   Exchange: CB-ACCESS-KEY, -SIGN (base64), -TIMESTAMP, -PASSPHRASE
    WS /ws/exchange                 subscribe to channels: level2, level2_batch, matches, ticker, heartbeat, full, user
    WS /                            either, by what is asked first (both venues' real addresses have no path)

What the documents say is followed. Advanced Trade: a market buy needs a quote_size, which pays the fees as well, a sell
a base_size; a client_order_id that was there before is answered with that order, for ever; a refused order is answered
200 with `success` false, a failed edit too; cancels have a result each; `user` begins with every open order and then
tells how an order is, not what was filled; nothing is told of balances. Exchange: client_oid is a UUID; POST answers
`pending` whatever happens at once; a post-only order that would take is answered 200 `rejected`; a cancelled order
without fills may be forgotten (404; control `purge`); DELETE answers the id; fills and orders have pages by CB-AFTER;
the side of a match is that of the order that rested; level2, full and user need a signature, level2_batch (each 50 ms)
does not; stops are limit orders with `loss` or `entry`. Whoever does not subscribe within five seconds is hung up on.

Where nobody says anything certain, this is our choice: two open orders on Exchange cannot have one client_oid, later
ones may; our own orders trade with each other; `full` tells an owner's own life of orders and others' trades only; an
order id is a UUID with a number in it; futures, portfolios, conversions and transfers are not there. An account is the
same on both venues: give two keys (`--key`) to keep them apart.
"""
