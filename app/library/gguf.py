"""GGUF files as the application reads them: the reader that both sides share, with the application's error."""

import os
from collections.abc import Sequence
from pathlib import Path

from app.errors import ModelFileError
from backends.formats import CompanionError, FormatError, UnreadableError, gguf, gguf_loadable, gguf_projector
from backends.formats.gguf import Description, Header, describe
from backends.formats.gguf_split import folded, missing_parts, part_name, part_paths, read_parts, split_of

__all__ = [
    "CompanionFileError",
    "Description",
    "Header",
    "UnreadableFileError",
    "check_loadable",
    "describe",
    "describe_parts",
    "folded",
    "leading_name",
    "missing_parts",
    "part_name",
    "part_paths",
    "projection",
    "read_model",
    "read_projector",
    "split_of",
]


class CompanionFileError(ModelFileError):
    """A sound file that is no model by itself: an adapter, an image part, an importance matrix."""


class UnreadableFileError(ModelFileError):
    """The system does not hand the file out. It may another time, without any change of the file."""


def leading_name(name: str) -> str:
    """Of a path or file name of one part, that of the first part if it lies there; else the name itself."""
    folder, base = os.path.split(name)
    split = split_of(base)
    if split is None or split[1] == 1:
        return name
    first = os.path.join(folder, part_name(split[0], 1, split[2]))
    return first if not folder or os.path.lexists(os.path.expanduser(first)) else name


def read_model(path: Path) -> Header:
    """The header of a file that the engine can load. Raises ModelFileError for any other."""
    try:
        return gguf.read_model(path)
    except FormatError as error:
        raise ModelFileError(str(error)) from error


def describe_parts(path: Path, parts: Sequence[Path] = ()) -> Description:
    """Of a model in one file or several. parts: the files after the first.

    Raises ModelFileError, and of these CompanionFileError for what only belongs to a model, UnreadableFileError.
    """
    try:
        first, *others = read_parts(path, parts)
    except CompanionError as error:
        raise CompanionFileError(str(error)) from error
    except UnreadableError as error:
        raise UnreadableFileError(str(error)) from error
    except FormatError as error:
        raise ModelFileError(str(error)) from error
    return describe(first, others)


def check_loadable(path: Path) -> None:
    """Looks at everything that could end the engine's process. Raises ModelFileError."""
    try:
        gguf_loadable.check_loadable(path)
    except FormatError as error:
        raise ModelFileError(str(error)) from error


def projection(path: Path) -> tuple[str, int | None]:
    """Of a model's image part the kind and the width that it projects to; "" and None of anything else."""
    try:
        return gguf_projector.projection(gguf.read_header(path))
    except FormatError:
        return "", None


def read_projector(path: Path) -> Header:
    """The header of a model's image part. Raises ModelFileError for anything else."""
    try:
        header = gguf.read_header(path)
    except FormatError as error:
        raise ModelFileError(str(error)) from error
    if header.metadata.get("general.type") != "mmproj" and header.architecture != "clip":
        raise ModelFileError(f"{path.name} is not the image part of a model (mmproj).")
    return header
