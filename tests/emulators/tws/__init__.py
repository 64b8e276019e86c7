"""An emulated counterparty: Interactive Brokers' TWS on a real TCP socket, which shares no code with txgateway.

    python -m tests.emulators.tws --port 7497 --control 7498          by hand; --help has the rest
    echo '{"do": "help"}' | nc -q1 127.0.0.1 7498                     what it can be told, one JSON object a line

In tests: `process.Tws("--tick", "0").start()` is a process with `do(command, …)`. Inside the test's own reactor runs
`server.Emulator(Options(…), reactor)`; `control.Control(emulator)` has the same commands as methods. `faults.KINDS` is
the list of what can go wrong.

The wire, text fields of server versions 157 to 178. A client sends `API\\0`, then messages with four bytes of length
before them, each field ended by a NUL; the first is its range of versions (v157..178), ours the version and the time.
Then by number, asked -> told:

    71 start -> 15 accounts, 9 nextValidId, notices 2104, 2106, 2158     or error 326: the client id is in use
    3 place or change -> 5 openOrder and 3 orderStatus, at a fill 11 execDetails, 5, 3, 59 commissionReport
    4 cancel, 58 global cancel -> 3 PendingCancel, 5 and 3 Cancelled, error 202
    5, 16 open orders -> 5 and 3 each, 53        99 completed orders -> 101, 102       7 executions -> 11, 59, 55
    61 positions -> 61, 62                       6 account updates -> 7, 6, 8, 54      76 -> 73, 74    62 -> 63, 64
    92, 94 profit and loss -> 94, 95             9 contract details -> 10, 52          78 -> 75, 76    81 -> 79
    1 market data -> 58, 81, 1, 2, 45, 46, 57    97 tick by tick -> 99                 59 its type     91 -> 93
    20 bars -> 17, then 90 if they are kept up   87 -> 88                              49 time -> 49   8 -> 9

The released ib_async 2.1 connects and trades on this in the tests, in every version; IB's own client (ibapi 10.46),
tried by hand in every version, reads all of it too: contracts, ticks, bars, orders, accounts, what-ifs, sessions.
What IB's documents and years of users' logs say about behaviour is followed: an order id that is open is a change; one
that has ended, or is lower than one that the client has used or seen, is error 103; a client hears only of its own
orders, live, and of others' by 16; completed orders have neither id nor client; a rejected order is Inactive behind
its 201; a failed change is a 201 alone; cancels that come too late are 10148; a
child that names a parent which is over, in a change too, is error 135; children wait for their parent, and share an OCA
group named by its permId; when one order of a group is cancelled, all are (`oca_cancels`).

A snapshot of market data (1 with its flag, without generic ticks: else 321) tells each tick once, then 57: when bid,
ask, last price and close were told, or after eleven seconds. It is a line of the hundred (101) while it lasts, and
stands beside a stream of the same contract. Without a subscription to the data: 354 or 10089, or 10167 and delayed
ticks. A cancel of one that has ended is error 300.

Where nobody says anything certain, this is our choice: orders that are not transmitted are told to nobody; children
become live when the parent is filled whole; they end with a parent that is cancelled, though it was partly filled;
stops are reached by trades, those of currency pairs by the other side's quote; account values are told at each fill;
what is shown at a price is gone once it was filled, until the next quote; a lost server (1100) keeps orders, and what
is told of them, until it is back; of a corrected execution only the correction is in the list; permIds and execution
ids are never given anew; five-second bars, depth, news, scanners, combos and conditions are refused.
"""
