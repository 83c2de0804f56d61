"""Takes turns among the running: llama.cpp applies the same adapters to all rows of a batch, and no answer without end
keeps its place for ever. Knows sequences, no slots."""

from backends.engine.sequence import Sequence

# before answers with other adapters go on: each change has llama.cpp plan its graphs anew, 5 ms for 16 small layers
TURN_STEPS = 8
# that an answer may say before it goes behind those that wait: one without end would keep its place for ever. Longer
# than most answers, as a slot that is given up costs a prompt to read again
TURN_TOKENS = 1024


class Turns:
    """Knows of each running sequence what it had said when it was let in."""

    def __init__(self, num_tokens: int = TURN_TOKENS):
        self._num_tokens = num_tokens
        self._began: dict[Sequence, int] = {}
        self._num_steps = 0

    def begin(self, seq: Sequence) -> None:
        self._began[seq] = seq.num_completion

    def end(self, seq: Sequence) -> None:
        del self._began[seq]

    def take(self, running: list[Sequence]) -> list[Sequence]:
        """Those that this batch may hold: the first goes, and with it all that have its adapters; at the end of their
        turn they go last in `running`."""
        adapters = running[0].adapters if running else ()
        turn = [seq for seq in running if seq.adapters == adapters]
        others = [seq for seq in running if seq.adapters != adapters]
        if others:
            self._num_steps += 1
            if self._num_steps >= TURN_STEPS or any(seq.num_pending > 1 for seq in turn):  # a prompt's step is long
                self._num_steps = 0
                running[:] = others + turn
        return turn

    def overdue(self, running: list[Sequence]) -> Sequence | None:
        """The one that has said most since it was let in, if that is enough for a turn."""
        longest = max(running, key=self._said, default=None)
        return longest if longest and self._said(longest) >= self._num_tokens else None

    def check_integrity(self, running: list[Sequence]) -> None:
        assert set(self._began) == set(running)

    def _said(self, seq: Sequence) -> int:
        return seq.num_completion - self._began[seq]
