"""One model of the library as the rest of the application sees it, and what may be the matter with it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.errors import ModelFileError
from app.library.gguf import Description, describe, read_model
from app.library.manifest import Record


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model. `problem`: why it may not load, for a person; None when all is well."""

    id: str
    name: str
    path: Path
    bytes: int
    architecture: str
    parameters: int
    quantization: str
    context: int | None
    draft: Path | None
    added: datetime | None
    problem: str | None = None


def installed_entry(record: Record, folder: Path) -> ModelEntry:
    path = folder / record.file
    return ModelEntry(
        id=record.id,
        name=record.name,
        path=path,
        bytes=record.bytes,
        architecture=record.architecture,
        parameters=record.parameters,
        quantization=record.quantization,
        context=record.context,
        draft=folder / record.draft if record.draft else None,
        added=datetime.fromisoformat(record.added),
        problem=_changed(path, record),
    )


def _changed(path: Path, record: Record) -> str | None:
    try:
        size = path.stat().st_size
    except OSError as fault:
        return f"{path.name} cannot be read: {fault.strerror or fault}."
    if size != record.bytes:
        return f"{path.name} has changed since it was installed. Install it again."
    if record.draft and not (path.parent / record.draft).is_file():
        return f"Its draft model {record.draft} is missing. It runs without; install it again to have it back."
    return None


def uninstalled_entry(id_: str, path: Path, problem: str | None) -> ModelEntry:
    """A file that no manifest names: copied here by hand, or left by an installation that was cut off."""
    hint = f"{path.name} was not installed by Slipstream; its header is sound, so it can be tried."
    try:
        return file_entry(id_, path, problem or hint)
    except ModelFileError as fault:
        return ModelEntry(id_, path.stem, path, _bytes(path), "", 0, "", None, None, None, str(fault))


def file_entry(id_: str, path: Path, problem: str | None = None) -> ModelEntry:
    it: Description = describe(read_model(path))
    return ModelEntry(
        id_,
        it.name,
        path,
        it.bytes,
        it.architecture,
        it.parameters,
        it.quantization,
        it.context,
        None,
        None,
        problem,
    )


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
