"""A model card as Markdown that fetches nothing: no front matter, no HTML, no images. Links stay, as links."""

import re

from backends.bounds import UNPRINTABLE

MAX_BYTES = 400_000  # of the file
MAX_CHARS = 16_000  # of what is shown: a card is read, not searched
MAX_ROUNDS = 4
FENCE = re.compile(r"^ {0,3}(```|~~~)")
FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n.*?^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
SILENT = re.compile(r"<(script|style|svg|iframe|video|audio|object)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
BREAK = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6])\b[^<>]*>", re.IGNORECASE)
TAG = re.compile(r"</?[A-Za-z][^<>]*>")
AUTOLINK = re.compile(r"<(https?://[^<>\s]+)>")
IMAGE = re.compile(r"!\[([^\[\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])?")
EMPTY_LINK = re.compile(r"\[\s*\](?:\([^()]*\)|\[[^\[\]]*\])")
DEFINITION = re.compile(r"^ {0,3}\[([^\[\]\n]{1,100})\]:[ \t]*<?([^\s<>]+)>?[^\n]*$\n?", re.MULTILINE)
REFERENCE = re.compile(r"\[([^\[\]\n]{1,300})\]\[([^\[\]\n]{0,100})\]")
BLANK_LINES = re.compile(r"\n{3,}")


def readable(content: bytes) -> str:
    text = content[:MAX_BYTES].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    text = UNPRINTABLE.sub(lambda match: match[0] if match[0] in "\n\t" else "", text)
    text = FRONT_MATTER.sub("", text, count=1)
    addresses = {name.lower(): address for name, address in DEFINITION.findall(text)}
    parts = [part if is_code else _without_remote(_inline(part, addresses)) for part, is_code in _split_code(text)]
    cleaned = BLANK_LINES.sub("\n\n", "".join(parts)).strip()
    return _shortened(cleaned)


def _inline(text: str, addresses: dict[str, str]) -> str:
    """References become links of their own, so that the card can be shown piece by piece."""
    if not addresses:
        return text

    def link(match: re.Match[str]) -> str:
        address = addresses.get((match[2] or match[1]).lower())
        return f"[{match[1]}]({address})" if address else match[0]

    return REFERENCE.sub(link, DEFINITION.sub("", text))


def _without_remote(text: str) -> str:
    text = SILENT.sub("", COMMENT.sub("", AUTOLINK.sub(r"\1", text)))
    for _ in range(MAX_ROUNDS):  # what is removed may have stood in the middle of another
        cleaned = EMPTY_LINK.sub("", IMAGE.sub("", TAG.sub("", BREAK.sub("\n", text))))
        if cleaned == text:
            return text
        text = cleaned
    return text.replace("<", "").replace("![", "[")


def _split_code(text: str) -> list[tuple[str, bool]]:
    """Runs of lines, and whether they are a fenced block: what is code is shown as it is."""
    parts: list[tuple[list[str], bool]] = [([], False)]
    fence = ""
    for line in text.splitlines(keepends=True):
        match = FENCE.match(line)
        if match and not fence:
            fence = match[1]
            parts.append(([line], True))
        elif fence and line.strip().startswith(fence) and not line.strip().strip(fence[0]):
            parts[-1][0].append(line)
            parts.append(([], False))
            fence = ""
        else:
            parts[-1][0].append(line)
    return [("".join(lines), is_code) for lines, is_code in parts]


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    end = text.rfind("\n\n", 0, MAX_CHARS)
    shown = text[: end if end > 0 else MAX_CHARS]
    closing = "\n```" if shown.count("\n```") % 2 else ""
    return f"{shown}{closing}\n\n*The card goes on; its page has the rest.*"
