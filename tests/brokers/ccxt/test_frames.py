"""Private frames as the exchanges document them, and what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from txgateway.brokers.ccxt import frames, ids
from txgateway.brokers.ccxt.frames import Decode, Names
from txgateway.brokers.ccxt.ids import IdForm
from txgateway.brokers.ccxt.words import Denied, Ended, Fill, Heard, Held, Seen, Word
from txgateway.model.order import OrderStatus, OrderType, Side, TimeInForce

RECORDINGS = Path(__file__).parent / "recordings"
OURS = "01HV000000ABCDEFGHJK"
D = Decimal
SYMBOLS = {"ETHBTC": "ETH/BTC", "BTCUSDT": "BTC/USDT:USDT", "SPOT_BTC_USDT": "BTC/USDT", "BTC-USD": "BTC/USD"}


def read(name: str, decode: Decode, form: IdForm = IdForm.TEXT) -> dict[str, list[Word] | None]:
    names = Names(lambda written: ids.order_id(form, written) or written, SYMBOLS.__getitem__)
    lines = (RECORDINGS / f"{name}.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    return {each["name"]: decode(each["frame"], names) for each in records}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_binance_spot() -> None:
    told = read("binance", frames.binance)
    assert told["subscribed"] == [Heard("user")]
    terms = {
        "name": OURS,
        "broker_id": "4293153",
        "symbol": "ETH/BTC",
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "quantity": D(1),
        "limit": D("0.10264410"),
        "whole": True,
    }
    assert told["new"] == [
        Seen(**terms, status=OrderStatus.NEW, time=at("2017-07-07T05:34:18.657"), filled=D(0))  # type: ignore[arg-type]
    ]
    seen, fill = told["trade"] or ()
    assert isinstance(seen, Seen)
    assert seen.status is OrderStatus.PARTIALLY_FILLED
    assert (seen.filled, seen.average) == (D("0.4"), D("0.102644"))
    assert fill == Fill(
        execution_id="ETHBTC-17-4293153",
        name=OURS,
        broker_id="4293153",
        symbol="ETH/BTC",
        side=Side.BUY,
        quantity=D("0.4"),
        price=D("0.102644"),
        time=at("2017-07-07T05:34:18.999"),
        fee=D("0.0004"),
        fee_currency="ETH",
        maker=True,
        cumulative=D("0.4"),
    )
    (canceled,) = told["canceled"] or ()
    assert isinstance(canceled, Seen)
    assert (canceled.name, canceled.status, canceled.filled) == (OURS, OrderStatus.CANCELED, D("0.4"))
    assert told["balances"] == [Held(currency="ETH", total=D("10001.5"), used=D("1.5"))]
    assert told["public"] is None


def test_binance_futures() -> None:
    told = read("binance", frames.binance)
    seen, fill = told["futures trade"] or ()
    assert isinstance(seen, Seen)
    assert isinstance(fill, Fill)
    assert (seen.name, seen.symbol, seen.side) == ("TEST", "BTC/USDT:USDT", Side.SELL)
    assert (seen.status, seen.average, seen.time_in_force) == (OrderStatus.FILLED, D("9909.5"), TimeInForce.IOC)
    assert (fill.price, fill.fee, fill.fee_currency) == (D("9909.5"), D("0.0039638"), "USDT")
    (amended,) = told["futures amended"] or ()
    assert isinstance(amended, Seen)
    assert amended.replaced
    assert (amended.quantity, amended.limit) == (D("0.002"), D(9950))
    assert told["futures account"] == [Held(currency="USDT", total=D("122624.12345678"))]
    assert isinstance((told["key expired"] or [None])[0], Ended)


def test_woo() -> None:
    told = read("woo", frames.woo)
    assert told["auth"] == [Heard("auth")]
    assert told["subscribed"] == [Heard("subscription 1")]
    (new,) = told["new"] or ()
    assert isinstance(new, Seen)
    assert (new.name, new.broker_id, new.quantity, new.limit) == ("123", "54774393", D("0.001"), D(22000))
    seen, fill = told["filled"] or ()
    assert isinstance(seen, Seen)
    assert isinstance(fill, Fill)
    assert (seen.status, seen.time_in_force) == (OrderStatus.FILLED, TimeInForce.IOC)
    assert (fill.execution_id, fill.quantity, fill.price) == ("56201985", D("0.00040791"), D("23534.06"))
    assert (fill.fee, fill.fee_currency) == (D("2.1E-7"), "BTC")
    (denied,) = told["cancel refused"] or ()
    assert isinstance(denied, Denied)
    assert (denied.asked, denied.name, denied.text) == ("cancel", "123", "The order is completed.")
    assert told["balances"] == [Held(currency="USDT", total=D("266.56059176"), used=D("10.5"))]
    assert told["public"] is None


def test_coinbase() -> None:
    told = read("coinbase", frames.coinbase)
    assert told["subscribed"] == [Heard("user")]
    assert told["open"] == [
        Seen(
            name=OURS,
            broker_id="b-1",
            symbol="BTC/USD",
            status=OrderStatus.PARTIALLY_FILLED,
            time=at("2023-02-09T20:33:57.609931"),
            side=Side.BUY,
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            quantity=D("0.010"),
            limit=D(50000),
            filled=D("0.004"),
            average=D(50000),
        )
    ]
    (canceled,) = told["canceled"] or ()
    assert isinstance(canceled, Seen)
    assert (canceled.status, canceled.quantity, canceled.filled) == (OrderStatus.CANCELED, None, D("0.004"))
    assert canceled.text == "User requested cancel"
    assert told["public"] is None


def test_coinbaseexchange() -> None:
    told = read("coinbaseexchange", frames.coinbaseexchange, IdForm.UUID)
    assert told["subscribed"] == [Heard("user")]
    (received,) = told["received"] or ()
    assert isinstance(received, Seen)
    assert (received.name, received.quantity) == ("0123456789ABCDEFGHJK", D("1.34"))
    (taken,) = told["match as taker"] or ()
    assert isinstance(taken, Fill)
    assert (taken.side, taken.broker_id) == (Side.BUY, "132fb6ae-456b-4654-b4e0-d681ac05cea1")
    assert taken.execution_id == "BTC-USD-10-132fb6ae-456b-4654-b4e0-d681ac05cea1"
    assert (taken.fee, taken.fee_currency) == (D("5.23512") * D("400.23") * D("0.005"), "USD")
    assert taken.time == at("2014-11-07T08:19:27.028")
    (made,) = told["match as maker"] or ()
    assert isinstance(made, Fill)
    assert made.maker
    assert (made.side, made.broker_id, made.fee) == (Side.SELL, "ac928c66-ca53-498f-9c13-a110027a60e8", D("0.400"))
    (canceled,) = told["canceled"] or ()
    assert isinstance(canceled, Seen)
    assert canceled.status is OrderStatus.CANCELED
    assert told["public"] is None
