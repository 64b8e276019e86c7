"""What is installed: every command and entry point loads, one version, no file left behind."""

from __future__ import annotations

import ast
from importlib.metadata import distribution
from pathlib import Path

import pytest

import txgateway

ROOT = Path(__file__).parent.parent
PACKAGES = ("txgateway", "txgateway_client", "txgateway_monitor")
ENTRY_POINTS = {(entry.group, entry.name): entry for entry in distribution("txgateway").entry_points}


def package_data() -> dict[str, list[str]]:
    """setup.py's package_data: package -> globs."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "package_data":
            given = ast.literal_eval(node.value)
            assert isinstance(given, dict)
            return given
    raise AssertionError("setup.py has no package_data")


def test_there_is_one_version() -> None:
    assert distribution("txgateway").version == txgateway.__version__


def test_the_commands_are_there() -> None:
    groups = {group for group, _ in ENTRY_POINTS}
    assert groups == {"console_scripts", "txgateway.brokers", "txgateway.commands"}
    scripts = {name for group, name in ENTRY_POINTS if group == "console_scripts"}
    assert scripts == {"txgatewayd", "txgateway", "txgateway-monitor"}


@pytest.mark.parametrize("key", sorted(ENTRY_POINTS))
def test_every_entry_point_loads(key: tuple[str, str]) -> None:
    assert callable(ENTRY_POINTS[key].load())


def test_every_file_that_is_no_module_is_shipped() -> None:
    shipped = {
        path
        for package, globs in package_data().items()
        for pattern in globs
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    there = {
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    assert there == shipped


def test_every_package_says_that_it_is_typed() -> None:
    assert all((ROOT / package / "py.typed").exists() for package in PACKAGES)
