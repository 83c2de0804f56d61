"""A real engine with a tiny model whose template is the attacker's, and what must hold beside any attack on it."""

import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import psutil
from gguf import GGUFReader

from app.inference.supervisor import Supervisor
from app.jobs.convert import convert_checkpoint
from backends.protocol import (
    DraftMode,
    EngineOptions,
    Failed,
    FailureKind,
    Generate,
    Message,
    Output,
    Priority,
    SamplingParams,
)
from tests.convert import checkpoints
from tests.inference.conftest import Answer

ANSWER_SECONDS, NEIGHBOUR_SECONDS = 4.0, 3.0
MAX_SENTENCE = 400
MAX_GROWTH = 500 << 20  # bytes of the engine and its children together, two jobs' bounds and what they hold anyway
KEY = b"tokenizer.chat_template"
LOOK_EVERY = 0.05

_folder = TemporaryDirectory(prefix="slipstream-attacks-")  # removed when the interpreter ends


class Stand:
    """An engine for the cases of one template; its process dies with the stand."""

    def __init__(self, template: str):
        folder = Path(_folder.name)
        self._supervisor = Supervisor(folder / "logs")
        model = _model(template, folder / "attacked.gguf")
        options = EngineOptions(draft=DraftMode.OFF, context=2048, prompt_cache_ram=0)
        self._handle = self._supervisor.load("attacked", model, options)
        self._handle.wait_ready(60)
        self._pid = self._handle.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._supervisor.close()

    @property
    def load_seconds(self) -> float:
        ready = self._handle.snapshot.ready
        return ready.load_seconds if ready else 0.0

    def attacked_by(
        self, request: Generate, neighbours: dict[str, Generate], done_before: bool = False
    ) -> tuple[Answer, str | None]:
        """The answer to the request, and the first thing that did not hold."""
        for neighbour in () if done_before else neighbours.values():  # what is innocent is not new, as in life
            self.send(neighbour).wait()
        with _Scale(self._pid) as scale:
            begin = time.monotonic()
            attacked = self.send(request)
            sent = {name: (self.send(neighbour), time.monotonic()) for name, neighbour in neighbours.items()}
            for name, (answer, at) in sent.items():
                if fault := _late(name, answer, at + NEIGHBOUR_SECONDS):
                    return attacked, fault
                if isinstance(answer.last, Failed):
                    return attacked, f"{name}: {answer.last.message}"
            if fault := _late("the attacked request", attacked, begin + ANSWER_SECONDS):
                return attacked, fault
        if scale.growth > MAX_GROWTH:
            return attacked, f"the engine and its children grew by {scale.growth >> 20} MB"
        if self._handle.pid != self._pid or self._handle.snapshot.crash:
            return attacked, f"the engine died: {self._handle.snapshot.crash}"
        return attacked, _unspeakable(attacked.last)

    def send(self, request: Generate) -> Answer:
        answer = Answer()
        answer.uid = self._handle.submit(request, answer)  # type: ignore[attr-defined]
        return answer

    def abort(self, answer: Answer) -> None:
        self._handle.abort(answer.uid)  # type: ignore[attr-defined]


class _Scale:
    """Weighs a process and its children while an attack lasts."""

    def __init__(self, pid: int | None):
        self._process = psutil.Process(pid)
        self._base = self._weight()
        self.growth = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(LOOK_EVERY):
            self.growth = max(self.growth, self._weight() - self._base)

    def _weight(self) -> int:
        total = 0
        with suppress(psutil.Error):  # one of them has just ended
            for process in (self._process, *self._process.children(recursive=True)):
                total += process.memory_info().rss
        return total


def chat(text: str, **fields: object) -> Generate:
    return request((Message("user", text),), **fields)


def request(prompt: tuple[Message, ...] | str, **fields: object) -> Generate:
    settings = {"max_tokens": 3, "sampling": SamplingParams(seed=1), "priority": Priority.BATCH, **fields}
    return Generate(prompt, **settings)  # type: ignore[arg-type]


def refused(kinds: tuple[FailureKind, ...]) -> Callable[[Answer], str | None]:
    """What must be said of an input that no engine may accept."""

    def judge(answer: Answer) -> str | None:
        if isinstance(answer.last, Failed):
            return None if answer.last.kind in kinds else f"it failed as {answer.last.kind}"
        return "it was accepted"

    return judge


def answered(answer: Answer) -> str | None:
    return answer.last.message if isinstance(answer.last, Failed) else None


def either(_answer: Answer) -> str | None:
    """Some builds take it, others do not: what counts is that all else holds."""
    return None


def _late(name: str, answer: Answer, until: float) -> str | None:
    return None if answer.ended.wait(max(0.0, until - time.monotonic())) else f"{name} was not answered in time"


def _unspeakable(last: Output | Failed) -> str | None:
    if isinstance(last, Output):
        return None
    sentence = last.message
    if not 15 < len(sentence) <= MAX_SENTENCE or not sentence.isprintable():
        return f"this is no sentence: {sentence[:80]!r}"
    if last.kind is FailureKind.INTERNAL:
        return f"an error of ours: {sentence}"
    return None


@cache
def _base() -> Path:
    folder = Path(_folder.name)
    checkpoints.write(folder / "checkpoint", checkpoints.config(max_position_embeddings=2048), kind="qwen2")
    convert_checkpoint(folder / "checkpoint", folder / "base.gguf", "f32", logs=folder)
    return folder / "base.gguf"


def _model(template: str, path: Path) -> Path:
    """The tiny model with another template: the header is written anew around it."""
    raw, reader = _base().read_bytes(), GGUFReader(_base())
    info = reader.tensors[-1].field
    header_end = info.offset + sum(part.nbytes for part in info.parts)
    at = raw.index(KEY) + len(KEY) + 4
    old = struct.unpack_from("<Q", raw, at)[0]
    new = template.encode("utf-8", "surrogatepass")
    header = raw[:at] + struct.pack("<Q", len(new)) + new + raw[at + 8 + old : header_end]
    path.unlink(missing_ok=True)  # an engine that ends may still have mapped it
    path.write_bytes(header + bytes(-len(header) % reader.alignment) + raw[reader.data_offset :])
    return path
