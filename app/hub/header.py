"""A GGUF header read over the network: a few ranges of the file, never the weights."""

import io
from collections.abc import Callable
from typing import cast

from app.errors import HubError, HubFault
from app.hub.repository import HubFile
from backends.formats import FormatError
from backends.formats.gguf import Header, read_stream

MAX_AHEAD = 8 << 20
MAX_BYTES = 64 << 20  # in all: vocabulary and merges of the largest models are some 20 MB

ReadRange = Callable[[int, int], bytes]  # first byte, count


class RangedFile:
    """Looks like a file to the reader of headers. Reads ahead, more each time, and raises HubError past its bound."""

    def __init__(self, read_range: ReadRange, size: int):
        self._read_range = read_range
        self._size = size
        self._position = 0
        self._start = 0  # of the window
        self._window = b""
        self._ahead = 0
        self.num_bytes = 0  # fetched so far

    def seek(self, offset: int) -> int:
        self._position = offset
        return offset

    def read(self, size: int) -> bytes:
        size = min(size, self._size - self._position)
        at = self._position - self._start
        rest = self._window[at:] if 0 <= at <= len(self._window) else b""
        if len(rest) < size:
            rest += self._fetch(self._position + len(rest), size - len(rest))
        self._start, self._window = self._position, rest
        self._position += size
        return rest[:size]

    def _fetch(self, first: int, size: int) -> bytes:
        count = min(max(size, self._ahead), self._size - first)
        self._ahead = min(2 * count, MAX_AHEAD)
        self.num_bytes += count
        if self.num_bytes > MAX_BYTES:
            raise HubError(HubFault.BROKEN, "Do not download this file: its header is longer than that of any model.")
        return self._read_range(first, count)


def read_header(file: HubFile, read_range: ReadRange) -> Header:
    """Raises HubError when what the Hub has is no sound GGUF file."""
    try:
        return read_stream(cast(io.BufferedReader, RangedFile(read_range, file.bytes)), file.name, file.bytes)
    except FormatError as error:
        what = str(error).removesuffix(" Download it again.")
        raise HubError(HubFault.BROKEN, f"Do not download this file: {what}") from None
