"""Refuses a prompt that cannot fit before it is copied or tokenized. Counts characters, knows no tokenizer."""

from typing import TypeGuard

from app.errors import RequestError
from backends.protocol import FailureKind, Generate, Infill, Message, Overflow, Prompt, Ready

CHAT_SLACK = 4  # a template may leave parts of a chat out, as the reasoning in earlier answers
ROLL_SLACK = 8  # Overflow.ROLL drops the middle of a long prompt; of a longer one it would keep an eighth


def num_characters(prompt: Prompt) -> int:
    """Token ids count as one each."""
    if isinstance(prompt, str):
        return len(prompt)
    if isinstance(prompt, Infill):
        return prompt.num_characters + prompt.num_characters_of_files
    return sum(len(part.content) if isinstance(part, Message) else 1 for part in prompt)


def check_length(request: Generate, ready: Ready) -> None:
    """Raises RequestError. What passes may still be too long: only the engine counts tokens."""
    rolls = request.overflow is Overflow.ROLL
    prompt = request.prompt
    if _is_tokens(prompt):
        length, most = len(prompt), ready.context * (ROLL_SLACK if rolls else 1)
        if length > most:
            raise _too_long(f"{length:,} tokens", ready, length)
        return
    if ready.max_characters is None:
        return
    slack = ROLL_SLACK if rolls else 1 if isinstance(prompt, str | Infill) else CHAT_SLACK
    length = prompt.num_characters if isinstance(prompt, Infill) else num_characters(prompt)
    if length > ready.max_characters * slack:
        least = length * ready.context // ready.max_characters
        raise _too_long(f"{length:,} characters, at least {least:,} tokens", ready, least)


def _is_tokens(prompt: Prompt) -> TypeGuard[tuple[int, ...]]:
    return isinstance(prompt, tuple) and bool(prompt) and isinstance(prompt[0], int)


def _too_long(length: str, ready: Ready, num_tokens: int) -> RequestError:
    sentence = (
        f"The prompt has {length}; the context of this model holds {ready.context}. "
        "Shorten the prompt, start a new chat, or load the model with a larger context."
    )
    return RequestError(FailureKind.CONTEXT_LENGTH, sentence, (num_tokens, ready.context))
