"""The reason codes and the limits: each has its sentence, and README shows them all."""

from __future__ import annotations

from pathlib import Path

from txgateway.documents import limits, reasons
from txgateway.model.errors import Reason
from txgateway.model.limits import Limit

README = Path(__file__).parents[2] / "README.md"


def test_every_code_has_one_sentence() -> None:
    for each in Reason:
        assert each.meaning[0].isupper()
        assert each.meaning.endswith(".")
        assert "|" not in each.meaning
    assert len({each.meaning for each in Reason}) == len(Reason)
    assert len({each.meaning for each in Limit}) == len(Limit)


def test_readme_shows_every_code_as_the_code_says_it() -> None:
    assert reasons() in README.read_text("utf-8"), "copy the table that `make reasons` prints into README.md"


def test_readme_shows_every_limit_with_its_default() -> None:
    assert limits() in README.read_text("utf-8"), "copy the table that `make reasons` prints into README.md"
