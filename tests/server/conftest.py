"""A real engine child with the fake backend, a real port, and a check that nothing is left behind."""

import json
import multiprocessing
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.inference.supervisor import EngineHandle, EngineSnapshot, Supervisor
from app.server import Server
from app.server.core.directory import ModelFacts
from backends.protocol import EngineOptions
from tests.patience import PATIENCE, until

SECONDS = PATIENCE


HEADER = {
    "general.license": "mit",
    "fake.block_count": 2,
    "tokenizer.chat_template": "{% raw %}\n{{ it }}",
    "odd": float("nan"),
}


class Directory:
    """The loaded engines, the first one by default."""

    keeper = None

    def __init__(self, supervisor: Supervisor):
        self._supervisor = supervisor

    def names(self) -> list[str]:
        return [engine.name for engine in self._supervisor.engines()]

    def facts(self) -> dict[str, ModelFacts]:
        return {name: ModelFacts(name, is_loaded=True) for name in self.names()}

    def engines(self) -> tuple[EngineHandle, ...]:
        return self._supervisor.engines()

    def engine(self, name: str | None) -> EngineHandle:
        return self._supervisor.get(name or self.names()[0])

    def keep(self, name: str, seconds: float) -> None:
        """They stay."""

    def answering(self, name: str) -> str | None:
        return name if name in self.names() else None

    def header(self, _: str) -> dict[str, Any]:
        return dict(HEADER)

    def loading(self) -> float | None:
        return self._supervisor.loading()


class Watch:
    """Waits for what the supervisor says of its engines."""

    def __init__(self, supervisor: Supervisor):
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._awaited: list[Callable[[EngineSnapshot], None]] = []
        supervisor.subscribe(self._note)

    def _note(self, snapshot: EngineSnapshot) -> None:
        with self._lock:
            for look in self._awaited:
                look(snapshot)

    @contextmanager
    def sees(self, name: str, is_so: Callable[[EngineSnapshot], object]) -> Iterator[None]:
        """At the end it has been so, if only for a moment: every word of the engine is looked at."""
        seen = threading.Event()

        def look(snapshot: EngineSnapshot) -> None:
            if snapshot.name == name and is_so(snapshot):
                seen.set()

        with self._lock:
            self._awaited.append(look)
        try:
            yield
            assert seen.wait(SECONDS), self._supervisor.get(name).snapshot
        finally:
            with self._lock:
                self._awaited.remove(look)

    def until(self, name: str, is_so: Callable[[EngineSnapshot], object]) -> None:
        with self.sees(name, is_so):
            self._note(self._supervisor.get(name).snapshot)

    def until_running(self, name: str, num_running: int) -> None:
        self.until(name, lambda s: s.stats is not None and s.stats.num_running == num_running)


@dataclass(frozen=True)
class Port:
    """One server with its engines, and a client."""

    supervisor: Supervisor
    watch: Watch
    server: Server
    client: httpx.Client

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(f"/v1/{path}", json=body)

    def chat(self, text: str, **fields: Any) -> httpx.Response:
        return self.post("chat/completions", messages=user(text), **fields)

    def read(self, response: httpx.Response) -> "Stream":
        return Stream(response)

    def until_idle(self, *names: str) -> None:
        """No request in flight and nothing running, also for a client that left before its request was read."""
        for name in names:
            self.watch.until_running(name, 0)
        # the engine says that it is idle before the exchange has been told
        until(lambda: not self.server.num_requests, lambda: f"{self.server.num_requests} requests to leave")

    @contextmanager
    def stream(self, text: str, **fields: Any) -> Iterator["Stream"]:
        body = {"messages": user(text), "stream": True, **fields}
        with self.client.stream("POST", "/v1/chat/completions", json=body) as response:
            yield Stream(response)


class Stream:
    """The events of one streamed response, one after the other."""

    def __init__(self, response: httpx.Response):
        self.response = response
        self._lines = response.iter_lines()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Up to [DONE]; `ended_well` says whether that came."""
        self.ended_well = False
        for line in self._lines:
            if line == "data: [DONE]":
                self.ended_well = True
            elif line and not line.startswith(":"):  # a comment
                assert line.startswith("data: ")
                yield json.loads(line.removeprefix("data: "))

    def next_text(self) -> str:
        """Of the next chunk that has any."""
        return next(text for text in map(text_of, self) if text)


def user(text: str) -> list[Mapping[str, Any]]:
    return [{"role": "user", "content": text}]


def text_of(chunk: Mapping[str, Any]) -> str:
    return "".join(choice["delta"].get("content", "") for choice in chunk["choices"])


@pytest.fixture
def says() -> Callable[[str], str]:
    """What the fake model answers."""
    lorem = (
        "The quick engine shares every prefix it has seen. It guesses ahead, checks each guess, and keeps what holds. "
    )
    return lambda question: f"You said “{question}”. — {lorem}"


@contextmanager
def serve(supervisor: Supervisor, load_seconds: float = SECONDS, directory: Directory | None = None) -> Iterator[Port]:
    """A port for these engines, which end with it."""
    watch = Watch(supervisor)
    server = Server(directory or Directory(supervisor), load_seconds=load_seconds)
    url = server.start(port=0)
    try:
        with httpx.Client(base_url=url, timeout=SECONDS) as client:
            yield Port(supervisor, watch, server, client)
    finally:
        server.stop()
        supervisor.close()


@contextmanager
def run_port(logs: Path, load_seconds: float = SECONDS, **models: str) -> Iterator[Port]:
    """models: name=file, where the file's name gives the fake backend its orders."""
    supervisor = Supervisor(logs)
    for name, file in models.items():
        supervisor.load(name, Path(file), EngineOptions(), backend="fake")
    with serve(supervisor, load_seconds) as port:
        yield port


RunPort = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> RunPort:
    """For tests that kill, stop or load on their own."""
    return lambda **options: run_port(tmp_path / "logs", **options)


@pytest.fixture(scope="session")
def shared_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    with run_port(tmp_path_factory.mktemp("logs"), quick="quick", slow="20ms") as port:
        for engine in port.supervisor.engines():
            engine.wait_ready(SECONDS)
        yield port


@pytest.fixture
def port(shared_port: Port) -> Iterator[Port]:
    """`quick` and `slow` (20 ms a step) are loaded; after the test neither has anything left to do."""
    yield shared_port
    shared_port.until_idle("quick", "slow")


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    yield
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("port", "engine-"))]
    assert not multiprocessing.active_children()
