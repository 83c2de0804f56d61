"""What is on disk of an install: the request and the steps that are done. It is written in one go, read with doubt."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from app.errors import InstallError, ModelFileError
from app.hub.repository import HubFile
from app.jobs.install_request import MAX_BYTES, MAX_FILES, SHA256, Aim, InstallRequest
from app.library.names import checked_name
from app.whole_file import reason, replace_file
from backends.regular_file import read_regular

FILE_NAME = "install.json"
VERSION = 1
MAX_RECORD_BYTES = 4 << 20


class Step(StrEnum):
    DOWNLOAD = "download"
    CHECK = "check"
    CONVERT = "convert"
    CALIBRATE = "calibrate"
    QUANTIZE = "quantize"
    CARD = "card"
    ADD = "add"


@dataclass(frozen=True, slots=True)
class Made:
    """A file that a step has made. sha256: where it is known."""

    name: str
    bytes: int
    sha256: str | None = None

    def lies_in(self, folder: Path) -> bool:
        """Whether it lies there whole: a file that is not recorded, or has another size, is not believed."""
        try:
            return (folder / self.name).stat().st_size == self.bytes
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class InstallRecord:
    """done: what each finished step has made, or handed on. note: what a person should know at the end."""

    request: InstallRequest
    done: Mapping[Step, tuple[Made, ...]] = field(default_factory=dict)
    note: str = ""

    def with_step(self, step: Step, made: tuple[Made, ...], note: str = "") -> "InstallRecord":
        return replace(self, done={**self.done, step: made}, note=" ".join(filter(None, (self.note, note))))


def write_record(folder: Path, record: InstallRecord) -> None:
    """Replaces the old one in one step, also when the power fails. Raises InstallError."""
    path = folder / FILE_NAME
    try:
        content = json.dumps({"version": VERSION, **asdict(record)}, ensure_ascii=False)
        replace_file(path, content.encode("utf-8", "surrogatepass"))
    except OSError as fault:
        raise InstallError(f"{path} cannot be written: {reason(fault)}. Free some space there.") from fault


def read_record(folder: Path) -> InstallRecord:
    """Raises InstallError for one that is missing, damaged, or asks for what no request may ask for."""
    path = folder / FILE_NAME
    try:
        document = json.loads(read_regular(path, MAX_RECORD_BYTES))
        if document["version"] != VERSION:
            raise InstallError(f"{path} was written by another version of Slipstream.")
        done = {Step(step): tuple(_made(made) for made in files) for step, files in document["done"].items()}
        return InstallRecord(_request(document["request"]), done, _text(document["note"]))
    except OSError as fault:
        raise InstallError(f"{path} cannot be read: {reason(fault)}.") from fault
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, ModelFileError) as fault:
        raise InstallError(f"{path} is damaged.") from fault


def _request(document: dict[str, Any]) -> InstallRequest:
    files = document["files"]
    if not isinstance(files, list) or len(files) > MAX_FILES:
        raise ValueError("no list of files")
    quantization, parameters, mmproj = document["quantization"], document["parameters"], document["mmproj"]
    if not (parameters is None or (type(parameters) is int and 0 < parameters <= MAX_BYTES)):
        raise ValueError("no number of parameters")
    return InstallRequest(
        repository_id=_text(document["repository_id"]),
        commit=_text(document["commit"]),
        files=tuple(_hub_file(file) for file in files),
        aim=Aim(document["aim"]),
        quantization=None if quantization is None else _text(quantization),
        mmproj=None if mmproj is None else _hub_file(mmproj),
        parameters=parameters,
        has_card=bool(document["has_card"]),
    )


def _hub_file(document: dict[str, Any]) -> HubFile:
    """The request checks its names and numbers."""
    return HubFile(_text(document["path"]), document["bytes"], document["sha256"], document["blob_id"])


def _made(document: dict[str, Any]) -> Made:
    name, size, sha256 = checked_name(_text(document["name"]), "file"), document["bytes"], document["sha256"]
    if type(size) is not int or not 0 <= size <= MAX_BYTES or not (sha256 is None or SHA256.fullmatch(sha256)):
        raise ValueError("no size or hash")
    return Made(name, size, sha256)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value
