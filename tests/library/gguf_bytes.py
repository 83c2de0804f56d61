"""Writes GGUF files byte by byte, sound ones and damaged ones, so that tests do not rest on gguf-py."""

import struct
from pathlib import Path
from typing import Any

STRING, ARRAY, U32, F32 = 8, 9, 4, 6


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def setting(key: str, value: Any) -> bytes:
    """str, int (u32), float, or a list of str or int."""
    if isinstance(value, list):
        kind = STRING if value and isinstance(value[0], str) else U32
        items = b"".join(text(v) if kind == STRING else struct.pack("<I", v) for v in value)
        return text(key) + struct.pack("<IIQ", ARRAY, kind, len(value)) + items
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, float):
        return text(key) + struct.pack("<If", F32, value)
    return text(key) + struct.pack("<II", U32, value)


def tensor(name: str, shape: list[int], type_: int, offset: int) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dims + struct.pack("<IQ", type_, offset)


SETTINGS: dict[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Größe",
    "general.file_type": 1,
    "llama.block_count": 2,
    "llama.context_length": 4096,
    "llama.embedding_length": 64,
    "llama.rope.freq_base": 10000.0,
    "llama.attention.head_count_kv": [4, 2],
    "tokenizer.chat_template": "{{ messages }}",
    "tokenizer.ggml.tokens": [f"token{i}" for i in range(2000)],
}
TENSORS = [("token_embd.weight", [64, 10], 1), ("blk.0.attn_norm.weight", [64], 0)]
SIZES = {0: 4, 1: 2}


def header(
    settings: dict[str, Any] | None = None,
    tensors: list[tuple[str, list[int], int]] | None = None,
    *,
    version: int = 3,
    num_settings: int | None = None,
    num_tensors: int | None = None,
    raw: bytes = b"",
) -> bytes:
    """raw: more bytes after the settings, for what `setting` cannot write."""
    settings = SETTINGS if settings is None else settings
    tensors = TENSORS if tensors is None else tensors
    out = b"GGUF" + struct.pack(
        "<IQQ",
        version,
        len(tensors) if num_tensors is None else num_tensors,
        len(settings) + bool(raw) if num_settings is None else num_settings,
    )
    out += b"".join(setting(key, value) for key, value in settings.items()) + raw
    offset = 0
    for name, shape, type_ in tensors:
        out += tensor(name, shape, type_, offset)
        offset += -(-num_bytes(shape, type_) // 32) * 32
    return out


def num_bytes(shape: list[int], type_: int) -> int:
    count = SIZES.get(type_, 0)
    for size in shape:
        count *= size
    return count


def model(**changes: Any) -> bytes:
    """A whole file: header, padding, zeros for weights."""
    tensors = changes.get("tensors") or TENSORS
    start = header(**changes)
    data = sum(-(-num_bytes(shape, type_) // 32) * 32 for _, shape, type_ in tensors)
    return start + bytes(-len(start) % 32) + bytes(data)


def write(path: Path, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model(**changes))
    return path
