"""/api/chat and its neighbours as Ollama's clients know them."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from app.server.core.directory import ModelFacts
from app.server.ollama.fields import ChatRequest, Options
from app.server.ollama.models import shown
from backends.protocol import GrammarKind, Message, ToolCall

Says = Callable[[str], str]
HELLO = [{"role": "user", "content": "Hello"}]
COUNTS = {"total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"}


def post(port: Any, path: str, **body: Any) -> Any:
    return port.client.post(f"/api/{path}", json={"model": "quick", **body})


def test_a_chat_streams_one_object_a_line_unless_it_is_told_not_to(port: Any, says: Says) -> None:
    response = post(port, "chat", messages=HELLO)
    assert response.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert "".join(line["message"]["content"] for line in lines) == says("Hello")
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    whole = post(port, "chat", messages=HELLO, stream=False).json()
    assert whole["message"] == {"role": "assistant", "content": says("Hello")}
    for last in (lines[-1], whole):
        assert (last["model"], last["done"], last["done_reason"]) == ("quick", True, "stop")
        assert last.keys() >= COUNTS
        assert last["eval_count"] == len(says("Hello").encode()) + 1


def test_generate_takes_a_text_as_a_question_or_raw(port: Any, says: Says) -> None:
    assert post(port, "generate", prompt="Hello", stream=False).json()["response"] == says("Hello")
    raw = post(port, "generate", prompt="Hello", raw=True, stream=False).json()
    assert raw["prompt_eval_count"] == len("Hello") + 1
    assert raw["response"] == says("Hello")


@pytest.mark.parametrize(("path", "said"), [("chat", "message"), ("generate", "response")])
def test_without_a_prompt_the_model_is_loaded(port: Any, path: str, said: str) -> None:
    answer = post(port, path).json()
    assert (answer["model"], answer["done"], answer["done_reason"]) == ("quick", True, "load")
    assert said in answer


def test_options_reach_the_engine() -> None:
    body = {"model": "m", "messages": HELLO, "format": {"type": "object"}}
    options = {"num_predict": 5, "seed": 3, "repeat_last_n": -1, "stop": "END", "num_ctx": 4096, "top_k": 7.0}
    wanted = ChatRequest.model_validate({**body, "options": options}).wanted()
    assert wanted is not None
    assert (wanted.max_tokens, wanted.stop, wanted.sampling.seed, wanted.sampling.top_k) == (5, ("END",), 3, 7)
    assert wanted.grammar is not None
    assert wanted.grammar.kind is GrammarKind.JSON_SCHEMA
    endless = ChatRequest.model_validate({**body, "format": "", "options": {"num_predict": -2}}).wanted()
    assert endless is not None
    assert (endless.max_tokens, endless.grammar) == (None, None)


def test_a_chat_carries_calls_and_thoughts() -> None:
    call = {"function": {"name": "add", "arguments": {"a": 1}}}
    turns = [
        {"role": "assistant", "content": "", "tool_calls": [call], "thinking": "Let me see."},
        {"role": "tool", "content": "2", "tool_name": "add"},
    ]
    request = ChatRequest.model_validate({"model": "m", "messages": [*HELLO, *turns]})
    assert [each.message() for each in request.messages or ()][1:] == [
        Message("assistant", "", (ToolCall("", "add", '{"a": 1}'),), reasoning="Let me see."),
        Message("tool", "2", name="add"),
    ]


def test_a_model_for_vectors_is_told_from_one_that_answers() -> None:
    for is_embedder, capability in ((True, "embedding"), (False, "completion"), (None, "completion")):
        assert shown("m", ModelFacts("m", True, is_embedder=is_embedder), {})["capabilities"] == [capability]


def test_what_there_is_and_what_is_known_of_it(port: Any) -> None:
    tags = port.client.get("/api/tags").json()["models"]
    assert [model["name"] for model in tags] == ["quick", "slow"]
    assert [model["name"] for model in port.client.get("/api/ps").json()["models"]] == ["quick", "slow"]
    assert post(port, "show").json()["capabilities"] == ["completion"]
    assert post(port, "show", model="quick:latest").status_code == 200
    assert post(port, "show", model="qwick").status_code == 404
    assert port.client.get("/api/version").json()["version"]


def test_a_model_is_shown_as_its_file_has_it(port: Any) -> None:
    told = post(port, "show").json()
    assert told["template"] == "{% raw %}\n{{ it }}"
    assert '\nFROM quick\nTEMPLATE """{% raw %}\n{{ it }}"""\n' in told["modelfile"]
    assert told["license"] == "mit"
    assert told["model_info"]["fake.block_count"] == 2
    assert not {"odd", "tokenizer.chat_template"} & told["model_info"].keys()


def test_a_model_that_is_loaded_is_shown_with_its_context() -> None:
    told = shown("m", ModelFacts("m", True, context=4096), {"tokenizer.chat_template": 'a """ b'})
    assert told["parameters"].split() == ["num_ctx", "4096"]
    assert told["modelfile"].splitlines()[1:] == ["FROM m", "PARAMETER num_ctx 4096"]


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("chat", {"messages": HELLO, "model": "llama9"}, 404),
        ("chat", {"messages": HELLO, "tools": [{"type": "function"}]}, 400),
        ("chat", {"messages": [{"role": "user", "content": "Hi", "images": ["aaaa"]}]}, 400),
        ("chat", {"messages": HELLO, "think": "a lot"}, 400),
        ("chat", {"messages": HELLO, "options": {"tfs_z": 0.5}}, 400),
        ("chat", {"messages": HELLO, "options": {"temperature": -1}}, 400),
        ("chat", {"messages": HELLO, "shift": True, "options": {"num_keep": 5}}, 400),
        ("generate", {"prompt": "Hi", "suffix": "!"}, 400),
        ("generate", {"prompt": "Hi", "format": "xml"}, 400),
        ("nope", {}, 404),
    ],
)
def test_refusals_have_its_shape(port: Any, path: str, fields: dict[str, Any], status: int) -> None:
    response = post(port, path, **fields)
    assert response.status_code == status
    assert response.json().keys() == {"error"}
    assert isinstance(response.json()["error"], str)


def test_what_is_chosen_at_the_load_changes_nothing_here() -> None:
    assert Options.model_validate(dict.fromkeys(Options.ignored, 1)).sampling() == Options.model_validate({}).sampling()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (300, 300.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        (0, 0.0),
        ("0", 0.0),
        (-1, math.inf),
        ("-1m", math.inf),
    ],
)
def test_how_long_a_model_stays_is_read_as_ollama_does(value: Any, seconds: float) -> None:
    assert ChatRequest.model_validate({"model": "m", "keep_alive": value}).keep_alive == seconds


@pytest.mark.parametrize("value", ["soon", "5 m", "m5", "1d", [], True, "9" * 50 + "x"])
def test_what_says_no_time_is_refused(port: Any, value: Any) -> None:
    refused = post(port, "chat", messages=HELLO, keep_alive=value)
    assert refused.status_code == 400
    assert "keep_alive" in refused.json()["error"]
