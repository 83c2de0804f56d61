"""What OpenAI's routes for text take and do nothing about, and what they refuse: llama-server's fields as well."""

from app.server.core.fields import Refused

# who asks, and what a shop keeps of it
BOOKKEEPING = frozenset(
    {"metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier"}
    | {"service_tier", "store", "user"}
)
# how llama-server goes about it, whatever is answered
WORKINGS = frozenset(
    {"cache_prompt", "id_slot", "n_cache_reuse", "n_discard", "n_keep", "return_progress", "sse_ping_interval"}
    | {"dynatemp_exponent", "parse_tool_calls", "reasoning_control", "reasoning_format", "timings_per_token"}
)
IGNORED = BOOKKEEPING | WORKINGS

REFUSED = {
    "chat_template": Refused("the model's own template is used"),
    "chat_template_kwargs": Refused("templates cannot be told anything yet", ({},)),
    "dynatemp_range": Refused("the temperature stays as it is", (0,)),
    "generation_prompt": Refused("begin the assistant's turn yourself, as the last message", ("",)),
    "min_keep": Refused("filters keep what they keep", (0, 1)),
    "n_cmpl": Refused("it is called n here", (1,)),
    "n_indent": Refused("lines may begin as they like", (0,)),
    "n_probs": Refused("ask for logprobs", (0,)),
    "post_sampling_probs": Refused("logprobs are the model's own, from before the filters", (False,)),
    "response_fields": Refused("the whole answer is given", ([],)),
    "return_tokens": Refused("answers are texts", (False,)),
    "samplers": Refused("the order of the filters is llama.cpp's", ([],)),
    "t_max_predict_ms": Refused("set max_tokens", (0, -1)),
}
