import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app.errors import RequestError
from app.server.core.answer import _add_up
from app.server.core.refusal import Refusal
from app.server.core.tally import Tally
from app.server.core.words import Source
from app.server.openai.completions import CompletionRequest
from backends.fake.loader import NUM_TOKENS
from backends.protocol import FailureKind, Finish, Output, Timings, TokenLogprob
from tests.server.test_calls import until

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


def test_where_one_of_several_prompts_is_refused_none_is_read(port: Any) -> None:
    refused = port.post("completions", model="quick", prompt=[[65, ANSWER], [NUM_TOKENS]], max_tokens=500)
    error = refused.json()["error"]
    assert (refused.status_code, error["param"]) == (400, "prompt")
    assert error["message"] == f"prompt: Token ids of this model lie between 0 and {NUM_TOKENS - 1}."
    assert until(lambda: port.server.calls.logged()[0].status == 400)
    logged = port.server.calls.logged()[0]
    assert (logged.num_prompt, logged.num_tokens) == (0, 0)


@pytest.mark.parametrize(("about", "is_told"), [("prompt", False), ("grammar", True)])
def test_what_a_stream_would_have_brought_is_told_of_answers_that_had_begun(about: str, is_told: bool) -> None:
    """A prompt may be refused when another of its request is answered already."""

    class Refused:
        tally = Tally(num_tokens=1)

        async def __aiter__(self) -> AsyncIterator[Any]:
            raise RequestError(FailureKind.BAD_REQUEST, "It is not one.", about=about)
            yield

    with pytest.raises(Refusal) as refused:
        asyncio.run(_add_up(None, Refused()))  # type: ignore[arg-type]
    assert ("a stream would have brought it" in refused.value.message) == is_told


def test_a_prompt_beyond_the_context_is_refused_or_loses_its_middle(port: Any) -> None:
    prompt = [65] * 5000
    assert port.post("completions", model="quick", prompt=prompt).status_code == 400
    answer = port.post("completions", model="quick", prompt=prompt, context_overflow="roll", max_tokens=5).json()
    kept = 1024 + 1536  # a quarter of 4096 as its head, and the newest half of the rest
    assert answer["usage"]["prompt_tokens"] == kept
    assert answer["timings"]["rolled_n"] == len(prompt) - kept
    assert 1 <= answer["usage"]["completion_tokens"] <= 5


def test_a_middle_is_filled_in_where_the_model_has_learnt_it(run: Any) -> None:
    with run(coder="quick-fim") as port:
        filled = port.post("completions", model="coder", prompt=["a", "b"], suffix="c").json()
    assert [choice["text"].split("”")[0] for choice in filled["choices"]] == ["You said “a…c", "You said “b…c"]


def test_a_suffix_is_refused_by_name_where_the_model_has_not(port: Any) -> None:
    for stream in (False, True):
        refused = port.post("completions", model="quick", prompt="a", suffix="c", stream=stream)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "suffix"
        assert refused.json()["error"]["code"] == "no_infill"
    assert port.post("completions", model="quick", prompt="a", suffix="", max_tokens=1).status_code == 200


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"prompt": [[5, 6]], "suffix": "c"}, "suffix"),
        ({"prompt": "a", "suffix": "c", "echo": True}, "suffix"),
        ({"prompt": "a", "best_of": 2, "n": 3}, "best_of"),
        ({"prompt": "a", "best_of": 2, "stream": True}, "best_of"),
        ({"prompt": "a", "best_of": 9}, "best_of"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(port: Any, fields: dict[str, Any], named: str) -> None:
    refused = port.post("completions", model="quick", **fields)
    assert refused.status_code == 400
    assert named in refused.json()["error"]["message"]


def test_the_best_of_several_answers_are_the_likeliest(port: Any) -> None:
    answer = port.post("completions", model="quick", prompt=["a", "b"], n=2, best_of=3, max_tokens=4).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert [choice["logprobs"] for choice in answer["choices"]] == [None] * 4
    assert answer["usage"]["completion_tokens"] == 2 * 3 * 4, "all that were made count"
    assert port.post("completions", model="quick", prompt="a", best_of=0, max_tokens=1).status_code == 200


def test_answers_are_ranked_by_what_the_model_thought_of_their_tokens() -> None:
    request = CompletionRequest.model_validate({"prompt": "a", "n": 2, "best_of": 3})
    words = request.asked().words(Source("m"))
    for index, (text, logprobs) in enumerate([("poor", (-3.0, -3.0)), ("best", (-0.1,)), ("good", (-0.5, -1.0))]):
        tokens = tuple(TokenLogprob(b"x", logprob) for logprob in logprobs)
        words.add(index, Output(0, text, len(tokens), Finish.STOP, Timings(), tokens))
    assert [(choice["index"], choice["text"]) for choice in words.whole()["choices"]] == [(0, "best"), (1, "good")]
