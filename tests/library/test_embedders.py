"""A model that makes vectors is listed as what it is, and offered to nobody who wants to chat."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest

from app.library.entry import file_entry
from app.library.facts import Facts, read_facts
from app.library.found import Found
from app.library.index import Index
from app.library.origin import Origin
from backends.formats.gguf import describe, read_header


def write(path: Path, architecture: str, pooling: int | None = None, causal: bool | None = None) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(512)
    if pooling is not None:
        writer.add_pooling_type(gguf.PoolingType(pooling))
    if causal is not None:
        writer.add_causal_attention(causal)
    writer.add_tensor("token_embd.weight", np.zeros((8, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("architecture", "pooling", "causal", "is_embedder"),
    [
        ("bert", 1, False, True),
        ("nomic-bert", None, False, True),
        ("qwen3", 3, None, True),
        ("qwen3", 4, None, True),
        ("qwen3", 0, None, False),
        ("llama", None, None, False),
        ("llama", None, True, False),
        ("t5encoder", None, None, False),
        ("dream", None, False, False),
    ],
)
def test_the_header_says_what_it_is_for(
    architecture: str, pooling: int | None, causal: bool | None, is_embedder: bool, tmp_path: Path
) -> None:
    file = write(tmp_path / "model.gguf", architecture, pooling, causal)
    assert describe(read_header(file)).is_embedder is is_embedder
    entry = file_entry("model", file)
    assert entry.is_embedder is is_embedder
    assert entry.can_chat is not is_embedder
    assert entry.is_offered, "a program may ask it for vectors"
    assert (entry.kind == "embedding model") is is_embedder


def found(path: Path, *, is_checkpoint: bool = False) -> Found:
    status = path.stat()
    return Found(
        Origin.FOLDER, "m", str(path), status.st_size, status.st_mtime_ns, status.st_ino, is_checkpoint=is_checkpoint
    )


def test_the_index_remembers_it(tmp_path: Path) -> None:
    file = found(write(tmp_path / "model.gguf", "bert", 1, False))
    index = Index(tmp_path / "index" / "headers.db")
    assert index.get(file) is None
    index.read(file)
    index.save()

    def nobody(_: Found) -> Facts:
        raise AssertionError("opened again")

    facts = Index(tmp_path / "index" / "headers.db", nobody).get(file)
    assert facts is not None
    assert facts.is_embedder
    assert not facts.is_base


def test_a_checkpoint_of_an_encoder_is_known_by_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["BertModel"], "model_type": "bert"}))
    facts = read_facts(found(tmp_path, is_checkpoint=True))
    assert facts.is_embedder
    assert facts.problem is None
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM", 5]}))
    assert not read_facts(found(tmp_path, is_checkpoint=True)).is_embedder
