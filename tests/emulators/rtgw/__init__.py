"""An emulated counterparty: Realtick's rtgw on a real TCP socket, which shares no code with txgateway.

    python -m tests.emulators.rtgw --port 51070 --control 51071        by hand; --help has the rest
    echo '{"do": "help"}' | nc -q1 127.0.0.1 51071                     what it can be told, one JSON object a line

In tests: `process.Rtgw("--tick", "0").start()` is a process with `do(command, …)`. Inside the test's own
reactor runs `server.Emulator(Options(…), reactor)`; `control.Control(emulator)` has the same commands as methods.

The wire. A client sends lines, empty ones mean nothing; we answer with JSON lines {"type", "id", "data"}:

    connect ID SERVICE;TOPIC          ack CONNECTION PENDING, status OnInitAck
    request ID TABLE;WHAT;WHERE       ack REQUEST_OK, responses {"row", "complete"}; nothing found: one row null
    advise ID TABLE;WHAT;WHERE        ack ADVISE_OK, status OnOtherAck, then updates {"row"}; no first row
    adviserequest ID …                ack ADVISE_REQUEST_OK, responses, status OnOtherAck, then updates
    unadvise ID …                     (the advise's own text) ack UNADVISE_OK, status OnOtherAck
    poke ID ORDERS;*;!FIELD=VALUE,…   ack POKE_OK, status OnOtherAck; what comes of it is told by the advises of ORDERS
    execute ID …, terminate ID …      ack EXECUTE_OK, TERMINATE_OK

The released txTrader 1.14.29, which reaches Up and trades against this, was taken to be right about its wire. It and
RealTick's public document "Order Entry with RealTick APIs" (2012) say more than our first notes on rtgw, or otherwise:

* A request has no status after its ack: one would fail it.
* ORDERS has a row an event, not one an order: UserSubmitOrder (the order's own, told again after each event),
  ExchangeAcceptOrder, ExchangeTradeOrder, ExchangeKillOrder, ClerkReject, UserSubmitChange, UserSubmitCancel, each with
  an ORDER_ID of its own and the order's ORIGINAL_ORDER_ID. A request gives the oldest first (txTrader takes the first
  row's TYPE for the order's), so that the last row is not the order's state.
* A cancelled order's own row ends DELETED, as a rejected one's does; an ExchangeKillOrder (REASON "User cancel") or a
  ClerkReject tells which. txTrader shows DELETED as Error. It knows CANCELLED, too: `--killed CANCELLED` ends so.
* A refused change or cancel is its own row DELETED with a REASON; the order lives on.
* WHERE knows sets, CURRENT_STATUS={'LIVE','PENDING'}: txTrader's global cancel asks so.
* LIVEQUOTE always answers with a row, for an unknown symbol with SYMBOL_ERROR; a row of null would stop txTrader.
* DAILY has the text "Error 17" in TRDTIM_1, not a list; without bars every field has.
* CLIENT_ORDER_ID is on the order's own row only: txTrader drops a row with another order's while it waits for one.
* txTrader cannot send a stop limit order (it raises), and its cancel_order answers with the poke's status.

Where nobody says anything, this is our choice: a poke that means nothing is acknowledged with POKE_ERROR and is a
violation (see `status`); a CLIENT_ORDER_ID sent twice is a second order, and a violation; VOLUME of a change is the new
whole; a killed order has ORDER_RESIDUAL 0; a bar is named by its start; ids look like emu-000001; the market is open
day and night; LONGPOS0, SHORTPOS0 are what the day began with; trades reach stops, quotes do not; FILL_ID is never
given twice, and is the same for a fill of a child order and of its ticket.
"""
