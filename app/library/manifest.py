"""The manifest of one repository folder: which of its files are whole, and what they are. Knows no GGUF."""

import json
from dataclasses import MISSING, Field, asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.errors import ModelFileError
from app.library.names import checked_name
from app.whole_file import reason, replace_file
from backends.bounds import as_name, whole
from backends.ownership.files import delete_file
from backends.ownership.private import PUBLIC
from backends.regular_file import OddFileError, read_regular

FILE_NAME = "manifest.json"
VERSION = 2
READABLE = (1, VERSION)  # 1 had no parts, image parts, hashes and sources
MAX_BYTES = 4 << 20
MAX_COUNT = 1 << 60


class DamagedManifestError(ModelFileError):
    """It is none, whatever wrote it: a new one may take its place."""


@dataclass(frozen=True, slots=True)
class Record:
    """One installed model. `draft`, `mmproj` and `parts` are names of other files in the same folder."""

    id: str
    file: str
    name: str
    bytes: int
    architecture: str
    parameters: int
    quantization: str
    context: int | None
    draft: str | None
    added: str  # ISO 8601, UTC
    parts: tuple[str, ...] = ()  # after the first, in their order
    mmproj: str | None = None
    sha256: str | None = None  # of `file`, in hexadecimal
    source: str | None = None
    is_base: bool | None = None  # None: of an earlier version, which did not look
    is_embedder: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file, *self.parts, *filter(None, (self.mmproj, self.draft)))


def read_manifest(folder: Path) -> dict[str, Record]:
    """Records by file name; none when there is no manifest. Raises ModelFileError when it cannot be understood."""
    path = folder / FILE_NAME
    try:
        document = json.loads(read_regular(path, MAX_BYTES))
        version = document["version"]
        if type(version) is int and version > VERSION:
            raise ModelFileError(f"{path} was written by another version of Slipstream.")
        if version not in READABLE:
            raise ValueError("no version of ours")
        records = [_record(entry) for entry in document["models"]]
    except FileNotFoundError:
        return {}
    except OddFileError as fault:
        raise DamagedManifestError(f"{path} is damaged: {fault.strerror}. Install the model again.") from fault
    except OSError as fault:
        raise ModelFileError(f"{path} cannot be read: {reason(fault)}.") from fault
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as fault:
        raise DamagedManifestError(f"{path} is damaged. Install the model again.") from fault
    return {record.file: record for record in records}


def write_manifest(folder: Path, records: dict[str, Record]) -> None:
    """Replaces the manifest in one step; without records it is removed. Raises ModelFileError."""
    path = folder / FILE_NAME
    document = {"version": VERSION, "models": [asdict(record) for record in records.values()]}
    try:
        if not records:
            delete_file(path)
            return
        content = json.dumps(document, indent=2, ensure_ascii=False)
        replace_file(path, content.encode("utf-8", "surrogatepass"), PUBLIC)
    except OSError as fault:
        raise ModelFileError(f"{path} cannot be written: {reason(fault)}.") from fault


def _record(entry: dict[str, Any]) -> Record:
    values = {
        field.name: entry[field.name] for field in fields(Record) if field.name in entry or not _is_optional(field)
    }
    record = Record(**{**values, "parts": tuple(values.get("parts", ()))})
    texts = (record.id, record.file, record.architecture, record.quantization, record.added)
    if not all(isinstance(text, str) for text in (record.name, *texts, *record.parts)):
        raise TypeError("a text is missing")
    record = replace(record, name=as_name(record.name) or as_name(record.file))
    if not all(isinstance(text, str | None) for text in (record.draft, record.mmproj, record.sha256, record.source)):
        raise TypeError("a text is none")
    if not record.id or not all(as_name(text) == text for text in (*texts, record.sha256 or "", record.source or "")):
        raise ValueError("a text is odd")
    if not isinstance(record.is_base, bool | None) or not isinstance(record.is_embedder, bool):
        raise TypeError("a truth is none")
    if not all(_is_count(count) for count in (record.bytes, record.parameters, record.context or 0)):
        raise TypeError("a number is missing")
    for file_name in record.files:
        _check_name(file_name)
    added = datetime.fromisoformat(record.added)
    if added.tzinfo is None:
        raise ValueError("no time zone")
    added.astimezone(UTC)  # OverflowError: before or after all times
    return record


def _check_name(file_name: str) -> None:
    """It is joined to the folder, and deleted with the model. Raises ValueError."""
    try:
        checked_name(file_name, "model file")
    except ModelFileError as fault:
        raise ValueError(str(fault)) from fault


def _is_count(value: Any) -> bool:
    return value == 0 or whole(value) is not None


def _is_optional(field: Field[Any]) -> bool:
    return field.default is not MISSING
