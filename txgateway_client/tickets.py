"""`tickets`, `approve` and `reject`: what waits for a person, and the person's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from .subcommands import refused, watch_option
from .terminal import Terminal, output_options


def ticket_commands() -> list[click.Command]:
    """The three commands."""
    return [_tickets(), _approve(), _reject()]


def _tickets() -> click.Command:
    @click.pass_context
    def show(context: click.Context, /, watch: float | None) -> None:
        terminal = context.ensure_object(Terminal)

        def waiting() -> Any:
            return terminal.api.query_tickets(status="STAGED")

        if watch is not None:
            terminal.watch(waiting, watch, "tickets")
        else:
            terminal.show(waiting(), "tickets")

    text = "Show the tickets that wait for a person."
    return output_options(click.Command("tickets", callback=show, params=[watch_option()], help=text, short_help=text))


def _approve() -> click.Command:
    @click.pass_context
    def approve(context: click.Context, /, ticket: str, force: bool) -> None:
        terminal = context.ensure_object(Terminal)
        if not force:
            found = terminal.api.query_order(ticket)
            if found is None or found["order_status"] != "STAGED":
                raise click.UsageError(f"no ticket {ticket} waits: `txgateway tickets` shows those that do")
            click.confirm(f"{describe(found)}: send it?", abort=True, err=True)
        _answer(context, terminal, terminal.api.approve_ticket(ticket), "approve_ticket")

    text = "Send a ticket's order."
    params: list[click.Parameter] = [
        click.Argument(["ticket"]),
        click.Option(["-f", "--force/--noforce"], default=False, help="Send it without asking."),
    ]
    return output_options(click.Command("approve", callback=approve, params=params, help=text, short_help=text))


def _reject() -> click.Command:
    @click.pass_context
    def reject(context: click.Context, /, ticket: str, reason: tuple[str, ...]) -> None:
        terminal = context.ensure_object(Terminal)
        _answer(context, terminal, terminal.api.reject_ticket(ticket, " ".join(reason)), "reject_ticket")

    text = "End a ticket; its order is never sent."
    params: list[click.Parameter] = [click.Argument(["ticket"]), click.Argument(["reason"], nargs=-1)]
    return output_options(click.Command("reject", callback=reject, params=params, help=text, short_help=text))


def _answer(context: click.Context, terminal: Terminal, order: Any, command: str) -> None:
    terminal.show(order, command)
    if refused(command, order):
        context.exit(1)


def describe(ticket: Mapping[str, Any]) -> str:
    """A ticket as one sentence."""
    prices = [f"{name} {ticket[f'{name}_price']:g}" for name in ("stop", "limit") if ticket[f"{name}_price"]]
    words = [
        f"{ticket['side']} {ticket['quantity']} {ticket['symbol']}",
        ticket["order_type"],
        *prices,
        ticket["time_in_force"],
        f"account {ticket['account']}",
        f"sent by {ticket['owner'] or 'nobody known'} as {ticket['raw']['ORDER_TAG']!r}",
    ]
    return ", ".join(words)
