"""Stands before every route: who may ask, in what form, and how much. Plain ASGI, so that streams pass untouched.

A web page can send requests to 127.0.0.1 from its reader's browser, and can make its own name resolve to it.
The Host check stops the second (DNS rebinding), the Origin and content-type checks the first. Both let in what a person
has named (`Access`).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access import Access
from app.server.auth import Authority, Pass, shown_key
from app.server.core.census import Census, TooMany
from app.server.core.client import CLIENT, CLIENT_STATE, Client
from app.server.core.limits import MAX_BODY, MAX_QUOTED, Limits
from app.server.core.refusal import BODY_TOO_LARGE, BUSY, CLOSE, Refusal
from app.server.cors import inviting, is_preflight, no_leave, preflight
from app.server.dialects import refuse
from backends.bounds import as_name

METHODS_WITH_BODY = {"POST", "PUT", "PATCH"}
BAD_ORIGIN = "bad_origin"
OPEN_PATHS = {"/health", "/v1/health"}  # asked by programs that start and watch others, and says nothing about anyone
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

# a refused body is read before the answer, or the client would see a reset instead of the reason
DRAIN_BYTES = 64 * 2**20
DRAIN_SECONDS = 2.0

MAX_HEADERS, MAX_HEADER_BYTES = 100, 32 << 10
ONCE = (
    "host",
    "origin",
    "content-type",
    "content-length",
    "authorization",
    "x-api-key",
    "access-control-request-method",
)  # of two, which one would count?
ALLOW = "Its owner can allow it with {} or in the settings."


class Guard:
    """`access` may be set on any thread: the next request is judged by it."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        authority: Authority = Authority(),  # noqa: B008, these are frozen values
        access: Access = Access(),  # noqa: B008
        max_body: int = MAX_BODY,
        limits: Limits = Limits(),  # noqa: B008
    ):
        self.access = access
        self._app = app
        self._hosts = LOCAL_HOSTS | _names_of(host)
        self._allows_any_ip = _is_wildcard(host)
        self._authority = authority
        self._max_body = max_body
        self._limits = limits
        self._num_bytes = 0  # of all bodies that are read or answered now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        objection = _objection_to_header(headers) or self.objection_to_place(scope["scheme"], headers)
        if is_preflight(scope["method"], headers) and (objection is None or objection.code == BAD_ORIGIN):
            answer = no_leave(str(objection)) if objection else preflight(headers)  # no key is shown yet
            await answer(scope, receive, send)
            return
        if objection is None and (origin := headers.get("origin")) is not None:
            send = inviting(origin, send) if self._is_foreign(scope["scheme"], headers) else send
        client = Client(_address(scope), self._pass_of(headers) if objection is None else None)
        if objection is None and client.shown is None and self._authority.needs_key and path not in OPEN_PATHS:
            objection = _key_unknown() if shown_key(headers) else _key_needed()
        if objection := objection or self.objection_to_body(scope["method"], headers):
            await _drain(receive)
            await refuse(path, objection, headers)(scope, receive, send)
            return
        scope.setdefault("state", {})[CLIENT_STATE] = client
        CLIENT.set(client)
        body = Body(receive, self)
        try:
            await self._app(_with_a_body(scope), body.receive, send)
        finally:
            self._num_bytes -= body.num_bytes

    def objection_to_place(self, scheme: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why nobody is let in by this name, or from this page; None when there is nothing against it."""
        host = headers.get("host", "").lower()
        if not self._is_known(host):
            shown = as_name(host, MAX_QUOTED)
            message = f"This server does not answer to the name “{shown}”. {ALLOW.format('--allow-host')}"
            return Refusal(403, message, code="bad_host")
        if self._is_foreign(scheme, headers) and not self.access.knows_origin(headers["origin"].lower()):
            message = f"Web pages of other origins may not use this port. {ALLOW.format('--allow-origin')}"
            return Refusal(403, message, code=BAD_ORIGIN)
        return None

    def _is_foreign(self, scheme: str, headers: Mapping[str, str]) -> bool:
        """Whether a page asks that did not come from here."""
        origin, host = headers.get("origin"), headers.get("host", "").lower()
        return origin is not None and origin.lower() != f"{scheme}://{host}"

    def _pass_of(self, headers: Mapping[str, str]) -> Pass | None:
        """None when no key that is known is shown."""
        shown = shown_key(headers)
        return self._authority.pass_of(shown) if shown else None

    def objection_to_body(self, method: str, headers: Mapping[str, str]) -> Refusal | None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        is_empty = "content-type" not in headers and headers.get("content-length") == "0"  # routes that need one say so
        if method in METHODS_WITH_BODY and kind != "application/json" and not is_empty:
            came = f"as “{as_name(kind, MAX_QUOTED)}”" if kind else "without a Content-Type"
            message = f"The body came {came}. Send JSON, with the header “Content-Type: application/json”."
            return Refusal(415, message, code="not_json")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_body:
            return Refusal(413, _too_large(self._max_body), code=BODY_TOO_LARGE)
        return None

    def _is_known(self, host: str) -> bool:
        name = _without_port(host)
        if name in self._hosts:
            return True
        # an address cannot be rebound, only a name can; a wildcard bind is reached by many
        return (self._allows_any_ip and _is_ip(name)) or self.access.knows_host(name, self._authority.needs_key)

    def count(self, num_bytes: int) -> bool:
        """More of a body has come. False when all bodies together are too large."""
        self._num_bytes += num_bytes
        return self._num_bytes <= self._limits.bodies

    @property
    def max_body(self) -> int:
        return self._max_body

    @property
    def limits(self) -> Limits:
        return self._limits


class Body:
    """Reads one request's body, as long, as fast and of as many values as is allowed."""

    def __init__(self, receive: Receive, guard: Guard):
        self.num_bytes = 0
        self._receive = receive
        self._guard = guard
        self._census = Census()
        self._began = asyncio.get_running_loop().time()
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:  # what comes now is that the client has left
            return await self._receive()
        message = await self._next()
        self._is_whole = not message.get("more_body")
        num_new = len(message.get("body", b""))
        self.num_bytes += num_new
        has_room = self._guard.count(num_new)
        if self.num_bytes > self._guard.max_body:
            await _drain(self._receive)
            raise HTTPException(413, _too_large(self._guard.max_body))
        try:
            self._census.count(message.get("body", b""))
        except TooMany as error:
            await _drain(self._receive)
            raise HTTPException(413, f"The body holds too much: at most {error} are read.") from None
        if not has_room:
            raise HTTPException(503, "The server is reading other large requests. Try again in a moment.", CLOSE | BUSY)
        return message

    async def _next(self) -> Message:
        deadline = self._began + self._guard.limits.body_deadline(self.num_bytes)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._receive()
        except TimeoutError:
            raise HTTPException(408, "The body of the request did not come in time.", CLOSE) from None


def _objection_to_header(headers: Headers) -> Refusal | None:
    """Too much of it, and what two programs on the way could read as two different requests."""
    num_bytes = sum(len(name) + len(value) for name, value in headers.raw)
    if len(headers.raw) > MAX_HEADERS or num_bytes > MAX_HEADER_BYTES:
        message = f"At most {MAX_HEADERS} headers of {MAX_HEADER_BYTES:,} bytes together are read."
        return Refusal(431, message, code="header_too_large", headers=CLOSE)
    for name in ONCE:
        if len(headers.getlist(name)) > 1:
            return Refusal(400, f"The request has several headers “{name}”.", code="ambiguous_request", headers=CLOSE)
    if "transfer-encoding" in headers and "content-length" in headers:
        message = "The request has a Content-Length and a Transfer-Encoding."
        return Refusal(400, message, code="ambiguous_request", headers=CLOSE)
    return None


def _with_a_body(scope: Scope) -> Scope:
    """HEAD is a GET of which the connection sends the header alone."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


async def _drain(receive: Receive) -> None:
    received = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while received < DRAIN_BYTES:
                message = await receive()
                received += len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def _key_needed() -> Refusal:
    return _no_key("This server needs its key. Send it as “Authorization: Bearer KEY” or as “x-api-key: KEY”.")


def _key_unknown() -> Refusal:
    whose = "The key that was sent is not one of this server's, or was revoked."
    return _no_key(f"{whose} “slipstream keys” lists and makes them.")


def _no_key(message: str) -> Refusal:
    return Refusal(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def _too_large(limit: int) -> str:
    return f"The body is too large: at most {limit:,} bytes are read."


def _names_of(host: str) -> frozenset[str]:
    if _is_wildcard(host):
        own = socket.gethostname().lower()
        return frozenset({own, f"{own}.local"})
    return frozenset({f"[{host.lower()}]" if ":" in host else host.lower()})


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _is_wildcard(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_unspecified
    return host == ""


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and not host.endswith("]") else host


def _is_ip(name: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        return True
    return False
