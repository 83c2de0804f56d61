"""Cuts a text that came from a file, a template or a library to what a sentence can hold."""

LENGTH = 300  # characters


def shorten(text: str, length: int = LENGTH) -> str:
    """On one line, without control characters or halves of surrogate pairs, and with "…" where it was cut."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * length]).split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1].rstrip() + "…"
