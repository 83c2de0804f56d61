"""A prompt as a chat template wrote it, before it becomes tokens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rendered:
    """said: [begin, end) of the characters that people wrote, ascending and disjoint. What lies outside is the
    template's own, and its control tokens are read as such. None where a template does what origins do not survive."""

    text: str
    said: tuple[tuple[int, int], ...] | None = ()
