"""What vLLM's routes take beyond OpenAI's (vllm/entrypoints/openai/protocol.py), which programs send in `extra_body`.

guided_json, guided_grammar and guided_regex are done, as is what it calls as llama-server does.
"""

from app.server.core.fields import Refused

# how its server goes about it, whatever is answered
IGNORED = frozenset(
    {"guided_decoding_backend", "kv_transfer_params", "media_io_kwargs", "mm_processor_kwargs"}
    | {"priority", "request_id", "spaces_between_special_tokens"}
)
BY_SCHEMA = "send response_format, json_schema, grammar or guided_regex"
TOKENS = "what may come is said by logit_bias, or by a grammar"

REFUSED = {
    "allowed_token_ids": Refused(TOKENS, ([],)),
    "cache_salt": Refused("prompts that begin alike share what was read; cache_prompt false reads one anew", ("",)),
    "bad_words": Refused(TOKENS, ([],)),
    "documents": Refused("write them into a message", ([],)),
    "guided_choice": Refused(f"{BY_SCHEMA}, such as a schema with an enum"),
    "guided_whitespace_pattern": Refused("white space is as models write it"),
    "include_reasoning": Refused("thoughts are told apart; reasoning_effort none has none", (True,)),
    "include_stop_str_in_output": Refused("an answer ends before its stop string", (False,)),
    "length_penalty": Refused("answers are not searched for in beams", (1,)),
    "logits_processors": Refused("no code of others is run here", ([],)),
    "min_tokens": Refused("an answer ends where the model ends it; ignore_eos goes on", (0,)),
    "prompt_logprobs": Refused("/v1/completions gives them, with echo and logprobs", (0,)),
    "return_token_ids": Refused("answers are texts", (False,)),
    "return_tokens_as_token_ids": Refused("tokens are told as texts", (False,)),
    "skip_special_tokens": Refused("control tokens are no part of an answer", (True,)),
    "stop_token_ids": Refused("say in stop what an answer ends before", ([],)),
    "structural_tag": Refused(BY_SCHEMA),
    "structured_outputs": Refused(BY_SCHEMA),
    "truncate_prompt_tokens": Refused("a prompt that does not fit is refused, not cut; context_overflow lets it roll"),
    "use_beam_search": Refused("answers are not searched for in beams", (False,)),
    "vllm_xargs": Refused("these are for other servers", ({},)),
}
