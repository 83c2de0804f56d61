"""A text file that goes with a message: read once, bounded, written into it as a block. Knows no widget."""

import re
from dataclasses import dataclass
from pathlib import Path

from app.errors import SlipstreamError
from backends.bounds import as_name
from ui.figures import count, size

MAX_BYTES = 4_000_000
MAX_NAME = 60  # characters of a file's name
CHARACTERS_PER_TOKEN = 4  # of English; the engine alone counts tokens
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")  # no text has them; form feeds and escapes may stand in a log


class AttachmentError(SlipstreamError):
    """This file cannot go with a message; the sentence says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    num_bytes: int
    text: str

    @property
    def mark(self) -> str:
        """What stands for it where the message is written."""
        tokens = count(max(1, len(self.text) // CHARACTERS_PER_TOKEN))
        return f"[{self.name}: {size(self.num_bytes)}, about {tokens} tokens]"

    @property
    def block(self) -> str:
        """What the model reads: the name, and the text between fences that it cannot close."""
        longest = max((len(run) for run in re.findall("`{3,}", self.text)), default=2)
        fence = "`" * (longest + 1)
        return f"{self.name}:\n{fence}\n{self.text.rstrip()}\n{fence}\n"


def read_attachment(path: Path) -> Attachment:
    """Raises AttachmentError for what is no text file, or is too long."""
    name = as_name(path.name, MAX_NAME)
    if not path.is_file():  # a folder, or a pipe that would never end
        raise AttachmentError(f"“{name}” is no file. Drop a text file here.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise AttachmentError(f"“{name}” could not be read: {error.strerror or error}.") from error
    if len(data) > MAX_BYTES:
        most = size(MAX_BYTES)
        raise AttachmentError(f"“{name}” is larger than {most}, the most that a message takes. Attach a part of it.")
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if CONTROL.search(text):
        raise AttachmentError(f"“{name}” holds no text. Text files (UTF-8) can be attached.")
    return Attachment(name, len(data), text.replace("\r\n", "\n"))
