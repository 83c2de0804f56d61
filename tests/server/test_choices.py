"""Several choices for one prompt: each its own request, the prompt read once."""

from collections.abc import Callable
from typing import Any

import openai
import pytest

from app.server.openai.chat import ChatRequest

Says = Callable[[str], str]
LONG = "long 30"


def test_every_choice_is_answered_in_order(port: Any, says: Says) -> None:
    answer = port.chat("Choose", model="quick", n=3).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert [choice["message"]["content"] for choice in answer["choices"]] == [says("Choose")] * 3


def test_the_prompt_is_read_once_and_counted_once(port: Any) -> None:
    text = "Read me only once. " * 100  # several steps long
    four = port.chat(text, model="slow", max_tokens=20, n=4).json()
    assert len(text) < four["usage"]["prompt_tokens"] < len(text) + 20
    assert four["usage"]["completion_tokens"] == 80
    num_read = four["timings"]["prompt_n"]
    assert num_read < len(text) + 20, "the others take the cells of the first"


def test_a_prompt_that_is_read_anew_is_read_once_for_all_choices(port: Any) -> None:
    text = "Read me anew, but only once. " * 50
    port.chat(text, model="slow", max_tokens=1)
    four = port.chat(text, model="slow", max_tokens=8, n=4, cache_prompt=False).json()
    assert len(text) <= four["timings"]["prompt_n"] < len(text) + 20
    prompts = {"prompt": [text, "Another one."], "model": "slow", "n_predict": 8, "n": 2, "cache_prompt": False}
    timings = [each["timings"] for each in port.client.post("/completion", json=prompts).json()]
    assert [each["prompt_n"] for each in timings[1::2]] == [1, 1]
    assert [each["cache_n"] for each in timings[::2]] == [0, 0]


def test_choices_of_several_prompts_are_counted_prompt_by_prompt(port: Any, says: Says) -> None:
    answer = port.post("completions", model="quick", prompt=["One", "Two"], n=2).json()
    assert [choice["text"] for choice in answer["choices"]] == [says("One")] * 2 + [says("Two")] * 2


def test_choices_stream_side_by_side(port: Any, says: Says) -> None:
    texts = {0: "", 1: "", 2: ""}
    order = []
    with port.stream("Choose", model="slow", n=3) as stream:
        for chunk in stream:
            (choice,) = chunk["choices"]
            texts[choice["index"]] += choice["delta"].get("content", "")
            order.append(choice["index"])
    assert stream.ended_well
    assert set(texts.values()) == {says("Choose")}
    assert order[3:] != sorted(order[3:])


@pytest.mark.parametrize("max_tokens", [1, 2])
def test_a_first_choice_that_ends_at_once_still_lets_the_others_begin(port: Any, max_tokens: int) -> None:
    answer = port.chat("Short", model="quick", n=8, max_tokens=max_tokens).json()
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["length"] * 8


def test_leaving_ends_all_choices(port: Any) -> None:
    with port.stream(LONG, model="slow", n=3, draft=False) as stream:
        stream.next_text()
        port.watch.until_running("slow", 3)
    port.watch.until_running("slow", 0)


def test_a_refused_prompt_is_refused_once(port: Any) -> None:
    response = port.chat("x" * 5000, model="quick", n=3)
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("stream", [True, False])
def test_a_death_ends_all_choices(run: Any, stream: bool) -> None:
    with run(quick="quick") as port:
        if stream:
            with port.stream("!kill", model="quick", n=3, draft=False) as answer:
                assert "stopped" in str(list(answer)[-1])
        else:
            assert port.chat("!kill", model="quick", n=3, draft=False).status_code == 503


def test_each_choice_has_a_seed_of_its_own_that_follows_from_the_first() -> None:
    def seeds(**fields: Any) -> list[int | None]:
        body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
        return [request.sampling.seed for request in ChatRequest.model_validate(body).choices(())]

    assert seeds(n=3, seed=5) == [5, 6, 7]
    assert seeds(n=2, seed=2**32 - 1) == [2**32 - 1, 0]
    assert seeds(n=2) == [None, None]
    assert seeds(seed=5) == [5]


def test_openais_client_reads_them(port: Any, says: Says) -> None:
    with openai.OpenAI(base_url=f"{port.server.address}/v1", api_key="none", max_retries=0) as client:
        messages: Any = [{"role": "user", "content": "Hello"}]
        answer = client.chat.completions.create(model="quick", messages=messages, n=2)
    assert [choice.message.content for choice in answer.choices] == [says("Hello")] * 2
