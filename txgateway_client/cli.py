"""The `txgateway` command: a subcommand for each call of the API, orders in people's words, the daemon's own.

Packages add commands by the entry-point group `txgateway.commands`: each entry point names a click command,
which finds a `txgateway_client.terminal.Terminal` (the API, and where results go) as its context object.
"""

from __future__ import annotations

import errno
import functools
import traceback
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click
from click.shell_completion import get_completion_class

from txgateway_monitor.settings import SettingsError, __version__

from .errors import EXIT_CODES, GatewayError, OutcomeUnknown
from .faults import faults
from .proquant import proquant
from .sources import source
from .subcommands import subcommands
from .terminal import COMPRESS_HELP, JSON_HELP, Terminal
from .tickets import ticket_commands
from .trade import trade_commands

PROGRAM = "txgateway"
COMMANDS_GROUP = "txgateway.commands"
SHELLS = ("bash", "zsh", "fish")

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items())


class Failure(click.ClickException):
    """One sentence on standard error, and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        """Say it, and how it ends."""
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]

    def show(self, file: Any = None) -> None:
        """Write the sentence."""
        click.echo(f"{PROGRAM}: {self.format_message()}", file=file, err=file is None)


class GatewayGroup(click.Group):
    """The commands here and those of other packages, by underscores or hyphens; errors become exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names; those of other packages too."""
        return sorted({*super().list_commands(ctx), *_plugins()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, or of its name with the other dashes."""
        for name in (cmd_name, cmd_name.replace("-", "_"), cmd_name.replace("_", "-")):
            found = super().get_command(ctx, name)
            if found is None and name in _plugins():
                found = _load(_plugins()[name], quiet=ctx.resilient_parsing)
            if found is not None:
                return found
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever goes wrong is one sentence, and a traceback only when it was asked for."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise
            if ctx.params.get("verbose"):
                traceback.print_exc()
            raise Failure(_sentence(error), getattr(error, "exit_code", GatewayError.exit_code)) from error


def _hyphens(word: str) -> str:
    """Options may be written as the API writes its arguments: --client_order_id is --client-order-id."""
    return word.replace("_", "-")


@click.group(
    cls=GatewayGroup,
    epilog=EPILOG,
    context_settings={"token_normalize_func": _hyphens},
    commands=[*subcommands(), *trade_commands(), *ticket_commands()],
)
@click.option("--protocol", type=click.Choice(["http", "https"]), help="[default: http]")
@click.option("-h", "--host", help="Where the gateway is. [TXGATEWAY_HOST; default: 127.0.0.1]")
@click.option("-p", "--port", help="Its HTTP port. [TXGATEWAY_HTTP_PORT; default: 50080]")
@click.option("-U", "--username", help="[TXGATEWAY_USERNAME; default: txtrader_user]")
@click.option("-P", "--password", help="Better in TXGATEWAY_PASSWORD, or the file TXGATEWAY_PASSWORD_FILE.")
@click.option("-a", "--account", metavar="ACCOUNT", help="Whose orders. [TXGATEWAY_API_ACCOUNT; default: API_ACCOUNT]")
@click.option(
    "-r",
    "--route",
    metavar="ROUTE",
    help="Where orders go. [TXGATEWAY_ROUTE; default: the gateway's own]",
)
@click.option("-m", "--mode", default="paper", help="The gateway's mode, for programs that ask.")
@click.option("-v", "--verbose/--no_verbose", help="Show where an error came from.")
@click.option("--json/--table", "as_json", default=None, help=JSON_HELP)
@click.option("-c", "--compress/--no_compress", help=COMPRESS_HELP)
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def cli(
    ctx: click.Context, /, mode: str, as_json: bool | None, compress: bool, verbose: bool, **connection: Any
) -> None:
    """Trade and look through a txgateway."""
    names = {"port": "HTTP_PORT", "account": "API_ACCOUNT"}
    config = {f"TXGATEWAY_{names.get(name, name.upper())}": value for name, value in connection.items() if value}
    ctx.obj = Terminal(mode, config, as_json, compress, verbose)


cli.add_command(cli.commands["explain_order"], "explain")
cli.add_command(faults)
cli.add_command(source)
cli.add_command(proquant)


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a shell's completion script.

    \b
    bash:  eval "$(txgateway completion bash)"      in ~/.bashrc
    zsh:   eval "$(txgateway completion zsh)"       in ~/.zshrc
    fish:  txgateway completion fish | source       in ~/.config/fish/config.fish
    """
    complete = get_completion_class(shell)
    assert complete is not None, shell
    click.echo(complete(cli, {}, PROGRAM, "_TXGATEWAY_COMPLETE").source())


def main() -> None:
    """The console script."""
    cli(prog_name=PROGRAM)


def _sentence(error: Exception) -> str:
    """What a person should know of an error."""
    if isinstance(error, OutcomeUnknown) and error.client_order_id:
        return f"{error} (here: --client-order-id {error.client_order_id})"
    if isinstance(error, GatewayError | SettingsError):
        return str(error)
    return f"{type(error).__name__}: {error} (-v shows where)"


@functools.cache
def _plugins() -> dict[str, EntryPoint]:
    """The commands of other packages, by name."""
    return {entry.name: entry for entry in entry_points(group=COMMANDS_GROUP)}


def _load(entry: EntryPoint, quiet: bool) -> click.Command:
    """A command of another package; when it is broken, a warning and a command that says so."""
    try:
        command = entry.load()
        if isinstance(command, click.Command):
            return command
        why = f"{entry.value} is no click command"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    message = f"the command {entry.name!r} ({entry.value}) cannot be loaded: {why}"
    if not quiet:
        click.echo(f"{PROGRAM}: warning: {message}", err=True)

    def fail(**_: Any) -> None:
        raise Failure(message, GatewayError.exit_code)

    anything = click.Argument(["anything"], nargs=-1, type=click.UNPROCESSED)
    settings = {"ignore_unknown_options": True}
    return click.Command(entry.name, callback=fail, params=[anything], context_settings=settings, short_help="(broken)")
