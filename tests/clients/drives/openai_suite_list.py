"""What of openai-python's own tests is asked of the port, and what is left out, each with its reason."""

FILES = {
    "chat completions": "chat/test_completions.py",
    "completions": "test_completions.py",
    "embeddings": "test_embeddings.py",
    "models": "test_models.py",
    "responses": "test_responses.py",
    "responses: input items": "responses/test_input_items.py",
    "responses: input tokens": "responses/test_input_tokens.py",
}

NO_CHATS = "answers of /v1/chat/completions are not kept; those of /v1/responses are"
ENDED = "what is kept has ended: there is nothing to call off, and nothing to stream once more"
COMPACT = "conversations are not compacted"
# file: {the rest of a test's name behind test_method_, test_raw_response_ or test_streaming_response_: reason}
DESELECTED = {
    "chat/test_completions.py": dict.fromkeys(
        ("retrieve", "update", "list", "list_with_all_params", "delete"), NO_CHATS
    ),
    "test_models.py": {"delete": "no program may delete a person's models"},
    "test_responses.py": {
        "cancel": ENDED,
        "retrieve_overload_2": ENDED,
        "retrieve_with_all_params_overload_2": ENDED,
        "compact": COMPACT,
        "compact_with_all_params": COMPACT,
    },
}

# Tests “with all params” say everything at once, also what the port refuses by its name. Those fields are left out of
# what they send, and that each of them is refused is a step of its own.
IMAGES, HOSTED = "there are no images yet", "what only OpenAI's own servers have"
LEFT_OUT = {
    "/chat/completions": {
        "audio": "answers are texts",
        "moderation": HOSTED,
        "verbosity": "no template knows it",
        "web_search_options": HOSTED,
    },
    "/completions": {"suffix": "SmolLM2 has no tokens to fill in with"},
    "/responses": {
        "access_programs": HOSTED,
        "background": "an answer is waited for, or streamed",
        "background_options": "an answer is waited for, or streamed",
        "conversation": "conversations are gone on from by previous_response_id",
        "image": IMAGES,
        "moderation": HOSTED,
        "prompt": "prompts are not kept",
        "text.verbosity": "no template knows it",
    },
    "/responses/input_tokens": {
        "conversation": "conversations are gone on from by previous_response_id",
        "text.verbosity": "no template knows it",
    },
}
# What OpenAI's own server does not take, or not answer as these tests have it, either.
UNLIKE_OPENAI = {
    "/chat/completions": {
        "functions": "what tools were called before: one of the two is taken",
        "function_call": "goes with functions",
    },
    "/completions": {"echo": "a prompt's first token has no logprob: OpenAI answers null, which its strict types deny"},
}
# What these tests do not say, and their invented server does not need: {path: {field: (value, reason)}}.
SAID = {
    "/responses": {"input": ("string", "OpenAI refuses a request without any")},
    "/responses/input_tokens": {"input": ("string", "OpenAI refuses a request without any")},
    "/embeddings": {"encoding_format": ("float", "the strict client denies the base64 that it asks for by itself")},
}
