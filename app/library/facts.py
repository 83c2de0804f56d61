"""What the header of a model says, in the few words that a list needs. Read once, then kept in the index."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import ModelFileError
from app.library.documents import read_bytes
from app.library.found import Found
from app.library.gguf import CompanionFileError, UnreadableFileError, describe_parts, projection
from backends.bounds import printable, whole
from backends.formats.convertible import unconvertible
from backends.formats.gguf import MAX_FIGURE

MAX_CONFIG = 4 << 20
MAX_TYPE = 64  # characters of model_type
TEMPLATES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")
WRITERS = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
ENCODERS = frozenset({"BertModel"})  # of those that can be converted
CHECKPOINT_TYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


@dataclass(frozen=True, slots=True)
class Facts:
    """is_model: False for adapters, image parts, importance matrices. problem: why it cannot be loaded.

    architecture: of an image part, its kind.
    title: what the header calls the model, may be empty. is_base: it completes text and has no chat format.
    is_passing: the system did not hand the file out, which may change without a trace on the file.
    """

    is_model: bool
    title: str = ""
    architecture: str = ""
    parameters: int = 0
    quantization: str = ""
    context: int | None = None
    problem: str | None = None
    width: int | None = None  # of an embedding; of an image part: to which it projects
    is_base: bool = False
    is_embedder: bool = False  # makes vectors of texts, and no answers
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
        return Facts(True, problem=str(fault), is_passing=isinstance(fault, UnreadableFileError))
    figures = (it.title, it.architecture, it.parameters, it.quantization, it.context)
    return Facts(True, *figures, width=it.embedding_length, is_base=it.is_base, is_embedder=it.is_embedder)


def _companion_facts(path: Path, problem: str) -> Facts:
    kind, width = projection(path)
    return Facts(False, architecture=kind, width=width, problem=problem)


def unfit_checkpoint(folder: Path) -> str | None:
    """Why its config.json alone says that it cannot be converted, if it does."""
    return _unknown(_document(folder / "config.json") or {})


def _checkpoint_facts(found: Found) -> Facts:
    config = _document(Path(found.path) / "config.json")
    if config is None:
        return Facts(True, problem="Its config.json cannot be read, so it cannot be converted.")
    context, architecture = config.get("max_position_embeddings"), config.get("model_type")
    problem = _unknown(config)
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
        is_base=_is_base(Path(found.path), config),
        is_embedder=_makes_vectors(config),
    )


def _unknown(config: dict[str, Any]) -> str | None:
    name = unconvertible(config.get("architectures"))
    return name and (
        f"It cannot be converted: {printable(name)} is no architecture that Slipstream converts. Look for a GGUF file."
    )


def _is_base(folder: Path, config: dict[str, Any]) -> bool:
    """A checkpoint of a model that writes text, with a tokenizer and without a template wherever one could lie."""
    if any((folder / name).exists() for name in TEMPLATES):
        return False
    tokenizer, kinds = _document(folder / "tokenizer_config.json"), config.get("architectures")
    writes_text = isinstance(kinds, list) and any(isinstance(kind, str) and kind.endswith(WRITERS) for kind in kinds)
    return writes_text and tokenizer is not None and not tokenizer.get("chat_template")


def _makes_vectors(config: dict[str, Any]) -> bool:
    """An encoder: what it is made of has no output of words."""
    kinds = config.get("architectures")
    return isinstance(kinds, list) and bool(ENCODERS.intersection(kind for kind in kinds if isinstance(kind, str)))


def _document(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(read_bytes(str(path), MAX_CONFIG))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_TYPE and printable(value) == value else ""


def _odd(key: str, value: Any) -> str:
    said = f"{value!r:.40}" if isinstance(value, str | int | float) else "no plain value"
    return f"It cannot be converted: in its config.json {key} is {printable(said)}, as in no model. Download it again."
