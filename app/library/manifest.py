"""The manifest of one repository folder: which of its files are whole, and what they are. Knows no GGUF."""

import json
import os
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from app.errors import ModelFileError
from app.library.names import checked_name

FILE_NAME = "manifest.json"
VERSION = 1
MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """One installed model. `draft` is the name of another file in the same folder."""

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


def read_manifest(folder: Path) -> dict[str, Record]:
    """Records by file name; none when there is no manifest. Raises ModelFileError when it cannot be understood."""
    path = folder / FILE_NAME
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("too large")
        document = json.loads(path.read_bytes())
        if document["version"] != VERSION:
            raise ModelFileError(f"{path} was written by another version of Slipstream.")
        records = [_record(entry) for entry in document["models"]]
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise ModelFileError(f"{path} cannot be read: {fault.strerror or fault}.") from fault
    except (ValueError, KeyError, TypeError, RecursionError) as fault:
        raise ModelFileError(f"{path} is damaged. Install the model again.") from fault
    return {record.file: record for record in records}


def write_manifest(folder: Path, records: dict[str, Record]) -> None:
    """Replaces the manifest in one step; without records it is removed. Raises ModelFileError."""
    path = folder / FILE_NAME
    part = path.with_name(f"{FILE_NAME}.part")
    document = {"version": VERSION, "models": [asdict(record) for record in records.values()]}
    try:
        if not records:
            path.unlink(missing_ok=True)
            return
        with part.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=2, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as fault:
        raise ModelFileError(f"{path} cannot be written: {fault.strerror or fault}.") from fault


def _record(entry: dict[str, Any]) -> Record:
    record = Record(**{field.name: entry[field.name] for field in fields(Record)})
    texts = (record.id, record.file, record.name, record.architecture, record.quantization, record.added)
    if not all(isinstance(text, str) for text in texts) or not isinstance(record.draft, str | None):
        raise TypeError("a text is missing")
    if not all(type(count) is int for count in (record.bytes, record.parameters, record.context or 0)):
        raise TypeError("a number is missing")
    for file_name in filter(None, (record.file, record.draft)):
        checked_name(file_name, "model file")  # it is joined to the folder, and deleted with the model
    datetime.fromisoformat(record.added)
    return record
