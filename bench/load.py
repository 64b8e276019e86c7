"""The load generator: a process of its own, on uvloop, that does one job after another.

A job is a line of JSON on standard input, `{"do": "calls" | "watch" | "count" | "ticks" | "trips" | "signals", ...}`;
the answer a line of JSON on standard output. Request bytes come as Latin-1 text.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from bench.calls import Crowd
from bench.heartbeat import watch
from bench.listeners import count, ticks
from bench.senders import signals
from bench.trips import trips


async def _calls(job: Mapping[str, Any]) -> dict[str, float]:
    requests = [each.encode("latin-1") for each in job["requests"]]
    return await Crowd(requests, job["clients"], job.get("seconds", 0.0), job.get("count")).run(job["port"])


async def _watch(job: Mapping[str, Any]) -> dict[str, object]:
    large = [each.encode("latin-1") for each in job["large"]]
    return await watch(job["port"], job["small"].encode("latin-1"), large, job["seconds"])


def do(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """Do one job; what went wrong is its result too."""
    given = {name: value for name, value in job.items() if name != "do"}
    try:
        if job["do"] == "count":
            return count(**given)
        if job["do"] == "ticks":
            return ticks(**given)
        if job["do"] == "trips":
            return trips(**given)
        if job["do"] == "signals":
            return asyncio.run(signals(**given))
        return asyncio.run(_calls(given) if job["do"] == "calls" else _watch(given))
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Until standard input ends."""
    try:
        import uvloop

        uvloop.install()
    except ImportError:
        pass
    for line in sys.stdin:
        print(json.dumps(do(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
