"""The `txgateway-monitor` command: prints the events of a gateway's stream, one on a line, until Ctrl-C."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import click

from .settings import __version__

DEFAULT_OPTIONS = '{"order-notification":1,"execution-notification":1}'

LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

EPILOG = """\b
Exit codes:
  0  ended by Ctrl-C, a signal, or whoever read the output
  2  usage: a wrong option or setting
  4  wrong user name or password
"""


@click.command(epilog=EPILOG)
@click.option("-h", "--host", help="Where the gateway is. [TXGATEWAY_HOST; default: 127.0.0.1]")
@click.option("-p", "--port", type=int, help="Its stream's port. [TXGATEWAY_TCP_PORT; default: 50090]")
@click.option("-u", "-U", "--username", help="[TXGATEWAY_USERNAME; default: txtrader_user]")
@click.option("-P", "--password", help="Better in TXGATEWAY_PASSWORD, or the file TXGATEWAY_PASSWORD_FILE.")
@click.option(
    "--options",
    default=DEFAULT_OPTIONS,
    envvar=["TXGATEWAY_OPTIONS", "TXTRADER_OPTIONS"],
    help=f"What to ask for: a JSON object, or words. [TXGATEWAY_OPTIONS; default: {DEFAULT_OPTIONS}]",
)
@click.option(
    "--resume-file", type=click.Path(dir_okay=False), help="Keep the place here, and go on from it next time."
)
@click.option(
    "-l",
    "--log_level",
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="WARNING",
    envvar=["TXGATEWAY_LOG_LEVEL", "TXTRADER_LOG_LEVEL"],
)
@click.version_option(__version__, prog_name="txgateway-monitor")
def cli(
    host: str | None,
    port: int | None,
    username: str | None,
    password: str | None,
    options: str,
    resume_file: str | None,
    log_level: str,
) -> None:
    """Print the events of a gateway's stream as they come, each with its channel."""
    from .monitor import Monitor

    wanted = _options(options)
    try:
        monitor = Monitor(host, port, username, password, wanted, {"*": _print}, log_level, resume_file=resume_file)
        monitor.run()
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if monitor.unauthorized:
        sys.exit(4)


def main() -> None:
    """The console script."""
    cli(prog_name="txgateway-monitor")


def _options(text: str) -> dict[str, Any]:
    """The options as the gateway reads them: a JSON object, or words with spaces between them."""
    if not text.lstrip().startswith("{"):
        return dict.fromkeys(text.split(), True)
    try:
        return dict(json.loads(text))
    except ValueError as error:
        raise click.BadParameter(f"no JSON object: {error}", param_hint="--options") from error


def _print(channel: str, data: Any) -> bool:
    """One line for each event; the end when nobody reads them any more."""
    try:
        print(f"{channel}: {data}", flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True
