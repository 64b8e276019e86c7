"""The faults of every emulator: how they are drawn, and that each has a test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.emulators import faults
from tests.emulators.crypto.faults import Faults as CryptoFaults
from tests.emulators.rtgw.faults import Faults as RtgwFaults
from tests.emulators.tws.faults import Faults as TwsFaults


class Faults(faults.Faults):
    known: Mapping[str, str] = {"lost_ack": "", "cancel_race": ""}


def test_chance_is_seeded() -> None:
    def drawn(seed: str) -> list[bool]:
        faults = Faults(seed)
        faults.set("lost_ack", count=None, chance=0.5)
        return [faults.happens("lost_ack") is not None for _ in range(50)]

    assert drawn("1") == drawn("1") != drawn("2")
    assert 10 < sum(drawn("1")) < 40


def test_a_count_runs_out_for_its_symbol() -> None:
    faults = Faults()
    faults.set("lost_ack", count=2, symbol="IBM")
    heard = [bool(faults.happens("lost_ack", symbol)) for symbol in ("SPY", "IBM", "IBM", "IBM")]
    assert heard == [False, True, True, False]
    assert faults.all[0].happened == 2


def test_what_is_set_is_taken_away_by_its_name_or_all_at_once() -> None:
    faults = Faults()
    for kind in ("lost_ack", "cancel_race", "cancel_race"):
        faults.set(kind)
    faults.clear("lost_ack")
    assert [fault.kind for fault in faults.all] == ["cancel_race", "cancel_race"]
    faults.clear()
    assert faults.all == []


def test_a_fault_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="no fault 'nonsense'; there are: lost_ack, cancel_race"):
        Faults().set("nonsense")


@pytest.mark.parametrize(
    ("kinds", "folders"),
    [
        (RtgwFaults.known, "test_rtgw"),
        (TwsFaults.known, "test_tws"),
        (CryptoFaults.known, "test_crypto test_binance test_coinbase test_woo"),
    ],
)
def test_every_fault_has_a_test(kinds: Mapping[str, str], folders: str) -> None:
    paths = [path for name in folders.split() for path in (Path(__file__).parent / name).glob("test_*.py")]
    source = "".join(path.read_text() for path in paths)
    assert len(kinds) > 20
    assert [kind for kind in kinds if f'"{kind}"' not in source] == []
