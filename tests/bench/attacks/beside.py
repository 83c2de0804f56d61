"""One key's stream goes on whatever another key asks for: the longest pause between two of its words is bounded.

`slipstream serve` with the guide, real grammars, real vectors. The bound is that of a quiet machine.
"""

import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from app.paths import Paths
from app.server.keys import Keys
from tests.bench.attacks._machine import forget_models, models
from tests.bench.attacks.case import Case
from tests.e2e.serving import Serving, serving

PAUSE_SECONDS = 1.0
ASK_SECONDS = 120.0
NUM_INPUTS, NUM_READERS, NUM_AT_ONCE = 10_000, 300, 8
LARGE = "word " * 200_000  # a megabyte
ENDLESS = {"ignore_eos": True, "context_overflow": "roll", "max_tokens": 2**31 - 1, "stream": True}
Body = dict[str, Any]
Attack = Callable[["Beside"], str | None]


def cases() -> Iterator[Case]:
    with tempfile.TemporaryDirectory(prefix="slipstream-attack-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        keys = Keys(Paths.below(home).keys_file)
        modest, greedy = keys.add("modest"), keys.add("greedy")
        keys.require(False)  # who starts it looks without one
        with serving(home, models() / "guide.gguf") as app:
            beside = Beside(app, modest, greedy)
            for name, attack in ATTACKS.items():
                seconds: list[float] = []
                yield Case(name, partial(beside.attacked, attack, seconds), seconds)
    forget_models()


class Beside:
    """A port with a stream of one key, and another key that asks for much."""

    def __init__(self, app: Serving, modest: str, greedy: str):
        self.app = app
        self.greedy = {"Authorization": f"Bearer {greedy}"}
        self._modest = {"Authorization": f"Bearer {modest}"}

    def attacked(self, attack: Attack, pauses: list[float]) -> str | None:
        """What did not hold: of the attack's answers, or of the stream beside it. pauses: takes its longest."""
        is_over, moments = threading.Event(), [time.monotonic()]
        reader = threading.Thread(target=self._read, args=(is_over, moments))
        reader.start()
        try:
            while len(moments) < 20 and reader.is_alive():
                time.sleep(0.01)
            if not reader.is_alive():
                return "the stream beside it has ended"
            began = len(moments)
            fault = attack(self)
            moments.append(time.monotonic())
        finally:
            is_over.set()
            reader.join()
        pause = max(later - earlier for earlier, later in zip(moments[began - 1 :], moments[began:], strict=False))
        pauses.append(pause)
        if fault is None and pause > PAUSE_SECONDS:
            fault = f"the stream beside it stood still for {pause:.2f} s"
        return fault

    def ask(self, path: str, body: Body, wanted: set[int]) -> str | None:
        answer = httpx.post(f"{self.app.url}{path}", json=body, headers=self.greedy, timeout=ASK_SECONDS)
        return None if answer.status_code in wanted else f"{path}: {answer.status_code} {answer.text[:200]}"

    def at_once(self, path: str, body: Body, wanted: set[int]) -> str | None:
        """By eight programs of the same key."""
        faults: list[str | None] = []
        asking = [
            threading.Thread(target=lambda: faults.append(self.ask(path, body, wanted))) for _ in range(NUM_AT_ONCE)
        ]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
        return next(filter(None, faults), None)

    def _read(self, is_over: threading.Event, moments: list[float]) -> None:
        body = {"messages": [{"role": "user", "content": "What is Slipstream?"}], **ENDLESS}
        with httpx.stream(
            "POST", f"{self.app.url}/v1/chat/completions", json=body, headers=self._modest, timeout=ASK_SECONDS
        ) as stream:
            for line in stream.iter_lines():
                if '"content":"' in line:
                    moments.append(time.monotonic())
                if is_over.is_set():
                    return


def nothing(_: Beside) -> None:
    """What the stream is like alone."""
    time.sleep(3.0)


def vectors(beside: Beside, path: str) -> str | None:
    """More than any of the APIs takes."""
    return beside.ask(path, {"input": [f"text {n}" for n in range(NUM_INPUTS)], "model": "guide"}, {400})


def vectors_by_the_2048(beside: Beside) -> str | None:
    return beside.at_once("/v1/embeddings", {"input": [f"text {n}" for n in range(2048)]}, {200, 429, 503})


def large_tools(beside: Beside) -> str | None:
    tool = {"type": "function", "function": {"name": "f", "description": LARGE, "parameters": {"type": "object"}}}
    return beside.at_once("/v1/chat/completions", {**_chat("Hi"), "tools": [tool], "max_tokens": 4}, {200, 400})


def many_tools(beside: Beside) -> str | None:
    schema = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(40)}}
    tools = [{"type": "function", "function": {"name": f"f{n}", "parameters": schema}} for n in range(120)]
    body = {**_chat("Hi"), "tools": tools, "tool_choice": "required", "max_tokens": 4}
    return beside.at_once("/v1/chat/completions", body, {200, 400})


def large_results(beside: Beside) -> str | None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": LARGE},
    ]
    return beside.at_once("/v1/chat/completions", {"messages": turns, "max_tokens": 4}, {400})


def held(beside: Beside, **fields: Any) -> str | None:
    return beside.at_once("/v1/chat/completions", {**_chat("Hi"), "max_tokens": 60, **fields}, {200, 400})


def readers(beside: Beside) -> str | None:
    """Of the native events; some are told that there are too many."""
    with ExitStack() as stack:
        connections = [stack.enter_context(_events(beside)) for _ in range(NUM_READERS)]
        statuses = set()
        for connection in connections:
            with suppress(OSError):
                statuses.add(connection.recv(4096)[9:12])
        time.sleep(3.0)
        return None if statuses <= {b"200", b"503", b""} else f"they were answered with {statuses}"


def _events(beside: Beside) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", beside.app.port), timeout=10.0)
    key = beside.greedy["Authorization"]
    head = f"GET /api/slipstream/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {key}\r\n\r\n"
    with suppress(OSError):
        connection.sendall(head.encode())
    return connection


def _chat(text: str) -> Body:
    return {"messages": [{"role": "user", "content": text}]}


def _schema(schema: Any) -> Body:
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}


def _nested(depth: int) -> str:
    return json.dumps({"type": "object"}) if not depth else f'{{"type":"array","items":{_nested(depth - 1)}}}'


HELD: dict[str, Body] = {
    "a{0,100000} as a pattern": _schema({"type": "string", "pattern": "^a{0,100000}$"}),
    "a{0,100000} as a regex": {"guided_regex": "^a{0,100000}$"},
    "nested repeats": {"guided_regex": "((((a{0,100}){0,100}){0,100}){0,100}){0,100}"},
    "dots that repeat": {"guided_regex": "(.{1,300}b){1,300}"},
    "exponential": {"guided_regex": "(.*a.{14}){9}x"},
    "exponential, ambiguous": {"guided_regex": "(x+x+)+y"},
    "classes that repeat": {"guided_regex": r"(\p{L}{0,500}\p{N}{0,500}){0,500}"},
    "alternatives by the hundred": {"guided_regex": "|".join(f"(.*{chr(97 + n % 26)}.{{{n}}})" for n in range(300))},
    "an enum of thousands": _schema({"enum": [f"v{n}" for n in range(5000)]}),
    "patterns of keys": _schema(
        {"type": "object", "patternProperties": {f"^.*{chr(97 + n)}.{{{n}}}$": {} for n in range(20)}}
    ),
    "lists in lists": _schema(json.loads(_nested(50))),
}
ATTACKS: dict[str, Attack] = {
    "nothing": nothing,
    "10,000 texts for vectors": partial(vectors, path="/v1/embeddings"),
    "10,000 texts for vectors, Ollama": partial(vectors, path="/api/embed"),
    "2,048 texts for vectors, by eight": vectors_by_the_2048,
    "a tool of a megabyte, by eight": large_tools,
    "120 tools, one required, by eight": many_tools,
    "a tool's result of a megabyte, by eight": large_results,
    "300 readers of events": readers,
    **{f"{name}, by eight": partial(held, **fields) for name, fields in HELD.items()},
}
