"""A process that runs the published Monitor: prints each callback as a JSON line, obeys lines on standard input.

send COMMAND        Monitor.send; answers with ["SENT", true or false]
tick SECONDS        Monitor.set_tick_interval
mute CHANNEL        Monitor.set_callback(CHANNEL, None)
restore             Monitor.set_callbacks anew
last CHANNEL        the next callback of this channel answers False, which ends the monitor
shutdown REASON     Monitor.shutdown
"""

from __future__ import annotations

import json
import sys
from typing import Any

from twisted.internet import reactor, stdio
from twisted.protocols.basic import LineReceiver
from txtrader_monitor import Monitor

last: set[str] = set()


def tell(channel: str, data: Any) -> bool:
    """A callback."""
    print(json.dumps([channel, data]), flush=True)
    return channel not in last


class Orders(LineReceiver):
    """What the test wants."""

    delimiter = b"\n"

    def lineReceived(self, line: bytes) -> None:
        """One order."""
        word, _, rest = line.decode().partition(" ")
        if word == "send":
            tell("SENT", monitor.send(rest))
        elif word == "tick":
            monitor.set_tick_interval(float(rest))
        elif word == "mute":
            monitor.set_callback(rest, None)
        elif word == "restore":
            monitor.set_callbacks({"*": tell})
        elif word == "last":
            last.add(rest)
        elif word == "shutdown":
            monitor.shutdown(rest)


if __name__ == "__main__":
    monitor = Monitor(options=json.loads(sys.argv[1]), callbacks={"*": tell})
    reactor.callWhenRunning(stdio.StandardIO, Orders())
    monitor.run()
