"""Biases as llama-server takes them: of tokens, and of texts, which stand for each of their tokens."""

import re
from collections.abc import Sequence
from typing import Any

from app.server.core.fields import MAX_INT, text, whole
from app.server.core.resolved import Resolver
from app.server.core.sampling import NUMBER, TOKEN

MAX_BIASES = 1024
MAX_TEXTS, MAX_LENGTH = 256, 256  # each text is read by itself
MAX_BIAS = 100.0
TOO_MANY = f"at most {MAX_BIASES} tokens and {MAX_TEXTS} texts can be biased"
NEVER = -1e9  # what `false` means: the token does not come

Bias = tuple[int | str, float]

AMOUNT: dict[str, Any] = {"anyOf": [{"type": "number", "minimum": -MAX_BIAS, "maximum": MAX_BIAS}, {"const": False}]}
PAIR: dict[str, Any] = {
    "type": "array",
    "prefixItems": [{"anyOf": [TOKEN, {"type": "string", "maxLength": MAX_LENGTH}]}, AMOUNT],
    "minItems": 2,
    "maxItems": 2,
}
SCHEMA: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "patternProperties": {f"^{NUMBER}$": AMOUNT},
            "additionalProperties": False,
            "maxProperties": MAX_BIASES,
        },
        {
            "type": "object",
            "propertyNames": {"maxLength": MAX_LENGTH},
            "additionalProperties": AMOUNT,
            "maxProperties": MAX_TEXTS,
        },
        {"type": "array", "items": PAIR, "maxItems": MAX_BIASES},
    ]
}


async def resolved(biases: Sequence[Bias], resolver: Resolver) -> tuple[tuple[int, float], ...]:
    """A text's bias is that of each of its tokens. Raises what an Exchange raises."""
    known: list[tuple[int, float]] = []
    for token, bias in biases:
        tokens = [token] if isinstance(token, int) else await resolver.tokens_of(token, is_first=False)
        known += [(each, bias) for each in tokens]
    return tuple(known)


def as_biases(value: Any) -> tuple[Bias, ...]:
    """[[token or text, bias], …], or OpenAI's object, whose keys are texts where they are no numbers."""
    if isinstance(value, dict | list) and len(value) > MAX_BIASES:
        raise ValueError(TOO_MANY)
    if isinstance(value, dict):
        pairs = [(int(key) if re.fullmatch(NUMBER, key) else key, bias) for key, bias in value.items()]
    elif isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        pairs = [(token, bias) for token, bias in value]
    else:
        raise ValueError("a list of pairs of a token and its bias is expected")
    if sum(isinstance(token, str) for token, _ in pairs) > MAX_TEXTS:
        raise ValueError(TOO_MANY)
    return tuple((_token(token), _amount(bias)) for token, bias in pairs)


def _token(token: Any) -> int | str:
    token = whole(token)
    if isinstance(token, str) and len(token) <= MAX_LENGTH:
        return text(token)
    if type(token) is int and 0 <= token <= MAX_INT:
        return token
    raise ValueError(f"a token is its id, from 0 up, or a text of at most {MAX_LENGTH} characters")


def _amount(bias: Any) -> float:
    if bias is False:
        return NEVER
    if type(bias) not in (int, float) or not -MAX_BIAS <= bias <= MAX_BIAS:
        raise ValueError("a bias lies between -100 and 100, or is false")
    return float(bias)
