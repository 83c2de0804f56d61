"""Reads the values of a GGUF header one after the other. Holds a small window of the file, never the whole.

A mapped file would be simpler, and would kill the process when somebody truncates it meanwhile.
"""

import struct
from typing import Any, BinaryIO

from backends.formats import FormatError

WINDOW_BYTES = 1 << 20
MAX_STRING_BYTES = 16 << 20
MAX_TEXT_BYTES = 64 << 20  # all strings that are kept together
MAX_STRINGS = 3_000_000  # in arrays, the skipped ones too: about six times the largest vocabulary with its merges
MAX_KEPT_STRINGS = 1_000_000  # each costs some 60 bytes more than its text
KEPT_ELEMENTS = 1024  # a longer array is skipped unless all are asked for

_LENGTH = struct.Struct("<Q")
SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
STRING, ARRAY = 8, 9


class Cursor:
    """A position in a GGUF file of `size` bytes. Every method raises FormatError when it would leave it."""

    def __init__(self, file: BinaryIO, name: str, size: int):
        self.name = name
        self.size = size
        self._file = file
        self._window = b""
        self._start = 0  # where in the file the window begins
        self._at = 0  # position in the window
        self._num_strings = 0
        self._text_bytes = 0

    @property
    def position(self) -> int:
        return self._start + self._at

    @property
    def remaining(self) -> int:
        return self.size - self.position

    def take(self, count: int) -> bytes:
        self._need(count)
        taken = self._window[self._at : self._at + count]
        self._at += count
        return taken

    def peek(self, count: int) -> bytes:
        """Up to `count` bytes without moving."""
        self._need(min(count, self.remaining))
        return self._window[self._at : self._at + count]

    def skip(self, count: int) -> None:
        self._check(count)
        if count <= len(self._window) - self._at:
            self._at += count
            return
        self._start, self._at, self._window = self.position + count, 0, b""
        self._file.seek(self._start)

    def number(self, format_: struct.Struct) -> Any:
        return format_.unpack(self.take(format_.size))[0]

    def u32(self) -> int:
        return int(self.number(SCALARS[4]))

    def u64(self) -> int:
        return int(self.number(SCALARS[10]))

    def string(self, limit: int = MAX_STRING_BYTES) -> str:
        length = self.u64()
        if length > limit:
            raise self.damaged(f"a text of {length:,} bytes is announced")
        self._check(length)
        self._text_bytes += length
        if self._text_bytes > MAX_TEXT_BYTES:
            raise self.damaged("its texts are too large to be a model's")
        return self.take(length).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        """The hot loop of a vocabulary: 150,000 tokens and as many merges, so no call per string."""
        self._count_strings(count)
        while count:
            window, at, end = self._window, self._at, len(self._window) - 8
            while count and at <= end:
                following = at + 8 + _LENGTH.unpack_from(window, at)[0]
                if following > len(window):
                    break
                at = following
                count -= 1
            self._at = at
            if count:
                self.skip(self.u64())
                count -= 1

    def strings(self, count: int) -> list[str]:
        """As quick as skip_strings: a model is not loaded before all its tokens have been looked at."""
        self._count_strings(count)
        if count > MAX_KEPT_STRINGS:
            raise self.damaged(f"a list of {count:,} texts is announced")
        texts: list[str] = []
        while len(texts) < count:
            window, at, end = self._window, self._at, len(self._window) - 8
            while len(texts) < count and at <= end:
                following = at + 8 + _LENGTH.unpack_from(window, at)[0]
                if following > len(window):
                    break
                texts.append(window[at + 8 : following].decode("utf-8", "replace"))
                at = following
            self._text_bytes += at - self._at
            self._at = at
            if len(texts) < count:
                texts.append(self.string())
        return texts

    def value(self, type_: int, keep_arrays: bool) -> Any:
        """A metadata value: a number, bool, str, or a list; None for a long array when they are not kept."""
        if type_ == STRING:
            return self.string()
        if type_ == ARRAY:
            return self._array(self.u32(), self.u64(), keep_arrays)
        return self.number(self._scalar(type_))

    def damaged(self, what: str) -> FormatError:
        return FormatError(f"{self.name} is damaged: {what}. Download it again.")

    def _array(self, type_: int, count: int, keep_arrays: bool) -> list[Any] | None:
        is_kept = keep_arrays or count <= KEPT_ELEMENTS
        if type_ == STRING:
            if not is_kept:
                self.skip_strings(count)
                return None
            return self.strings(count)
        scalar = self._scalar(type_)
        if count * scalar.size > self.remaining:
            raise self.damaged(f"a list of {count:,} values is announced")
        if not is_kept:
            self.skip(count * scalar.size)
            return None
        return [item[0] for item in scalar.iter_unpack(self.take(count * scalar.size))]

    def _scalar(self, type_: int) -> struct.Struct:
        if type_ not in SCALARS:
            raise self.damaged(f"it holds a value of the unknown type {type_}")
        return SCALARS[type_]

    def _count_strings(self, count: int) -> None:
        self._num_strings += count
        if self._num_strings > MAX_STRINGS:
            raise self.damaged(f"a list of {count:,} texts is announced")
        self._check(count * 8)  # a length each, at the least

    def _check(self, count: int) -> None:
        if count > self.remaining:
            raise FormatError(
                f"{self.name} is cut short: its header goes on after its last byte ({self.size:,} bytes). "
                "Download it again."
            )

    def _need(self, count: int) -> None:
        if count <= len(self._window) - self._at:
            return
        self._check(count)
        rest = self._window[self._at :]
        self._start, self._at = self.position, 0
        self._window = rest + self._file.read(max(count - len(rest), WINDOW_BYTES))
        if len(self._window) < count:  # the file has shrunk since its size was asked
            raise FormatError(f"{self.name} changed while it was read. Try again.")
