"""The window beside greedy programs, streams that nobody reads, and connections that say nothing."""

import json
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from app.inference.engine_handle import EngineHandle
from backends.fake.loader import LOREM
from backends.protocol import EngineOptions, Failed, Generate, KVLayout, Message, Output, Priority
from tests.bench.attacks._port import SECONDS, Target, open_port
from tests.bench.attacks.case import Case

STEP = "1ms"  # of the fake engine: an endless answer is not over before the test is
WINDOW_SECONDS = 2.0  # to the first word, on a machine that does other things as well
PROGRAM_SECONDS = 60.0  # behind others, each of which has its turn
MEGABYTE = 2**20
MAX_GROWTH = 64 * MEGABYTE
ENDLESS = {"max_tokens": 2**31 - 1, "ignore_eos": True, "context_overflow": "roll", "draft": False, "stream": True}
GREEDY: dict[str, list[dict[str, Any]]] = {
    "four endless answers": [{"n": 4, **ENDLESS}],
    "eight endless answers": [{"n": 8, **ENDLESS}],
    "sixteen endless streams": [ENDLESS] * 16,
    "endless answers that are no streams": [{"n": 4, **ENDLESS, "stream": False}] * 2,
    "endless answers that end at the context": [{"n": 8, **ENDLESS, "context_overflow": "error"}] * 4,
    "endless answers with logprobs": [{"n": 4, **ENDLESS, "logprobs": True, "top_logprobs": 20}],
    "endless answers with drafts": [{"n": 4, **ENDLESS, "draft": True}],
}
FLOODS = {"a request of 64 prompts": (1, 64), "a request of 128 prompts": (1, 128), "64 requests of one": (64, 1)}
SILENT = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
held = []
for _ in range(int(sys.argv[2])):
    held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20))
    held[-1].sendall(sys.argv[3].encode())
print("ready", flush=True)
sys.stdin.read()
"""


def cases() -> Iterator[Case]:
    for layout in (KVLayout.UNIFIED, KVLayout.STREAMS):
        with open_port(file=STEP, kv_layout=layout) as target:
            for name, bodies in GREEDY.items():
                is_read = "no streams" not in name
                yield Case(f"the window beside {name}, {layout}", partial(window_first, target, bodies, is_read))
                yield Case(f"a program beside {name}, {layout}", partial(programs_too, target, bodies, is_read))
                if is_read:
                    yield Case(f"{name} that nobody reads, {layout}", partial(unread, target, bodies))
            for name, (requests, prompts) in FLOODS.items():
                yield Case(f"the window beside {name}, {layout}", partial(flood, target, requests, prompts, True))
                yield Case(f"a program beside {name}, {layout}", partial(flood, target, requests, prompts, False))
            yield Case(f"who gave way says the same, {layout}", partial(same_text, target))
            yield Case(f"read after a pause, {layout}", partial(read_later, target))
    with open_port() as target:
        for number in (50, 300, 1100):
            for sent in ("", "GET /hea", target.head(1000).decode() + "\r\n{"):
                yield Case(f"{number} connections that say {sent[:4]!r}", partial(silent, target, number, sent))
    yield Case("1,100 silent ones at a port with 1,024 files", few_files)


def window_first(target: Target, bodies: Sequence[dict[str, Any]], is_read: bool) -> str | None:
    with busy(target, bodies, is_read):
        for _ in range(3):
            if fault := ask_as_window(target):
                return fault
    return quiet_again(target)


def programs_too(target: Target, bodies: Sequence[dict[str, Any]], is_read: bool) -> str | None:
    with busy(target, bodies, is_read):
        if fault := target.fault(PROGRAM_SECONDS):
            return fault
    return quiet_again(target)


def unread(target: Target, bodies: Sequence[dict[str, Any]]) -> str | None:
    before = memory(target)
    with busy(target, bodies, is_read=False):
        if not eventually(lambda: is_still(target), PROGRAM_SECONDS):
            return f"{running(target)} answers are computed that nobody reads"
        num_tokens = stats(target).num_tokens
        if fault := ask_as_window(target) or target.fault():
            return fault
        if target.server.num_requests != len(bodies):
            return f"{target.server.num_requests} requests are left of {len(bodies)}"
        if stats(target).num_tokens - num_tokens > 2000:
            return "unread answers were computed meanwhile"
        grown = [now - then for now, then in zip(memory(target), before, strict=True)]
        if max(grown) > MAX_GROWTH:
            return f"application and engine grew by {[size >> 20 for size in grown]} MB"
    return quiet_again(target)


def flood(target: Target, num_requests: int, num_prompts: int, is_window: bool) -> str | None:
    body = {"prompt": [f"long 2 number {n}" for n in range(num_prompts)], "max_tokens": 200, "draft": False}
    with ExitStack() as stack:
        for _ in range(num_requests):
            connection = stack.enter_context(target.connect())
            connection.sendall(target.post(json.dumps(body).encode(), "/v1/completions"))
        if not eventually(lambda: running(target) > 0):
            return "the flood never came"
        if fault := ask_as_window(target) if is_window else target.fault():
            return fault
        if num_prompts > 1 and select.select([connection], [], [], 0)[0]:
            return "the others were answered after the flood"
    return quiet_again(target)


def same_text(target: Target) -> str | None:
    """Four programs, of which one gives way again and again."""
    expected = LOREM * 4
    texts: list[str] = []

    def read() -> None:
        body = {"messages": [{"role": "user", "content": "long 4"}], "draft": False}
        (answer,) = target.talk(target.post(json.dumps(body).encode()))
        texts.append(json.loads(answer.body)["choices"][0]["message"]["content"])

    readers = [threading.Thread(target=read) for _ in range(6)]
    for reader in readers:
        reader.start()
    faults = [ask_as_window(target) for _ in range(5)]
    for reader in readers:
        reader.join()
    wrong = [text for text in texts if text != expected]
    return next(filter(None, faults), None) or (f"{len(wrong)} texts have changed" if wrong else quiet_again(target))


def read_later(target: Target) -> str | None:
    body = {"messages": [{"role": "user", "content": "long 30"}], "draft": False, "stream": True}
    with target.connect(receive_buffer=8192) as connection:
        connection.sendall(target.post(json.dumps(body).encode()))
        if not eventually(lambda: running(target) > 0) or not eventually(lambda: running(target) == 0):
            return "it was never paused"
        data = b""
        while b"[DONE]" not in data[-200:]:
            data += connection.recv(65536)
    lines = [line.removeprefix(b"data: ") for line in data.split(b"\n") if line.startswith(b"data: {")]
    deltas = [choice["delta"].get("content", "") for line in lines for choice in json.loads(line)["choices"]]
    return None if "".join(deltas) == LOREM * 30 else "words were lost in a pause"


def silent(target: Target, number: int, sent: str) -> str | None:
    with silent_clients(target.port, number, sent):
        begin = time.monotonic()
        if fault := target.fault():
            return fault
        if time.monotonic() - begin > 5:
            return f"a question waited {time.monotonic() - begin:.1f} s"
        if fault := loads(target):
            return fault
    return target.fault()


def few_files() -> str | None:
    """The port, its engine and a new engine in a process that may open 1,024 files."""
    command = [sys.executable, "-m", "tests.bench.attacks.fairness"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return None if result.returncode == 0 else (result.stdout + result.stderr)[-300:]


def main() -> int:
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with open_port() as target:
        fault = silent(target, 1100, "")
    print(fault or "held")
    return 1 if fault else 0


def loads(target: Target) -> str | None:
    """A second engine comes up, whatever connections there are."""
    handle = target.supervisor.load("second", Path("quick"), EngineOptions(), backend="fake")
    try:
        handle.wait_ready(SECONDS)
    finally:
        target.supervisor.unload("second")
    return None


@contextmanager
def silent_clients(port: int, number: int, sent: str) -> Iterator[None]:
    command = [sys.executable, "-c", SILENT, str(port), str(number), sent]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it is ready; or it has been refused a connection, which is well as well
        try:
            yield
        finally:
            child.kill()


@contextmanager
def busy(target: Target, bodies: Sequence[dict[str, Any]], is_read: bool) -> Iterator[None]:
    """These requests are being answered; their clients read, or do not."""
    connections, num_tokens = [target.connect(receive_buffer=8192) for _ in bodies], stats(target).num_tokens
    ended = threading.Event()
    reader = threading.Thread(target=drain, args=(connections, ended))
    try:
        for connection, body in zip(connections, bodies, strict=True):
            question = {"messages": [{"role": "user", "content": "long 300"}], **body}
            connection.sendall(target.post(json.dumps(question).encode()))
        if is_read:
            reader.start()
        assert eventually(lambda: running(target) > 0 or stats(target).num_tokens > num_tokens), "nothing runs"
        yield
    finally:
        ended.set()
        if is_read:
            reader.join()
        for connection in connections:
            connection.close()


def drain(connections: Sequence[socket.socket], ended: threading.Event) -> None:
    while not ended.is_set():
        for connection in select.select(connections, [], [], 0.1)[0]:
            with suppress(OSError):
                connection.recv(1 << 20)


def ask_as_window(target: Target) -> str | None:
    """The first word comes soon, and the whole answer is right."""
    handle, question = engine(target), f"Hello at {time.monotonic_ns()}"
    first, last, said = threading.Event(), threading.Event(), list[Output | Failed]()

    def hear(event: Output | Failed) -> None:
        said.append(event)
        first.set()
        if isinstance(event, Failed) or event.finish:
            last.set()

    handle.submit(Generate((Message("user", question),), priority=Priority.WINDOW), hear)
    if not first.wait(WINDOW_SECONDS):
        return f"no word after {WINDOW_SECONDS} s"
    if not last.wait(SECONDS):
        return "the answer at the window has no end"
    text = "".join(event.text for event in said if isinstance(event, Output))
    return None if text == f"You said “{question}”. — {LOREM}" else f"the window was told {text!r}"


def quiet_again(target: Target) -> str | None:
    is_quiet = eventually(lambda: running(target) == 0 and stats(target).num_waiting == 0)
    return target.fault() if is_quiet else f"afterwards {stats(target)}"


def engine(target: Target) -> EngineHandle:
    return target.supervisor.get("guide")


def stats(target: Target) -> Any:
    found = engine(target).snapshot.stats
    assert found is not None
    return found


def running(target: Target) -> int:
    return int(stats(target).num_running)


def memory(target: Target) -> list[int]:
    return [psutil.Process(pid).memory_info().rss for pid in (None, engine(target).pid)]


def is_still(target: Target) -> bool:
    """Nothing is computed, seen over more than the time between two words from the engine."""
    before = stats(target).num_tokens
    if running(target):
        return False
    time.sleep(1.2)
    return running(target) == 0 and stats(target).num_tokens == before


def eventually(is_so: Callable[[], bool], seconds: float = SECONDS) -> bool:
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


if __name__ == "__main__":
    sys.exit(main())
