"""POST /v1/embeddings and /v1/rerank: vectors as OpenAI's client takes them, scores as Jina's do."""

import base64
import struct
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from app.server.core import vectors
from backends.embedding import Embedded
from tests.server.conftest import Port, run_port

EMBED = {"input": "Hello"}


@pytest.fixture(scope="module")
def vectors_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    logs = tmp_path_factory.mktemp("logs")
    with run_port(logs, quick="quick", vectors="fake-embedder", ranks="fake-reranker") as port:
        for engine in port.supervisor.engines():
            engine.wait_ready(30)
        yield port


def wanted(text: str) -> list[float]:
    """What the fake model makes of a text."""
    counts = [0] * 16
    for byte in text.encode():
        counts[byte % 16] += 1
    length = sum(count * count for count in counts) ** 0.5
    return [count / length for count in counts]


def test_openais_client_has_its_vectors(vectors_port: Port) -> None:
    """It asks for base64 by itself, and unpacks it."""
    with openai.OpenAI(base_url=f"{vectors_port.client.base_url}/v1", api_key="none") as client:
        made = client.embeddings.create(model="vectors", input=["Hello", "world", "Hello"])
    assert [each.index for each in made.data] == [0, 1, 2]
    assert made.data[0].embedding == pytest.approx(wanted("Hello"))
    assert made.data[1].embedding == pytest.approx(wanted("world"))
    assert made.data[2].embedding == made.data[0].embedding
    assert (made.model, made.usage.prompt_tokens, made.usage.total_tokens) == ("vectors", 15, 15)


def test_numbers_base64_and_fewer_dimensions_are_the_same_vector(vectors_port: Port) -> None:
    plain = vectors_port.post("embeddings", **EMBED).json()["data"][0]["embedding"]
    packed = vectors_port.post("embeddings", **EMBED, encoding_format="base64").json()["data"][0]["embedding"]
    assert list(struct.unpack("<16f", base64.b64decode(packed))) == plain
    short = vectors_port.post("embeddings", **EMBED, dimensions=9).json()["data"][0]["embedding"]
    assert len(short) == 9
    assert sum(number * number for number in short) == pytest.approx(1.0)


LLAMA_SERVERS = [  # what it takes beside OpenAI's
    [65, "B"],
    [[65, "B"]],
    {"prompt_string": "AB"},
    {"prompt_string": [65, "B"], "multimodal_data": []},
    {"content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
    [{"content": [{"type": "text", "text": "AB"}]}],
]


@pytest.mark.parametrize("inputs", ["AB", ["AB"], [65, 66], [[65, 66]], [65.0, 66.0], *LLAMA_SERVERS], ids=str)
def test_texts_and_token_ids_alone_and_in_lists(vectors_port: Port, inputs: Any) -> None:
    made = vectors_port.post("embeddings", model="vectors", input=inputs).json()
    assert [each["embedding"] for each in made["data"]] == [pytest.approx(wanted("AB"))]


REFUSED: list[dict[str, Any]] = [
    {"input": ""},
    {"input": []},
    {"input": ["a", ""]},
    {"input": ["a"] * 2049},
    {"input": [1.5]},
    {"input": None},
    {"input": {"content": "AB"}},
    {"input": {"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}},
    {"input": {"prompt_string": "A", "multimodal_data": ["AAAA"]}},
    {},
    {"input": "a", "encoding_format": "hex"},
    {"input": "a", "dimensions": 0},
    {"input": "a", "embd_normalize": -1},
]


@pytest.mark.parametrize("body", REFUSED, ids=str)
def test_what_makes_no_sense_is_refused_as_openai_refuses(vectors_port: Port, body: dict[str, Any]) -> None:
    response = vectors_port.post("embeddings", **body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_a_model_for_vectors_refuses_a_chat_in_words(vectors_port: Port) -> None:
    response = vectors_port.chat("Hello", model="vectors")
    assert response.status_code == 400
    assert "cannot chat" in response.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/rerank", "/v1/reranking", "/rerank", "/reranking"])
def test_documents_come_in_the_order_of_their_scores(vectors_port: Port, path: str) -> None:
    body = {"model": "ranks", "query": "q", "documents": ["four", {"text": "no"}, "longest"], "return_documents": True}
    made = vectors_port.client.post(path, json=body).json()
    assert [each["index"] for each in made["results"]] == [1, 0, 2]
    assert [each["relevance_score"] for each in made["results"]] == [-4.0, -6.0, -9.0]
    assert made["results"][0]["document"] == {"text": "no"}
    assert made["usage"]["total_tokens"] == 19
    assert len(vectors_port.client.post(path, json={**body, "top_n": 1}).json()["results"]) == 1


@pytest.mark.parametrize("body", [{"query": "q"}, {"query": "q", "documents": []}, {"query": "", "documents": ["a"]}])
def test_a_ranking_of_nothing_is_refused(vectors_port: Port, body: dict[str, Any]) -> None:
    assert vectors_port.post("rerank", model="ranks", **body).status_code == 400


def test_ollamas_clients_have_theirs(vectors_port: Port) -> None:
    made = vectors_port.client.post("/api/embed", json={"model": "vectors", "input": ["Hello", "a"]}).json()
    assert made["embeddings"] == [pytest.approx(wanted("Hello")), pytest.approx(wanted("a"))]
    assert made["prompt_eval_count"] == 6
    assert vectors_port.client.post("/api/embed", json={"model": "vectors", "input": []}).json()["embeddings"] == []
    elder = vectors_port.client.post("/api/embeddings", json={"model": "vectors", "prompt": "Hello"}).json()
    assert elder == {"embedding": pytest.approx(wanted("Hello"))}


def test_vectors_are_written_beside_the_loop(vectors_port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand vectors took the loop's time, and every stream waited."""
    threads: list[str] = []
    made = vectors.as_numbers

    def noted(embedded: Embedded) -> list[list[float]]:
        threads.append(threading.current_thread().name)
        return made(embedded)

    monkeypatch.setattr("app.server.openai.embeddings.as_numbers", noted)
    monkeypatch.setattr("app.server.ollama.embed.as_numbers", noted)
    for path in ("/v1/embeddings", "/api/embed"):
        assert vectors_port.client.post(path, json={"model": "vectors", "input": ["a", "b"]}).status_code == 200
    assert threads == ["port-call", "port-call"]


def test_more_texts_than_a_request_may_have_are_refused(vectors_port: Port) -> None:
    refused = vectors_port.post("embeddings", input=["a"] * 10_000)
    assert refused.status_code == 400
    assert "2048" in refused.text


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embedding"])
def test_a_list_of_nothing_but_empty_texts_is_refused_and_ends_no_other(vectors_port: Port, path: str) -> None:
    answer = vectors_port.client.post(path, json={"model": "vectors", "input": {"prompt_string": [""]}})
    assert (answer.status_code, "empty" in answer.text) == (400, True)
