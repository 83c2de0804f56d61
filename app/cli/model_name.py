"""What a model's name on the command line stands for, or why it stands for none that can run.

Commands alone say what lies at a path: the port tells nobody which files a machine has.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import ModelFileError, UnknownModelError
from app.library.facts import unfit_checkpoint
from app.library.scan import fault_of
from backends.ownership.files import is_regular

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.services import Services

SUFFIX = ".gguf"
MAGIC = b"GGUF"


def find_model(name: str, services: "Services") -> "ModelEntry":
    """By all names that the library knows. Raises UnknownModelError or ModelFileError."""
    try:
        entry = find_any(name, services)
    except UnknownModelError:
        if why := why_not(Path(name)):
            raise ModelFileError(why) from None
        raise
    if entry.is_checkpoint and entry.is_loadable:
        raise ModelFileError(_is_checkpoint(entry.id, entry.path))
    if not entry.is_offered:
        raise ModelFileError(entry.problem or f"{entry.id} cannot be loaded.")
    return entry


def find_any(name: str, services: "Services") -> "ModelEntry":
    """A checkpoint, too. A file's name means the file that lies here. Raises UnknownModelError."""
    return services.library.find(str(Path(name).absolute()) if name.endswith(SUFFIX) else name)


def why_not(path: Path) -> str | None:
    """What lies there instead of a model; None where nothing lies."""
    if path.is_dir():
        if (path / "config.json").is_file():
            return unfit_checkpoint(path) or _is_checkpoint(str(path), path.absolute())
        return f"{path} is a folder and no GGUF file. Name the file in it that ends with {SUFFIX}."
    if not os.path.lexists(path):
        return None
    if fault := fault_of(str(path)):
        return fault
    if _is_gguf(path):
        return f"{path} does not end with {SUFFIX}, as the name of a GGUF file must. Rename it or link to it."
    return f"{path} is not a GGUF file. Name a file that ends with {SUFFIX}, or a model of the library."


def _is_gguf(path: Path) -> bool:
    try:
        if not is_regular(path.resolve()):
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _is_checkpoint(name: str, folder: Path) -> str:
    return f"{name} is a checkpoint. Convert it first, with “slipstream convert {folder} FILE.gguf”."
