"""Each field of the four APIs stands in one of three lists: done, ignored, or refused by name."""

from typing import Any, get_type_hints

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsBase as ChatParams
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming as ChatStreams
from openai.types.completion_create_params import CompletionCreateParamsBase as CompletionParams
from openai.types.completion_create_params import CompletionCreateParamsStreaming as CompletionStreams
from openai.types.embedding_create_params import EmbeddingCreateParams
from openai.types.responses.input_token_count_params import InputTokenCountParams as CountParams
from openai.types.responses.response_create_params import ResponseCreateParamsBase as ResponseParams
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming as ResponseStreams

from app.server.anthropic.fields import CountRequest as AnthropicCount
from app.server.anthropic.fields import MessagesRequest
from app.server.core.fields import Fields
from app.server.llama_server.embeddings import EmbeddingRequest
from app.server.llama_server.fields import CompletionRequest as LlamaRequest
from app.server.llama_server.fields import InfillRequest, TokenizeRequest
from app.server.ollama.embed import ElderRequest, EmbedRequest
from app.server.ollama.fields import ChatRequest as OllamaChat
from app.server.ollama.fields import GenerateRequest, Options
from app.server.openai.chat import ChatRequest
from app.server.openai.completions import CompletionRequest
from app.server.openai.embeddings import EmbeddingsRequest
from app.server.openai.rerank import RerankRequest
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
# of tools/server/server-schema.cpp, which /completion and chats go through, and which says more than the documentation
LLAMA_SERVER_SCHEMA = """verbose timings_per_token stream stream_options cache_prompt return_tokens return_progress
sse_ping_interval n_predict max_completion_tokens max_tokens n_indent n_keep n_discard n_cmpl n n_cache_reuse
t_max_predict_ms response_fields top_k top_p min_p top_n_sigma xtc_probability xtc_threshold typical_p temperature
dynatemp_range dynatemp_exponent repeat_last_n repeat_penalty frequency_penalty presence_penalty dry_multiplier
dry_base dry_allowed_length dry_penalty_last_n mirostat mirostat_tau mirostat_eta adaptive_target adaptive_decay seed
n_probs logprobs min_keep backend_sampling post_sampling_probs speculative.n_max speculative.n_min speculative.p_min
speculative.type speculative.ngram_size_n speculative.ngram_size_m speculative.ngram_min_hits lora
dry_sequence_breakers json_schema grammar grammar_type grammar_lazy chat_format reasoning_format generation_prompt
parse_tool_calls chat_parser continue_final_message echo preserved_tokens grammar_triggers reasoning_control
reasoning_budget_tokens thinking_budget_tokens reasoning_budget_start_tag reasoning_budget_end_tags
reasoning_budget_end_tag reasoning_budget_message logit_bias ignore_eos stop samplers"""

# of anthropic 2.14.0: types/message_create_params.py and message_count_tokens_params.py, with those of types/beta
ANTHROPIC = """model messages system tools tool_choice thinking output_config output_format cache_control speed
user_profile_id workspace_id betas billing_policy compaction context_management mcp_servers"""
ANTHROPIC_MESSAGES = """max_tokens stop_sequences stream temperature top_p top_k metadata service_tier inference_geo
diagnostics container thread fallbacks fallback_credit_token"""

# of ollama 0.6.3, _types.py; behind it those of Ollama's own api/types.go
OLLAMA = "model stream options format keep_alive think logprobs top_logprobs truncate shift _debug_render_only"
OLLAMA_GENERATE = "prompt suffix system template context raw images width height steps"
OLLAMA_OPTIONS = """numa num_ctx num_batch num_gpu main_gpu low_vram f16_kv logits_all vocab_only use_mmap use_mlock
embedding_only num_thread num_keep seed num_predict top_k top_p tfs_z typical_p repeat_last_n temperature
repeat_penalty presence_penalty frequency_penalty mirostat mirostat_tau mirostat_eta penalize_newline stop min_p"""

ROUTES: list[tuple[type[Fields], set[str]]] = [
    (ChatRequest, {*get_type_hints(ChatParams), *get_type_hints(ChatStreams)}),
    (ChatRequest, {*LLAMA_SERVER.split(), *LLAMA_SERVER_CHAT.split()} - {"prompt"}),
    (CompletionRequest, {*get_type_hints(CompletionParams), *get_type_hints(CompletionStreams)}),
    (CompletionRequest, set(LLAMA_SERVER.split())),
    (LlamaRequest, set(LLAMA_SERVER.split())),
    (ResponseRequest, {*get_type_hints(ResponseParams), *get_type_hints(ResponseStreams)}),
    (CountRequest, {*get_type_hints(CountParams)}),
    (EmbeddingsRequest, {*get_type_hints(EmbeddingCreateParams)}),
    (ChatRequest, set(LLAMA_SERVER_SCHEMA.split())),
    (CompletionRequest, set(LLAMA_SERVER_SCHEMA.split())),
    (LlamaRequest, set(LLAMA_SERVER_SCHEMA.split())),
    (InfillRequest, {*LLAMA_SERVER_SCHEMA.split(), "input_prefix", "input_suffix", "input_extra", "prompt"}),
    (EmbeddingRequest, {"content", "input", "embd_normalize", "encoding_format", "model"}),
    (RerankRequest, {"query", "documents", "texts", "top_n", "return_text", "model"}),
    (TokenizeRequest, {"content", "add_special", "parse_special", "with_pieces"}),
    (MessagesRequest, {*ANTHROPIC.split(), *ANTHROPIC_MESSAGES.split()}),
    (AnthropicCount, set(ANTHROPIC.split())),
    (OllamaChat, {*OLLAMA.split(), "messages", "tools"}),
    (GenerateRequest, {*OLLAMA.split(), *OLLAMA_GENERATE.split()}),
    (Options, set(OLLAMA_OPTIONS.split())),
    (EmbedRequest, {"model", "input", "truncate", "options", "keep_alive", "dimensions"}),
    (ElderRequest, {"model", "prompt", "options", "keep_alive"}),
]
IDS = [
    "openai chat",
    "llama-server chat",
    "openai completions",
    "llama-server completions",
    "llama-server completion",
    "openai responses",
    "openai input tokens",
    "openai embeddings",
    "llama-server chat, by its source",
    "llama-server completions, by its source",
    "llama-server completion, by its source",
    "llama-server infill, by its source",
    "llama-server embedding",
    "llama-server rerank",
    "llama-server tokenize",
    "anthropic messages",
    "anthropic count_tokens",
    "ollama chat",
    "ollama generate",
    "ollama options",
    "ollama embed",
    "ollama embeddings",
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
