"""A real port over a real engine child with the fake backend, and clients that are no HTTP library."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.inference.supervisor import EngineHandle, Supervisor
from app.server import Server
from app.server.core.directory import ModelFacts
from app.server.core.limits import Limits
from backends.protocol import EngineOptions

SECONDS = 15.0
CLOSED = 0  # in place of a status: the server closed without an answer
MAX_ERROR = 1500  # bytes that an error's body may have
QUICK = Limits(header=2.0, body=2.0)


class OneEngine:
    """The loaded engines, the first one by default."""

    keeper = None

    def __init__(self, supervisor: Supervisor):
        self._supervisor = supervisor

    def names(self) -> list[str]:
        return [engine.name for engine in self._supervisor.engines()]

    def facts(self) -> dict[str, ModelFacts]:
        return {name: ModelFacts(name, is_loaded=True) for name in self.names()}

    def engine(self, name: str | None) -> EngineHandle:
        return self._supervisor.get(name or self.names()[0])

    def engines(self) -> tuple[EngineHandle, ...]:
        return self._supervisor.engines()

    def keep(self, name: str, seconds: float) -> None:
        """They stay."""

    def answering(self, name: str) -> str | None:
        return name if name in self.names() else None

    def header(self, _: str) -> dict[str, Any]:
        return {}

    def loading(self) -> float | None:
        return self._supervisor.loading()


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


@dataclass(frozen=True)
class Target:
    port: int
    server: Server
    supervisor: Supervisor
    key: str | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        connection = socket.socket()
        connection.settimeout(SECONDS)
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def head(self, length: int | None = None, path: str = "/v1/chat/completions") -> bytes:
        key = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        size = "" if length is None else f"Content-Length: {length}\r\n"
        return f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\n{key}Content-Type: application/json\r\n{size}".encode()

    def post(self, body: bytes, path: str = "/v1/chat/completions") -> bytes:
        return self.head(len(body), path) + b"\r\n" + body

    def talk(
        self, *parts: bytes, count: int = 1, wait: float = 0.0, half_close: bool = False, seconds: float = SECONDS
    ) -> list[Answer]:
        """Send the parts, and read so many answers; `wait` seconds longer to see that there are no more."""
        with self.connect() as connection:
            connection.settimeout(seconds)
            with suppress(OSError):  # it has been refused already
                for number, part in enumerate(parts):
                    if number:
                        time.sleep(0.05)
                    connection.sendall(part)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            return list(Reader(connection).answers(count, wait))

    def fault(self, seconds: float = SECONDS) -> str | None:
        """Whether the port still does what it is there for, the chat within so many seconds."""
        health = self.talk(f"GET /health HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        if [answer.status for answer in health] != [200]:
            return f"/health afterwards: {health}"
        body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8}).encode()
        chat = self.talk(self.post(body), seconds=seconds)
        if [answer.status for answer in chat] != [200] or b"You said" not in chat[0].body:
            return f"a small chat afterwards: {chat}"
        return None


class Reader:
    """HTTP/1.1 answers from a socket. Raises TimeoutError when one does not come."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._data = b""

    def answers(self, count: int, wait: float) -> Iterator[Answer]:
        for _ in range(count):
            if (answer := self._answer()) is None:
                yield Answer(CLOSED, b"")
                return
            yield answer
        if wait:
            self._connection.settimeout(wait)
            with suppress(TimeoutError):
                if extra := self._answer():
                    yield extra

    def _answer(self) -> Answer | None:
        while True:
            head = self._until(b"\r\n\r\n")
            if head is None:
                return None
            first, *lines = head.decode("latin-1").split("\r\n")
            status = int(first.split()[1])
            if status != 100:
                break
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            return Answer(status, self._chunks())
        return Answer(status, self._take(int(headers.get("content-length", 0))))

    def _chunks(self) -> bytes:
        body = b""
        while True:
            line = self._until(b"\r\n")
            if not line:
                return body
            if not (size := int(line, 16)):
                self._until(b"\r\n")
                return body
            body += self._take(size)
            self._take(2)

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._data:
            if not self._more():
                return None
        found, _, self._data = self._data.partition(mark)
        return found

    def _take(self, size: int) -> bytes:
        while len(self._data) < size and self._more():
            pass
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def _more(self) -> bool:
        try:
            part = self._connection.recv(65536)
        except ConnectionError:
            return False
        self._data += part
        return bool(part)


def judge(answers: Sequence[Answer], expected: Sequence[set[int]]) -> str | None:
    """Each answer's status among those expected, and an error no longer than a sentence."""
    statuses = [answer.status for answer in answers]
    if len(statuses) != len(expected) or any(s not in allowed for s, allowed in zip(statuses, expected, strict=True)):
        return f"answers {statuses}, expected {list(expected)}"
    for answer in answers:
        if answer.status >= 400 and len(answer.body) > MAX_ERROR:
            return f"an error of {len(answer.body)} bytes"
        if b"Traceback" in answer.body:
            return "a traceback for the client"
        if answer.status >= 400 and answer.body and not json.loads(answer.body)["error"]["message"]:
            return "an error without a sentence"
    return None


@contextmanager
def open_port(
    key: str | None = None, file: str = "quick", limits: Limits = QUICK, **options: object
) -> Iterator[Target]:
    with TemporaryDirectory() as logs:
        supervisor = Supervisor(Path(logs))
        handle = supervisor.load("guide", Path(file), EngineOptions(**options), backend="fake")  # type: ignore[arg-type]
        handle.wait_ready(SECONDS)
        server = Server(OneEngine(supervisor), limits=limits)
        url = server.start(port=0, api_key=key)
        try:
            yield Target(int(url.rpartition(":")[2]), server, supervisor, key)
        finally:
            server.stop()
            supervisor.close()
