"""ALGOGENE's REST API: a script written for algogene.com runs with `/algogene/rest/v1` here as its base URL.

The calls are listed in txgateway.signals.algogene. A source is found by the `user` that a call carries; where one user
has several, by their `accountid`: a source's name or its account. What is not done is HTTP 400 with a sentence in
`res`; 404, 405, 413 for what is no call at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from txgateway.admission import Admission
from txgateway.blotter import Blotter
from txgateway.model.errors import GatewayError
from txgateway.model.signal import Answer, Source, SourceKind
from txgateway.signaling import Signaling
from txgateway.signals import BadSignal, Post, WrongSecret, same, shown
from txgateway.signals.algogene import FREE, TRADING, Algogene, Fields, answers

log = Logger()

PREFIX = "/algogene/rest/v1/"
LARGEST = 32 * 1024
"""Bytes of a body: several times a call that names all trades that one may."""
TOO_MANY = "Exceed maximum access count"
"""algogene.com's own words, which scripts look for."""


class AlgogeneApi(Resource):
    """`/algogene/…`: a leaf for every call."""

    isLeaf = True

    def __init__(
        self,
        signaling: Signaling,
        blotter: Blotter,
        language: Algogene,
        accounts: Callable[[], list[str]],
        admission: Admission,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__()
        self._signaling = signaling
        self._blotter = blotter
        self._language = language
        self._accounts = accounts
        self._admission = admission
        self._clock = clock
        self._reads: Mapping[str, Callable[[Source, Post, Fields], Awaitable[Answer]]] = {
            "session": self._session,
            "opened_trades": self._trades,
            "query_order": self._trades,
            "pending_trades": self._trades,
            "accounts": self._all_accounts,
            "positions": lambda source, post, fields: blotter.positions(source),
            "balance": lambda source, post, fields: blotter.balance(source),
            "history_price": lambda source, post, fields: blotter.history(source, fields),
            "list_instrument": lambda source, post, fields: blotter.instruments(source),
            "realtime_price": lambda source, post, fields: blotter.prices(source, fields),
        }

    def render(self, request: Any) -> int:
        """Answer a request, now or later."""
        path = request.path.decode("utf-8", "replace")
        call = path.removeprefix(PREFIX).strip("/") if path.startswith(PREFIX) else ""
        if call not in TRADING and call not in self._reads:
            known = ", ".join(sorted({*TRADING, *self._reads}))
            _answer(answers.refusal(f"There is no call {shown(call or path)}: {PREFIX} has {known}.", 404), request)
        elif request.method not in ((b"POST",) if call in TRADING else (b"GET", b"POST")):
            request.setHeader(b"Allow", b"POST" if call in TRADING else b"GET, POST")
            how = "by POST" if call in TRADING else "by GET or POST"
            _answer(answers.refusal(f"{call} is called {how}.", 405), request)
        elif getattr(request, "excess", 0) or request.content.getbuffer().nbytes > LARGEST:
            _answer(answers.refusal(f"The body is larger than {LARGEST} bytes.", 413), request)
        else:
            done = Deferred.fromCoroutine(self._call(request, call))
            done.addCallbacks(_answer, self._failed, (request,), {}, (request, call))
            done.addErrback(lambda failure: log.failure("An ALGOGENE call could not be answered.", failure))
        return NOT_DONE_YET

    async def _call(self, request: Any, call: str) -> Answer:
        host, certificate = self._admission.peer(request)
        post = Post(
            body=request.content.getvalue() if request.method == b"POST" else b"",
            time=self._clock(),
            call=call,
            query=_query(request),
            host=host,
            certificate=certificate,
        )
        fields = Fields.of(post)
        source, wrong = self._source(fields)
        self._signaling.prove(source, post)
        if not self._admission.pace(source):
            raise BadSignal(TOO_MANY)
        if wrong and call not in FREE and call != "accounts":
            raise BadSignal(wrong)
        if call not in TRADING:
            return await self._reads[call](source, post, fields)
        return await self._signaling.receive(source, await self._meant(source, post, fields))

    # who

    def _mine(self, user: str) -> list[Source]:
        """The sources of a user."""
        known = [each for each in self._signaling.sources.all() if each.kind is SourceKind.ALGOGENE]
        return [each for each in known if same(user, each.user or each.name)]

    def _source(self, fields: Fields) -> tuple[Source, str]:
        """The one that is meant; and what is wrong with its accountid, which is nobody's business before the key is.

        A script's accountid is ALGOGENE's, and tells nothing here: but one of another account of the gateway would.
        """
        mine, account = self._mine(fields.text("user", "")), fields.text("accountid", "")
        if not mine:
            raise WrongSecret("Invalid user or api_key!")
        for found in (
            [each for each in mine if each.name == account],
            [each for each in mine if each.account == account],
        ):
            if len(found) == 1:
                return found[0], ""
        key = fields.text("api_key", "")
        source = next((each for each in mine if same(key, each.secret)), mine[0])
        if len(mine) == 1 and account not in self._accounts():
            return source, ""
        names = ", ".join(each.name for each in mine)
        return source, f"accountid {shown(account)} is not one of this user's: give {names}."

    # what

    async def _meant(self, source: Source, post: Post, fields: Fields) -> Post:
        """The request with the id of a new trade, or with those trades that a close or cancel is for."""
        if post.call == "open_order":
            return replace(post, call=f"open_order {await self._blotter.new_trade(source)}")
        if post.call in ("close_orders", "cancel_orders"):
            return replace(post, call=f"{post.call} {','.join(self._blotter.meant(source, post.call, fields))}")
        return post

    async def _session(self, source: Source, post: Post, fields: Fields) -> Answer:
        return self._language.session(source, post)

    async def _trades(self, source: Source, post: Post, fields: Fields) -> Answer:
        return await self._blotter.trades(source, post.call, fields)

    async def _all_accounts(self, source: Source, post: Post, fields: Fields) -> Answer:
        mine = [each for each in self._mine(source.user or source.name) if same(each.secret, source.secret)]
        return await self._blotter.accounts(mine, fields.text("runmode", "livetrade"))

    def _failed(self, failure: Failure, request: Any, call: str) -> None:
        text = failure.getErrorMessage()
        if failure.check(WrongSecret):
            host = self._admission.peer(request)[0]
            if self._admission.wrong(host):
                log.warn("ALGOGENE {call}: {why} From {host}", call=call, why=text, host=host)
            else:
                text = TOO_MANY
        if failure.check(GatewayError):
            _answer(answers.refusal(text), request)
        else:
            log.failure("ALGOGENE call {call} failed.", failure, call=call)
            _answer(answers.refusal("The gateway made an error over this; its log says which.", 500), request)


def _query(request: Any) -> Mapping[str, str]:
    """The query string by name; BadSignal where a name stands twice: nobody knows which value is meant."""
    for name, values in request.args.items():
        if len(values) > 1:
            raise BadSignal(f"The name {shown(name.decode('utf-8', 'replace'))} stands twice in the query string.")
    return {
        name.decode("utf-8", "replace"): values[0].decode("utf-8", "replace") for name, values in request.args.items()
    }


def _answer(answer: Answer, request: Any) -> None:
    if getattr(request, "gone", False):
        return
    request.setResponseCode(answer.status)
    request.setHeader(b"Content-Type", b"application/json")
    request.write(answer.body.encode())
    request.finish()
