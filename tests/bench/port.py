"""What the port adds to a token's way, what it takes of the processor, and what ten thousand requests leave behind.

The application's process with a real engine child of the fake backend, which says a token a step; the clients are in a
process of their own. A token's way begins where the engine's handle has it, on its reader thread, and ends where a
client's recv() returns with it: both read the same clock. Processor time is that of the whole application, and the
same answers are asked without the port beside it.

    .venv/bin/python -m tests.bench.port [--pace 100] [--seconds 10] [--requests 10000] [--busy] [--dry]
"""

import argparse
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from app.inference.engine_handle import EngineHandle
from app.inference.supervisor import Supervisor
from app.server import Server
from backends.protocol import EngineOptions, Generate, Message, Output
from tests.bench.memory import give_back
from tests.bench.port_floor import written
from tests.server.conftest import SECONDS, Directory, user
from tests.server.crowd import Holdings

RESULTS = Path(__file__).parent / "results"
PATHS = ("/v1/chat/completions", "/v1/messages", "/api/chat")
NUM_STREAMS, NUM_FIRSTS, NUM_CLIENTS, NUM_SAMPLES = 8, 50, 8, 10
CONTENT, EMPTY = b'"content":"', b'"content":""'
QUESTION = "long 1000"
ADDED_MS, SHARE, FIRST_MS, GROWTH_MIB = 0.3, 25.0, 5.0, 1.0  # what is to be reached
RATE = 800  # tokens a second, of all streams
Stamps = list[float]
BUSY = " Other programs ran meanwhile, so the milliseconds are upper bounds."


class Stamped:
    """An engine's handle that notes when each token has come, on the clock that all processes share."""

    def __init__(self, handle: EngineHandle, streams: list[Stamps]):
        self._handle = handle
        self._streams = streams

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handle, name)

    def submit(self, request: Generate, sink: Callable[[Any], None]) -> int:
        stamps: Stamps = []
        self._streams.append(stamps)

        def hear(event: Any) -> None:
            if isinstance(event, Output) and event.text:
                stamps.append(time.monotonic())
            sink(event)

        return self._handle.submit(request, hear)


class StampedDirectory(Directory):
    def __init__(self, supervisor: Supervisor):
        super().__init__(supervisor)
        self.streams: list[Stamps] = []

    def engine(self, name: str | None) -> Any:
        return Stamped(super().engine(name), self.streams)


@dataclass(frozen=True)
class Port:
    """One of a fake engine, and who asks it."""

    directory: StampedDirectory
    handle: EngineHandle
    clients: Connection

    def ask(self, order: str, *details: Any) -> Any:
        """Of the clients' process; its answer."""
        self.directory.streams.clear()
        self.clients.send((order, details))
        return self.clients.recv()


@contextmanager
def opened(file: str) -> Iterator[Port]:
    with tempfile.TemporaryDirectory() as logs:
        supervisor = Supervisor(Path(logs))
        options = EngineOptions(parallel=NUM_STREAMS, context=1 << 18, prompt_cache_ram=0)
        handle = supervisor.load("fake", Path(file), options, backend="fake")
        directory = StampedDirectory(supervisor)
        server = Server(directory)
        server.start(port=0)
        number = int((server.address or "").rpartition(":")[2])
        try:
            with clients(("127.0.0.1", number)) as ours:
                handle.wait_ready(SECONDS)
                yield Port(directory, handle, ours)
        finally:
            server.stop()
            supervisor.close()


@contextmanager
def clients(address: tuple[str, int]) -> Iterator[Connection]:
    """In a process of their own; the way to give them orders."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=be_clients, args=(theirs, address), daemon=True)
    child.start()
    try:
        yield ours
    finally:
        ours.send(("leave", ()))
        child.join(SECONDS)


# --- the clients' process


def be_clients(orders: Connection, address: tuple[str, int]) -> None:
    done = {"streams": read_streams, "short": ask_shortly}
    while True:
        order, details = orders.recv()
        if order == "leave":
            return
        orders.send(done[order](address, *details))


def read_streams(address: tuple[str, int], num_streams: int, num_tokens: int) -> list[Stamps]:
    """When each token of each stream has come."""
    with ThreadPoolExecutor(num_streams) as pool:
        return list(pool.map(lambda _: _read(address, num_tokens), range(num_streams)))


def ask_shortly(address: tuple[str, int], num_requests: int) -> int:
    """In three dialects, streamed and whole, on new connections and on kept ones. How many were answered."""
    numbers, lock = count(), threading.Lock()

    def one_after_the_other() -> int:
        num_answered, kept = 0, socket.create_connection(address)
        while True:
            with lock:
                number = next(numbers)
            if number >= num_requests:
                kept.close()
                return num_answered
            connection = socket.create_connection(address) if number % 2 else kept
            connection.sendall(_request(PATHS[number % 3], 4, streams=number % 4 < 2))
            num_answered += _is_answered(connection)
            if connection is not kept:
                connection.close()

    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        return sum(pool.map(lambda _: one_after_the_other(), range(NUM_CLIENTS)))


def _read(address: tuple[str, int], num_tokens: int) -> Stamps:
    stamps: Stamps = []
    with socket.create_connection(address) as connection:
        connection.sendall(_request(PATHS[0], num_tokens, streams=True))
        while data := connection.recv(65536):
            now = time.monotonic()
            stamps += [now] * (data.count(CONTENT) - data.count(EMPTY))
            if b"[DONE]" in data:
                return stamps
    raise EOFError(f"a stream broke off after {len(stamps)} tokens")


def _request(path: str, num_tokens: int, *, streams: bool) -> bytes:
    told = {"max_tokens": num_tokens, "options": {"num_predict": num_tokens}}
    length = "options" if path.startswith("/api") else "max_tokens"
    body = {"model": "fake", "messages": user(QUESTION), "stream": streams, length: told[length]}
    if path == PATHS[0]:
        body["draft"] = False
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def _is_answered(connection: socket.socket) -> bool:
    """One whole answer, which stays on its connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    is_chunked = b"chunked" in head.lower()
    length = 0 if is_chunked else int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while not body.endswith(b"0\r\n\r\n") if is_chunked else len(body) < length:
        more = connection.recv(65536)
        if not more:
            return False
        body += more
    return head.startswith(b"HTTP/1.1 200") and b"error" not in body


# --- figures


@dataclass(frozen=True)
class Ways:
    """Milliseconds from the engine's handle to a client, of tokens or of first tokens."""

    num: int
    p50: float
    p90: float
    p99: float

    @classmethod
    def between(cls, begins: Stamps, ends: Stamps) -> "Ways":
        assert len(begins) == len(ends), f"{len(begins)} tokens, {len(ends)} of which came"
        taken = 1000 * (np.array(ends) - np.array(begins))
        return cls(len(taken), *(float(np.percentile(taken, q)) for q in (50, 90, 99)))


@dataclass(frozen=True)
class Cost:
    """Microseconds of processor time for each token: of the application with the port, of its port's thread alone, and
    of the application without a port. per_second: tokens that there were."""

    whole: float
    thread: float
    without: float
    per_second: float

    @property
    def share(self) -> float:
        """Per cent of a core that the port takes at the rate that is looked at."""
        return (self.whole - self.without) * RATE / 1e4

    @property
    def whole_share(self) -> float:
        return self.whole * RATE / 1e4


@dataclass(frozen=True)
class Figures:
    way: Ways
    floors: tuple[Ways, Ways]  # of a piece that a thread writes to the socket itself, and by asyncio's loop
    first: Ways
    cost: Cost
    num_answered: int
    application: list[Holdings]
    engine: list[Holdings]
    blocks: list[int]  # of memory that Python's objects have, in the application


def measure(pace: float, seconds: float, num_requests: int) -> Figures:
    num_tokens = int(pace * seconds)
    with opened(f"{round(1000 / pace)}ms") as port:
        (arrived,) = port.ask("streams", 1, num_tokens)
        way = Ways.between(port.directory.streams[0], arrived)
        firsts = [_first(port) for _ in range(NUM_FIRSTS)]
        first = Ways.between(*map(list, zip(*firsts, strict=True)))
        cost = _cost(port, num_tokens)
    floors = _floor(num_tokens, pace, by_loop=False), _floor(num_tokens, pace, by_loop=True)
    with opened("quick") as port:
        application, engine, blocks, num_answered = [], [], [], 0
        for _ in range(NUM_SAMPLES):
            num_answered += port.ask("short", num_requests // NUM_SAMPLES)
            time.sleep(0.5)  # the last connections are given up
            give_back()
            application.append(Holdings.of(psutil.Process()))
            engine.append(Holdings.of(psutil.Process(port.handle.pid)))
            blocks.append(sys.getallocatedblocks())
    return Figures(way, floors, first, cost, num_answered, application, engine, blocks)


def _floor(num_tokens: int, pace: float, *, by_loop: bool) -> Ways:
    with written(num_tokens, 1 / pace, by_loop) as (address, begins), clients(address) as ours:
        ours.send(("streams", (1, num_tokens)))
        (arrived,) = ours.recv()
    return Ways.between(begins, arrived)


def _first(port: Port) -> tuple[float, float]:
    (arrived,) = port.ask("streams", 1, 2)
    return port.directory.streams[0][0], arrived[0]


def _cost(port: Port, num_tokens: int) -> Cost:
    thread = next(each for each in threading.enumerate() if each.name == "port")
    clock = time.pthread_getcpuclockid(thread.ident or 0)
    begun, whole, own = time.monotonic(), time.process_time(), time.clock_gettime(clock)
    port.ask("streams", NUM_STREAMS, num_tokens)
    whole, own = time.process_time() - whole, time.clock_gettime(clock) - own
    seconds, num = time.monotonic() - begun, NUM_STREAMS * num_tokens
    without = -time.process_time()
    _ask_directly(port.handle, num_tokens)
    without += time.process_time()
    return Cost(*(1e6 * each / num for each in (whole, own, without)), num / seconds)


def _ask_directly(handle: EngineHandle, num_tokens: int) -> None:
    ends = [threading.Event() for _ in range(NUM_STREAMS)]

    def hear(end: threading.Event, event: Any) -> None:
        if not isinstance(event, Output) or event.finish:
            end.set()

    for end in ends:
        wanted = Generate((Message("user", QUESTION),), max_tokens=num_tokens, draft=False)
        handle.submit(wanted, partial(hear, end))
    for end in ends:
        end.wait()


# --- the page


def page(figures: Figures, arguments: argparse.Namespace) -> str:
    cost = figures.cost
    head = f"""# The port

    .venv/bin/python -m tests.bench.port{_given(arguments)}

Python {sys.version.split()[0]}, {os.cpu_count()} cores, {date.today()}. The fake engine in a child says a token a step,
{arguments.pace:g} steps a second; the clients are a process of their own.{BUSY if arguments.busy else ""}

| | to reach | found | |
|---|---|---|---|
"""
    held = ", ".join(f"{each.rss / 2**20:.1f}" for each in figures.application)
    tail = f"""
Processor time a token: {cost.whole:.0f} µs of the application, {cost.thread:.0f} of them on the port's thread;
{cost.without:.0f} µs where the same {NUM_STREAMS} answers are asked without the port. {cost.per_second:.0f} tokens/s
came in that run. After each {arguments.requests // NUM_SAMPLES:,} requests the application held {held} MiB; Python
takes memory from the system 1 MiB at a time.
"""
    return head + "".join(f"| {row} |\n" for row in _rows(figures)) + tail


def _rows(figures: Figures) -> Iterator[str]:
    way, first, cost = figures.way, figures.first, figures.cost
    yield _row("a token's way from the engine's handle to a client, 1 stream, p50", f"{ADDED_MS} ms", way.p50, ADDED_MS)
    yield f"the same, p90 and p99 of {way.num} tokens | | {way.p90:.2f}, {way.p99:.2f} ms | "
    for what, floor in zip(("itself", "by asyncio's loop"), figures.floors, strict=True):
        yield f"without a port, a thread that writes to the socket {what}, p50 | | {floor.p50:.2f} ms | "
    what = f"first byte of an answer after the engine's first token, p50 of {first.num}"
    yield _row(what, f"{FIRST_MS:g} ms", first.p50, FIRST_MS)
    yield f"the same, p90 and p99 | | {first.p90:.2f}, {first.p99:.2f} ms | "
    what = f"the port's share of a core at {RATE} tokens/s over {NUM_STREAMS} streams"
    yield _row(what, f"{SHARE:g} %", cost.share, SHARE)
    yield f"the whole application's, the pipe from the engine included | | {cost.whole_share:.1f} % | "
    application, engine = Growth.of(figures.application), Growth.of(figures.engine)
    what = f"{figures.num_answered:,} short requests: the application's memory, trimmed"
    yield _row(what, f"+{GROWTH_MIB:g} MiB", application.mib, GROWTH_MIB)
    _, before, *_, after = figures.blocks
    yield f"the same: blocks of memory that Python's objects have, of {before:,} | | {after - before:+,} | "
    is_same = application.threads == application.files == 0
    yield f"the same: its threads, its files | +0, +0 | {application.counts} | {_verdict(is_same)}"
    yield f"the same: the engine's memory, threads, files | | {engine.mib:+.2f} MiB, {engine.counts} | "


@dataclass(frozen=True)
class Growth:
    mib: float
    threads: int
    files: int

    @classmethod
    def of(cls, samples: Sequence[Holdings]) -> "Growth":
        """From the second to the last: the first tenth warms up."""
        _, before, *_, after = samples
        more = after.rss - before.rss
        return cls(more / 2**20, after.num_threads - before.num_threads, after.num_files - before.num_files)

    @property
    def counts(self) -> str:
        return f"{self.threads:+d}, {self.files:+d}"


def _row(what: str, wanted: str, found: float, most: float) -> str:
    unit = wanted.rpartition(" ")[2]
    return f"{what} | {wanted} | {found:.2f} {unit} | {_verdict(found <= most)}"


def _given(arguments: argparse.Namespace) -> str:
    usual = parser()
    told = [
        f" --{name} {value:g}"
        for name in ("pace", "seconds", "requests")
        if (value := getattr(arguments, name)) != usual.get_default(name)
    ]
    return "".join(told) + (" --busy" if arguments.busy else "")


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "missed"


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--pace", type=float, default=100.0, help="steps a second")
    result.add_argument("--seconds", type=float, default=10.0)
    result.add_argument("--requests", type=int, default=10_000)
    result.add_argument("--busy", action="store_true", help="the page says that other programs ran meanwhile")
    result.add_argument("--dry", action="store_true", help="keep no results")
    return result


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parser().parse_args(argv)
    figures = measure(arguments.pace, arguments.seconds, arguments.requests)
    told = page(figures, arguments)
    print(told)
    if not arguments.dry:
        (RESULTS / "port.md").write_text(told, "utf-8")
        (RESULTS / "port.json").write_text(json.dumps({**asdict(figures), "on": str(date.today())}) + "\n", "utf-8")


if __name__ == "__main__":
    main()
