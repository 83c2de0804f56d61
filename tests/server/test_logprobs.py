"""Logprobs in OpenAI's shapes. The fake model gives each token −0.25."""

from collections.abc import Callable
from typing import Any

import openai
import pytest

Says = Callable[[str], str]


def test_a_chat_has_them_token_by_token(port: Any, says: Says) -> None:
    answer = port.chat("Hello", model="quick", logprobs=True, top_logprobs=2).json()
    content = answer["choices"][0]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content if len(entry["bytes"]) == 1).startswith("You said ")
    assert bytes(byte for entry in content for byte in entry["bytes"]).decode() == says("Hello")
    assert content[0] == {
        "token": "Y",
        "logprob": -0.25,
        "bytes": [89],
        "top_logprobs": [
            {"token": "Y", "logprob": -0.25, "bytes": [89]},
            {"token": "Z", "logprob": -1.25, "bytes": [90]},
        ],
    }


def test_without_alternatives_the_list_is_empty_and_without_logprobs_there_is_none(port: Any) -> None:
    answer = port.chat("Hello", model="quick", logprobs=True, max_tokens=3).json()
    assert [entry["top_logprobs"] for entry in answer["choices"][0]["logprobs"]["content"]] == [[], [], []]
    plain = port.chat("Hello", model="quick", logprobs=False, max_tokens=3).json()
    assert plain["choices"][0]["logprobs"] is None


def test_a_streamed_chat_has_them_beside_their_text(port: Any, says: Says) -> None:
    with port.stream("Héllo", model="quick", logprobs=True, top_logprobs=1, draft=False) as stream:
        choices = [chunk["choices"][0] for chunk in stream]
    said = b""
    for choice in choices:
        entries = (choice["logprobs"] or {"content": []})["content"]
        piece = bytes(byte for entry in entries for byte in entry["bytes"])
        assert piece.decode() == choice["delta"].get("content", ""), "half a character waits for its other half"
        said += piece
    assert said.decode() == says("Héllo")


def test_completions_have_four_lists(port: Any, says: Says) -> None:
    answer = port.post("completions", model="quick", prompt="Hi", logprobs=2).json()
    logprobs = answer["choices"][0]["logprobs"]
    assert logprobs["tokens"][:3] == ["Y", "o", "u"]
    assert logprobs["top_logprobs"][0] == {"Y": -0.25, "Z": -1.25}
    assert len({len(values) for values in logprobs.values()}) == 1
    text = says("Hi")
    begins = zip(logprobs["text_offset"], logprobs["tokens"], strict=True)
    assert all(text[begin] == token for begin, token in begins if token.isascii())


def test_streamed_completions_go_on_counting(port: Any, says: Says) -> None:
    body = {"model": "quick", "prompt": "Hi", "logprobs": 0, "stream": True, "draft": False}
    with port.client.stream("POST", "/v1/completions", json=body) as response:
        found = [chunk["choices"][0]["logprobs"] for chunk in port.read(response)]
    offsets = [offset for logprobs in found if logprobs for offset in logprobs["text_offset"]]
    assert offsets == sorted(offsets)
    assert offsets[-1] == len(says("Hi")) - 1


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("chat/completions", {"top_logprobs": 2}),
        ("chat/completions", {"logprobs": False, "top_logprobs": 0}),
        ("chat/completions", {"logprobs": True, "top_logprobs": 21}),
        ("chat/completions", {"logprobs": 1}),
        ("completions", {"logprobs": 21}),
        ("completions", {"logprobs": -1}),
        ("completions", {"logprobs": True}),
    ],
)
def test_what_cannot_be_is_refused(port: Any, path: str, fields: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    response = port.post(path, messages=messages, prompt="Hi", **fields)
    assert response.status_code == 400
    assert "logprobs" in response.json()["error"]["message"]


def test_openais_client_reads_them(port: Any) -> None:
    with openai.OpenAI(base_url=f"{port.server.address}/v1", api_key="none", max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "Hello"}]
        chat = client.chat.completions.create(
            model="quick", messages=messages, logprobs=True, top_logprobs=3, max_tokens=4
        )
        text = client.completions.create(model="quick", prompt="Hello", logprobs=3, max_tokens=4)
    assert chat.choices[0].logprobs is not None
    assert chat.choices[0].logprobs.content is not None
    assert [len(token.top_logprobs) for token in chat.choices[0].logprobs.content] == [3] * 4
    assert text.choices[0].logprobs is not None
    assert text.choices[0].logprobs.token_logprobs == [-0.25] * 4
