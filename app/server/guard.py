"""Stands before every route: who may ask, in what form, and how much. Plain ASGI, so that streams pass untouched.

A web page can send requests to 127.0.0.1 from its reader's browser, and can make its own name resolve to it.
The Host check stops the second (DNS rebinding), the Origin and content-type checks the first.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.api_error import BODY_TOO_LARGE, ApiError
from app.server.auth import is_authorized
from app.server.server import MAX_BODY

METHODS_WITH_BODY = {"POST", "PUT", "PATCH"}
OPEN_PATHS = {"/health"}  # asked by programs that start and watch others, and says nothing about anyone
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

# a refused body is read before the answer, or the client would see a reset instead of the reason
DRAIN_BYTES = 64 * 2**20
DRAIN_SECONDS = 2.0


class Guard:
    def __init__(self, app: ASGIApp, host: str, api_key: str | None = None, max_body: int = MAX_BODY):
        self._app = app
        self._hosts = LOCAL_HOSTS | _names_of(host)
        self._allows_any_ip = _is_wildcard(host)
        self._api_key = api_key
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif objection := self.objection(scope["method"], scope["path"], Headers(scope=scope)):
            await _drain(receive)
            await objection.response()(scope, receive, send)
        else:
            await self._app(scope, self._limited(receive), send)

    def objection(self, method: str, path: str, headers: Mapping[str, str]) -> ApiError | None:
        """Why this request is not let in; None when it is."""
        host = headers.get("host", "").lower()
        if not self._is_known(host):
            return ApiError(403, f"This server does not answer to the name “{host}”.", code="bad_host")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host}":
            return ApiError(403, "Web pages of other origins may not use this port.", code="bad_origin")
        if not self._has_key(path, headers.get("authorization", "")):
            return _key_needed()
        return self._objection_to_body(method, headers)

    def _objection_to_body(self, method: str, headers: Mapping[str, str]) -> ApiError | None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method in METHODS_WITH_BODY and kind != "application/json":
            return ApiError(415, "Send the body as Content-Type: application/json.", code="not_json")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_body:
            return ApiError(413, _too_large(self._max_body), code=BODY_TOO_LARGE)
        return None

    def _is_known(self, host: str) -> bool:
        name = _without_port(host)
        if name in self._hosts:
            return True
        # an address cannot be rebound, only a name can; a wildcard bind is reached by many
        return self._allows_any_ip and _is_ip(name)

    def _has_key(self, path: str, header: str) -> bool:
        return self._api_key is None or path in OPEN_PATHS or is_authorized(header, self._api_key)

    def _limited(self, receive: Receive) -> Receive:
        """Counts a body that came without its length."""
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body:
                await _drain(receive)
                raise HTTPException(413, _too_large(self._max_body))
            return message

        return limited


async def _drain(receive: Receive) -> None:
    received = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while received < DRAIN_BYTES:
                message = await receive()
                received += len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def _key_needed() -> ApiError:
    message = "This server needs its key. Send it as “Authorization: Bearer KEY”."
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def _too_large(limit: int) -> str:
    return f"The body is too large: at most {limit:,} bytes are read."


def _names_of(host: str) -> frozenset[str]:
    if _is_wildcard(host):
        own = socket.gethostname().lower()
        return frozenset({own, f"{own}.local"})
    return frozenset({f"[{host.lower()}]" if ":" in host else host.lower()})


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
