"""Where a command's result goes: a table for people, JSON for programs, again and again in a watch."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import click

from .client import API
from .errors import GatewayUnreachable, NotReady
from .tables import render

F = TypeVar("F", bound=Callable[..., Any] | click.Command)


@dataclass
class Terminal:
    """What the options before the command say; every command finds it as click's context object."""

    mode: str = "paper"
    config: dict[str, object] = field(default_factory=dict)
    as_json: bool | None = None
    """None: a table when standard output is a terminal, else JSON."""
    compress: bool = False
    verbose: bool = False
    sleep: Callable[[float], object] = time.sleep

    @functools.cached_property
    def api(self) -> API:
        """The gateway; made when a command first needs it."""
        return API(self.mode, self.config)

    @property
    def wants_json(self) -> bool:
        """Whether results are written for programs."""
        if self.as_json is None:
            return self.compress or not sys.stdout.isatty()
        return self.as_json

    def text(self, value: Any, command: str = "") -> str:
        """A result as it is written: JSON, or the command's own table."""
        if not self.wants_json:
            return render(value, command)
        if self.compress:
            return json.dumps(value, sort_keys=True, separators=(",", ":"))
        return json.dumps(value, sort_keys=True, indent=2)

    def show(self, value: Any, command: str = "") -> None:
        """Write a result."""
        click.echo(self.text(value, command))

    def watch(self, ask: Callable[[], Any], seconds: float, command: str) -> None:
        """Show a result every so many seconds until Ctrl-C; a gateway that is away is waited for."""
        try:
            while True:
                try:
                    block = self.text(ask(), command)
                except (GatewayUnreachable, NotReady) as error:
                    block = "" if self.wants_json else f"({error})"
                    if self.wants_json:
                        click.echo(f"txgateway: {error}", err=True)
                self._draw(block, seconds, command)
                self.sleep(seconds)
        except KeyboardInterrupt:
            click.echo()

    def _draw(self, block: str, seconds: float, command: str) -> None:
        """One look: over the last one on a terminal, under it elsewhere; JSON alone when JSON is wanted."""
        if self.wants_json:
            click.echo(block, nl=bool(block))
        else:
            click.clear()
            click.echo(f"{command} every {seconds:g} s, {time.strftime('%H:%M:%S')}; Ctrl-C ends\n\n{block}\n")
        sys.stdout.flush()


def output_options(command: F) -> F:
    """Give a command `--json`, `--table` and `--compress`, so that they may also stand after its name."""
    for option in (
        click.option("--json/--table", "as_json", default=None, expose_value=False, callback=_set_json, help=JSON_HELP),
        click.option("-c", "--compress", is_flag=True, expose_value=False, callback=_set_compress, help=COMPRESS_HELP),
    ):
        command = option(command)
    return command


JSON_HELP = "Write JSON, or a table. [default: a table on a terminal, else JSON]"
COMPRESS_HELP = "Write JSON on one line."


def _set_json(context: click.Context, option: click.Parameter, value: bool | None) -> None:
    """Override what was said before the command."""
    terminal = context.find_object(Terminal)
    if terminal is not None and value is not None:
        terminal.as_json = value


def _set_compress(context: click.Context, option: click.Parameter, value: bool) -> None:
    """Override what was said before the command."""
    terminal = context.find_object(Terminal)
    if terminal is not None and value:
        terminal.compress = True
