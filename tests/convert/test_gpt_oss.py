"""gpt-oss as it is published: what was trained in MXFP4 stays in MXFP4, bit for bit; its YaRN runs as llama.cpp can."""

import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app.errors import ConversionError
from app.jobs.child import run_in_child
from app.jobs.convert import convert_checkpoint, plan_quantization, quantize_file
from backends.child import Refusal
from backends.convert.converter import convert
from tests.bench.architectures import compare
from tests.convert import checkpoints, families, gpt_oss
from tests.real import things

MXFP4 = gguf.GGMLQuantizationType.MXFP4
FLOATS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[bool, np.ndarray]]:
    folder = tmp_path_factory.mktemp("gpt-oss") / "checkpoint"
    return folder, gpt_oss.save(folder)


@pytest.fixture(scope="module")
def folder(saved: tuple[Path, dict[bool, np.ndarray]]) -> Path:
    return saved[0]


@pytest.fixture(scope="module")
def wanted(saved: tuple[Path, dict[bool, np.ndarray]]) -> dict[bool, np.ndarray]:
    return saved[1]


@pytest.fixture(scope="module")
def converted(folder: Path) -> Path:
    target = folder.with_name("gpt-oss.gguf")
    convert(lambda _: None, folder, target, "f32")
    return target


def tensors(path: Path) -> dict[str, gguf.ReaderTensor]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def floats(tensor: gguf.ReaderTensor) -> np.ndarray:
    """By the format alone: a power of two, then 16 bytes whose lower halves are the first 16 numbers."""
    blocks = np.asarray(tensor.data).reshape(*tensor.data.shape[:-1], -1, 17)
    powers = np.exp2(blocks[..., 0].astype(np.float32) - 127)
    codes = np.concatenate([blocks[..., 1:] & 15, blocks[..., 1:] >> 4], -1)
    return (FLOATS[codes] * powers[..., None]).reshape(*blocks.shape[:-2], -1)


def test_experts_stay_in_mxfp4_and_mean_the_same_numbers(folder: Path, converted: Path) -> None:
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    held, stored = tensors(converted), load_file(folder / "model.safetensors")
    for name, sources in {"down": "down_proj", "gate": "gate_up_proj", "up": "gate_up_proj"}.items():
        for layer in range(gpt_oss.LAYERS):
            start = f"model.layers.{layer}.mlp.experts.{sources}"
            blocks, scales = (stored[f"{start}_{part}"] for part in ("blocks", "scales"))
            whole = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32).numpy().swapaxes(-1, -2)
            chosen = {"down": slice(None), "gate": slice(0, None, 2), "up": slice(1, None, 2)}[name]
            got = held[f"blk.{layer}.ffn_{name}_exps.weight"]
            assert got.tensor_type is MXFP4
            np.testing.assert_array_equal(floats(got), whole[:, chosen])
    assert {t.tensor_type for t in held.values() if "_exps.weight" not in t.name} == {gguf.GGMLQuantizationType.F32}
    assert gguf.GGUFReader(converted).fields["general.file_type"].contents() == 38


def test_it_answers_as_transformers_does_up_to_the_products_in_8_bits(
    folder: Path, converted: Path, wanted: dict[bool, np.ndarray]
) -> None:
    """llama.cpp multiplies MXFP4 with activations in 8 bits, and rounds YaRN; each is less than running it in BF16."""
    got = run_in_child(
        "tests.convert.native:logits", log_path=folder.with_name("log"), path=converted, ids=families.ids()
    )
    assert np.median(np.abs(wanted[True] - got)) < 0.05
    assert np.median(np.abs(wanted[False] - wanted[True])) < 0.03
    assert (wanted[True].argmax(-1) == got.argmax(-1)).mean() > 0.85


def test_the_note_says_what_llama_cpp_rounds_and_how_much_that_is(folder: Path, tmp_path: Path) -> None:
    result = convert(lambda _: None, folder, tmp_path / "model.gguf", "bf16")
    (note,) = [note for note in result.notes if "YaRN" in note]
    assert "8.1 to 17.4" in note
    assert "8 to 18" in note
    assert "0.22 radians" in note


def test_a_rounding_that_would_change_answers_is_refused(tmp_path: Path) -> None:
    rope = {**gpt_oss.YARN, "original_max_position_embeddings": 64}
    checkpoints.write(tmp_path / "c", checkpoints.config(rope_scaling=rope))
    with pytest.raises(Refusal, match=r"'yarn' with truncate = False"):
        convert(lambda _: None, tmp_path / "c", tmp_path / "model.gguf", "bf16")


def test_a_power_that_is_no_number_is_refused(folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    held = load_file(broken / "model.safetensors")
    held["model.layers.1.mlp.experts.down_proj_scales"][2, 3, 1] = 255
    save_file(held, broken / "model.safetensors")
    with pytest.raises(Refusal, match=r"'blk\.1\.ffn_down_exps\.weight' holds values that are not numbers"):
        convert(lambda _: None, broken, tmp_path / "model.gguf", "bf16")


def test_installing_quantizes_the_rest_and_keeps_the_experts(folder: Path, tmp_path: Path) -> None:
    full, small = tmp_path / "full.gguf", tmp_path / "small.gguf"
    convert_checkpoint(folder, full, "bf16", logs=tmp_path)
    plan = plan_quantization(full, "Q4_K_M", logs=tmp_path)
    result = quantize_file(full, small, "Q4_K_M", logs=tmp_path)
    types = {name: tensor.tensor_type.name for name, tensor in tensors(small).items()}
    assert {types[name] for name in types if name.endswith("_exps.weight")} == {"MXFP4"}
    assert types["blk.0.attn_q.weight"] == "Q5_0"  # rows of 96, which no block of 256 divides
    assert plan.bytes == result.bytes == small.stat().st_size
    assert any("12 tensors stay in MXFP4" in warning for warning in result.warnings)
    assert result.warnings == plan.warnings
    for name, tensor in tensors(full).items():
        if tensor.tensor_type is MXFP4:
            assert (tensor.data == tensors(small)[name].data).all()


def test_who_names_another_type_for_the_experts_gets_it(folder: Path, tmp_path: Path) -> None:
    full = tmp_path / "full.gguf"
    convert(lambda _: None, folder, full, "bf16")
    rule = (("ffn_down_exps", "Q8_0"),)
    with pytest.raises(ConversionError, match="already quantized"):
        quantize_file(full, tmp_path / "small.gguf", "Q4_K_M", overrides=rule, logs=tmp_path)
    quantize_file(full, tmp_path / "small.gguf", "Q4_K_M", overrides=rule, allow_requantize=True, logs=tmp_path)
    types = {name: tensor.tensor_type.name for name, tensor in tensors(tmp_path / "small.gguf").items()}
    assert types["blk.0.ffn_down_exps.weight"] == "Q8_0"
    assert types["blk.0.ffn_up_exps.weight"] == "MXFP4"


@pytest.mark.real
def test_the_file_is_the_one_that_upstream_writes(folder: Path, tmp_path: Path) -> None:
    """Every tensor byte for byte, every key but those that a folder's name makes, with the real vocabulary."""
    real = tmp_path / "real"
    real.mkdir()
    config = json.loads((folder / "config.json").read_text())
    ids = {"eos_token_id": 200002, "pad_token_id": 199999, "vocab_size": 201088}
    checkpoints.write_json(real / "config.json", {**config, **ids})
    held = load_file(folder / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        held[name] = held[name].repeat(315, 1)[:201088]
    save_file(held, real / "model.safetensors")
    for path in things.tokenizer("gptoss").iterdir():
        (real / path.name).write_bytes(path.read_bytes())
    ours, theirs = tmp_path / "ours.gguf", tmp_path / "theirs.gguf"
    result = convert_checkpoint(real, ours, "bf16", logs=tmp_path)
    assert result.verified_texts > 200
    script = str(things.sdist() / "convert_hf_to_gguf.py")
    command = [sys.executable, script, str(real), "--outfile", str(theirs), "--outtype", "bf16"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]
    row = compare(ours, theirs)
    assert row["tensors that differ"] == []
    assert {key for key in row["keys that differ"] if not key.startswith("general.")} <= {
        "tokenizer.ggml.add_bos_token"
    }
    assert row["keys that differ"].get("general.file_type") is None
