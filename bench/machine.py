"""What was measured on: the header of the table, and the disk that the journal is on."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

IN_MEMORY = frozenset({"tmpfs", "ramfs"})


def processor() -> str:
    """The CPU's model."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown CPU"


def file_system(folder: Path) -> str:
    """The kind of file system that a folder is on, and its device."""
    try:
        mounts = [line.split()[:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    under = [each for each in mounts if folder.resolve().is_relative_to(each[1])]
    device, _, kind = max(under, key=lambda each: len(each[1]), default=("", "", "unknown"))
    return f"{kind} {device}".strip()


def make_folder(parent: Path | None) -> Path:
    """A new folder for journals, on a real disk: in `parent`, else the temporary folder, else the current one."""
    if parent is None:
        parent = Path(tempfile.gettempdir())
        if file_system(parent).split()[0] in IN_MEMORY:
            parent = Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="txgateway-bench-", dir=parent))
    (folder / ".gitignore").write_text("*\n")
    return folder


def facts(folder: Path) -> dict[str, str | float]:
    """Everything that the figures depend on."""
    return {
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "twisted": _version("twisted"),
        "uvloop": _version("uvloop"),
        "journals": str(folder.parent),
        "disk": file_system(folder),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
