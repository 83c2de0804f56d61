"""Decides how large a KV cache is: as large as the conversations need, and never larger than its limit.

A context starts with what a first question needs. When a prompt or a further answer needs more, all slots are saved,
the context is made anew, larger by a quarter than what is needed, and the slots are filled again; that costs about
40 ms and the copies. So it happens seldom, between two steps, and whoever runs notices nothing but the pause.
"""

from collections.abc import Callable
from time import monotonic

from backends.engine.runner import CellsLost, NoMemory, Runner, Size
from backends.engine.slots import Slots
from backends.protocol import Cells
from backends.system_memory import system_memory

SLACK = 4  # a part in so many of what is needed comes on top
NUM_SPARE = 1  # slots of their own cells beside the busy ones, for a conversation that may go on
MIN_WORTH = 64  # tokens of an idle slot for which another one is made rather than this one emptied
SHARE = 8  # and such a part of the cells that the slot would have
PATIENCE = 5.0  # seconds after a refusal until as much is asked for again
TOLD = 60.0  # seconds after it for which people are told so, unless something is given
SHORTEST_REST = 5.0  # seconds without a step before anything is given back
SHORT = 20  # less than such a part of the machine's memory is free
REFUSAL = (
    "The answer needs a larger KV cache, for which there is no memory now. Close other programs, or load the model with"
    " a smaller context or fewer parallel answers."
)


def is_memory_short() -> bool:
    """Whether the machine wants memory back, as far as it can be asked: a process without free files cannot."""
    try:
        memory = system_memory()
    except OSError:
        return False
    return memory.available < memory.total // SHORT


class Room:
    """Owns the size of one runner's cache: what is allocated (`runner.size`) of its limit (`runner.limit`)."""

    def __init__(self, runner: Runner, slots: Slots, forget: Callable[[], None]):
        """forget: called when the runner has lost what the slots held."""
        self._forget = forget
        self.num_expected = 0  # sequences that will run side by side soon
        self.num_resizes = 0
        self._runner, self._slots = runner, slots
        self._least = runner.size
        self._refused: Size | None = None  # the last one that there was no memory for
        self._refused_at = 0.0

    @property
    def is_short(self) -> bool:
        """Whether memory was refused a moment ago."""
        return self._refused is not None and monotonic() - self._refused_at < PATIENCE

    def cells(self, used: int) -> Cells:
        size, limit, shares_cells = self._runner.size, self._runner.limit, self._runner.shares_cells
        is_short = self._refused is not None and monotonic() - self._refused_at < TOLD
        return Cells(used, size.total(shares_cells), limit.total(shares_cells), is_short)

    def reserve(self, num_tokens: int, num_known: int, wants_slot: bool) -> None:
        """Before a sequence of so many tokens is let in, of which a slot holds the first `num_known`: grow at once by
        all that it will need to be read, if it is to be had."""
        size, slots = self._runner.size, self._slots
        needed = slots.num_tokens + num_tokens - num_known if self._runner.shares_cells else num_tokens
        num_slots = size.slots
        if wants_slot or self.num_expected > size.slots:
            num_slots = max(len(slots.busy) + 1, self.num_expected)
        spare = self._num_spare(max(needed, size.cells)) if wants_slot else 0
        needed += 1  # the answer's first token
        if not self._hold(Size(needed, num_slots + spare)) and spare:
            self._hold(Size(needed, num_slots))

    def grow(self) -> bool:
        """After KVFull: some more cells. False when there are none to be had."""
        size = self._runner.size
        return self._hold(Size(size.cells + 1, size.slots))

    def trade(self) -> bool:
        """Where slots share no cells and there is no memory: longer ones instead of those that hold nothing."""
        size = self._runner.size
        wanted = Size(self._padded(size.cells + 1), max(1, self._slots.num_needed))
        return wanted.slots < size.slots and wanted.cells > size.cells and self._try(wanted)

    def resize(self, size: Size) -> None:
        """Raises NoMemory, and every slot holds what it held; or CellsLost, and none holds anything."""
        try:
            self._runner.resize(size)
        except CellsLost:
            self._forget()
            raise
        self._slots.resize(size.slots)
        self.num_resizes += 1

    def shrink(self) -> bool:
        """To what is held, and a quarter. False when that is hardly less than there is."""
        size, slots = self._runner.size, self._slots
        held = slots.num_held if self._runner.shares_cells else slots.longest
        wanted = Size(max(self._least.cells, self._padded(held)), max(self._least.slots, slots.num_needed))
        if wanted.cells * wanted.slots > (size.cells - size.cells // SLACK) * size.slots:
            return False
        return self._try(wanted)

    def _num_spare(self, cells: int) -> int:
        """Slots for conversations that are worth one each, of so many cells if it has cells of its own."""
        least = MIN_WORTH if self._runner.shares_cells else max(MIN_WORTH, cells // SHARE)
        worth = sum(len(held) >= least for held in self._slots.idle.values())
        return worth if self._runner.shares_cells else min(worth, NUM_SPARE)

    def _hold(self, needed: Size) -> bool:
        """Whether it has grown, so that it holds this, or the limit."""
        size, limit = self._runner.size, self._runner.limit
        cells = self._padded(needed.cells) if needed.cells > size.cells else size.cells
        wanted = Size(max(size.cells, min(cells, limit.cells)), max(size.slots, min(needed.slots, limit.slots)))
        return wanted != size and self._try(wanted)

    def _try(self, wanted: Size) -> bool:
        if self._refused and self.is_short and wanted.covers(self._refused):
            return False
        try:
            self.resize(wanted)
        except (NoMemory, CellsLost) as error:
            self._refused, self._refused_at = wanted, monotonic()
            return isinstance(error, CellsLost)  # there is room, if only because all will be read again
        self._refused = None
        return True

    def _padded(self, needed: int) -> int:
        step = self._runner.cell_step
        return min(self._runner.limit.cells, -(-(needed + needed // SLACK) // step) * step)
