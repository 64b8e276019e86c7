"""txTrader's published client packages, as they are on PyPI, installed without their old requirements."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.daemon import alone

REQUIREMENTS = """\
txtrader-client==1.5.4 --hash=sha256:8ca2bc3db493853009c27ddcc683c9e3c241cdda7b93e9d25dba286b129b7506
txtrader-monitor==1.1.8 --hash=sha256:a02e54b87ef8d48f43a4c235f529ca16a7fe6d44cfd8cdd7032fd6547b3ba6d0
"""
"""The hashes of their wheels on PyPI: what is tested is what was published, unmodified."""
FOLDER = Path(sys.prefix) / "published-txtrader"
"""Kept from one run to the next."""
SCRIPT = Path(__file__).with_name("published_monitor.py")


def install() -> Path:
    """The folder that has both packages; filled by pip the first time."""
    with alone(FOLDER):
        return FOLDER if FOLDER.is_dir() else _fetch()


def _fetch() -> Path:
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as made:
        target, wanted = Path(made) / "packages", Path(made) / "requirements.txt"
        wanted.write_text(REQUIREMENTS)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "install"]
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--target", str(target)]
        ended = subprocess.run([*pip, *options, "-r", str(wanted)], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, (
            "pip could not fetch txtrader-client 1.5.4 and txtrader-monitor 1.1.8, which these tests are about: "
            f"give it access to a package index, or fill {FOLDER} with them.\n{ended.stderr}"
        )
        os.replace(target, FOLDER)
    return FOLDER
