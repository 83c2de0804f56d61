"""Numbers change their type exactly, a piece at a time, and nothing is held longer than it must be."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from backends.child import Refusal
from backends.convert import encode
from backends.convert.converter import convert
from backends.convert.encode import EXPONENT, STORED, FloatType, encoded, is_finite
from backends.convert.layout import Held, Run, negative_exp
from backends.convert.safetensors import read_entries
from tests.convert import checkpoints

TORCH = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
WORDS = np.arange(1 << 16, dtype="<u2")


def finite_words(type_: FloatType) -> np.ndarray:
    return WORDS[(WORDS & EXPONENT[type_]) != EXPONENT[type_]]


@pytest.mark.parametrize(("from_", "to"), [("bf16", "f16"), ("f16", "bf16"), ("bf16", "f32"), ("f16", "f32")])
def test_every_value_of_16_bits_becomes_what_torch_makes_of_it(from_: FloatType, to: FloatType) -> None:
    words = finite_words(from_)
    wanted = torch.from_numpy(words.view(np.int16).copy()).view(TORCH[from_]).to(TORCH[to])
    got = encode.convert(words.view(STORED[from_]), from_, to)
    assert got.tobytes() == wanted.view(torch.int32 if to == "f32" else torch.int16).numpy().tobytes()


@pytest.mark.parametrize("to", ["f16", "bf16"])
def test_float32_is_rounded_as_torch_rounds_it(to: FloatType) -> None:
    values = np.random.default_rng(0).standard_normal(10_000).astype(np.float32) * 100
    wanted = torch.from_numpy(values).to(TORCH[to]).view(torch.int16).numpy()
    assert encode.convert(values, "f32", to).tobytes() == wanted.tobytes()


@pytest.mark.parametrize("type_", ["f16", "bf16"])
def test_only_numbers_are_finite(type_: FloatType) -> None:
    values = torch.from_numpy(WORDS.view(np.int16).copy()).view(TORCH[type_])
    wanted = torch.isfinite(values.float()).numpy()
    got = [is_finite(WORDS[i : i + 1], type_) for i in range(0, 1 << 16, 97)]
    assert got == wanted[::97].tolist()


def test_pieces_add_up_to_the_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "PIECE", 7)
    values = torch.randn(5, 9)
    save_file({"a": values}, tmp_path / "a.safetensors")
    source = read_entries(tmp_path / "a.safetensors")["a"]
    pieces = list(encoded(Run(source, 9, 30), "f32", "a"))
    assert [len(piece) for piece in pieces] == [7, 7, 7, 7, 2]
    assert np.concatenate(pieces).tolist() == values.reshape(-1)[9:39].tolist()


def test_what_a_computation_makes_infinite_is_refused() -> None:
    run = Run(Held(np.array([100.0], np.float32)), 0, 1, compute=negative_exp)
    with np.errstate(over="ignore"), pytest.raises(Refusal, match="'a' holds values too large for F32"):
        list(encoded(run, "f32", "a"))


def test_no_tensor_is_ever_held_as_a_whole(tmp_path: Path) -> None:
    settings = checkpoints.config(hidden_size=512, intermediate_size=12_288, num_hidden_layers=1)
    checkpoints.write(tmp_path / "checkpoint", settings)  # its largest tensors have 25 MB each
    convert(lambda _: None, tmp_path / "checkpoint", tmp_path / "warm.gguf", "bf16")
    tracemalloc.start()
    try:
        convert(lambda _: None, tmp_path / "checkpoint", tmp_path / "model.gguf", "bf16")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12e6
