"""An emulated WOO X: spot pairs and perpetuals, its REST (v1, v3) and WebSockets (v2) on a real socket.

    python -m tests.emulators.woo --port 0 --control 0          by hand; --help has the rest
    echo '{"do": "help"}' | nc -q1 127.0.0.1 PORT               what it can be told, one JSON object a line

In tests: `WooEmulator(Options(tick=0)).start()` in a running loop, or `process.Process("woo", "--tick", "0").start()`.
It shares no code with txgateway or ccxt: what it says was written from the documents at developer.woox.io and
docs.woox.io. ccxt and ccxt.pro, which nobody of us wrote, trade on it in the tests.

    /v3/public/…, /v1/public/…                      market data, signed by nobody
    /v3/trade/…, /v3/asset/…, /v3/futures/…, …      x-api-key, x-api-timestamp, x-api-signature (hexadecimal HMAC-SHA256
                                                    of timestamp + method + path with query + body)
    /v1/…                                           the same of parameters in order + | + timestamp
    WS /ws/stream[/APPLICATION]                     topics such as SPOT_BTC_USDT@trade, bbos
    WS /v2/ws/private/stream/APPLICATION            event auth, then executionreport, algoexecutionreportv2, balance,
                                                    position

What the documents say is followed: a spot market buy needs an `amount`, a sell a `quantity`; client ids are integers
from 0 (none) to 2^63-1, of which no two open orders have the same; cancels and edits answer CANCEL_SENT and EDIT_SENT,
and the executionreport tells what became of them (msgType 0 a new state, 1 an edit is refused, 2 a cancel is refused,
3 it is cancelled); stops are algo orders with ids of their own, and whether a STOP is a STOP_LOSS or a TAKE_PROFIT is
seen from the market; the server pings with events every ten seconds and hangs up on who does not answer; one wallet
pays for all; fees are taken of what is received, those of perpetuals in USDT; refusals have HTTP 400 and a code, too
many requests 429 and -1003.

Where nobody says anything certain, this is our choice: a triggered algo order's order has its client id; a post-only
order that would take is refused with -1012; a changed order's report says NEW or PARTIAL_FILLED; `orderbook` is told
at each change and not each second; -1011 (`Can not place/cancel orders`) is what is said of an order of which nobody
knows; parameters that are unknown are not refused but a violation (see `status`). OCO, brackets and trailing stops are
refused with 317167; the v3 streams with listen keys are not there.
"""
