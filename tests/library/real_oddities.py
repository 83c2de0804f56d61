"""Real files as they lie on people's disks, made from SmolLM2: cut, swapped for what a server said, split, renamed."""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.library.gguf_bytes import header

LOGIN_PAGE = b"""\xef\xbb\xbf
<!-- served by a proxy -->
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>
  Log In &ndash; Hugging Face</title></head><body><form action="/login"></form></body></html>
"""


def pointer(num_bytes: int) -> bytes:
    """As git-lfs writes it."""
    oid = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {num_bytes}\n".encode()


@dataclass(frozen=True, slots=True)
class RealOddity:
    """content: from the real file's first megabytes. says: a pattern for the entry's problem."""

    name: str
    content: Callable[[bytes], bytes]
    says: str


ODDITIES = (
    RealOddity("empty", lambda _: b"", "is empty. Download it again"),
    RealOddity("cut in its header", lambda real: real[:300_000], "is cut short: its header goes on.*Download it again"),
    RealOddity("cut in its weights", lambda real: real[:3_000_000], "holds 3.0 MB of the 98.4 MB .*Download it again"),
    RealOddity(
        "LFS pointer",
        lambda _: pointer(98_395_136),
        "is a Git LFS pointer: 98 MB are missing. Run “git lfs pull” in its folder, or download it again",
    ),
    RealOddity("login page", lambda _: LOGIN_PAGE, "a web page.*“Log In – Hugging Face”.*download it again"),
    RealOddity(
        "JSON error",
        lambda _: b'{"error":"Access to model google/gemma-3-4b-it is restricted. Please log in."}',
        "a JSON file .“Access to model google/gemma-3-4b-it is restricted. Please log in.”.. Download it again",
    ),
    RealOddity("plain error", lambda _: b"Entry not found", "a text .“Entry not found”.. Download it again"),
    RealOddity(
        "XML error",
        lambda _: b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>',
        "an error message of the download.*download it again",
    ),
    RealOddity("begun and not filled", lambda _: bytes(2_000_000), "begins with zeros.*Download it again"),
    RealOddity("zip", lambda _: b"PK\x03\x04" + bytes(5000), "a zip archive or a PyTorch checkpoint. Unpack it"),
    RealOddity(
        "safetensors",
        lambda _: struct.pack("<Q", 64) + b'{"__metadata__":{"format":"pt"}}'.ljust(64) + bytes(5000),
        "a safetensors checkpoint. Give it back its name and convert it",
    ),
    RealOddity("gzip", lambda real: b"\x1f\x8b\x08\0" + real[:5000], "a gzip archive. Unpack it"),
    RealOddity(
        "version 1", lambda real: real[:4] + struct.pack("<I", 1) + real[8:], "version 1, which is too old. Get a newer"
    ),
    RealOddity("big-endian", lambda real: real[:4] + struct.pack(">I", 3) + real[8:], "made for big-endian machines"),
    RealOddity("adapter", lambda _: _companion("adapter"), "a LoRA adapter. Load the model that it was made for"),
    RealOddity("imatrix", lambda _: _companion("imatrix"), "an importance matrix, .*for --imatrix"),
    RealOddity(
        "mmproj-alone", lambda _: _companion("mmproj", "clip"), "the image part .mmproj. of one. Load the model"
    ),
)


def _companion(kind: str, architecture: str = "llama") -> bytes:
    return header(settings={"general.type": kind, "general.architecture": architecture}, tensors=[]) + bytes(64)


def lay(folder: Path, real: Path) -> None:
    """All of ODDITIES, and the real model beside them as good.gguf."""
    folder.mkdir(parents=True, exist_ok=True)
    with real.open("rb") as file:
        start = file.read(4_000_000)
    for oddity in ODDITIES:
        (folder / f"{oddity.name}.gguf").write_bytes(oddity.content(start))
    os.symlink(real, folder / "good.gguf")
