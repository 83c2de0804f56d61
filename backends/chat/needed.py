"""Of an answer that must call, no call that its limit has cut: one that is whole was what was needed.

A call behind the first waits until the next begins or the answer ends, for only then is it known to be whole. What is
left out is markup: the texts of all parts are still the answer as the model wrote it.
"""

from collections.abc import Iterable

from backends.protocol.parts import Arguments, CallBegun, CallEnded, Markup, Part


class Needed:
    def __init__(self) -> None:
        self._is_called = False
        self._waiting: list[Part] = []  # behind the first call

    def told(self, parts: Iterable[Part]) -> list[Part]:
        """What of these and of the earlier ones can be told now."""
        told: list[Part] = []
        for part in parts:
            if not self._is_called:
                told.append(part)
                self._is_called = isinstance(part, CallEnded)
                continue
            if isinstance(part, CallBegun):
                told += self._waiting
                self._waiting = []
            self._waiting.append(part)
        return told

    def end(self, is_cut: bool, is_hurried: bool) -> tuple[list[Part], bool]:
        """What is left to tell, and whether a whole call was made. is_cut: the limit has ended it somewhere.
        is_hurried: it was brought to an end before its limit, with what fits in there."""
        waiting, self._waiting = self._waiting, []
        ends = [at for at, part in enumerate(waiting) if isinstance(part, CallEnded)]
        if is_hurried:
            return _as_markup(waiting), bool(ends)
        if is_cut:
            begin = ends[-1] + 1 if ends else 0
            return [*waiting[:begin], *_as_markup(waiting[begin:])], self._is_called
        return waiting, self._is_called


def _as_markup(parts: Iterable[Part]) -> list[Part]:
    """A call's text comes with its end."""
    text = "".join(part.text for part in parts if not isinstance(part, CallBegun | Arguments))
    return [Markup(text)] if text else []
