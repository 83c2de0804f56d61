"""Programs that keep the processor busy, and answers that are listened to for some seconds, however slow they are."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.client import completion

FIRST_TOKEN_SECONDS = 300.0  # that a server may take on a busy machine
LEAST_TOKENS, LONGEST = 4, 60.0  # a figure waits for so many, but not for longer
START_SECONDS = 0.5  # until the neighbours run


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that do nothing but spin."""
    spinning = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(START_SECONDS)
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def tokens_per_second(port: int, prompts: list[list[int]], max_tokens: int, seconds: float) -> float:
    """Of all answers together, from the moment when each has begun, for so many seconds. Then they are called off."""

    async def speed() -> float:
        arrivals: list[list[float]] = [[] for _ in prompts]
        streams = [
            asyncio.create_task(listen(port, completion(prompt, max_tokens), heard))
            for prompt, heard in zip(prompts, arrivals, strict=True)
        ]
        try:
            await asyncio.wait_for(until_all_have_begun(streams, arrivals), FIRST_TOKEN_SECONDS)
            begin = time.perf_counter()
            await asyncio.sleep(seconds)
            while _count(arrivals, begin) < LEAST_TOKENS and time.perf_counter() - begin < LONGEST:
                await asyncio.sleep(0.05)
            end = time.perf_counter()
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
        if any(stream.done() and not stream.cancelled() for stream in streams):
            raise RuntimeError("an answer ended while it was measured: allow more tokens")
        return max(1, _count(arrivals, begin)) / (end - begin)  # at most so many, where not one has come

    return asyncio.run(speed())


def _count(arrivals: list[list[float]], begin: float) -> int:
    return sum(moment > begin for heard in arrivals for moment in heard)


async def until_all_have_begun(streams: list["asyncio.Task[None]"], arrivals: list[list[float]]) -> None:
    while not all(arrivals):
        for stream in streams:
            if stream.done():
                stream.result()
                raise RuntimeError("an answer ended before all had begun")
        await asyncio.sleep(0.01)


async def listen(port: int, body: dict[str, Any], heard: list[float]) -> None:
    """Notes the moment of each event."""
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    try:
        writer.write(head.encode() + data)
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError((status + await reader.read()).decode("utf-8", "replace"))
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                heard.append(time.perf_counter())
    finally:
        writer.close()
