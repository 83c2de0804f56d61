"""Stands before the guard, and notes who comes: plain ASGI. What streams write past it costs nothing here."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.core.calls import CALL, CallBook
from app.server.dialects import dialect_of

# asked again and again by programs that only watch
UNNOTED = ("/health", "/v1/health")


class Register:
    def __init__(self, app: ASGIApp, book: CallBook):
        self._app = app
        self._book = book

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in UNNOTED:
            await self._app(scope, receive, send)
            return
        call = self._book.begin(scope, dialect_of(scope["path"], Headers(scope=scope)).name)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            await send(message)

        token = CALL.set(call)
        try:
            await self._app(scope, receive, noting)
        finally:
            CALL.reset(token)
            self._book.end(call)
