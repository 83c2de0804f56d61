"""What llama.cpp does not check itself when a recurrent sequence takes back its last tokens.

It keeps a copy of the state for each of the last rows of a step, and `llama_memory_seq_rm` says yes to more than it
can do. All of these continued with another sequence's state, without a word (llama-memory-recurrent.cpp, tried out):
tokens of an earlier step taken back; a step in which sequences guess to different lengths, so that it is split and the
second part moves the cells of the first; and a sequence copied between taking back and its next step.
"""


class Rollback:
    """What each slot may take back, in tokens."""

    def __init__(self) -> None:
        self._allowed: dict[int, int] = {}
        self._pending: set[int] = set()

    def decoded(self, num_rows: dict[int, int]) -> None:
        """A step of so many rows per slot. Its first row stays; a step with unequal ones is not taken back at all."""
        is_level = len(set(num_rows.values())) == 1
        self._allowed = {slot: rows - 1 for slot, rows in num_rows.items()} if is_level else {}
        self._pending -= set(num_rows)

    def take_back(self, slot: int, num_tokens: int) -> None:
        """Before `llama_memory_seq_rm`."""
        assert num_tokens <= self._allowed.pop(slot, 0), "these tokens cannot be taken back"
        self._pending.add(slot)

    def is_pending(self, slot: int) -> bool:
        """Whether its cell still holds the state before: only its next step, and who saves it, see the right one."""
        return slot in self._pending

    def forget(self, slot: int) -> None:
        """The slot was emptied, or filled from bytes."""
        self._allowed.pop(slot, None)
        self._pending.discard(slot)
