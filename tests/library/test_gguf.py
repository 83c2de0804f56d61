"""The header reader takes what llama.cpp takes, and says one clear sentence about everything else."""

import random
import struct
import time
import tracemalloc
from pathlib import Path

import pytest

from backends.formats import FormatError
from backends.formats.gguf import check_model, describe, read_header, read_model
from backends.formats.gguf_tables import ARCHITECTURES, FILE_TYPES, TENSOR_TYPES
from tests.library import gguf_bytes
from tests.library.gguf_bytes import SETTINGS, header, model, setting, tensor, text, write

NUM_MUTANTS = 2500


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf")
    read = read_header(path)
    assert read.version == 3
    assert read.metadata["llama.attention.head_count_kv"] == [4, 2]
    assert read.metadata["llama.rope.freq_base"] == 10000.0
    assert read.metadata["tokenizer.ggml.tokens"] is None  # too long to keep by default
    assert [(t.name, t.shape, t.type, t.num_bytes) for t in read.tensors] == [
        ("token_embd.weight", (64, 10), "F16", 1280),
        ("blk.0.attn_norm.weight", (64,), "F32", 256),
    ]
    assert read.data_offset == path.stat().st_size - 1280 - 256
    assert read_header(path, keep_arrays=True).metadata["tokenizer.ggml.tokens"][1999] == "token1999"


def test_it_describes_the_model(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf")
    it = describe(read_model(path))
    assert (it.architecture, it.name, it.parameters, it.quantization) == ("llama", "Größe", 704, "F16")
    assert (it.context, it.num_layers, it.embedding_length) == (4096, 2, 64)
    assert it.bytes == path.stat().st_size
    assert it.has_chat_template


def test_a_label_that_contradicts_the_tensors_is_not_repeated(tmp_path: Path) -> None:
    settings = {**SETTINGS, "general.file_type": 15}
    assert describe(read_header(write(tmp_path / "a.gguf", settings=settings))).quantization == "F16"


def bomb(type_: int, count: int) -> bytes:
    return text("bomb") + struct.pack("<IIQ", gguf_bytes.ARRAY, type_, count)


FILES = {
    "empty": (b"", "is empty"),
    "short magic": (b"GG", "is not a GGUF model"),
    "only magic": (b"GGUF", "is cut short"),
    "other text": (b"hello there", "is not a GGUF model."),
    "zip": (b"PK\x03\x04" + bytes(99), "a zip archive or a PyTorch checkpoint"),
    "pickle": (b"\x80\x02}q\x00", "a Python pickle, which can run code"),
    "page": (b"<!doctype html><html>", "a web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    "safetensors": (struct.pack("<Q", 20) + b'{"a":{"dtype":"F32"}}', "a safetensors checkpoint"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "future": (header(version=4), "version 4, which is newer"),
    "past": (header(version=1), "version 1, which is too old"),
    "header cut": (header()[:-7], "is cut short: its header goes on"),
    "data cut": (model()[:-300], "is cut short: it holds 3[0-9,]+ bytes of the 3[0-9,]+ bytes"),
    "many tensors": (header(num_tensors=1 << 60), "tensors and 10 settings are announced"),
    "many settings": (header(num_settings=1 << 60), "settings are announced"),
    "number bomb": (model(raw=bomb(10, 1 << 61)), "a list of 2,305,843,009,213,693,952 values"),
    "text bomb": (model(raw=bomb(8, 1 << 60)), "texts is announced"),
    "list of lists": (model(raw=bomb(9, 3)), "unknown type 9"),
    "long text": (header({}, raw=struct.pack("<Q", 1 << 62)), "bytes is announced"),
    "long value": (model(raw=text("a") + struct.pack("<IQ", 8, 1 << 40)), "a text of 1,099,511,627,776 bytes"),
    "unknown type": (model(raw=text("a") + struct.pack("<IQ", 13, 0)), "unknown type 13"),
    "empty key": (model(raw=setting("", 1)), "a setting has no name"),
    "same key twice": (model(raw=setting("general.name", 1)), "'general.name' occurs twice"),
    "alignment 0": (model(raw=setting("general.alignment", 0)), "alignment of 0 is not"),
    "alignment 33": (model(raw=setting("general.alignment", 33)), "alignment of 33 is not"),
    "alignment huge": (model(raw=setting("general.alignment", 1 << 20)), "alignment of 1048576"),
    "alignment text": (model(raw=setting("general.alignment", "x")), "alignment of 'x'"),
    "same tensor twice": (model(tensors=[("a", [4], 0)] * 2), "tensor 'a' occurs twice"),
    "no dimension": (model(tensors=[("a", [], 0)]), "'a' has 0 dimensions"),
    "five dimensions": (model(tensors=[("a", [1] * 5, 0)]), "'a' has 5 dimensions"),
    "overflow": (header(tensors=[("a", [1 << 62, 1 << 62], 7)]), "'a' has the shape"),
    "zero": (header(tensors=[("a", [0, 4], 0)]), "'a' has the shape"),
    "no whole block": (header(tensors=[("a", [100], 12)]), "which Q4_K cannot have"),
    "withdrawn type": (header(tensors=[("a", [32], 4)]), "'a' has an unknown type"),
    "long name": (header(tensors=[("a" * 64, [32], 0)]), "text of 64 bytes"),
    "overlap": (
        header(tensors=[], num_tensors=2) + tensor("a", [8], 0, 0) + tensor("b", [8], 0, 0) + bytes(99),
        "'b' does not follow",
    ),
    "gap": (header(tensors=[], num_tensors=1) + tensor("a", [8], 0, 32) + bytes(99), "'a' does not follow"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_fault_is_one_sentence(case: str, tmp_path: Path) -> None:
    content, sentence = FILES[case]
    path = tmp_path / "bad name.gguf"
    path.write_bytes(content)
    tracemalloc.start()
    start = time.thread_time()
    with pytest.raises(FormatError, match=sentence) as fault:
        read_header(path)
    assert time.thread_time() - start < 1.0
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    assert str(fault.value).startswith("bad name.gguf ")
    assert "\n" not in str(fault.value)


def test_a_long_list_of_empty_texts_is_refused_quickly(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gguf"
    path.write_bytes(header(raw=bomb(8, 4_000_000)))
    with path.open("r+b") as file:
        file.truncate(200 << 20)
    start = time.thread_time()
    with pytest.raises(FormatError, match="4,000,000 texts"):
        read_header(path)
    assert time.thread_time() - start < 1.0


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="There is no file"):
        read_header(tmp_path / "no.gguf")
    with pytest.raises(FormatError, match="is a folder"):
        read_header(tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"general.architecture": "newer-than-this"}, "architecture 'newer-than-this', which this version"),
        ({"general.architecture": 7}, "does not say which architecture"),
        ({"general.architecture": "clip"}, "not a model by itself"),
        ({"general.type": "adapter"}, "not a model by itself but a LoRA adapter."),
    ],
)
def test_sound_files_that_are_no_language_model(changes: dict[str, object], sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", settings={**SETTINGS, **changes})
    with pytest.raises(FormatError, match=sentence):
        check_model(read_header(path))


def test_a_vocabulary_alone_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(header(tensors=[]))
    with pytest.raises(FormatError, match="only a vocabulary"):
        read_model(tmp_path / "a.gguf")


def test_no_mutant_does_more_than_a_sentence(tmp_path: Path) -> None:
    """Bytes flipped, numbers replaced by extremes, pieces cut out, doubled or swapped, ends cut off."""
    small = {**SETTINGS, "tokenizer.ggml.tokens": ["a", "bc"] * 5}
    sources = [model(settings=small), model()]
    chance = random.Random(11)
    path = tmp_path / "mutant.gguf"
    num_refused, slowest = 0, 0.0
    for _ in range(NUM_MUTANTS):
        path.write_bytes(_mutant(bytearray(chance.choice(sources)), chance))
        start = time.thread_time()
        sentence = _fault_of(path)
        num_refused += sentence is not None
        assert sentence is None or (sentence.isprintable() and len(sentence) < 400)
        slowest = max(slowest, time.thread_time() - start)
    assert slowest < 1.0
    assert NUM_MUTANTS / 5 < num_refused < NUM_MUTANTS


def _fault_of(path: Path) -> str | None:
    try:
        describe(read_model(path))
        describe(read_header(path, keep_arrays=True))
    except FormatError as fault:
        return str(fault)
    return None


def _mutant(data: bytearray, chance: random.Random) -> bytes:
    extremes = [0, 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1, chance.getrandbits(64)]
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(min(len(data) - 8, 900))
        match chance.randrange(5):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at : at + 8] = struct.pack("<Q", chance.choice(extremes))
            case 2:
                data[at : at + 4] = struct.pack("<I", chance.choice(extremes) & 0xFFFFFFFF)
            case 3:
                size = chance.randint(1, 40)
                data[at : at + size] = data[at : at + size] * chance.choice((0, 2))
            case 4:
                del data[chance.randrange(20, len(data)) :]
                data += bytes(16)
    return bytes(data)


def test_the_tables_hold_what_gguf_py_knows() -> None:
    gguf = pytest.importorskip("gguf")
    assert {n for n in gguf.MODEL_ARCH_NAMES.values() if n != "clip"} - ARCHITECTURES <= {"gptneox", "mmproj"}
    for type_, (block_elements, block_bytes) in gguf.GGML_QUANT_SIZES.items():
        assert TENSOR_TYPES[int(type_)] == (type_.name, block_elements, block_bytes)
    for file_type in gguf.LlamaFileType:
        if file_type.name != "GUESSED":
            assert FILE_TYPES[int(file_type)] == file_type.name.removeprefix("MOSTLY_").removeprefix("ALL_")


def test_a_real_vocabulary_is_skipped_in_a_blink(tmp_path: Path) -> None:
    words = [f"Ġtoken{i}" for i in range(150_000)]
    settings = {**SETTINGS, "tokenizer.ggml.tokens": words, "tokenizer.ggml.merges": words}
    path = write(tmp_path / "big.gguf", settings=settings)
    start = time.thread_time()
    read = read_header(path)
    assert time.thread_time() - start < 0.5
    assert read.tensors[1].name == "blk.0.attn_norm.weight"
    assert read_header(path, keep_arrays=True).metadata["tokenizer.ggml.merges"] == words
