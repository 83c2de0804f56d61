"""The client that most programs use, against our port."""

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

Says = Callable[[str], str]


@pytest.fixture
def client(port: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{port.server.address}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_a_chat(client: openai.OpenAI, says: Says) -> None:
    answer = client.chat.completions.create(model="quick", messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content == says("Hello")
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert answer.model_extra is not None
    assert answer.model_extra["timings"]["predicted_n"] == answer.usage.completion_tokens


def test_a_streamed_chat(client: openai.OpenAI, says: Says) -> None:
    chunks = list(
        client.chat.completions.create(
            model="quick",
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == says("Hello")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(says("Hello").encode()) + 1


def test_text_completions(client: openai.OpenAI, says: Says) -> None:
    answer = client.completions.create(model="quick", prompt=["One", "Two"])
    assert [choice.text for choice in answer.choices] == [says("One"), says("Two")]


def test_the_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["quick", "slow"]
    assert client.models.retrieve("slow").owned_by == "slipstream"


def test_refusals_are_the_exceptions_that_programs_expect(client: openai.OpenAI) -> None:
    hello: Any = [{"role": "user", "content": "Hello"}]
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-9", messages=hello)
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model="quick", messages=hello, temperature=-1)
    assert wrong.value.param == "temperature"
    long: Any = [{"role": "user", "content": "x" * 5000}]
    with pytest.raises(openai.BadRequestError) as too_long:
        client.chat.completions.create(model="quick", messages=long, stream=True)
    assert too_long.value.code == "context_length_exceeded"


def test_a_death_in_a_stream_is_raised(run: Any) -> None:
    with (
        run(quick="quick") as port,
        openai.OpenAI(base_url=f"{port.server.address}/v1", api_key="none", max_retries=0) as client,
    ):
        stream = client.chat.completions.create(
            model="quick",
            messages=[{"role": "user", "content": "!kill"}],
            stream=True,
            extra_body={"draft": False},
        )
        with pytest.raises(openai.APIError, match="stopped"):
            list(stream)
