"""echo: the prompt before the answer, with the logprobs by which lm-eval and others score texts."""

from typing import Any

import openai
import pytest

HELLO = list(b"Hello")


def ask(port: Any, **body: Any) -> dict[str, Any]:
    answers = port.post("completions", **{"prompt": HELLO, "model": "quick", **body}).json()["choices"]
    return dict(answers[0])


def test_the_prompt_comes_before_the_answer(port: Any) -> None:
    plain = ask(port, max_tokens=5)
    echoed = ask(port, max_tokens=5, echo=True)
    assert echoed["text"] == "Hello" + plain["text"]
    assert echoed["logprobs"] is None


def test_its_tokens_have_logprobs_but_for_the_first(port: Any) -> None:
    """As lm-eval asks: one token more than it wants, and reads those in between."""
    found = ask(port, max_tokens=1, echo=True, logprobs=1)["logprobs"]
    assert found["tokens"][:5] == list("Hello")
    assert found["token_logprobs"] == [None, *[-0.25] * 5]
    assert found["top_logprobs"][0] is None
    assert found["top_logprobs"][1] == {"e": -0.25}
    assert found["text_offset"] == list(range(6))


def test_no_token_need_be_said(port: Any) -> None:
    answer = ask(port, max_tokens=0, echo=True, logprobs=0)
    assert (answer["text"], answer["finish_reason"]) == ("Hello", "length")
    assert len(answer["logprobs"]["tokens"]) == 5


@pytest.mark.parametrize("logprobs", [None, 2])
def test_a_stream_says_the_same(port: Any, logprobs: int | None) -> None:
    whole = ask(port, max_tokens=4, echo=True, logprobs=logprobs)
    with openai.OpenAI(base_url=f"{port.client.base_url}/v1", api_key="none") as client:
        chunks = list(
            client.completions.create(
                model="quick", prompt=HELLO, max_tokens=4, echo=True, logprobs=logprobs, stream=True
            )
        )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.text for choice in choices) == whole["text"]
    values = [each for choice in choices if choice.logprobs for each in choice.logprobs.token_logprobs or ()]
    assert values == (whole["logprobs"]["token_logprobs"] if logprobs is not None else [])


def test_several_prompts_are_each_repeated_before_their_own_answers(port: Any) -> None:
    answers = port.post("completions", model="quick", prompt=["one", "two"], max_tokens=2, echo=True).json()["choices"]
    assert [answer["text"][:3] for answer in answers] == ["one", "two"]
