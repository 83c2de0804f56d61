"""File formats in plain Python, read on both sides of the border before any native library sees a file."""


class FormatError(Exception):
    """A file that is not what it should be; str() of it is a sentence for a person."""


class CompanionError(FormatError):
    """A sound file that is no model by itself: an adapter, an image part, an importance matrix."""
