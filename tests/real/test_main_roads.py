"""The main roads of an engine on a model that nobody here made."""

import json
from pathlib import Path

from app.inference.supervisor import EngineHandle, Supervisor
from backends.protocol import (
    GREEDY,
    DraftMode,
    EngineOptions,
    FlashAttention,
    Generate,
    Grammar,
    GrammarKind,
    KVType,
    Message,
    Output,
    Timings,
)
from tests.inference.conftest import SECONDS, Answer

CAPITAL = "What is the capital of France? Answer in one sentence."
COPY = "Repeat this list word for word: red, green, blue, yellow, orange, purple, red, green, blue, yellow, orange, purple."
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "is_capital": {"type": "boolean"}},
    "required": ["city", "is_capital"],
    "additionalProperties": False,
}
EXACT = {"kv_type_k": KVType.F32, "kv_type_v": KVType.F32, "flash_attention": FlashAttention.OFF}


def chat(handle: EngineHandle, *turns: str, **fields: object) -> Answer:
    """turns: of the user and the assistant, one after the other."""
    messages = tuple(Message("assistant" if i % 2 else "user", turn) for i, turn in enumerate(turns))
    answer = Answer()
    handle.submit(Generate(messages, **{"sampling": GREEDY, "max_tokens": 48, **fields}), answer)  # type: ignore[arg-type]
    return answer.wait()


def account(answer: Answer) -> Timings:
    assert isinstance(answer.last, Output), answer.last
    assert answer.last.timings
    return answer.last.timings


def test_it_is_loaded_for_what_it_is(engine: EngineHandle) -> None:
    ready = engine.snapshot.ready
    assert ready
    assert (ready.architecture, ready.num_layers, ready.context_trained) == ("llama", 30, 8192)
    assert ready.has_chat_template
    assert (ready.kv_type_k, ready.kv_type_v) == ("q8_0", "q8_0")


def test_a_chat_of_several_turns_reads_only_what_is_new(engine: EngineHandle) -> None:
    first = chat(engine, CAPITAL)
    assert "Paris" in first.text
    assert account(first).predicted_n < 48, "it ends by itself"
    second = chat(engine, CAPITAL, first.text, "And which river flows through it? Answer in one sentence.")
    third = chat(
        engine, CAPITAL, first.text, "And which river flows through it? Answer in one sentence.", second.text, "Thanks!"
    )
    read = [account(answer) for answer in (first, second, third)]
    assert read[1].cache_n >= read[0].prompt_n + read[0].cache_n
    assert read[2].cache_n >= read[1].prompt_n + read[1].cache_n
    assert second.text.strip()
    assert third.text.strip()


def test_an_answer_holds_to_a_json_schema(engine: EngineHandle) -> None:
    grammar = Grammar(GrammarKind.JSON_SCHEMA, json.dumps(CITY))
    said = json.loads(chat(engine, CAPITAL, grammar=grammar).text)
    assert set(said) == {"city", "is_capital"}
    assert isinstance(said["city"], str)
    assert isinstance(said["is_capital"], bool)


def test_drafting_says_the_same_and_saves_steps(real_supervisor: Supervisor, smollm2: Path) -> None:
    texts, drafted = [], 0
    for mode in (DraftMode.OFF, DraftMode.LOOKUP):
        options = EngineOptions(context=1024, parallel=1, draft=mode, draft_length=4, **EXACT)  # type: ignore[arg-type]
        handle = real_supervisor.load(f"smollm2 {mode}", smollm2, options)
        handle.wait_ready(SECONDS)
        answer = chat(handle, COPY, max_tokens=80)
        texts.append(answer.text)
        drafted = account(answer).draft_accepted_n
        real_supervisor.unload(handle.name)
    assert texts[0] == texts[1]
    assert drafted > 4


def test_a_prompt_comes_back_from_disk_after_a_restart(
    real_supervisor: Supervisor, smollm2: Path, tmp_path: Path
) -> None:
    text = "The quick brown fox jumps over the lazy dog, and then it writes a letter home. " * 12
    options = EngineOptions(context=1024, parallel=1, draft=DraftMode.OFF, prompt_cache_folder=tmp_path, **EXACT)  # type: ignore[arg-type]
    said = []
    for _ in range(2):
        handle = real_supervisor.load("restarted", smollm2, options)
        handle.wait_ready(SECONDS)
        answer = chat(handle, f"Which animal jumps here? {text}", max_tokens=16)
        said.append((answer.text, account(answer).cache_disk_n))
        real_supervisor.unload("restarted")
    assert said[0][0] == said[1][0]
    assert said[0][1] == 0
    assert said[1][1] > 200
