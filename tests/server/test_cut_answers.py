"""Answers that an engine cannot end as they were asked for, in every dialect: what had been said is handed over with a
reason, or it is said to be lost."""

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.inference.supervisor import Supervisor
from backends.fake.loader import answer_to
from backends.protocol import DraftMode, EngineOptions, Stats
from tests.server.conftest import SECONDS, Port, serve, user
from tests.server.test_engine_death import KILL

Told = dict[str, Any]
LONG = "long 20"  # more than there is memory for
SHORTAGE = "for which there is no memory now"


@dataclass(frozen=True)
class Dialect:
    """text, reason: of a whole answer. said: the text of one event of a stream."""

    path: str
    body: Callable[[str], Told]
    text: Callable[[Told], str]
    reason: Callable[[Told], Any]
    said: Callable[[Told], str]
    ends: Any


def messages(question: str) -> Told:
    return {"messages": user(question)}


def prompt(question: str) -> Told:
    return {"prompt": f"user: {question}\n"}


def choice(told: Told) -> Told:
    return (told.get("choices") or [{}])[0]


def response(told: Told) -> Told:
    """Where OpenAI's events have it; Ollama calls its text so."""
    inner = told.get("response")
    return inner if isinstance(inner, dict) else told


DIALECTS = {
    "chat": Dialect(
        "/v1/chat/completions",
        messages,
        lambda told: choice(told)["message"]["content"],
        lambda told: choice(told).get("finish_reason"),
        lambda told: choice(told).get("delta", {}).get("content") or "",
        "length",
    ),
    "completions": Dialect(
        "/v1/completions",
        prompt,
        lambda told: choice(told)["text"],
        lambda told: choice(told).get("finish_reason"),
        lambda told: choice(told).get("text", ""),
        "length",
    ),
    "responses": Dialect(
        "/v1/responses",
        lambda question: {"input": question},
        lambda told: told["output"][0]["content"][0]["text"],
        lambda told: (response(told).get("incomplete_details") or {}).get("reason"),
        lambda told: told.get("delta", ""),
        "max_output_tokens",
    ),
    "anthropic": Dialect(
        "/v1/messages",
        lambda question: messages(question) | {"max_tokens": 10_000},
        lambda told: told["content"][0]["text"],
        lambda told: told.get("delta", told).get("stop_reason"),
        lambda told: told.get("delta", {}).get("text", ""),
        "max_tokens",
    ),
    "ollama chat": Dialect(
        "/api/chat",
        messages,
        lambda told: told["message"]["content"],
        lambda told: told.get("done_reason"),
        lambda told: told["message"]["content"],
        "length",
    ),
    "ollama generate": Dialect(
        "/api/generate",
        prompt,
        lambda told: told["response"],
        lambda told: told.get("done_reason"),
        lambda told: told["response"],
        "length",
    ),
    "llama-server": Dialect(
        "/completion",
        prompt,
        lambda told: told["content"],
        lambda told: told.get("stop_type"),
        lambda told: told["content"],
        "limit",
    ),
}
EACH = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


@contextmanager
def opened(logs: Path, name: str, file: str) -> Iterator[Port]:
    """With an engine that answers in all dialects at once."""
    supervisor = Supervisor(logs)
    supervisor.load(name, Path(file), EngineOptions(draft=DraftMode.OFF, parallel=len(DIALECTS)), backend="fake")
    with serve(supervisor) as port:
        supervisor.get(name).wait_ready(SECONDS)
        yield port


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    with opened(tmp_path_factory.mktemp("logs"), "poor", "512cells") as port:
        yield port


def ask(port: Port, dialect: Dialect, model: str, question: str, *, stream: bool = False) -> Any:
    body = {"model": model, "stream": stream, **dialect.body(question)}
    return port.client.post(dialect.path, json=body)


def events(lines: Sequence[str]) -> list[Told]:
    datas = [line.removeprefix("data: ") for line in lines if line.startswith(("data: {", "{"))]
    return [json.loads(data) for data in datas]


@EACH
def test_a_whole_answer_that_memory_ends_is_told_with_its_reason(port: Port, dialect: Dialect) -> None:
    answer = ask(port, dialect, "poor", LONG)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    text = dialect.text(told)
    assert len(text) > 400
    assert answer_to(LONG).decode().startswith(text)
    assert dialect.reason(told) == dialect.ends
    assert SHORTAGE in told["problem"]


@EACH
def test_so_is_a_stream(port: Port, dialect: Dialect) -> None:
    told = events(ask(port, dialect, "poor", LONG, stream=True).text.splitlines())
    text = "".join(map(dialect.said, told))
    assert text == dialect.text(ask(port, dialect, "poor", LONG).json())
    assert [reason for each in told if (reason := dialect.reason(each))] == [dialect.ends]
    assert [SHORTAGE in response(each)["problem"] for each in told if "problem" in response(each)] == [True]


@EACH
def test_a_prompt_that_finds_no_memory_is_refused(port: Port, dialect: Dialect) -> None:
    answer = ask(port, dialect, "poor", "word " * 200)
    assert answer.status_code in (503, 529)
    assert SHORTAGE in answer.text
    assert "lost" not in answer.text


def test_a_death_says_what_is_lost_of_whole_answers(tmp_path: Path) -> None:
    with opened(tmp_path, "slow", "20ms") as port, ThreadPoolExecutor(len(DIALECTS)) as pool:
        answers = {name: pool.submit(ask, port, each, "slow", "long 30") for name, each in DIALECTS.items()}
        port.watch.until("slow", lambda seen: bool(seen.stats) and has_answered(seen.stats, len(DIALECTS)))
        os.kill(port.supervisor.get("slow").pid or 0, KILL)
        died = {name: answer.result() for name, answer in answers.items()}
    assert {answer.status_code for answer in died.values()} <= {503, 529}
    lost = re.compile(r"What it had said until then \(\d+ tokens\) is lost: a stream would have brought it\.")
    assert [name for name, answer in died.items() if not lost.search(answer.text)] == []
    assert all(answer.headers["retry-after"] for answer in died.values())


def has_answered(stats: Stats, number: int) -> bool:
    return stats.num_running == number and stats.num_answered >= number


def test_one_choice_of_several_that_memory_ends_takes_none_with_it(port: Port) -> None:
    told = port.chat(LONG, model="poor", n=2).json()
    reasons = [each["finish_reason"] for each in told["choices"]]
    assert set(reasons) == {"length"}
    assert all(each["message"]["content"] for each in told["choices"])
