from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from backends.protocol import Adapter, EngineOptions
from tests.server.conftest import RunPort, user

Says = Callable[[str], str]
AGAIN = "A question that is asked again and again"
TIMINGS = {
    "prompt_n",
    "cache_n",
    "cache_tier",
    "cache_miss",
    "predicted_n",
    "rolled_n",
    "draft_n",
    "draft_accepted_n",
    "prompt_ms",
    "prompt_per_second",
    "predicted_ms",
    "predicted_per_second",
}


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])


def test_a_whole_answer_has_openais_shape_and_the_account(port: Any, says: Says) -> None:
    answer = port.chat("Hello", model="quick").json()
    assert answer["object"] == "chat.completion"
    assert answer["id"].startswith("chatcmpl-")
    assert answer["model"] == "quick"
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == says("Hello")
    assert choice["finish_reason"] == "stop"
    usage, timings = answer["usage"], answer["timings"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] == len(says("Hello").encode()) + 1
    assert timings.keys() == TIMINGS
    assert usage["prompt_tokens"] == timings["prompt_n"] + timings["cache_n"]
    assert timings["predicted_per_second"] > 0


def test_a_second_turn_says_how_much_it_reused(port: Any, says: Says) -> None:
    turns = [
        {"role": "user", "content": "First, of two"},
        {"role": "assistant", "content": says("First, of two")},
        {"role": "user", "content": "Second, of two"},
    ]
    port.post("chat/completions", model="quick", messages=turns[:1])
    answer = port.post("chat/completions", model="quick", messages=turns).json()
    assert answer["choices"][0]["message"]["content"] == says("Second, of two")
    reused = answer["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert reused == answer["timings"]["cache_n"] > len(says("First, of two"))
    assert answer["timings"]["cache_tier"] == {"resident": reused, "ram": 0, "disk": 0}
    assert answer["timings"]["cache_miss"]["reason"] == "new_text"
    assert f"at token {reused}" in answer["timings"]["cache_miss"]["message"]


@pytest.mark.parametrize(
    ("path", "prompt"),
    [
        ("/v1/chat/completions", {"messages": user(AGAIN)}),
        ("/v1/completions", {"prompt": AGAIN}),
        ("/completion", {"prompt": AGAIN}),
    ],
)
def test_a_prompt_is_read_anew_where_the_cache_is_not_wanted(port: Any, path: str, prompt: dict[str, Any]) -> None:
    def timings(**fields: Any) -> dict[str, Any]:
        answer = port.client.post(path, json={"model": "quick", "max_tokens": 1, **prompt, **fields}).json()
        account: dict[str, Any] = answer["timings"]
        if "usage" in answer:
            assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == account["cache_n"]
        return account

    timings()
    reused, anew = timings(), timings(cache_prompt=False)
    assert (reused["prompt_n"], reused["cache_n"] >= len(AGAIN)) == (1, True)
    assert (anew["prompt_n"], anew["cache_n"]) == (reused["cache_n"] + 1, 0)


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_a_stream_tells_how_fast_it_comes_where_that_is_asked_for(port: Any, path: str) -> None:
    asked = {"prompt": "Hello"} if path == "completions" else {"messages": user("Hello")}
    body = {"model": "slow", "stream": True, "max_tokens": 8, "timings_per_token": True, "draft": False, **asked}
    with port.client.stream("POST", f"/v1/{path}", json=body) as response:
        chunks = list(port.read(response))

    def text(chunk: dict[str, Any]) -> str:
        (choice,) = chunk["choices"]
        told: str = choice.get("text") or choice.get("delta", {}).get("content", "")
        return told

    timed = [chunk["timings"] for chunk in chunks if "timings" in chunk]
    said = [chunk["timings"]["predicted_n"] for chunk in chunks if "timings" in chunk and text(chunk)]
    assert len(said) == len([chunk for chunk in chunks if text(chunk)]) > 3
    assert said == sorted(set(said))
    assert (said[0], timed[-1]["predicted_n"]) == (1, 8)
    assert all(each["prompt_n"] + each["cache_n"] > 1 for each in timed)
    assert timed[-1]["predicted_ms"] > timed[1]["predicted_ms"] > 0


def test_a_stream_says_the_same_piece_by_piece(port: Any, says: Says) -> None:
    with port.stream("Héllo", model="quick", draft=False) as stream:
        assert stream.response.headers["content-type"].startswith("text/event-stream")
        chunks = list(stream)
    assert stream.ended_well
    assert text_of(chunks) == says("Héllo")
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert len(chunks) > 10
    assert all(text_of([chunk]) for chunk in chunks[1:-1])  # none for half a character
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    finishes = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert finishes == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[-1]["timings"].keys() == TIMINGS
    assert all("usage" not in chunk for chunk in chunks)


def test_usage_comes_last_when_it_is_asked_for(port: Any) -> None:
    with port.stream("Hello", model="quick", stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_an_answer_ends_at_its_limit_or_its_stop_string(port: Any) -> None:
    short = port.chat("Hello", model="quick", max_tokens=3).json()
    assert short["choices"][0]["message"]["content"] == "You"
    assert short["choices"][0]["finish_reason"] == "length"
    newer = port.chat("Hello", model="quick", max_tokens=9, max_completion_tokens=4).json()
    assert newer["usage"]["completion_tokens"] == 4
    stopped = port.chat("Hello", model="quick", stop=["zzz", " engine"]).json()
    assert stopped["choices"][0]["message"]["content"].endswith("— The quick")
    assert stopped["choices"][0]["finish_reason"] == "stop"


def test_an_answer_of_no_tokens_says_nothing(port: Any) -> None:
    answer = port.chat("Hello", model="quick", max_tokens=0, logprobs=True).json()
    assert (answer["choices"][0]["message"]["content"], answer["choices"][0]["finish_reason"]) == ("", "length")
    assert answer["usage"]["completion_tokens"] == 0 < answer["usage"]["prompt_tokens"]
    with port.stream("Hello", model="quick", max_tokens=0) as stream:
        assert text_of(list(stream)) == ""
    assert stream.ended_well


def test_content_may_come_in_text_parts(port: Any, says: Says) -> None:
    parts = [{"type": "text", "text": "One,"}, {"type": "text", "text": "two"}]
    answer = port.post("chat/completions", messages=[{"role": "user", "content": parts}]).json()
    assert answer["choices"][0]["message"]["content"] == says("One,\ntwo")


def test_without_a_name_the_first_model_answers(port: Any) -> None:
    assert port.chat("Hello", max_tokens=1).json()["model"] == "quick"
    assert port.chat("Hello", max_tokens=1, model="").json()["model"] == "quick"
    assert port.chat("Hello", max_tokens=1, model="slow").json()["model"] == "slow"


def test_fields_that_nobody_knows_are_ignored(port: Any) -> None:
    assert port.chat("Hello", max_tokens=1, logit_bias=None, user="me", novelty={"a": [1]}).status_code == 200


def test_drafting_can_be_switched_off_for_one_answer(port: Any, says: Says) -> None:
    options = EngineOptions(draft_length=4)  # or there are none on a machine where they do not pay
    port.supervisor.load("drafting", Path("quick"), options, backend="fake")
    drafted = port.chat("Draft me", model="drafting").json()
    plain = port.chat("Draft me", model="drafting", draft=False).json()
    port.supervisor.unload("drafting")
    assert drafted["timings"]["draft_accepted_n"] > 0
    assert plain["timings"]["draft_n"] == 0
    assert plain["choices"][0]["message"]["content"] == says("Draft me")


def test_guesses_can_be_limited_for_one_answer(port: Any) -> None:
    for name in ("draft_length", "speculative.n_max"):
        plain = port.chat("Draft me", model="quick", **{name: 0}).json()
        assert plain["timings"]["draft_n"] == 0
        limited = port.chat("Draft me", model="quick", **{name: 1}).json()
        timings = limited["timings"]
        assert timings["draft_n"] <= timings["predicted_n"], "at most one guess for each step, which says one token"
        assert plain["choices"] == limited["choices"]


def test_an_answer_may_have_adapters_of_its_own(run: RunPort, says: Says) -> None:
    adapters = (Adapter(Path("one.gguf"), 0.0), Adapter(Path("two.gguf"), 0.0))

    def answer(port: Any, **fields: Any) -> str:
        text: str = port.chat("Adapt me", model="adapted", **fields).json()["choices"][0]["message"]["content"]
        return text

    with run() as port:
        port.supervisor.load("adapted", Path("quick"), EngineOptions(adapters=adapters), backend="fake")
        assert answer(port) == says("Adapt me")
        assert answer(port, lora=[{"id": 1, "scale": 1.0}]) == says("Adapt me").swapcase()
        assert answer(port, lora=[]) == says("Adapt me")
        refusal = port.chat("Adapt me", lora=[{"id": 2, "scale": 1.0}])
        assert refusal.status_code == 400
        assert "There is no LoRA adapter 2" in refusal.json()["error"]["message"]


def test_two_streams_run_side_by_side_in_one_engine(port: Any, says: Says) -> None:
    both = port.watch.sees("slow", lambda snapshot: snapshot.stats and snapshot.stats.num_running == 2)
    plain = {"model": "slow", "draft": False}
    with both, port.stream("Eins", **plain) as one, port.stream("Zwei", **plain) as two:
        beginnings = one.next_text(), two.next_text()
        rest_of_two, rest_of_one = text_of(list(two)), text_of(list(one))
    assert beginnings[0] + rest_of_one == says("Eins")
    assert beginnings[1] + rest_of_two == says("Zwei")


@pytest.mark.parametrize("num_requests", [12])
def test_many_at_once_each_get_their_own_answer(port: Any, says: Says, num_requests: int) -> None:
    questions = [f"Question {number}" for number in range(num_requests)]
    with ThreadPoolExecutor(num_requests) as pool:
        answers = list(pool.map(lambda text: port.chat(text, model="quick").json(), questions))
    texts = [answer["choices"][0]["message"]["content"] for answer in answers]
    assert texts == [says(question) for question in questions]
