from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

Says = Callable[[str], str]
ANSWER = 257  # the fake model's token that an answer follows


@pytest.mark.parametrize(
    ("prompt", "questions"),
    [
        ("One", ["One"]),
        (["One"], ["One"]),
        (["One", "Two", "Three"], ["One", "Two", "Three"]),
        ([*b"One", ANSWER], ["One"]),
        ([[*b"One", ANSWER], [*b"Two", ANSWER]], ["One", "Two"]),
        (["One", [*b"Two", ANSWER]], ["One", "Two"]),
    ],
)
def test_every_form_of_prompt_is_answered_in_order(port: Any, says: Says, prompt: Any, questions: list[str]) -> None:
    answer = port.post("completions", model="quick", prompt=prompt).json()
    assert answer["object"] == "text_completion"
    assert [choice["text"] for choice in answer["choices"]] == [says(question) for question in questions]
    assert [choice["index"] for choice in answer["choices"]] == list(range(len(questions)))
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"stop"}
    num_tokens = sum(len(says(question).encode()) + 1 for question in questions)
    assert answer["usage"]["completion_tokens"] == answer["timings"]["predicted_n"] == num_tokens


def test_several_prompts_stream_side_by_side(port: Any, says: Says) -> None:
    texts: defaultdict[int, str] = defaultdict(str)
    order = []
    body = {"model": "slow", "prompt": ["One", "Two"], "stream": True, "stream_options": {"include_usage": True}}
    with port.client.stream("POST", "/v1/completions", json=body) as response:
        chunks = list(port.read(response))
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["text"]
        order.append(choice["index"])
    assert texts == {0: says("One"), 1: says("Two")}
    assert order != sorted(order)
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]].count("stop") == 2
    num_tokens = len(says("One").encode()) + len(says("Two").encode()) + 2
    assert chunks[-1]["usage"]["completion_tokens"] == num_tokens


def test_a_prompt_beyond_the_context_is_refused_or_loses_its_middle(port: Any) -> None:
    prompt = [65] * 5000
    assert port.post("completions", model="quick", prompt=prompt).status_code == 400
    answer = port.post("completions", model="quick", prompt=prompt, context_overflow="roll", max_tokens=5).json()
    kept = 1024 + 1536  # a quarter of 4096 as its head, and the newest half of the rest
    assert answer["usage"]["prompt_tokens"] == kept
    assert answer["timings"]["rolled_n"] == len(prompt) - kept
    assert 1 <= answer["usage"]["completion_tokens"] <= 5
