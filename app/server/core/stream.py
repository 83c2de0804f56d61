"""An answer as a stream, which ends well or says what broke it off."""

import logging
from collections.abc import Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.errors import SlipstreamError
from app.server.core.disconnect import unless_disconnected
from app.server.core.exchange import Exchange
from app.server.core.refusal import BUG, from_slipstream
from app.server.core.words import Words

log = logging.getLogger(__name__)

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
WRITE = "slipstream.write"  # in a request's state: how its connection takes a part of a stream; see Connection

Write = Callable[[bytes], bool]


class EventStream(Response):
    def __init__(self, exchange: Exchange, words: Words):
        super().__init__(headers=HEADERS, media_type=words.media_type)
        del self.headers["content-length"]
        self._exchange = exchange
        self._words = words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        write: Write = scope.get("state", {}).get(WRITE) or _cannot_write
        with self._exchange, suppress(ClientDisconnect):
            await unless_disconnected(receive, self._send_all(send, write))

    async def _send_all(self, send: Send, write: Write) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            await self._send_answer(send, write)
            last = self._words.end()
        except SlipstreamError as error:
            last = self._words.break_off(from_slipstream(error))
        except Exception:  # the edge of a handler: the reader must learn that this was not the end
            log.exception("a stream broke off")
            last = self._words.break_off(BUG)
        self._exchange.close()  # over, before the reader is told so
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _send_answer(self, send: Send, write: Write) -> None:
        go_on = self._words.go_on
        body = self._words.begin()
        async for outputs in self._exchange:
            body += b"".join([go_on(index, output) for index, output in outputs])
            if body and not write(body):
                await send({"type": "http.response.body", "body": body, "more_body": True})
            body = b""
        if body:
            await send({"type": "http.response.body", "body": body, "more_body": True})


def _cannot_write(_: bytes) -> bool:
    return False
