"""What is refused before it is loaded, or before it is given a context: with a sentence for the person who asked."""

from pathlib import Path

from backends.engine.runner import LoadError
from backends.formats import FormatError
from backends.formats.gguf import Header, read_header
from backends.formats.gguf_adapter import check_adapter
from backends.formats.kv_shape import KVShape
from backends.kv_layout import default_context
from backends.llama.fingerprint import other_parts
from backends.llama.header import header_of
from backends.llama.kv_types import refusal
from backends.llama.native import NativeDevice, NativeModel
from backends.llama.placement import CUDA, Placement, check_context, free_bytes
from backends.protocol import EngineOptions, FailureKind


def checked_header(path: Path) -> Header:
    try:
        return header_of(path)
    except FormatError as error:
        raise LoadError(FailureKind.BAD_MODEL, str(error)) from error


def check_cache(path: Path, options: EngineOptions, placement: Placement, devices: tuple[NativeDevice, ...]) -> KVShape:
    """The cache's shape, judged before any native call: what a type does to a cache that it does not fit is not
    always a refusal, and what a context does that can never be held is not always one either."""
    header = checked_header(path)
    is_cuda = placement.attempts[0] > 0 and any(device.name.startswith(CUDA) for device in devices)
    shape = KVShape.of(header)
    if sentence := refusal(shape, header.architecture, options, is_cuda):
        raise LoadError(FailureKind.BAD_MODEL, sentence)
    context = options.context or default_context(header.number("context_length"))
    check_context(header, context, options, free_bytes(placement, devices))
    return shape


def check_adapters(model: Path, options: EngineOptions) -> None:
    try:
        headers = [read_header(path) for path in (model, *other_parts(model))] if options.adapters else []
        for adapter in options.adapters:
            check_adapter(adapter.path, headers)
    except FormatError as error:
        raise LoadError(FailureKind.BAD_MODEL, str(error)) from error


def check_generates(model: NativeModel, path: Path) -> None:
    if not model.has_vocabulary:
        raise LoadError(FailureKind.BAD_MODEL, f"{path.name} has no tokenizer. Convert the model again with its own.")
    if not model.has_decoder:
        raise LoadError(FailureKind.BAD_MODEL, f"{path.name} is not a model that generates text.")
