"""The surface: what each method sends, and that both clients have all of it."""

from __future__ import annotations

import inspect
from decimal import Decimal
from typing import Any

import pytest

from txgateway_client import API, BadArgument
from txgateway_client.commands import Commands, number
from txgateway_client.deferred import DeferredAPI
from txgateway_client.exchange import Call, Kind, sentence


class Recorder(Commands):
    """Answers nothing, and keeps what was asked."""

    def _call(self, call: Call) -> Any:
        self.call = call

    def set_account(self, account: str) -> Any:
        return self._setting("set_account", account=account)


TXTRADER = {
    "query_bars": "symbol period start end",
    "query_account": "account fields",
    "query_order": "order_id",
    "query_order_executions": "order_id",
    "query_execution": "execution_id",
    "cancel_order": "order_id",
    "set_order_route": "route",
    "market_order": "account route symbol quantity",
    "stage_market_order": "tag account route symbol quantity",
    "limit_order": "account route symbol limit_price quantity",
    "stop_order": "account route symbol stop_price quantity",
    "stoplimit_order": "account route symbol stop_price limit_price quantity",
    **dict.fromkeys(["add_symbol", "del_symbol", "query_symbol", "query_symbol_data", "query_symbol_bars"], "symbol"),
    **dict.fromkeys(["help", "status", "version", "uptime", "time", "query_symbols", "query_all_symbols"], ""),
    **dict.fromkeys(["query_accounts", "query_positions", "get_order_route", "global_cancel"], ""),
    **dict.fromkeys(["query_orders", "query_tickets", "query_executions"], ""),
    "set_account": "account",
    "shutdown": "message",
}
"""txtrader-client 1.5.4: its methods, and their arguments in their positions."""

ORDERS = {
    "submit_order": ("A", "IBM", "BUY", 100),
    "market_order": ("A", "R", "IBM", 100),
    "limit_order": ("A", "R", "IBM", 183.5, 100),
    "stop_order": ("A", "R", "IBM", 183.5, 100),
    "stoplimit_order": ("A", "R", "IBM", 183.5, 183.25, 100),
    "stage_market_order": ("T", "A", "R", "IBM", 100),
    "stage_limit_order": ("T", "A", "R", "IBM", 183.5, 100),
    "stage_stop_order": ("T", "A", "R", "IBM", 183.5, 100),
    "stage_stoplimit_order": ("T", "A", "R", "IBM", 183.5, 183.25, 100),
}


def public(kind: type) -> dict[str, Any]:
    """The public methods of a class."""
    return {name: member for name, member in inspect.getmembers(kind, callable) if not name.startswith("_")}


@pytest.mark.parametrize("name", sorted(TXTRADER))
def test_txtraders_methods_are_there_with_their_arguments_in_their_positions(name: str) -> None:
    assert list(inspect.signature(getattr(API, name)).parameters)[1:][: len(TXTRADER[name].split())] == (
        TXTRADER[name].split()
    )


def test_both_clients_have_the_same_methods_arguments_and_docstrings() -> None:
    ours, theirs = public(API), public(DeferredAPI)
    assert ours.keys() == theirs.keys()
    for name, method in ours.items():
        assert list(inspect.signature(method).parameters) == list(inspect.signature(theirs[name]).parameters), name
        assert theirs[name].__doc__, name


def test_every_public_method_says_what_it_does_and_is_typed() -> None:
    for name, method in public(Commands).items():
        assert method.__doc__, name
        signature = inspect.signature(method)
        assert signature.return_annotation is not signature.empty, name
        assert all(p.annotation is not p.empty for p in list(signature.parameters.values())[1:]), name


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_every_order_method_takes_a_key_and_a_time_in_force(name: str) -> None:
    recorder = Recorder()
    getattr(recorder, name)(*ORDERS[name], client_order_id="k", time_in_force="GTC")
    call = recorder.call
    assert call.method == name
    assert call.kind is Kind.ORDER
    assert call.client_order_id == "k"
    assert call.arguments["time_in_force"] == "GTC"
    assert {"account": "A", "symbol": "IBM", "quantity": 100}.items() <= call.arguments.items()
    assert None not in call.arguments.values()
    for price in ("stop_price", "limit_price"):
        expected = price.removesuffix("_price") in name.split("_")[-2] + ("limit" if "stoplimit" in name else "")
        assert (price in call.arguments) == expected


@pytest.mark.parametrize("symbols", ["IBM,aapl@ib", ["IBM", "aapl@ib"], ("IBM", "aapl@ib")])
def test_last_prices_take_a_list_or_names_with_commas(symbols: Any) -> None:
    recorder = Recorder()
    recorder.query_last_prices(symbols)
    assert recorder.call.arguments == {"symbols": "IBM,aapl@ib"}


def test_stop_and_limit_are_not_exchanged() -> None:
    recorder = Recorder()
    recorder.stoplimit_order("A", "R", "IBM", 10, 11, -5)
    assert {"stop_price": 10, "limit_price": 11, "quantity": -5}.items() <= recorder.call.arguments.items()


def test_submit_order_sends_what_was_given() -> None:
    recorder = Recorder()
    recorder.submit_order("A", "IBM", "SELL_SHORT", 5, "STOP_LIMIT", 10, 11, route="R", tag="T", client_order_id="k")
    assert recorder.call.arguments == {
        "account": "A",
        "symbol": "IBM",
        "side": "SELL_SHORT",
        "quantity": 5,
        "order_type": "STOP_LIMIT",
        "limit_price": 10,
        "stop_price": 11,
        "route": "R",
        "tag": "T",
        "client_order_id": "k",
    }


def test_replace_order_sends_what_changes_and_zero_too() -> None:
    recorder = Recorder()
    recorder.replace_order("A", limit_price="10.25", quantity=0)
    assert recorder.call.arguments == {"id": "A", "quantity": 0, "limit_price": "10.25"}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (100, 100),
        (-5, -5),
        (0.1, 0.1),
        (Decimal("0.10"), "0.10"),
        (Decimal("1E-8"), "1E-8"),
        (" 183.25 ", "183.25"),
        ("-100", "-100"),
    ],
)
def test_numbers_arrive_as_exactly_as_they_were_given(value: Any, sent: Any) -> None:
    assert number("quantity", value) == sent


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), "many", "", True, None, "1e999999999x"])
def test_what_is_no_number_is_refused_before_it_is_sent(value: Any) -> None:
    with pytest.raises(BadArgument, match=r"quantity: .* is no number"):
        number("quantity", value)


def test_what_json_cannot_say_is_refused_before_it_is_sent() -> None:
    with pytest.raises(BadArgument, match="cannot be sent as JSON"):
        _ = Call("set_order_route", {"route": {"x": float("nan")}}).body
    with pytest.raises(BadArgument, match="cannot be sent as JSON"):
        _ = Call("set_order_route", {"route": object()}).body


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        (5, "2013-10-07 09:30", "2013-10-07 16:00:00"),
        ("5", "2013-10-07", "."),
        ("day", "-20", "."),
        ("W", ".", "."),
        ("Month", -3, "2013-10-07"),
    ],
)
def test_query_bars_takes_every_form(period: Any, start: Any, end: Any) -> None:
    recorder = Recorder()
    recorder.query_bars("IBM", period, start, end)
    sent = 5 if period == "5" else period
    assert recorder.call.arguments == {"symbol": "IBM", "period": sent, "start": start, "end": end}


@pytest.mark.parametrize(
    ("period", "start", "end", "name"),
    [
        ("hour", ".", ".", "period"),
        ("5m", ".", ".", "period"),
        (-5, ".", ".", "period"),
        (5, "yesterday", ".", "start"),
        (5, "2013-10-07T09:30", ".", "start"),
        (5, ".", "2013-10-07 9:30", "end"),
        (5, ".", None, "end"),
    ],
)
def test_query_bars_refuses_others_by_name(period: Any, start: Any, end: Any, name: str) -> None:
    with pytest.raises(BadArgument, match=f"{name}:"):
        Recorder().query_bars("IBM", period, start, end)


def test_what_is_not_given_is_not_sent() -> None:
    recorder = Recorder()
    recorder.query_orders(status="Filled", limit=5)
    assert recorder.call.arguments == {"status": "Filled", "limit": 5}
    recorder.query_orders()
    assert (recorder.call.verb, recorder.call.body) == ("GET", None)
    recorder.query_account("A", "")
    assert recorder.call.arguments == {"account": "A"}
    recorder.set_primary_exchange("IBM", None)
    assert recorder.call.arguments == {"symbol": "IBM", "exchange": None}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"errorMsg": "no", "status": "Error"}', "no"),
        (b'{"error": "no\\nway"}', "no way"),
        (b'"just text"', "just text"),
        (b"plain  text\n", "plain text"),
        (b"false", ""),
        (b"", ""),
        (b"\xff\xfe", "��"),
    ],
)
def test_the_sentence_of_an_error(body: bytes, said: str) -> None:
    assert sentence(body) == said
