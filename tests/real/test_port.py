"""OpenAI's own client speaks with SmolLM2 through the port."""

import json
from collections.abc import Iterator

import pytest
from openai import OpenAI

from app.inference.supervisor import EngineHandle, Supervisor
from app.server import Server
from tests.real.test_main_roads import CAPITAL, CITY
from tests.server.conftest import Directory

NAME = "smollm2"


@pytest.fixture
def client(real_supervisor: Supervisor, engine: EngineHandle) -> Iterator[OpenAI]:  # noqa: ARG001
    server = Server(Directory(real_supervisor))
    url = server.start(port=0)
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client
    server.stop()


def test_a_chat_is_answered_at_once_and_as_a_stream(client: OpenAI) -> None:
    messages = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": CAPITAL}]
    whole = client.chat.completions.create(model=NAME, messages=messages, temperature=0, max_tokens=48)  # type: ignore[arg-type, call-overload]
    stream = client.chat.completions.create(  # type: ignore[call-overload]
        model=NAME, messages=messages, temperature=0, max_tokens=48, stream=True
    )
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert "Paris" in whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    assert streamed == whole.choices[0].message.content


def test_a_schema_of_the_client_is_kept(client: OpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}
    answer = client.chat.completions.create(
        model=NAME,
        messages=[{"role": "user", "content": CAPITAL}],
        response_format=form,  # type: ignore[arg-type]
        temperature=0,
        max_tokens=48,
    )
    assert set(json.loads(answer.choices[0].message.content or "")) == {"city", "is_capital"}


def test_a_prompt_is_read_anew_where_the_cache_is_not_wanted(client: OpenAI) -> None:
    def account(**fields: bool) -> tuple[dict[str, int], int]:
        """And how many of the prompt's tokens the client is told to be cached."""
        answer = client.chat.completions.create(
            model=NAME,
            messages=[{"role": "user", "content": CAPITAL}],
            temperature=0,
            max_tokens=4,
            extra_body=fields,
        )
        assert answer.usage
        assert answer.usage.prompt_tokens_details
        return answer.timings, answer.usage.prompt_tokens_details.cached_tokens  # type: ignore[attr-defined, return-value]

    account()
    reused, anew = account(), account(cache_prompt=False)
    assert reused[0]["prompt_n"] == 1
    assert anew[0]["prompt_n"] == reused[0]["cache_n"] + 1 > 20
    assert (anew[0]["cache_n"], anew[1]) == (0, 0)


def test_a_text_goes_on(client: OpenAI) -> None:
    answer = client.completions.create(model=NAME, prompt="One, two, three, four,", temperature=0, max_tokens=8)
    assert "five" in answer.choices[0].text
