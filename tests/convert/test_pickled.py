"""Pickled weights: read when they are tensors and nothing else. Nothing of a checkpoint ever runs."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backends.child import Refusal
from backends.convert import pickled
from backends.convert.converter import convert
from backends.convert.pickled import read_pickled
from backends.convert.weights import read_weights
from tests.convert import checkpoints


def ignore(_progress: object) -> None:
    pass


def as_pickles(folder: Path, num_shards: int = 1) -> None:
    """The weights of a checkpoint as older tools saved them."""
    tensors = {name: torch.from_numpy(value) for name, value in checkpoints.write(folder).items()}
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    if num_shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
        return
    shards = {f"pytorch_model-{i + 1}.bin": names[i::num_shards] for i in range(num_shards)}
    for file, part in shards.items():
        torch.save({name: torch.nn.Parameter(tensors[name]) for name in part}, folder / file)
    weight_map = {name: file for file, part in shards.items() for name in part}
    checkpoints.write_json(folder / "pytorch_model.bin.index.json", {"weight_map": weight_map})


@pytest.mark.parametrize("num_shards", [1, 2])
def test_pickled_weights_give_the_same_file_as_safetensors(num_shards: int, tmp_path: Path) -> None:
    checkpoints.write(tmp_path / "model")
    convert(ignore, tmp_path / "model", tmp_path / "wanted.gguf", "bf16")
    as_pickles(tmp_path / "model", num_shards)
    convert(ignore, tmp_path / "model", tmp_path / "got.gguf", "bf16")
    assert (tmp_path / "got.gguf").read_bytes() == (tmp_path / "wanted.gguf").read_bytes()


def test_a_bf16_pickle_and_a_transposed_one_are_read_as_they_are(tmp_path: Path) -> None:
    values = torch.randn(6, 4)
    torch.save({"a": values.bfloat16(), "b": values.T, "c": values[2:]}, tmp_path / "pytorch_model.bin")
    read = {name: tensor.read() for name, tensor in read_pickled(tmp_path).items()}
    np.testing.assert_array_equal(read["a"], values.bfloat16().float().numpy())
    np.testing.assert_array_equal(read["b"], values.T.numpy())
    np.testing.assert_array_equal(read["c"], values[2:].numpy())


class Evil:
    """Opening its pickle with Python's own loader makes a folder."""

    def __init__(self, path: Path, call: Any = os.mkdir):
        self.path, self.call = path, call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, (str(self.path),)


def test_a_pickle_that_would_run_code_does_not(tmp_path: Path) -> None:
    folder, sign = tmp_path / "checkpoint", tmp_path / "it-ran"
    checkpoints.write(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"model.embed_tokens.weight": Evil(sign)}, folder / "pytorch_model.bin")
    with pytest.raises(Refusal, match=r"would run code when it is opened \(posix mkdir\)|nt mkdir"):
        convert(ignore, folder, tmp_path / "x.gguf")
    assert not sign.exists()

    torch.load(folder / "pytorch_model.bin", weights_only=False)  # the file is what it seems
    assert sign.exists()


def test_code_of_a_repository_is_not_even_looked_at(tmp_path: Path) -> None:
    folder, sign = tmp_path / "checkpoint", tmp_path / "it-ran"
    checkpoints.write(folder)
    program = f"import os; os.mkdir({str(sign)!r})\n"
    for name in ("modeling_x", "configuration_x", "tokenization_x", "__init__"):
        (folder / f"{name}.py").write_text(program)
    auto = {"AutoConfig": "configuration_x.X", "AutoModelForCausalLM": "modeling_x.X"}
    checkpoints.change_json(folder / "config.json", auto_map=auto, trust_remote_code=True)
    tokenizer = {"AutoTokenizer": ["tokenization_x.X", None]}
    checkpoints.change_json(folder / "tokenizer_config.json", auto_map=tokenizer, trust_remote_code=True)
    (folder / "training_args.bin").write_bytes(pickle.dumps(Evil(sign)))
    convert(ignore, folder, tmp_path / "model.gguf")
    assert not sign.exists()

    checkpoints.change_json(folder / "config.json", architectures=["XForCausalLM"])
    with pytest.raises(Refusal, match="architecture XForCausalLM is not supported"):
        convert(ignore, folder, tmp_path / "other.gguf")
    assert not sign.exists()


def rewritten(path: Path, compression: int = zipfile.ZIP_STORED, **members: bytes) -> None:
    """The archive with other members; a name given as `data_pkl` replaces the pickle."""
    with zipfile.ZipFile(path) as archive:
        content = {info.filename: archive.read(info) for info in archive.infolist()}
    program = next(name for name in content if name.endswith("data.pkl"))
    if "data_pkl" in members:
        content[program] = members.pop("data_pkl")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, value in (content | members).items():
            archive.writestr(name, value)


def calling(module: str, name: str, protocol: bytes = b"\x80\x02") -> bytes:
    return protocol + b"c" + module.encode() + b"\n" + name.encode() + b"\n" + b"(K\x01tR."


CASES: dict[str, tuple[Any, str]] = {
    "packed": (lambda p: rewritten(p, zipfile.ZIP_DEFLATED), "packed in a way"),
    "bomb": (lambda p: rewritten(p, zipfile.ZIP_DEFLATED, bomb=bytes(50_000_000)), "packed in a way"),
    "eval": (lambda p: rewritten(p, data_pkl=calling("builtins", "eval")), r"run code .*\(builtins eval\)"),
    "bytearray": (lambda p: rewritten(p, data_pkl=calling("builtins", "bytearray")), "run code"),
    "torch's own": (lambda p: rewritten(p, data_pkl=calling("torch", "load")), r"\(torch load\)"),
    "storage of another": (lambda p: rewritten(p, data_pkl=calling("torch", "FloatStorageX")), "run code"),
    "by the stack": (lambda p: rewritten(p, data_pkl=b"\x80\x04\x8c\x02os\x8c\x06system\x93."), "run code"),
    "cut": (lambda p: rewritten(p, data_pkl=b"\x80\x02}q\x00"), "is damaged"),
    "no pickle": (lambda p: rewritten(p, data_pkl=b"\xff\xfe"), "is damaged"),
    "no table": (lambda p: rewritten(p, data_pkl=b"\x80\x02K\x01."), "no table of tensors"),
    "no tensor": (lambda p: rewritten(p, data_pkl=b"\x80\x02}q\x00X\x01\x00\x00\x00aK\x01s."), "'a', which is not a"),
    "no archive": (lambda p: p.write_bytes(pickle.dumps({})), "pickle of the old kind"),
    "no end": (lambda p: p.write_bytes(p.read_bytes()[:200]), "is damaged"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_that_is_not_plain_tensors_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(3)}, path)
    change, sentence = CASES[case]
    change(path)
    with pytest.raises(Refusal, match=sentence):
        read_pickled(tmp_path)


def test_a_few_bytes_that_claim_to_be_a_large_tensor_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1).expand(1 << 20, 1 << 20)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Refusal, match="'a', which says that it is larger than its bytes"):
        read_pickled(tmp_path)


def test_the_output_matrix_that_is_the_embedding_is_one_source(tmp_path: Path) -> None:
    embedding = torch.randn(4, 3)
    torch.save({"in": embedding, "out": embedding, "half": embedding[:2]}, tmp_path / "pytorch_model.bin")
    checkpoints.write_json(tmp_path / "config.json", {})
    sources = read_weights(tmp_path)
    assert sources["in"] is sources["out"]
    assert sources["half"].shape == (2, 3)


def test_integers_and_an_old_torch_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.ones(3, dtype=torch.int8)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(Refusal, match="'a' has the type int8"):
        read_pickled(tmp_path)
    monkeypatch.setattr(pickled, "MIN_TORCH", (99, 0))
    with pytest.raises(Refusal, match=r"with torch 99\.0 or newer only"):
        read_pickled(tmp_path)
