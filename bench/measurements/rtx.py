"""Beside txTrader's released daemon: the same calls, orders and quotes, each daemon on an emulated rtgw of its own.

txTrader keeps nothing on a disk: an order of ours waits for the journal's sync before it goes out, and each fill before
it is told. txTrader has one order's check, the account's name; ours has all its limits.
It knows accounts and prices as we do, and asks rtgw for orders, executions, positions and account data each time anew,
which we are told of as they change (account data we ask for too): there the emulator's speed is in its figures, and the
CPU time of the daemon alone, in the note, is the fairer one.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.against import Side
from bench.commits import synced_commit
from bench.figures import Figure
from bench.percentiles import median
from bench.processes import request
from bench.released import ACCOUNT, SYMBOL, Peer, ours, rush, theirs
from bench.runs import in_turns
from bench.workshop import QUOTES, Workshop, market_orders

CLIENTS = 4
LISTENERS = (1, 10, 100)
HEARS_ORDERS = QUOTES.replace("quotes", "order-notification")
FEW = 10
CALLS = {
    "status": "/status",
    "query_accounts": "/query_accounts",
    "query_symbol": f"/query_symbol?symbol={SYMBOL}",
    "query_symbols": "/query_symbols",
    "query_account": f"/query_account?account={ACCOUNT}",
    "query_positions": "/query_positions",
    "query_order": "/query_order?id=",
    "query_orders": "/query_orders",
    "query_executions": "/query_executions",
}

LISTS = ("query_orders", "query_executions")


def measure(workshop: Workshop) -> Sequence[Figure]:
    """Memory first, of daemons that do nothing else; then calls, orders and quotes of two others."""
    found = _memory(workshop)
    with ours(workshop.new_folder()) as first, theirs(workshop.new_folder()) as second:
        rtx = _SideBySide(workshop, first, second)
        for name in CALLS:
            found.append(rtx.calls(name, f"{name}, {FEW} orders" if name in LISTS else name))
        found += rtx.trips()
        found.append(rtx.orders())
        found += [rtx.quotes(listeners) for listeners in LISTENERS]
    return found


class _SideBySide:
    """The two, with ten orders each."""

    def __init__(self, workshop: Workshop, first: Peer, second: Peer) -> None:
        self._workshop = workshop
        self._peers = (first, second)
        self._seconds = workshop.scale.seconds / 2
        self._orders = market_orders(ACCOUNT, [SYMBOL])
        for peer in self._peers:
            workshop.do("calls", port=peer.server.port, requests=self._orders, clients=1, count=FEW)

    def calls(self, path: str, name: str) -> Figure:
        """Requests a second of one call."""
        sides = [self._side(peer, [request(CALLS[path] + self._id(peer, path))]) for peer in self._peers]
        return self._rates(f"rtx: {name}", sides, f"{CLIENTS} keep-alive connections")

    def orders(self) -> Figure:
        """market_order from eight clients."""
        sides = [self._side(peer, self._orders, 8) for peer in self._peers]
        return self._rates("rtx: market_order, 8 clients", sides, "answered")

    @staticmethod
    def _id(peer: Peer, path: str) -> str:
        return str(next(iter(peer.server.call("query_orders")))) if path == "query_order" else ""

    def _side(self, peer: Peer, requests: Sequence[str], clients: int = CLIENTS) -> Side:
        return Side(self._workshop, peer.server, peer.server.port, requests, clients, self._seconds)

    def _rates(self, name: str, sides: Sequence[Side], note: str) -> Figure:
        found = in_turns(self._workshop.scale.turns, *(side.turn for side in sides))
        note += f"; CPU of the daemon a request {sides[0].cost} against {sides[1].cost}"
        return Figure(name=name, unit="/s", value=found.first, yardstick=found.second, ratio=found.ratio, note=note)

    def trips(self) -> Sequence[Figure]:
        """One client's market orders, to the answer and to the stream; the disk is asked between the turns."""
        turns = self._workshop.scale.turns
        taken: list[tuple[dict[str, float], dict[str, float]]] = []
        folder, commits = self._workshop.new_folder(), []
        for _ in range(turns + (turns > 1)):
            taken.append((self._trips(self._peers[0]), self._trips(self._peers[1])))
            commits.append(1000 * synced_commit(folder, self._workshop.scale.commits))
        disk = f"ours waits for two syncs of the journal; a synced SQLite commit took {median(commits):.2f} ms"
        told = "from the request to the line of the stream that says Filled"
        return [
            _trip("rtx: market_order, answered, p50", "answered", f"the whole answer; {disk}", taken[-turns:]),
            _trip("rtx: market_order, answered, p99", "answered_p99", "", taken[-turns:]),
            _trip("rtx: market_order, told filled, p50", "filled", told, taken[-turns:]),
            _trip("rtx: market_order, told filled, p99", "filled_p99", "", taken[-turns:]),
        ]

    def _trips(self, peer: Peer) -> dict[str, float]:
        ports = {"port": peer.server.port, "stream": peer.server.stream_port}
        return self._workshop.do("trips", login=HEARS_ORDERS, requests=self._orders, seconds=self._seconds, **ports)

    def quotes(self, listeners: int) -> Figure:
        """Lines a second that arrive at so many stream clients together; quotes come as fast as they are read."""
        costs = ([0.0, 0.0], [0.0, 0.0])

        def turn(at: int) -> float:
            peer, cost = self._peers[at], costs[at]
            job = {"port": peer.server.stream_port, "clients": listeners, "login": QUOTES, "quiet": "", "symbols": ()}
            told = {"control": peer.emulator.control, "begin": rush(SYMBOL), "end": rush()}
            before = peer.server.cpu()
            done = self._workshop.do("count", seconds=self._workshop.scale.seconds, **job, **told)
            cost[0] += peer.server.cpu() - before
            cost[1] += done["seen"]
            return float(done["rate"])

        found = in_turns(self._workshop.scale.turns, lambda: turn(0), lambda: turn(1))
        own, other = (1_000_000 * cpu / lines for cpu, lines in costs)
        return Figure(
            name=f"rtx: quotes to {listeners} client{'s' * (listeners > 1)}",
            unit="lines/s",
            value=found.first,
            yardstick=found.second,
            ratio=found.ratio,
            note="as fast as the emulator can, and to one client that is the limit; "
            f"CPU of the daemon a line {own:.1f} µs against {other:.1f} µs",
        )


def _trip(name: str, key: str, note: str, taken: Sequence[tuple[dict[str, float], dict[str, float]]]) -> Figure:
    return Figure(
        name=name,
        unit="ms",
        value=1000 * median(first[key] for first, _ in taken),
        yardstick=1000 * median(second[key] for _, second in taken),
        ratio=median(first[key] / second[key] for first, second in taken),
        note=note,
    )


def _memory(workshop: Workshop) -> list[Figure]:
    """Resident memory with nothing done, and after so many orders and a look at all of them."""
    orders = workshop.scale.orders // 50
    seen = []
    for peer_in in (ours, theirs):
        with peer_in(workshop.new_folder()) as peer:
            fresh = peer.server.memory()
            requests = market_orders(ACCOUNT, [SYMBOL])
            workshop.do("calls", port=peer.server.port, requests=requests, clients=CLIENTS, count=orders)
            peer.server.ask_for_all()
            seen.append((fresh, peer.server.memory()))
    names = ("rtx: memory, Up with one symbol", f"rtx: memory, after {orders:,} orders")
    note = "and after all of them and their executions were asked for once"
    return [
        Figure(name=name, unit="MB", value=first, yardstick=second, ratio=first / second, note=note * at)
        for at, (name, first, second) in enumerate(zip(names, *seen, strict=True))
    ]
