"""What a model's file says of it, by keys."""

import ctypes
from typing import Any

from backends.llama.binding import lib

KEY_BYTES, VALUE_BYTES = 256, 4096
NAMED_TEMPLATE = b"tokenizer.chat_template."
OTHER_TEMPLATES = (b"tool_use", b"rag")  # that want what a plain chat has not


class Metadata:
    def __init__(self, model: Any):
        """model: llama.cpp's pointer."""
        self._model = model

    def get(self, key: str) -> str | None:
        """As text; None when there is no such key."""
        buffer = ctypes.create_string_buffer(VALUE_BYTES)
        length = lib.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length >= 0 else None

    def of_architecture(self, key: str) -> str | None:
        """What is said of the model's own architecture."""
        return self.get(f"{self.get('general.architecture')}.{key}")

    @property
    def is_mixture(self) -> bool:
        """Whether layers have experts, of which each computes some of a batch's rows."""
        return int(self.of_architecture("expert_count") or 0) > 0

    @property
    def has_plain_rope(self) -> bool:
        """Whether turning a key by 0 leaves it as it is: YaRN and its kin would make it longer each time."""
        factor = self.of_architecture("rope.scaling.attn_factor")
        return self.of_architecture("rope.scaling.type") in (None, "none", "linear") and (
            factor is None or float(factor) == 1
        )

    @property
    def chat_template(self) -> str | None:
        """The default one, or where a file has named ones alone, the first that is for chats."""
        names = [None, *self._template_names()]
        templates = (lib.llama_model_chat_template(self._model, name) for name in names)
        return next((template.decode("utf-8", "replace") for template in templates if template), None)

    def _template_names(self) -> list[bytes]:
        buffer = ctypes.create_string_buffer(KEY_BYTES)
        keys = []
        for i in range(lib.llama_model_meta_count(self._model)):
            lib.llama_model_meta_key_by_index(self._model, i, buffer, len(buffer))
            keys.append(buffer.value)
        names = [key.removeprefix(NAMED_TEMPLATE) for key in keys if key.startswith(NAMED_TEMPLATE)]
        return sorted(names, key=lambda name: name in OTHER_TEMPLATES)
