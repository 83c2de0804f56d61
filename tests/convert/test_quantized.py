"""Quantized checkpoints become floats again: each is packed here by the published rule, from numbers that are known."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from backends.child import Refusal
from backends.convert.converter import convert
from backends.convert.stored import float8_values
from backends.convert.weights import read_weights
from tests.convert import checkpoints

ROWS, COLUMNS, GROUP = 32, 64, 16
GROUPS = COLUMNS // GROUP
NAME = "model.layers.0.mlp.up_proj"
Tensors = dict[str, torch.Tensor]
random = np.random.default_rng(3)


def values_of(folder: Path, tensors: Tensors, settings: dict[str, Any]) -> dict[str, np.ndarray]:
    folder.mkdir(exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    checkpoints.write_json(folder / "config.json", {"quantization_config": settings})
    return {name: source.read() for name, source in read_weights(folder).items()}


def words(fields: np.ndarray, bits: int, order: list[int] | None = None) -> torch.Tensor:
    """[n, m] numbers, 32 / bits of a row in a word; order: which of them lies at place 0, 1, 2, …"""
    count = 32 // bits
    packed = np.zeros((fields.shape[0], -(-fields.shape[1] // count)), np.uint64)
    for column in range(fields.shape[1]):
        place = column % count
        place = order.index(place) if order else place
        packed[:, column // count] |= fields[:, column].astype(np.uint64) << np.uint64(bits * place)
    return torch.from_numpy(packed.astype(np.uint32).view(np.int32))


def grouped(bits: int, groups: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """Stored numbers [rows, columns], zeros and scales [rows, groups], and the values that they stand for."""
    stored = random.integers(0, 1 << bits, (ROWS, COLUMNS))
    zeros = random.integers(1, 1 << bits, (ROWS, GROUPS))
    scales = random.uniform(0.01, 0.1, (ROWS, GROUPS)).astype(np.float16)
    of = np.arange(COLUMNS) // GROUP if groups is None else groups
    wanted = (stored - zeros[:, of]) * scales[:, of].astype(np.float32)
    return stored, zeros, scales, wanted.astype(np.float32)


@pytest.mark.parametrize("type_", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_a_byte_is_the_float_that_torch_sees_in_it(type_: torch.dtype) -> None:
    wanted = torch.arange(256, dtype=torch.uint8).view(type_).float().numpy()
    name = "F8_E4M3" if type_ is torch.float8_e4m3fn else "F8_E5M2"
    np.testing.assert_array_equal(float8_values(name), wanted)


@pytest.mark.parametrize(("suffix", "shape"), [("_scale_inv", ()), ("_scale", (1,)), ("_scale", (40, 1))])
def test_fp8_with_a_scale_of_its_own_or_by_row(suffix: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    stored = torch.randn(40, 24).to(torch.float8_e4m3fn)
    scale = torch.rand(shape) + 0.5
    tensors = {f"{NAME}.weight": stored, f"{NAME}.weight{suffix}": scale, f"{NAME}.input_scale": torch.ones(1)}
    values = values_of(tmp_path, tensors, {"quant_method": "fp8"})
    assert list(values) == [f"{NAME}.weight"]
    np.testing.assert_array_equal(values[f"{NAME}.weight"], (stored.float() * scale).numpy())


def test_fp8_in_blocks_that_do_not_divide_the_weight(tmp_path: Path) -> None:
    stored, scale = torch.randn(40, 24).to(torch.float8_e4m3fn), torch.rand(3, 2) + 0.5
    wanted = stored.float()
    for row in range(40):
        for column in range(24):
            wanted[row, column] *= scale[row // 16, column // 16]
    tensors = {f"{NAME}.weight": stored, f"{NAME}.weight_scale_inv": scale, "x.weight": torch.ones(3)}
    settings = {"quant_method": "fp8", "weight_block_size": [16, 16]}
    values = values_of(tmp_path, tensors, settings)
    np.testing.assert_array_equal(values[f"{NAME}.weight"], wanted.numpy())
    assert set(values) == {f"{NAME}.weight", "x.weight"}


@pytest.mark.parametrize("version", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("is_sorted", [True, False])
def test_gptq(version: str, bits: int, is_sorted: bool, tmp_path: Path) -> None:
    groups = np.arange(COLUMNS) // GROUP
    order = groups if is_sorted else random.permutation(groups)
    stored, zeros, scales, wanted = grouped(bits, order)
    tensors = {
        f"{NAME}.qweight": words(stored, bits).T,
        f"{NAME}.qzeros": words(zeros.T - (1 if version == "gptq" else 0), bits),
        f"{NAME}.scales": torch.from_numpy(scales.T.copy()),
        f"{NAME}.g_idx": torch.from_numpy(order.astype(np.int32)),
    }
    settings = {"quant_method": "gptq", "bits": bits, "checkpoint_format": version, "group_size": GROUP}
    values = values_of(tmp_path, tensors, settings)
    np.testing.assert_allclose(values[f"{NAME}.weight"], wanted, rtol=1e-6)
    if is_sorted:
        del tensors[f"{NAME}.g_idx"]
        np.testing.assert_allclose(values_of(tmp_path, tensors, settings)[f"{NAME}.weight"], wanted, rtol=1e-6)


def test_awq(tmp_path: Path) -> None:
    stored, zeros, scales, wanted = grouped(4)
    order = [0, 2, 4, 6, 1, 3, 5, 7]  # AutoAWQ, WQLinear_GEMM.from_linear
    tensors = {
        f"{NAME}.qweight": words(stored.T, 4, order),
        f"{NAME}.qzeros": words(zeros.T, 4, order),
        f"{NAME}.scales": torch.from_numpy(scales.T.copy()),
    }
    values = values_of(tmp_path, tensors, {"quant_method": "awq", "bits": 4, "version": "gemm"})
    np.testing.assert_allclose(values[f"{NAME}.weight"], wanted, rtol=1e-6)


def compressed(form: str, **weights: Any) -> dict[str, Any]:
    return {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": {"weights": weights}}}


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("has_zeros", [True, False])
@pytest.mark.parametrize("is_sorted", [True, False])
def test_compressed_tensors_packed_into_words(bits: int, has_zeros: bool, is_sorted: bool, tmp_path: Path) -> None:
    groups = np.arange(COLUMNS) // GROUP
    order = groups if is_sorted else random.permutation(groups)
    stored, zeros, scales, _ = grouped(bits)
    if not has_zeros:
        zeros = np.full_like(zeros, 1 << (bits - 1))
    wanted = (stored - zeros[:, order]) * scales.astype(np.float32)[:, order]
    tensors = {
        f"{NAME}.weight_packed": words(stored, bits),
        f"{NAME}.weight_scale": torch.from_numpy(scales),
        f"{NAME}.weight_shape": torch.tensor([ROWS, COLUMNS]),
        f"{NAME}.weight_g_idx": torch.from_numpy(order.astype(np.int32)),
    }
    if has_zeros:
        tensors[f"{NAME}.weight_zero_point"] = words(zeros.T, bits).T
    settings = compressed("pack-quantized", num_bits=bits, type="int", strategy="group", group_size=GROUP)
    np.testing.assert_allclose(values_of(tmp_path, tensors, settings)[f"{NAME}.weight"], wanted, rtol=1e-6)


@pytest.mark.parametrize("groups", [1, GROUPS])
def test_compressed_tensors_of_whole_numbers(groups: int, tmp_path: Path) -> None:
    stored = random.integers(-128, 128, (ROWS, COLUMNS)).astype(np.int8)
    scales = random.uniform(0.01, 0.1, (ROWS, groups)).astype(np.float32)
    wanted = stored * np.repeat(scales, COLUMNS // groups, axis=1)
    tensors = {f"{NAME}.weight": torch.from_numpy(stored), f"{NAME}.weight_scale": torch.from_numpy(scales)}
    settings = compressed("int-quantized", num_bits=8, type="int", strategy="channel")
    np.testing.assert_allclose(values_of(tmp_path, tensors, settings)[f"{NAME}.weight"], wanted, rtol=1e-6)


def test_compressed_tensors_of_floats(tmp_path: Path) -> None:
    stored, scale = torch.randn(ROWS, COLUMNS).to(torch.float8_e4m3fn), torch.rand(ROWS, 1).bfloat16()
    tensors = {f"{NAME}.weight": stored, f"{NAME}.weight_scale": scale}
    values = values_of(tmp_path, tensors, compressed("float-quantized", num_bits=8, type="float", strategy="channel"))
    np.testing.assert_array_equal(values[f"{NAME}.weight"], (stored.float() * scale.float()).numpy())


def test_mxfp4_is_what_transformers_computes_with(tmp_path: Path) -> None:
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks = torch.from_numpy(random.integers(0, 256, (2, 6, 3, 16)).astype(np.uint8))
    scales = torch.from_numpy(random.integers(100, 140, (2, 6, 3)).astype(np.uint8))
    tensors = {f"{NAME}_blocks": blocks, f"{NAME}_scales": scales}
    got = values_of(tmp_path, tensors, {"quant_method": "mxfp4"})
    wanted = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32).numpy()
    np.testing.assert_array_equal(got[f"{NAME}_blocks"], wanted.swapaxes(-1, -2))


def test_a_whole_quantized_checkpoint_converts(tmp_path: Path) -> None:
    """Block FP8, the heads' rows rearranged on the way."""
    folder, target = tmp_path / "checkpoint", tmp_path / "model.gguf"
    checkpoints.write(folder)
    tensors = load_file(folder / "model.safetensors")
    for name in [n for n in tensors if n.endswith("proj.weight")]:
        weight = tensors[name].to(torch.float8_e4m3fn)
        scale = torch.rand(-(-weight.shape[0] // 128), -(-weight.shape[1] // 128)) + 0.5
        tensors |= {name: weight, f"{name}_scale_inv": scale}
    save_file(tensors, folder / "model.safetensors")
    settings = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    checkpoints.change_json(folder / "config.json", quantization_config=settings)
    convert(lambda _: None, folder, target, "f32")

    stored = {t.name: t for t in gguf.GGUFReader(target).tensors}["blk.1.ffn_down.weight"]
    name = "model.layers.1.mlp.down_proj.weight"
    scale = tensors[f"{name}_scale_inv"].repeat_interleave(128, 0).repeat_interleave(128, 1)
    assert (stored.data == (tensors[name].float() * scale[:256, :512]).numpy()).all()


@pytest.mark.parametrize("key", ["quantization_config", "compression_config"])
@pytest.mark.parametrize("is_nested", [True, False])
def test_where_a_method_is_named(key: str, is_nested: bool, tmp_path: Path) -> None:
    """Beside the text model or in it; compression_config is what llm-compressor wrote in 2024."""
    stored, scale = torch.randn(ROWS, COLUMNS).to(torch.float8_e4m3fn), torch.rand(ROWS, 1)
    save_file({f"{NAME}.weight": stored, f"{NAME}.weight_scale": scale}, tmp_path / "model.safetensors")
    said = {key: compressed("float-quantized", num_bits=8, type="float", strategy="channel")}
    checkpoints.write_json(tmp_path / "config.json", {"text_config": said} if is_nested else said)
    np.testing.assert_array_equal(read_weights(tmp_path)[f"{NAME}.weight"].read(), (stored.float() * scale).numpy())


FP8 = {"quant_method": "fp8", "weight_block_size": [16, 16]}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "NF4": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        r"quantized with NF4 \(bitsandbytes\), which cannot be undone\. Look for the original",
    ),
    "int8": ({"quant_method": "bitsandbytes", "load_in_8bit": True}, r"LLM\.int8 \(bitsandbytes\)"),
    "old": ({"load_in_4bit": True}, r"FP4 \(bitsandbytes\)"),
    "SmoothQuant": ({"quant_method": "smoothquant"}, "SmoothQuant, which cannot"),
    "torchao": ({"quant_method": "torchao"}, "with torchao"),
    "unknown": ({"quant_method": "x" * 1000}, "a method called 'xxx"),
    "no method": ({"bits": 4}, "a method called 'None'"),
    "3 bits": ({"quant_method": "gptq", "bits": 3}, "GPTQ with 3 bits"),
    "marlin": ({"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"}, "format 'marlin'"),
    "gemv": ({"quant_method": "awq", "bits": 4, "version": "GEMV"}, "order gemv"),
    "nvfp4": (compressed("nvfp4-pack-quantized", num_bits=4, type="float"), "format 'nvfp4-pack-quantized'"),
    "two ways": (
        {
            "quant_method": "compressed-tensors",
            "format": "int-quantized",
            "config_groups": {"a": {"weights": {"num_bits": 4}}, "b": {"weights": {"num_bits": 8}}},
        },
        "several ways",
    ),
    "rotated": (
        {**compressed("float-quantized", num_bits=8, type="float"), "transform_config": {"config_groups": {"u": {}}}},
        "are rotated",
    ),
    "W8A8": (compressed("int-quantized", num_bits=8, type="int"), "SmoothQuant"),
    "block": ({"quant_method": "fp8", "weight_block_size": [0, 16]}, "no valid weight_block_size"),
    "scale": ({"quant_method": "fp8", "weight_block_size": [8, 8]}, "does not go with"),
    "no table": (["fp8"], "is not a table"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_undone_is_refused_by_name(case: str, tmp_path: Path) -> None:
    settings, sentence = REFUSED[case]
    tensors = {
        f"{NAME}.weight": torch.zeros(32, 32).to(torch.float8_e4m3fn),
        f"{NAME}.weight_scale_inv": torch.ones(2, 2),
        f"{NAME}.input_scale": torch.ones(1),
    }
    with pytest.raises(Refusal, match=sentence) as refusal:
        values_of(tmp_path, tensors, settings)
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("method", ["gptq", "compressed-tensors"])
def test_an_order_that_is_announced_but_missing_is_refused(method: str, tmp_path: Path) -> None:
    stored, zeros, scales, _ = grouped(4)
    if method == "gptq":
        settings: dict[str, Any] = {"quant_method": "gptq", "bits": 4, "desc_act": True}
        tensors = {
            f"{NAME}.qweight": words(stored, 4).T,
            f"{NAME}.qzeros": words(zeros.T - 1, 4),
            f"{NAME}.scales": torch.from_numpy(scales.T.copy()),
        }
    else:
        settings = compressed("pack-quantized", num_bits=4, type="int", actorder="group")
        tensors = {
            f"{NAME}.weight_packed": words(stored, 4),
            f"{NAME}.weight_scale": torch.from_numpy(scales),
            f"{NAME}.weight_shape": torch.tensor([ROWS, COLUMNS]),
        }
    with pytest.raises(Refusal, match="g_idx' is missing"):
        values_of(tmp_path, tensors, settings)


def test_a_group_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    stored, zeros, scales, _ = grouped(4)
    tensors = {
        f"{NAME}.qweight": words(stored, 4).T,
        f"{NAME}.qzeros": words(zeros.T - 1, 4),
        f"{NAME}.scales": torch.from_numpy(scales.T.copy()),
        f"{NAME}.g_idx": torch.full((COLUMNS,), 99, dtype=torch.int32),
    }
    with pytest.raises(Refusal, match="g_idx' names a group that does not exist"):
        values_of(tmp_path, tensors, {"quant_method": "gptq", "bits": 4})
