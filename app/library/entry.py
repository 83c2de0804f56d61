"""One model of the library as the rest of the application sees it, and what may be the matter with it."""

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from app.errors import ModelFileError
from app.library.gguf import describe_parts, part_paths
from app.library.manifest import Record
from app.library.naming import is_same_name, naming_of, stem_of, without_type
from app.library.origin import Origin
from app.library.remarks import Check
from backends.protocol import Ready

BASE_MEANS = "completes text, has no chat format"
BASE_MODEL = f"Base model: {BASE_MEANS}."
EMBEDDER_MEANS = "makes vectors of texts, cannot chat"
EMBEDDER = f"Embedding model: {EMBEDDER_MEANS}."


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model. `problem`: why it may not load, for a person; None when all is well.

    id: what it is asked for by, unique in its library and always the same. name: what it is called; several may be.
    place: what tells it from another of its name and quantization, a folder mostly; empty where there is none.
    path: the file, the first of several (`parts` are the others), or the folder of a checkpoint.
    bytes: of path and parts. sha256: of the file at path, where it is known without reading it.
    """

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
    origin: Origin = Origin.MANAGED
    parts: tuple[Path, ...] = ()
    mmproj: Path | None = None
    sha256: str | None = None
    source: str | None = None  # where it came from: a repository, an address
    note: str = ""
    is_favourite: bool = False
    is_checkpoint: bool = False  # safetensors: to be converted before it can run
    is_loadable: bool = True  # else its problem says why: it is no model, or none that can run
    is_read: bool = True  # else its header has not been read yet, and the figures are not known
    check: Check | None = None  # the last time its files were hashed
    details: tuple[tuple[str, str], ...] = ()  # what its application says besides: (title, text)
    is_base: bool | None = False  # completes text and has no chat format; None: not known yet
    is_embedder: bool = False  # makes vectors of texts, and no answers
    place: str = ""

    @property
    def full_name(self) -> str:
        """In one line, unlike any other's of the library."""
        place = f" ({self.place})" if self.place else ""
        return f"{self.name} {self.quantization}".rstrip() + place

    @property
    def is_offered(self) -> bool:
        """Whether it may be chosen or named to answer, to be measured or quantized; what is not, is listed only."""
        return self.is_loadable and not self.is_checkpoint

    @property
    def can_chat(self) -> bool:
        return self.is_offered and not self.is_embedder

    @property
    def kind(self) -> str:
        """Where it is no model to chat with like others: what it is called then."""
        return "embedding model" if self.is_embedder else "base model" if self.is_base else ""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of it, the companions too."""
        return (self.path, *self.parts, *(path for path in (self.mmproj, self.draft) if path is not None))


def kind_of(ready: Ready) -> str:
    """A sentence on a loaded model that is none to chat with like others, else nothing."""
    if not ready.generates:
        return EMBEDDER
    return BASE_MODEL if ready.is_base else ""


def installed_entry(record: Record, folder: Path) -> ModelEntry:
    path = folder / record.file
    fault = _fault(folder, record)
    name, quantization = _recorded(record, folder)
    return ModelEntry(
        id=record.id,
        name=name,
        path=path,
        bytes=record.bytes,
        architecture=record.architecture,
        parameters=record.parameters,
        quantization=quantization,
        context=record.context,
        draft=folder / record.draft if record.draft else None,
        added=datetime.fromisoformat(record.added),
        problem=fault or _lost_companion(folder, record),
        parts=tuple(folder / part for part in record.parts),
        mmproj=folder / record.mmproj if record.mmproj else None,
        sha256=record.sha256,
        source=record.source,
        is_base=record.is_base,
        is_embedder=record.is_embedder,
        is_loadable=fault is None,
    )


def _recorded(record: Record, folder: Path) -> tuple[str, str]:
    """Name and quantization. Earlier versions recorded what the header calls the model, unless told a name."""
    own = without_type(stem_of(record.file))[0]
    if record.is_base is not None or is_same_name(record.name, own):
        return record.name, record.quantization
    naming = naming_of(
        record.file, repository=folder.name, folder=folder.name, title=record.name, quantization=record.quantization
    )
    return naming.name, naming.quantization


def _fault(folder: Path, record: Record) -> str | None:
    try:
        size = sum(os.stat(f"{folder}{os.sep}{name}").st_size for name in (record.file, *record.parts))
    except OSError as fault:
        return f"{record.file} cannot be read: {fault.strerror or fault}."
    if size != record.bytes:
        return f"{record.file} has changed since it was installed. Install it again."
    return None


def _lost_companion(folder: Path, record: Record) -> str | None:
    if record.draft and not (folder / record.draft).is_file():
        return f"Its draft model {record.draft} is missing. It runs without; install it again to have it back."
    if record.mmproj and not (folder / record.mmproj).is_file():
        return f"Its image part {record.mmproj} is missing. It reads text without; install it again to have it back."
    return None


def uninstalled_entry(id_: str, path: Path, problem: str | None) -> ModelEntry:
    """A file that no manifest names: copied here by hand, or left by an installation that was cut off."""
    hint = f"{path.name} was not installed by Slipstream; its header is sound, so it can be tried."
    try:
        return file_entry(id_, path, problem or hint)
    except ModelFileError as fault:
        parts = tuple(part for part in part_paths(path) if part != path and part.exists())
        num_bytes = sum(map(_bytes, (path, *parts)))
        naming = naming_of(path.name, folder=path.parent.name)
        entry = ModelEntry(
            id_, naming.name, path, num_bytes, "", 0, naming.quantization, None, None, None, str(fault), parts=parts
        )
        return replace(entry, is_loadable=False)


def file_entry(id_: str, path: Path, problem: str | None = None) -> ModelEntry:
    """Raises ModelFileError when the file, or a part of it, cannot be loaded."""
    it = describe_parts(path)
    naming = naming_of(path.name, folder=path.parent.name, title=it.title, quantization=it.quantization)
    return ModelEntry(
        id_,
        naming.name,
        path,
        it.bytes,
        it.architecture,
        it.parameters,
        naming.quantization,
        it.context,
        None,
        None,
        problem,
        parts=part_paths(path)[1:],
        is_base=it.is_base,
        is_embedder=it.is_embedder,
    )


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
