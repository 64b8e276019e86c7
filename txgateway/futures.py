"""asyncio's coroutines as Deferreds: libraries that speak asyncio run on the reactor's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred


def deferred(work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
    """What an asyncio coroutine gives or raises; canceling the Deferred cancels it. Needs asyncio's reactor."""
    return Deferred.fromFuture(asyncio.ensure_future(work))
