"""The emulated rtgw reads lines, WHEREs and pokes as they are written, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.rtgw.tql import NotUnderstood, read_line, read_poke, read_query, read_where


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", {}),
        ("DISP_NAME='IBM'", {"DISP_NAME": {"IBM"}}),
        ("DISP_NAME='$TIME'", {"DISP_NAME": {"$TIME"}}),
        ("BARINTERVAL=5,STARTDATE='2026/03/04'", {"BARINTERVAL": {"5"}, "STARTDATE": {"2026/03/04"}}),
        ("CURRENT_STATUS={'LIVE','PENDING'}", {"CURRENT_STATUS": {"LIVE", "PENDING"}}),
        ("CURRENT_STATUS={'LIVE'},TYPE='A,B'", {"CURRENT_STATUS": {"LIVE"}, "TYPE": {"A,B"}}),
        ("20683={'LIVE',PENDING},20001='EMU'", {"CURRENT_STATUS": {"LIVE", "PENDING"}, "BANK": {"EMU"}}),
        ("A='it''s'", {"A": {"it's"}}),
        ("A=''", {"A": {""}}),
    ],
)
def test_where(text: str, read: dict[str, set[str]]) -> None:
    assert read_where(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "A=",
        "='x'",
        "A='x",
        "A='x',",
        "A='x'B='y'",
        "A='x',A='y'",
        "A={'x'",
        "A={}",
        "A={'x',}",
        "a='x'",
        "A='x';B='y'",
    ],
)
def test_a_where_that_means_nothing(text: str) -> None:
    with pytest.raises(NotUnderstood):
        read_where(text)


names = st.from_regex(r"[A-Z][A-Z_0-9]{0,8}", fullmatch=True)


@given(st.dictionaries(names, st.sets(st.text(max_size=6), min_size=1, max_size=3), max_size=4))
def test_what_is_quoted_is_read_back(conditions: dict[str, set[str]]) -> None:
    def quoted(value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    written = ",".join(f"{name}={{{','.join(map(quoted, values))}}}" for name, values in conditions.items())
    assert read_where(written) == conditions


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_where, read_query, read_poke, read_line):
        try:
            read(text)
        except NotUnderstood:
            continue


def test_query() -> None:
    query = read_query("ORDERS;ORDER_ID,TYPE;CURRENT_STATUS={'LIVE','PENDING'}")
    row = {"ORDER_ID": "1", "TYPE": "UserSubmitOrder", "CURRENT_STATUS": "LIVE", "VOLUME": 5}
    assert query.takes(row)
    assert not query.takes(row | {"CURRENT_STATUS": "DELETED"})
    assert query.select(row) == {"ORDER_ID": "1", "TYPE": "UserSubmitOrder"}
    assert query.select({"TYPE": "X"}) == {"ORDER_ID": "Error 0", "TYPE": "X"}
    assert query.select({"VOLUME": 5}) is None
    assert read_query("ORDERS;*;VOLUME=5").takes(row)
    assert read_query("ORDERS;*;").select(row) == row


@pytest.mark.parametrize("text", ["ORDERS", "ORDERS;*", "ORDERS;;", "ORDERS;A,;", "ORDERS;a;"])
def test_a_query_that_means_nothing(text: str) -> None:
    with pytest.raises(NotUnderstood):
        read_query(text)


def test_poke() -> None:
    query, fields = read_poke(
        "ORDERS;*;!TYPE=UserSubmitOrder,ORDER_TAG=a=b!,STRAT_PARAMETERS=1\x1f2\x013\x1f4\x01,TAG="
    )
    assert query.table == "ORDERS"
    parameters = {"STRAT_PARAMETERS": "1\x1f2\x013\x1f4\x01"}
    assert fields == {"TYPE": "UserSubmitOrder", "ORDER_TAG": "a=b!", "TAG": "", **parameters}


@pytest.mark.parametrize(
    "text", ["ORDERS;*;", "ORDERS;*;!", "ORDERS;*;!A", "ORDERS;*;!A=1,A=2", "ORDERS;*;!A=1,2", "!A=1"]
)
def test_a_poke_that_means_nothing(text: str) -> None:
    with pytest.raises(NotUnderstood):
        read_poke(text)


def test_line() -> None:
    assert read_line("connect 7 TA_SRV;LIVEQUOTE\r") == ("connect", "7", "TA_SRV;LIVEQUOTE")
    with pytest.raises(NotUnderstood):
        read_line("connect")
