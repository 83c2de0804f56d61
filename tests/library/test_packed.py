"""What Ollama has packed for its own engine is told as that: llama.cpp refuses it, and the Hub has the same model."""

import struct
from pathlib import Path

import pytest

from backends.formats import FormatError
from backends.formats.gguf import Header, check_model, read_header
from backends.llama import native
from backends.llama.native import NativeError, NativeModel
from tests.library import foreign
from tests.library.conftest import Stage
from tests.library.gguf_bytes import TENSORS, model, tensor, text, write

ENCODER = [("v.blk.0.attn_q.weight", [64, 64], 1), ("mm.input_projection.weight", [64, 64], 1)]


def with_an_encoder(real: Path, path: Path) -> Path:
    """The real model and one tensor of an image encoder in one file."""
    head, data = read_header(real), real.read_bytes()
    begin = data.index(text(head.tensors[0].name))
    end = head.tensors[-1].offset + head.tensors[-1].num_bytes
    end += -end % 32
    infos = data[begin : begin + _info_bytes(head)] + tensor("v.blk.0.ln1.weight", [64], 0, end)
    start = data[:8] + struct.pack("<Q", len(head.tensors) + 1) + data[16:begin] + infos
    weights = data[head.data_offset : head.data_offset + end].ljust(end, b"\0")
    path.write_bytes(start + bytes(-len(start) % 32) + weights + bytes(64 * 4))
    return path


def _info_bytes(head: Header) -> int:
    return sum(8 + len(each.name) + 4 + 8 * len(each.shape) + 4 + 8 for each in head.tensors)


def test_llama_cpp_refuses_a_file_with_more_than_its_language_model(smollm2: Path, tmp_path: Path) -> None:
    """Why these are not offered. Once this fails, llama.cpp loads the text half, and so may we."""
    path = with_an_encoder(smollm2, tmp_path / "both.gguf")
    native.start()
    with pytest.raises(NativeError, match="wrong number of tensors; expected 273, got 272"):
        NativeModel(path)
    with pytest.raises(FormatError, match=r"both\.gguf holds an image or sound encoder .*1 of 273 .*from the Hub"):
        check_model(read_header(path))


def test_ollamas_blob_is_called_by_its_name(stage: Stage) -> None:
    root = stage.home / ".ollama" / "models"
    foreign.ollama(root, "gemma3:4b", model(settings=foreign.SMALL, tensors=[*TENSORS, *ENCODER]))
    foreign.ollama(root, "qwen2.5vl:7b", model(settings={**foreign.SMALL, "general.architecture": "qwen25vl"}))
    foreign.ollama(root, "llama3:8b")
    entries = {entry.id: entry for entry in stage.library.models()}
    assert str(entries["gemma3:4b"].problem).startswith("gemma3:4b holds an image or sound encoder")
    assert "ollama pull hf.co/" in str(entries["gemma3:4b"].problem)
    assert str(entries["qwen2.5vl:7b"].problem).startswith(
        "qwen2.5vl:7b has the architecture 'qwen25vl', which is Olla"
    )
    assert [id_ for id_, entry in entries.items() if entry.is_offered] == ["llama3:8b"]


def test_no_language_model_is_taken_for_one(tmp_path: Path) -> None:
    """Names that only begin alike."""
    tensors = [*TENSORS, ("visual.weight", [64], 0), ("aux.weight", [64], 0), ("mmx.weight", [64], 0)]
    check_model(read_header(write(tmp_path / "a.gguf", settings=foreign.SMALL, tensors=tensors)))
