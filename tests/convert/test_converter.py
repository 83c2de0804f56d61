"""Converted files are the model: same logits, same tokens, same weights. llama.cpp is asked in a child."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.jobs.child import run_in_child
from app.jobs.convert import convert_checkpoint, quantize_file
from backends.convert.converter import convert
from backends.convert.vocabulary_writer import model_name
from backends.formats.gguf import describe, read_header, read_model
from tests.convert import checkpoints, reference

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
MODELS: dict[str, dict[str, Any]] = {
    "llama with scaled rotary": checkpoints.config(rope_scaling=LLAMA3_ROPE, attention_bias=True),
    "llama, tied, transformers 5": checkpoints.config(
        tie_word_embeddings=True, rope_theta=None, rope_parameters={"rope_theta": 500.0, "rope_type": "default"}
    ),
    "mistral with its own head size": checkpoints.config("MistralForCausalLM", head_dim=32),
    "qwen2": checkpoints.config("Qwen2ForCausalLM", rope_scaling={"rope_type": "linear", "factor": 4.0}),
    "qwen3": checkpoints.config("Qwen3ForCausalLM", head_dim=128, tie_word_embeddings=True),
}


def ignore(_progress: object) -> None:
    pass


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_the_checkpoint(name: str, tmp_path: Path) -> None:
    settings = MODELS[name]
    tensors = checkpoints.write(tmp_path / "checkpoint", settings)
    target = tmp_path / "model.gguf"
    convert(ignore, tmp_path / "checkpoint", target, "f32")

    ids = np.random.default_rng(1).integers(0, 500, 60).tolist()
    got = run_in_child("tests.convert.native:logits", log_path=tmp_path / "log", path=target, ids=ids)

    wanted = reference.logits(settings, tensors, ids)
    assert np.abs(got - wanted).max() < 1e-2
    assert (got.argmax(-1) == wanted.argmax(-1)).all()


NASTY = [
    "",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\n\n \n\t\t x",
    "a  b   c    d",
    "trailing   ",
    "\tindented\n    twice",
    "it's they'RE I'll WE'VE you'd 'tis 'S",
    "don''t",
    "1 12 123 1234 12345 123456",
    "3.14159 1,000,000 1e-9 0x1F",
    "½ ² ٣ ４ Ⅷ 一二三",
    "Grüße, München! ÀÉÎÕÜ",
    "ça été naïve façade",
    "e\u0301 o\u0308 combining",
    "Ελληνικά και русский",
    "日本語の文章です。中文，没有空格",
    "한국어 문장",
    "العربية ١٢٣ עברית",
    "हिन्दी में नमस्ते ไทย",
    "🙂🙃👍🏽",
    "👩\u200d👩\u200d👧\u200d👦 family",
    "zero\u200bwidth\ufeffbom",
    "no\u00a0break\u2003em\u3000wide",
    "...!!!???",
    "--- === *** ___",
    "a.b,c;d:e",
    "(parens) [brackets] {braces} <tags>",
    "C:\\path\\to\\file",
    "/usr/local/bin --flag=value",
    "https://example.org/a?b=c&d=%20#e",
    "def f(x):\n    return x**2  # ok\n",
    '{"key": [1, 2.5, null]}\n',
    "<html><body>&nbsp;</body></html>",
    "$100 €50 £20 ¥10",
    "50% off @ 3pm #now",
    "snake_case camelCase kebab-case",
    "ALL CAPS and MiXeD",
    "a",
    "\x00\x01\x7f control",
    "ends with newline\n",
    "ends with two\n\n",
    " leading space",
    "tab\tin\tthe\tmiddle",
    "x" * 200,
    " " * 70 + "deep",
    "word\n \n  \n   word",
    "!\n!\n\n!",
    "<|im_start|>user\nHello<|im_end|>\n",
    "<|endoftext|><|endoftext|>",
    "<|im_start|><|not_a_token|>",
    "mixed русский123日本語abc'll",
]


@pytest.mark.parametrize("kind", ["qwen2", "llama-bpe", "smaug-bpe", "gpt-2", "smollm"])
def test_tokens_are_those_of_the_tokenizer(kind: str, tmp_path: Path) -> None:
    checkpoints.write(tmp_path / "checkpoint", kind=kind)
    target = tmp_path / "model.gguf"
    convert(ignore, tmp_path / "checkpoint", target, "bf16")
    assert read_header(target).metadata["tokenizer.ggml.pre"] == kind

    tokenizer = checkpoints.tokenizer(kind)
    got = run_in_child(
        "tests.convert.native:tokens", log_path=tmp_path / "log", path=target, texts=NASTY, add_special=True
    )

    bos = [0] if kind == "llama-bpe" else []
    for text, (ids, decoded) in zip(NASTY, got, strict=True):
        wanted = tokenizer.encode(text).ids
        assert ids == wanted, text
        assert decoded == (b"<|endoftext|>" if bos else b"") + text.encode()


def test_weights_are_the_same_in_every_type(tmp_path: Path) -> None:
    import gguf

    tensors = checkpoints.write(tmp_path / "checkpoint")
    wanted = tensors["model.layers.1.mlp.down_proj.weight"]
    for type_, error in (("f32", 0.0), ("f16", 2**-11), ("bf16", 2**-8)):
        target = tmp_path / f"{type_}.gguf"
        convert(ignore, tmp_path / "checkpoint", target, type_)
        stored = {t.name: t for t in gguf.GGUFReader(target).tensors}["blk.1.ffn_down.weight"]
        got = gguf.quants.dequantize(stored.data, stored.tensor_type)
        assert np.abs(got - wanted).max() <= error * np.abs(wanted).max()
        if type_ == "bf16":
            assert (
                stored.data.view(np.uint16) == gguf.quants.quantize(wanted, stored.tensor_type).view(np.uint16)
            ).all()


def test_bf16_and_shards_are_read_exactly(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "checkpoint"
    checkpoints.write(folder)
    tensors = {n: torch.from_numpy(t).bfloat16() for n, t in checkpoints.weights(checkpoints.config()).items()}
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file_name, part in shards.items():
        save_file({name: tensors[name] for name in part}, folder / file_name)
    weight_map = {name: file_name for file_name, part in shards.items() for name in part}
    checkpoints.write_json(folder / "model.safetensors.index.json", {"weight_map": weight_map})

    convert(ignore, folder, tmp_path / "model.gguf", "bf16")

    import gguf

    stored = {t.name: t for t in gguf.GGUFReader(tmp_path / "model.gguf").tensors}["blk.0.ffn_up.weight"]
    wanted = tensors["model.layers.0.mlp.up_proj.weight"].view(torch.uint16).numpy()
    assert (stored.data.view(np.uint16) == wanted).all()


def test_a_converted_and_quantized_model_describes_itself(tmp_path: Path) -> None:
    folder = tmp_path / "Größe phi-3 модель"  # llama.cpp has a special case for names with phi-3
    checkpoints.write(folder)
    logs = tmp_path / "logs with spaces é"
    progress: list[float] = []
    full, small = tmp_path / "ä full.gguf", tmp_path / "ä small.gguf"

    converted = convert_checkpoint(folder, full, "f16", logs=logs, on_progress=lambda p: progress.append(p.fraction))
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    progress.clear()
    quantized = quantize_file(full, small, logs=logs, on_progress=lambda p: progress.append(p.fraction))

    assert len(set(progress)) > 15  # one per tensor
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    header = read_model(full)
    assert (converted.bytes, converted.num_tensors) == (full.stat().st_size, len(header.tensors))
    description = describe(header)
    assert (description.architecture, description.quantization) == ("llama", "F16")
    assert description.name == "Größe phi 3 модель"
    assert (description.context, description.num_layers, description.embedding_length) == (256, 2, 256)
    assert description.has_chat_template
    assert header.metadata["tokenizer.chat_template"] == checkpoints.CHATML
    assert quantized.bytes == small.stat().st_size < converted.bytes / 2
    assert describe(read_model(small)).quantization == quantized.type == "Q4_K_M"
    assert describe(read_model(small)).parameters == description.parameters
    tokens = run_in_child(
        "tests.convert.native:tokens", log_path=logs / "x", path=small, texts=["Hello"], add_special=False
    )
    assert tokens[0][1] == b"Hello"
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".part") == []


@pytest.mark.parametrize("file_name", ["tokenizer_config.json", "chat_template.jinja", "chat_template.json"])
def test_the_chat_template_is_found_wherever_it_hides(file_name: str, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    checkpoints.write(folder)
    template = "{{ messages }}"
    checkpoints.change_json(folder / "tokenizer_config.json", chat_template=None)
    if file_name.endswith(".jinja"):
        (folder / file_name).write_text(template)
    elif file_name == "chat_template.json":
        checkpoints.write_json(folder / file_name, {"chat_template": template})
    else:
        checkpoints.change_json(folder / file_name, chat_template=[{"name": "default", "template": template}])

    convert(ignore, folder, tmp_path / "model.gguf", "f16")

    assert read_header(tmp_path / "model.gguf").metadata["tokenizer.chat_template"] == template


def test_mistral_with_a_window_gets_the_context_that_fits_into_it(tmp_path: Path) -> None:
    checkpoints.write(tmp_path / "c", checkpoints.config("MistralForCausalLM", sliding_window=64))
    convert(ignore, tmp_path / "c", tmp_path / "model.gguf", "f16")
    assert describe(read_header(tmp_path / "model.gguf")).context == 64


def test_names_that_change_llama_cpps_tokenizer_are_altered() -> None:
    assert model_name("my-Phi-3-mini") == "my-Phi 3-mini"
    assert model_name("phi3") == "phi 3"
    assert model_name("Modern-BERT\n") == "Modern BERT"


def test_a_context_that_had_to_be_cut_is_said(tmp_path: Path) -> None:
    for window, num_notes in ((None, 0), (100, 1)):
        folder = tmp_path / str(window)
        checkpoints.write(folder, checkpoints.config("MistralForCausalLM", sliding_window=window))
        notes = convert(lambda _: None, folder, tmp_path / "model.gguf", "f32").notes
        assert len([note for note in notes if "context ends at 100 tokens instead of 256" in note]) == num_notes
