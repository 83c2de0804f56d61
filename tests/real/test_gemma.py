"""Gemma 3 270M, a base model with a sliding window and 262,144 tokens, on the main roads."""

import pytest

from app.inference.supervisor import EngineHandle, Supervisor
from backends.protocol import GREEDY, EngineOptions, Generate, KVType
from tests.inference.conftest import SECONDS, Answer
from tests.real import things
from tests.real.test_main_roads import account, chat

pytestmark = pytest.mark.real
ONCE = "The capital of France is"
DAYS = "Monday, Tuesday, Wednesday,"


@pytest.fixture(scope="module")
def gemma(real_supervisor: Supervisor) -> EngineHandle:
    options = EngineOptions(context=2048, kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0)
    handle = real_supervisor.load("gemma", things.gemma(), options)
    handle.wait_ready(SECONDS)
    return handle


def complete(handle: EngineHandle, text: str, **fields: object) -> Answer:
    answer = Answer()
    handle.submit(Generate(text, **{"sampling": GREEDY, "max_tokens": 8, **fields}), answer)  # type: ignore[arg-type]
    return answer.wait()


def test_it_is_a_base_model(gemma: EngineHandle) -> None:
    ready = gemma.snapshot.ready
    assert ready
    assert (ready.architecture, ready.has_chat_template) == ("gemma3", False)


def test_it_completes_a_text(gemma: EngineHandle) -> None:
    assert complete(gemma, DAYS).text.startswith(" Thursday, Friday, Saturday")


def test_a_text_that_begins_alike_is_not_read_again(gemma: EngineHandle) -> None:
    complete(gemma, f"{ONCE} Paris. " * 30)
    again = complete(gemma, f"{ONCE} Paris. " * 30 + "The capital of Italy is")
    assert "Rome" in again.text
    assert account(again).cache_n > 100


def test_a_chat_with_it_comes_to_an_end(gemma: EngineHandle) -> None:
    answer = chat(gemma, "What is the capital of France?", max_tokens=200)
    assert account(answer).predicted_n < 200
    assert answer.text.strip()
