"""The whole of the emulated WOO X: who may ask what, and where it goes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from aiohttp import web

from tests.emulators.crypto.exchange import Moved
from tests.emulators.crypto.instruments import Instrument
from tests.emulators.crypto.link import Link
from tests.emulators.crypto.orders import Account, Refused, Told
from tests.emulators.crypto.server import Emulator, Options
from tests.emulators.woo import signing
from tests.emulators.woo.asked import Asked
from tests.emulators.woo.errors import LIMITED, Fault, fault_of
from tests.emulators.woo.limits import Limits
from tests.emulators.woo.listing import INSTRUMENTS
from tests.emulators.woo.routes import find
from tests.emulators.woo.streams import Streams

D = Decimal
PRIVATE = re.compile(r"^/v2/ws/private/stream/([\w-]+)$")
PUBLIC = re.compile(r"^/ws/stream(/[\w-]+)?$")


class WooEmulator(Emulator):
    """WOO X."""

    NAME = "woo"
    MONEY: ClassVar[dict[str, dict[str, D]]] = {
        "spot": {"USDT": D(1_000_000), "BTC": D(10), "ETH": D(100), "WOO": D(1000)}
    }

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self.rates = Limits(self.now)
        self.streams = Streams(self)
        self._dead_man: dict[str, int] = {}

    def instruments(self) -> list[Instrument]:
        """Spot pairs and perpetuals."""
        return list(INSTRUMENTS)

    def start(self) -> int:
        """Listen, and ping who is there."""
        port = super().start()
        self.every(self.options.more.get("ping", 10), self.streams.beat)
        return port

    # ---------------------------------------------------------------- REST

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Whatever is asked of REST."""
        body = (await request.read()).decode("utf-8", "replace")
        try:
            call, named = find(request.method, request.path)
            values = dict(parse_qsl(request.query_string, keep_blank_values=True)) | named
            account = None
            if call.private:
                account = self._owner(request, body)
                values |= self._body(request, body)
            asked = Asked({call.names.get(name, name): value for name, value in values.items()})
            if self.limits and self.rates.exceeded(call, request, account, asked.text("symbol")):
                raise LIMITED
            if not call.command:
                wrong = await self.question(self._name(asked))
                return wrong or self.well(call.do(self, account, asked), call.wrapped)
            do = call.do(self, account, asked)
            return await self.command(self._name(asked, account), lambda: self.done(do, call.wrapped))
        except Fault as fault:
            return self.ill(fault)
        except Refused as refused:
            return self.ill(fault_of(refused))

    def _owner(self, request: web.BaseRequest, body: str) -> Account:
        headers = request.headers
        account = self.account_of(headers.get("x-api-key", ""))
        if account is None:
            raise Fault(-1002, "API key or secret is invalid, it may because key have insufficient permission", 401)
        stamp, signature = headers.get("x-api-timestamp", ""), headers.get("x-api-signature", "")
        if request.path.startswith("/v3/"):
            text = signing.text_v3(stamp, request.method, request.raw_path.partition("?")[0], _query(request), body)
        else:
            text = signing.text_v1(stamp, body or _query(request))
        signing.check(account.secret, stamp, text, signature, self.ms())
        return account

    @staticmethod
    def _body(request: web.BaseRequest, body: str) -> dict[str, Any]:
        if not body:
            return {}
        if not request.path.startswith("/v3/"):
            return dict(parse_qsl(body, keep_blank_values=True))
        try:
            values = json.loads(body, parse_float=D)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise Fault(-1005, "The body is not a JSON object.")
        return values

    def _name(self, asked: Asked, account: Account | None = None) -> str:
        """Of the instrument that a request is about, for faults; empty when it names none."""
        found = [t.instrument.name for t in self.market.tapes.values() if t.instrument.symbol == asked.text("symbol")]
        if not found and account is not None:
            client = asked.text("clientOrderId") or asked.text("clientAlgoOrderId")
            names = (int(asked.text(n)) for n in ("orderId", "algoOrderId") if asked.text(n).isdigit())
            numbers = {number % 10_000_000 for number in names}
            for order in self.exchange.orders.values():
                if order.number % 10_000_000 in numbers or (client and order.ticket.client_id == client):
                    found = [order.ticket.instrument.name]
        return found[0] if found else ""

    def done(self, do: Callable[[], Any], wrapped: bool = True) -> web.Response:
        """An order command's answer."""
        try:
            return self.well(do(), wrapped)
        except Fault as fault:
            return self.ill(fault)
        except Refused as refused:
            return self.ill(fault_of(refused))

    def well(self, data: Any, wrapped: bool = True) -> web.Response:
        """success; v1 has its fields beside it, v3 in `data`."""
        answer: dict[str, Any] = {"success": True}
        stamp = self.ms()
        if isinstance(data, dict) and "timestamp" in data:
            stamp = data.pop("timestamp")
        if wrapped:
            answer |= ({"data": data} if data else {}) | {"timestamp": stamp}
        else:
            answer |= data
        return web.Response(text=json.dumps(answer), content_type="application/json")

    def ill(self, fault: Fault) -> web.Response:
        """An error."""
        text = json.dumps({"success": False, "code": fault.code, "message": fault.message})
        return web.Response(status=fault.status, text=text, content_type="application/json")

    def too_many(self) -> web.Response:
        """429."""
        return self.ill(LIMITED)

    def unknown(self) -> web.Response:
        """What WOO says when it cannot tell."""
        text = "Can not place/cancel orders, it may because internal network error. Please try again in a few seconds."
        return self.ill(Fault(-1011, text))

    def listed(self, symbol: str) -> Instrument:
        """By its symbol."""
        for tape in self.market.tapes.values():
            if tape.instrument.symbol == symbol:
                return tape.instrument
        raise Fault(317156, f"unsupported symbol: `{symbol}`")

    def application(self, account: Account) -> str:
        """An account's application id: any is taken, this is told."""
        return f"{account.name}-application"

    def cancel_all_after(self, account: Account, asked: Asked) -> dict[str, Any]:
        """Cancel all orders so many milliseconds from now, unless asked again; 0: do not."""
        after = asked.whole("triggerAfter", 0)
        if after > 900_000:
            raise Fault(317176, "The trigger after should from 0 to `900000`")
        count = self._dead_man[account.name] = self._dead_man.get(account.name, 0) + 1
        if after:
            self.later(after / 1000, lambda: self._cancel_dead(account, count))
        return {"expectedTriggerTime": self.ms() + after if after else 0}

    def _cancel_dead(self, account: Account, count: int) -> None:
        if self._dead_man.get(account.name) == count:
            for order in [each for each in self.exchange.open.values() if each.ticket.account == account.name]:
                self.exchange.cancel(order)

    def forget(self) -> None:
        """The dead man's switches."""
        self._dead_man.clear()

    # ---------------------------------------------------------------- streams

    def joined(self, link: Link) -> bool:
        """Public or private."""
        link.state["private"] = PRIVATE.match(link.path) is not None
        return link.state["private"] or PUBLIC.match(link.path) is not None

    def received(self, link: Link, text: str) -> None:
        """An event."""
        self.streams.received(link, text)

    def told(self, told: Told) -> None:
        """To whom it belongs."""
        self.streams.told(told)

    def market_moved(self, moved: Moved) -> None:
        """To who has subscribed."""
        self.streams.moved(moved)


def _query(request: web.BaseRequest) -> str:
    """As it was written."""
    return request.raw_path.partition("?")[2]
