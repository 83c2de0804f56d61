"""Decides how sequences lie in the KV cache, in one pool of cells or each in a stream of its own, and how many rows
attend to it at once.

In one pool a common prefix is stored once, but every token attends over the cells of all sequences, masked or not:
with 8 of 1,000 tokens a step costs about twice as much (two cores), and one answer alone pays for the conversations
that are kept beside it. Streams cost the memory of a full context each.

Knows no engine: whoever plans a load asks the same as whoever makes it.
"""

from dataclasses import dataclass

from backends.protocol import EngineOptions, FlashAttention, KVLayout

MAX_SLOTS = 256  # LLAMA_MAX_SEQ
DEFAULT_CONTEXT = 8192
MAX_BATCH_TOKENS = 512  # of one step, where nobody has asked for others
MIN_BATCH, MAX_BATCH = 32, 8192  # that may be asked for: an answer's guesses fit into the least
MAX_RECURRENT_DRAFT = 4  # guesses per step of a recurrent model
MAX_ROLLBACK_BYTES = 256 << 20  # for the copies of all slots' states that taking such guesses back needs
SHARE_OF_FREE = 0.25  # of the memory of the device, for streams that nobody asked for
START = 512  # cells, of which a step may fill all
PADDING = 256  # llama.cpp makes contexts a multiple of it
NUM_RESIDENT = 12  # slots beside the running ones that keep finished conversations: in one pool they cost nothing
MICRO_BATCH = 512  # rows, llama.cpp's own default
MICRO_BATCH_OF_SCORES = 128
NUM_SPARE = 1  # in streams each costs a full context: what has to leave finds room in the prompt cache in RAM

WINDOW = "A sliding window loses what it has passed when a conversation is copied from stream to stream."


@dataclass(frozen=True, slots=True)
class Size:
    """Of a KV cache."""

    cells: int  # of the pool that the slots share, or of each slot where they share none
    slots: int

    def total(self, shares_cells: bool) -> int:
        """Cells of all slots together."""
        return self.cells if shares_cells else self.cells * self.slots

    def covers(self, other: "Size") -> bool:
        return self.cells >= other.cells and self.slots >= other.slots


@dataclass(frozen=True, slots=True)
class Layout:
    """kind is never AUTO; context: the tokens that one sequence may have."""

    kind: KVLayout
    context: int
    num_slots: int
    reason: str

    @property
    def is_unified(self) -> bool:
        return self.kind is KVLayout.UNIFIED

    @property
    def limit(self) -> Size:
        return Size(self.context, self.num_slots)

    def start(self, is_recurrent: bool, batch: int | None = None) -> Size:
        """What a first question needs: in one pool more slots cost nothing, if they hold no states. batch: tokens of a
        step, for which llama.cpp wants as many cells."""
        cells = max(START, -(-(batch or 0) // PADDING) * PADDING)
        return Size(min(cells, self.context), self.num_slots if self.is_unified and not is_recurrent else 1)


def default_context(trained: int | None) -> int:
    return min(trained or DEFAULT_CONTEXT, DEFAULT_CONTEXT)


def native_slots(num_slots: int, has_window: bool, is_unified: bool) -> int:
    """Sequences that llama.cpp is told of: in one pool with a window each has a shadow (backends.llama.slot_memory)."""
    return 2 * num_slots if has_window and is_unified and 2 * num_slots <= MAX_SLOTS else num_slots


def recurrent_draft(num_slots: int, state_bytes: int) -> int:
    """Guesses that each slot of a recurrent model may take back, where there are any."""
    return MAX_RECURRENT_DRAFT if num_slots * MAX_RECURRENT_DRAFT * state_bytes <= MAX_ROLLBACK_BYTES else 0


def choose(
    options: EngineOptions,
    context: int,
    bytes_per_token: float,
    free: int,
    is_recurrent: bool,
    has_window: bool = False,
) -> Layout:
    """free: bytes on the device that will hold the cache, with the weights in place."""
    padded = -(-context // PADDING) * PADDING
    streams = min(options.parallel + NUM_SPARE, MAX_SLOTS)
    needed = round(streams * padded * bytes_per_token)
    reason = None if has_window else _reason_for_streams(options, needed, free, is_recurrent)
    if reason:
        return Layout(KVLayout.STREAMS, padded, streams, f"{reason}: {streams} streams of {padded} tokens each.")
    reason = WINDOW if has_window else _reason_for_one_pool(options, needed, free, is_recurrent)
    return Layout(KVLayout.UNIFIED, padded, min(options.parallel + NUM_RESIDENT, MAX_SLOTS), reason)


def micro_batch(flash_attention: str, on_gpu: bool, is_mixture: bool) -> int:
    """Rows of a batch that llama.cpp computes at once.

    Without flash attention a layer's scores are written out: a float for each row, head and cell, which leave a
    processor's cache where rows are many, and a quarter of the buffer is left of a quarter of the rows. In so few a
    prompt is read as soon or sooner: only a mixture's experts, of which each has its share of the rows, want many.
    """
    has_scores = flash_attention == FlashAttention.OFF and not on_gpu
    return MICRO_BATCH_OF_SCORES if has_scores and not is_mixture else MICRO_BATCH


def _reason_for_streams(options: EngineOptions, needed: int, free: int, is_recurrent: bool) -> str | None:
    if is_recurrent or options.kv_layout is KVLayout.UNIFIED:
        return None
    if options.kv_layout is KVLayout.STREAMS:
        return "Streams were asked for"
    if needed <= SHARE_OF_FREE * free:
        return f"Every conversation attends to its own cells alone, and {_size(needed)} for that are there"
    return None


def _reason_for_one_pool(options: EngineOptions, needed: int, free: int, is_recurrent: bool) -> str:
    if is_recurrent:
        return "This model keeps a state of fixed size, for which streams gain nothing."
    if options.kv_layout is KVLayout.UNIFIED:
        return "One pool of cells was asked for."
    return f"Streams would take {_size(needed)}, more than a quarter of the {_size(free)} that are free."


def _size(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.1f} MiB"
