"""A prompt that asks for the middle of a text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Infill:
    """What stands before and behind the text that is wanted. Only models whose vocabulary has tokens for it can do it.

    files: names and texts of others of the same project, the most important one last: of those that do not fit into the
    context the first ones are left out.
    """

    prefix: str
    suffix: str
    files: tuple[tuple[str, str], ...] = ()

    @property
    def num_characters(self) -> int:
        """Without the files."""
        return len(self.prefix) + len(self.suffix)

    @property
    def num_characters_of_files(self) -> int:
        return sum(len(name) + len(text) for name, text in self.files)
