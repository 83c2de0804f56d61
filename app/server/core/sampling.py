"""The fields that say how a token is chosen, their ranges, and how they become SamplingParams.

Names are OpenAI's where it has one, else llama-server's. A field that is absent or null has llama.cpp's default.
"""

import re
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AliasChoices, Field, PlainValidator, WithJsonSchema

from app.server.core.fields import MAX_INT, Fields, Whole, text, whole
from backends.protocol import SamplingParams

MAX_WINDOW = 2**20
MAX_TEMPERATURE = 1e6  # OpenAI ends at 2, llama-server nowhere
MAX_BIASES = 1024
NUMBER = "[0-9]{1,9}"  # of a token, as a key; no vocabulary is larger
MAX_BREAKERS, MAX_BREAKER_LENGTH = 16, 40  # llama.cpp cuts longer ones


def _biases(value: Any) -> tuple[tuple[int, float], ...]:
    """OpenAI's {"token": bias}, or llama-server's [[token, bias], …]."""
    if isinstance(value, dict | list) and len(value) > MAX_BIASES:
        raise ValueError(f"at most {MAX_BIASES} tokens can be biased")
    if isinstance(value, dict):
        pairs = [(int(key) if re.fullmatch(NUMBER, key) else key, bias) for key, bias in value.items()]
    elif isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        pairs = [(token, bias) for token, bias in value]
    else:
        raise ValueError("an object of token ids and biases is expected")
    for _, bias in pairs:
        if type(bias) not in (int, float) or not -100 <= bias <= 100:
            raise ValueError("a bias lies between -100 and 100")
    return tuple(_bias(token, bias) for token, bias in pairs if not (isinstance(token, str) and bias == 0))


def _bias(token: Any, bias: float) -> tuple[int, float]:
    token = whole(token)
    if type(token) is not int or not 0 <= token <= MAX_INT:
        raise ValueError("keys are token ids, from 0 up")
    return token, float(bias)


def _breakers(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings is expected")
    if len(value) > MAX_BREAKERS or not all(1 <= len(item) <= MAX_BREAKER_LENGTH for item in value):
        raise ValueError(f"at most {MAX_BREAKERS} strings of 1 to {MAX_BREAKER_LENGTH} characters are allowed")
    return tuple(text(item) for item in value)


BIAS = {"type": "number", "minimum": -100, "maximum": 100}
TOKEN = {"type": "integer", "minimum": 0, "maximum": MAX_INT}
PAIR_SCHEMAS = [
    {"type": "array", "prefixItems": pair, "minItems": 2, "maxItems": 2}
    for pair in ([TOKEN, BIAS], [{"type": "string"}, {"const": 0}])  # no token at all may have no bias
]
BIAS_SCHEMA = {
    "anyOf": [
        {
            "type": "object",
            "patternProperties": {f"^{NUMBER}$": BIAS},
            "additionalProperties": {"const": 0},
            "maxProperties": MAX_BIASES,
        },
        {"type": "array", "items": {"anyOf": PAIR_SCHEMAS}, "maxItems": MAX_BIASES},
    ]
}
BREAKER_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_BREAKER_LENGTH}
BREAKERS_SCHEMA = {"type": "array", "items": BREAKER_SCHEMA, "maxItems": MAX_BREAKERS}
Biases = Annotated[Any, PlainValidator(_biases), WithJsonSchema(BIAS_SCHEMA)]
Breakers = Annotated[Any, PlainValidator(_breakers), WithJsonSchema(BREAKERS_SCHEMA)]


class SamplingFields(Fields):
    temperature: float | None = Field(None, ge=0, le=MAX_TEMPERATURE)
    top_p: float | None = Field(None, ge=0, le=1)
    top_k: Whole | None = Field(None, ge=-1, le=MAX_INT, description="0 or -1: off")
    min_p: float | None = Field(None, ge=0, le=1)
    typical_p: float | None = Field(None, ge=0, le=1, description="1: off")
    top_n_sigma: float | None = Field(None, ge=-1, le=100, description="below 0: off")
    xtc_probability: float | None = Field(None, ge=0, le=1, description="0: off")
    xtc_threshold: float | None = Field(None, ge=0, le=1)
    dry_multiplier: float | None = Field(None, ge=0, le=100, description="0: off")
    dry_base: float | None = Field(None, ge=1, le=100)
    dry_allowed_length: Whole | None = Field(None, ge=0, le=MAX_WINDOW)
    dry_penalty_last_n: Whole | None = Field(None, ge=-1, le=MAX_WINDOW, description="-1: the whole context")
    dry_sequence_breakers: Breakers | None = None
    mirostat: Whole | None = Field(None, ge=0, le=2, description="0: off")
    mirostat_tau: float | None = Field(None, ge=0, le=100)
    mirostat_eta: float | None = Field(None, ge=0, le=1)
    repeat_penalty: float | None = Field(
        None, ge=0.01, le=10, validation_alias=AliasChoices("repeat_penalty", "repetition_penalty")
    )
    penalty_last_n: Whole | None = Field(
        None,
        ge=-1,
        le=MAX_WINDOW,
        validation_alias=AliasChoices("repeat_last_n", "penalty_last_n"),
        description="tokens that the three penalties look back at; -1: the whole context",
    )
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: Biases | None = None
    seed: Whole | None = Field(None, ge=-(2**63), le=2**64 - 1, description="-1: a new one each time")

    def sampling(self) -> SamplingParams:
        """−1 is llama-server's word for none."""
        given = self.model_dump(include=set(SamplingFields.model_fields), exclude_none=True)
        if "top_k" in given:
            given["top_k"] = max(0, given["top_k"])
        if given.get("penalty_last_n") == -1:
            given["penalty_last_n"] = MAX_WINDOW
        for name in ("top_n_sigma", "dry_penalty_last_n"):
            if given.get(name, 0) < 0:
                del given[name]
        if "seed" in given:  # the engine's seeds have 32 bits
            given["seed"] = None if given["seed"] == -1 else given["seed"] % 2**32
        return replace(SamplingParams(), **given)
