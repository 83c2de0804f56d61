"""Copies and cuts slots, each model as it can: by cells, or from a checkpoint where cells do not tell the state."""

from backends.engine.checkpoints import Checkpoints
from backends.engine.runner import Runner


class Cuts:
    """`held` is everywhere the number of tokens that a slot holds."""

    def __init__(self, runner: Runner, checkpoints: Checkpoints):
        self._runner = runner
        self._checkpoints = checkpoints

    def reach(self, slot: int, shared: int, held: int) -> int:
        """How much of the first `shared` of its tokens the slot can be cut back to."""
        if shared == held or shared >= self._shortest(slot, held):
            return shared
        checkpoint = self._checkpoints.nearest(slot, shared)
        return checkpoint.length if checkpoint else 0

    def copy(self, source: int, held: int, target: int, length: int) -> None:
        """Fill an empty slot: at once where the copy may be cut short, else with all of it to go back from there."""
        num_copied = length if length >= self._shortest(source, held) else held
        self._runner.copy(source, target, num_copied)
        self._checkpoints.inherit(source, target)
        self.cut(target, num_copied, length)

    def cut(self, slot: int, held: int, length: int) -> None:
        """Leave the first `length` tokens: 0, or what `reach` has promised."""
        if length in (0, held) or length >= self._shortest(slot, held):
            self._runner.truncate(slot, length)
        else:
            checkpoint = self._checkpoints.nearest(slot, length)
            assert checkpoint, "nothing to go back to"
            assert checkpoint.length == length
            self._runner.rewind(slot, length, checkpoint.payload)
        self._checkpoints.cut(slot, length)

    def _shortest(self, slot: int, held: int) -> int:
        """The least that can be left; any number where cells can be moved."""
        return 0 if self._runner.can_shift else self._runner.shortest(slot, held)
