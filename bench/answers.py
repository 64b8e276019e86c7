"""HTTP/1.1 answers, counted and not kept: enough of the protocol to know when one is whole, and whether it is good."""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
REFUSED = b'"status":"Error"'
"""What the answer to a call has in it when it was refused; looked for where the answer begins."""


class AnswerReader:
    """Takes bytes as they come; `good` and `size` (of the body) are the last whole answer's."""

    def __init__(self) -> None:
        self.good = False
        self.size = 0
        self._head = b""
        self._rest: int | None = None
        """Bytes of the body, or of a chunk, that are to come; None while the head is."""
        self._chunked = False
        self._last = False
        self._line = b""

    def take(self, data: memoryview) -> bool:
        """True when these bytes end an answer. A client that does not pipeline gets no bytes beyond it."""
        if self._rest is None:
            return self._headed(bytes(data))
        if self._chunked:
            return self._chunks(bytes(data))
        return self._body(len(data))

    def _headed(self, data: bytes) -> bool:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return False
        head, self._head = self._head, b""
        self.good = head.startswith(b"HTTP/1.1 200") and REFUSED not in head[end:]
        self.size = 0
        length = _LENGTH.search(head, 0, end + 2)
        if length is not None:
            self._chunked, self._rest = False, int(length[1])
            return self._body(len(head) - end - 4)
        if _CHUNKED.search(head, 0, end + 2) is None:
            raise ValueError(f"an answer without a length: {head[:end]!r}")
        self._chunked, self._last, self._rest = True, False, 0
        return self._chunks(head[end + 4 :])

    def _body(self, count: int) -> bool:
        assert self._rest is not None
        self.size += count
        self._rest -= count
        return self._rest == 0 and self._done()

    def _chunks(self, data: bytes) -> bool:
        """A line with the size, so many bytes, a line's end; the chunk of no bytes is the last."""
        assert self._rest is not None
        at = 0
        while at < len(data):
            if self._rest:
                taken = min(self._rest, len(data) - at)
                self._rest -= taken
                self.size += taken
                at += taken
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                return False
            line, self._line, at = (self._line + data[at:end]).strip(), b"", end + 1
            if line:
                self._rest = int(line, 16)
                self._last = self._rest == 0
            elif self._last:
                return self._done()
        return False

    def _done(self) -> bool:
        self._rest = None
        return True
