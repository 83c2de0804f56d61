"""Converts a checkpoint folder into one GGUF file, a tensor at a time. Runs in a child; knows no llama.cpp.

Peak memory is the largest tensor in float32, twice. A kill leaves the old target or the new one.
"""

import errno
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import gguf
import numpy as np
from numpy.typing import NDArray

from backends.child import ConvertResult, Progress, Refusal, Report
from backends.convert.architectures import Architecture
from backends.convert.config import Config, RopeKind, Size, read_config
from backends.convert.files import part_of, publish, require_space
from backends.convert.plan import (
    Floats,
    FloatType,
    PlannedTensor,
    find_architecture,
    plan_tensors,
    usable_context,
)
from backends.convert.safetensors import read_checkpoint
from backends.convert.tokenizer import read_vocabulary
from backends.convert.vocabulary_writer import add_vocabulary, model_name

METADATA_BYTES = 32 << 20  # room for the vocabulary and the header
# type: ggml's number (GGMLQuantizationType), llama.h's LLAMA_FTYPE, how numpy holds it
TYPES: dict[FloatType, tuple[int, int, np.dtype[Any]]] = {
    "f32": (0, 0, np.dtype("<f4")),
    "f16": (1, 1, np.dtype("<f2")),
    "bf16": (30, 32, np.dtype("<u2")),
}


def convert(
    report: Report, source: Path, target: Path, type: FloatType = "bf16", *, is_final: bool = True
) -> ConvertResult:
    """Writes the checkpoint in folder `source` to `target`. Raises Refusal with one sentence.

    Unless is_final the file stays at `part_of(target)`, for someone who looks at it first.
    """
    start = time.perf_counter()
    if type not in get_args(FloatType):
        raise Refusal(f"{type!r} is not a type to convert to. These are: {', '.join(get_args(FloatType))}.")
    report(Progress(0.0, "Reading the checkpoint"))
    entries = read_checkpoint(source)
    config = read_config(source)
    architecture = find_architecture(config)
    tensors = plan_tensors(architecture, config, entries, type)
    vocabulary = read_vocabulary(source, config.sizes[Size.VOCAB], config.raw)
    part = part_of(target)
    require_space(target.parent, sum(tensor.num_bytes for tensor in tensors) + METADATA_BYTES)
    writer = gguf.GGUFWriter(part, architecture.gguf)
    try:
        name = model_name(source.resolve().name, vocabulary.is_phi3)
        _add_metadata(writer, name, architecture, config, type)
        add_vocabulary(writer, vocabulary)
        _write_tensors(writer, tensors, report)
        writer.close()
        if is_final:
            publish(part, target)
    except BaseException as fault:
        with suppress(OSError):  # what was buffered may not fit on the disk either
            writer.close()
        part.unlink(missing_ok=True)
        if isinstance(fault, OSError):
            raise _cannot_write(target, fault) from fault
        raise
    report(Progress(1.0, "Converted"))
    written = target if is_final else part
    seconds = time.perf_counter() - start
    return ConvertResult(written.stat().st_size, len(tensors), seconds, notes=vocabulary.notes)


def _add_metadata(
    writer: gguf.GGUFWriter, name: str, architecture: Architecture, config: Config, type_: FloatType
) -> None:
    sizes, rope = config.sizes, config.rope
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_file_type(TYPES[type_][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(config.num_layers)
    writer.add_context_length(usable_context(architecture, config))
    writer.add_embedding_length(sizes[Size.HIDDEN])
    writer.add_feed_forward_length(sizes[Size.FEED_FORWARD])
    writer.add_head_count(sizes[Size.HEADS])
    writer.add_head_count_kv(sizes[Size.KV_HEADS])
    writer.add_layer_norm_rms_eps(config.norm_epsilon)
    writer.add_rope_freq_base(rope.theta)
    if config.has_head_dim:
        writer.add_key_length(sizes[Size.HEAD])
        writer.add_value_length(sizes[Size.HEAD])
    if architecture.writes_rope_dimension:
        writer.add_rope_dimension_count(sizes[Size.HEAD])
        writer.add_vocab_size(sizes[Size.VOCAB])
    if rope.kind is RopeKind.LINEAR:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope.factor)


def _write_tensors(writer: gguf.GGUFWriter, tensors: list[PlannedTensor], report: Report) -> None:
    for tensor in tensors:
        ggml_type, _, dtype = TYPES[tensor.type]
        raw = gguf.GGMLQuantizationType(ggml_type)
        writer.add_tensor_info(tensor.name, tensor.shape, dtype, tensor.num_bytes, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    total, written = sum(tensor.num_bytes for tensor in tensors), 0
    for tensor in tensors:
        report(Progress(written / total, f"Converting {tensor.name}"))
        writer.write_tensor_data(encode(tensor.name, tensor.read(), tensor.type))
        written += tensor.num_bytes


def encode(name: str, values: Floats, type_: FloatType) -> NDArray[Any]:
    """The values as `type_` holds them (BF16 as uint16). Raises Refusal when one is not finite in it."""
    if not np.isfinite(values).all():
        raise Refusal(f"Tensor {name!r} holds values that are not numbers (NaN or infinite): a damaged checkpoint.")
    if type_ == "f32":
        return np.ascontiguousarray(values, dtype="<f4")
    if type_ == "bf16":
        encoded = _to_bf16(values)
        overflows = bool(((encoded & 0x7F80) == 0x7F80).any())
    else:
        with np.errstate(over="ignore"):  # asked for on the next line
            encoded = np.ascontiguousarray(values, dtype="<f2")
        overflows = not np.isfinite(encoded).all()
    if overflows:
        raise Refusal(f"Tensor {name!r} holds values too large for {type_.upper()}. Convert to BF16 or F32 instead.")
    return encoded


def _to_bf16(values: Floats) -> NDArray[np.uint16]:
    """Rounds to nearest, ties to even, as ggml_compute_fp32_to_bf16."""
    bits = np.ascontiguousarray(values, dtype="<f4").view(np.uint32)
    rounding = ((bits >> 16) & 1) + np.uint32(0x7FFF)
    return ((bits + rounding) >> 16).astype("<u2")


def _cannot_write(target: Path, fault: OSError) -> Refusal:
    if fault.errno == errno.ENOSPC:
        return Refusal(f"The disk of {target.parent} is full. Free some space and try again.")
    return Refusal(f"{target} cannot be written: {fault.strerror or fault}.")
