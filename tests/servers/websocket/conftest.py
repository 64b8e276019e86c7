"""The stream tests' house, with a WebSocket client."""

from __future__ import annotations

from tests.servers.stream.conftest import build, house, logged_failures

__all__ = ["build", "house", "logged_failures"]
