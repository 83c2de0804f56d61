"""Whose an image part (mmproj) is: the model's beside it that it was made for, or nobody's. Opens no file."""

import os
import re
from collections.abc import Iterable

from app.library.entry import ModelEntry
from app.library.facts import Facts

# of what projector which models are the text half (tools/mtmd/clip-impl.h); others are told by width and name alone
FAMILIES = {
    "gemma3": ("gemma3",),
    "gemma3nv": ("gemma3n",),
    "gemma3na": ("gemma3n",),
    "gemma4v": ("gemma4",),
    "gemma4a": ("gemma4",),
    "gemma4uv": ("gemma4",),
    "gemma4ua": ("gemma4",),
    "qwen2vl_merger": ("qwen2vl",),
    "qwen2.5vl_merger": ("qwen2vl",),
    "qwen2.5o": ("qwen2vl",),
    "qwen3vl_merger": ("qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe"),
    "llama4": ("llama4",),
    "kimivl": ("deepseek2",),
    "cogvlm": ("cogvlm",),
    "lfm2": ("lfm2", "lfm2moe"),
    "lfm2a": ("lfm2", "lfm2moe"),
    "glm4v": ("glm4", "glm4moe"),
}
# words of a file's name that tell nothing of the model
GENERIC = re.compile(r"^(mmproj|mm|proj|projector|model|vision|clip|encoder|gguf|b?f(p)?(16|32)|i?q\d.*|[kms0])$")
APART = re.compile(r"[^a-z0-9]+")


def fits(model: str, of_model: Facts, projector: str, of_projector: Facts) -> bool:
    """model and projector: paths. By the width that it projects to, by its kind, and by its name."""
    if None not in (of_model.width, of_projector.width) and of_model.width != of_projector.width:
        return False
    family = FAMILIES.get(of_projector.architecture)
    if family and of_model.architecture not in family:
        return False
    told, named = _words(projector), _words(model)
    common = told & named
    return told <= named or (bool(family) and bool(common))


def best(model: str, of_model: Facts, projectors: Iterable[tuple[str, Facts]]) -> str | None:
    """The path of the one that fits and whose name has most in common with the model's; None when none fits."""
    fitting = [path for path, facts in projectors if fits(model, of_model, path, facts)]
    everything = set(APART.split(os.path.basename(model).lower()))
    return max(
        fitting, key=lambda path: len(everything & set(APART.split(os.path.basename(path).lower()))), default=None
    )


def without_parts(entries: list[ModelEntry]) -> list[ModelEntry]:
    """Without the image parts that belong to a model of the list."""
    owned = {entry.mmproj for entry in entries if entry.mmproj is not None}
    return [entry for entry in entries if entry.path not in owned]


def _words(path: str) -> set[str]:
    name = os.path.splitext(os.path.basename(path))[0].lower()
    return {word for word in APART.split(name) if word and not GENERIC.match(word)}
