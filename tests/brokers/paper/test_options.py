"""The settings of a paper venue, and the sentences about wrong ones."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from txgateway.brokers.paper import PaperBroker
from txgateway.brokers.paper.options import MINUTE_US, Opening, ReplayChoice, SyntheticChoice, mistakes, read


def test_nothing_set_is_a_synthetic_market_and_two_accounts() -> None:
    settings = read({})
    assert settings.feed == SyntheticChoice("1")
    assert settings.accounts == (
        Opening("API_ACCOUNT", True, Decimal(10_000_000)),
        Opening("PAPER_CASH", False, Decimal(10_000_000)),
    )
    assert settings.latency == 0
    assert settings.interval_us == 1_000_000
    assert settings.calendar == ""
    assert settings.timezone == "America/New_York"
    assert settings.start is None


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("synthetic", SyntheticChoice("1")),
        ("synthetic:42", SyntheticChoice("42")),
        ("replay:/data", ReplayChoice("/data", 1.0, False)),
        ("replay:/data/*.csv@10x", ReplayChoice("/data/*.csv", 10.0, False)),
        ("replay:/data@0.5x,loop", ReplayChoice("/data", 0.5, True)),
        ("replay:/data@max", ReplayChoice("/data", None, False)),
        ("replay:/data,loop", ReplayChoice("/data", 1.0, True)),
        ("replay:/home/me@work/ibm.csv", ReplayChoice("/home/me@work/ibm.csv", 1.0, False)),
        ("replay:/home/me@work/ibm.csv@max,loop", ReplayChoice("/home/me@work/ibm.csv", None, True)),
    ],
)
def test_a_feed_is_read(text: str, choice: Any) -> None:
    assert read({"feed": text}).feed == choice


def test_accounts_have_a_kind_and_an_amount() -> None:
    accounts = read({"accounts": "one, two:cash ,three:250.50,four:cash:7"}).accounts
    assert accounts == (
        Opening("ONE", True, Decimal(10_000_000)),
        Opening("TWO", False, Decimal(10_000_000)),
        Opening("THREE", True, Decimal("250.50")),
        Opening("FOUR", False, Decimal(7)),
    )


class Typed(NamedTuple):
    """A setting that was read before, and says itself as text."""

    name: str

    def __str__(self) -> str:
        return f"{self.name}:cash:5"


def test_settings_may_be_typed_already() -> None:
    settings = read({"accounts": (Typed("A"), Typed("B")), "latency": 0.25, "commission": Decimal(1), "interval": 0.5})
    assert [(each.name, each.margin, each.amount) for each in settings.accounts] == [("A", False, 5), ("B", False, 5)]
    assert settings.latency == 0.25
    assert settings.commission.per_share == 1
    assert settings.interval_us == 500_000


def test_a_start_needs_a_zone() -> None:
    assert read({"start": "2024-03-01T15:00:00Z"}).start == datetime(2024, 3, 1, 15, tzinfo=UTC)
    assert "no zone" in mistakes({"start": "2024-03-01T15:00:00"})["start"]


@pytest.mark.parametrize("interval", ["0.001", "0.5", "1", "15"])
def test_an_interval_goes_into_a_minute(interval: str) -> None:
    assert MINUTE_US % read({"interval": interval}).interval_us == 0


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("feed", "random", "synthetic[:seed], replay:"),
        ("feed", "replay:", "name the file, folder or glob"),
        ("feed", "replay:/data@fast", "the speed 'fast'"),
        ("feed", "replay:/data@0x", "the speed '0x'"),
        ("feed", "replay:/data@infx", "the speed 'infx'"),
        ("accounts", "A,a", "named twice"),
        ("accounts", " , ", "at least one account"),
        ("accounts", "A:margin:-5", "zero or more"),
        ("accounts", "A:margin:much", "not a number"),
        ("accounts", "A B", "no account name"),
        ("timezone", "Mars/Olympus", "time zone is unknown"),
        ("commission", "NaN", "zero or more"),
        ("commission_maximum", "5", "0.01 for one per cent"),
        ("latency", "61", "at most 60"),
        ("latency", "-1", "zero or more"),
        ("interval", "0", "go into a minute"),
        ("interval", "20", "go into a minute"),
        ("interval", "0.7", "go into a minute"),
        ("start", "yesterday", "ISO 8601"),
        ("comission", "1", "those known are feed"),
    ],
)
def test_a_mistake_is_said_under_its_name(name: str, value: str, part: str) -> None:
    wrong = mistakes({name: value})
    assert list(wrong) == [name]
    assert part in wrong[name]


def test_what_is_not_there_on_this_machine_is_a_mistake_too(tmp_path: Path) -> None:
    assert PaperBroker.mistakes({}) == {}
    wrong = PaperBroker.mistakes({"feed": f"replay:{tmp_path}", "calendar": "NOWHERE", "latency": "long"})
    assert sorted(wrong) == ["calendar", "feed", "latency"]
    assert str(tmp_path) in wrong["feed"]


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="latency") as caught:
        read({"feed": "x", "latency": "y", "interval": "z"})
    assert len(str(caught.value).splitlines()) == 3
