"""How answers are made, by the port's own names and ranges: what /set changes and the command line begins with."""

import json
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from app.errors import UsageError
from app.server.core.sampling import SamplingFields
from app.server.core.text_fields import TextFields
from backends.protocol import Generate, Message, Priority

NAMES = (*SamplingFields.model_fields, "max_tokens", "stop", "ignore_eos", "context_overflow")
OTHER_NAMES = {"num_predict": "max_tokens", "n_predict": "max_tokens", "repeat_last_n": "penalty_last_n"}
AT_START = ("context", "num_ctx", "n_ctx", "threads", "num_thread", "gpu_layers", "num_gpu")
DEFAULT = "default"


class Choices:
    """None of them given: the engine's defaults, at the person's temperature."""

    def __init__(self, temperature: float | None = None):
        self.given: dict[str, Any] = {} if temperature is None else {"temperature": temperature}

    def set(self, name: str, value: Any) -> None:
        """value: None takes the choice back. Raises UsageError, and then nothing has changed."""
        name = OTHER_NAMES.get(name, name)
        if name in AT_START:
            raise UsageError(f"{name} is chosen when a model is loaded: leave with /bye and start with its option.")
        if name not in NAMES:
            raise UsageError(f"There is no parameter {name[:40]}. Known: {', '.join(NAMES)}.")
        wanted = {key: old for key, old in self.given.items() if key != name}
        if value is not None:
            wanted[name] = value
        try:
            TextFields.model_validate(wanted)
        except ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"{name} cannot be {str(value)[:40]}: {why[:1].lower()}{why[1:]}.") from None
        self.given = wanted

    def set_text(self, name: str, text: str) -> None:
        """As typed: a number, true or false, a list, or a text with or without quotes. Raises UsageError."""
        self.set(name, None if text == DEFAULT else _value(text, is_text=name in ("stop", "context_overflow")))

    def request(self, prompt: tuple[Message, ...] | str) -> Generate:
        fields = TextFields.model_validate(self.given)
        return replace(fields.generate(prompt), priority=Priority.WINDOW)


def _value(text: str, *, is_text: bool) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if is_text and not isinstance(value, str | list) else value
