"""Engines that are killed, or stand still, in the middle of streams in all dialects; and what is left of a client that
has gone."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.inference.supervisor import Supervisor
from backends.protocol import EngineOptions
from tests.server.conftest import SECONDS, Port, serve, user
from tests.server.test_connections import wait_until
from tests.server.test_disconnect import send_request

LONG = "long 300"
NUM_LARGE = 3
LARGE = {"model": "slow", "prompt": "word " * 50_000}  # more than a pipe takes
ENDLESS = {"max_tokens": 10**6}  # Anthropic's clients must say how much


@dataclass(frozen=True)
class Asked:
    """A stream in one dialect. said: its lines, without comments and pings. code: of an error that ends one."""

    path: str
    body: Callable[[str], dict[str, Any]]
    code: Callable[[Sequence[str]], Any]

    def stream(self, port: Port, question: str) -> Any:
        body = {"model": "slow", "stream": True, "draft": False, "ignore_eos": True, **self.body(question)}
        return port.client.stream("POST", self.path, json=body)


def data(lines: Sequence[str]) -> dict[str, Any]:
    """Of the last event."""
    told: dict[str, Any] = json.loads(lines[-1].removeprefix("data: "))
    return told


def messages(question: str) -> dict[str, Any]:
    return {"messages": user(question)}


def prompt(question: str) -> dict[str, Any]:
    return {"prompt": f"user: {question}\n"}


def openai(lines: Sequence[str]) -> Any:
    return data(lines)["error"]["code"]


def anthropic(lines: Sequence[str]) -> Any:
    assert lines[-2] == "event: error"
    assert data(lines)["type"] == "error"
    return data(lines)["error"]["type"]


def responses(lines: Sequence[str]) -> Any:
    assert lines[-2] == "event: response.failed"
    assert data(lines)["response"]["status"] == "failed"
    return data(lines)["response"]["error"]["code"]


def ollama(lines: Sequence[str]) -> Any:
    return json.loads(lines[-1]).keys() == {"error"}


def llama_server(lines: Sequence[str]) -> Any:
    return data(lines)["error"]["code"]


ASKED = {
    "chat": (Asked("/v1/chat/completions", messages, openai), "engine_died"),
    "completions": (Asked("/v1/completions", prompt, openai), "engine_died"),
    "responses": (Asked("/v1/responses", lambda said: {"input": said}, responses), "server_error"),
    "anthropic": (Asked("/v1/messages", lambda said: messages(said) | ENDLESS, anthropic), "overloaded_error"),
    "ollama chat": (Asked("/api/chat", messages, ollama), True),
    "ollama generate": (Asked("/api/generate", prompt, ollama), True),
    "llama-server": (Asked("/completion", prompt, llama_server), 503),
}


@contextmanager
def opened(logs: Path) -> Iterator[Port]:
    """With room for all streams, to no end."""
    supervisor = Supervisor(logs)
    room = EngineOptions(parallel=2 * len(ASKED), context=1 << 20)
    supervisor.load("slow", Path("20ms"), room, backend="fake")
    supervisor.load("quick", Path("quick"), EngineOptions(), backend="fake")
    with serve(supervisor) as port:
        for engine in supervisor.engines():
            engine.wait_ready(SECONDS)
        yield port


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    with opened(tmp_path_factory.mktemp("logs")) as port:
        yield port


class Streams:
    """One in each dialect, all of them begun."""

    def __init__(self, port: Port, stack: ExitStack):
        self.lines: dict[str, Iterator[str]] = {}
        for name, (asked, _) in ASKED.items():
            response: httpx.Response = stack.enter_context(asked.stream(port, LONG))
            self.lines[name] = lines = response.iter_lines()
            assert any(is_text(line) for line in lines), name

    def codes(self) -> dict[str, Any]:
        """How each has ended."""
        return {name: ASKED[name][0].code([line for line in self.lines[name] if line]) for name in ASKED}


def pid_of(port: Port) -> int:
    pid = port.supervisor.get("slow").pid
    assert pid
    return pid


def is_text(line: str) -> bool:
    return any(mark in line for mark in ('"content":"', '"text":"', '"delta":"', '"response":"'))


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals there")
def test_an_engine_that_dies_or_stands_still_ends_each_stream_with_its_dialects_error(tmp_path: Path) -> None:
    with opened(tmp_path) as port:
        for number in (signal.SIGKILL, signal.SIGSTOP):
            with ExitStack() as stack:
                streams = Streams(port, stack)
                os.kill(pid_of(port), number)
                for _ in range(NUM_LARGE):  # its pipe is full
                    stack.enter_context(send_request(port, "/v1/completions", **LARGE))
                assert port.client.get("/health").status_code == 200
                assert port.chat("Hi", model="quick").status_code == 200, "the other engine answers"
                if number == signal.SIGSTOP:
                    wait_until(lambda: port.server.num_requests == len(ASKED) + NUM_LARGE)
                    port.supervisor.restart("slow")  # as the watchdog does, or the person
                assert streams.codes() == {name: code for name, (_, code) in ASKED.items()}
        with ExitStack() as stack:
            Streams(port, stack)
            engine = pid_of(port)  # it has begun anew
            os.kill(engine, signal.SIGSTOP)
        wait_until(lambda: port.server.num_requests == 0)  # who leaves is not held up
        os.kill(engine, signal.SIGCONT)
        port.watch.until_running("slow", 0)


@pytest.mark.parametrize("name", ASKED)
def test_whoever_leaves_a_stream_leaves_nothing_that_is_computed(port: Port, name: str) -> None:
    asked, _ = ASKED[name]
    with asked.stream(port, LONG) as response:
        lines = response.iter_lines()
        assert any(is_text(line) for line in lines)
        port.watch.until_running("slow", 1)
    port.watch.until_running("slow", 0)
    wait_until(lambda: port.server.num_requests == 0)
