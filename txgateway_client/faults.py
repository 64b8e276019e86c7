"""`txgateway faults list|set|clear`: what goes wrong on purpose, under one roof with the calls that do it."""

from __future__ import annotations

import click

from .subcommands import subcommands

_NAMES = {"query_faults": "list", "set_fault": "set", "clear_faults": "clear"}


@click.group()
def faults() -> None:
    """What goes wrong on purpose at a paper venue: lost answers, late fills, broken links."""


for _command in subcommands():
    if _command.name in _NAMES:
        faults.add_command(_command, _NAMES[_command.name])
