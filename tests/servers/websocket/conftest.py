"""The house of the stream's tests, with a WebSocket client."""

from __future__ import annotations

from tests.servers.stream.conftest import house_kind

__all__ = ["house_kind"]
