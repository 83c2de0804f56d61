"""What a browser is told so that a page of a named origin may use the port (Fetch standard, CORS protocol).

No cookies are ever asked for, so no answer allows credentials: a page shows its key itself.
"""

from collections.abc import Iterable, Mapping

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Send

METHODS = "GET, POST, DELETE, OPTIONS"  # those that a route has; HEAD needs no leave
MAX_AGE = "600"  # seconds, for which the browser need not ask again; a person may take the origin off the list
MAX_ASKED = 64  # headers of one question
# what the clients of the four dialects send; of others a page must do without
HEADERS = frozenset(
    {"accept", "accept-language", "authorization", "cache-control", "content-language", "content-type"}
    | {"http-referer", "idempotency-key", "last-event-id", "user-agent", "x-api-key", "x-request-id"}
    | {"x-requested-with", "x-title"}
)
PREFIXES = ("anthropic-", "openai-", "x-stainless-")
EXPOSED = "request-id, retry-after, x-request-id, x-slipstream-ignored"


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks if its page may ask."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def no_leave(sentence: str) -> Response:
    """To a page that may not: what it would need to be let in is missing, whatever the status."""
    return PlainTextResponse(sentence, headers={"Vary": "Origin"})


def preflight(headers: Mapping[str, str]) -> Response:
    """To a page that may."""
    answer = {
        "Access-Control-Allow-Origin": headers["origin"],
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Max-Age": MAX_AGE,
        "Vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Private-Network",
    }
    if allowed := ", ".join(_known(headers.get("access-control-request-headers", "").split(",")[:MAX_ASKED])):
        answer["Access-Control-Allow-Headers"] = allowed
    if headers.get("access-control-request-private-network") == "true":
        answer["Access-Control-Allow-Private-Network"] = "true"
    response = Response(status_code=200)  # some programs take no 204 for leave
    # in capitals, as the standard writes them: some look for them so
    response.raw_headers += [(name.encode(), value.encode("latin-1")) for name, value in answer.items()]
    return response


def inviting(origin: str, send: Send) -> Send:
    """`send` for answers that a page of this origin may read, refusals among them."""

    async def send_with_origin(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = EXPOSED
            headers.add_vary_header("Origin")
        await send(message)

    return send_with_origin


def _known(asked: Iterable[str]) -> list[str]:
    names = [name.strip().lower() for name in asked]
    return [name for name in names if name in HEADERS or name.startswith(PREFIXES)]
