"""One client's connection: uvicorn's, with an end to its patience. `look` is called about ten times a second."""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.server.core.limits import Limits
from app.server.core.refusal import Refusal
from app.server.core.stream import ON_LAST_WORD, WRITE
from app.server.last_word import last_word

log = logging.getLogger(__name__)

STALLED_SECONDS = 10.0  # a reader who takes nothing for so long gives its connection up when there are too many
BAD_REQUEST = "This is no HTTP request that the server understands."
TOO_SLOW = "The header of the request did not come in time."
TOO_MANY = "There are too many connections. Close some, or try again in a moment."


class Connection(H11Protocol):
    """Belongs to the server's loop. All connections of one server know each other by `server_state`."""

    def __init__(self, limits: Limits, stir: Callable[[], None], *arguments: Any, **named: Any):
        """stir: called when it is made, so that it is looked at."""
        super().__init__(*arguments, **named)
        self._stir = stir
        self.app_state = {WRITE: self._write, ON_LAST_WORD: self._on_last_word}  # a part of every request's state
        self.is_ended = False
        self.made_at = 0.0
        self.silent_since: float | None = None  # no request has come since then
        self._limits = limits
        self._header_since: float | None = None  # the request is expected, or has begun and is not whole
        self._unread = 0  # bytes that lie ready for the reader
        self._unread_since = 0.0
        self._answered_at: float | None = None
        self._is_half_closed = False  # the client sends no more, and waits for its answer or has left
        self._probe: Callable[[], None] | None = None  # how the stream that is being answered finds that out

    @property
    def address(self) -> str | None:
        return self.client[0] if self.client else None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.made_at = self.silent_since = self._header_since = self._unread_since = self.loop.time()
        transport.set_write_buffer_limits(high=self._limits.send_buffer)
        with suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.send_buffer)
        self._find_place()
        self._stir()

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except Exception:  # the edge: what h11 has not foreseen ends this connection alone
            log.exception("a request could not be read")
            self.end()
        self._note_header()

    def eof_received(self) -> bool:  # type: ignore[override]  # true: the transport stays open
        """Whether it stays open for an answer. One who has left looks the same until something is sent there: then the
        system says that nobody listens. A client of HTTP/1.0 knows no interim answer, and TLS no half."""
        self._is_half_closed = self._owes_answer and self._can_find_out
        if self._is_half_closed:
            self._find_out()
        return self._is_half_closed

    def on_response_complete(self) -> None:
        self._answered_at = self.silent_since = self.loop.time()
        self._probe = None
        super().on_response_complete()
        if self._is_half_closed and not self._owes_answer:
            self.transport.close()
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:  # another request has begun already
            self._header_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self._is_answering:
            self.refuse(400, BAD_REQUEST)
        else:
            self.end()

    def look(self, now: float) -> None:
        """End it when its client has kept the port waiting too long."""
        if self.is_ended:
            return
        self._look_at_reader(now)
        if self._has_left() or (self._unread and now - self._unread_since > self._limits.unread):
            self.end()
        elif self._header_since is not None and now - self._header_since > self._limits.header:
            self.refuse(408, TOO_SLOW)
        elif self._has_leftover and now - (self._answered_at or now) > self._limits.leftover:
            self.end()

    def is_silent(self) -> bool:
        """No request is on its way, and nothing is being answered."""
        return self.conn.their_state is h11.IDLE and self.conn.our_state is h11.IDLE and not self._unread

    def has_stalled(self, now: float) -> bool:
        return self._unread > 0 and now - self._unread_since > STALLED_SECONDS

    def is_unfinished(self) -> bool:
        """A request has begun to come, and is not whole."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY) and not self._is_answering

    def end(self) -> None:
        """Now, whatever was still to be written."""
        self.is_ended = True
        self.transport.abort()

    def refuse(self, status: int, message: str) -> None:
        """Outside of any request: one answer, and the end."""
        if self.is_ended or self.transport.is_closing():
            return
        self._header_since = None
        self.transport.write(last_word(Refusal(status, message)))
        self.transport.close()

    def _write(self, body: bytes) -> bool:
        """A part of the stream that is being answered, past h11, whose state a part does not change. False: it must go
        the usual way, which waits for the reader, knows HTTP/1.0 and notices that nobody is there any more."""
        is_chunked = self.cycle.scope["http_version"] == "1.1"
        if self.flow.write_paused or self.cycle.disconnected or not is_chunked:
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    def _on_last_word(self, probe: Callable[[], None]) -> None:
        """probe: writes what a stream may have at any time."""
        self._probe = probe
        if self._is_half_closed:
            probe()

    @property
    def _can_find_out(self) -> bool:
        """Whether who waits can be told from who has left: by a stream, or by an answer that is whole at once."""
        is_plain = self.transport.get_extra_info("sslcontext") is None
        is_told = self._probe is not None or not self.cycle.response_started or self.flow.write_paused
        return is_plain and is_told and self.cycle.scope["http_version"] == "1.1"

    def _find_out(self) -> None:
        if self._probe:
            self._probe()
        elif self.conn.our_state is h11.SEND_RESPONSE and not self.cycle.response_started:
            self.transport.write(self.conn.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")

    def _has_left(self) -> bool:
        """Of one who sends no more: nobody reads the socket, which no event tells."""
        return (
            self._is_half_closed
            and self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
        )

    @property
    def _owes_answer(self) -> bool:
        """To a request that is whole."""
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete

    @property
    def _has_leftover(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY and self.cycle is not None and self.cycle.response_complete

    def _note_header(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self.silent_since = self._header_since = None
        elif self._header_since is None:
            self._header_since = self.loop.time()

    def _look_at_reader(self, now: float) -> None:
        unread = self.transport.get_write_buffer_size()
        if unread != self._unread:  # something was taken; or something was added, which has its end as well
            self._unread, self._unread_since = unread, now

    def _find_place(self) -> None:
        """When there are too many, one goes that does nothing: the port stays open to whoever has a question."""
        others: list[Connection] = [c for c in self.connections if isinstance(c, Connection) and not c.is_ended]
        same = [other for other in others if other.address == self.address]
        if len(others) > self._limits.connections:
            crowd = others
        elif len(same) > self._limits.per_address:
            crowd = same
        else:
            return
        now = self.loop.time()
        silent = [other for other in crowd if other is not self and other.is_silent()]
        stalled = [other for other in crowd if other.has_stalled(now)]
        unfinished = [other for other in crowd if other is not self and other.is_unfinished()]
        if silent:
            min(silent, key=lambda other: other.silent_since or now).end()
        elif stalled:
            stalled[0].end()
        elif unfinished:
            min(unfinished, key=lambda other: other.made_at).end()
        else:
            self.refuse(503, TOO_MANY)
