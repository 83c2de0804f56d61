"""What both of OpenAI's routes for text take and do nothing about, and what they refuse."""

from app.server.core.fields import Refused
from app.server.core.text_fields import TextFields
from app.server.openai import vllm

# who asks, and what a shop keeps of it
BOOKKEEPING = frozenset(
    {"metadata", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier"}
    | {"service_tier", "store", "user"}
)
ENDS_THOUGHTS = {"reasoning_control"}  # of another request
IGNORED = TextFields.ignored | BOOKKEEPING | vllm.IGNORED | ENDS_THOUGHTS

REFUSED = (
    TextFields.refused
    | vllm.REFUSED
    | {
        "chat_template": Refused("the model's own template is used"),
        "generation_prompt": Refused("begin the assistant's turn yourself, as the last message", ("",)),
        "n_probs": Refused("ask for logprobs", (0,)),
    }
)
