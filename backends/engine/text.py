"""Turns token pieces into text that may be shown: whole characters only, and nothing of a stop string."""

import codecs
from collections.abc import Iterable


class TextStream:
    """Bytes in, text out. Holds back half characters and whatever may become a stop string. signs: the characters that
    stand for control tokens in stop strings; none of them is shown.

    num_heard: characters that came, a half one included; num_released: of them those that may be shown.
    """

    def __init__(self, stop: tuple[str, ...] = (), signs: Iterable[str] = ()):
        self.stop: str | None = None  # the one that was met
        self.num_released = 0
        self._stop = tuple(s for s in stop if s)
        self._overlaps = [0] * len(self._stop)  # of the held text's end with the beginning of each
        self._signs = dict.fromkeys(map(ord, signs))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    @property
    def stopped(self) -> bool:
        return self.stop is not None

    @property
    def num_heard(self) -> int:
        is_half = bool(self._decoder.getstate()[0])
        return self.num_released + len(self._held) + is_half

    def push(self, piece: bytes, sign: str = "") -> str:
        """The text that can be shown now. sign: of a control token. After a stop string was met, `stopped` is set and
        nothing follows."""
        if self.stopped:
            return ""
        new = self._decoder.decode(piece) + sign
        self._held += new
        return self._shown(self._release(len(new)))

    def finish(self) -> str:
        """What was held back: no more will come. Of a character that is not whole nobody could read anything."""
        if self.stopped:
            return ""
        rest, self._held = self._held, ""
        return self._shown(rest)

    def _shown(self, text: str) -> str:
        self.num_released += len(text)
        return text.translate(self._signs) if self._signs else text

    def _release(self, num_new: int) -> str:
        if not self._stop:
            text, self._held = self._held, ""
            return text
        found = [(at, s) for s in self._stop if (at := self._held.find(s)) >= 0]
        if found:
            end, self.stop = min(found)
            text, self._held = self._held[:end], ""
            return text
        before = zip(self._stop, self._overlaps, strict=True)
        self._overlaps = [self._overlap(s, overlap + num_new) for s, overlap in before]
        keep = max(self._overlaps)
        end = len(self._held) - keep
        text, self._held = self._held[:end], self._held[end:]
        return text

    def _overlap(self, stop: str, most: int) -> int:
        """Length of the longest end of the held text that begins the stop string. most: it cannot have grown beyond."""
        for length in range(min(len(stop) - 1, most), 0, -1):
            if self._held.endswith(stop[:length]):
                return length
        return 0
