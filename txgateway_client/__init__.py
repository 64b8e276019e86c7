"""A Python client of txgateway: `API` blocks, `txgateway_client.deferred.DeferredAPI` answers with Deferreds.

    from txgateway_client import API

    api = API()
    api.wait_for_up()
    order = api.market_order(api.account, api.route, "IBM", 100)

Every call answers with the gateway's JSON. What can go wrong is in `txgateway_client.errors`; an order that
the gateway refused is no exception but an order whose `status` is "Error".
"""

from __future__ import annotations

from txgateway_monitor.settings import __version__

from .client import API
from .errors import (
    BadArgument,
    GatewayError,
    GatewayTimeout,
    GatewayUnreachable,
    NotReady,
    OutcomeUnknown,
    SettingsError,
    Unauthorized,
    UnexpectedAnswer,
)

__all__ = [
    "API",
    "BadArgument",
    "GatewayError",
    "GatewayTimeout",
    "GatewayUnreachable",
    "NotReady",
    "OutcomeUnknown",
    "SettingsError",
    "Unauthorized",
    "UnexpectedAnswer",
    "__version__",
]
