"""`txgatewayd`: options and exit codes; and the daemon-side commands of the one `txgateway` CLI.

Exit codes: 0 stopped as asked, 1 could not start or run, 2 the configuration is wrong.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from txgateway import __version__, config
from txgateway.config import Config, ConfigError

FAILED, MISCONFIGURED = 1, 2
STOPS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: Sequence[str], install: Callable[[str, bool], Any]) -> int:
    """Run txgatewayd; `install` gives the reactor of a name, that speaks TLS or need not. Gives the exit code."""
    context: dict[str, Any] = {"install": install}
    try:
        code = txgatewayd.main(list(arguments), "txgatewayd", standalone_mode=False, obj=context)
    except click.ClickException as error:
        error.show()
        return MISCONFIGURED
    except click.Abort:
        return FAILED
    return code or 0


@click.command()
@click.option("--check", is_flag=True, help="Say what is configured, or what is wrong with it, and end.")
@click.version_option(__version__, prog_name="txgatewayd")
@click.pass_obj
def txgatewayd(context: dict[str, Any], check: bool) -> int:
    """Run the trading gateway in the foreground.

    Everything is configured by TXGATEWAY_* variables (etc/txgateway.env lists them) and a TOML file (TXGATEWAY_CONFIG).
    """
    try:
        settings = config.load(os.environ)
    except ConfigError as error:
        for mistake in error.mistakes:
            click.echo(f"txgatewayd: {mistake}", err=True)
        return MISCONFIGURED
    if check:
        if trouble := _unusable(settings.data_dir):
            click.echo(f"txgatewayd: TXGATEWAY_DATA_DIR={settings.data_dir}: {trouble}.", err=True)
            return MISCONFIGURED
        click.echo("\n".join(settings.describe()))
        return 0
    return _run(settings, context["install"])


def _unusable(folder: Path) -> str:
    """Why a start could not use a folder, or make it, if so; nothing is made."""
    there = next(each for each in (folder, *folder.absolute().parents) if os.path.lexists(each))
    if not there.is_dir():
        return f"{there} is no folder; name one that this user may write to"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"this user may not write to {there}; name a folder that it may write to"
    return ""


def _run(settings: Config, install: Callable[[str, bool], Any]) -> int:
    reactor = install(settings.daemon_reactor, settings.speaks_tls)
    from txgateway import logs
    from txgateway.service import CannotStart, make_service

    reopen = logs.begin(settings.daemon_logfile, settings.log_level, settings.log_format)
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reopen))
    service = make_service(settings, reactor)
    try:
        service.prepare()
    except CannotStart as error:
        click.echo(f"txgatewayd: {error}", err=True)
        return FAILED
    signal.signal(signal.SIGHUP, lambda *_: [reactor.callFromThread(each) for each in (reopen, service.ports.reload)])
    if settings.daemon_pidfile is not None:
        settings.daemon_pidfile.write_text(f"{os.getpid()}\n")
    reactor.callWhenRunning(_take_signals, reactor, service)
    reactor.callWhenRunning(service.startService)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    try:
        reactor.run()
    finally:
        for number in STOPS:  # the stop is done: a late one changes neither its exit code nor what it leaves
            signal.signal(number, signal.SIG_IGN)
        if settings.daemon_pidfile is not None:
            with suppress(OSError):
                settings.daemon_pidfile.unlink()
    return FAILED if service.failed else 0


def _take_signals(reactor: Any, service: Any) -> None:
    """The first SIGTERM or SIGINT stops the daemon, and every further one lets the stop go on."""

    def take(number: int, _: Any) -> None:
        reactor.callFromThread(service.end, signal.Signals(number).name)

    for number in STOPS:
        signal.signal(number, take)


# ---------------------------------------------------------------- txgateway journal …


@click.group()
def journal() -> None:
    """The journal on this machine, read without the daemon."""


@journal.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
def verify(path: Path | None) -> None:
    """Check every record's hash against the chain; tells the first that was changed, moved or taken out.

    PATH is the journal's file; without it, the one that the environment configures.
    """

    from txgateway.service import verify_journal

    if path is None:
        try:
            path = Path(config.load(os.environ).journal)
        except ConfigError as error:
            raise click.ClickException(str(error)) from None
    if not path.is_file():
        raise click.ClickException(f"There is no journal at {path}: give its path, or set TXGATEWAY_DATA_DIR.")
    try:
        good, broken = verify_journal(path)
    except Exception as error:
        raise click.ClickException(f"{path} cannot be read as a journal: {error}") from None
    if broken is not None:
        click.echo(f"{path}: BROKEN at record {broken}; the {good} before it are as they were written.")
        sys.exit(FAILED)
    click.echo(f"{path}: {good} records, every hash fits.")
