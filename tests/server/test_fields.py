from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError

from app.server.core.unknown import IGNORED, Ignored
from app.server.ollama.fields import ChatRequest as OllamaChat
from app.server.openai.chat import ChatRequest
from app.server.openai.completions import CompletionRequest
from app.server.openai.messages import messages
from backends.protocol import Generate, Grammar, GrammarKind, Message, Overflow, Priority, SamplingParams, ToolCall
from tests.work import calls_of

MESSAGES = [{"role": "user", "content": "Hi"}]


def generate(**fields: Any) -> Generate:
    return ChatRequest.model_validate({"messages": MESSAGES, **fields}).generate(())


def test_absent_fields_have_llama_cpps_defaults() -> None:
    assert generate() == Generate((), sampling=SamplingParams(), priority=Priority.BATCH, is_parsed=True)
    nulls = {name: None for name in ChatRequest.model_fields if name != "messages"}
    assert generate(**nulls) == generate()
    assert generate().sampling.temperature == 0.8


def test_given_fields_reach_the_engine() -> None:
    wanted = generate(
        temperature=0,
        top_p=0.5,
        top_k=7,
        min_p=0.1,
        repeat_penalty=1.1,
        presence_penalty=-1,
        frequency_penalty=0.25,
        seed=5,
        max_tokens=9,
        stop="END",
        draft=False,
        ignore_eos=True,
    )
    assert wanted == Generate(
        (),
        sampling=SamplingParams(
            temperature=0.0,
            top_k=7,
            top_p=0.5,
            min_p=0.1,
            repeat_penalty=1.1,
            presence_penalty=-1.0,
            frequency_penalty=0.25,
            seed=5,
        ),
        max_tokens=9,
        stop=("END",),
        draft=False,
        ignore_eos=True,
        is_parsed=True,
    )


@pytest.mark.parametrize("overflow", list(Overflow))
def test_what_happens_at_the_end_of_the_context_can_be_chosen(overflow: Overflow) -> None:
    assert generate(context_overflow=overflow.value).overflow is overflow
    completion = CompletionRequest.model_validate({"prompt": "Hi", "context_overflow": overflow.value})
    assert completion.generate("Hi").overflow is overflow


def test_every_sampling_field_reaches_the_engine() -> None:
    given = {
        "typical_p": 0.9,
        "top_n_sigma": 1.5,
        "xtc_probability": 0.5,
        "xtc_threshold": 0.2,
        "dry_multiplier": 0.8,
        "dry_base": 2.0,
        "dry_allowed_length": 3,
        "dry_penalty_last_n": 100,
        "mirostat": 2,
        "mirostat_tau": 4.0,
        "mirostat_eta": 0.2,
    }
    wanted = generate(**given, dry_sequence_breakers=["."], logit_bias={"50": -100, "7": 1.5}).sampling
    assert wanted == SamplingParams(**given, dry_sequence_breakers=(".",), logit_bias=((50, -100.0), (7, 1.5)))
    assert generate(logit_bias=[[3, 2]]).sampling.logit_bias == ((3, 2.0),)
    assert generate(top_n_sigma=-1, dry_penalty_last_n=-1).sampling == SamplingParams()


@pytest.mark.parametrize(
    ("fields", "grammar"),
    [
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, Grammar(GrammarKind.JSON_SCHEMA, '{"type": "object"}')),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"enum": [1]}}}},
            Grammar(GrammarKind.JSON_SCHEMA, '{"enum": [1]}'),
        ),
        ({"json_schema": {"type": "null"}}, Grammar(GrammarKind.JSON_SCHEMA, '{"type": "null"}')),
        ({"grammar": 'root ::= "a"'}, Grammar(GrammarKind.GBNF, 'root ::= "a"')),
        ({"guided_regex": "a+", "grammar": ""}, Grammar(GrammarKind.REGEX, "a+")),
    ],
)
def test_every_form_of_grammar_reaches_the_engine(fields: dict[str, Any], grammar: Grammar | None) -> None:
    assert generate(**fields).grammar == grammar


@pytest.mark.parametrize("special", [None, True, False])
def test_whether_markers_in_a_text_are_read_can_be_chosen_on_both_routes(special: bool | None) -> None:
    assert generate(special=special).special is special
    completion = CompletionRequest.model_validate({"prompt": "Hi", "special": special})
    assert completion.generate("Hi").special is special


BEGUN = [*MESSAGES, {"role": "assistant", "content": "Hel"}]
EMPTY = [*MESSAGES, {"role": "assistant", "content": ""}]
NULL = [*MESSAGES, {"role": "assistant", "content": None}]


@pytest.mark.parametrize(
    ("fields", "continues"),
    [
        ({}, False),
        ({"messages": BEGUN}, True),
        ({"messages": BEGUN, "continue_final_message": True}, True),
        ({"messages": BEGUN, "continue_final_message": True, "add_generation_prompt": False}, True),
        ({"messages": BEGUN, "add_generation_prompt": False}, True),
        ({"messages": BEGUN, "continue_final_message": False}, False),
        ({"messages": BEGUN, "add_generation_prompt": True}, False),
        ({"messages": EMPTY}, False),
        ({"messages": EMPTY, "continue_final_message": True}, True),
        ({"messages": EMPTY, "add_generation_prompt": False}, True),
        ({"messages": EMPTY, "add_generation_prompt": True}, False),
        ({"messages": NULL}, False),
        ({"messages": NULL, "continue_final_message": True}, True),
        ({"add_generation_prompt": True}, False),
        ({"continue_final_message": False}, False),
    ],
)
def test_the_beginning_of_an_answer_is_gone_on_with_unless_it_is_said_otherwise(
    fields: dict[str, Any], continues: bool
) -> None:
    assert generate(**fields).continues is continues


@pytest.mark.parametrize(
    "fields",
    [
        {"continue_final_message": True},
        {"add_generation_prompt": False},
        {"messages": BEGUN, "continue_final_message": True, "add_generation_prompt": True},
        {"continue_final_message": 1},
        {"special": "yes"},
    ],
)
def test_nothing_else_can_be_gone_on_with(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        generate(**fields)


def test_the_length_of_guesses_has_llama_servers_name_too() -> None:
    assert generate(draft_length=0).draft_length == 0
    assert generate(**{"speculative.n_max": 5}).draft_length == 5


def test_adapters_are_named_by_their_place() -> None:
    assert generate(lora=[{"id": 1, "scale": 0.5}, {"id": 0, "scale": -1}]).adapters == ((1, 0.5), (0, -1.0))
    assert generate(lora=[]).adapters is None


def test_minus_one_means_what_it_means_in_llama_server() -> None:
    wanted = generate(top_k=-1, seed=-1, max_tokens=-1)
    assert (wanted.sampling.top_k, wanted.sampling.seed, wanted.max_tokens) == (0, None, None)
    assert generate(seed=2**40 + 3).sampling.seed == 3
    assert generate(stop=["", "a"]).stop == ("a",)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": -0.1},
        {"temperature": "hot"},
        {"temperature": "0.5"},
        {"temperature": True},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 1.1},
        {"top_k": -2},
        {"top_k": 2**31},
        {"top_k": 1.5},
        {"temperature": 1e7},
        {"min_p": -1},
        {"repeat_penalty": 0},
        {"typical_p": 1.1},
        {"top_n_sigma": -2},
        {"xtc_probability": -0.1},
        {"dry_base": 0.5},
        {"dry_multiplier": float("nan")},
        {"dry_allowed_length": -1},
        {"logit_bias": {"no token": False}},
        {"logit_bias": {"7": True}},
        {"dry_sequence_breakers": "."},
        {"dry_sequence_breakers": [""]},
        {"dry_sequence_breakers": ["."] * 17},
        {"mirostat": 3},
        {"mirostat": True},
        {"logit_bias": {"a": 1}},
        {"logit_bias": {"1234567890": 1}},  # no vocabulary has so many
        {"logit_bias": {"-1": 1}},
        {"logit_bias": {"5": 101}},
        {"logit_bias": {"5": float("nan")}},
        {"logit_bias": {"5": True}},
        {"logit_bias": {"²": 1}},
        {"logit_bias": {"99999999999999999999": 1}},
        {"logit_bias": [[5]]},
        {"logit_bias": {str(n): 1 for n in range(2000)}},
        {"presence_penalty": 2.5},
        {"frequency_penalty": -2.5},
        {"seed": 2**64},
        {"max_tokens": -2},
        {"max_tokens": 2**31},
        {"max_tokens": "5"},
        {"max_completion_tokens": True},
        {"stop": 5},
        {"stop": ["a", 5]},
        {"stop": ["a"] * 65},
        {"stop": "a" * 2000},
        {"n": 0},
        {"n": 9},
        {"n": True},
        {"stream": "yes"},
        {"response_format": "json"},
        {"response_format": {"type": "xml"}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_object", "schema": 0}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": 5}}},
        {"json_schema": []},
        {"json_schema": {"enum": ["a" * 70_000]}},
        {"grammar": 5},
        {"grammar": "a" * 70_000},
        {"guided_regex": "\ud800"},
        {"guided_regex": "a", "grammar": "b"},
        {"stream_options": []},
        {"draft": 1},
        {"draft_length": -1},
        {"draft_length": 17},
        {"draft_length": True},
        {"speculative.n_max": 17},
        {"lora": {"id": 0, "scale": 1}},
        {"lora": [{"id": 0}]},
        {"lora": [{"id": -1, "scale": 1}]},
        {"lora": [{"id": 0, "scale": "1"}]},
        {"lora": [{"id": 0, "scale": float("nan")}]},
        {"lora": [{"id": 0, "scale": 101}]},
        {"lora": [{"id": 0, "scale": 1}] * 65},
        {"context_overflow": "truncate"},
        {"context_overflow": True},
    ],
)
def test_what_is_out_of_range_or_of_another_type_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        generate(**fields)


def test_ranges_are_those_of_openai_and_llama_server() -> None:
    wanted = generate(
        temperature=100, seed=-(2**63), max_tokens=16.0, stop=["a"] * 64, logit_bias={"foo": 0, "7": 1}, top_k=5.0
    )
    assert (wanted.sampling.temperature, wanted.max_tokens, len(wanted.stop)) == (100.0, 16, 64)
    assert (wanted.sampling.logit_bias, wanted.sampling.top_k) == (((7, 1.0),), 5)
    assert generate(seed=2**64 - 1).sampling.seed == 2**32 - 1
    assert generate(max_tokens=0).max_tokens == 0
    assert generate(max_tokens=5, max_completion_tokens=0).max_tokens == 0
    assert generate(n_predict=3, repeat_last_n=-1).max_tokens == 3


def test_a_chat_carries_calls_names_and_reasoning() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    request = ChatRequest.model_validate(
        {
            "messages": [
                {"role": "user", "content": "1 + 1?", "name": "Ada"},
                {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "Let me see."},
                {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "2"}]},
                {"role": "assistant", "function_call": {"name": "add", "arguments": {"a": "ü"}}},
                {"role": "function", "name": "add", "content": "3"},
            ]
        }
    )
    assert messages(request.messages) == (
        Message("user", "1 + 1?", name="Ada"),
        Message("assistant", "", (ToolCall("c1", "add", '{"a": 1}'),), reasoning="Let me see."),
        Message("tool", "2", tool_call_id="c1"),
        Message("assistant", "", (ToolCall("", "add", '{"a": "ü"}'),)),
        Message("tool", "3", name="add"),
    )


@pytest.mark.parametrize(
    ("arguments", "read"), [({"a": 1}, '{"a": 1}'), ('{"a": 1}', '{"a": 1}'), (None, "{}"), ([1], None), (5, None)]
)
def test_arguments_of_a_call_are_a_text_or_an_object(arguments: Any, read: str | None) -> None:
    call = {"role": "assistant", "function_call": {"name": "add", "arguments": arguments}}
    if read is None:
        with pytest.raises(ValidationError):
            generate(messages=[*MESSAGES, call])
        return
    (*_, message) = messages(ChatRequest.model_validate({"messages": [*MESSAGES, call]}).messages)
    assert message.tool_calls == (ToolCall("", "add", read),)


def test_developer_is_a_system_message_and_null_content_is_empty() -> None:
    request = ChatRequest.model_validate(
        {"messages": [{"role": "developer", "content": "Be brief"}, {"role": "assistant", "content": None}]}
    )
    assert [message.message() for message in request.messages] == [
        Message("system", "Be brief"),
        Message("assistant", ""),
    ]


@pytest.mark.parametrize("prompt", [None, [], 5, [[]], [1, "a", []], [-1], [1.5], [True], {"a": 1}, ["a"] * 129])
def test_prompts_that_are_none(prompt: Any) -> None:
    with pytest.raises(ValidationError):
        CompletionRequest.model_validate({"prompt": prompt})


@pytest.mark.parametrize(("budget", "most"), [(-1, None), (0, 1), (7, 7), (None, None)])
@pytest.mark.parametrize("name", ["reasoning_budget_tokens", "thinking_budget_tokens"])
def test_a_budget_of_thoughts_reaches_the_engine(name: str, budget: int | None, most: int | None) -> None:
    assert generate(**{name: budget}).max_thoughts == most


@pytest.mark.parametrize(
    "fields",
    [
        {"adaptive_target": 0.5},
        {"grammar_lazy": True},
        {"reasoning_budget_message": "Enough."},
        {"echo": True},
        {"preserved_tokens": ["<a>"]},
        {"context_overflow": "roll", "n_keep": 5},
        {"context_overflow": "roll", "n_discard": 5},
    ],
    ids=str,
)
def test_what_llama_servers_source_alone_tells_of_is_not_ignored(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        generate(**fields)


def test_what_stays_of_a_context_does_not_matter_where_it_does_not_roll() -> None:
    assert generate(n_keep=5, n_discard=5) == generate()
    assert generate(n_keep=0, context_overflow="roll") == generate(context_overflow="roll")


def test_a_prompt_is_read_anew_where_the_cache_is_not_wanted() -> None:
    for wanted, reuses in ((False, False), (True, True), (None, True)):
        assert generate(cache_prompt=wanted).reuses is reuses


def test_ollamas_shift_is_a_context_that_rolls() -> None:
    for shift, overflow in ((True, Overflow.ROLL), (False, Overflow.ERROR), (None, Overflow.ERROR)):
        asked = OllamaChat.model_validate({"model": "m", "messages": MESSAGES, "shift": shift})
        wanted = asked.wanted()
        assert wanted is not None
        assert wanted.overflow is overflow


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"logit_bias": {str(token): 1 for token in range(20_000)}}, 20_000),
        ({"logit_bias": [[1, 1]] * 20_000}, 20_000),
        ({"json_schema": {"a": [[]] * 2**18}}, 2**18),
        ({"prompt": [1] * 20_000}, 20_000),
    ],
    ids=["biases", "pairs of biases", "schema", "tokens"],
)
def test_a_value_far_beyond_its_bound_is_not_read_to_its_end(fields: dict[str, Any], size: int) -> None:
    """Nothing else is answered while fields are read."""

    def read() -> None:
        with suppress(ValidationError):
            CompletionRequest.model_validate({"prompt": "Hi"} | fields)

    assert calls_of(read) < size


def test_the_names_of_one_request_are_compared_up_to_a_bound_in_all_its_parts() -> None:
    def read(num_messages: int) -> None:
        token = IGNORED.set(Ignored())
        names = ({f"{each}beside{number}": 1 for number in range(40)} for each in range(num_messages))
        ChatRequest.model_validate({"messages": [MESSAGES[0] | unknown for unknown in names]})
        IGNORED.reset(token)

    read(1)
    few, many = (calls_of(partial(read, num_messages)) for num_messages in (4, 40))
    assert many < 2 * few
