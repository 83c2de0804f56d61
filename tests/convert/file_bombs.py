"""Bombs in the other files of a checkpoint: tokenizer, headers of weights, index, settings of a quantization."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from tests.convert.bombs import INFINITE, VALUES

Change = Callable[[Path], object]
JSON_FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.json"),
    *("model.safetensors.index.json", "added_tokens.json"),
)
NO_JSON = {
    "null": b"null",
    "a list": b"[]",
    "a number": b"5",
    "empty": b"",
    "zeros": bytes(100),
    "UTF-16": "{}".encode("utf-16"),
    "no UTF-8": b'{"a": "\xff\xfe"}',
    "a million deep": b"[" * 1_000_000,
    "tables 100,000 deep": b'{"a":' * 100_000,
    "nearly too deep": b'{"model":' * 900 + b"1" + b"}" * 900,
    "values of six megabytes": b'{"a": [' + b"{}," * 1_900_000 + b"{}]}",
    "a long number": b'{"a": ' + b"9" * 5000 + b"}",
    "a surrogate": b'{"architectures": ["\\ud800"], "model": {"type": "\\ud800"}, "chat_template": "\\ud800"}',
}
LLAMA = "LlamaForCausalLM"
METHODS = ("awq", "compressed-tensors", "fbgemm_fp8", "fp8", "gptq", "mxfp4", "bitsandbytes", "hqq")
QUANTIZATION = (
    *("quant_method", "bits", "w_bit", "version", "checkpoint_format", "desc_act", "weight_block_size", "format"),
    *("config_groups", "transform_config", "load_in_8bit", "bnb_4bit_quant_type", "group_size"),
)


@cache
def cases() -> dict[str, Change]:
    return {
        **{f"{file} is {name}": write(file, text) for file in JSON_FILES for name, text in NO_JSON.items()},
        **dict(_settings()),
        **dict(_tokenizers()),
        **dict(_pieces()),
        **dict(_headers()),
        **dict(_indices()),
    }


def write(file: str, text: bytes) -> Change:
    return lambda folder: (folder / file).write_bytes(text)


def dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value).replace(f'"{INFINITE}"', INFINITE), "utf-8")


def set_in(file: str, keys: tuple[str | int, ...], value: Any) -> Change:
    """Replaces one value of a JSON file."""

    def change(folder: Path) -> None:
        path = folder / file
        document = json.loads(path.read_text("utf-8")) if path.exists() else {}
        inner = document
        for key in keys[:-1]:
            if not isinstance(inner, list) and inner.get(key) is None:
                inner[key] = {}
            inner = inner[key]  # type: ignore[index]
        inner[keys[-1]] = value
        dump(path, document)

    return change


def _settings() -> Iterator[tuple[str, Change]]:
    places: list[tuple[str, tuple[str | int, ...]]] = [("generation_config.json", ("eos_token_id",))]
    names = ("bos_token", "eos_token", "pad_token", "add_bos_token", "add_eos_token", "chat_template")
    places += [("tokenizer_config.json", (name,)) for name in (*names, "added_tokens_decoder")]
    places += [("tokenizer_config.json", ("added_tokens_decoder", "5"))]
    places += [("config.json", (key,)) for key in ("architectures", "text_config", "quantization_config")]
    for file, keys in places:
        for name, value in VALUES.items():
            yield f"{file} {keys} = {name}", set_in(file, keys, value)
    for method in METHODS:
        for key in QUANTIZATION:
            for name, value in VALUES.items():
                settings = {"quant_method": method, "bits": 4, key: value}
                yield f"{method} {key} = {name}", set_in("config.json", ("quantization_config",), settings)


def _tokenizers() -> Iterator[tuple[str, Change]]:
    places: list[tuple[str | int, ...]] = [(k,) for k in ("model", "added_tokens", "normalizer", "pre_tokenizer")]
    places += [("post_processor",), ("post_processor", "processors"), ("normalizer", "normalizers")]
    places += [("model", key) for key in ("type", "vocab", "merges", "unk_token", "byte_fallback", "ignore_merges")]
    places += [("model", "vocab", "a"), ("model", "vocab", "new"), ("model", "merges", 0), ("added_tokens", 0)]
    places += [("added_tokens", 0, key) for key in ("id", "content", "special", "lstrip", "single_word")]
    places += [("pre_tokenizer", "pretokenizers"), ("pre_tokenizer", "pretokenizers", 0)]
    places += [("pre_tokenizer", "pretokenizers", 0, key) for key in ("type", "pattern", "behavior", "invert")]
    for place in places:
        for name, value in VALUES.items():
            yield f"tokenizer.json {place} = {name}", set_in("tokenizer.json", place, value)
    for name, merge in {
        "one side": ["a"],
        "three sides": "a b c",
        "a space in it": ["a b", "c"],
        "no text": [1, 2],
        "an empty side": ["", "a"],
        "a surrogate": ["\ud800", "a"],
        "a megabyte": "x" * 500_000 + " " + "y" * 500_000,
    }.items():
        yield f"a merge of {name}", set_in("tokenizer.json", ("model", "merges", 0), merge)
    yield "two million merges", partial(_merges, "a b", 2_000_000)
    yield "merges of thirty megabytes", partial(_merges, "a" * 30 + " b", 900_000)
    for where, place in {"a token": ("model", "vocab", "\ud800"), "a NUL": ("model", "vocab", "a\0b")}.items():
        yield f"{where} that cannot be written", set_in("tokenizer.json", place, 599)
    yield (
        "an added surrogate",
        set_in("tokenizer.json", ("added_tokens", 0), {"id": 0, "content": "\ud800", "special": True}),
    )
    yield "a template of a surrogate", set_in("tokenizer_config.json", ("chat_template",), "\ud800")
    named = [{"name": "\ud800", "template": "\udfff"}]
    yield "a named template of a surrogate", set_in("tokenizer_config.json", ("chat_template",), named)


def _merges(merge: str, count: int, folder: Path) -> None:
    set_in("tokenizer.json", ("model", "merges"), [merge] * count)(folder)


def _pieces() -> Iterator[tuple[str, Change]]:
    def model(content: bytes, times: int = 1) -> Change:
        def change(folder: Path) -> None:
            (folder / "tokenizer.json").unlink()
            (folder / "tokenizer.model").write_bytes(content * times)

        return change

    piece = b"\x0a\x01a" + b"\x20\x01" * 60
    yield "pieces of many fields", model(b"\x0a" + bytes([len(piece)]) + piece, 130_000)
    yield "millions of settings", model(b"\x20\x01", 8_000_000)
    yield "millions of pieces", model(b"\x0a\x03\x0a\x01a", 3_000_000)
    yield "a trainer of many fields", model(b"\x12\xff\xff\x03" + b"\x20\x01" * 32_767 + b"\x20")
    yield "a long length", model(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
    yield "a number without an end", model(b"\xff" * 1000)
    yield "a score that is none", model(b"\x0a\x08\x0a\x01a\x15\x00\x00\xc0\x7f")
    yield "a kind that is none", model(b"\x0a\x05\x0a\x01a\x18\x63")
    yield "a huge one", lambda folder: (model(b"")(folder), os.truncate(folder / "tokenizer.model", 1 << 40))


def header(value: Any, data: int = 64, length: int | None = None) -> Change:
    text = value if isinstance(value, bytes) else json.dumps(value).replace(f'"{INFINITE}"', INFINITE).encode()

    def change(folder: Path) -> None:
        size = struct.pack("<Q", len(text) if length is None else length & (2**64 - 1))
        (folder / "model.safetensors").write_bytes(size + text)
        os.truncate(folder / "model.safetensors", 8 + len(text) + data)

    return change


def _headers() -> Iterator[tuple[str, Change]]:
    name = "model.embed_tokens.weight"
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    for key in entry:
        for label, value in VALUES.items():
            yield f"header {key} = {label}", header({name: {**entry, key: value}})
    for label, value in VALUES.items():
        yield f"header shape of [{label}]", header({name: {**entry, "shape": [4, value]}})
        yield f"header offsets of [0, {label}]", header({name: {**entry, "data_offsets": [0, value]}})
        yield f"header entry = {label}", header({name: value})
    shapes = {
        "overflows 64 bits": [1 << 32, 1 << 32],
        "overflows to its size": [1 << 62, 4],
        "nine dimensions": [1] * 9,
        "nothing times everything": [0, 1 << 47],
        "eight times 2**47": [1 << 47] * 8,
        "a hundred thousand dimensions": [1] * 100_000,
    }
    for label, shape in shapes.items():
        yield f"header shape {label}", header({name: {**entry, "shape": shape}})
    for length in (0, 1, -1, 1 << 31, 1 << 62, 1 << 63, 99_999_999):
        yield f"header of {length} bytes", header({name: entry}, length=length)
    yield "overlapping tensors", header({"a": entry, "b": {**entry, "data_offsets": [8, 24]}})
    yield "the same bytes twice", header({"a": entry, "b": entry})
    yield "backwards", header({"a": {**entry, "data_offsets": [16, 0]}})
    yield "a name twice", header(b'{"a": {"dtype": "F32"}, "a": {"dtype": "F32"}}')
    yield "a name of a megabyte", header({"x" * (1 << 20): entry})
    yield "a name that cannot be written", header({"\ud800": entry})
    yield "a type of a megabyte", header({name: {**entry, "dtype": "F" * (1 << 20)}})
    empty = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    yield "a million tensors", partial(_many, f'"{{}}":{empty}', 1_000_000)
    yield "100,000 tensors", partial(_many, f'"{{}}":{empty}', 100_000)
    yield "100,000 layers", partial(_many, f'"model.layers.{{}}.mlp.up_proj.weight":{empty}', 100_000)
    terabyte = {"dtype": "F16", "shape": [1 << 19, 1 << 20], "data_offsets": [0, 1 << 40]}
    yield "a terabyte of nothing", header({name: terabyte}, data=1 << 40)
    huge = {"weight_shape": {"dtype": "I64", "shape": [1 << 36], "data_offsets": [0, 1 << 39]}}
    packed = {"weight_packed": {**entry, "dtype": "I32", "shape": [2, 2]}, "weight_scale": {**entry, "shape": [2, 2]}}
    yield "a shape of a terabyte", partial(_packed, {**packed, **huge})


def _many(entry: str, count: int, folder: Path) -> None:
    """A header of so many entries, written one by one."""
    with (folder / "model.safetensors").open("wb") as file:
        file.write(bytes(8) + b"{")
        file.writelines(entry.replace("{}", str(n)).encode() + b"," for n in range(count - 1))
        file.write(entry.replace("{}", "last").encode() + b"}")
        length = file.tell() - 8
        file.seek(0)
        file.write(struct.pack("<Q", length))


def _map(file: str, entry: str, count: int, folder: Path) -> None:
    with (folder / file).open("wb") as written:
        written.write(b'{"weight_map": {')
        written.writelines(entry.replace("{}", str(n)).encode() + b"," for n in range(count - 1))
        written.write(entry.replace("{}", "last").encode() + b"}}")


def _packed(entries: dict[str, Any], folder: Path) -> None:
    """As compressed-tensors stores a matrix, its parts one after the other."""
    start, placed = 0, {}
    for name, entry in entries.items():
        size = entry["data_offsets"][1]
        placed[f"x.{name}"] = {**entry, "data_offsets": [start, start + size]}
        start += size
    header(placed, data=start)(folder)
    groups = {"group_0": {"weights": {"num_bits": 4, "type": "int"}}}
    settings = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups}
    set_in("config.json", ("quantization_config",), settings)(folder)


def _indices() -> Iterator[tuple[str, Change]]:
    file = "model.safetensors.index.json"
    for label, value in VALUES.items():
        yield f"weight_map = {label}", set_in(file, ("weight_map",), value)
        yield f"weight_map of {label}", set_in(file, ("weight_map", "a"), value)
    for name in ("../x", "/etc/passwd", "a/b", "..", "C:x", "x\0", "\ud800", "x" * 100_000, ".", "", "con"):
        yield f"shard {name[:20]!r}", set_in(file, ("weight_map", "a"), f"{name}.safetensors")
    yield "a million shards", partial(_map, file, '"{}": "{}.safetensors"', 1_000_000)
    yield "a million tensors in one", partial(_map, file, '"{}": "model.safetensors"', 1_000_000)

    def same(folder: Path) -> None:
        for number in range(50):
            shutil.copy(folder / "model.safetensors", folder / f"{number}.safetensors")
        set_in(file, ("weight_map",), {str(n): f"{n}.safetensors" for n in range(50)})(folder)

    yield "fifty equal shards", same
