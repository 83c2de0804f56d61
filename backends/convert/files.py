"""New files appear whole or not at all: a file beside the target, fsync, rename. Knows no format."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.disk_fault import told
from backends.ownership import files as ownership
from backends.regular_file import OddFileError, TooLargeError, read_regular

MAX_JSON_BYTES = 32 << 20
MAX_JSON_VALUES = 4_000_000  # of the largest vocabularies: some two million


def part_of(target: Path) -> Path:
    """Where the new file grows. One that an earlier death left behind is removed, never appended to."""
    part = ownership.part_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        ownership.delete_file(part)
        part.open("xb").close()  # the system says now why it cannot be made; a native writer only that it was not
        ownership.delete_file(part)
    except OSError as fault:
        raise Refusal(told(fault, part)) from fault
    return part


def publish(part: Path, target: Path) -> None:
    """After this the target is the new file, also after a power cut. Raises Refusal."""
    try:
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
        sync_folder(target.parent)
    except OSError as fault:
        raise Refusal(told(fault, target)) from fault


def sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and a rename is journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_space(folder: Path, needed: int) -> None:
    """Raises Refusal with both numbers when `needed` bytes do not fit on the folder's disk."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Refusal(
            f"The disk of {folder} is too full: {megabytes(needed)} are needed, "
            f"{megabytes(free)} are free. Free some space, or choose another folder."
        )


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES, max_values: int = MAX_JSON_VALUES) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint. Raises Refusal when it is missing, too large or not one."""
    try:
        value = json.loads(read_checked(path, max_bytes, max_values), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as fault:
        raise Refusal(f"{path.name} is damaged: it is not valid JSON. Download the checkpoint again.") from fault
    if not isinstance(value, dict):
        raise Refusal(f"{path.name} is damaged: it holds no JSON object. Download the checkpoint again.")
    return value


def read_checked(path: Path, max_bytes: int = MAX_JSON_BYTES, max_values: int = MAX_JSON_VALUES) -> bytes:
    """The same as bytes that nobody has parsed yet."""
    try:
        content = read_regular(path, max_bytes)
    except FileNotFoundError:
        raise Refusal(f"{path.parent} is not a complete checkpoint: {path.name} is missing.") from None
    except TooLargeError as fault:
        raise Refusal(f"{path.name} is too large to be what its name says.") from fault
    except OddFileError as fault:
        raise Refusal(f"{path.name} is not what its name says: {fault.strerror}.") from fault
    except OSError as fault:
        raise Refusal(f"{path} cannot be read: {fault.strerror or fault}.") from fault
    if _num_values(content) > max_values:
        raise Refusal(f"{path.name} holds far more values than it should, so it was not read.")
    return content


def parse_json(
    text: bytes,
    pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
    max_values: int = MAX_JSON_VALUES,
) -> Any:
    """Knows no NaN. Raises ValueError or RecursionError, and OverflowError for too many values."""
    if _num_values(text) > max_values:
        raise OverflowError("too many values")
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=pairs_hook)


def _num_values(text: bytes) -> int:
    """At most: counted before they become a hundred times as many bytes of objects."""
    return sum(map(text.count, (b",", b"[", b"{")))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")
