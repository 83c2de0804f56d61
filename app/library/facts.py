"""What the header of a model says, in the few words that a list needs. Read once, then kept in the index."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ModelFileError
from app.library.documents import read_bytes
from app.library.found import Found
from app.library.gguf import CompanionFileError, describe_parts

MAX_CONFIG = 4 << 20
CHECKPOINT_TYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


@dataclass(frozen=True, slots=True)
class Facts:
    """is_model: False for adapters, image parts, importance matrices. problem: why it cannot be loaded."""

    is_model: bool
    name: str = ""
    architecture: str = ""
    parameters: int = 0
    quantization: str = ""
    context: int | None = None
    problem: str | None = None


def read_facts(found: Found) -> Facts:
    """Opens the files. Never raises for what is in them."""
    if found.is_checkpoint:
        return _checkpoint_facts(found)
    path = Path(found.path)
    try:
        it = describe_parts(path, tuple(map(Path, found.parts)))
    except CompanionFileError:
        return Facts(False)
    except ModelFileError as fault:
        return Facts(True, path.stem, problem=str(fault))
    return Facts(True, it.name, it.architecture, it.parameters, it.quantization, it.context)


def _checkpoint_facts(found: Found) -> Facts:
    try:
        config = json.loads(read_bytes(str(Path(found.path) / "config.json"), MAX_CONFIG))
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        return Facts(True, problem="Its config.json cannot be read, so it cannot be converted.")
    context = config.get("max_position_embeddings")
    return Facts(
        True,
        architecture=_text(config.get("model_type")),
        quantization=CHECKPOINT_TYPES.get(_text(config.get("dtype") or config.get("torch_dtype")), "safetensors"),
        context=context if type(context) is int and context > 0 else None,
    )


def _text(value: Any) -> str:
    return value[:64] if isinstance(value, str) else ""
