"""Writes the settings of a model into a GGUF file's header. Knows the keys that every model has."""

import gguf

from backends.convert.architectures.table import Architecture, Value
from backends.convert.config import Config, Size
from backends.convert.encode import StoredType
from backends.protocol import Pooling

FILE_TYPES: dict[StoredType, int] = {"f32": 0, "f16": 1, "bf16": 32, "mxfp4": 38}  # llama.h, LLAMA_FTYPE

POOLING = {
    Pooling.MEAN: gguf.PoolingType.MEAN,
    Pooling.CLS: gguf.PoolingType.CLS,
    Pooling.LAST: gguf.PoolingType.LAST,
}


def add_metadata(
    writer: gguf.GGUFWriter,
    name: str,
    architecture: Architecture,
    config: Config,
    type_: StoredType,
    pooling: Pooling | None = None,
) -> None:
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_file_type(FILE_TYPES[type_])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for key in {key.name: key for key in architecture.keys}.values():  # of two with one name the last counts
        value = key.value(config)
        if value is not None:
            _add(writer, f"{architecture.gguf}.{key.name}", value)
    if pooling is not None:
        writer.add_pooling_type(POOLING[pooling])
    if Size.TOKEN_TYPES in config.sizes:
        writer.add_token_type_count(config.sizes[Size.TOKEN_TYPES])


def _add(writer: gguf.GGUFWriter, name: str, value: Value) -> None:
    """In the type that llama.cpp's own converter gives to such a value."""
    match value:
        case bool():
            writer.add_bool(name, value)
        case int():
            writer.add_uint32(name, value)
        case float():
            writer.add_float32(name, value)
        case str():
            writer.add_string(name, value)
        case list():
            writer.add_array(name, value)
