"""`buy`, `sell`, `short`, `cover` and `submit`: an order in people's words, and a question before it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from .subcommands import (
    NUMBER,
    SIDES,
    SYMBOL,
    TIMES_IN_FORCE,
    TYPES,
    Argument,
    GatewayCommand,
    refused,
    words,
)
from .terminal import Terminal, output_options

VERBS = {"buy": "BUY", "sell": "SELL", "short": "SELL_SHORT", "cover": "BUY_TO_COVER"}

TXTRADER_SIDES = {"SELLSHORT": "SELL_SHORT", "BUYTOCOVER": "BUY_TO_COVER"}


@dataclass(frozen=True)
class Ticket:
    """What was asked for, not yet sent."""

    side: str
    quantity: int | str
    symbol: str
    stop: int | str | None
    limit: int | str | None
    staged: str | None
    tif: str | None
    client_order_id: str | None
    take_profit: str | None
    stop_loss: str | None
    trail: str | None
    hold: int | None
    oco: str | None

    @property
    def order_type(self) -> str:
        """What the prices make of it."""
        if self.stop is not None:
            return "STOP" if self.limit is None else "STOP_LIMIT"
        return "MARKET" if self.limit is None else "LIMIT"

    def describe(self, account: str, route: str) -> str:
        """The order as one sentence."""
        prices = [
            f"{name} {price}" for name, price in (("stop", self.stop), ("limit", self.limit)) if price is not None
        ]
        parts = [
            f"{self.side} {self.quantity} {self.symbol}",
            self.order_type,
            *prices,
            self.tif or "DAY (GTC at a venue without days)",
            f"account {account}",
            f"route {route}" if route else "the gateway's route",
            *([f"staged as {self.staged!r}"] if self.staged else []),
            *self._attached(),
        ]
        return ", ".join(parts)

    def _attached(self) -> list[str]:
        """What is attached to it."""
        named = {
            "take profit": self.take_profit,
            "stop loss": self.stop_loss,
            "trailing stop": self.trail,
            "closed after": self.hold if self.hold is None else f"{self.hold} s",
            "one of": self.oco,
        }
        return [f"{name} {value}" for name, value in named.items() if value is not None]


def trade_commands() -> list[click.Command]:
    """The five commands."""
    action = Argument(["action"], type=words(*SIDES, *TXTRADER_SIDES))
    return [
        *(_command(verb, _sender(side), f"Send a {side} order.") for verb, side in VERBS.items()),
        _command("submit", _sender(None), "Send an order whose side is ACTION.", action),
    ]


def _command(name: str, send: Callable[..., None], text: str, *first: click.Parameter) -> click.Command:
    """A command with the arguments and options that all five have."""
    params: list[click.Parameter] = [
        *first,
        Argument(["quantity"], type=NUMBER),
        Argument(["symbol"], type=SYMBOL),
        click.Option(["--staged"], metavar="TAG", help="Stage it as a ticket for a person to approve."),
        click.Option(["-s", "--stop"], type=NUMBER, metavar="PRICE", help="Stop price."),
        click.Option(["-l", "--limit"], type=NUMBER, metavar="PRICE", help="Limit price."),
        click.Option(
            ["--tif", "--time-in-force", "tif"],
            type=words(*TIMES_IN_FORCE),
            help="How long it works. Without it for the day, or GTC at a venue without days.",
        ),
        click.Option(["--client-order-id"], metavar="KEY", help="The order's key: one key is taken once."),
        click.Option(["--take-profit"], metavar="LEVEL", help="Leave with profit at a price, 2%, or '1.5 away'."),
        click.Option(["--stop-loss"], metavar="LEVEL", help="Leave with loss at a price, 2%, or '1.5 away'."),
        click.Option(["--trail"], metavar="DISTANCE", help="A stop that follows the best price: 1.5, or 2%."),
        click.Option(["--hold"], type=TYPES["hold_seconds"], metavar="SECONDS", help="Close it so long after a fill."),
        click.Option(["--oco"], metavar="NAME", help="One of a group: what one fills is taken from the others."),
        click.Option(["-a", "--account"], metavar="ACCOUNT", help="Whose order; without it that of `-a` before."),
        click.Option(["-r", "--route"], metavar="ROUTE", help="Where it goes; without it as `-r` before says."),
        click.Option(["-f", "--force/--noforce"], default=False, help="Send it without asking."),
    ]
    more = "Without a route it goes by the gateway's own (`get_order_route`). Answers with the order."
    return output_options(GatewayCommand(name, callback=send, params=params, help=f"{text}\n\n{more}", short_help=text))


def _sender(side: str | None) -> Callable[..., None]:
    """What a command does, for a side that its name fixes or that its first argument gives."""

    @click.pass_context
    def send(
        context: click.Context,
        /,
        force: bool,
        account: str | None,
        route: str | None,
        action: str | None = None,
        **terms: Any,
    ) -> None:
        given = side or action or ""
        ticket = Ticket(side=TXTRADER_SIDES.get(given, given), **terms)
        if float(ticket.quantity) <= 0:
            raise click.BadParameter("must be above zero: the command says which way", param_hint="QUANTITY")
        terminal = context.ensure_object(Terminal)
        api = terminal.api
        account, route = account or api.account, route or api.route
        if not force:
            click.confirm(f"{ticket.describe(account, route)}: send it?", abort=True, err=True)
        order = api.submit_order(
            account,
            ticket.symbol,
            ticket.side,
            ticket.quantity,
            ticket.order_type,
            limit_price=ticket.limit,
            stop_price=ticket.stop,
            time_in_force=ticket.tif,
            route=route or None,
            client_order_id=ticket.client_order_id,
            tag=ticket.staged or None,
            take_profit=ticket.take_profit,
            stop_loss=ticket.stop_loss,
            trailing_stop=ticket.trail,
            hold_seconds=ticket.hold,
            oco=ticket.oco,
        )
        terminal.show(order, "submit_order")
        if refused("submit_order", order):
            context.exit(1)

    return send
