"""Which folders a person may add to the library, to be listed as they lie."""

import os
from collections.abc import Sequence
from pathlib import Path

from app.errors import ModelFileError
from app.settings import MAX_FOLDERS, MAX_PATH


def with_folder(folders: Sequence[str], folder: Path) -> tuple[str, ...]:
    """Raises ModelFileError for what is no folder, or lies in one that is listed already."""
    path = Path(os.path.abspath(os.path.expanduser(folder)))
    if not os.path.isdir(path):
        raise ModelFileError(f"{path} is no folder. Name one that holds model files.")
    if len(str(path)) > MAX_PATH:
        raise ModelFileError(f"{path!s:.200}… has a name that is too long for the settings. Add one above it.")
    if path == Path(path.anchor):
        raise ModelFileError(f"{path} is the whole disk. Choose the folder that holds the models.")
    if not _is_utf8(str(path)):  # the settings are a text
        raise ModelFileError(f"{path} has a name that is no UTF-8. Rename the folder, or add the one above it.")
    for known in folders:
        if path.is_relative_to(known):
            raise ModelFileError(f"The models of {path} are listed already, with those of {known}.")
    if len(folders) >= MAX_FOLDERS:
        raise ModelFileError(f"{MAX_FOLDERS} folders are listed already. Leave one out, or add one that holds them.")
    return (*(known for known in folders if not Path(known).is_relative_to(path)), str(path))


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def without_folder(folders: Sequence[str], folder: str) -> tuple[str, ...]:
    return tuple(known for known in folders if known != folder)
