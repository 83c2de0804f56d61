"""File formats in plain Python, read on both sides of the border before any native library sees a file."""

from backends.bounds import sentence


class FormatError(Exception):
    """A file that is not what it should be; str() of it is a sentence for a person, whatever the file has put in it."""

    def __init__(self, message: str):
        super().__init__(sentence(message))


class CompanionError(FormatError):
    """A sound file that is no model by itself: an adapter, an image part, an importance matrix."""


class UnreadableError(FormatError):
    """The system does not hand the file out. It may another time, without any change of the file."""
