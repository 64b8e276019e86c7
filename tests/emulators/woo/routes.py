"""Every path that can be asked, what it does, and how often. v1's names of parameters are turned into v3's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulators.crypto.orders import Account
from tests.emulators.woo import rows
from tests.emulators.woo.asked import Asked
from tests.emulators.woo.data import Accounts, Data
from tests.emulators.woo.errors import Fault
from tests.emulators.woo.trading import Trading

if TYPE_CHECKING:
    from tests.emulators.woo.server import WooEmulator

Do = Callable[["WooEmulator", Any, Asked], Any]
OLD = {
    "order_id": "orderId",
    "oid": "orderId",
    "client_order_id": "clientOrderId",
    "order_type": "type",
    "order_price": "price",
    "order_quantity": "quantity",
    "order_amount": "amount",
    "order_tag": "orderTag",
    "reduce_only": "reduceOnly",
    "position_side": "positionSide",
    "visible_quantity": "visibleQuantity",
    "margin_mode": "marginMode",
    "start_t": "startTime",
    "end_t": "endTime",
    "max_level": "maxLevel",
    "position_mode": "positionMode",
}
NEW = {"broker_id": "brokerId"}


@dataclass(frozen=True, eq=False)
class Call:
    """One path. `do` gives the data; of an order command, what gives it."""

    method: str
    path: str
    do: Do
    private: bool = False
    command: bool = False
    most: int = 10
    seconds: float = 1
    by_symbol: bool = False
    wrapped: bool = True
    """v3: in `data`, with a `timestamp`."""
    names: Mapping[str, str] = field(default_factory=dict)
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        parts = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", self.path)
        object.__setattr__(self, "pattern", re.compile(f"^{parts}$"))


def find(method: str, path: str) -> tuple[Call, dict[str, str]]:
    """Which one it is, and what its path names."""
    there = False
    for call in CALLS:
        if found := call.pattern.match(path):
            there = True
            if call.method == method:
                return call, found.groupdict()
    raise Fault(-1000, "Method Not Allowed" if there else "Not Found", 405 if there else 404)


def _public(path: str, do: Callable[[Data, Asked], Any]) -> Call:
    return Call("GET", f"/v3/public/{path}", lambda emulator, account, asked: do(Data(emulator), asked))


def _old_public(path: str, do: Callable[[Data, Asked], Any]) -> Call:
    return Call(
        "GET",
        f"/v1/public/{path}",
        lambda emulator, account, asked: do(Data(emulator), asked),
        wrapped=False,
        names=OLD,
    )


def _mine(method: str, path: str, do: Callable[[Accounts, Asked], Any], most: int, seconds: float) -> Call:
    def call(emulator: WooEmulator, account: Account, asked: Asked) -> Any:
        return do(Accounts(emulator, account), asked)

    return Call(method, f"/v3/{path}", call, private=True, most=most, seconds=seconds)


def _query(path: str, do: Callable[[Trading, Asked], Any], most: int = 10, old: bool = False) -> Call:
    def call(emulator: WooEmulator, account: Account, asked: Asked) -> Any:
        return do(Trading(emulator, account), asked)

    prefix, names = ("/v1/", OLD) if old else ("/v3/trade/", NEW)
    return Call("GET", prefix + path, call, private=True, most=most, wrapped=not old, names=names)


def _order(method: str, path: str, do: Callable[[Trading, Asked], Callable[[], Any]], most: int = 10) -> Call:
    def call(emulator: WooEmulator, account: Account, asked: Asked) -> Any:
        return do(Trading(emulator, account), asked)

    old = not path.startswith("/v3/")
    names = OLD if old else {}
    by_symbol = method == "POST"
    return Call(method, path, call, True, True, most, 1, by_symbol, not old, names)


def _trade(trading: Trading, asked: Asked) -> dict[str, Any]:
    number = asked.whole("tid", 0)
    for each in trading.exchange.fills:
        if each.number == number and each.account == trading.account.name:
            return rows.fill_row(each)
    raise Fault(317149, "trade not found")


def _old_placed(trading: Trading, asked: Asked) -> Callable[[], Any]:
    place = trading.new(asked)

    def do() -> dict[str, Any]:
        row = place()
        names = {"orderId": "order_id", "clientOrderId": "client_order_id", "type": "order_type"}
        names |= {"price": "order_price", "quantity": "order_quantity", "amount": "order_amount"}
        old = {name: row[key] for key, name in names.items()}
        return {"timestamp": rows.seconds(trading.emulator.now()), **old}

    return do


def _cancelled(trading: Trading, asked: Asked, *names: Any) -> Callable[[], Any]:
    order = trading.order(asked, *names)
    return lambda: trading.cancel(order)


def _changed(trading: Trading, asked: Asked, *names: Any) -> Callable[[], Any]:
    order = trading.order(asked, *names)
    return lambda: trading.change(order, asked)


def _several(trading: Trading, asked: Asked) -> Callable[[], Any]:
    ids = [word for word in asked.text("orderIds").split(",") if word]
    clients = [word for word in asked.text("clientOrderIds").split(",") if word]
    found = [trading.order(Asked({"orderId": word})) for word in ids]
    found += [trading.order(Asked({"clientOrderId": word})) for word in clients]
    return lambda: trading.cancel_all("", found)


ALGO = ("algoOrderId", "clientAlgoOrderId", True)
STATE = {"status": 0, "msg": "System is functioning properly.", "estimatedEndTime": 0}
CALLS: tuple[Call, ...] = (
    _public("systemInfo", lambda data, asked: dict(STATE)),
    _public("instruments", lambda data, asked: {"rows": [rows.instrument_row(e) for e in data.every(asked)]}),
    _public("marketTrades", lambda data, asked: {"rows": data.trades(asked)}),
    _public("marketTradesHistory", lambda data, asked: {"rows": data.trades(asked)}),
    _public("orderbook", lambda data, asked: data.emulator.streams.book(data.one(asked), asked.whole("maxLevel", 100))),
    _public("kline", lambda data, asked: {"rows": data.bars(asked)}),
    _public("klineHistory", lambda data, asked: {"rows": data.bars(asked)}),
    _public(
        "futures",
        lambda data, asked: {
            "rows": [rows.futures_row(e, data.exchange.tape(e), data.market) for e in data.every(asked, perp=True)]
        },
    ),
    _public(
        "fundingRate",
        lambda data, asked: {"rows": [rows.funding_row(e, data.market) for e in data.every(asked, True) if e.perp]},
    ),
    _public("fundingRateHistory", lambda data, asked: data.fundings(asked)),
    _old_public("system_info", lambda data, asked: {"data": {"status": 0, "msg": STATE["msg"]}}),
    _old_public("info", lambda data, asked: {"rows": [rows.old_instrument_row(e) for e in data.every(asked)]}),
    _old_public("info/{symbol}", lambda data, asked: {"info": rows.old_instrument_row(data.one(asked))}),
    _old_public("token", lambda data, asked: {"rows": [_token(a) for a in _assets(data)]}),
    _old_public("token_network", lambda data, asked: {"rows": [_network(a) for a in _assets(data)]}),
    _old_public("orderbook/{symbol}", lambda data, asked: _old_book(data, asked)),
    _old_public("market_trades", lambda data, asked: {"rows": [_old_trade(row) for row in data.trades(asked)]}),
    _old_public("kline", lambda data, asked: {"rows": data.bars(asked)}),
    _query("order", lambda trading, asked: rows.order_row(trading.order(asked)), 5),
    _query("orders", lambda trading, asked: trading.listed(asked)),
    _query("algoOrder", lambda trading, asked: rows.algo_row(trading.order(asked, *ALGO))),
    _query("algoOrders", lambda trading, asked: trading.listed(asked, algo=True)),
    _query("transaction", _trade),
    _query("transactionHistory", lambda trading, asked: trading.fills(asked), 2),
    _query("tradingFee", lambda trading, asked: _fee(trading, asked), 2),
    _query("order/{oid}", lambda trading, asked: rows.old_order_row(trading.order(asked)), old=True),
    _query("client/order/{client_order_id}", lambda t, asked: rows.old_order_row(t.order(asked)), old=True),
    _query("orders", lambda trading, asked: _old_orders(trading, asked), old=True),
    _query("order/{oid}/trades", lambda trading, asked: _old_fills(trading, asked), old=True),
    _query("client/trades", lambda trading, asked: _old_fills(trading, asked), old=True),
    _order("POST", "/v3/trade/order", lambda trading, asked: trading.new(asked), 5),
    _order("PUT", "/v3/trade/order", _changed, 5),
    _order("DELETE", "/v3/trade/order", _cancelled),
    _order("DELETE", "/v3/trade/orders", _several),
    _order("DELETE", "/v3/trade/allOrders", lambda t, asked: lambda: t.cancel_all(asked.text("symbol"))),
    _order("POST", "/v3/trade/algoOrder", lambda trading, asked: trading.new_algo(asked), 2),
    _order("PUT", "/v3/trade/algoOrder", lambda trading, asked: _changed(trading, asked, *ALGO), 5),
    _order("DELETE", "/v3/trade/algoOrder", lambda trading, asked: _cancelled(trading, asked, *ALGO)),
    _order("DELETE", "/v3/trade/algoOrders", lambda t, a: lambda: t.cancel_all(a.text("symbol"), t.orders(algo=True))),
    _order("POST", "/v3/trade/cancelAllAfter", lambda t, a: lambda: t.emulator.cancel_all_after(t.account, a)),
    _order("POST", "/v1/order", _old_placed),
    _order("DELETE", "/v1/order", _cancelled),
    _order("DELETE", "/v1/client/order", _cancelled),
    _order("DELETE", "/v1/orders", lambda t, asked: lambda: t.cancel_all(asked.needed("symbol"))),
    _mine("GET", "account/info", lambda mine, asked: mine.info(), 10, 60),
    _mine("GET", "account/subAccounts/all", lambda mine, asked: {"rows": []}, 10, 60),
    _mine("GET", "asset/balances", lambda mine, asked: {"holding": mine.balances()}, 10, 1),
    _mine("GET", "futures/positions", lambda mine, asked: {"positions": mine.positions(asked.text("symbol"))}, 30, 10),
    _mine("GET", "futures/leverage", lambda mine, asked: mine.leverage(asked), 10, 60),
    _mine("PUT", "futures/leverage", lambda mine, asked: mine.set_leverage(asked), 10, 60),
    _mine("PUT", "futures/positionMode", lambda mine, asked: mine.set_mode(asked), 5, 60),
    _mine("GET", "futures/fundingFee/history", lambda mine, asked: mine.funding_fees(asked), 20, 60),
)


def _assets(data: Data) -> list[str]:
    return sorted({asset for tape in data.market.tapes.values() for asset in tape.instrument.assets})


def _token(asset: str) -> dict[str, Any]:
    row = {"token": f"ETH_{asset}", "fullname": asset, "network": "ETH", "decimals": "18", "delisted": False}
    return row | {"balance_token": asset, "can_collateral": True, "can_short": True}


def _network(asset: str) -> dict[str, Any]:
    row = {"protocol": "ERC20", "network": "ETH", "token": asset, "name": "Ethereum (ERC20)"}
    return row | {"minimum_withdrawal": "10", "withdrawal_fee": "2", "allow_deposit": "1", "allow_withdraw": "1"}


def _old_book(data: Data, asked: Asked) -> dict[str, Any]:
    book = data.emulator.streams.book(data.one(asked), asked.whole("maxLevel", 100))
    sides = {
        name: [{"price": float(row["price"]), "quantity": float(row["quantity"])} for row in book[name]]
        for name in ("asks", "bids")
    }
    return {"timestamp": book["timestamp"], **sides}


def _old_trade(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "symbol": row["symbol"],
        "side": row["side"],
        "source": 0,
        "executed_price": float(row["executedPrice"]),
        "executed_quantity": float(row["executedQuantity"]),
        "executed_timestamp": rows.seconds(row["executedTimestamp"] / 1000),
    }


def _old_orders(trading: Trading, asked: Asked) -> dict[str, Any]:
    page = trading.listed(asked)
    every = {each.number: each for each in trading.orders()}
    meta = {"total": page["meta"]["total"], "records_per_page": page["meta"]["recordsPerPage"], "current_page": 1}
    return {"meta": meta, "rows": [rows.old_order_row(every[row["orderId"]]) for row in page["rows"]]}


def _old_fills(trading: Trading, asked: Asked) -> dict[str, Any]:
    number = asked.whole("orderId", 0)
    found = [f for f in trading.exchange.fills if f.account == trading.account.name and number in (0, f.order)]
    return {"rows": [rows.old_fill_row(each) for each in reversed(found)]}


def _fee(trading: Trading, asked: Asked) -> dict[str, Any]:
    each = trading.emulator.listed(asked.needed("symbol"))
    fees = {"takerFee": rows.text(each.taker * 10000), "makerFee": rows.text(each.maker * 10000)}
    return {"symbol": each.symbol, **fees}
