"""Refuses a prompt that cannot fit or be read before it is copied or tokenized. Counts characters, has no tokenizer."""

from typing import TypeGuard

from app.errors import RequestError
from backends.bounds import as_name
from backends.chat.json_text import depth
from backends.protocol import FailureKind, Generate, Infill, Message, Overflow, Prompt, Ready

CHAT_SLACK = 4  # a template may leave parts of a chat out, as the reasoning in earlier answers
MAX_DEPTH = 64  # of a call's arguments; whatever walks through them calls itself at each
MAX_NAME = 64  # characters of one that is quoted
ROLL_SLACK = 8  # Overflow.ROLL drops the middle of a long prompt; of a longer one it would keep an eighth


def num_characters(prompt: Prompt) -> int:
    """Token ids count as one each."""
    if isinstance(prompt, str):
        return len(prompt)
    if isinstance(prompt, Infill):
        return prompt.num_characters + prompt.num_characters_of_files
    return sum(_length(part) if isinstance(part, Message) else 1 for part in prompt)


def check_calls(request: Generate) -> None:
    """Raises RequestError for earlier calls with arguments that templates could not be given."""
    if not isinstance(request.prompt, tuple):
        return
    calls = (call for part in request.prompt if isinstance(part, Message) for call in part.tool_calls)
    for call in calls:
        if depth(call.arguments) > MAX_DEPTH:
            name = as_name(call.name, MAX_NAME)
            raise RequestError(
                FailureKind.BAD_REQUEST,
                f"The arguments of an earlier call of “{name}” are nested more than {MAX_DEPTH} deep. "
                "Leave that call out, or shorten what it was given.",
                about="prompt",
            )


def check_tokens(request: Generate, ready: Ready) -> None:
    """Raises RequestError for ids that its vocabulary has not."""
    prompt, num_tokens = request.prompt, ready.vocabulary.num_tokens
    if _is_tokens(prompt) and num_tokens and not 0 <= min(prompt) <= max(prompt) < num_tokens:
        sentence = f"Token ids of this model lie between 0 and {num_tokens - 1}."
        raise RequestError(FailureKind.BAD_REQUEST, sentence, about="prompt")


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


def _length(turn: Message) -> int:
    """Of all that it says."""
    calls = sum(len(call.name) + len(call.arguments) for call in turn.tool_calls)
    return len(turn.content) + len(turn.reasoning or "") + calls


def _is_tokens(prompt: Prompt) -> TypeGuard[tuple[int, ...]]:
    return isinstance(prompt, tuple) and bool(prompt) and isinstance(prompt[0], int)


def _too_long(length: str, ready: Ready, num_tokens: int) -> RequestError:
    sentence = (
        f"The prompt has {length}; the context of this model holds {ready.context}. "
        "Shorten the prompt, start a new chat, or load the model with a larger context."
    )
    return RequestError(FailureKind.CONTEXT_LENGTH, sentence, (num_tokens, ready.context), "prompt")
