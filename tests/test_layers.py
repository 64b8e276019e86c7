"""The import table: it is the architecture. A new file needs a row here; a new arrow needs a reason."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("txgateway", "txgateway_client", "txgateway_monitor")

# Who may import whom. `brokers` is the family's contract, its __init__; `brokers.*` are its members, each a
# module or a folder that may import itself but no other member. `*` is everything. `txgateway`, which has the
# version, is open to all of the daemon.
MAY_IMPORT = {
    # composition
    "__main__": "cli config",
    "cli": "service config logs",
    "logs": "",
    "service": "*",
    "banner": "config",
    "ports": "config tls",
    "roster": "users access ledger model",
    "venues": "absent bounded brokers feed flaps gateway localdays publisher relay vitals model",
    "localdays": "",
    "config": "agreement options variables settings sources brokers model",
    "agreement": "variables",
    "variables": "settings sources model",
    "settings": "model",
    "certs": "config",
    "tls": "",
    "users": "config settings passwords model",
    "sources": "shapes model",
    "invitation": "signals.proquant model",
    "admission": "access model",
    "proquant": "wire model",
    # edges
    "servers": "api wire feed access logins model",
    "links": "",
    "futures": "",
    "options": "",
    "servers.*": (
        "links servers api commands wire render documents lines bulletins audience outlet publisher feed access logins "
        "admission signaling blotter signals signals.algogene model"
    ),
    "brokers": "model",
    "brokers.*": "brokers futures options model",
    "journal": "model codec",
    "journal.*": "journal chain codec model",
    "bots": "",
    "bots.supervisor": "bots config",
    "bots.link": "bots txgateway_client txgateway_monitor",
    "bots.__main__": "bots bots.link",
    "logins": "access passwords model",
    # what clients see
    "render": "api gateway stories codec wire model",
    "documents": "api gateway commands model",
    "stories": "model",
    "lines": "wire model",
    "bulletins": "lines wire model",
    "audience": "bulletins model",
    "resume": "life audience bulletins state wire model",
    "outlet": "audience resume lines",
    "publisher": "audience outlet resume bulletins gateway state feed lines wire model",
    # commands
    "api": "api.* gateway signaling proquant feed vitals access commands brokers model",
    "api.*": "api vitals gateway families intake feed signals sources invitation access bars commands brokers codec "
    "model",
    "bars": "model",
    "commands": "model",
    "feed": "brokers model",
    # signals
    "signaling": "carrier grounds intents keys sizing signals sources gateway risk journal brokers model",
    "carrier": "grounds turns intents revisions sizing standing gateway feed state brokers model",
    "grounds": "intents revisions sizing standing tickers gateway feed brokers model",
    "turns": "model",
    "revisions": "amends gateway sizing standing model",
    "blotter": "bars carrier gateway feed keys signals signals.algogene state brokers model",
    "standing": "state model",
    "intents": "sizing model",
    "sizing": "model",
    # the desk
    "gateway": (
        "amends cancels checks errands exits flatten guard halts leases missed outbound pricing rounds settlement "
        "tally tickets intake reconciler differences ledger history risk state journal brokers model"
    ),
    "checks": "exits families guard halts risk state brokers model",
    "rounds": "",
    "pricing": "guard intake model",
    "outbound": "intake ledger halts risk brokers model",
    "settlement": "differences history intake ledger reconcile reconciler tally brokers model",
    "amends": "exits halts history intake ledger risk brokers model",
    "cancels": "intake state model",
    "errands": "intake ledger brokers model",
    "leases": "cancels intake ledger model",
    "flatten": "cancels intake differences ledger history state brokers model",
    "keeper": "gateway halts exits families state brokers model",
    "tickets": "intake ledger brokers model",
    "reconciler": "keys tally missed look intake differences ledger history state reconcile journal brokers model",
    "tally": "missed look intake differences ledger reconcile brokers model",
    "missed": "look intake state brokers model",
    "look": "reconcile model",
    "intake": "keys differences ledger history state reconcile journal brokers model",
    "differences": "keys ledger state model",
    "guard": "risk state model",
    "ledger": "keys state journal model",
    "history": "keys circumstances life state journal brokers model",
    "circumstances": "model",
    "snapshots": "state codec journal model",
    "absent": "brokers model",
    "flaps": "",
    "relay": "feed intake brokers model",
    "bounded": "vitals brokers model",
    "vitals": "model",
    "ids": "",
    # rules
    "risk": "model",
    "halts": "risk state model",
    "exits": "families risk brokers model",
    "families": "model",
    "life": "model codec",
    "state": "books today keys life families strategies integrations model codec",
    "books": "model",
    "today": "codec model",
    "keys": "",
    "strategies": "model",
    "integrations": "model",
    "reconcile": "model",
    "wire": "model",
    "signals": "wire model",
    "signals.*": "signals shapes model",
    "shapes": "model",
    "tickers": "",
    "access": "model",
    "passwords": "",
    "codec": "model",
    "chain": "codec model",
    # nouns
    "model": "",
    # outside
    "txgateway": "",
    "txgateway_client": "txgateway_monitor",
    "txgateway_monitor": "",
}

# No Twisted, no clock, no chance, no files, no sockets: what they give depends on what they are given alone.
PURE = {
    "checks",
    "risk",
    "halts",
    "exits",
    "families",
    "life",
    "state",
    "books",
    "today",
    "keys",
    "strategies",
    "integrations",
    "reconcile",
    "wire",
    "signals",
    "signals.*",
    "intents",
    "sizing",
    "tickers",
    "access",
    "codec",
    "chain",
    "render",
    "documents",
    "lines",
    "bulletins",
    "bars",
    "commands",
    "admission",
    "invitation",
    "ids",
    "model",
}
PURE_LIBRARIES = {"jmespath", "msgspec", "pytz", "ujson"}
STANDARD_LIBRARY_ONLY = {"model"}
IMPURE_MODULES = set(
    "asyncio concurrent ctypes fcntl ftplib getpass glob http logging mmap multiprocessing os pathlib "  # noqa: SIM905
    "platform queue random sched secrets select selectors shelve shutil signal smtplib socket socketserver "
    "sqlite3 ssl subprocess tempfile threading time urllib uuid zoneinfo".split()
)
IMPURE_CALLS = {"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}

# The reactor is an argument everywhere else.
MAY_NAME_THE_REACTOR = {"__main__", "bots.__main__", "txgateway_client", "txgateway_monitor"}
REACTORS = {f"twisted.internet.{kind}reactor" for kind in ("", "asyncio", "epoll", "poll", "select")}


def modules() -> dict[str, Path]:
    """Every module of the three packages, by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module: str) -> str:
    """The room a module is in: `risk`, `brokers` (the contract), `brokers.paper` (a member)."""
    package, *inside = module.split(".")
    if package != "txgateway" or not inside:
        return package
    return ".".join(inside[:2]) if f"{inside[0]}.*" in MAY_IMPORT or inside[0] == "bots" else inside[0]


def row_of(room: str) -> str:
    """The name of the table's row for a room."""
    return room if room in MAY_IMPORT else f"{room.partition('.')[0]}.*"


def imports(module: str, is_package: bool, tree: ast.AST, known: set[str]) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, inside functions and by importlib too."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                yield node.lineno, inner if inner in known or inner in REACTORS else origin
        elif isinstance(node, ast.Call) and called(node).endswith(("import_module", "__import__")):
            yield from ((node.lineno, str(name.value)) for name in node.args[:1] if isinstance(name, ast.Constant))


def called(call: ast.Call) -> str:
    """The last two names of what is called: `open`, `datetime.now`."""
    return ".".join(ast.unparse(call.func).split(".")[-2:])


def wrong_import(room: str, name: str) -> str | None:
    """Why a room may not import a module, or None where it may."""
    row, top = row_of(room), name.partition(".")[0]
    if name in REACTORS and row not in MAY_NAME_THE_REACTOR:
        return "the reactor is an argument"
    if top in PACKAGES:
        target, allowed = room_of(name), MAY_IMPORT[row].split()
        if target in (room, "txgateway") and row not in {"txgateway_client", "txgateway_monitor"}:
            return None
        if target == room or target in allowed or (allowed == ["*"] and top == "txgateway"):
            return None
        return f"{row} may import: {MAY_IMPORT[row] or 'nothing'}"
    if row in STANDARD_LIBRARY_ONLY and top not in sys.stdlib_module_names:
        return f"{row} is standard library only"
    if row in PURE and (top in IMPURE_MODULES or top not in sys.stdlib_module_names | PURE_LIBRARIES):
        return f"{row} is pure"
    return None


def violations(module: str, source: str, known: set[str], is_package: bool = False) -> list[str]:
    """Every line of a module that breaks the table."""
    room, tree = room_of(module), ast.parse(source)
    if row_of(room) not in MAY_IMPORT:
        return [f"{module} has no row in the table"]
    found = {}
    for line, name in imports(module, is_package, tree, known):
        if why := wrong_import(room, name):
            found[line] = f"{module}:{line} imports {name}: {why}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and row_of(room) in PURE and called(node) in IMPURE_CALLS:
            found[node.lineno] = f"{module}:{node.lineno} calls {called(node)}: {row_of(room)} is pure"
    return [found[line] for line in sorted(found)]


MODULES = modules()


def test_every_module_has_a_room_in_the_table() -> None:
    assert {module for module in MODULES if row_of(room_of(module)) not in MAY_IMPORT} == set()


def test_the_architecture_has_not_been_emptied() -> None:
    assert {"txgateway.config", "txgateway.brokers", "txgateway.journal", "txgateway.model.order"} <= {*MODULES}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_down_only(module: str) -> None:
    path = MODULES[module]
    found = violations(module, path.read_text("utf-8"), set(MODULES), path.name == "__init__.py")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source", "caught"),
    [
        ("txgateway.brokers.paper", "from txgateway.gateway import Gateway", "txgateway.gateway"),
        ("txgateway.brokers.paper", "from txgateway.brokers import ib", "txgateway.brokers.ib"),
        ("txgateway.brokers.paper", "from . import ib", "txgateway.brokers.ib"),
        ("txgateway.brokers.ib.translate", "from ..paper import Book", "txgateway.brokers.paper"),
        ("txgateway.gateway", "import txgateway.journal.sqlite", "txgateway.journal.sqlite"),
        ("txgateway.gateway", "def f():\n    import txgateway.api", "txgateway.api"),
        ("txgateway.servers.http", "from txgateway import state", "txgateway.state"),
        (
            "txgateway.api.daemon",
            "import importlib\nimportlib.import_module('txgateway.service')",
            "txgateway.service",
        ),
        ("txgateway.model.order", "import msgspec", "standard library only"),
        ("txgateway.model.order", "from txgateway import __version__, codec", "txgateway.codec"),
        ("txgateway.risk", "import time", "risk is pure"),
        ("txgateway.wire", "from twisted.python import log", "wire is pure"),
        ("txgateway.state", "from datetime import datetime\nx = datetime.now(tz)", "datetime.now"),
        ("txgateway.signals.generic", "import requests", "signals.* is pure"),
        ("txgateway.service", "from twisted.internet import reactor", "the reactor is an argument"),
        ("txgateway.service", "import txgateway_client", "txgateway_client"),
        ("txgateway_client.cli", "from txgateway.config import load", "txgateway.config"),
        ("txgateway_client.cli", "import txgateway", "imports txgateway"),
        ("txgateway_monitor.lines", "import txgateway.wire", "txgateway.wire"),
        ("txgateway_monitor.monitor", "import txgateway_client.errors", "txgateway_client"),
    ],
)
def test_a_wrong_arrow_is_caught(module: str, source: str, caught: str) -> None:
    known = {"txgateway.brokers.ib", "txgateway.brokers.paper", "txgateway.codec", "txgateway.state"}
    found = violations(module, source, known)
    assert len(found) == 1
    assert caught in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("txgateway.brokers.ib.broker", "from txgateway.brokers.ib import translate"),
        (
            "txgateway.brokers.paper",
            "from txgateway.brokers import Setup\nfrom txgateway.model import order",
        ),
        (
            "txgateway.gateway",
            "from txgateway.journal import Journal\nfrom twisted.internet import defer",
        ),
        ("txgateway.service", "from txgateway.brokers import paper\nfrom txgateway import gateway"),
        ("txgateway.servers.http", "import txgateway\nfrom txgateway import api, wire"),
        (
            "txgateway.model.market",
            "from datetime import datetime, time\nimport txgateway.model.order",
        ),
        ("txgateway.__main__", "from twisted.internet import asyncioreactor"),
    ],
)
def test_a_right_arrow_is_not(module: str, source: str) -> None:
    assert violations(module, source, {"txgateway.brokers.paper", "txgateway.api", "txgateway.wire"}) == []
