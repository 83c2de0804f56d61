"""The settings of an architecture in a header, and the sentence for one that no model has. Judges none of them."""

from typing import Any

from backends.formats import FormatError
from backends.formats.gguf import Header


class Settings:
    """The numbers of the architecture, judged by what llama.cpp does with them."""

    def __init__(self, header: Header):
        self.header = header
        self.num_layers = 0

    def get(self, key: str, default: Any = None) -> Any:
        return self.header.metadata.get(f"{self.header.architecture}.{key}", default)

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        value = self.get(key, default)
        if type(value) is not int or not low <= value <= high:
            raise self.refuse(key, value)
        return value

    def per_layer(self, key: str, low: int, high: int, default: int) -> list[int]:
        """One number for all layers, or a list with one for each."""
        value = self.get(key, default)
        values = value if isinstance(value, list) else [value] * self.num_layers
        if len(values) < self.num_layers or not all(type(v) is int and low <= v <= high for v in values):
            raise self.refuse(key, value)
        return values[: self.num_layers]

    def number(self, key: str, default: int = 0) -> int:
        """What stands there, the first of a list; the default for anything that is no whole number."""
        value = self.get(key, default)
        value = value[0] if isinstance(value, list) and value else value
        return value if type(value) is int else default

    def layers(self, key: str, default: int) -> list[int]:
        """One for each layer, whatever stands there; a list may end too early."""
        value = self.get(key, default)
        values = value if isinstance(value, list) else [value] * self.num_layers
        numbers = [int(v) if isinstance(v, int) else default for v in values[: self.num_layers]]
        return numbers + [0] * (self.num_layers - len(numbers))

    def refuse(self, key: str, value: Any) -> FormatError:
        said = "is missing" if value is None else f"is {value!r:.40}"
        name = self.header.path.name
        return FormatError(f"{name} cannot be loaded: its setting {key} {said}, as in no model. Download it again.")
