"""`python -m bench [NAME …]`: measure, and print the table. NAMEs are the modules in bench/measurements."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench import figures, machine
from bench.figures import Figure
from bench.measurements import TABLE
from bench.processes import Broken
from bench.runs import Scale
from bench.workshop import BUSY, Workshop


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure txgateway, and print one table.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"what to measure (default all): {', '.join(TABLE)}")
    parser.add_argument("--quick", action="store_true", help="tiny counts, to see that it works")
    parser.add_argument("--json", action="store_true", help="the table as JSON")
    parser.add_argument("--million", action="store_true", help="a million reads for the memory's slope, not 200,000")
    parser.add_argument("--turns", type=int, help="how often each figure is taken (default 5)")
    parser.add_argument("--folder", type=Path, help="where journals are written (default: the temporary folder)")
    given = parser.parse_args(words)
    unknown = [name for name in given.names if name not in TABLE]
    if unknown:
        parser.error(f"there is no {unknown[0]}: there are {', '.join(TABLE)}")
    return given


def _scale(given: argparse.Namespace) -> Scale:
    scale = Scale.quick() if given.quick else Scale()
    if given.million:
        scale = replace(scale, reads=1_000_000)
    return replace(scale, turns=given.turns) if given.turns else scale


def _measure(given: argparse.Namespace, folder: Path, held: ExitStack) -> tuple[list[Figure], Workshop]:
    workshop = Workshop(_scale(given), folder, held)
    found: list[Figure] = []
    for name in given.names or TABLE:
        begun = time.monotonic()
        found.extend(TABLE[name](workshop))
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return found, workshop


def _heading(facts: dict[str, Any], scale: Scale) -> list[str]:
    return [
        f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}, load {facts['load']} at the start",
        f"{facts['python']}, Twisted {facts['twisted']}, uvloop {facts['uvloop']}",
        f"journals in {facts['journals']} ({facts['disk']})",
        f"medians of {scale.turns} turns; ratio: median of the turns' ratios",
        "",
    ]


def _interrupt(*unused: object) -> None:
    raise KeyboardInterrupt


def main(words: Sequence[str]) -> int:
    """Measure and print; 0 also where a target is missed, 1 where something cannot be measured."""
    given = _arguments(words)
    signal.signal(signal.SIGTERM, _interrupt)
    with ExitStack() as held:
        folder = machine.make_folder(given.folder)
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        facts = machine.facts(folder)
        try:
            found, workshop = _measure(given, folder, held)
        except Broken as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("bench: interrupted", file=sys.stderr)
            return 130
    if given.json:
        print(json.dumps({"machine": facts, "figures": [asdict(figure) for figure in found]}, indent=1))
        return 0
    print("\n".join([*_heading(facts, workshop.scale), *figures.lines(found)]))
    if workshop.busiest > BUSY:
        print(f"\nThe load generator was busy for {workshop.busiest:.0%} of a turn: it limited a figure.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
