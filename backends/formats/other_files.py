"""What a file may be that is no GGUF, told by its first bytes, and what a person does about it."""

import json
import re
from html import unescape

NUM_BYTES = 4096  # of the beginning that are looked at
MAX_QUOTED = 120  # characters of what a server has said
AGAIN = "Download it again."
UNPACK = "Unpack it, and load the .gguf file in it."
BEGINNINGS = (
    (b"PK\x03\x04", "a zip archive or a PyTorch checkpoint", "Unpack it: a checkpoint can be converted then."),
    (b"\x80", "a Python pickle, which can run code", "Get the model as GGUF or safetensors."),
    (b"ggjt", "a GGML file of before 2023", "Get a newer file of this model."),
    (b"lmgg", "a GGML file of before 2023", "Get a newer file of this model."),
    (b"tjgg", "a GGML file of before 2023", "Get a newer file of this model."),
    (b"\x1f\x8b", "a gzip archive", UNPACK),
    (b"BZh", "a bzip2 archive", UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!", "a rar archive", UNPACK),
    (b"MZ", "a program, perhaps a llamafile", "Get the model as a GGUF file."),
    (b"\x7fELF", "a program, perhaps a llamafile", "Get the model as a GGUF file."),
    (b"\x89HDF", "a Keras checkpoint (HDF5)", "Get the model as GGUF or safetensors."),
)
LFS = b"version https://git-lfs"
LFS_SIZE = re.compile(rb"^size (\d{1,18})$", re.MULTILINE)
TITLE = re.compile(rb"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
SAID = ("error", "message", "detail", "title")  # where servers put their reason
PAGE = (
    "a web page, perhaps a login page or an error message of the download{}. Look at its site, then download it again."
)


def what_it_is(name: str, start: bytes, size: int) -> str:
    """Two sentences: what the file is, and what to do. start: its first NUM_BYTES or all of it."""
    if start.startswith(LFS):
        return _pointer(name, start)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        return f"{name} is not a GGUF model but {PAGE.format(_title(start))}"
    if text.startswith((b"{", b"[")) and (said := _said(text, size)) is not None:
        return f"{name} is not a GGUF model but a JSON file{said}. {AGAIN}"
    for beginning, what, cure in BEGINNINGS:
        if start.startswith(beginning):
            return f"{name} is not a GGUF model but {what}. {cure}"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000:
        cure = "Give it back its name and convert it with its folder."
        return f"{name} is not a GGUF model but a safetensors checkpoint. {cure}"
    if not start.strip(b"\0"):
        return f"{name} is not a GGUF model: it begins with zeros, so its download was not finished. {AGAIN}"
    said = _plain(start) if size <= NUM_BYTES else ""
    return f"{name} is not a GGUF model{said}. {AGAIN}"


def _pointer(name: str, start: bytes) -> str:
    match = LFS_SIZE.search(start)
    missing = f"{_amount(int(match[1]))} are missing" if match else "the file itself is missing"
    return f"{name} is a Git LFS pointer: {missing}. Run “git lfs pull” in its folder, or download it again."


def _amount(count: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}" if count < 10 * factor else f"{count / factor:.0f} {unit}"
    return f"{count} bytes"


def _title(start: bytes) -> str:
    match = TITLE.search(start)
    return _quoted(unescape(match[1].decode("utf-8", "replace"))) if match else ""


def _said(text: bytes, size: int) -> str | None:
    """What a server's error says; empty for other JSON, None for what only begins like it."""
    if size > NUM_BYTES:
        return "" if text.startswith((b'{"', b"{\n", b"{\r", b"{ ", b"[{", b"[\n")) else None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    values = [document.get(key) for key in SAID] if isinstance(document, dict) else []
    inner = [value.get("message") for value in values if isinstance(value, dict)]
    return next((_quoted(value) for value in (*values, *inner) if isinstance(value, str) and value.strip()), "")


def _plain(start: bytes) -> str:
    """A text, as some servers answer with."""
    try:
        text = start.decode()
    except UnicodeDecodeError:
        return ""
    return f" but a text{_quoted(text)}" if "".join(text.split()).isprintable() and text.strip() else ""


def _quoted(text: str) -> str:
    line = " ".join(text.split())
    return f" (“{line[:MAX_QUOTED]}”)" if line else ""
