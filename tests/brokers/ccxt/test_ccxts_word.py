"""An exchange that is not in the tables: how ccxt names its orders, by which ways it tells of them, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ccxt
import pytest
import pytest_twisted

from tests.brokers.ccxt.subject import BinanceUsdm, Woo, trying
from tests.brokers.ccxt.test_generic import Unknown
from tests.brokers.conftest import Logged
from txgateway.brokers import Can
from txgateway.brokers.ccxt import exchange, feeds, peculiarities, translate
from txgateway.brokers.conformance import Trial
from txgateway.model.errors import Ambiguous, Reason, Refused
from txgateway.model.events import OrderCanceled, VenueError
from txgateway.model.instrument import AssetClass
from txgateway.model.order import Order, OrderType
from txgateway.model.venue import PositionMode


class UnknownSwap(BinanceUsdm):
    """Binance's futures, as if nothing were known of them."""


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables are empty."""
    for module in ("peculiarities", "feeds", "perpetuals"):
        monkeypatch.setattr(f"txgateway.brokers.ccxt.{module}.TABLE", {})


UNKNOWN = pytest.mark.usefixtures("nothing_known")


# ---------------------------------------------------------------- names


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_an_order_of_ours_is_known_by_what_the_exchange_makes_of_its_id(tmp_path: Path) -> None:
    """Gate shows `t-` before it, others a broker's mark."""

    async def work(trial: Trial, session: Any) -> None:
        order = await trial.rest()
        for written in (order.order_id, f"t-{order.order_id}", f"AA03022abc{order.order_id}"):
            assert session.name_of({"clientOrderId": written, "id": "99", "symbol": order.symbol}) == order.order_id
        numbered = {"clientOrderId": "t-another", "id": order.broker_order_id, "symbol": order.symbol}
        assert session.name_of(numbered) == order.order_id
        assert session.name_of({**numbered, "symbol": "ETH/USDT"}) == "t-another"
        for foreign in ("", "x", "t-another"):
            assert session.name_of({"clientOrderId": foreign, "id": "99", "symbol": order.symbol}) == foreign
        assert not session.name_of({"clientOrderId": "0", "id": "99", "symbol": order.symbol}), "it is no id"

    await trying(Unknown, tmp_path, work)


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_what_is_told_of_it_under_that_name_is_told_of_ours(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        order = await trial.rest()
        ended = {"id": order.broker_order_id, "clientOrderId": f"t-{order.order_id}", "symbol": order.symbol}
        session.order({**ended, "status": "canceled", "filled": "0", "amount": "0.1", "side": "buy", "type": "limit"})
        assert len(trial.events(order, OrderCanceled)) == 1

    await trying(Unknown, tmp_path, work)


# ---------------------------------------------------------------- cancels


async def in_doubt(trial: Trial, session: Any, arrives: bool) -> tuple[Order, list[tuple[Any, ...]]]:
    """An order whose answer was lost, with all the cancels that are sent from now on."""
    exchange_, sent = session.exchange, []
    create, cancel = exchange_.create_order, exchange_.cancel_order

    async def lost(*arguments: Any) -> Any:
        if arrives:
            await create(*arguments)
        raise ccxt.RequestTimeout("no answer")

    async def canceled(*arguments: Any) -> Any:
        sent.append(arguments)
        return await cancel(*arguments)

    exchange_.create_order, exchange_.cancel_order = lost, canceled
    session.order = lambda unified: None  # nothing comes by the stream
    order = trial.order()
    with pytest.raises(Ambiguous):
        await trial.ask(trial.broker.submit(order))
    return order, sent


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_an_order_without_a_number_is_looked_for_before_it_is_canceled(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        order, sent = await in_doubt(trial, session, arrives=True)
        await trial.cancel(order)
        await trial.until(lambda: trial.events(order, OrderCanceled), "it is canceled")
        assert [bool(identity) for identity, *_ in sent] == [True]

    await trying(Unknown, tmp_path, work)


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_a_cancel_of_nothing_is_not_sent(tmp_path: Path) -> None:
    """There are exchanges that take it for one of everything."""

    async def work(trial: Trial, session: Any) -> None:
        order, sent = await in_doubt(trial, session, arrives=False)
        for each in (order, replace(order, order_id="OTHER", client_order_id="OTHER")):
            with pytest.raises(Refused, match=r"lists no open order .*: nothing was sent") as caught:
                await trial.cancel(each)
            assert caught.value.reason is Reason.NO_SUCH_ORDER
        assert not sent

    await trying(Unknown, tmp_path, work)


# ---------------------------------------------------------------- the stream


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_orders_are_heard_however_ccxt_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bybit's, OKX's and Gate's do not come by parse_ws_order: then they are what watch_orders gives."""
    made = exchange._heard

    def another_way(base: Any) -> Any:
        kind = made(base)
        del kind.parse_ws_order
        return kind

    monkeypatch.setattr(exchange, "_heard", another_way)

    async def work(trial: Trial, session: Any) -> None:
        order = await trial.rest()
        subject: Any = trial.subject
        subject.control.do_cancel(session.client_id(order.order_id))
        await trial.until(lambda: trial.events(order, OrderCanceled), "its end is told")

    await trying(Unknown, tmp_path, work)


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_a_key_that_is_refused_in_the_stream_ends_the_link(
    tmp_path: Path, monkeypatch: Any, logged: Logged
) -> None:
    """ccxt raises it where the frame is read; who waits for orders would wait for ever."""

    async def work(trial: Trial, session: Any) -> None:
        client = next(each for each in session.exchange.clients.values() if each.futures)
        since = len(trial.told)

        refusals: list[Exception] = [ccxt.BadSymbol("no such pair"), ccxt.AuthenticationError("the key is no more")]

        base, ours = type(session.exchange).__mro__[1], {"event": "error"}
        handle = base.handle_message  # type: ignore[attr-defined]

        def refuses(exchange: Any, client: Any, message: Any) -> Any:
            if message is ours:
                raise refusals.pop(0)
            return handle(exchange, client, message)  # the exchange's own frames come meanwhile

        with monkeypatch.context() as wrong:
            wrong.setattr(base, "handle_message", refuses)
            session.exchange.handle_message(client, ours)
            logged.expect("could not be taken in")
            await trial.still()
            assert not trial.statuses(since), "one pair's trouble is not that of all"
            session.exchange.handle_message(client, ours)
        await trial.connected(since)
        assert "the key is no more" in str([getattr(each, "text", "") for each in trial.told[since:]])

    await trying(Unknown, tmp_path, work)


# ---------------------------------------------------------------- position mode


def hedge(trial: Trial, hedged: bool) -> None:
    subject: Any = trial.subject
    subject.emulator.exchange.set_hedged("main", hedged)


def complaints(trial: Trial) -> list[str]:
    return [each.text for each in trial.told if isinstance(each, VenueError)]


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_it_is_asked_for_its_position_mode(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        hedge(trial, True)
        session.perpetuals.doubt()
        with pytest.raises(Refused, match="set_position_mode ONE_WAY") as caught:
            await trial.ask(trial.broker.submit(trial.order(OrderType.MARKET)))
        assert caught.value.reason is Reason.UNSUPPORTED
        assert any("HEDGE" in each for each in complaints(trial))
        await trial.ask(trial.broker.set_position_mode(trial.subject.account, PositionMode.ONE_WAY))
        await trial.submit(trial.order(OrderType.MARKET))

    await trying(UnknownSwap, tmp_path, work)


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_one_that_refuses_to_tell_is_traded_and_that_is_told(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        async def several(*_: Any) -> Any:
            raise ccxt.ExchangeError("fetchPositionMode() can not detect it: you have multiple accounts")

        session.exchange.fetch_position_mode = several
        session.perpetuals.doubt()
        await trial.until(lambda: any("multiple accounts" in each for each in complaints(trial)), "it is told")
        await trial.submit(trial.order(OrderType.MARKET))

    await trying(UnknownSwap, tmp_path, work)


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_one_that_does_not_answer_is_not_traded(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        async def silent(*_: Any) -> Any:
            raise ccxt.RequestTimeout("no answer")

        session.exchange.fetch_position_mode = silent
        session.perpetuals.doubt()
        with pytest.raises(Refused, match="The position mode is not known, so nothing was sent"):
            await trial.ask(trial.broker.submit(trial.order(OrderType.MARKET)))

    await trying(UnknownSwap, tmp_path, work)


@UNKNOWN
@pytest_twisted.ensureDeferred
async def test_an_order_that_ended_unheard_is_found_by_its_number_where_no_list_has_it(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        async def lacks(*_: Any) -> Any:
            raise ccxt.NotSupported("fetchOrders() is not supported yet")

        session.exchange.fetch_orders = lacks
        order = await trial.rest()
        subject: Any = trial.subject
        subject.control.do_mute("orders")
        subject.control.do_cancel(order.order_id)
        await trial.ask(session.poll())
        assert trial.events(order, OrderCanceled)

    await trying(Unknown, tmp_path, work)


# ---------------------------------------------------------------- which market


@pytest.mark.parametrize(
    ("name", "market", "kind"),
    [
        ("binance", "", "spot"),
        ("binance", "swap", "swap"),
        ("binanceusdm", "", "swap"),
        ("coinbase", "", "spot"),
        ("coinbaseexchange", "", "spot"),
        ("woo", "", "spot"),
        ("woo", "swap", "swap"),
        ("okx", "", "spot"),
        ("kucoinfutures", "", "swap"),
    ],
)
def test_one_market_is_traded(name: str, market: str, kind: str) -> None:
    """The positions that are told are of one: with orders in another a perpetual's would be called flat."""
    has = exchange.has(name)
    row = peculiarities.of(name, market, has)
    assert peculiarities.kind(market, row, has) == kind
    assert (Can.LEVERAGE in feeds.of(name, kind, has).can) <= (kind == "swap")


@pytest_twisted.ensureDeferred
async def test_what_positions_would_not_tell_of_cannot_be_ordered(tmp_path: Path) -> None:
    async def work(trial: Trial, session: Any) -> None:
        assert Can.LEVERAGE not in trial.broker.can
        listed = await trial.ask(trial.broker.instruments())
        assert {each.asset_class for each in listed} == {AssetClass.CRYPTO}
        with pytest.raises(Refused) as caught:
            await trial.ask(trial.broker.submit(trial.order(OrderType.MARKET, symbol="BTC/USDT:USDT")))
        assert caught.value.reason is Reason.UNKNOWN_SYMBOL
        await trial.buy()

    await trying(Woo, tmp_path, work, market="")


# ---------------------------------------------------------------- fees


def test_fees_in_one_currency_are_added_up() -> None:
    trade = {"id": "1", "order": "2", "symbol": "BTC/USDT", "amount": "1", "price": "10", "timestamp": 5, "side": "buy"}
    fees = [{"cost": "0.1", "currency": "USDT"}, {"cost": "0.2", "currency": "USDT"}]
    found = translate.fill({**trade, "fees": fees}, "A", "BTCUSDT", True)
    assert found is not None
    assert (str(found.fee), found.fee_currency) == ("0.3", "USDT")
    mixed = translate.fill({**trade, "fees": [*fees, {"cost": "1", "currency": "BNB"}]}, "A", "BTCUSDT", True)
    assert mixed is not None
    assert mixed.fee is None


def test_an_estimated_fee_of_contracts_is_of_what_they_are_worth() -> None:
    trade = {"id": "1", "order": "2", "symbol": "BTC/USDT:USDT", "amount": "3", "price": "50000", "timestamp": 5}
    its = translate.fill({**trade, "side": "buy"}, "A", "BTCUSDT", True)
    assert its is not None
    market = {"base": "BTC", "quote": "USDT", "settle": "USDT", "spot": False, "contractSize": "0.01", "taker": "0.001"}
    assert translate.execution("v", "MAIN", its, market, "A").commission == its.quantity * its.price / 100 / 1000


def test_a_perpetual_moves_no_money_but_its_fee() -> None:
    trade = {"id": "1", "symbol": "BTC/USDT:USDT", "amount": "3", "price": "50000", "timestamp": 5, "side": "buy"}
    its = translate.fill({**trade, "fee": {"cost": "7", "currency": "USDT"}}, "A", "BTCUSDT", True)
    assert its is not None
    assert translate.moved(its, {"base": "BTC", "quote": "USDT", "spot": False}) == {"USDT": -7}
    assert translate.moved(its, {"base": "BTC", "quote": "USDT", "spot": True}) == {"BTC": 3, "USDT": -150007}
