"""A supervisor with real engine children, and answers collected from their sinks."""

import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psutil
import pytest

from app.inference.supervisor import EngineHandle, Supervisor
from backends.protocol import EngineOptions, Failed, Generate, Message, Output
from tests.patience import PATIENCE

SECONDS = PATIENCE
_ends = count()


class Answer:
    """A sink that can be waited for. place: among the ends of all answers, for who must know which came first."""

    def __init__(self) -> None:
        self.events: list[Output | Failed] = []
        self.begun, self.ended = threading.Event(), threading.Event()
        self.place = -1

    def __call__(self, event: Output | Failed) -> None:
        self.events.append(event)
        self.begun.set()
        if isinstance(event, Failed) or event.finish:
            self.place = next(_ends)
            self.ended.set()

    def wait(self) -> "Answer":
        assert self.ended.wait(SECONDS), "no end within the time"
        return self

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Output))

    @property
    def last(self) -> Output | Failed:
        return self.events[-1]


def ask(handle: EngineHandle, question: str, **fields: object) -> Answer:
    answer = Answer()
    request = Generate((Message("user", question),), **fields)  # type: ignore[arg-type]
    answer.uid = handle.submit(request, answer)  # type: ignore[attr-defined]
    return answer


def is_alive(pid: int) -> bool:
    """A zombie is dead: it only waits for its new parent to read its exit code."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs")
    yield supervisor
    supervisor.close()


@pytest.fixture
def load(supervisor: Supervisor) -> Callable[..., EngineHandle]:
    def load(file: str = "fake", **options: object) -> EngineHandle:
        handle = supervisor.load("fake", Path(file), EngineOptions(**options), backend="fake")  # type: ignore[arg-type]
        handle.wait_ready(SECONDS)
        return handle

    return load
