"""Real templates and a real model: calls come back as they went, and a call that is demanded comes."""

import json
from collections.abc import Iterator

import pytest

from app.inference.engine_handle import EngineHandle
from app.inference.supervisor import Supervisor
from backends.messages import Tool
from backends.protocol import GREEDY, DraftMode, EngineOptions, Output, SamplingParams
from backends.protocol.parts import Arguments, CallBegun, CallEnded, Thought
from backends.protocol.tool_choice import Calling, ToolChoice
from tests.bench import tool_formats
from tests.inference.conftest import SECONDS, Answer, ask
from tests.real import things

pytestmark = pytest.mark.real

WEATHER = Tool(
    "get_weather",
    "Tells the weather of a city.",
    '{"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},'
    ' "required": ["city", "unit"], "additionalProperties": false}',
)
SEARCH = Tool("search", "Searches the web.", '{"type": "object", "properties": {"query": {"type": "string"}}}')
REQUIRED = ToolChoice(Calling.REQUIRED, is_parallel=False)
UNKNOWN = (
    "Kimi-K3",
    "MiniMax-M3",
    "functionary-medium-v3.2",
    "muse",
    "gemma-2",
    "Phi-3.5",
    "rwkv",
    "SmolLM",
    "tokenizer",
)


def test_calls_in_every_template_are_read_again() -> None:
    rows = tool_formats.measure()
    assert len(rows) >= 75
    assert [row["template"] for row in rows if not row["again"]] == []
    without = [row["template"] for row in rows if row["calls"] == "generic"]
    assert [name for name in without if not any(part in name for part in UNKNOWN)] == []


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHandle]:
    supervisor = Supervisor(tmp_path_factory.mktemp("engine"))
    handle = supervisor.load("smollm2", things.smollm2(), EngineOptions(context=2048, draft=DraftMode.OFF))
    handle.wait_ready(SECONDS)
    yield handle
    supervisor.close()


def asked(handle: EngineHandle, question: str, **fields: object) -> Answer:
    fields = {"sampling": GREEDY, "max_tokens": 400} | fields
    return ask(handle, question, tools=(WEATHER, SEARCH), is_parsed=True, **fields).wait()


def parts(answer: Answer) -> list[object]:
    return [part for event in answer.events if isinstance(event, Output) for part in event.parts]


@pytest.mark.parametrize("seed", range(4))
def test_a_required_call_always_comes_and_is_valid(smollm2: EngineHandle, seed: int) -> None:
    for question in ("How is the weather in Paris?", "Write a poem about the sea.", "2+2?"):
        sampling = SamplingParams(seed=seed)
        found = parts(asked(smollm2, question, tool_choice=REQUIRED, sampling=sampling))
        assert any(isinstance(part, CallEnded) for part in found)
        (begun,) = (part for part in found if isinstance(part, CallBegun))
        arguments = json.loads("".join(part.text for part in found if isinstance(part, Arguments)))
        assert begun.name in (WEATHER.name, SEARCH.name)
        assert begun.name != WEATHER.name or arguments["unit"] in ("celsius", "fahrenheit")


def test_a_named_tool_is_called(smollm2: EngineHandle) -> None:
    found = parts(asked(smollm2, "Who are you?", tool_choice=ToolChoice(name="search", is_parallel=False)))
    assert [part.name for part in found if isinstance(part, CallBegun)] == ["search"]


def test_no_call_where_none_is_wanted(smollm2: EngineHandle) -> None:
    answer = asked(smollm2, "What is the capital of France?", tool_choice=ToolChoice(Calling.NONE))
    assert answer.text
    assert not any(isinstance(part, CallBegun | Thought) for part in parts(answer))
