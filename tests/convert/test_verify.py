"""A converted file becomes the target only when it reads and computes as the checkpoint does."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import ConversionError
from app.jobs.child import run_in_child
from app.jobs.convert import convert_checkpoint
from backends.convert.converter import convert
from tests.convert import checkpoints


def unreachable_word(folder: Path, word: str = "Hello") -> None:
    """A token that no merges reach, and a tokenizer that takes it all the same: llama.cpp has no such qwen2."""
    path = folder / "tokenizer.json"
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    document["model"]["vocab"][word] = 620
    document["model"]["ignore_merges"] = True
    checkpoints.write_json(path, document)


def test_another_token_than_the_original_is_a_refusal_that_shows_the_text(tmp_path: Path) -> None:
    folder, target = tmp_path / "checkpoint", tmp_path / "out" / "model.gguf"
    checkpoints.write(folder)
    unreachable_word(folder)
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(
        ConversionError, match=r"differs from the original on the text 'Hello world': \[.*instead of \[620"
    ):
        convert_checkpoint(folder, target, logs=tmp_path)
    assert [path.read_bytes() for path in target.parent.iterdir()] == [b"old"]


def test_one_rare_word_that_differs_is_a_note(tmp_path: Path) -> None:
    checkpoints.write(tmp_path / "checkpoint")
    unreachable_word(tmp_path / "checkpoint", "Xylograph")
    result = convert_checkpoint(tmp_path / "checkpoint", tmp_path / "model.gguf", logs=tmp_path)
    (note,) = result.notes
    assert "other tokens than in the original tokenizer, such as 'Xylograph'" in note
    assert "(1 of " in note


def test_a_model_that_does_not_compute_is_not_kept(tmp_path: Path) -> None:
    norm = {"model.norm.weight": np.full(256, 3e38, np.float32)}
    checkpoints.write(tmp_path / "checkpoint", **norm)
    with pytest.raises(ConversionError, match="answers with values that are not numbers"):
        convert_checkpoint(tmp_path / "checkpoint", tmp_path / "model.gguf", "f32", logs=tmp_path)
    assert not list(tmp_path.glob("model*"))


def test_a_file_that_llama_cpp_does_not_read_is_not_kept(tmp_path: Path) -> None:
    checkpoints.write(tmp_path / "checkpoint")
    part, target = tmp_path / "model.gguf.part", tmp_path / "model.gguf"
    part.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ConversionError, match=r"llama\.cpp cannot use the converted file"):
        verify(tmp_path, part, target)
    assert not target.exists()


def test_a_vocabulary_that_ends_llama_cpp_is_a_sentence(tmp_path: Path) -> None:
    """A text that stands for two tokens ends the process."""
    checkpoints.write(tmp_path / "checkpoint")
    part, target = tmp_path / "model.gguf.part", tmp_path / "model.gguf"
    convert(lambda _: None, tmp_path / "checkpoint", part, "f16")
    part.write_bytes(part.read_bytes().replace(b"[PAD638]", b"[PAD637]"))
    with pytest.raises(ConversionError, match=r"The child process for “verify” stopped: .*Its log is .*verify\.log"):
        verify(tmp_path, part, target)
    assert not target.exists()


def test_a_trial_that_does_not_end_is_ended(tmp_path: Path) -> None:
    (tmp_path / "model.gguf.part").write_bytes(b"GGUF")
    with pytest.raises(ConversionError, match="The child process for “hanging trial” stopped"):
        verify(tmp_path, tmp_path / "model.gguf.part", tmp_path / "model.gguf", "tests.convert.native:hanging_trial")


def verify(folder: Path, part: Path, target: Path, function: str = "backends.llama.verify:verify") -> None:
    run_in_child(
        function,
        log_path=folder / "verify.log",
        error=ConversionError,
        source=folder / "checkpoint",
        part=part,
        target=target,
    )


def test_what_was_tried_is_in_the_result(tmp_path: Path) -> None:
    checkpoints.write(tmp_path / "checkpoint")
    shares: list[float] = []
    result = convert_checkpoint(
        tmp_path / "checkpoint",
        tmp_path / "model.gguf",
        logs=tmp_path,
        on_progress=lambda progress: shares.append(progress.fraction),
    )
    assert result.verified_texts > 300
    assert result.notes == ()
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint", "model.gguf", "convert.log", "verify.log"}
