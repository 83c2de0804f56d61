"""What the port adds to a token's way, in processor time: an engine in this process says tokens at a steady pace, and
clients in another read them as streams. Not counted: the engine, the pipe and the clients.

python -m tests.bench.port [--streams 8] [--pace 100] [--seconds 5]
"""

import argparse
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from app.server import Server
from backends.protocol import Finish, Generate, Output, Ready, Timings

WORDS = [" the", " quick", " engine", ",\n", " “said”", ' "it"', " 日本", " and"]
NAME = "publisher/model:Q4_K_M"
BODY = b'{"messages":[{"role":"user","content":"Hi"}],"stream":true,"max_tokens":1000000}'


READY = Ready(NAME, "llama", 1, 1, 4096, 4096, 8, 1, 0, "CPU", 2, "f16", "f16", "off", "off", "b1", 0.1, True)


class Engine:
    """As the port sees an engine's handle."""

    name = NAME

    def __init__(self) -> None:
        self.sinks: dict[int, Callable[[Any], None]] = {}
        self.snapshot = SimpleNamespace(ready=None, state=None)

    def wait_ready(self, timeout: float | None = None) -> Ready:  # noqa: ARG002
        return READY

    def check(self, request: Generate) -> None: ...

    def submit(self, request: Generate, sink: Callable[[Any], None]) -> int:  # noqa: ARG002
        uid = len(self.sinks) + 1
        self.sinks[uid] = sink
        return uid

    def abort(self, uid: int) -> None: ...

    def pause(self, uid: int) -> None: ...

    def resume(self, uid: int) -> None: ...


class Directory:
    keeper = None

    def __init__(self, engine: Engine):
        self._engine = engine

    def names(self) -> list[str]:
        return [NAME]

    def facts(self) -> dict[str, Any]:
        return {}

    def engine(self, name: str | None) -> Any:  # noqa: ARG002
        return self._engine

    def engines(self) -> list[Any]:
        return []

    def answering(self, name: str) -> str | None:
        return name

    def loading(self) -> float | None:
        return None


def read(address: tuple[str, int], num_streams: int) -> None:
    """In a process of its own, to the end of all streams."""

    def one() -> None:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(BODY)}\r\n\r\n"
        )
        with socket.create_connection(address) as connection, suppress(OSError):
            connection.sendall(head.encode() + BODY)
            while (data := connection.recv(65536)) and b"[DONE]" not in data:
                pass

    threads = [threading.Thread(target=one) for _ in range(num_streams)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@dataclass(frozen=True)
class Cost:
    """Micro-seconds of processor time for one step: on the port's thread, and on the engine's reader thread."""

    port: float
    reader: float


def measure(num_streams: int, pace: float, seconds: float) -> Cost:
    engine = Engine()
    server = Server(Directory(engine))
    server.start(port=0)
    port = int((server.address or "").rpartition(":")[2])
    client = multiprocessing.get_context("spawn").Process(target=read, args=(("127.0.0.1", port), num_streams))
    client.start()
    while len(engine.sinks) < num_streams:
        time.sleep(0.01)
    time.sleep(0.2)
    thread = next(each for each in threading.enumerate() if each.name == "port")
    clock = time.pthread_getcpuclockid(thread.ident or 0)
    sinks = dict(engine.sinks)
    num_steps = int(seconds * pace)
    begun, reader = time.clock_gettime(clock), 0.0
    for number in range(num_steps):
        timings = Timings() if number == 0 else None
        outputs = [Output(uid, WORDS[(number + uid) % len(WORDS)], 1, None, timings) for uid in sinks]
        now = time.thread_time()
        for output in outputs:
            sinks[output.uid](output)
        reader += time.thread_time() - now
        time.sleep(1 / pace)
    spent = time.clock_gettime(clock) - begun
    for uid, sink in sinks.items():
        sink(Output(uid, "", 0, Finish.STOP, Timings()))
    client.join(10)
    server.stop()
    return Cost(1e6 * spent / num_steps, 1e6 * reader / num_steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--pace", type=float, default=100.0, help="steps a second")
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    cost = measure(arguments.streams, arguments.pace, arguments.seconds)
    share = (cost.port + cost.reader) * arguments.pace / 1e4
    threads = f"{cost.port:.0f} µs of the port's thread and {cost.reader:.0f} µs of the reader's"
    print(f"{arguments.streams} streams: {threads} a step")
    print(f"{share:.1f} % of a core at {arguments.pace * arguments.streams:.0f} tokens/s")


if __name__ == "__main__":
    main()
