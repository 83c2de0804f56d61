"""Turns token pieces into text that may be shown: whole characters only, and nothing of a stop string."""

import codecs
from collections.abc import Iterable


class TextStream:
    """Bytes in, text out. Holds back half characters and whatever may become a stop string. signs: the characters that
    stand for control tokens in stop strings; none of them is shown."""

    def __init__(self, stop: tuple[str, ...] = (), signs: Iterable[str] = ()):
        self.stop: str | None = None  # the one that was met
        self._stop = tuple(s for s in stop if s)
        self._signs = dict.fromkeys(map(ord, signs))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    @property
    def stopped(self) -> bool:
        return self.stop is not None

    def push(self, piece: bytes, sign: str = "") -> str:
        """The text that can be shown now. sign: of a control token. After a stop string was met, `stopped` is set and
        nothing follows."""
        if self.stopped:
            return ""
        self._held += self._decoder.decode(piece) + sign
        return self._shown(self._release())

    def finish(self) -> str:
        """What was held back: no more will come. Of a character that is not whole nobody could read anything."""
        if self.stopped:
            return ""
        rest, self._held = self._held, ""
        return self._shown(rest)

    def _shown(self, text: str) -> str:
        return text.translate(self._signs) if self._signs else text

    def _release(self) -> str:
        if not self._stop:
            text, self._held = self._held, ""
            return text
        found = [(at, s) for s in self._stop if (at := self._held.find(s)) >= 0]
        if found:
            end, self.stop = min(found)
            text, self._held = self._held[:end], ""
            return text
        keep = max((self._overlap(s) for s in self._stop), default=0)
        end = len(self._held) - keep
        text, self._held = self._held[:end], self._held[end:]
        return text

    def _overlap(self, stop: str) -> int:
        """Length of the longest end of the held text that begins the stop string."""
        for length in range(min(len(stop) - 1, len(self._held)), 0, -1):
            if self._held.endswith(stop[:length]):
                return length
        return 0
