"""New files appear whole or not at all: a `.part` beside the target, fsync, rename. Knows no format."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from backends.child import Refusal

MAX_JSON_BYTES = 256 << 20


def part_of(target: Path) -> Path:
    """Where the new file grows. One that an earlier death left behind is removed, never appended to."""
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
    except OSError as fault:
        raise Refusal(f"{part} cannot be written: {fault.strerror or fault}.") from fault
    return part


def publish(part: Path, target: Path) -> None:
    """After this the target is the new file, also after a power cut. Raises Refusal."""
    try:
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
        sync_folder(target.parent)
    except OSError as fault:
        raise Refusal(f"{target} cannot be written: {fault.strerror or fault}.") from fault


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


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint. Raises Refusal when it is missing, too large or not one."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise Refusal(f"{path.name} is too large to be what its name says.")
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Refusal(f"{path.parent} is not a complete checkpoint: {path.name} is missing.") from None
    except OSError as fault:
        raise Refusal(f"{path} cannot be read: {fault.strerror or fault}.") from fault
    except (ValueError, RecursionError) as fault:
        raise Refusal(f"{path.name} is damaged: it is not valid JSON. Download the checkpoint again.") from fault
    if not isinstance(value, dict):
        raise Refusal(f"{path.name} is damaged: it holds no JSON object. Download the checkpoint again.")
    return value
