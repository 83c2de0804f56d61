"""Refuses a prompt that cannot fit before it is copied or tokenized. Counts characters, knows no tokenizer."""

from app.errors import RequestError
from backends.protocol import FailureKind, Generate, Message, Overflow, Ready

CHAT_SLACK = 4  # a template may leave parts of a chat out, as the reasoning in earlier answers
ROLL_SLACK = 8  # Overflow.ROLL drops the middle of a long prompt; of a longer one it would keep an eighth

Prompt = tuple[Message, ...] | str | tuple[int, ...]


def num_characters(prompt: Prompt) -> int:
    """Token ids count as one each."""
    if isinstance(prompt, str):
        return len(prompt)
    return sum(len(part.content) if isinstance(part, Message) else 1 for part in prompt)


def check_length(request: Generate, ready: Ready) -> None:
    """Raises RequestError. What passes may still be too long: only the engine counts tokens."""
    rolls = request.overflow is Overflow.ROLL
    if _is_tokens(request.prompt):
        length, most = len(request.prompt), ready.context * (ROLL_SLACK if rolls else 1)
        if length > most:
            raise _too_long(f"{length:,} tokens", ready, length)
        return
    if ready.max_characters is None:
        return
    slack = ROLL_SLACK if rolls else 1 if isinstance(request.prompt, str) else CHAT_SLACK
    length = num_characters(request.prompt)
    if length > ready.max_characters * slack:
        least = length * ready.context // ready.max_characters
        raise _too_long(f"{length:,} characters, at least {least:,} tokens", ready, least)


def _is_tokens(prompt: Prompt) -> bool:
    return not isinstance(prompt, str) and bool(prompt) and isinstance(prompt[0], int)


def _too_long(length: str, ready: Ready, num_tokens: int) -> RequestError:
    sentence = (
        f"The prompt has {length}; the context of this model holds {ready.context}. "
        "Shorten the prompt, start a new chat, or load the model with a larger context."
    )
    return RequestError(FailureKind.CONTEXT_LENGTH, sentence, (num_tokens, ready.context))
