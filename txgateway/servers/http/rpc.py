"""JSON-RPC 2.0 on txjsonrpc-ng, with what the specification asks for beyond it: batches, notifications, null results,
the standard error codes (and only them, with a sentence of ours: never an exception's text), `rpc.discover`.

A refused order is a result, as by path. Requests without "jsonrpc": "2.0" (versions before 2.0) are refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.server import NOT_DONE_YET
from txjsonrpc_ng.jsonrpc import addIntrospection
from txjsonrpc_ng.jsonrpclib import (
    INVALID_JSONRPC,
    INVALID_METHOD_PARAMS,
    METHOD_NOT_FOUND,
    NOT_WELLFORMED_ERROR,
    Fault,
    NoSuchFunction,
)
from txjsonrpc_ng.web.jsonrpc import JSONRPC

from txgateway import documents, render, wire
from txgateway.access import Caller
from txgateway.api import Api
from txgateway.commands import COMMANDS, Command
from txgateway.lines import refusal_of
from txgateway.model.errors import BadArgument
from txgateway.servers.http import logs
from txgateway.servers.http.answers import TURN, Answers, HttpSettings
from txgateway.servers.http.failures import failed, is_unexpected

log = Logger()

_REASONS = {
    NOT_WELLFORMED_ERROR: "PARSE_ERROR",
    INVALID_JSONRPC: "INVALID_REQUEST",
    METHOD_NOT_FOUND: "NO_SUCH_METHOD",
    INVALID_METHOD_PARAMS: "BAD_ARGUMENT",
}
_ABSENT = object()
_AT_ONCE = 16
"""Requests of one batch that run at a time: enough to share a sync of the journal, few enough to leave others turns."""


@dataclass(frozen=True, slots=True)
class _Method:
    """A command as the library's introspection sees a method."""

    command: Command

    @property
    def help(self) -> str:
        """For system.methodHelp."""
        return self.command.help

    @property
    def signature(self) -> list[list[str]]:
        """For system.methodSignature: the result's type, then the arguments'."""
        return documents.signature(self.command)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A request's outcome: a result, or an error object."""

    id: Any
    result: Any = None
    error: Mapping[str, Any] | None = None


class Rpc(JSONRPC):
    """Every command as a method. The request's `caller` has been authenticated by the site."""

    def __init__(self, api: Api, answers: Answers, settings: HttpSettings) -> None:
        super().__init__()
        addIntrospection(self)
        self._api = api
        self._answers = answers
        self._largest_batch = settings.largest_batch
        self._log_requests = settings.log_requests

    # what the library looks for

    def jsonrpc_discover(self) -> dict[str, Any]:
        """Give the OpenRPC document: every method with its parameters and result."""
        return documents.openrpc(self._api.about.version)

    def _listFunctions(self) -> list[str]:
        return [*COMMANDS, "rpc.discover"]

    def _getFunction(self, functionPath: str) -> Any:
        if functionPath in COMMANDS:
            return _Method(COMMANDS[functionPath])
        if functionPath == "rpc.discover":
            return self.jsonrpc_discover
        if functionPath.startswith("system."):
            return super()._getFunction(functionPath)
        raise NoSuchFunction(
            METHOD_NOT_FOUND, f"There is no method {functionPath[:80]!r}: system.listMethods lists all."
        )

    # a request

    def render(self, request: Any) -> int:
        """Answer one request or a batch; nothing but notifications is answered with nothing (204)."""
        try:
            message = wire.loads(request.content.getvalue())
        except BadArgument as error:
            self._write(request, _error(None, NOT_WELLFORMED_ERROR, str(error)))
            return NOT_DONE_YET
        done: Deferred[Any]
        if not isinstance(message, list):
            done = Deferred.fromCoroutine(self._answer(request, message))
        elif not 0 < len(message) <= self._largest_batch:
            text = f"A batch has 1 to {self._largest_batch} requests, not {len(message)}."
            self._write(request, _error(None, INVALID_JSONRPC, text))
            return NOT_DONE_YET
        else:
            done = Deferred.fromCoroutine(self._batch(request, message))
        done.addCallback(lambda answer: self._write(request, answer))
        done.addErrback(lambda failure: self._broken(request, failure))
        return NOT_DONE_YET

    async def _batch(self, request: Any, messages: list[Any]) -> list[_Answer]:
        """Begin the requests in their order, a turn's worth at a time; their answers in that order."""
        reactor = self._answers.reactor
        answers: list[_Answer | None] = [None] * len(messages)
        begun: list[Deferred[None]] = []

        async def run(at: int) -> None:
            answers[at] = await self._answer(request, messages[at])

        until = reactor.seconds() if len(messages) > _AT_ONCE else reactor.seconds() + TURN
        for at in range(len(messages)):
            if at >= _AT_ONCE:
                await begun[at - _AT_ONCE]
            begun.append(Deferred.fromCoroutine(run(at)))
            if reactor.seconds() >= until:
                await deferLater(reactor, 0)
                until = reactor.seconds() + TURN
        for each in begun[-_AT_ONCE:]:
            await each
        return [each for each in answers if each is not None]

    async def _answer(self, request: Any, message: Any) -> _Answer | None:
        """What comes of one request; None for a notification. Never raises."""
        id_, notification = None, False
        try:
            id_, notification, name, params = _request(message)
            if self._log_requests:
                logs.call(request, request.caller, name, params)
            result = await self._result(request.caller, name, params)
            answer = _Answer(id_, result)
        except _Invalid as invalid:
            return _error(invalid.id, INVALID_JSONRPC, str(invalid))
        except Fault as fault:
            answer = _error(id_, fault.faultCode, fault.faultString)
        except Exception as error:
            answer = self._failed(id_, error)
        return None if notification else answer

    async def _result(self, caller: Caller, name: str, params: Any) -> Any:
        method = self._getFunction(name)
        if isinstance(method, _Method):
            result = self._api.call(name, caller, params)
            return await result if hasattr(result, "__await__") else result
        return _called(name, method, params)

    def _failed(self, id_: Any, error: Exception) -> _Answer:
        refusal = refusal_of(error)
        if refusal is not None:
            return _Answer(id_, wire.refusal(refusal))
        what = failed(error)
        if is_unexpected(what):
            log.failure("A JSON-RPC call failed.")
        return _Answer(id_, error=what.error)

    # the answer

    def _write(self, request: Any, answer: _Answer | list[_Answer] | None) -> None:
        if not answer:
            if not request.gone:
                request.setResponseCode(204)
                request.finish()
        elif isinstance(answer, _Answer):
            self._answers.send_pieces(request, self._enveloped(answer))
        else:
            self._answers.send_pieces(request, self._listed(answer))

    def _enveloped(self, answer: _Answer) -> Iterator[bytes]:
        head = b'{"jsonrpc":"2.0",'
        tail = b',"id":' + wire.dumps(answer.id) + b"}"
        if answer.error is not None:
            yield head + b'"error":' + wire.dumps(answer.error) + tail
        elif render.is_long(answer.result):
            yield head + b'"result":'
            yield from self._answers.pieces(answer.result)
            yield tail
        else:
            yield head + b'"result":' + render.text(answer.result, self._answers.flags) + tail

    def _listed(self, answers: list[_Answer]) -> Iterator[bytes]:
        for at, answer in enumerate(answers):
            yield b"," if at else b"["
            yield from self._enveloped(answer)
        yield b"]"

    def _broken(self, request: Any, failure: Any) -> None:
        """An answer that could not be written."""
        log.failure("A JSON-RPC answer failed.", failure)
        if not request.gone:
            self._write(request, _Answer(None, error=failed(failure.value).error))


class _Invalid(Exception):
    """A message that is no request; `id` where it has a usable one."""

    def __init__(self, id_: Any, text: str) -> None:
        super().__init__(text)
        self.id = id_


def _error(id_: Any, code: int, text: str) -> _Answer:
    return _Answer(id_, error={"code": code, "message": text, "data": {"reason": _REASONS[code]}})


def _request(message: Any) -> tuple[Any, bool, str, Any]:
    """A request's id, whether it is a notification, its method and its parameters; _Invalid when it is none."""
    if not isinstance(message, dict):
        raise _Invalid(None, "A request is a JSON object.")
    id_ = message.get("id", _ABSENT)
    if isinstance(id_, bool | dict | list):
        raise _Invalid(None, "An id is a string, a number or null.")
    shown = None if id_ is _ABSENT else id_
    name, params = message.get("method"), message.get("params", {})
    if message.get("jsonrpc") != "2.0":
        raise _Invalid(shown, 'A request has the member "jsonrpc": "2.0"; earlier versions are not spoken here.')
    if not isinstance(name, str):
        raise _Invalid(shown, "A request's method is a string.")
    if not isinstance(params, dict | list):
        raise _Invalid(shown, "A request's params are an array or an object.")
    return shown, id_ is _ABSENT, name, params


def _called(name: str, method: Callable[..., Any], params: Any) -> Any:
    """What one of the library's own methods gives."""

    def wrong(why: str) -> NoReturn:
        raise Fault(INVALID_METHOD_PARAMS, f"{name}: {why}")

    args, named = (params, {}) if isinstance(params, list) else ([], params)
    try:
        inspect.signature(method).bind(*args, **named)
    except TypeError as error:
        wrong(f"{error}.")
    if not all(isinstance(each, str) for each in (*args, *named.values())):
        wrong("its argument is a method's name.")
    try:
        return method(*args, **named)
    except NoSuchFunction as fault:
        return wrong(fault.faultString)
