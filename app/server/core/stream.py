"""An answer as a stream, which ends well or says what broke it off."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.errors import SlipstreamError
from app.server.core.disconnect import unless_disconnected
from app.server.core.exchange import Exchange
from app.server.core.refusal import BUG, from_slipstream
from app.server.core.words import Source, Wait, Words

log = logging.getLogger(__name__)

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
WRITE = "slipstream.write"  # in a request's state: how its connection takes a part of a stream; see Connection
ON_LAST_WORD = "slipstream.on_last_word"  # likewise: whom it tells that the client sends no more
SILENCE_SECONDS = 5.0  # after which something is said: many clients and proxies give up after 30 or 60

Write = Callable[[bytes], bool]
Tell = Callable[[Callable[[], None]], None]


class EventStream(Response):
    """Its header goes out at once, also while the model loads: `words` are made anew when it is known who answers."""

    def __init__(self, exchange: Exchange, words: Callable[[Source], Words]):
        self._words = words(exchange.source)
        super().__init__(headers=HEADERS, media_type=self._words.media_type)
        del self.headers["content-length"]
        self._exchange = exchange
        self._make_words = words
        self._is_silent = True  # since the timer has looked last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.get("state", {})
        write: Write = state.get(WRITE) or _cannot_write
        tell: Tell | None = state.get(ON_LAST_WORD)
        with self._exchange, suppress(ClientDisconnect):
            await unless_disconnected(receive, self._send_all(send, write, tell))

    async def _send_all(self, send: Send, write: Write, tell: Tell | None) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if tell:
            tell(partial(self._say_something, write))
        timer = asyncio.ensure_future(self._break_silence(write))
        try:
            await self._send_answer(send, write)
            last = self._words.end()
        except SlipstreamError as error:
            last = self._words.break_off(from_slipstream(error))
        except Exception:  # the edge of a handler: the reader must learn that this was not the end
            log.exception("a stream broke off")
            last = self._words.break_off(BUG)
        finally:
            timer.cancel()
        self._exchange.close()  # over, before the reader is told so
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _send_answer(self, send: Send, write: Write) -> None:
        exchange = self._exchange
        source, go_on, body = exchange.source, self._words.go_on, b""
        is_begun = False
        async for outputs in exchange:
            if not is_begun:
                if source is not exchange.source:  # it was not known before
                    source, self._words = exchange.source, self._make_words(exchange.source)
                    go_on = self._words.go_on
                if outputs:
                    is_begun = True
                    body = self._words.begin()
            if exchange.news:
                body += self._told_of_prompts()
            body += b"".join([go_on(index, output) for index, output in outputs])
            if body:
                self._is_silent = False
                if not write(body):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                body = b""
        if not is_begun:
            await send({"type": "http.response.body", "body": self._words.begin(), "more_body": True})

    def _told_of_prompts(self) -> bytes:
        news, self._exchange.news = self._exchange.news, []
        return b"".join(self._words.read(index, progress) for index, progress in news)

    async def _break_silence(self, write: Write) -> None:
        """A whole part at a time, as the answer is written: between two of its parts."""
        while True:
            self._is_silent = True
            await asyncio.sleep(SILENCE_SECONDS)
            if self._is_silent:
                self._say_something(write)

    def _say_something(self, write: Write) -> None:
        """That it goes on."""
        write(self._words.wait(Wait(self._exchange.loading, tuple(self._exchange.progress.values()))))


def _cannot_write(_: bytes) -> bool:
    return False
