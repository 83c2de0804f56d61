"""Stands before the guard, notes who comes, and tells what was left out: plain ASGI. What streams write past it costs
nothing here."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.core.calls import CALL, CallBook
from app.server.core.unknown import HEADER, IGNORED, Ignored, header
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

        ignored = Ignored()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                if ignored:
                    message["headers"] = [*message.get("headers", ()), (HEADER, header(ignored))]
            await send(message)

        tokens = CALL.set(call), IGNORED.set(ignored)
        try:
            await self._app(scope, receive, noting)
        finally:
            CALL.reset(tokens[0])
            IGNORED.reset(tokens[1])
            self._book.end(call)
