"""llama-server's own routes, and the names without /v1."""

from collections.abc import Callable
from typing import Any

import pytest

ANSWER = 257  # begins an answer of the fake model
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
    assert post(port, "/detokenize", tokens=tokens).json() == {"content": "Hé", "prompt": "Hé"}
    pieces = post(port, "/tokenize", content="Hé", with_pieces=True).json()["tokens"]
    assert [piece["piece"] for piece in pieces] == ["H", [0xC3], [0xA9]]
    whole = post(port, "/tokenize", content="Hé", add_special=True).json()["tokens"]
    assert whole[:3] == tokens
    assert len(whole) == 4
    assert post(port, "/tokenize", content="").json() == {"tokens": []}
    assert post(port, "/detokenize", tokens=[]).json() == {"content": "", "prompt": ""}


def test_a_chat_is_written_as_the_template_does_it(port: Any) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    answer = post(port, "/apply-template", messages=messages).json()
    assert answer == {"prompt": "system: Be brief.\nuser: Hello\n"}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/apply-template", {"messages": []}),
        ("/apply-template", {"messages": [{"role": "user", "content": "Hi"}], "tools": [{}]}),
        ("/completion", {"prompt": "Hi", "n_probs": 21}),
        ("/completion", {"prompt": []}),
        ("/completion", {"prompt": [[True]]}),
        ("/completion", {"prompt": {"prompt_string": "Hi", "multimodal_data": ["aa"]}}),
        ("/completion", {"prompt": "Hi", "logit_bias": [["a", "b"]]}),
        ("/completion", {"prompt": "Hi", "response_format": {"type": "json_object", "schema": 0}}),
        ("/completion", {"prompt": {"prompt_string": "Hi", "multimodal_data": {}}}),
        ("/infill", {"input_prefix": "a", "input_suffix": "b", "input_extra": [{"filename": "c"}]}),
        ("/embedding", {"content": "Hi", "embd_normalize": 1}),
        ("/lora-adapters", [{"id": 0, "scale": 1}]),
        ("/tokenize", {"content": 5}),
        ("/tokenize", {}),
        ("/detokenize", {"tokens": [100_000]}),
        ("/detokenize", {"tokens": ["a"]}),
    ],
)
def test_what_cannot_be_is_400_in_its_shape(port: Any, path: str, fields: Any) -> None:
    response = port.client.post(path, json=fields)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["message"]
    assert (error["code"], error["type"]) == (400, "invalid_request_error")


def test_more_scales_than_there_may_be_adapters_are_refused_not_cut(port: Any) -> None:
    response = port.client.post("/lora-adapters", json=[{"id": 0, "scale": 0}] * 65)
    assert response.status_code == 400
    assert "64" in response.json()["error"]["message"]


def test_openais_routes_are_there_without_v1(port: Any, says: Says) -> None:
    chat = post(port, "/chat/completions", messages=[{"role": "user", "content": "Hello"}]).json()
    assert chat["choices"][0]["message"]["content"] == says("Hello")
    assert port.client.get("/models").json() == port.client.get("/v1/models").json()
    assert port.client.get("/v1/health").json() == {"status": "ok"}


def test_a_chats_stream_begins_with_null_on_its_own_path(port: Any, says: Says) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}], "stream": True}
    with port.client.stream("POST", "/chat/completions", json=body) as response:
        first, *rest = [chunk["choices"][0]["delta"] for chunk in port.read(response)]
    assert first == {"role": "assistant", "content": None, "refusal": None}
    assert "".join(delta.get("content", "") for delta in rest) == says("Hello")


@pytest.mark.parametrize("path", ["/chat/completions", "/v1/chat/completions"])
def test_a_verbose_chat_shows_its_prompt_as_the_template_writes_it(port: Any, path: str) -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
    assert post(port, path, **body, verbose=True).json()["__verbose"]["prompt"] == "user: Hello\n"
    assert "__verbose" not in post(port, path, **body, verbose=False).json()
    with port.client.stream("POST", path, json={**body, "verbose": True, "stream": True}) as response:
        told = [chunk.get("__verbose") for chunk in port.read(response)]
    assert told[-1] == {"prompt": "user: Hello\n"}
    assert not any(told[:-1])


def test_two_turns_of_the_assistant_are_not_gone_on_with(port: Any) -> None:
    turns = [{"role": role, "content": "Hi"} for role in ("user", "assistant", "assistant")]
    error = post(port, "/chat/completions", messages=turns).json()["error"]
    assert "add_generation_prompt" in error["message"]
    assert post(port, "/chat/completions", messages=turns, add_generation_prompt=True).status_code == 200


def test_several_prompts_and_completions_are_answered_by_a_list(port: Any, says: Says) -> None:
    answers = post(port, "/completion", prompt=["Hello", [*b"Hi", ANSWER]]).json()
    assert [answer["content"] for answer in answers] == [says("Hello"), says("Hi")]
    both = post(port, "/completion", prompt="Hi", n_cmpl=2, n_predict=2).json()
    assert [answer["index"] for answer in both] == [0, 1]
    assert isinstance(post(port, "/completion", prompt=["Hi"], n_predict=2).json(), list)


def test_a_prompt_mixes_texts_and_tokens(port: Any, says: Says) -> None:
    mixed = post(port, "/completion", prompt=[72, "ell", 111, ANSWER]).json()
    assert mixed["content"] == says("Hello")
    assert post(port, "/completion", prompt={"prompt_string": "Hello"}).json()["content"] == says("Hello")


def test_tokens_and_their_chances_are_told_by_their_ids(port: Any, says: Says) -> None:
    wanted = {"prompt": "Hello", "n_predict": 4, "n_probs": 2}
    answer = post(port, "/completion", **wanted, return_tokens=True).json()
    said = list(says("Hello")[:4].encode())
    assert answer["tokens"] == said
    chances = answer["completion_probabilities"]
    assert [each["id"] for each in chances] == said
    assert all(len(each["top_logprobs"]) == 2 and each["logprob"] <= 0 for each in chances)
    assert post(port, "/completion", **wanted).json()["tokens"] == []
    with port.client.stream("POST", "/completion", json={**wanted, "stream": True}) as response:
        chunks = list(port.read(response))
    assert [token for chunk in chunks for token in chunk["tokens"]] == said
    assert [each["id"] for chunk in chunks for each in chunk.get("completion_probabilities", [])] == said


def test_chances_after_the_filters_are_probabilities_in_its_words(port: Any) -> None:
    wanted = {"prompt": "Hello", "n_predict": 2, "n_probs": 2, "post_sampling_probs": True}
    answer = post(port, "/completion", **wanted).json()
    assert answer["generation_settings"]["post_sampling_probs"]
    chances = answer["completion_probabilities"]
    assert [set(each) for each in chances] == [{"id", "token", "bytes", "prob", "top_probs"}] * 2
    assert all(0 < each["prob"] <= 1 and len(each["top_probs"]) == 2 for each in chances)
    with port.client.stream("POST", "/completion", json={**wanted, "stream": True}) as response:
        told = [each for chunk in port.read(response) for each in chunk.get("completion_probabilities", [])]
    assert told == chances


def test_an_answer_says_how_it_was_made(port: Any) -> None:
    settings = post(port, "/completion", prompt="Hi", n_predict=2, seed=7, temperature=0.5, ignore_eos=True).json()[
        "generation_settings"
    ]
    assert (settings["n_predict"], settings["seed"], settings["temperature"]) == (2, 7, 0.5)
    assert [each["bias"] for each in settings["logit_bias"]] == [None], "what ends an answer cannot come"


def test_only_the_fields_that_are_asked_for_are_told(port: Any) -> None:
    names = ["content", "generation_settings/n_predict", "nope/nope"]
    answer = post(port, "/completion", prompt="Hi", n_predict=2, response_fields=names).json()
    assert answer.keys() == {"content", "generation_settings/n_predict"}


def test_texts_are_biased_by_their_tokens(port: Any) -> None:
    biases = {"prompt": "Hi", "n_predict": 1, "logit_bias": [["ab", -2], [7, False], [8, 1.5]]}
    settings = post(port, "/completion", **biases).json()["generation_settings"]
    told = [(each["token"], each["bias"]) for each in settings["logit_bias"]]
    assert told == [(97, -2.0), (98, -2.0), (7, None), (8, 1.5)]


def test_how_a_model_stands_is_read(port: Any) -> None:
    props = port.client.get("/props").json()
    assert (props["total_slots"], props["model_alias"]) == (4, "quick")
    assert "/" not in props["model_path"]
    slots = port.client.get("/slots", params={"model": "slow"}).json()
    assert [slot["is_processing"] for slot in slots] == [False] * 4
    assert port.client.get("/lora-adapters").json() == []
    assert port.client.post("/lora-adapters", json=[]).json() == {"success": True}
    assert port.client.get("/tokenizer_info").json()["vocab_size"] > 256
    unknown = port.client.get("/props", params={"model": "nope"})
    assert (unknown.status_code, unknown.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("path", ["/props", "/slots/0?action=save"])
def test_what_would_change_it_is_refused(port: Any, path: str) -> None:
    response = port.client.post(path, json={"filename": "x"})
    assert (response.status_code, response.json()["error"]["type"]) == (501, "not_supported_error")


def test_metrics_count_what_was_answered(port: Any) -> None:
    def metrics() -> dict[str, float]:
        response = port.client.get("/metrics")
        assert response.headers["content-type"].startswith("text/plain")
        lines = [line for line in response.text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    before = metrics()
    timings = post(port, "/completion", prompt="Count me", n_predict=5).json()["timings"]
    after = metrics()
    assert after["llamacpp:tokens_predicted_total"] == before.get("llamacpp:tokens_predicted_total", 0) + 5
    name = 'slipstream_prompt_tokens_total{model="quick"}'
    assert after[name] == before.get(name, 0) + timings["prompt_n"]


def test_a_prompt_that_is_too_long_is_told_in_numbers(port: Any) -> None:
    error = post(port, "/completion", prompt="x" * 5000).json()["error"]
    assert error["type"] == "exceed_context_size_error"
    assert error["n_prompt_tokens"] > error["n_ctx"] > 0
    assert "exceeds the available context size" in error["message"]


def test_vectors_and_counts(port: Any) -> None:
    answer = post(port, "/embedding", content="Hello").json()
    assert [(each["index"], len(each["embedding"])) for each in answer] == [(0, 1)]
    both = post(port, "/embeddings", input=["Hello", [1, 2]]).json()
    assert [each["index"] for each in both] == [0, 1]
    chat = {"messages": [{"role": "user", "content": "Hello"}]}
    counted = post(port, "/v1/chat/completions/input_tokens", **chat).json()["input_tokens"]
    written = post(port, "/apply-template", **chat).json()["prompt"]
    assert counted == len(post(port, "/tokenize", content=written, add_special=True).json()["tokens"])


def test_a_model_that_cannot_fill_in_says_so_by_the_fields_name(port: Any) -> None:
    body = {"input_prefix": "def f(", "input_suffix": "): pass", "n_predict": 4}
    error = post(port, "/infill", **body).json()["error"]
    assert error["param"] == "input_suffix", "this model has no tokens for it"


def test_vllms_way_of_asking_for_tokens(port: Any) -> None:
    answer = post(port, "/tokenize", prompt="Hi", add_special_tokens=False, return_token_strs=True).json()
    assert answer == {"count": 2, "max_model_len": 4096, "tokens": [72, 105], "token_strs": ["H", "i"]}
