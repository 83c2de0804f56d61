"""Server-sent events: one answer as a stream that ends with [DONE], or with the error that broke it off."""

import json
import logging
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.errors import SlipstreamError
from app.server.core.disconnect import unless_disconnected
from app.server.core.exchange import Exchange
from app.server.core.refusal import ApiError, from_slipstream
from app.server.openai.form import Form

log = logging.getLogger(__name__)

DONE = b"data: [DONE]\n\n"
# json.dumps makes one for every call that asks for anything
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(Response):
    media_type = "text/event-stream"

    def __init__(self, exchange: Exchange, form: Form):
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._exchange = exchange
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        with self._exchange, suppress(ClientDisconnect):
            await unless_disconnected(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            await self._send_answer(send)
            last = DONE
        except SlipstreamError as error:
            last = _event(from_slipstream(error).body())
        except Exception:  # the edge of a handler: the reader must learn that this was not the end
            log.exception("a stream broke off")
            last = _event(ApiError(500, "The server met an error of its own.").body())
        self._exchange.close()  # over, before the reader is told so
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _send_answer(self, send: Send) -> None:
        await _send_chunks(send, self._form.head())
        async for index, output in self._exchange:
            await _send_chunks(send, self._form.chunks(index, output))
        await _send_chunks(send, self._form.tail())


async def _send_chunks(send: Send, chunks: list[dict[str, Any]]) -> None:
    if chunks:
        body = b"".join(_event(chunk) for chunk in chunks)
        await send({"type": "http.response.body", "body": body, "more_body": True})


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {encode(data)}\n\n".encode()
