"""txgateway: a trading gateway daemon that speaks txTrader's calls and stream."""

from __future__ import annotations

__version__ = "0.1.0"
"""The version, here and nowhere else: setup.py reads this line."""
__date__ = "2026-11-21"
"""When this version was made."""
