"""A subcommand of `txgateway` for every method of the API, made from its signature and docstring."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

import click

from .commands import Commands
from .errors import NotReady
from .terminal import Terminal, output_options

SIDES = ("BUY", "SELL", "SELL_SHORT", "BUY_TO_COVER")
ORDER_TYPES = ("MARKET", "LIMIT", "STOP", "STOP_LIMIT")
TIMES_IN_FORCE = ("DAY", "GTC", "IOC", "FOK")

WATCHED = {
    "query_orders",
    "query_open_orders",
    "query_tickets",
    "query_executions",
    "query_positions",
    "query_last_prices",
    "query_depth",
    "query_funding",
    "query_rate_limits",
    "query_balances",
    "query_differences",
    "query_risk",
    "query_integrations",
    "query_signals",
    "query_sources",
    "query_strategies",
}
"""What people look at again and again."""

OPTIONAL_ARGUMENTS = {
    ("query_account", "fields"),
    ("reject_ticket", "reason"),
    ("set_primary_exchange", "exchange"),
    ("set_risk", "value"),
}
"""Arguments that may be left out and still are no options."""

SEVERAL = {("query_last_prices", "symbols")}
"""Arguments that are given one after the other."""

READS = re.compile(r"query_|explain_|replay_|get_|help|status|time|uptime|version")

NEGATIVE_NUMBER = re.compile(r"-\.?[0-9].*")


class NumberType(click.ParamType):  # type: ignore[type-arg]
    """A quantity or price: kept exactly as it was written."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The number as the client takes it."""
        text = str(value).strip()
        try:
            finite = Decimal(text).is_finite()
        except InvalidOperation:
            finite = False
        if not finite:
            self.fail(f"{value!r} is no number", param, ctx)
        return int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else text


class SymbolType(click.ParamType):  # type: ignore[type-arg]
    """A symbol: upper-case, but for the venue after an @."""

    name = "symbol"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The symbol as people mean it."""
        symbol, at, venue = str(value).partition("@")
        return symbol.upper() + at + venue


def words(*choices: str) -> click.Choice[str]:
    """One of these words, in either case."""
    return click.Choice(choices, case_sensitive=False)


NUMBER = NumberType()
SYMBOL = SymbolType()
TYPES: dict[str, click.ParamType[Any]] = {
    "symbol": SYMBOL,
    "quantity": NUMBER,
    "limit_price": NUMBER,
    "stop_price": NUMBER,
    "max_notional": NUMBER,
    "side": words(*SIDES),
    "order_type": words(*ORDER_TYPES),
    "time_in_force": words(*TIMES_IN_FORCE),
    "limit": click.IntRange(min=1),
    "level": words("HALTED", "REDUCE_ONLY"),
    "chance": NUMBER,
    "seconds": NUMBER,
    "count": click.IntRange(min=1),
    "hold_seconds": click.IntRange(min=1),
}

OWN_TYPES: dict[tuple[str, str], click.ParamType[Any]] = {
    ("query_last_prices", "symbols"): SYMBOL,
    ("set_risk", "limit"): click.STRING,
    ("set_leverage", "leverage"): NUMBER,
    ("set_position_mode", "mode"): words("ONE_WAY", "HEDGE"),
    ("call_endpoint", "version"): words("public", "private"),
    ("call_endpoint", "method"): words("GET", "POST", "PUT", "DELETE", "PATCH"),
    ("add_source", "order_type"): words("MARKET", "LIMIT"),
    ("change_source", "order_type"): words("MARKET", "LIMIT", ""),
    ("change_source", "time_in_force"): words(*TIMES_IN_FORCE, ""),
}
"""Arguments whose name means something else in other commands."""


class Argument(click.Argument):
    """An argument that may be a negative number, and never a mistyped option."""

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """Refuse what looks like an option and is no number."""
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, str) and re.match(r"-.", each) and not NEGATIVE_NUMBER.fullmatch(each):
                raise no_such_option(each, ctx)
        return super().process_value(ctx, value)


class GatewayCommand(click.Command):
    """A command whose arguments may be negative numbers: click would take -100 for an option."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Let what is no option of this command be an argument; `Argument` looks at it then."""
        settings.setdefault("context_settings", {})["ignore_unknown_options"] = True
        super().__init__(*args, **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of the command line; what looks like an option and is left over is named."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            left = [each for each in given if _is_no_option(each, ctx)]
            if type(error) is click.UsageError and left and "extra argument" in error.message:
                raise no_such_option(left[0], ctx) from None
            raise


def no_such_option(word: str, ctx: click.Context) -> click.NoSuchOption:
    """The error that names an unknown option, the one that may be meant, and where one of the program's own goes."""
    name, root = word.partition("=")[0], ctx.find_root()
    if any(isinstance(each, click.Argument) and f"--{each.name}" == name for each in ctx.command.params):
        return click.NoSuchOption(name, f"{name[2:]} is no option of {ctx.info_name}, but an argument.", ctx=ctx)
    if root is not ctx and name in _options(root):
        before = f"{root.info_name} {name} … {ctx.info_name}"
        return click.NoSuchOption(name, f"{name} goes before the command: {before} …", ctx=ctx)
    return click.NoSuchOption(name, possibilities=get_close_matches(name, _options(ctx)), ctx=ctx)


def _is_no_option(word: str, ctx: click.Context) -> bool:
    name = word.partition("=")[0].replace("_", "-")
    return re.match(r"-.", word) is not None and not NEGATIVE_NUMBER.fullmatch(word) and name not in _options(ctx)


def _options(ctx: click.Context) -> list[str]:
    """The options of a command, as they are written."""
    params = ctx.command.get_params(ctx)
    return [name for each in params if isinstance(each, click.Option) for name in (*each.opts, *each.secondary_opts)]


def subcommands() -> list[click.Command]:
    """One command for each public method."""
    methods = inspect.getmembers(Commands, inspect.isfunction)
    return [_subcommand(name, method) for name, method in methods if not name.startswith("_")]


def _subcommand(name: str, method: Callable[..., Any]) -> click.Command:
    """The command of one method."""
    parameters = list(inspect.signature(method).parameters.values())[1:]
    options: list[click.Parameter] = [_parameter(name, parameter) for parameter in parameters]
    if name in WATCHED:
        options.append(watch_option())

    @click.pass_context
    def run(context: click.Context, /, watch: float | None = None, **arguments: Any) -> None:
        terminal = context.ensure_object(Terminal)
        call = getattr(terminal.api, name)
        if watch is not None:
            terminal.watch(lambda: call(**arguments), watch, name)
            return
        value = call(**arguments)
        terminal.show(value, name)
        if name == "status" and value != "Up":
            context.exit(NotReady.exit_code)
        if refused(name, value):
            context.exit(1)

    text = inspect.cleandoc(method.__doc__ or "")
    command = GatewayCommand(name, callback=run, params=options, help=text, short_help=text.splitlines()[0])
    return output_options(command)


def _parameter(command: str, parameter: inspect.Parameter) -> click.Parameter:
    """An argument for what must be given, an option for what may be."""
    name, default = parameter.name, parameter.default
    kind = OWN_TYPES.get((command, name)) or TYPES.get(name, click.INT if isinstance(default, int) else click.STRING)
    if (command, name) in OPTIONAL_ARGUMENTS:
        return Argument([name], type=kind, required=False, default="")
    if default is parameter.empty:
        return Argument([name], type=kind, required=True, nargs=-1 if (command, name) in SEVERAL else 1)
    names = [f"--{name.replace('_', '-')}", name]
    if name == "time_in_force":
        names.insert(0, "--tif")
    if isinstance(default, bool):
        return click.Option(names, is_flag=True, default=default)
    return click.Option(names, type=kind, default=default, show_default=default is not None)


def watch_option() -> click.Option:
    """`--watch [SECONDS]`."""
    return click.Option(
        ["--watch"],
        is_flag=False,
        flag_value=2.0,
        type=click.FloatRange(min=0, min_open=True),
        metavar="[SECONDS]",
        help="Show it again every so many seconds (2 when none are given), until Ctrl-C.",
    )


def refused(command: str, value: Any) -> bool:
    """Whether an answer is a no: nothing found, false, not flat, an order in error, or a cancel that has to wait."""
    if value is None or value is False or (command == "flatten" and not value.get("flat")):
        return True
    if command == "cancel_order" and isinstance(value, dict) and "errorMsg" in value:
        return True
    return isinstance(value, dict) and value.get("status") == "Error" and not READS.match(command)
