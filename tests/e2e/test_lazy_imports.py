"""What the real daemon has loaded by its end: of the brokers and their libraries only what its venues need."""

from __future__ import annotations

from pathlib import Path

from tests.daemon import PATIENCE, Daemon
from tests.e2e.conftest import MakeDaemon
from tests.e2e.stream import Stream
from tests.e2e.test_surface import CASES, lived_in

TELL = """
import atexit, os, sys
atexit.register(lambda: open(os.environ["LOADED"], "w").write("\\n".join(sys.modules)))
"""
"""A sitecustomize.py: Python runs it in the daemon before anything else."""
HEAVY = {"aiohttp", "ccxt", "exchange_calendars", "ib_async", "numpy", "pandas", "pyarrow"}


def telling(daemon: Daemon, folder: Path) -> Path:
    """Have a daemon write down what it has loaded when it ends; the file."""
    (folder / "sitecustomize.py").write_text(TELL)
    loaded = folder / "loaded"
    daemon.variables.update(PYTHONPATH=str(folder), LOADED=str(loaded))
    return loaded


def test_a_paper_daemon_loads_nothing_of_other_brokers(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    daemon = make_daemon()
    loaded = telling(daemon, tmp_path)
    world = lived_in(daemon.start().up())
    stream = Stream(daemon, {"order-data": True})
    stream.expect(".Authorized")
    for case in CASES:
        result = daemon.call(case.method, **case.given(world))
        assert case.check(result), (case, result)
    stream.close()
    daemon.call("gateway_logoff")
    daemon.call("shutdown", message="enough")
    assert daemon.process is not None
    assert daemon.process.wait(PATIENCE) == 0
    modules = loaded.read_text().split()
    assert {"txgateway.brokers.paper", "txgateway.api.orders"} <= {*modules}
    assert HEAVY & {name.partition(".")[0] for name in modules} == set()
    brokers = {name.split(".")[2] for name in modules if name.startswith("txgateway.brokers.")}
    assert brokers == {"paper"}


def test_a_calendar_brings_what_it_needs(make_daemon: MakeDaemon, tmp_path: Path) -> None:
    daemon = make_daemon(PAPER_CALENDAR="XNYS")
    loaded = telling(daemon, tmp_path)
    assert daemon.start().up().stop() == 0
    assert {"exchange_calendars", "numpy", "pandas"} <= {*loaded.read_text().split()}
