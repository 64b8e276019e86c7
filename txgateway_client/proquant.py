"""`txgateway proquant connect|list`: integrations at ProQuant."""

from __future__ import annotations

import click

from .subcommands import subcommands

_NAMES = {"connect_proquant": "connect", "query_integrations": "list"}


@click.group()
def proquant() -> None:
    """ProQuant: `connect` asks for an integration, `list` shows what became of it."""


for _command in subcommands():
    if _command.name in _NAMES:
        proquant.add_command(_command, _NAMES[_command.name])
