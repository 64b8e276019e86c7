"""What the server says by itself, to whom, in which order."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import pytest_twisted

from tests.servers.stream.house import EVERYTHING, START, House
from txgateway.model.events import DifferenceFound, DifferenceRaised, Severity, VenueError


@pytest_twisted.ensureDeferred
async def test_a_filled_order_line_by_line(house: House) -> None:
    client = await house.login(EVERYTHING)
    await house.submit(symbol="IBM")
    await client.heard("paper.position-data ")
    order = client.data("order")[0]["permid"]
    fill = client.data("execution")[0]["ORDER_ID"]
    assert [line.partition(" {")[0] for line in client.seen()] == [
        f"paper.order.{order} API_ACCOUNT UserSubmitOrder Submitted",
        "paper.order-data",
        f"paper.order.{order} API_ACCOUNT ExchangeAcceptOrder Accepted",
        "paper.order-data",
        f"paper.order.{order} API_ACCOUNT ExchangeTradeOrder Filled",
        "paper.order-data",
        f"paper.execution.{fill} API_ACCOUNT {order} COMPLETED",
        "paper.execution-data",
        "paper.position-data",
    ]
    assert [each["order_status"] for each in client.data("order")] == ["PENDING_NEW", "NEW", "FILLED"]
    last = house.publisher.seq
    assert [each["seq"] for each in client.data("order")] == [last - 2, last - 1, last]
    assert client.data("execution")[0]["seq"] == last
    assert client.data("position") == [
        {
            "seq": last,
            "venue": "paper",
            "account": "API_ACCOUNT",
            "symbol": "IBM",
            "quantity": 100,
            "average_price": 100.0,
        }
    ]


@pytest_twisted.ensureDeferred
async def test_tickets_have_lines_of_their_own(house: House) -> None:
    client = await house.login(EVERYTHING)
    (ticket,) = await house.submit(tag="T1")
    assert await client.heard("paper.ticket.") == f"{ticket} API_ACCOUNT UserSubmitStagedOrder Submitted"
    await client.heard("paper.ticket-data ")
    assert client.data("ticket")[0]["class"] == "ticket"
    await client.json(f'call approve_ticket {{"id":"{ticket}"}}', "paper.result: ")
    await client.heard("paper.execution-data ")
    assert client.data("ticket")[-1]["status"] == "Filled"
    assert client.data("order") == []


@pytest.mark.parametrize(
    ("options", "heard"),
    [
        ("", set()),
        ("noquotes notrades", {"order."}),
        ("order-notification", {"order."}),
        ("order-data execution-notification", {"order-data ", "execution."}),
        ('{"order-notification":1,"order-data":0}', {"order."}),
        ('{"execution-data":true,"unknown":[]}', {"execution-data "}),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_client_hears_what_it_asked_for(house: House, options: str, heard: set[str]) -> None:
    client, all_ears = await house.login(options), await house.login(EVERYTHING)
    await house.submit()
    await all_ears.heard("paper.position-data ")
    assert await client.answer("status", ".status") == ".status: Up"
    kinds = ("order.", "order-data ", "execution.", "execution-data ", "position-data ")
    assert {kind for kind in kinds if client.all(f"paper.{kind}")} == heard


@pytest_twisted.ensureDeferred
async def test_prices(house: House) -> None:
    client, deaf = await house.login("quotes trades"), await house.login()
    await client.answer("add IBM", "paper.symbol")
    assert await client.heard("paper.quote.IBM:") == "99.9 200 100.1 300"
    house.paper.quote("IBM", "183.10", "0.0001")
    house.paper.trade("IBM", "183.12", "100")
    house.paper.trade("IBM", "183.125", "0.5")
    assert await client.heard("paper.trade.IBM:", 2) == "183.125 0.5 1000.5"
    assert client.all("paper.trade.IBM:")[0] == "183.12 100 1000"
    assert client.all("paper.quote.IBM:")[1] == "183.1 200 0.0001 300"
    assert await deaf.answer("status", ".status")
    assert not [line for line in deaf.lines if ".quote." in line or ".trade." in line]


@pytest_twisted.ensureDeferred
async def test_books(house: House) -> None:
    deaf = await house.login("quotes")
    await deaf.answer("add IBM", "paper.symbol")
    assert not house.paper.deep, "nobody wants to hear of books"
    client = await house.login({"depth-data": 1})
    book = json.loads(await client.heard("paper.depth-data "))
    assert book.pop("time").endswith("Z")
    assert book == {"symbol": "IBM", "bids": [[99.9, 200]], "asks": [[100.1, 0.5]], "sequence": 7}
    await client.answer("add AAPL@second", "paper.symbol")
    assert '"AAPL@second"' in await client.heard("paper.depth-data ", 2)
    house.paper.book("IBM", "99.95")
    assert "[[99.95,200]]" in await client.heard("paper.depth-data ", 3)
    house.paper.book("GE", "1")
    client.cut()
    await deaf.answer("status", ".status")
    await house.until(lambda: not house.paper.deep)
    assert not [line for line in deaf.lines if "depth" in line]


@pytest_twisted.ensureDeferred
async def test_without_the_ticker_flag_there_are_no_prices(build: Any) -> None:
    house = await build(ticker=False)
    client = await house.login("quotes trades order-data")
    await client.answer("add IBM", "paper.symbol")
    house.paper.quote("IBM", "183.10", "183.12")
    house.paper.trade("IBM", "183.12", "100")
    await house.submit()
    await client.heard("paper.order-data ", 3)
    assert not [line for line in client.lines if ".quote." in line or ".trade." in line]


@pytest_twisted.ensureDeferred
async def test_each_minute_of_the_feeds_clock_is_told(house: House) -> None:
    client = await house.login()
    await client.answer("add IBM", "paper.symbol")
    for minute in (1, 2, 5):
        house.paper.time = START + timedelta(minutes=minute, seconds=7)
        for _ in range(3):
            house.paper.quote("IBM", "100", str(100 + minute))
    assert await client.heard("paper.time: ", 3) == "2013-10-07 09:36:00"
    assert client.all("paper.time: ") == ["2013-10-07 09:32:00", "2013-10-07 09:33:00", "2013-10-07 09:36:00"]


@pytest_twisted.ensureDeferred
async def test_the_clock_is_told_without_any_price(house: House) -> None:
    client = await house.login()
    house.paper.time = START + timedelta(hours=1)
    assert await client.heard("paper.time: ") == "2013-10-07 10:31:00"


@pytest_twisted.ensureDeferred
async def test_errors(house: House) -> None:
    client = await house.login(EVERYTHING)
    (denied,) = await house.submit(account="NOBODY")
    assert (await client.heard("paper.error: ")).startswith(f"{denied} UNKNOWN_ACCOUNT Account 'NOBODY' is unknown")
    house.publisher.venue_error(VenueError("paper", 2104, "Market data farm\nis fine", "17"))
    house.publisher.venue_error(VenueError("paper", 2105, "broken"))
    assert await client.heard("paper.error: ", 3) == "2105 broken"
    assert client.all("paper.error: ")[1] == "17 Market data farm is fine"


@pytest_twisted.ensureDeferred
async def test_a_difference_is_told(house: House) -> None:
    client = await house.login(EVERYTHING)
    difference = DifferenceFound("paper", "ACC", "position", "IBM", "100", "50", Severity.CRITICAL, START)
    house.gateway.ledger.record(difference)
    await client.heard("paper.reconciliation-data ")
    told = client.data("reconciliation")[0]
    assert (told["seq"], told["what"], told["ours"], told["severity"]) == (
        house.publisher.seq,
        "position",
        "100",
        "CRITICAL",
    )
    assert await client.heard("paper.error: ") == "paper position IBM of ACC: ours is 100, theirs is 50"


@pytest_twisted.ensureDeferred
async def test_a_difference_is_told_again_when_it_changes_rises_and_is_gone(house: House) -> None:
    client = await house.login(EVERYTHING)
    key = ("paper", "ACC", "position", "IBM")
    house.gateway.differences.found(key, "100", "50", Severity.WARNING)
    house.gateway.differences.found(key, "100", "50", Severity.WARNING)
    house.gateway.differences.found(key, "100", "40", Severity.INFO)
    figures = (*key, "100", "40", Severity.CRITICAL, house.now())
    house.gateway.ledger.record(DifferenceRaised(*figures, house.now()))
    house.gateway.differences.gone(key, "A fill came.", "ann")
    await client.heard("paper.reconciliation-data ", 4)
    told = client.data("reconciliation")
    assert [(each["event"], each["theirs"], each["severity"]) for each in told] == [
        ("found", "50", "WARNING"),
        ("found", "40", "WARNING"),
        ("raised", "40", "CRITICAL"),
        ("resolved", "40", "CRITICAL"),
    ]
    assert len({each["seq"] for each in told}) == 4
    assert (told[3]["text"], told[3]["by"], told[3]["found"]) == ("A fill came.", "ann", told[0]["found"])


@pytest_twisted.ensureDeferred
async def test_status_and_halts(house: House) -> None:
    client = await house.login(EVERYTHING)
    house.paper.stopService()
    house.second.stopService()
    await client.answer('call halt {"reason":"lunch"}', "paper.result: ")
    await client.answer("call resume", "paper.result: ")
    await client.heard("paper.status-data ", 4)
    told = client.data("status")
    seqs = [each["seq"] for each in told]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] == house.publisher.seq
    assert [each.get("venue") for each in told] == ["paper", "second", None, None]
    assert (told[0]["status"], told[0]["connection"], told[0]["text"]) == ("DOWN", "Disconnected", "stopped")
    assert (told[2]["halted"], told[2]["text"], told[3]["halted"]) == (True, "lunch", False)
    assert client.all("paper.connection-status-changed: ") == ["Disconnected"]


@pytest_twisted.ensureDeferred
async def test_the_journals_position_is_told_to_who_asks(house: House) -> None:
    at = house.publisher.seq
    for options in ('{"position":1}', "position", json.dumps({"resume": at})):
        client = await house.login(options)
        assert client.all(".Authorized") == [f" paper {at}"]


@pytest_twisted.ensureDeferred
async def test_news_is_encoded_once_for_all_who_want_the_same(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from txgateway import wire

    encoded: list[str] = []
    order = wire.order
    monkeypatch.setattr(wire, "order", lambda each: encoded.append(each.order_id) or order(each))
    clients = [await house.login({"order-data": 1, "resume": house.publisher.seq}) for _ in range(5)]
    clients += [await house.login({"order-data": 1, "quotes": 1})]
    await house.submit()
    for client in clients:
        await client.heard("paper.order-data ", 3)
    assert len(encoded) == 3
