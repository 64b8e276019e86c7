"""Sources of signals: what can be written, what is refused with which sentence, and the file that keeps them."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from txgateway.config import Config, ConfigError, load
from txgateway.model.errors import JournalError, Refused
from txgateway.model.exits import Level, Unit
from txgateway.model.limits import Limit
from txgateway.model.order import OrderType, TimeInForce
from txgateway.model.scope import Scope
from txgateway.model.signal import Semantics, Sizing, Source, SourceKind
from txgateway.sources import SETTINGS, Sources, read, source_of, write, written

SECRET = "a-very-long-secret"
PLAIN = {"kind": "tradingview", "account": "A1", "secret": SECRET}
EVERYTHING: Mapping[str, Any] = {
    "kind": "TradingView",
    "account": "A1",
    "secret": SECRET,
    "user": "me",
    "symbols": {"BTCUSDT.P": "BTC/USDT"},
    "sizing": "percent",
    "size": 2.5,
    "rounding": True,
    "order_type": "limit",
    "limit_offset": "0.1%",
    "time_in_force": "gtc",
    "route": "DEMO",
    "semantics": "one_position",
    "max_age": 60,
    "duplicate_window": 0,
    "shadow": "yes",
    "rate": 5,
    "addresses": ["52.89.214.238", "10.0.0.0/8"],
    "certificate": "TradingView Webhooks",
    "mapping": {"symbol": "a.b"},
    "template": "{symbol}|{side}",
}
WHOLE = Source(
    name="tv",
    kind=SourceKind.TRADINGVIEW,
    account="A1",
    secret=SECRET,
    user="me",
    symbols={"BTCUSDT.P": "BTC/USDT"},
    sizing=Sizing.PERCENT,
    size=Decimal("2.5"),
    rounding=True,
    order_type=OrderType.LIMIT,
    limit_offset=Level(Decimal("0.1"), Unit.PERCENT),
    time_in_force=TimeInForce.GTC,
    route="DEMO",
    semantics=Semantics.ONE_POSITION,
    max_age=60.0,
    duplicate_window=0.0,
    shadow=True,
    rate=5.0,
    addresses=("52.89.214.238", "10.0.0.0/8"),
    certificate="TradingView Webhooks",
    mapping={"symbol": "a.b"},
    template="{symbol}|{side}",
)


def test_everything_can_be_set() -> None:
    assert source_of("tv", EVERYTHING) == WHOLE
    assert set(EVERYTHING) == set(SETTINGS)


def test_what_is_left_out_is_the_defaults() -> None:
    given = {**PLAIN, "user": "", "size": None}
    assert source_of("tv", given) == Source(name="tv", kind=SourceKind.TRADINGVIEW, account="A1", secret=SECRET)


def test_maps_and_lists_come_as_text_too() -> None:
    given = {
        **PLAIN,
        "symbols": "NQ1!=MNQ, ES1! = MES",
        "mapping": '{"symbol": "[a,b][0]"}',
        "addresses": "::1, 1.2.3.4",
    }
    source = source_of("tv", given)
    assert source.symbols == {"NQ1!": "MNQ", "ES1!": "MES"}
    assert source.mapping == {"symbol": "[a,b][0]"}
    assert source.addresses == ("::1", "1.2.3.4")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": None}, "give its kind, one of proquant, tradingview, algogene, generic"),
        ({"kind": "trading view"}, "kind 'trading view': give one of"),
        ({"kind": ["a"]}, "give one of"),
        ({"account": ""}, "give its account"),
        ({"account": "A 1"}, "account 'A 1': give one account's name"),
        ({"account": 7}, "account: give printable text"),
        ({"secret": ""}, "give its secret, of 12 characters or more"),
        ({"secret": "short"}, "secret: give 12 to 256 letters"),
        ({"secret": "with spaces in it"}, "secret: give 12 to 256 letters"),
        ({"secret": "slash/es/in/a/url"}, "secret: give 12 to 256 letters"),
        ({"secret": 123456789012345}, "secret: give 12 to 256 letters"),
        ({"colour": "red"}, "there is no setting 'colour'; there are kind, account"),
        ({"sizing": "fixed"}, "sizing fixed needs a size"),
        ({"size": 5}, "a size needs a sizing of fixed, percent, notional, risk"),
        ({"sizing": "fixed", "size": 0}, "size '0': give a number above 0"),
        ({"sizing": "fixed", "size": -1}, "give a number above 0"),
        ({"sizing": "fixed", "size": "NaN"}, "give a number above 0"),
        ({"sizing": "fixed", "size": float("inf")}, "give a number above 0"),
        ({"sizing": "fixed", "size": "1e400"}, "give a number above 0"),
        ({"sizing": "fixed", "size": True}, "give a number above 0"),
        ({"sizing": "risk", "size": 101}, "no more than 100 percent can be put at risk"),
        ({"order_type": "stop"}, "give MARKET or LIMIT"),
        ({"limit_offset": 1}, "a limit_offset needs order_type LIMIT"),
        ({"order_type": "limit", "limit_offset": -1}, "limit_offset '-1': give how far"),
        ({"order_type": "limit", "limit_offset": "100%"}, "give how far"),
        ({"order_type": "limit", "limit_offset": "far"}, "give how far"),
        ({"time_in_force": "weekly"}, "give one of DAY, GTC, IOC, FOK"),
        ({"semantics": "both"}, "give one of orders, one_position, target"),
        ({"max_age": 0}, "max_age '0': give a number above 0"),
        ({"max_age": 10**8}, "give seconds, 30 days at most"),
        ({"duplicate_window": -1}, "give a number above 0"),
        ({"rate": 0}, "rate '0': give a number above 0"),
        ({"shadow": "maybe"}, "shadow 'maybe': give true or false"),
        ({"addresses": "somewhere"}, "addresses: give addresses or networks"),
        ({"addresses": 4}, "addresses: give addresses or networks"),
        ({"addresses": [4, None]}, "addresses: give addresses or networks"),
        ({"symbols": "A"}, "symbols: give a table of text"),
        ({"symbols": {"A": 1}}, "symbols: give a table of text"),
        ({"symbols": {"": "B"}}, "symbols: give a table of text"),
        ({"symbols": '{"A": '}, "symbols: give a table of text"),
        ({"symbols": "[1]"}, "symbols: give a table of text"),
        ({"template": "a\nb"}, "template: give printable text"),
    ],
)
def test_a_mistake_is_one_clear_sentence(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)) as raised:
        source_of("tv", {**PLAIN, **change})
    assert str(change.get("secret") or SECRET) not in str(raised.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "-a", "a/b", "x" * 65, "gateway:exits"])
def test_a_name_is_one_that_a_url_and_a_scope_can_carry(name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits, dots, dashes"):
        source_of(name, PLAIN)


# -- the file


def test_what_is_put_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sources.json"
    sources = Sources((), path)
    sources.load()
    changed = replace(WHOLE, changed_by="ann")
    sources.put(changed)
    sources.put(replace(changed, name="b", shadow=False))
    sources.put(replace(changed, name="b", rate=7.0))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Sources((), path)
    again.load()
    assert again.all() == [replace(changed, name="b", rate=7.0), changed] == sources.all()
    assert again.remove("b") is True
    assert again.remove("b") is False
    assert list(read(path)) == ["tv"]
    assert (again.get("tv"), again.get("b")) == (changed, None)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["sources.json"]


def test_plain_settings_are_not_written() -> None:
    assert written(source_of("tv", PLAIN)) == PLAIN


def test_a_configured_source_stands_before_the_files_and_is_changed_there_alone(tmp_path: Path) -> None:
    path = tmp_path / "sources.json"
    write(path, [replace(WHOLE, shadow=False)])
    sources = Sources([WHOLE], path)
    sources.load()
    assert (sources.get("tv"), sources.all(), sources.is_configured("tv")) == (WHOLE, [WHOLE], True)
    for change in (lambda: sources.put(WHOLE), lambda: sources.remove("tv")):
        with pytest.raises(Refused, match=r"stands in the configuration: change its table \[sources.tv\] there"):
            change()
    assert read(path)["tv"].shadow is False


@pytest.mark.parametrize("text", ["[]", "{", '{"tv": 1}', '{"tv": {"kind": "generic"}}', '{"tv": {"x": 1}}', "7"])
def test_a_file_that_is_broken_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sources.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"sources\.json"):
        Sources((), path).load()


def test_a_file_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    sources = Sources((), tmp_path / "gone" / "sources.json")
    with pytest.raises(JournalError, match="cannot be written"):
        sources.put(WHOLE)
    assert sources.all() == []


def test_no_secret_is_in_a_repr() -> None:
    assert SECRET not in repr(WHOLE)
    assert SECRET in json.dumps(written(WHOLE))


WORDS = st.text("abcXYZ019 .:/!{}$", min_size=1, max_size=12).map(str.strip).filter(bool)
NUMBERS = st.decimals("0.000001", "1000000", places=6)
SOURCES = st.builds(
    Source,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    kind=st.sampled_from(SourceKind),
    account=st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True),
    secret=st.from_regex(r"[A-Za-z0-9._~+=-]{12,40}", fullmatch=True),
    user=st.just("") | WORDS,
    symbols=st.dictionaries(WORDS, WORDS, max_size=3),
    rounding=st.booleans(),
    time_in_force=st.none() | st.sampled_from(TimeInForce),
    route=st.none() | WORDS,
    semantics=st.sampled_from(Semantics),
    max_age=st.none() | st.floats(0.001, 86400),
    duplicate_window=st.none() | st.just(0.0) | st.floats(0.001, 86400),
    shadow=st.booleans(),
    rate=st.floats(0.001, 100_000),
    addresses=st.lists(st.ip_addresses().map(str), max_size=3).map(tuple),
    certificate=st.just("") | WORDS,
    changed_by=st.just("") | WORDS,
)
SIZED = st.sampled_from([each for each in Sizing if each is not Sizing.AS_SENT])
LIMITED = st.builds(Level, NUMBERS.filter(lambda each: each < 100), st.sampled_from([Unit.AWAY, Unit.PERCENT]))


@given(SOURCES, st.none() | SIZED, NUMBERS, st.none() | LIMITED)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_any_source_reads_back_as_it_was_written(
    source: Source, sizing: Sizing | None, size: Decimal, offset: Level | None
) -> None:
    if sizing is not None:
        source = replace(source, sizing=sizing, size=min(size, Decimal(100)))
    if offset is not None:
        source = replace(source, order_type=OrderType.LIMIT, limit_offset=offset)
    with TemporaryDirectory() as folder:
        write(Path(folder) / "sources.json", [source])
        assert read(Path(folder) / "sources.json") == {source.name: source}


# -- the configuration


def configured(toml: str, files: Mapping[str, str] | None = None, **environ: str) -> Config:
    """The Config of a TOML file."""
    there = {"/tx.toml": toml, **(files or {})}

    def read_text(path: Path) -> str:
        if str(path) not in there:
            raise FileNotFoundError(2, "No such file or directory")
        return there[str(path)]

    given = {"HOME": "/home/me", "TXGATEWAY_CONFIG": "/tx.toml", **environ}
    return load(given, read_text, {"paper": lambda options: {}, "tws": lambda options: {}})


TABLE = f'[sources.tv]\nkind = "tradingview"\nsecret = "{SECRET}"\n'


def test_tables_of_the_configuration_are_sources_and_their_limits_limits() -> None:
    made = configured(
        TABLE
        + """account = "api_account"
            symbols = { "NQ1!" = "MNQ" }
            max_age = 30.5
            limits = { max_notional = "10000:8000", order_rate = 5 }
            [sources.other]
            kind = "generic"
            account = "PAPER_CASH"
            secret_file = "/secret"
        """,
        {"/secret": SECRET + "2\n"},
        TXGATEWAY_RISK="max_notional=500",
    )
    tv, other = made.sources
    assert (tv.account, tv.symbols, tv.max_age, tv.changed_by) == (
        "API_ACCOUNT",
        {"NQ1!": "MNQ"},
        30.5,
        "the configuration",
    )
    assert (other.kind, other.secret) == (SourceKind.GENERIC, SECRET + "2")
    limits = {(str(scope), limit): (level.value, level.warn) for (scope, limit), level in made.risk.items()}
    assert limits == {
        ("gateway", Limit.MAX_NOTIONAL): (500, None),
        ("source:tv", Limit.MAX_NOTIONAL): (10000, 8000),
        ("source:tv", Limit.ORDER_RATE): (5, None),
    }
    shown = "\n".join(made.describe())
    assert "source tv: kind=tradingview account=API_ACCOUNT secret=********" in shown
    assert "max_notional=10000 order_rate=5" in shown
    assert SECRET not in shown + repr(made)
    assert Scope.parse("source:tv") in {scope for scope, _ in made.risk}


def test_an_account_alone_in_its_venue_needs_no_naming() -> None:
    made = configured(TABLE + 'venue = "sim"\n[venues.sim]\nkind = "paper"\naccounts = ["ONE:cash"]\n')
    assert made.sources[0].account == "ONE"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("", "/tx.toml [sources.tv]: give its account."),
        (
            'account = "NONE"',
            "/tx.toml [sources.tv] account=NONE: no venue has it; give one of API_ACCOUNT, PAPER_CASH.",
        ),
        ('venue = "x"\naccount = "A"', "/tx.toml [sources.tv] venue=x: there is no such venue; there are paper."),
        ('account = "PAPER_CASH"\nsecert = "a"', "/tx.toml [sources.tv] secert: there is no such setting"),
        ('account = "PAPER_CASH"\nsizing = "fixed"', "/tx.toml [sources.tv]: sizing fixed needs a size."),
        ('account = "PAPER_CASH"\nlimits = 3', "/tx.toml [sources.tv]: limits: give a table such as"),
        ('account = "PAPER_CASH"\nlimits = { speed = 3 }', "/tx.toml [sources.tv]: limit 'speed' is none of"),
        (
            'account = "PAPER_CASH"\nlimits = { order_rate = "x" }',
            "/tx.toml [sources.tv]: order_rate: value 'x' must be",
        ),
        ('account = "PAPER_CASH"\nsecret_file = "/none"', "/tx.toml [sources.tv]: it has a secret and a secret_file"),
        ('account = "PAPER_CASH"\n[source.b]\nkind = "generic"', "/tx.toml source: there is no such setting"),
        ('account = "PAPER_CASH"\n[sources."a b"]\nkind = "generic"', "[sources.a b]: name 'a b': give 1 to 64"),
    ],
)
def test_a_mistake_in_a_table_says_where_and_what(more: str, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        configured(TABLE + more)
    assert says in str(raised.value)
    assert SECRET not in str(raised.value)


def test_a_secret_file_that_is_not_there_is_one_mistake() -> None:
    with pytest.raises(ConfigError) as raised:
        configured('[sources.tv]\nkind = "generic"\naccount = "PAPER_CASH"\nsecret_file = "/none"\n')
    assert raised.value.mistakes == (
        "/tx.toml [sources.tv] secret_file=/none: the secret cannot be read (No such file or directory); "
        "give a file that can be.",
    )


def test_sources_are_owners_and_share_no_name_with_a_user() -> None:
    with pytest.raises(ConfigError, match=r"\[sources.tv\]: a user has this name already"):
        configured(TABLE + 'account = "PAPER_CASH"\n', TXGATEWAY_USERNAME="tv")


def test_a_limit_is_given_in_one_place() -> None:
    limits = 'account = "PAPER_CASH"\nlimits = { max_notional = "1" }\n'
    with pytest.raises(ConfigError, match="source:tv/max_notional is among the limits of TXGATEWAY_RISK already"):
        configured(TABLE + limits, TXGATEWAY_RISK="source:tv/max_notional=5")
