"""Nothing is guessed: what the converter does not know is refused with a sentence that names it."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from app.errors import ConversionError
from app.jobs.convert import quantize_file
from backends.child import Refusal
from backends.convert import files
from backends.convert.converter import convert
from backends.convert.safetensors import read_entries
from tests.convert import checkpoints

Change = Callable[[Path], None]


def set_config(**changes: Any) -> Change:
    return lambda folder: checkpoints.change_json(folder / "config.json", **changes)


def set_tokenizer(change: Callable[[dict[str, Any]], object]) -> Change:
    def apply(folder: Path) -> None:
        path = folder / "tokenizer.json"
        document = json.loads(path.read_text(encoding="utf-8"))
        change(document)
        checkpoints.write_json(path, document)

    return apply


def set_tensors(change: Callable[[dict[str, np.ndarray]], object]) -> Change:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return apply


def set_index(**weight_map: str) -> Change:
    return lambda folder: checkpoints.write_json(folder / "model.safetensors.index.json", {"weight_map": weight_map})


def rename_weights(new_name: str) -> Change:
    return lambda folder: (folder / "model.safetensors").replace(folder / new_name) and None


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    os.truncate(path, path.stat().st_size - 1000)


def poison(value: float) -> Change:
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = value

    return set_tensors(change)


ROPE = {"rope_type": "dynamic", "factor": 4.0}


CASES: dict[str, tuple[Change, str]] = {
    "architecture": (set_config(architectures=["FalconForCausalLM"]), "architecture FalconForCausalLM is not"),
    "no architecture": (set_config(architectures=None), "does not name an architecture"),
    "rope type": (
        set_config(rope_scaling=ROPE),
        "rotary scaling 'dynamic' is not supported",
    ),
    "rope of another architecture": (
        set_config(
            architectures=["Qwen2ForCausalLM"],
            rope_scaling={
                **ROPE,
                "rope_type": "llama3",
                "low_freq_factor": 1,
                "high_freq_factor": 4,
                "original_max_position_embeddings": 64,
            },
        ),
        "rotary scaling llama3 is not supported for Qwen2",
    ),
    "yarn that llama.cpp rounds": (
        set_config(
            rope_scaling={**ROPE, "rope_type": "yarn", "truncate": False, "original_max_position_embeddings": 64}
        ),
        "'yarn' with truncate = False, which llama.cpp rounds so far that answers change, is not supported",
    ),
    "yarn that attends otherwise": (
        set_config(rope_scaling={**ROPE, "rope_type": "yarn", "attention_factor": 2.0}),
        "attention_factor of its own",
    ),
    "nested rope": (set_config(rope_parameters={"full_attention": {}}), "differ between layers"),
    "activation": (set_config(hidden_act="gelu"), "activation 'gelu'"),
    "partial rotary": (set_config(partial_rotary_factor=0.5), "partial_rotary_factor of 0.5"),
    "sliding window": (set_config(layer_types=["sliding_attention"]), "type 'sliding_attention' is not supported"),
    "quantized": (set_config(quantization_config={"quant_method": "hqq"}), "quantized with HQQ"),
    "heads": (set_config(num_key_value_heads=3), "4 heads of 64, 3 of them"),
    "layers": (set_config(num_hidden_layers=True), "no valid num_hidden_layers"),
    "more layers than tensors": (set_config(num_hidden_layers=3), "'model.layers.2.*' is missing"),
    "fewer layers": (set_config(num_hidden_layers=1), r"'model.layers.1.\S+' is not known"),
    "shape": (set_config(vocab_size=700), r"shape \(640, 256\), but config.json asks for \(700, 256\)"),
    "unknown tensor": (set_tensors(lambda t: t.update(extra=np.ones(3, np.float32))), "'extra' is not known"),
    "missing tensor": (set_tensors(lambda t: t.pop("lm_head.weight")), "'lm_head.weight' is missing"),
    "tied, but another matrix": (set_config(tie_word_embeddings=True), "'lm_head.weight' holds other numbers"),
    "dtype": (set_tensors(lambda t: t.update({"lm_head.weight": np.ones((2, 2), np.int8)})), "the type I8"),
    "NaN": (poison(np.nan), "'blk.1.ffn_up.weight' holds values that are not numbers"),
    "infinite": (poison(-np.inf), "'blk.1.ffn_up.weight' holds values that are not numbers"),
    "too large": (poison(1e6), "'blk.1.ffn_up.weight' holds values too large for F16"),
    "not json": (lambda f: (f / "config.json").write_text("{") and None, "config.json is damaged"),
    "deep json": (lambda f: (f / "config.json").write_text("[" * 100_000) and None, "config.json is damaged"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json is missing"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
    "pickled": (rename_weights("pytorch_model.bin"), "pickle of the old kind, which can run code"),
    "adapter": (rename_weights("adapter_model.safetensors"), "adapter"),
    "cut short": (cut_weights, "model.safetensors is cut short"),
    "shard above": (set_index(x="../model.safetensors"), "not a file beside it"),
    "shard above, backslash": (set_index(x="..\\model.safetensors"), "not a file beside it"),
    "shard on a drive": (set_index(x="C:model.safetensors"), "not a file beside it"),
    "shard missing": (set_index(x="model-2.safetensors"), "model-2.safetensors is missing"),
    "tensor in no shard": (set_index(x="model.safetensors"), "announces tensor 'x'"),
    "sentencepiece": (set_tokenizer(lambda d: d["model"].update(byte_fallback=True)), "a byte has no token"),
    "unigram": (set_tokenizer(lambda d: d["model"].update(type="Unigram")), "of the kind Unigram; only BPE"),
    "normalizer": (set_tokenizer(lambda d: d.update(normalizer={"type": "Lowercase"})), "normalizer"),
    "splitter": (
        set_tokenizer(lambda d: d["pre_tokenizer"]["pretokenizers"][0]["pattern"].update(Regex=r"\w+")),
        "splits words in a way",
    ),
    "inverted splitter": (
        set_tokenizer(lambda d: d["pre_tokenizer"]["pretokenizers"][0].update(invert=True)),
        "splits words in a way",
    ),
    "too many tokens": (
        set_tokenizer(lambda d: d["model"]["vocab"].update(ab=9999)),
        "knows token 9999, but the model has only 640",
    ),
    "swallowed space": (
        set_tokenizer(lambda d: d["added_tokens"].append({"id": 630, "content": "<x>", "rstrip": True})),
        "swallows spaces",
    ),
    "a merge of nothing": (
        set_tokenizer(lambda d: d["model"]["merges"].append(["q", "\u4e00"])),
        "of what is no token",
    ),
    "a merge to nothing": (set_tokenizer(lambda d: d["model"]["merges"].append(["z", "q"])), "or makes none"),
    "two tokens of one id": (set_tokenizer(lambda d: d["model"]["vocab"].update(zz=5)), "two tokens share an id"),
    "no merges": (set_tokenizer(lambda d: d["model"].update(merges=[])), "no merges"),
    "merges of nothing": (set_tokenizer(lambda d: d["model"].update(merges=["a b"] * 5000)), "holds 5,000 merges"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_by_name_and_leaves_the_old_file(case: str, tmp_path: Path) -> None:
    folder, target = tmp_path / "checkpoint", tmp_path / "out" / "model.gguf"
    checkpoints.write(folder)
    target.parent.mkdir()
    target.write_bytes(b"old")
    change, sentence = CASES[case]
    change(folder)

    with pytest.raises(Refusal, match=sentence) as refusal:
        convert(lambda _: None, folder, target, "f16")

    assert "\n" not in str(refusal.value)
    assert str(refusal.value).endswith(".")
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"old"]


def test_llama_tokenizers_convert_without_any_change(tmp_path: Path) -> None:
    """The cases above start from a checkpoint that is fine."""
    checkpoints.write(tmp_path / "checkpoint")
    result = convert(lambda _: None, tmp_path / "checkpoint", tmp_path / "model.gguf", "f16")
    assert result.bytes == (tmp_path / "model.gguf").stat().st_size > 0


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(start: int, end: int, **changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [(end - start) // 4], "data_offsets": [start, end], **changes}


DAMAGED = {
    "empty": b"",
    "header outside": safetensors({}, length=1 << 40),
    "no table": safetensors([1]),
    "same name twice": safetensors(b'{"a": {}, "a": {}}'),
    "entry is no table": safetensors({"a": 3}),
    "negative": safetensors({"a": tensor(0, 8, shape=[-2])}, bytes(8)),
    "size does not fit": safetensors({"a": tensor(0, 8, shape=[3])}, bytes(8)),
    "backwards": safetensors({"a": tensor(8, 0, shape=[0])}, bytes(8)),
    "boolean": safetensors({"a": tensor(0, 4, shape=[True])}, bytes(4)),
    "huge": safetensors({"a": tensor(0, 4, shape=[1 << 47, 1 << 47])}, bytes(4)),
    "overlap": safetensors({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12)),
    "outside": safetensors({"a": tensor(0, 8)}, bytes(7)),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_safetensors_file_is_refused(case: str, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(DAMAGED[case])
    with pytest.raises(Refusal, match=r"^x\.safetensors is|^x.safetensors is damaged"):
        read_entries(tmp_path / "x.safetensors")


def test_a_full_disk_is_named_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints.write(tmp_path / "checkpoint")
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1_500_000}))
    with pytest.raises(Refusal, match=r"too full: 3\d\.\d MB are needed, 1\.5 MB are free"):
        convert(lambda _: None, tmp_path / "checkpoint", tmp_path / "out" / "model.gguf", "f16")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_leaves_the_old_file(tmp_path: Path) -> None:
    checkpoints.write(tmp_path / "checkpoint")
    target = tmp_path / "out" / "model.gguf"
    target.parent.mkdir()
    target.write_bytes(b"old")

    def full(_progress: object) -> None:
        if target.with_name("model.gguf.slipstream-part").exists():
            raise OSError(28, os.strerror(28))

    with pytest.raises(Refusal, match=r"The disk of .* is full\. Free some space"):
        convert(full, tmp_path / "checkpoint", target, "f16")
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"old"]


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model at all, only some text"])
def test_quantize_refuses_what_is_no_model(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "in.gguf").write_bytes(content)
    with pytest.raises(ConversionError, match=r"^in\.gguf is "):
        quantize_file(tmp_path / "in.gguf", tmp_path / "out.gguf", logs=tmp_path)
    assert not list(tmp_path.glob("out*"))
