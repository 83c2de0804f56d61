"""What a file may be that is no GGUF: told by its first bytes."""

BEGINNINGS = (
    (b"PK\x03\x04", "a zip archive or a PyTorch checkpoint"),
    (b"\x80", "a Python pickle, which can run code"),
    (b"<!DOCTYPE", "a web page, perhaps an error message of the download"),
    (b"<html", "a web page, perhaps an error message of the download"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"ggjt", "a GGML file of before 2023"),
    (b"lmgg", "a GGML file of before 2023"),
    (b"tjgg", "a GGML file of before 2023"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"{", "a JSON file"),
)


def looks_like(start: bytes) -> str:
    """The end of a sentence, empty when nothing is known of it. start: 9 bytes or more."""
    for beginning, what in BEGINNINGS:
        if start.lower().startswith(beginning.lower()):
            return f": it looks like {what}"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 100_000_000:
        return ": it looks like a safetensors checkpoint, which must be converted first"
    return ""
