"""Checks that a LoRA file fits a model, in Python alone: llama.cpp compares some of the shapes and aborts on the rest.

For a weight W the file holds W.lora_a and W.lora_b, whose product is added to W times alpha / rank times scale.
"""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from backends.formats import FormatError
from backends.formats.gguf import Header, TensorInfo, read_header

A, B = ".lora_a", ".lora_b"
EMBEDDING, OUTPUT = "token_embd.weight", "output.weight"
ALPHA = "adapter.lora.alpha"
TYPES = ("F32", "F16", "BF16", "Q8_0")  # that converters write; others are no operands of a product


def check_adapter(path: Path, models: Sequence[Header]) -> None:
    """Raises FormatError when the adapter is damaged or not for this model. models: all files of one in parts."""
    header = read_header(path)
    _check_kind(header, models[0].architecture)
    weights = {tensor.name: tensor for model in models for tensor in model.tensors}
    pairs = _pairs(header)
    if not pairs:
        raise FormatError(f"{path.name} changes no weight: it holds no LoRA tensors.")
    for name, (a, b) in pairs.items():
        if name not in weights:
            raise FormatError(f"{path.name} is for another model: it changes “{name}”, which this one has not.")
        if name == EMBEDDING and OUTPUT not in weights:  # llama.cpp applies it to the output, too, and aborts there
            raise FormatError(f"{path.name} changes the embedding, which this model uses as its output as well.")
        if not {a.type, b.type} <= set(TYPES):
            raise FormatError(f"{path.name} holds “{name}” as {a.type} and {b.type}; use {', '.join(TYPES)}.")
        if not (_fits_embedding if name == EMBEDDING else _fits)(weights[name].shape, a.shape, b.shape):
            raise FormatError(f"{path.name} is for another model: the shape of its “{name}” is not this one's.")


def _check_kind(header: Header, architecture: str) -> None:
    name, metadata = header.path.name, header.metadata
    if metadata.get("general.type") != "adapter" or metadata.get("adapter.type") != "lora":
        raise FormatError(f"{name} is not a LoRA adapter. One is made with llama.cpp's convert_lora_to_gguf.py.")
    if header.architecture != architecture:
        raise FormatError(
            f"{name} is an adapter for “{header.architecture[:64]}” models, and this is “{architecture}”."
        )
    alpha = metadata.get(ALPHA, 0.0)
    if not isinstance(alpha, float) or not isfinite(alpha):
        raise FormatError(f"{name} is damaged: its {ALPHA} is no number. Download it again.")
    if any(key.startswith("adapter.alora.") for key in metadata):
        raise FormatError(f"{name} works from certain words on only (aLoRA), which Slipstream does not do.")


def _pairs(header: Header) -> dict[str, tuple[TensorInfo, TensorInfo]]:
    """By the name of the weight that they change."""
    tensors = {tensor.name: tensor for tensor in header.tensors if not tensor.name.endswith("_norm.weight")}
    names = {name.removesuffix(A).removesuffix(B) for name in tensors}
    if missing := {name + end for name in names for end in (A, B)} ^ tensors.keys():
        raise FormatError(f"{header.path.name} is damaged: “{min(missing)}” has no partner. Convert it again.")
    return {name: (tensors[name + A], tensors[name + B]) for name in sorted(names)}


def _fits(weight: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Shapes have the innermost dimension first; those beyond the second count experts."""
    (inner, outer, *experts), (a_inner, rank, *a_experts), (b_rank, b_outer, *b_experts) = map(_padded, (weight, a, b))
    return (inner, outer, rank) == (a_inner, b_outer, b_rank) and experts == a_experts == b_experts


def _fits_embedding(weight: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Rows of A are looked up by token, and so both lie the other way round."""
    (inner, tokens, *_), (a_rank, a_tokens, *_), (b_rank, b_outer, *_) = map(_padded, (weight, a, b))
    return (inner, tokens, a_rank) == (b_outer, a_tokens, b_rank)


def _padded(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape + (1,) * (4 - len(shape))
