"""Checkpoints that want something else than to be converted: refused, quickly, in a sentence. Nothing is written."""

import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backends.child import Refusal
from backends.convert.converter import convert
from tests.convert import checkpoints

Change = Callable[[Path], object]
MAX_CPU_SECONDS = 3.0  # of this process, where each takes far less than one: no bomb went off


def outward(name: str) -> Change:
    """The file moved out of the folder, a link left in its place."""

    def change(folder: Path) -> None:
        outside = folder.parent / "outside"
        outside.mkdir()
        (folder / name).rename(outside / name)
        (folder / name).symlink_to(outside / name)

    return change


def link(name: str, to: str) -> Change:
    return lambda folder: (folder / name).symlink_to(to)


def text(name: str, content: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(content)


def header(content: bytes, length: int | None = None) -> Change:
    size = struct.pack("<Q", len(content) if length is None else length)
    return lambda folder: (folder / "model.safetensors").write_bytes(size + content)


def tokenizer(**changes: Any) -> Change:
    return lambda folder: checkpoints.change_json(folder / "tokenizer.json", **changes)


def index(file: str) -> Change:
    content = json.dumps({"weight_map": {"a": file}}).encode()
    return text("model.safetensors.index.json", content)


CASES: dict[str, tuple[Change, str]] = {
    "weights outside": (outward("model.safetensors"), r"model\.safetensors is a link that leads out"),
    "settings outside": (outward("config.json"), r"config\.json is a link that leads out"),
    "any file outside": (link("notes.txt", "/etc/hostname"), r"notes\.txt is a link that leads out"),
    "a folder outside": (link("additional_chat_templates", "/tmp"), "is a link that leads out"),
    "a device": (link("tokenizer.model", "/dev/zero"), "is a link that leads out"),
    "a loop": (link("loop", "loop"), "loop is a link that leads nowhere"),
    "a pipe": (lambda folder: os.mkfifo(folder / "pipe"), "pipe is neither a file nor a folder"),
    "index above": (index("../model.safetensors"), "not a file beside it"),
    "index absolute": (index("/etc/passwd.safetensors"), "not a file beside it"),
    "index of other files": (index("config.json"), "not a file beside it"),
    "index empty name": (index(""), "not a file beside it"),
    "huge header": (header(b"{}", 1 << 62), "damaged or cut short"),
    "negative header": (header(b"{}", (1 << 64) - 1), "damaged or cut short"),
    "many tensors": (header(b'{"a":[' + b"0," * 9_000_000 + b"0]}"), "far more values"),
    "deep header": (header(b'{"a":' * 50_000), "not valid JSON"),
    "json bomb": (text("tokenizer.json", b"[" + b"[]," * 5_000_000 + b"[]]"), r"tokenizer\.json holds far more values"),
    "huge json": (lambda f: os.truncate(f / "tokenizer.json", 1 << 40), r"tokenizer\.json is too large"),
    "deep json": (text("tokenizer.json", b'{"model":' * 200_000), r"tokenizer\.json is damaged"),
    "deep settings": (text("tokenizer_config.json", b"[" * 1_000_000), r"tokenizer_config\.json is damaged"),
    "five million tokens": (
        text("tokenizer.json", b'{"model":{"vocab":{' + b'"a":1,' * 5_000_000 + b'"b":2}}}'),
        r"tokenizer\.json holds far more values",
    ),
    "NaN": (text("config.json", b'{"architectures":["LlamaForCausalLM"],"rms_norm_eps":NaN}'), "not valid JSON"),
    "long number": (text("config.json", b'{"vocab_size":' + b"9" * 100_000 + b"}"), "not valid JSON"),
    "tokens of a wrong kind": (tokenizer(added_tokens={"a": 1}), "added tokens are no list"),
    "a token that is no text": (tokenizer(added_tokens=[{"id": 1, "content": 5}]), "no id or no text"),
    "a negative token": (tokenizer(added_tokens=[{"id": -1, "content": "x"}]), "no id or no text"),
    "one text for two tokens": (
        tokenizer(added_tokens=[{"id": 0, "content": "<x>"}, {"id": 1, "content": "<x>\0y"}]),
        "'<x>' is the text of two tokens",
    ),
    "a model that is a list": (tokenizer(model=[]), "it holds no model"),
    "a processor that is a list": (tokenizer(post_processor=[], pre_tokenizer=[1]), "splits words"),
    "a huge template": (text("chat_template.jinja", b"x" * (2 << 20)), "template is too large"),
    "no SentencePiece": (
        lambda f: (text("tokenizer.model", b"\xff" * 1000)(f), (f / "tokenizer.json").unlink()),
        r"tokenizer\.model is damaged",
    ),
}


@pytest.mark.skipif(os.name == "nt", reason="links and pipes need rights there")
@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_before_it_costs_anything(case: str, tmp_path: Path) -> None:
    folder, target = tmp_path / "checkpoint", tmp_path / "out" / "model.gguf"
    checkpoints.write(folder)
    change, sentence = CASES[case]
    change(folder)

    start = time.process_time()
    with pytest.raises(Refusal, match=sentence) as refusal:
        convert(lambda _: None, folder, target)
    assert time.process_time() - start < MAX_CPU_SECONDS
    assert len(str(refusal.value)) < 400
    assert not target.parent.exists() or not list(target.parent.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_the_links_of_the_hugging_face_cache_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "models--x--y"
    folder = root / "snapshots" / ("0" * 40)
    checkpoints.write(folder)
    (root / "blobs").mkdir()
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(root / "blobs" / str(number))
        path.symlink_to(Path("..") / ".." / "blobs" / str(number))
    assert convert(lambda _: None, folder, tmp_path / "model.gguf").num_tensors > 0
