"""Packages, extras, commands and entry points of txgateway; the tools' settings are in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
README = HERE / "README.md"
VERSION = re.search(r'^__version__ = "([^"]+)"$', (HERE / "txgateway/__init__.py").read_text("utf-8"), re.MULTILINE)
assert VERSION, "txgateway/__init__.py has the version"

CALENDARS = ["exchange_calendars>=4.5"]
PARQUET = ["pyarrow>=17"]
IB = ["ib_async>=2.1,<3"]
CRYPTO = ["ccxt>=4.5,<5"]
TESTS = [
    "pytest>=9,<10",
    "pytest-twisted>=1.14.3,<2",
    "pytest-xdist>=3.8,<4",
    "hypothesis>=6.100",
    "openapi-spec-validator>=0.9",
    "setuptools>=77",
]
# One release each: a newer one that formats or judges otherwise must not turn an unchanged tree red.
LINT = ["ruff==0.17.5"]
TYPES = ["mypy==2.4.1", "types-jmespath", "types-pytz", "types-requests", "types-tabulate", "types-ujson"]

setup(
    name="txgateway",
    version=VERSION[1],
    description="A trading gateway daemon: txTrader's calls and stream, safe orders, many venues",
    long_description=README.read_text("utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    author="txgateway contributors",
    license="MIT",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: No Input/Output (Daemon)",
        "Framework :: Twisted",
        "Intended Audience :: Financial and Insurance Industry",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Office/Business :: Financial :: Investment",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["txgateway*"]),
    package_data={
        "txgateway": ["py.typed"],
        "txgateway.brokers": ["README.md"],
        "txgateway.journal": ["schema/*.sql"],
        "txgateway.servers": ["console/*"],
        "txgateway_client": ["py.typed"],
        "txgateway_monitor": ["py.typed"],
    },
    python_requires=">=3.11,<3.14",
    install_requires=[
        "twisted[tls]>=26",
        "txjsonrpc-ng>=0.9.2,<0.10",
        "ujson>=5.10",
        "pytz>=2024.1",
        "msgspec>=0.20",
        "wsproto>=1.2",
        "jmespath>=1.0.1",
        "treq>=25.5",
        "requests>=2.32",
        "click>=8.2",
        "tabulate>=0.9",
        "argon2-cffi>=23.1",
        "tzdata",
        'uvloop>=0.21; platform_system != "Windows" and platform_python_implementation == "CPython"',
    ],
    extras_require={
        "calendars": CALENDARS,
        "parquet": PARQUET,
        "ib": IB,
        "crypto": CRYPTO,
        "dev": TESTS + LINT + TYPES + CALENDARS + PARQUET + IB + CRYPTO,
    },
    entry_points={
        "console_scripts": [
            "txgatewayd = txgateway.__main__:main",
            "txgateway = txgateway_client.cli:main",
            "txgateway-monitor = txgateway_monitor.cli:main",
        ],
        "txgateway.brokers": [
            "paper = txgateway.brokers.paper:PaperBroker",
            "rtx = txgateway.brokers.rtx:RtxBroker",
            "tws = txgateway.brokers.ib:IbBroker",
            "ib = txgateway.brokers.ib:IbBroker",
            "ccxt = txgateway.brokers.ccxt:CcxtBroker",
        ],
        "txgateway.commands": [
            "journal = txgateway.cli:journal",
            "users = txgateway.users:users",
            "certs = txgateway.certs:certs",
        ],
    },
)
