"""Finds where Markdown that still grows can be cut, so that what lies before is final. Knows no Qt.

A cut lies at the start of a block that the text before cannot change any more: after a blank line, or after a
closing fence. Lists stay whole, for a later item may belong to the same list.
"""

import re
from dataclasses import dataclass

FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})([^`]*)$")
LIST_ITEM = re.compile(r"^ {0,3}(?:[-+*]|\d{1,9}[.)])(?:\s|$)")
DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s", re.MULTILINE)
MAX_RUN = 300
# Qt needs quadratic time for a line without a break; scripts that break anywhere are left alone
BREAKABLE = r"\s\u2e80-\uffef\U00020000-\U0003fffd"


@dataclass(frozen=True, slots=True)
class OpenFence:
    """The fence that the text ends in: where its first line of code starts, and its language."""

    start: int
    language: str


@dataclass(frozen=True, slots=True)
class Cut:
    frozen: int  # everything before this offset is final
    fence: OpenFence | None


def hard_wrap(text: str, max_run: int = MAX_RUN) -> str:
    """Break runs of more than `max_run` characters. A longer text starts with what a shorter one gave."""
    return re.sub(rf"[^{BREAKABLE}]{{{max_run}}}(?=\S)", lambda match: match.group() + "\n", text)


def has_definitions(text: str) -> bool:
    """Link definitions reach back into earlier blocks, so such a text is rendered whole at its end."""
    return DEFINITION.search(text) is not None


def cut(text: str, start: int = 0) -> Cut:
    """Where `text` can be cut, beginning at `start`, an earlier cut. The last line may be unfinished."""
    scan = _Scan(start)
    for line_start, line in _lines(text, start):
        scan.take(line_start, line, is_complete=line.endswith("\n"))
    return Cut(scan.frozen, scan.open_fence)


class _Scan:
    def __init__(self, start: int):
        self.frozen = start
        self.open_fence: OpenFence | None = None
        self._closing: str | None = None  # the fence that would close the open one
        self._is_after_blank = False
        self._is_in_list = False

    def take(self, start: int, line: str, is_complete: bool) -> None:
        bare = line.rstrip("\r\n")
        if self._closing:
            self._take_code(start + len(line), bare, is_complete)
        elif not bare.strip():
            self._is_after_blank = True
        else:
            self._take_text(start, line, bare, is_complete)

    def _take_code(self, end: int, line: str, is_complete: bool) -> None:
        assert self._closing
        bare = line.strip()
        if not is_complete or not bare.startswith(self._closing) or bare.strip(self._closing[0]):
            return
        self._closing = self.open_fence = None
        self._is_after_blank = True
        if not self._is_in_list:
            self.frozen = end

    def _take_text(self, start: int, line: str, bare: str, is_complete: bool) -> None:
        is_item = LIST_ITEM.match(bare) is not None
        is_indented = bare[0] in " \t"
        belongs_to_list = self._is_in_list and (is_item or is_indented or not self._is_after_blank)
        fence = FENCE.match(bare) if is_complete else None
        # an unfinished line may still become a list item
        may_cut = self._is_after_blank and is_complete and not is_indented
        if (may_cut or fence) and not belongs_to_list and start > self.frozen:
            self.frozen = start
        self._is_in_list = belongs_to_list or is_item
        self._is_after_blank = False
        if fence:
            self._closing = fence.group(2)
            words = fence.group(3).split()
            self.open_fence = OpenFence(start + len(line), words[0] if words else "")


def _lines(text: str, start: int) -> list[tuple[int, str]]:
    result = []
    for line in text[start:].splitlines(keepends=True):
        result.append((start, line))
        start += len(line)
    return result
