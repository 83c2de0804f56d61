"""llama-server's own routes, and the names without /v1."""

from collections.abc import Callable
from typing import Any

import pytest

Says = Callable[[str], str]


def post(port: Any, path: str, **body: Any) -> Any:
    return port.client.post(path, json=body)


@pytest.mark.parametrize("path", ["/completion", "/completions"])
def test_a_completion_in_its_words(port: Any, says: Says, path: str) -> None:
    answer = post(port, path, prompt="Hello", n_predict=500).json()
    assert (answer["content"], answer["stop"], answer["stop_type"]) == (says("Hello"), True, "eos")
    assert answer["tokens_predicted"] == len(says("Hello").encode()) + 1
    assert answer["tokens_evaluated"] == len("Hello") + 1
    assert answer["timings"]["predicted_n"] == answer["tokens_predicted"]


@pytest.mark.parametrize(
    ("fields", "kind", "word"), [({"n_predict": 3}, "limit", ""), ({"stop": [" engine"]}, "word", " engine")]
)
def test_why_it_stopped(port: Any, fields: dict[str, Any], kind: str, word: str) -> None:
    answer = post(port, "/completion", prompt="Hello", **fields).json()
    assert (answer["stop_type"], answer["stopping_word"]) == (kind, word)


def test_a_stream_ends_with_the_account(port: Any, says: Says) -> None:
    body = {"prompt": "Hello", "stream": True}
    with port.client.stream("POST", "/completion", json=body) as response:
        chunks = list(port.read(response))
    assert "".join(chunk["content"] for chunk in chunks) == says("Hello")
    assert [chunk["stop"] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-2]["tokens_predicted"] <= chunks[-1]["tokens_predicted"]


def test_texts_become_tokens_and_tokens_texts(port: Any) -> None:
    tokens = post(port, "/tokenize", content="Hé").json()["tokens"]
    assert tokens == list("Hé".encode())
    assert post(port, "/detokenize", tokens=tokens).json() == {"content": "Hé"}
    pieces = post(port, "/tokenize", content="Hé", with_pieces=True).json()["tokens"]
    assert [piece["piece"] for piece in pieces] == ["H", [0xC3], [0xA9]]
    whole = post(port, "/tokenize", content="Hé", add_special=True).json()["tokens"]
    assert whole[:3] == tokens
    assert len(whole) == 4
    assert post(port, "/tokenize", content="").json() == {"tokens": []}
    assert post(port, "/detokenize", tokens=[]).json() == {"content": ""}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/completion", {"prompt": "Hi", "n_probs": 3}),
        ("/completion", {"prompt": ["Hi", "You"]}),
        ("/tokenize", {"content": 5}),
        ("/tokenize", {}),
        ("/detokenize", {"tokens": [100_000]}),
        ("/detokenize", {"tokens": ["a"]}),
    ],
)
def test_what_cannot_be_is_400(port: Any, path: str, fields: dict[str, Any]) -> None:
    response = post(port, path, **fields)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_openais_routes_are_there_without_v1(port: Any, says: Says) -> None:
    chat = post(port, "/chat/completions", messages=[{"role": "user", "content": "Hello"}]).json()
    assert chat["choices"][0]["message"]["content"] == says("Hello")
    assert port.client.get("/models").json() == port.client.get("/v1/models").json()
    assert port.client.get("/v1/health").json() == {"status": "ok"}
