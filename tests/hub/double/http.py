"""As much of HTTP/1.1 as the double speaks, over asyncio streams. Knows no route."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from tests.hub.double.faults import Fault

PIECE = 256 << 10  # of bytes written at a time
SENDFILE_PIECE = 16 << 20
TICKS = 20  # writes per second of a slow answer


@dataclass(frozen=True)
class Request:
    server: str  # "hub" or "cdn"
    method: str
    target: str  # as it came
    path: str  # decoded
    query: dict[str, list[str]]
    headers: dict[str, str]  # lower-case names
    body: bytes

    @property
    def token(self) -> str | None:
        return self.headers.get("authorization", "").removeprefix("Bearer ") or None


@dataclass
class Seen:
    """One exchange, for the tests to look at."""

    server: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    status: int = 0
    bytes_sent: int = 0  # of the body, handed to the socket
    is_over: bool = False  # the client may have the last byte a moment earlier


@dataclass
class Response:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | Path = b""
    etag: str | None = None  # set for the bytes of a file: Range and If-Range are then respected
    start: int = 0
    end: int | None = None  # exclusive

    @property
    def size(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    def stop(self) -> int:
        return self.size if self.end is None else self.end


class Cut(Exception):
    """The answer ends here, and the connection with it."""


async def read_request(server: str, reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    line, *fields = head.split("\r\n")
    method, target, _ = line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields if field)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Request(server, method, target, unquote(parts.path), parse_qs(parts.query), headers, body)


def ranged(request: Request, response: Response) -> Response:
    """The part that was asked for, the whole when If-Range names another version, or 416."""
    wanted = request.headers.get("range")
    size = response.size
    etag = str(response.etag) if str(response.etag).startswith("W/") else f'"{response.etag}"'
    response.headers |= {"Accept-Ranges": "bytes", **({"ETag": etag} if response.etag else {})}
    wanted_version = request.headers.get("if-range")
    if wanted is None or (wanted_version is not None and (wanted_version != etag or etag.startswith("W/"))):
        return response
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size:
        return Response(416, {"Content-Range": f"bytes */{size}"})
    headers = {**response.headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"}
    return Response(206, headers, response.content, response.etag, start, end)


async def send(writer: asyncio.StreamWriter, request: Request, response: Response, fault: "Fault", seen: Seen) -> None:
    """Raises Cut where the fault wants it."""
    seen.status = response.status
    num_bytes = response.stop() - response.start
    headers: Mapping[str, str] = {"Connection": "close" if fault.no_length else "keep-alive", **response.headers}
    if fault.chunked:
        headers = {**headers, "Transfer-Encoding": "chunked"}
    elif not fault.no_length:
        headers = {**headers, "Content-Length": str(num_bytes)}
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        *(f"{k}: {v}" for k, v in headers.items()),
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    if request.method != "HEAD":
        await _send_body(writer, response, fault, seen)
    await writer.drain()
    if fault.no_length:
        raise Cut


async def _send_body(writer: asyncio.StreamWriter, response: Response, fault: "Fault", seen: Seen) -> None:
    position, end = response.start, response.stop()
    breaks = [n for n in (fault.cut_after, fault.stall_after) if n is not None]
    stop = min(end, position + min(breaks)) if breaks else end
    pace = fault.bytes_per_second
    while position < stop:
        piece = min(stop - position, max(1, pace // TICKS) if pace else SENDFILE_PIECE)
        await _send_piece(writer, response.content, position, piece, fault.chunked, seen)
        position += piece
        if pace:
            await asyncio.sleep(1 / TICKS)
    if breaks and (stop < end or min(breaks) == 0):
        await writer.drain()
        raise Cut
    if fault.chunked:
        writer.write(b"0\r\n\r\n")


async def _send_piece(
    writer: asyncio.StreamWriter, content: bytes | Path, start: int, count: int, chunked: bool, seen: Seen
) -> None:
    if isinstance(content, Path) and not chunked:
        await writer.drain()
        with content.open("rb") as file:
            seen.bytes_sent += await asyncio.get_running_loop().sendfile(writer.transport, file, start, count)
        return
    if isinstance(content, Path):
        with content.open("rb") as file:
            file.seek(start)
            data = file.read(count)
    else:
        data = content[start : start + count]
    for offset in range(0, len(data), PIECE):
        piece = data[offset : offset + PIECE]
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()
        seen.bytes_sent += len(piece)
