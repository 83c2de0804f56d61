"""GET /api/slipstream/events: what happens, as server-sent events, until the reader leaves or the server stops."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import TypeAdapter
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.server.core.calls import Call, LiveRequest
from app.server.core.disconnect import unless_disconnected
from app.server.core.refusal import Refusal
from app.server.core.stream import HEADERS
from app.server.core.threads import in_thread
from app.server.native.feed import Feed, Inbox
from app.server.native.shapes import News

LOOK_SECONDS = 1.0  # between two looks at the requests that are being answered
READERS = "Too many programs read the events. Close one, or try again later."
SILENT_LOOKS = 15  # of them without a word: then a comment says that the line is alive
ALIVE, END = b": alive\n\n", b"event: end\ndata: {}\n\n"

VALUES: TypeAdapter[Any] = TypeAdapter(Any)


class NewsStream(Response):
    """begin: the state of all things, for a reader who has just come. It may block. call: who reads, until that is
    expelled."""

    def __init__(
        self,
        feed: Feed,
        begin: Callable[[], list[News]],
        live: Callable[[], list[LiveRequest]],
        call: Call | None = None,
    ):
        super().__init__(headers=HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._feed = feed
        self._begin = begin
        self._live = live
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Raises Refusal, before anything is sent, when there are too many readers."""
        inbox = self._feed.open()
        if inbox is None:
            raise Refusal(503, READERS, headers={"Retry-After": "10"})
        try:
            news = await in_thread(self._begin)  # what happens from here on comes to the inbox
            with suppress(ClientDisconnect):
                await unless_disconnected(receive, self._send_all(send, inbox, news))
        finally:
            self._feed.leave(inbox)

    async def _send_all(self, send: Send, inbox: Inbox, news: list[News]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        told, silent = None, 0
        while not inbox.is_closed and not (self._call and self._call.is_expelled):
            live = self._live()
            if live != told:
                told = live
                news = [*news, News("requests", ("requests", None), live)]
            silent = 0 if news else silent + 1
            if news or silent >= SILENT_LOOKS:
                silent = 0
                body = b"".join(map(_event, news)) or ALIVE
                await send({"type": "http.response.body", "body": body, "more_body": True})
            news = await inbox.take(LOOK_SECONDS)
        await send({"type": "http.response.body", "body": END, "more_body": False})


def _event(news: News) -> bytes:
    return f"event: {news.event}\ndata: {json.dumps(VALUES.dump_python(news.value, mode='json'))}\n\n".encode()
