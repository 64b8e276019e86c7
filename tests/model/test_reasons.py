"""The reason codes: each has its sentence, and README shows them all."""

from __future__ import annotations

from pathlib import Path

from txgateway.documents import reasons
from txgateway.model.errors import Reason

README = Path(__file__).parents[2] / "README.md"


def test_every_code_has_one_sentence() -> None:
    for each in Reason:
        assert each.meaning[0].isupper()
        assert each.meaning.endswith(".")
        assert "|" not in each.meaning
    assert len({each.meaning for each in Reason}) == len(Reason)


def test_readme_shows_every_code_as_the_code_says_it() -> None:
    assert reasons() in README.read_text("utf-8"), "copy the table that `make reasons` prints into README.md"
