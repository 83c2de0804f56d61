"""Each field of the four APIs stands in one of three lists: done, ignored, or refused by name."""

from typing import Any, get_type_hints

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatParams
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming as ChatStreams
from openai.types.completion_create_params import CompletionCreateParamsBase as CompletionParams
from openai.types.completion_create_params import CompletionCreateParamsStreaming as CompletionStreams
from openai.types.responses.input_token_count_params import InputTokenCountParams as CountParams
from openai.types.responses.response_create_params import ResponseCreateParamsBase as ResponseParams
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming as ResponseStreams

from app.server.core.fields import Fields
from app.server.openai.chat import ChatRequest
from app.server.openai.completions import CompletionRequest
from app.server.responses.fields import CountRequest, ResponseRequest

# of tools/server/README.md, /completion
LLAMA_SERVER = """prompt temperature dynatemp_range dynatemp_exponent top_k top_p min_p n_predict n_indent n_keep n_cmpl
n_cache_reuse stream stop typical_p repeat_penalty repeat_last_n presence_penalty frequency_penalty dry_multiplier
dry_base dry_allowed_length dry_penalty_last_n dry_sequence_breakers xtc_probability xtc_threshold mirostat
mirostat_tau mirostat_eta grammar json_schema seed ignore_eos logit_bias n_probs min_keep t_max_predict_ms id_slot
cache_prompt return_tokens samplers timings_per_token return_progress sse_ping_interval post_sampling_probs
response_fields lora"""
LLAMA_SERVER_CHAT = """chat_template_kwargs reasoning_effort reasoning_format reasoning_control generation_prompt
parse_tool_calls parallel_tool_calls"""

ROUTES: list[tuple[type[Fields], set[str]]] = [
    (ChatRequest, {*get_type_hints(ChatParams), *get_type_hints(ChatStreams)}),
    (ChatRequest, {*LLAMA_SERVER.split(), *LLAMA_SERVER_CHAT.split()} - {"prompt"}),
    (CompletionRequest, {*get_type_hints(CompletionParams), *get_type_hints(CompletionStreams)}),
    (CompletionRequest, set(LLAMA_SERVER.split())),
    (ResponseRequest, {*get_type_hints(ResponseParams), *get_type_hints(ResponseStreams)}),
    (CountRequest, {*get_type_hints(CountParams)}),
]
IDS = [
    "openai chat",
    "llama-server chat",
    "openai completions",
    "llama-server completions",
    "openai responses",
    "openai input tokens",
]


@pytest.mark.parametrize(("request_type", "names"), ROUTES, ids=IDS)
def test_no_field_is_forgotten_and_none_is_in_two_lists(request_type: type[Fields], names: set[str]) -> None:
    done, ignored, refused = request_type.done(), request_type.ignored, frozenset(request_type.refused)
    assert not done & ignored | done & refused | ignored & refused
    assert names - {"extra_headers", "extra_query", "extra_body", "timeout"} <= done | ignored | refused


BODIES: dict[type[Fields], tuple[str, dict[str, Any]]] = {
    ChatRequest: ("chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}),
    CompletionRequest: ("completions", {"prompt": "Hi", "max_tokens": 1}),
    ResponseRequest: ("responses", {"input": "Hi", "max_output_tokens": 1}),
    CountRequest: ("responses/input_tokens", {"input": "Hi"}),
}
REFUSED = [(request_type, name) for request_type in BODIES for name in request_type.refused]


@pytest.mark.parametrize(("request_type", "name"), REFUSED, ids=lambda value: getattr(value, "__name__", value))
def test_what_cannot_be_done_is_refused_by_name(port: Any, request_type: type[Fields], name: str) -> None:
    path, body = BODIES[request_type]
    response = port.post(path, model="quick", **body, **{name: {"odd": 1}})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["param"] == name
    assert error["message"].startswith(f"{name}: ")


@pytest.mark.parametrize("request_type", BODIES, ids=lambda value: value.__name__)
def test_what_asks_for_nothing_is_let_through(port: Any, request_type: type[Fields]) -> None:
    path, body = BODIES[request_type]
    harmless = {name: refused.but[0] for name, refused in request_type.refused.items() if refused.but}
    for fields in (
        harmless,
        dict.fromkeys(request_type.refused),
        dict.fromkeys(request_type.ignored, "x"),
        dict.fromkeys(request_type.done() - body.keys() - {"model"}),
    ):
        response = port.post(path, model="quick", **body, **fields)
        assert response.status_code == 200, response.text
