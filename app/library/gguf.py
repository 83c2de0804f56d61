"""GGUF files as the application reads them: the reader that both sides share, with the application's error."""

from pathlib import Path

from app.errors import ModelFileError
from backends.formats import FormatError, gguf
from backends.formats.gguf import Description, Header, describe

__all__ = ["Description", "Header", "describe", "read_model"]


def read_model(path: Path) -> Header:
    """The header of a file that the engine can load. Raises ModelFileError for any other."""
    try:
        return gguf.read_model(path)
    except FormatError as error:
        raise ModelFileError(str(error)) from error
