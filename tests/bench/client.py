"""Streams completions from any OpenAI-compatible port and notes when each event came. One thread, raw sockets."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TIMEOUT = 900.0


@dataclass(slots=True)
class Reply:
    """Times in seconds of time.perf_counter()."""

    sent: float
    arrivals: list[float] = field(default_factory=list)  # of events that carry a choice
    ended: float = 0.0
    text: str = ""
    num_tokens: int = 0
    timings: dict[str, Any] = field(default_factory=dict)  # the server's own account
    problem: str = ""

    @property
    def first_token_seconds(self) -> float:
        return self.arrivals[0] - self.sent

    @property
    def tokens_per_second(self) -> float:
        """The first token belongs to the prompt."""
        return (self.num_tokens - 1) / (self.arrivals[-1] - self.arrivals[0])

    @property
    def intervals(self) -> list[float]:
        return [b - a for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)]


def ask(port: int, *bodies: dict[str, Any], path: str = "/v1/completions") -> list[Reply]:
    """All at once; the replies in order. Raises RuntimeError when one failed."""

    async def all_of_them() -> list[Reply]:
        return list(await asyncio.gather(*(stream(port, body, path) for body in bodies)))

    replies = asyncio.run(asyncio.wait_for(all_of_them(), TIMEOUT))
    for reply in replies:
        if reply.problem or not reply.arrivals:
            raise RuntimeError(reply.problem or "no answer")
    return replies


def completion(prompt: str | Sequence[int], max_tokens: int, **fields: Any) -> dict[str, Any]:
    """A greedy completion that does not end before max_tokens."""
    return {
        "prompt": prompt if isinstance(prompt, str) else list(prompt),
        "max_tokens": max_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        **fields,
    }


async def stream(port: int, body: dict[str, Any], path: str) -> Reply:
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    )
    reply = Reply(time.perf_counter())
    writer.write(head.encode() + data)
    lines: list[tuple[float, bytes]] = []
    status = b""
    try:
        while line := await reader.readline():
            status = status or line
            if line.startswith((b"data: ", b"{")):
                lines.append((time.perf_counter(), line))
    finally:
        writer.close()
    reply.ended = time.perf_counter()
    if b" 200 " not in status:
        reply.problem = (status + b"".join(line for _, line in lines)).decode("utf-8", "replace")
        return reply
    _read(reply, lines)
    return reply


def _read(reply: Reply, lines: list[tuple[float, bytes]]) -> None:
    """What the events said; parsed at the end, so that it costs nothing while they come."""
    for moment, line in lines:
        text = line.removeprefix(b"data: ").strip()
        if text == b"[DONE]":
            continue
        event = json.loads(text)
        if "error" in event:
            reply.problem = json.dumps(event["error"])
        reply.timings = event.get("timings") or reply.timings
        if usage := event.get("usage"):
            reply.num_tokens = usage["completion_tokens"]
        for choice in event.get("choices", []):
            said = choice.get("text") or (choice.get("delta") or {}).get("content") or ""
            if said or choice.get("finish_reason") is None:
                reply.arrivals.append(moment)
            reply.text += said
