"""Splits a real model in parts as llama-gguf-split does: settings and first tensors, then the other tensors."""

import struct
from pathlib import Path

from backends.formats.gguf import TensorInfo, read_header
from tests.library.gguf_bytes import STRING, text

ALIGNMENT = 32
U16, I32 = 2, 5


def split(model: Path, folder: Path, stem: str, count: int = 2) -> list[Path]:
    header = read_header(model)
    start = model.read_bytes()[: header.data_offset]
    settings = start[24 : start.index(text(header.tensors[0].name))]
    (num_settings,) = struct.unpack_from("<Q", start, 16)
    share = -(-len(header.tensors) // count)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}-{number + 1:05d}-of-{count:05d}.gguf" for number in range(count)]
    architecture = text("general.architecture") + struct.pack("<I", STRING) + text(header.architecture)
    for number, path in enumerate(paths):
        tensors = header.tensors[number * share : (number + 1) * share]
        own = _split_settings(number, count, len(header.tensors))
        raw, num = (settings + own, num_settings + 3) if number == 0 else (architecture + own, 4)
        _write(path, raw, num, tensors, model, header.data_offset)
    return paths


def _split_settings(number: int, count: int, num_tensors: int) -> bytes:
    pairs = (("split.no", U16, "<H", number), ("split.count", U16, "<H", count))
    both = b"".join(text(key) + struct.pack("<I", kind) + struct.pack(form, value) for key, kind, form, value in pairs)
    return both + text("split.tensors.count") + struct.pack("<Ii", I32, num_tensors)


def _write(
    path: Path, settings: bytes, num_settings: int, tensors: tuple[TensorInfo, ...], model: Path, data_offset: int
) -> None:
    types = {"F32": 0, "Q4_1": 3, "Q8_0": 8, "Q6_K": 14}
    base = tensors[0].offset
    infos = b"".join(
        text(tensor.name)
        + struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        + struct.pack("<IQ", types[tensor.type], tensor.offset - base)
        for tensor in tensors
    )
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), num_settings) + settings + infos
    last = tensors[-1]
    with model.open("rb") as source, path.open("wb") as target:
        target.write(head + bytes(-len(head) % ALIGNMENT))
        source.seek(data_offset + base)
        size = last.offset + last.num_bytes - base
        target.write(source.read(size + -size % ALIGNMENT))
