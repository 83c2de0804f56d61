"""What the header of a model says, in the few words that a list needs. Read once, then kept in the index."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ModelFileError
from app.library.documents import read_bytes
from app.library.found import Found
from app.library.gguf import CompanionFileError, UnreadableFileError, describe_parts, projection
from backends.bounds import as_name, printable, whole
from backends.formats.gguf import MAX_FIGURE

MAX_CONFIG = 4 << 20
MAX_TYPE = 64  # characters of model_type
CHECKPOINT_TYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


@dataclass(frozen=True, slots=True)
class Facts:
    """is_model: False for adapters, image parts, importance matrices. problem: why it cannot be loaded.

    architecture: of an image part, its kind.
    is_passing: the system did not hand the file out, which may change without a trace on the file.
    """

    is_model: bool
    name: str = ""
    architecture: str = ""
    parameters: int = 0
    quantization: str = ""
    context: int | None = None
    problem: str | None = None
    width: int | None = None  # of an embedding; of an image part: to which it projects
    is_passing: bool = False


def read_facts(found: Found) -> Facts:
    """Opens the files. Never raises for what is in them."""
    if found.is_checkpoint:
        return _checkpoint_facts(found)
    path = Path(found.path)
    try:
        it = describe_parts(path, tuple(map(Path, found.parts)))
    except CompanionFileError as fault:
        return _companion_facts(path, str(fault))
    except ModelFileError as fault:
        return Facts(True, as_name(path.stem), problem=str(fault), is_passing=isinstance(fault, UnreadableFileError))
    return Facts(True, it.name, it.architecture, it.parameters, it.quantization, it.context, width=it.embedding_length)


def _companion_facts(path: Path, problem: str) -> Facts:
    kind, width = projection(path)
    return Facts(False, architecture=kind, width=width, problem=problem)


def _checkpoint_facts(found: Found) -> Facts:
    try:
        config = json.loads(read_bytes(str(Path(found.path) / "config.json"), MAX_CONFIG))
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        return Facts(True, problem="Its config.json cannot be read, so it cannot be converted.")
    context, architecture = config.get("max_position_embeddings"), config.get("model_type")
    problem = None
    if context is not None and whole(context, MAX_FIGURE) is None:
        problem = _odd("max_position_embeddings", context)
    if architecture is not None and not _text(architecture):
        problem = _odd("model_type", architecture)
    return Facts(
        True,
        architecture=_text(architecture),
        quantization=CHECKPOINT_TYPES.get(_text(config.get("dtype") or config.get("torch_dtype")), "safetensors"),
        context=whole(context, MAX_FIGURE),
        problem=problem,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_TYPE and printable(value) == value else ""


def _odd(key: str, value: Any) -> str:
    said = f"{value!r:.40}" if isinstance(value, str | int | float) else "no plain value"
    return f"It cannot be converted: in its config.json {key} is {printable(said)}, as in no model. Download it again."
