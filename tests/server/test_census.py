"""A body of more values than any request means is refused while it comes, before JSON is made of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.server.anthropic.fields import MessagesRequest
from app.server.core import census
from app.server.core.census import Census
from app.server.core.prompt import as_tokens
from app.server.ollama.fields import ChatRequest as OllamaChat
from app.server.openai.chat import MAX_MESSAGES, ChatRequest
from tests.server.conftest import user

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}
SIGNS = '"\\,[]{}:aé∀⬬ \n'
TEXTS = st.text(SIGNS, max_size=12)
DOCUMENTS = st.recursive(
    st.none() | st.integers() | TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=30
)


def num_of(document: Any) -> tuple[int, int]:
    """Its texts, names, lists and objects; and all its values."""
    if not isinstance(document, dict | list):
        return int(isinstance(document, str)), 1
    inner = list(document.values()) if isinstance(document, dict) else document
    parts, values = zip(*[num_of(each) for each in inner], strict=True) if inner else ((), ())
    return 1 + sum(parts) + len(document) * isinstance(document, dict), 1 + sum(values)


def counted(content: bytes, size: int) -> Census:
    found = Census()
    for at in range(0, len(content), size):
        found.count(content[at : at + size])
    return found


@given(DOCUMENTS, st.booleans(), st.integers(1, 40))
def test_values_are_counted_and_what_stands_in_texts_is_not(document: Any, is_ascii: bool, size: int) -> None:
    content = json.dumps([document, 1, 2, 3], ensure_ascii=is_ascii).encode()
    num_parts, num_values = num_of([document, 1, 2, 3])
    found = counted(content, size)
    assert found.num_parts == num_parts
    assert num_values - 1 <= found.num_values <= num_values + num_parts


@given(DOCUMENTS, st.sampled_from(["utf-16-le", "utf-16", "utf-32-be"]), st.integers(4, 40))
def test_no_other_encoding_hides_values(document: Any, encoding: str, size: int) -> None:
    content = json.dumps([document, 1, 2, 3], ensure_ascii=False).encode(encoding)
    num_parts, num_values = num_of([document, 1, 2, 3])
    found = counted(content, size)
    assert found.num_parts >= num_parts
    assert found.num_values >= num_values - 1


@pytest.mark.parametrize(
    "value",
    ["[" + "[]," * 40 + "1]", "{" + ",".join(f'"{n}":1' for n in range(40)) + "}", json.dumps(["a"] * 40)],
    ids=["lists", "names", "texts"],
)
def test_too_many_parts_are_413_before_the_body_is_read_as_json(
    port: Any, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setattr(census, "MAX_PARTS", 40)
    body = f'{{"messages":[{{"role":"user","content":"Hi"}}],"metadata":{value},'.encode()  # and no end
    refused = port.client.post(CHAT, content=body, headers=JSON)
    assert refused.status_code == 413
    error = refused.json()["error"]
    assert error["code"] == "body_too_large"
    assert "40 texts, lists and objects" in error["message"]


def test_too_many_numbers_are_413_before_the_body_is_read_as_json(port: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "MAX_VALUES", 100)
    refused = port.client.post("/v1/completions", content=b'{"prompt":[' + b"1," * 101, headers=JSON)
    assert refused.status_code == 413
    assert "100 values" in refused.json()["error"]["message"]


def test_a_long_text_is_one_value(port: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "MAX_PARTS", 40)
    monkeypatch.setattr(census, "MAX_VALUES", 60)
    answer = port.chat('[{"a,b":[]}],' * 100, model="quick", max_tokens=1)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("fields", "more"),
    [(ChatRequest, {}), (OllamaChat, {"model": "a"}), (MessagesRequest, {"model": "a", "max_tokens": 1})],
    ids=["OpenAI", "Ollama", "Anthropic"],
)
def test_of_many_wrong_messages_only_the_first_is_complained_of(fields: Any, more: dict[str, Any]) -> None:
    """A complaint about each takes longer than all the rest, and the client is told of one."""
    with pytest.raises(ValidationError) as complaints:
        fields.model_validate({"messages": [{}] * MAX_MESSAGES, **more})
    assert {error["loc"][1] for error in complaints.value.errors()} == {0}


def test_a_turn_has_no_more_calls_than_tools_can_be_offered(port: Any) -> None:
    call = {"function": {"name": "a", "arguments": {}}}
    messages = [*user("Hi"), {"role": "assistant", "tool_calls": [call] * 129}]
    refused = port.client.post("/api/chat", json={"model": "quick", "messages": messages})
    assert refused.status_code == 400
    assert "at most 128" in refused.json()["error"]


@pytest.mark.parametrize(
    ("ids", "tokens"),
    [
        ([1, 2], (1, 2)),
        ([1, 2.0], (1, 2)),
        ([1.5], None),
        ([float("nan")], None),
        ([1, float("nan"), 1e308], None),
        ([float("inf")], None),
        ([True], None),
        ([-1], None),
        ([2**31], None),
        (["1"], None),
        ([], None),
    ],
)
def test_ids_are_told_from_other_numbers(ids: list[Any], tokens: tuple[int, ...] | None) -> None:
    assert as_tokens(ids) == tokens
