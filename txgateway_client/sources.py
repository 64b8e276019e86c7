"""`txgateway source add|list|show|change|remove`: who sends signals, and what to paste there."""

from __future__ import annotations

from typing import Any

import click

from .subcommands import Argument, refused, subcommands
from .terminal import Terminal, output_options

_NAMES = {"query_sources": "list", "add_source": "add", "change_source": "change", "remove_source": "remove"}


@click.group()
def source() -> None:
    """Who sends signals: `add` gives the URL, and the message to paste there."""


def _show() -> click.Command:
    @click.pass_context
    def show(context: click.Context, /, name: str) -> None:
        terminal = context.ensure_object(Terminal)
        found: Any = terminal.api.query_sources(name)
        terminal.show(found[0] if isinstance(found, list) and found else found, "change_source")
        if refused("show", found) or not found:
            context.exit(1)

    text = "Show one source: its settings without the secret, and what came from it."
    params: list[click.Parameter] = [Argument(["name"])]
    return output_options(click.Command("show", callback=show, params=params, help=text, short_help=text))


source.add_command(_show())
for _command in subcommands():
    if _command.name in _NAMES:
        source.add_command(_command, _NAMES[_command.name])
