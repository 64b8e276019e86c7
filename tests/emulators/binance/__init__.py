"""An emulated counterparty: Binance, spot and USD-M futures, on real sockets. It shares no code with txgateway or ccxt.

    python -m tests.emulators.binance --port 8081 --control 8082      by hand; --help has the rest
    echo '{"do": "help"}' | nc -q1 127.0.0.1 8082                     what it can be told, one JSON object a line

In tests: `crypto.process.Process("binance", "--tick", "0").start()` is a process with `do(command, …)`; inside the
test's own loop `server.Binance(Options(tick=0))`, whose `BinanceControl` has the same commands as methods.

All is on one port, as the hosts of Binance tell it apart by its paths:

    /api/v3/…                  spot's REST (and a little /sapi/v1)       /ws-api/v3     spot's WebSocket API
    /fapi/v1, v2, v3/…         futures' REST
    /ws, /stream               spot's market streams
    /public/ws, /market/ws     futures' market streams: books, tickers of books and trades at the first, the rest at the
                               second (and /stream in place of /ws)
    /private/ws?listenKey=…    futures' user data (also /private/ws/KEY)

User data of spot comes by `userDataStream.subscribe.signature` at the WebSocket API, as events with a subscriptionId;
listen keys of spot are gone (410). A futures stop is a conditional order (/fapi/v1/algoOrder) with an id of its own;
when it is triggered a new order with the same client id takes its place, whose events come before its ALGO_UPDATE.

Followed from Binance's documents: signatures over query and body, -1021 and the recvWindow, -1022, -2014, -2015; the
filters (-1013, -4014, -1111, -4164…), -2010, -2011, -2013, -2019, -2022, -4061, -5022; unknown parameters of a spot
order (-1104); client ids unique among open orders; cancelReplace with 400 and 409; myTrades of 24 hours and userTrades
of 7 days at most (-1127); weights and order counts in the headers, 429 and 418 with Retry-After when limits are kept.

Where they say nothing certain, this is our choice: an instrument's levels are told at once, not every 100 ms; market
streams tell nothing when one subscribes, only what changes; open orders of a spot pair are all cancelled at once;
a margin call is not told; spot's self-trade prevention is not done: own orders trade with each other.
"""
