"""What becomes of a prompt's text on SmolLM2: markers of people stay text, raw texts may hold markers, answers end."""

from dataclasses import replace
from queue import SimpleQueue
from unittest.mock import ANY

import pytest

from app.inference.supervisor import EngineHandle
from backends.protocol import GREEDY, Finish, Generate, Message, Output, Reading, Reads, SamplingParams
from tests.inference.conftest import SECONDS, Answer
from tests.real.test_main_roads import CAPITAL, account, chat

HELLO = (Message("system", "Be brief."), Message("user", "Hello"))
CHATML = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
HALF = 10813  # b"\xf0\x9f", of most emoji the first half


def answer_to(engine: EngineHandle, prompt: object, **fields: object) -> Answer:
    answer = Answer()
    settings = {"sampling": GREEDY, "max_tokens": 1, **fields}
    engine.submit(Generate(prompt, **settings), answer)  # type: ignore[arg-type]
    return answer.wait()


def num_tokens(engine: EngineHandle, prompt: object, **fields: object) -> int:
    """Of the prompt."""
    timings = account(answer_to(engine, prompt, **fields))
    return timings.prompt_n + timings.cache_n


def test_a_raw_prompt_is_read_with_its_markers_unless_the_request_says_otherwise(engine: EngineHandle) -> None:
    as_chat = num_tokens(engine, HELLO)
    assert num_tokens(engine, CHATML) == as_chat
    assert num_tokens(engine, CHATML, special=True) == as_chat
    assert num_tokens(engine, CHATML, special=False) > as_chat + 20


def read(engine: EngineHandle, prompt: object, reads: Reads, **fields: object) -> Reading:
    answer: SimpleQueue[object] = SimpleQueue()
    engine.submit(Generate(prompt, reads=reads, **fields), answer.put)  # type: ignore[arg-type]
    reading = answer.get(timeout=SECONDS)
    assert isinstance(reading, Reading)
    return reading


def test_a_prompt_can_be_read_without_an_answer(engine: EngineHandle) -> None:
    as_chat = read(engine, HELLO, Reads.PROMPT)
    assert as_chat.text == CHATML
    assert len(as_chat.tokens) == num_tokens(engine, HELLO)
    assert read(engine, CHATML, Reads.BARE) == replace(as_chat, uid=ANY)
    half = read(engine, "🙂", Reads.BARE)
    assert (half.text, half.tokens[0]) == ("🙂", HALF)
    assert read(engine, half.tokens, Reads.PROMPT).text == "🙂"
    assert len(read(engine, "<|im_end|>", Reads.BARE).tokens) == 1
    assert len(read(engine, "<|im_end|>", Reads.BARE, special=False).tokens) > 1


def test_a_marker_that_a_person_wrote_is_text_unless_the_request_says_otherwise(engine: EngineHandle) -> None:
    plain = num_tokens(engine, (Message("user", "a b"),))
    marked = (Message("user", "a<|im_end|>b"),)
    assert num_tokens(engine, marked) > plain + 4
    assert num_tokens(engine, marked, special=False) > plain + 4
    assert num_tokens(engine, marked, special=True) <= plain + 1


@pytest.mark.parametrize("draft", [True, False])
def test_a_stop_string_that_is_a_marker_ends_the_answer(engine: EngineHandle, draft: bool) -> None:
    ended = chat(engine, CAPITAL, draft=draft)
    stopped = chat(engine, CAPITAL, draft=draft, ignore_eos=True, stop=("<|im_end|>",), logprobs=0)
    assert isinstance(stopped.last, Output)
    assert stopped.last.finish is Finish.STOP
    assert stopped.text == ended.text
    assert account(stopped).predicted_n == account(ended).predicted_n
    logprobs = [found for event in stopped.events if isinstance(event, Output) for found in event.logprobs]
    assert b"".join(found.piece for found in logprobs).decode() == stopped.text


@pytest.mark.parametrize("draft", [True, False])
def test_a_stop_string_may_go_on_after_a_marker(engine: EngineHandle, draft: bool) -> None:
    ended = chat(engine, CAPITAL)
    last = ended.text[-9:]
    stopped = chat(engine, CAPITAL, draft=draft, ignore_eos=True, stop=(f"{last}<|im_end|>\n",), max_tokens=60)
    assert stopped.last.finish is Finish.STOP  # type: ignore[union-attr]
    assert stopped.text == ended.text[:-9]


def test_what_is_said_after_a_stop_string_is_not_counted(engine: EngineHandle) -> None:
    with_drafts, without = (chat(engine, CAPITAL, draft=draft, stop=(" is",), logprobs=0) for draft in (True, False))
    assert with_drafts.text == without.text
    assert account(with_drafts).predicted_n == account(without).predicted_n


def test_an_answer_cut_within_a_character_ends_before_it(engine: EngineHandle) -> None:
    half = SamplingParams(temperature=0, logit_bias=((HALF, 1000.0),))
    answer = answer_to(engine, HELLO, sampling=half, logprobs=0)
    assert answer.text == ""
    pieces = [found.piece for event in answer.events if isinstance(event, Output) for found in event.logprobs]
    assert pieces == [b"\xf0\x9f"], "the logprobs say what came"


def test_the_beginning_of_an_answer_is_gone_on_with(engine: EngineHandle) -> None:
    begun = (Message("user", CAPITAL), Message("assistant", "The capital of France"))
    answer = answer_to(engine, begun, continues=True, max_tokens=8)
    assert answer.text.startswith(" is Paris")
