"""The users of the data folder: a file with their passwords' hashes, and `txgateway users …`, which keeps it.

The daemon reads it again within a second of a change. A user removed, or given another password, is disconnected then.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from getpass import getuser
from pathlib import Path
from secrets import token_urlsafe
from socket import gethostname
from typing import Any

import click

from txgateway import config, settings
from txgateway.config import ConfigError
from txgateway.model.credential import User
from txgateway.model.rights import Right, grant_of
from txgateway.passwords import LONGEST, hash_password

FILE = "users.json"
_MEMBERS = ("password_hash", "scopes", "accounts", "symbols", "max_notional", "changed_by")


def read(path: Path) -> dict[str, User]:
    """The users in a file, none when it is not there; ValueError, OSError: it cannot be read."""
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is not what `txgateway users` writes: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} is not what `txgateway users` writes")
    found = {}
    for name, entry in document.items():
        try:
            found[name] = User(
                settings.username(name),
                str(entry["password_hash"]),
                grant_of(entry["scopes"], entry.get("accounts"), entry.get("symbols"), entry.get("max_notional")),
                str(entry.get("changed_by", "")),
            )
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise ValueError(f"{path}: user {name!r} cannot be read ({error})") from None
    return found


def write(path: Path, users: Mapping[str, User]) -> None:
    """Keep the users in a file that only this user of the machine may read; all of it or nothing."""
    document = {name: _written(user) for name, user in sorted(users.items())}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _written(user: User) -> dict[str, Any]:
    grant = user.grant
    worth = None if grant.max_notional is None else f"{grant.max_notional:f}"
    values = (user.password_hash, grant.scopes, grant.accounts, grant.symbols, worth, user.changed_by)
    return {name: value for name, value in zip(_MEMBERS, values, strict=True) if value is not None}


# ---------------------------------------------------------------- txgateway users …


@click.group()
def users() -> None:
    """Who may come in, on this machine: the file that the daemon reads, whether it runs or not."""


def _password_options(command: Any) -> Any:
    for name, what in (
        ("--generate", "Make a password and show it, this once."),
        ("--password-stdin", "Read it from standard input."),
    ):
        command = click.option(name, is_flag=True, help=what)(command)
    return command


@users.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice([each.value for each in Right]))
@click.option("--account", "accounts", multiple=True, help="Only this account; again for more. Without it: all.")
@click.option("--symbol", "symbols", multiple=True, help="Only orders in this symbol; again for more. Without it: all.")
@click.option("--max-notional", metavar="AMOUNT", help="What one order may be worth at most.")
@_password_options
def add(
    name: str,
    scopes: tuple[str, ...],
    accounts: tuple[str, ...],
    symbols: tuple[str, ...],
    max_notional: str | None,
    generate: bool,
    password_stdin: bool,
) -> None:
    """Let NAME in, or change what NAME may do, with a new password."""
    path, configured = _place()
    try:
        settings.username(name)
        grant = grant_of(list(scopes), list(accounts) or None, list(symbols) or None, max_notional)
    except ValueError as error:
        raise click.ClickException(f"{name}: {error}.") from None
    if name in configured:
        raise click.ClickException(f"{name} is in the configuration already: change it there, or use another name.")
    known = _read(path)
    password = _new_password(generate, password_stdin)
    known[name] = User(name, hash_password(password), grant, _me())
    write(path, known)
    click.echo(f"{name} may come in: {grant}.")
    _warn_of_accounts(name, grant.accounts)
    if generate:
        click.echo(password)


@users.command()
@click.argument("name")
@_password_options
def password(name: str, generate: bool, password_stdin: bool) -> None:
    """Give NAME another password; connections made with the old one are ended."""
    path, _ = _place()
    known = _read(path)
    if name not in known:
        raise click.ClickException(f"There is no user {name} in {path}: `txgateway users list` shows who is.")
    word = _new_password(generate, password_stdin)
    known[name] = replace(known[name], password_hash=hash_password(word), changed_by=_me())
    write(path, known)
    click.echo(f"{name} has another password.")
    if generate:
        click.echo(word)


@users.command()
@click.argument("name")
def remove(name: str) -> None:
    """Let NAME in no more; NAME's connections are ended."""
    path, _ = _place()
    known = _read(path)
    if known.pop(name, None) is None:
        raise click.ClickException(f"There is no user {name} in {path}: `txgateway users list` shows who is.")
    write(path, known)
    click.echo(f"{name} may not come in any more.")


@users.command("list")
def list_() -> None:
    """Show who may come in, and what each may do."""
    path, configured = _place()
    for name, user in {**_read(path), **configured}.items():
        by = f"  (by {user.changed_by})" if user.changed_by else ""
        click.echo(f"{name:<20} {user.grant}{by}")


@users.command("hash")
@_password_options
def hash_(generate: bool, password_stdin: bool) -> None:
    """Show a password's hash, for `password_hash` in the TOML file."""
    word = _new_password(generate, password_stdin)
    click.echo(hash_password(word))
    if generate:
        click.echo(word)


def _place() -> tuple[Path, dict[str, User]]:
    """The file, and the users that the configuration has beside it."""
    try:
        settled = config.load(os.environ)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    owner = User(settled.username, changed_by="the configuration")
    return settled.data_dir / FILE, {each.name: each for each in (owner, *settled.users)}


def _warn_of_accounts(name: str, accounts: Iterable[str] | None) -> None:
    """Say which accounts the configuration names nowhere; only a broker's login could have them."""
    known = sorted({account for venue in config.load(os.environ).venues for account in venue.accounts})
    strange = sorted(set(accounts or ()) - {*known})
    if strange and known:
        which = f"no account {', '.join(strange)}, only {', '.join(known)}"
        only = f"unless a broker's login has it, {name} reaches nothing there"
        click.echo(f"txgateway: warning: the configuration names {which}: {only}.", err=True)


def _read(path: Path) -> dict[str, User]:
    try:
        return read(path)
    except (ValueError, OSError) as error:
        raise click.ClickException(f"{error}.") from None


def _new_password(generate: bool, from_stdin: bool) -> str:
    if generate:
        return token_urlsafe(24)
    word = sys.stdin.readline().rstrip("\r\n") if from_stdin else ""
    word = word if from_stdin else str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        settings.password(word)
    except ValueError as error:
        raise click.ClickException(f"{error}.") from None
    if not 8 <= len(word) <= LONGEST:
        raise click.ClickException(f"give a password of 8 to {LONGEST} characters.")
    return word


def _me() -> str:
    """Who works on this machine, for the journal."""
    try:
        return f"{getuser()} on {gethostname()}"
    except (OSError, KeyError):
        return f"user {os.getuid()} on {gethostname()}"
