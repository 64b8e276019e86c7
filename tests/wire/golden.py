"""Golden files: what the objects look like. Run as a program to write them anew, then read the difference."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.wire.nouns import CRYPTO_EXECUTION, EXECUTION, FLAGS, NEW_YORK, ORDERS, QUIET, TICKER
from txgateway import wire
from txgateway.wire import Flags

FOLDER = Path(__file__).parent / "golden"
FULL = Flags(NEW_YORK, ticker=True, symbol_barchart=True)
PLAIN = Flags(NEW_YORK, high_low=False)
BANKS = Flags(NEW_YORK, execution_account_format=False)


def objects() -> Mapping[str, Any]:
    """Every object that has a golden file, by the file's name."""
    return {
        **{f"order_{name}": wire.order(order) for name, order in ORDERS.items()},
        "order_replayed": wire.order(ORDERS["accepted"], replayed=True),
        "execution": wire.execution(EXECUTION, FLAGS),
        "execution_crypto": wire.execution(CRYPTO_EXECUTION, FLAGS),
        "execution_banks": wire.execution(EXECUTION, BANKS),
        "symbol_full": wire.symbol(TICKER, FULL),
        "symbol_plain": wire.symbol(TICKER, PLAIN),
        "symbol_quiet": wire.symbol(QUIET, FULL),
        "symbol_fields": wire.symbol(TICKER, PLAIN, ["STARTTIME", "BID", "TRDPRC_1", "TRD_DATE", "last", "NONSENSE"]),
    }


def text_of(value: Any) -> str:
    """An object as its golden file has it: the very JSON of the wire, laid out for reading."""
    return json.dumps(json.loads(wire.dumps(value)), indent=1) + "\n"


def path_of(name: str) -> Path:
    """Where a golden file is."""
    return FOLDER / f"{name}.json"


if __name__ == "__main__":
    for name, value in objects().items():
        path_of(name).write_text(text_of(value))
