"""The double as a whole: two ports on one thread, its repositories, its faults, and what it was asked."""

import asyncio
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.hub.double.faults import Fault
from tests.hub.double.files import Files
from tests.hub.double.http import Cut, Request, Response, Seen, ranged, read_request, send
from tests.hub.double.metadata import Metadata, error
from tests.hub.double.repo import HubRepo
from tests.patience import PATIENCE as SECONDS

HOST = "127.0.0.1"
HARMLESS = Fault()


class HubDouble:
    """A context manager. The lists and dicts may be changed from the test's thread at any time."""

    def __init__(
        self, repos: Iterable[HubRepo] = (), port: int = 0, cdn_port: int = 0, certificate: Path | None = None
    ):
        self._tls = _tls(certificate) if certificate else None
        self.repos: dict[str, HubRepo] = {repo.id: repo for repo in repos}
        self.tokens: dict[str, str] = {}
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self._metadata = Metadata(self.repos, self.tokens)
        self._files = Files(self._metadata)
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hub double", daemon=True)
        self._thread.start()
        self._servers = [self._call(self._listen("hub", port)), self._call(self._listen("cdn", cdn_port))]
        scheme = "https" if certificate else "http"
        self.endpoint, self.cdn = (
            f"{scheme}://{HOST}:{server.sockets[0].getsockname()[1]}" for server in self._servers
        )
        self._metadata.endpoint, self._files.cdn = self.endpoint, self.cdn

    def __enter__(self) -> "HubDouble":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, repo: HubRepo) -> HubRepo:
        self.repos[repo.id] = repo
        return repo

    def fail(self, **fields: Any) -> Fault:
        """Adds a fault; the first that matches a request is applied. Its fields: see Fault."""
        self.faults.append(Fault(**fields))
        return self.faults[-1]

    def address(self, repo_id: str, path: str, revision: str = "main") -> str:
        return f"{self.endpoint}/{repo_id}/resolve/{revision}/{quote(path)}"

    def downloads(self) -> list[Seen]:
        """The exchanges that carried a file's bytes, in order."""
        return [seen for seen in list(self.requests) if seen.method == "GET" and seen.status in (200, 206)]

    def finished_downloads(self) -> list[Seen]:
        """The same, once all of them are over: only then is it known how much was sent."""
        until = time.monotonic() + SECONDS
        while not all(seen.is_over for seen in list(self.requests)):
            assert time.monotonic() < until, "an answer has no end"
            time.sleep(0.005)
        return self.downloads()

    def reset(self) -> None:
        """Empty again, and nobody is connected. The ports stay."""
        self._call(self._hang_up())
        for held in (self.repos, self.tokens, self.faults, self.requests):
            held.clear()

    def hang_up(self) -> None:
        """Ends all connections, as a server that is stopped does."""
        self._call(self._hang_up())

    def close(self) -> None:
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self, name: str, port: int) -> asyncio.Server:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                await self._serve(name, reader, writer)
            except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
                pass
            finally:
                self._connections.discard(task)
                writer.transport.abort() if task.cancelling() else writer.close()
                with suppress(ConnectionError, asyncio.CancelledError):
                    await writer.wait_closed()

        return await asyncio.start_server(connected, HOST, port, backlog=128, ssl=self._tls)

    async def _serve(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await read_request(name, reader)) is not None:
            seen = Seen(name, request.method, request.path, request.query, request.headers)
            self.requests.append(seen)
            response, fault = self._answer(request)
            try:
                await send(writer, request, response, fault, seen)
            except Cut:
                if fault.stall_after is not None:
                    await reader.read(1)  # until the client leaves
                return
            finally:
                seen.is_over = True

    def _answer(self, request: Request) -> tuple[Response, Fault]:
        fault = self._fault(request, is_file=False)
        if fault is not None:
            return fault.answer(request), HARMLESS
        response = self._files.serve(request) if request.server == "cdn" else self._route(request)
        fault = self._fault(request, is_file=response.etag is not None)
        return (response, HARMLESS) if fault is None else (_spoilt(request, response, fault), fault)

    def _route(self, request: Request) -> Response:
        answer = self._files.resolve(request) or self._metadata.answer(request)
        return answer or error(404, None, "Sorry, we can't find the page you are looking for.")

    def _fault(self, request: Request, is_file: bool) -> Fault | None:
        for fault in list(self.faults):
            if fault.is_answer != is_file and fault.matches(request, is_file):
                fault.num_seen += 1
                return fault
        return None

    async def _hang_up(self) -> None:
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _shut(self) -> None:
        for server in self._servers:
            server.close()
        await self._hang_up()
        for server in self._servers:
            await server.wait_closed()


def _tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _spoilt(request: Request, response: Response, fault: Fault) -> Response:
    """The file's answer with other bytes, another version, another range."""
    content = response.content
    if fault.wrong_bytes or fault.surplus:
        whole = content.read_bytes() if isinstance(content, Path) else content
        middle = len(whole) // 2
        changed = bytes([whole[middle] ^ 0xFF]) if fault.wrong_bytes and whole else whole[middle : middle + 1]
        content = whole[:middle] + changed + whole[middle + 1 :] + b"+" * fault.surplus
    headers = {name: value for name, value in response.headers.items() if name not in ("Content-Range", "ETag")}
    fresh = Response(200, headers, content, response.etag if fault.etag is None else fault.etag)
    hidden = ("range",) if fault.ignore_range else ("if-range",) if fault.ignore_if_range else ()
    part = ranged(
        replace(request, headers={name: value for name, value in request.headers.items() if name not in hidden}), fresh
    )
    if fault.bad_range and part.status == 206:
        part.start -= 1
        part.headers["Content-Range"] = f"bytes {part.start}-{part.stop() - 1}/{part.size}"
    return part
