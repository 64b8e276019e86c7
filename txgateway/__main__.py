"""`txgatewayd`: the only file that names the reactor, which is installed before anything brings in a default one."""

from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any, cast

from txgateway import cli


def install(name: str, speaks_tls: bool = True) -> Any:
    """Install the reactor of that name and give it: asyncio (on uvloop where present), uvloop, epoll, poll, select.

    Twisted brings in OpenSSL, a sixth of a small daemon's memory, whether it is used or not. Where it is not, its
    import is made to fail, and Twisted goes on without.
    """
    if not speaks_tls:
        sys.modules.setdefault("OpenSSL", cast(ModuleType, None))
    if name in ("asyncio", "uvloop"):
        from twisted.internet import asyncioreactor

        loop = asyncio.new_event_loop()
        if find_spec("uvloop") is not None:
            import uvloop

            loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        asyncioreactor.install(loop)
    else:
        from importlib import import_module

        import_module(f"twisted.internet.{name}reactor").install()
    from twisted.internet import reactor

    return reactor


def main() -> None:
    """Run the daemon."""
    sys.exit(cli.main(sys.argv[1:], install))


if __name__ == "__main__":
    main()
