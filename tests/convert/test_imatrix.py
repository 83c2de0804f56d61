"""The importance matrix holds the squares of what really goes into each weight, in llama.cpp's own format."""

import os
import struct
import threading
from pathlib import Path

import gguf
import numpy as np
import pytest

from app.errors import Cancelled, ConversionError
from app.jobs.child import run_in_child
from app.jobs.convert import make_imatrix, quantize_file
from backends.formats import FormatError
from backends.formats.gguf import read_header
from backends.llama.quantization.importance_reader import read_importance
from tests.convert import sources

TEXT = "The quick brown fox doesn't jump over 12345 lazy dogs. Grüße aus München! def f(x): return x ** 2\n" * 60
CHUNK = 256  # tokens: the context of the tiny model
NAME = "blk.0.attn_q.weight"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sources.write_llama(tmp_path_factory.mktemp("source"), type="f32")


@pytest.fixture(scope="module")
def text(source: Path) -> Path:
    path = source.with_name("text.txt")
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def matrix(source: Path, text: Path) -> Path:
    target = source.with_name("made.imatrix.gguf")
    result = make_imatrix(source, target, text, num_chunks=3, threads=1, logs=source.parent)
    assert (result.num_chunks, result.num_tokens, result.num_tensors) == (3, 3 * CHUNK, 14)
    assert (result.bytes, result.num_incomplete) == (target.stat().st_size, 0)
    return target


def sums_of(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}


def tokens_of(source: Path, text: str, folder: Path) -> list[int]:
    ((ids, _),) = run_in_child(
        "tests.convert.native:tokens", log_path=folder / "log", path=source, texts=[text], add_special=False
    )
    return ids


def test_the_first_layers_sums_are_those_of_its_normed_inputs(source: Path, matrix: Path, tmp_path: Path) -> None:
    weights = {tensor.name: tensor.data for tensor in gguf.GGUFReader(source).tensors}
    inputs = weights["token_embd.weight"][tokens_of(source, TEXT, tmp_path)[: 3 * CHUNK]]
    normed = inputs / np.sqrt((inputs**2).mean(axis=1, keepdims=True) + 1e-5) * weights["blk.0.attn_norm.weight"]

    found = sums_of(matrix)

    wanted = (normed.astype(np.float64) ** 2).sum(axis=0)
    for part in "qkv":
        assert np.allclose(found[f"blk.0.attn_{part}.weight.in_sum2"], wanted, rtol=1e-4)
        assert found[f"blk.0.attn_{part}.weight.counts"] == 3 * CHUNK
    assert (found["blk.1.ffn_up.weight.in_sum2"] == found["blk.1.ffn_gate.weight.in_sum2"]).all()
    assert (found["blk.1.ffn_up.weight.in_sum2"] != found["blk.0.ffn_up.weight.in_sum2"]).any()


def test_the_file_says_what_it_is_and_where_from(matrix: Path) -> None:
    metadata = read_header(matrix, keep_arrays=True).metadata
    assert list(metadata) == ["general.type", "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"]
    assert list(metadata.values()) == ["imatrix", ["text.txt"], 3, CHUNK]


def test_each_expert_has_the_inputs_that_were_routed_to_it(text: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.imatrix.gguf"
    make_imatrix(sources.write_experts(tmp_path, silent=2), target, text, num_chunks=2, threads=1, logs=tmp_path)
    found = sums_of(target)
    for layer in range(sources.NUM_LAYERS):
        block = f"blk.{layer}"
        counts = found[f"{block}.ffn_gate_exps.weight.counts"].reshape(-1)
        assert len(counts) == sources.NUM_EXPERTS
        assert counts.sum() == 2 * CHUNK * sources.NUM_USED
        assert (counts > 0).all()
        assert len(set(counts)) > 1
        # every token's input goes to the router once and to as many experts as are used
        router = found[f"{block}.ffn_gate_inp.weight.in_sum2"]
        experts = found[f"{block}.ffn_gate_exps.weight.in_sum2"]
        assert np.allclose(experts.sum(axis=0), router * sources.NUM_USED, rtol=1e-4)
        down = found[f"{block}.ffn_down_exps.weight.in_sum2"]
        assert down.shape == (sources.NUM_EXPERTS, sources.WIDE)
        assert [bool(row.any()) for row in down] == [True, True, False, True]  # each expert's own, not its neighbour's


def test_a_matrix_changes_the_weights_and_is_named_in_the_file(source: Path, matrix: Path, tmp_path: Path) -> None:
    plain, better, tiny = (tmp_path / f"{name}.gguf" for name in ("plain", "better", "tiny"))
    quantize_file(source, plain, "Q4_K_S", logs=tmp_path)
    quantize_file(source, better, "Q4_K_S", imatrix=matrix, logs=tmp_path)
    quantize_file(source, tiny, "Q2_K_S", imatrix=matrix, logs=tmp_path)  # impossible without

    metadata = read_header(better).metadata
    assert metadata["quantize.imatrix.file"] == matrix.name
    assert metadata["quantize.imatrix.dataset"] == "text.txt"
    assert (metadata["quantize.imatrix.entries_count"], metadata["quantize.imatrix.chunks_count"]) == (14, 3)
    a, b = ({t.name: t.data.tobytes() for t in gguf.GGUFReader(path).tensors} for path in (plain, better))
    assert a.keys() == b.keys()
    assert a[NAME] != b[NAME]
    assert tiny.stat().st_size < 0.7 * better.stat().st_size


def test_the_matrix_of_another_model_is_refused(source: Path, matrix: Path, text: Path, tmp_path: Path) -> None:
    wider = sources.write_llama(tmp_path, intermediate_size=768)
    with pytest.raises(
        ConversionError, match=r"made\.imatrix\.gguf was made for another model: .*768 inputs .* 512 in"
    ):
        quantize_file(wider, tmp_path / "x.gguf", imatrix=matrix, logs=tmp_path)
    with pytest.raises(ConversionError, match=r"text\.txt is no importance matrix"):
        quantize_file(source, tmp_path / "x.gguf", imatrix=text, logs=tmp_path)
    with pytest.raises(ConversionError, match=r"llama-f32\.gguf is no importance matrix: it does not say"):
        quantize_file(source, tmp_path / "x.gguf", imatrix=source, logs=tmp_path)
    assert not list(tmp_path.glob("x.gguf*"))


def test_damaged_files_are_refused_and_old_ones_read(matrix: Path, tmp_path: Path) -> None:
    whole = matrix.read_bytes()
    poisoned = bytearray(whole)
    poisoned[-1024:-1020] = struct.pack("<f", float("nan"))
    name = NAME.encode()
    old = struct.pack("<ii", 1, len(name)) + name + struct.pack("<ii4f", 2, 4, 1, 2, 3, 4) + struct.pack("<ii", 9, 3)
    cases = [whole[: len(whole) // 2], bytes(poisoned), old + b"wik", old[:30], b"", b"GGUF", whole[:400]]
    paths = [tmp_path / f"{i}.dat" for i in range(len(cases))]
    for path, data in zip(paths, cases, strict=True):
        path.write_bytes(data)

    found = run_in_child("tests.convert.quantizing:matrices", log_path=tmp_path / "log", paths=paths)

    assert "is cut short" in found[0]
    assert "hold numbers that no sum of squares can be" in found[1]
    assert found[2].values[NAME].tolist() == [0.5, 1.0, 1.5, 2.0]  # the mean of two calls
    assert (found[2].dataset, found[2].num_chunks) == ("wik", 9)
    assert all(isinstance(sentence, str) for sentence in found[3:])


def test_experts_that_no_text_reached_count_as_equally_important(matrix: Path, tmp_path: Path) -> None:
    data = bytearray(matrix.read_bytes())
    counts = next(tensor for tensor in read_header(matrix).tensors if tensor.name == f"{NAME}.counts")
    begin = read_header(matrix).data_offset + counts.offset
    data[begin : begin + 4] = struct.pack("<f", 0)
    (tmp_path / "x.gguf").write_bytes(data)
    found = run_in_child("tests.convert.quantizing:matrix", log_path=tmp_path / "log", path=tmp_path / "x.gguf")
    assert (found.values[NAME] == 1).all()
    assert (found.values["blk.0.ffn_up.weight"] != 1).any()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"Too little to learn from.", r"too short: it has \d+ tokens, and at least 512 are needed"),
        (b"\xff\xfe\x00 no text" * 500, r"is not UTF-8 text\. Save it as UTF-8"),
    ],
)
def test_texts_that_are_no_use_are_refused(content: bytes, sentence: str, source: Path, tmp_path: Path) -> None:
    (tmp_path / "my.txt").write_bytes(content)
    with pytest.raises(ConversionError, match=rf"^my\.txt {sentence}|^my\.txt is {sentence}"):
        make_imatrix(source, tmp_path / "x.gguf", tmp_path / "my.txt", logs=tmp_path)
    assert not list(tmp_path.glob("x.gguf*"))


def test_a_model_with_broken_weights_gives_no_matrix(text: Path, tmp_path: Path) -> None:
    path = sources.write_llama(tmp_path, type="f32")
    header = read_header(path)
    norm = next(tensor for tensor in header.tensors if tensor.name == "blk.1.attn_norm.weight")
    with path.open("r+b") as file:
        file.seek(header.data_offset + norm.offset)
        file.write(np.full(8, np.inf, np.float32).tobytes())
    with pytest.raises(ConversionError, match=r"infinite or undefined numbers before 'blk\.\d.*Convert it again"):
        make_imatrix(path, tmp_path / "x.gguf", text, num_chunks=1, logs=tmp_path)
    assert not list(tmp_path.glob("x.gguf*"))


def test_cancelled_it_leaves_nothing(source: Path, tmp_path: Path) -> None:
    """Over the shipped text, which is long enough to be cancelled in."""
    called_off, heard = threading.Event(), []

    def hear(progress: object) -> None:
        heard.append(progress)
        if len(heard) == 3:
            called_off.set()

    with pytest.raises(Cancelled):
        make_imatrix(source, tmp_path / "x.gguf", logs=tmp_path, on_progress=hear, cancelled=called_off)
    assert not list(tmp_path.glob("x.gguf*"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes among its files")
def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "matrix.gguf"
    os.mkfifo(pipe)
    with pytest.raises(FormatError, match="it is a pipe, not a file"):
        read_importance(pipe)
    with pytest.raises(FormatError, match="it is a device, not a file"):
        read_importance(Path("/dev/zero"))
