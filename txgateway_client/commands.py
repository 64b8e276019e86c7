"""Every command of the gateway, once: its name, its arguments in their order, its promise.

`API` (blocking) and `DeferredAPI` (Twisted) carry these methods out, and the command line has a subcommand
for each. The names and positions are txTrader's; what txgateway adds stands at the end of a method, or is a
method of its own.

Numbers may be int, float, Decimal, or text such as "183.25": Decimal and text arrive exactly. Quantities are
signed (a positive one buys) except in `submit_order`, which has a side. Times in force are DAY, GTC, IOC,
FOK.

An order call answers with the order, also when it was refused: then `status` is "Error", and `errorMsg` and
`reason` say why. Every order call takes a `client_order_id`, the key under which the gateway takes the order
once, whoever asks how often; without one, the client makes one for each call.
"""

# mypy: disable-error-code="no-any-return"
# (JSON comes without types; the annotations are what the gateway promises.)
from __future__ import annotations

import json
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from .errors import BadArgument
from .exchange import Call, Kind

Number = int | float | Decimal | str
"""A quantity or a price."""

Order = dict[str, Any]
"""An order or ticket: `permid`, `status`, `order_status`, `symbol`, `quantity`, `filled`, …"""

Execution = dict[str, Any]
"""One fill, txTrader's upper-case keys: `ORDER_ID`, `ORIGINAL_ORDER_ID`, `PRICE`, `VOLUME`, …"""

Symbol = dict[str, Any]
"""A symbol's names and last prices: `symbol`, `fullname`, `last`, `bid`, `ask`, …"""

Bar = list[Any]
"""`[date, time, open, high, low, close, volume]`"""

_PERIOD = re.compile(r"[0-9]+|[DWM].*", re.IGNORECASE)
_MOMENT = re.compile(r"\.|-[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}(:[0-9]{2})?)?")


class Commands(ABC):
    """The surface; what is done with a command is `_call`'s business."""

    @abstractmethod
    def _call(self, call: Call) -> Any:
        """Carry the call out and give its result (in a blocking client) or the promise of one."""

    # -- the gateway itself

    def status(self, venue: str | None = None) -> str:
        """Return a venue's status (default: the default venue's): Startup, Pending, Initializing, Up, Disconnected or
        Shutdown."""
        return self._read("status", venue=venue)

    def uptime(self) -> str:
        """Return when the gateway was started, and how long ago."""
        return self._read("uptime")

    def time(self) -> str:
        """Return the data feed's clock, `YYYY-mm-dd HH:MM:SS` in the gateway's time zone."""
        return self._read("time")

    def version(self) -> dict[str, Any]:
        """Return the gateway's versions and flags."""
        return self._read("version")

    def help(self) -> dict[str, str]:
        """Return the gateway's own help text for each of its commands."""
        return self._read("help")

    def shutdown(self, message: str) -> str:
        """Ask the gateway to stop; the message goes to its log."""
        return self._action("shutdown", message=message)

    def query_venues(self) -> dict[str, dict[str, Any]]:
        """Return the venues by name: kind, status, accounts, what each can do, errors, latencies in milliseconds."""
        return self._read("query_venues")

    def query_differences(
        self, all: bool = False, venue: str | None = None, account: str | None = None
    ) -> list[dict[str, Any]]:
        """Return where the gateway and the brokers differ, the most severe first; `all`: today's resolved ones too."""
        return self._read("query_differences", all=all, venue=venue, account=account)

    def resolve_order(self, id: str, status: str, reason: str) -> Order:
        """End an UNKNOWN order, having asked the broker: CANCELED, REJECTED or EXPIRED, with your reason."""
        return self._action("resolve_order", id=id, status=status, reason=reason)

    def resolve_difference(
        self, what: str, key: str, reason: str, account: str | None = None, venue: str | None = None
    ) -> dict[str, Any]:
        """Settle a difference that you have looked into; a position is taken over as the broker shows it."""
        return self._action("resolve_difference", what=what, key=key, reason=reason, account=account, venue=venue)

    def gateway_logon(self, username: str, password: str, venue: str | None = None) -> Any:
        """Connect a venue (default: the default venue) with these credentials."""
        return self._action("gateway_logon", username=username, password=password, venue=venue)

    def gateway_logoff(self, venue: str | None = None) -> Any:
        """Disconnect a venue (default: the default venue)."""
        return self._action("gateway_logoff", venue=venue)

    def halt(self, reason: str, scope: str = "gateway", level: str = "HALTED") -> str:
        """Stop taking a scope's orders (cancels go on) until `resume`; survives a restart. Return what holds now.

        scope: gateway, or venue:NAME, account:NAME, owner:NAME, source:NAME, bot:NAME, symbol:NAME. level: HALTED, or
        REDUCE_ONLY, under which orders that reduce a position still pass.
        """
        return self._setting("halt", reason=reason, scope=scope, level=level)

    def resume(self, scope: str = "gateway") -> str:
        """Take a scope's orders again after a halt. Return that, and what is still halted."""
        return self._action("resume", scope=scope)

    def flatten(self, scope: str, reason: str) -> dict[str, Any]:
        """Halt a scope, cancel its orders, close its positions. Return what is flat by the broker's word, what not.

        scope: as for `halt`. What is not flat is gone on with, also after a restart, until it is, or the scope is
        resumed.
        """
        return self._setting("flatten", scope=scope, reason=reason)

    def query_flattens(self) -> list[dict[str, Any]]:
        """Return how far each flatten has come that has not ended."""
        return self._read("query_flattens")

    def query_risk(self, scope: str | None = None) -> dict[str, Any]:
        """Return every limit in force and what is used of it: `{"limits": [...], "use": [...]}`."""
        return self._read("query_risk", scope=scope)

    def set_risk(
        self, scope: str, limit: str, value: Number | None = None, warn: Number | None = None
    ) -> dict[str, Any]:
        """Set a limit of a scope (no value: back to what it was by itself; "off": none). Return query_risk of it.

        scope: gateway, or account:NAME, owner:NAME, symbol:NAME, venue:NAME, source:NAME, bot:NAME; limit: as in
        query_risk, such as max_notional. Above `warn` an order goes through and is told of.
        """
        given = {"value": None if value in (None, "") else str(value), "warn": None if warn is None else str(warn)}
        return self._setting("set_risk", scope=scope, limit=limit, **given)

    def query_halts(self) -> list[dict[str, Any]]:
        """Return every halt in force: scope, level, text, by, time."""
        return self._read("query_halts")

    # -- faults on purpose

    def query_faults(self, venue: str | None = None) -> dict[str, Any]:
        """Return the faults there are (`known`) and those that are set, by venue (`venues`)."""
        return self._read("query_faults", venue=venue)

    def set_fault(
        self,
        fault: str,
        chance: Number | None = None,
        count: int | None = None,
        seconds: Number | None = None,
        symbol: str | None = None,
        venue: str | None = None,
        account: str | None = None,
    ) -> list[dict[str, Any]]:
        """Let something go wrong at a venue that can (paper). Return the faults that are set there now.

        chance: 0 to 1 on each occasion (always, when none is given); count: so many times, then no more; seconds: how
        late or for how long; symbol, account: only theirs.
        """
        return self._setting(
            "set_fault",
            fault=fault,
            chance=optional("chance", chance),
            count=count,
            seconds=optional("seconds", seconds),
            symbol=symbol,
            venue=venue,
            account=account,
        )

    def clear_faults(self, fault: str | None = None, venue: str | None = None) -> dict[str, list[dict[str, Any]]]:
        """Let no more go wrong, of one fault or of all. Return what is still set, by venue."""
        return self._setting("clear_faults", fault=fault, venue=venue)

    # -- who may come in

    def create_token(
        self,
        name: str,
        scopes: str,
        accounts: str | None = None,
        symbols: str | None = None,
        max_notional: Number | None = None,
        expires: str | None = None,
    ) -> dict[str, Any]:
        """Make a token: a password for a program, shown in the answer's `token` this once.

        scopes (of read, trade, approve, admin), accounts and symbols are lists with commas; without accounts or symbols
        it is good for all. expires: YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS (UTC).
        """
        return self._action(
            "create_token",
            name=name,
            scopes=scopes,
            accounts=accounts,
            symbols=symbols,
            max_notional=optional("max_notional", max_notional),
            expires=expires,
        )

    def query_tokens(self) -> list[dict[str, Any]]:
        """Return the tokens that were not revoked, without their secrets."""
        return self._read("query_tokens")

    def revoke_token(self, name: str) -> bool:
        """End a token; who came in by it is disconnected. Return False when there is none."""
        return self._action("revoke_token", name=name)

    def query_access(self) -> dict[str, Any]:
        """Return who may come in, and the failed logins by where they came from."""
        return self._read("query_access")

    # -- symbols and prices

    def add_symbol(self, symbol: str) -> Symbol | None:
        """Subscribe to a symbol's prices. Return the symbol, or None when it is unknown."""
        return self._setting("add_symbol", symbol=symbol)

    def del_symbol(self, symbol: str) -> bool:
        """End the subscription to a symbol. Return whether it was active."""
        return self._action("del_symbol", symbol=symbol)

    def query_symbols(self) -> list[str]:
        """Return the names of the active symbols."""
        return self._read("query_symbols", data=False)

    def query_all_symbols(self) -> dict[str, Symbol]:
        """Return the active symbols, by name, with their prices."""
        return self._read("query_symbols", data=True)

    def query_symbol(self, symbol: str) -> Symbol | None:
        """Return one symbol with its prices (and subscribe to it), or None when it is unknown."""
        return self._read("query_symbol", symbol=symbol)

    def query_symbol_data(self, symbol: str) -> dict[str, Any] | None:
        """Return the venue's own fields of a symbol, session times among them."""
        return self._read("query_symbol_data", symbol=symbol)

    def query_symbol_bars(self, symbol: str) -> list[Bar]:
        """Return a symbol's live minute bars; none when the gateway keeps no bar chart."""
        return self._read("query_symbol_bars", symbol=symbol)

    def query_bars(self, symbol: str, period: int | str, start: int | str, end: int | str) -> list[Bar] | None:
        """Return past bars `[date, time, open, high, low, close, volume]`, or None when there are none.

        period: minutes, or a word beginning with D, W or M (day, week, month). start, end: `YYYY-MM-DD`,
        `YYYY-MM-DD HH:MM[:SS]`, "." (start: today; end: the start's day), or for start -N, the last N
        periods.
        """
        if not _PERIOD.fullmatch(str(period)):
            raise BadArgument(f"period: {period!r} is neither minutes nor a word beginning with D, W or M")
        for name, moment in (("start", start), ("end", end)):
            if not _MOMENT.fullmatch(str(moment)):
                raise BadArgument(f"{name}: {moment!r} is none of YYYY-MM-DD, YYYY-MM-DD HH:MM[:SS], '.' and -N")
        minutes = int(period) if str(period).isdigit() else period
        return self._read("query_bars", symbol=symbol, period=minutes, start=start, end=end)

    def query_instrument(self, symbol: str) -> dict[str, Any] | None:
        """Return a symbol's trading rules (tick, lot, session, order types), or None when it is unknown."""
        return self._read("query_instrument", symbol=symbol)

    def query_last_prices(self, symbols: str | Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what up to 100 symbols (a list, or names with commas) were traded at last, by name: price and time.

        A symbol without a price has price None, and says why in reason and text.
        """
        given = symbols if isinstance(symbols, str) else ",".join(symbols)
        return self._read("query_last_prices", symbols=given)

    def query_depth(self, symbol: str, levels: int = 10) -> dict[str, Any] | None:
        """Return the book: bids and asks as [price, size], the best first; None for an unknown symbol."""
        return self._read("query_depth", symbol=symbol, levels=levels)

    def query_funding(self, symbol: str) -> dict[str, Any] | None:
        """Return a perpetual's funding: rate (a fraction: longs pay it, below zero shorts do), next_time, mark_price, …

        None for an unknown symbol; what is no perpetual is refused, as an order is.
        """
        return self._read("query_funding", symbol=symbol)

    def query_leverage(self, symbol: str, account: str | None = None) -> dict[str, Any]:
        """Return how many times its margin a position in a symbol may be: venue, account, symbol, leverage."""
        return self._read("query_leverage", symbol=symbol, account=account)

    def set_leverage(self, symbol: str, leverage: Number, account: str | None = None) -> dict[str, Any]:
        """Have the venue change a symbol's leverage (1 or more). Return what it is then, as `query_leverage` does."""
        return self._setting("set_leverage", symbol=symbol, leverage=number("leverage", leverage), account=account)

    def query_position_mode(self, account: str | None = None) -> dict[str, Any]:
        """Return whether an account holds one net position of a symbol, or long and short apart.

        The answer has venue, account and mode: ONE_WAY or HEDGE.
        """
        return self._read("query_position_mode", account=account)

    def set_position_mode(self, account: str, mode: str) -> dict[str, Any]:
        """Have the venue hold positions as ONE_WAY (kind ccxt refuses HEDGE). Return how it does then."""
        return self._setting("set_position_mode", account=account, mode=mode)

    def call_endpoint(
        self,
        venue: str,
        path: str,
        version: str = "public",
        method: str = "GET",
        params: str | Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Call an endpoint of a venue's own API, around every check of the gateway. Return `data`, `rate_limits`.

        version: public or private; params: an object (or its JSON). The venue's option `raw` must allow it; a private
        call that is no GET takes the scope admin.
        """
        given = json.dumps(dict(params)) if isinstance(params, Mapping) else params
        return self._action("call_endpoint", venue=venue, path=path, version=version, method=method, params=given)

    def query_rate_limits(self, venue: str | None = None) -> dict[str, Any]:
        """Return how much each venue still takes: remaining, reset (unix seconds), limits."""
        return self._read("query_rate_limits", venue=venue)

    def set_primary_exchange(self, symbol: str, exchange: str | None) -> dict[str, str]:
        """Set the exchange that a symbol means; None or "" deletes the mapping. Return all mappings."""
        return self._call(Call("set_primary_exchange", {"symbol": symbol, "exchange": exchange}, Kind.SETTING))

    # -- accounts

    def query_accounts(self) -> list[str]:
        """Return the names of the accounts."""
        return self._read("query_accounts")

    def query_account(self, account: str, fields: str | None = None) -> dict[str, Any] | None:
        """Return an account's values (always with `_cash`), or just these fields (a list with commas)."""
        return self._read("query_account", account=account, fields=fields or None)

    @abstractmethod
    def set_account(self, account: str) -> Any:
        """Choose the current account, here and in the gateway. Return False when it is unknown."""

    def query_positions(self, data: bool = False) -> dict[str, dict[str, Any] | None]:
        """Return the signed quantity of each symbol held, by account; None for an account of which it is not known yet.

        data: an object in its place, with its entry, mark and liquidation price, leverage and profit where the venue
        tells them.
        """
        return self._read("query_positions", data=data or None)

    def query_balances(self, account: str | None = None) -> dict[str, dict[str, dict[str, Any]]]:
        """Return total, available and reserved of each currency, by account.

        Of all accounts, those whose venue cannot be asked now are left out, unless none can.
        """
        return self._read("query_balances", account=account)

    # -- orders, tickets, executions

    def query_order(self, order_id: str) -> Order | None:
        """Return an order or ticket by its id, client_order_id or broker's id; None when it is unknown."""
        return self._read("query_order", id=order_id)

    def query_orders(
        self,
        since: str | None = None,
        account: str | None = None,
        symbol: str | None = None,
        status: str | None = None,
        after: str | int | None = None,
        limit: int | None = None,
    ) -> dict[str, Order]:
        """Return orders by id: the current trading day's and all that still work, or since a date or time.

        account, symbol and status narrow the list; limit cuts it, and after (the last id seen) goes on from
        there.
        """
        return self._read(
            "query_orders",
            since=since,
            account=account,
            symbol=symbol,
            status=status,
            after=after,
            limit=limit,
        )

    def query_open_orders(
        self,
        account: str | None = None,
        symbol: str | None = None,
        after: str | int | None = None,
        limit: int | None = None,
    ) -> dict[str, Order]:
        """Return the orders that still work, by id."""
        return self._read("query_open_orders", account=account, symbol=symbol, after=after, limit=limit)

    def query_tickets(
        self,
        since: str | None = None,
        account: str | None = None,
        symbol: str | None = None,
        status: str | None = None,
        after: str | int | None = None,
        limit: int | None = None,
    ) -> dict[str, Order]:
        """Return tickets (staged orders) by id; the arguments are those of `query_orders`."""
        return self._read(
            "query_tickets",
            since=since,
            account=account,
            symbol=symbol,
            status=status,
            after=after,
            limit=limit,
        )

    def query_execution(self, execution_id: str) -> Execution | None:
        """Return one execution, or None when it is unknown."""
        return self._read("query_execution", id=execution_id)

    def query_executions(
        self,
        since: str | None = None,
        account: str | None = None,
        symbol: str | None = None,
        after: str | int | None = None,
        limit: int | None = None,
    ) -> dict[str, Execution]:
        """Return executions by id; the arguments are as in `query_orders`."""
        return self._read(
            "query_executions",
            since=since,
            account=account,
            symbol=symbol,
            after=after,
            limit=limit,
        )

    def query_order_executions(self, order_id: str) -> dict[str, Execution]:
        """Return one order's executions, by execution id."""
        return self._read("query_order_executions", id=order_id)

    def cancel_order(self, order_id: str) -> Order:
        """Ask for an order's cancellation. Return the order; `status` "Error" when there is no such order."""
        return self._setting("cancel_order", id=order_id)

    def global_cancel(self) -> str:
        """Ask for all working orders to be cancelled."""
        return self._setting("global_cancel")

    def replace_order(
        self,
        order_id: str,
        quantity: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
    ) -> Order:
        """Change a working order's quantity or prices; what is not given stays. Return the order."""
        return self._action(
            "replace_order",
            id=order_id,
            quantity=optional("quantity", quantity),
            limit_price=optional("limit_price", limit_price),
            stop_price=optional("stop_price", stop_price),
        )

    def submit_order(
        self,
        account: str,
        symbol: str,
        side: str,
        quantity: Number,
        order_type: str = "MARKET",
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        time_in_force: str | None = None,
        route: str | None = None,
        client_order_id: str | None = None,
        tag: str | None = None,
        take_profit: Number | None = None,
        stop_loss: Number | None = None,
        trailing_stop: Number | None = None,
        hold_seconds: int | None = None,
        oco: str | None = None,
    ) -> Order:
        """Send an order, or stage one as a ticket when a tag is given. Return it.

        side: BUY, SELL, SELL_SHORT or BUY_TO_COVER; quantity: above zero; order_type: MARKET, LIMIT, STOP or
        STOP_LIMIT. Exits for what it fills: take_profit, stop_loss: a price, "2%" or "1.5 away" from the entry;
        trailing_stop: a distance; hold_seconds: closed so long after the first fill. Of orders with one oco name,
        what one fills is taken from the others.
        """
        terms = {
            "account": account,
            "symbol": symbol,
            "side": side,
            "quantity": number("quantity", quantity),
            "order_type": order_type,
            "limit_price": optional("limit_price", limit_price),
            "stop_price": optional("stop_price", stop_price),
            "route": route,
            "tag": tag,
            "take_profit": level("take_profit", take_profit),
            "stop_loss": level("stop_loss", stop_loss),
            "trailing_stop": level("trailing_stop", trailing_stop),
            "hold_seconds": hold_seconds,
            "oco": oco,
        }
        return self._order("submit_order", terms, client_order_id, time_in_force)

    def market_order(
        self,
        account: str,
        route: str,
        symbol: str,
        quantity: Number,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Order:
        """Send a market order. Return it."""
        terms = _terms(account, route, symbol, quantity)
        return self._order("market_order", terms, client_order_id, time_in_force)

    def limit_order(
        self,
        account: str,
        route: str,
        symbol: str,
        limit_price: Number,
        quantity: Number,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Order:
        """Send a limit order. Return it."""
        terms = _terms(account, route, symbol, quantity, limit_price=limit_price)
        return self._order("limit_order", terms, client_order_id, time_in_force)

    def stop_order(
        self,
        account: str,
        route: str,
        symbol: str,
        stop_price: Number,
        quantity: Number,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Order:
        """Send a stop order. Return it."""
        terms = _terms(account, route, symbol, quantity, stop_price=stop_price)
        return self._order("stop_order", terms, client_order_id, time_in_force)

    def stoplimit_order(
        self,
        account: str,
        route: str,
        symbol: str,
        stop_price: Number,
        limit_price: Number,
        quantity: Number,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Order:
        """Send a stop-limit order. Return it."""
        terms = _terms(account, route, symbol, quantity, stop_price=stop_price, limit_price=limit_price)
        return self._order("stoplimit_order", terms, client_order_id, time_in_force)

    def stage_market_order(
        self,
        tag: str,
        account: str,
        route: str,
        symbol: str,
        quantity: Number,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Order:
        """Stage a market order, to be approved by a person. Return the ticket."""
        terms = {"tag": tag} | _terms(account, route, symbol, quantity)
        return self._order("stage_market_order", terms, client_order_id, time_in_force)

    def stage_limit_order(
        self,
        tag: str,
        account: str,
        route: str,
        symbol: str,
        limit_price: Number,
        quantity: Number,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Order:
        """Stage a limit order, to be approved by a person. Return the ticket."""
        terms = {"tag": tag} | _terms(account, route, symbol, quantity, limit_price=limit_price)
        return self._order("stage_limit_order", terms, client_order_id, time_in_force)

    def stage_stop_order(
        self,
        tag: str,
        account: str,
        route: str,
        symbol: str,
        stop_price: Number,
        quantity: Number,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Order:
        """Stage a stop order, to be approved by a person. Return the ticket."""
        terms = {"tag": tag} | _terms(account, route, symbol, quantity, stop_price=stop_price)
        return self._order("stage_stop_order", terms, client_order_id, time_in_force)

    def stage_stoplimit_order(
        self,
        tag: str,
        account: str,
        route: str,
        symbol: str,
        stop_price: Number,
        limit_price: Number,
        quantity: Number,
        client_order_id: str | None = None,
        time_in_force: str | None = None,
    ) -> Order:
        """Stage a stop-limit order, to be approved by a person. Return the ticket."""
        prices = _terms(account, route, symbol, quantity, stop_price=stop_price, limit_price=limit_price)
        return self._order("stage_stoplimit_order", {"tag": tag} | prices, client_order_id, time_in_force)

    def query_exits(
        self, order_id: str | None = None, account: str | None = None, symbol: str | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return what is attached to entries, by the entry's id: plan, what is left, working exits, trouble."""
        return self._read("query_exits", id=order_id, account=account, symbol=symbol)

    def cancel_exits(self, order_id: str) -> Order:
        """End all that is attached to an entry: its working exits, its hold time. Return the entry."""
        return self._setting("cancel_exits", id=order_id)

    def approve_ticket(self, order_id: str) -> Order:
        """Send a staged order. Return it."""
        return self._action("approve_ticket", id=order_id)

    def reject_ticket(self, order_id: str, reason: str = "") -> Order:
        """Reject a staged order. Return it."""
        return self._action("reject_ticket", id=order_id, reason=reason)

    def set_order_route(self, route: str | Mapping[str, Any]) -> dict[str, Any]:
        """Set the route of orders that name none (or ""): a name, or `{name: {parameter: value}}`. Return it.

        An order that names a route goes by that one, without the parameters given here.
        """
        return self._setting("set_order_route", route=route)

    def get_order_route(self) -> dict[str, Any]:
        """Return the gateway's order route, `{name: None or {parameter: value}}`."""
        return self._read("get_order_route")

    # -- sources of signals

    def add_source(
        self,
        kind: str,
        account: str | None = None,
        name: str | None = None,
        venue: str | None = None,
        secret: str | None = None,
        user: str | None = None,
        symbols: str | Mapping[str, str] | None = None,
        sizing: str | None = None,
        size: Number | None = None,
        rounding: bool | None = None,
        order_type: str | None = None,
        limit_offset: Number | None = None,
        time_in_force: str | None = None,
        route: str | None = None,
        semantics: str | None = None,
        max_age: Number | None = None,
        duplicate_window: Number | None = None,
        shadow: bool | None = None,
        rate: Number | None = None,
        addresses: str | None = None,
        certificate: str | None = None,
        mapping: str | Mapping[str, str] | None = None,
        template: str | None = None,
        limits: str | Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Let a sender's signals in. Return its `url`, and the `message` to paste there with its secret, this once.

        kind: tradingview, proquant, algogene or generic. symbols and mapping: FROM=TO,FROM=TO or JSON. sizing: as_sent,
        fixed, percent, notional or risk, of `size`. semantics: orders, one_position or target. limit_offset: 0.5, or
        0.1%. limits: max_notional=10000:8000,order_rate=5.
        """
        return self._action(
            "add_source",
            kind=kind,
            account=account,
            name=name,
            venue=venue,
            secret=secret,
            user=user,
            symbols=symbols,
            sizing=sizing,
            size=level("size", size),
            rounding=rounding,
            order_type=order_type,
            limit_offset=level("limit_offset", limit_offset),
            time_in_force=time_in_force,
            route=route,
            semantics=semantics,
            max_age=level("max_age", max_age),
            duplicate_window=level("duplicate_window", duplicate_window),
            shadow=shadow,
            rate=level("rate", rate),
            addresses=addresses,
            certificate=certificate,
            mapping=mapping,
            template=template,
            limits=limits,
        )

    def change_source(
        self,
        name: str,
        account: str | None = None,
        venue: str | None = None,
        secret: str | None = None,
        user: str | None = None,
        symbols: str | Mapping[str, str] | None = None,
        sizing: str | None = None,
        size: Number | None = None,
        rounding: bool | None = None,
        order_type: str | None = None,
        limit_offset: Number | None = None,
        time_in_force: str | None = None,
        route: str | None = None,
        semantics: str | None = None,
        max_age: Number | None = None,
        duplicate_window: Number | None = None,
        shadow: bool | None = None,
        rate: Number | None = None,
        addresses: str | None = None,
        certificate: str | None = None,
        mapping: str | Mapping[str, str] | None = None,
        template: str | None = None,
        limits: str | Mapping[str, str] | None = None,
        new_secret: bool = False,
    ) -> dict[str, Any]:
        """Change a source's settings from its next signal on: what is given; "" is as if it had never been given.

        limits: those that are named; "" takes away all that were set of source:NAME, set_risk without a value one.
        new_secret: make another secret, shown in the answer this once; the old one opens nothing any more.
        """
        return self._action(
            "change_source",
            name=name,
            account=account,
            venue=venue,
            secret=secret,
            user=user,
            symbols=symbols,
            sizing=sizing,
            size=level("size", size),
            rounding=rounding,
            order_type=order_type,
            limit_offset=level("limit_offset", limit_offset),
            time_in_force=time_in_force,
            route=route,
            semantics=semantics,
            max_age=level("max_age", max_age),
            duplicate_window=level("duplicate_window", duplicate_window),
            shadow=shadow,
            rate=level("rate", rate),
            addresses=addresses,
            certificate=certificate,
            mapping=mapping,
            template=template,
            limits=limits,
            new_secret=new_secret,
        )

    def remove_source(self, name: str, force: bool = False) -> bool:
        """Let a source's signals in no more. Return False when there is none.

        Refused while its strategies hold something, or orders or signals of it are under way; force removes it
        nevertheless, and all that stays as it is.
        """
        return self._action("remove_source", name=name, force=force)

    def query_sources(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the sources of signals, or one: settings without the secret, URL, what came since the start."""
        return self._read("query_sources", name=name)

    def connect_proquant(
        self,
        source: str,
        email: str,
        name: str | None = None,
        description: str = "txGateway",
        image_url: str = "",
    ) -> dict[str, Any]:
        """Ask ProQuant for an integration that signals to a source; its user approves it in ProQuant's app.

        email: the one of the user's ProQuant account. name, description and image_url are what the user sees there.
        """
        return self._action(
            "connect_proquant", source=source, email=email, name=name, description=description, image_url=image_url
        )

    def query_integrations(self, source: str | None = None) -> list[dict[str, Any]]:
        """Return the integrations of each source or of one, their steps, and which strategies signal."""
        return self._read("query_integrations", source=source)

    # -- signals

    def query_signals(
        self, source: str | None = None, outcome: str | None = None, strategy: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return the latest signals, newest first; outcome PENDING, DONE, REFUSED or SHADOW."""
        return self._read("query_signals", source=source, outcome=outcome, strategy=strategy, limit=limit)

    def explain_signal(self, id: str) -> dict[str, Any] | None:
        """Return a signal's story, from what was sent to its orders' last fill; None when it is unknown."""
        return self._read("explain_signal", id=id)

    def replay_signal(self, id: str) -> list[str]:
        """Return what a stored signal would do now; nothing is sent."""
        return self._read("replay_signal", id=id)

    def query_strategies(
        self, source: str | None = None, strategy: str | None = None, symbol: str | None = None
    ) -> list[dict[str, Any]]:
        """Return what each strategy of each source holds, and is to hold."""
        return self._read("query_strategies", source=source, strategy=strategy, symbol=symbol)

    def adjust_strategy(
        self, source: str, strategy: str, account: str, symbol: str, quantity: Number, text: str
    ) -> dict[str, Any]:
        """Say what a strategy holds, where what is on record is wrong; nothing is sent."""
        return self._action(
            "adjust_strategy",
            source=source,
            strategy=strategy,
            account=account,
            symbol=symbol,
            quantity=quantity,
            text=text,
        )

    # -- the journal

    def query_journal(
        self, after: int = 0, limit: int = 100, order: str | None = None, kind: str | None = None
    ) -> list[dict[str, Any]]:
        """Return journal records in order, those after seq `after`; of one order or kind when given."""
        return self._read("query_journal", after=after, limit=limit, order=order, kind=kind)

    def explain_order(self, order_id: str) -> dict[str, Any] | None:
        """Return an order and its story, record by record; None when it is unknown."""
        return self._read("explain_order", id=order_id)

    # -- how they are asked

    def _read(self, method: str, /, **arguments: object) -> Any:
        return self._call(Call(method, _given(arguments)))

    def _setting(self, method: str, /, **arguments: object) -> Any:
        return self._call(Call(method, _given(arguments), Kind.SETTING))

    def _action(self, method: str, /, **arguments: object) -> Any:
        return self._call(Call(method, _given(arguments), Kind.ACTION))

    def _order(
        self, method: str, terms: Mapping[str, object], client_order_id: str | None, time_in_force: str | None
    ) -> Any:
        """Send an order under the caller's key, or one made here."""
        key = client_order_id or str(uuid.uuid4())
        return self._call(
            Call(method, _given({**terms, "client_order_id": key, "time_in_force": time_in_force}), Kind.ORDER)
        )


def number(name: str, value: Number) -> int | float | str:
    """A number as it is sent: int and float as they are, Decimal and text exactly. Raises BadArgument."""
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        exact = Decimal("NaN")
    if isinstance(value, bool) or not exact.is_finite():
        raise BadArgument(f"{name}: {value!r} is no number")
    return value if isinstance(value, int | float) else str(value).strip()


def optional(name: str, value: Number | None) -> int | float | str | None:
    """A number as it is sent; None stays None."""
    return None if value is None else number(name, value)


def level(name: str, value: Number | None) -> int | float | str | None:
    """A level as it is sent: a number, or a text that the gateway reads (`2%`, `1.5 away`)."""
    return value.strip() if isinstance(value, str) else optional(name, value)


def _terms(account: str, route: str, symbol: str, quantity: Number, **prices: Number) -> dict[str, object]:
    """What txTrader's order calls have in common."""
    numbers = {name: number(name, value) for name, value in (*prices.items(), ("quantity", quantity))}
    return {"account": account, "route": route, "symbol": symbol, **numbers}


def _given(arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments that have a value."""
    return {name: value for name, value in arguments.items() if value is not None}
