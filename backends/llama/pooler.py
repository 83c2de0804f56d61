"""Vectors of texts on a loaded model, in a context of its own: made when it is needed, and freed when it is not."""

from collections.abc import Sequence as Many
from dataclasses import replace

from backends.engine.pooler import NoVectors, Piece, Vector
from backends.engine.runner import NoMemory
from backends.kv_layout import PADDING
from backends.llama.allowance import Allowance
from backends.llama.native import NativeError, NativeModel
from backends.llama.pooled_context import PooledContext, PooledParams, pooling_of, width
from backends.llama.threads import Following
from backends.protocol import Embedding, FailureKind

MAX_ROWS = 512
MAX_LOGITS = 16 << 20  # of a batch: a model that writes computes them for every row, asked for or not
NUM_SLOTS = 64  # of which rows must be a multiple: llama.cpp ends the process otherwise
NO_MEMORY = "There is no memory for making vectors now ({}). Close other programs, or send shorter texts."
NUM_STATES = 4  # slots of a recurrent model, whose states are large
BROKEN = "Vectors of these texts could not be made ({}). Try again; the engine's log says more."


class LlamaPooler:
    def __init__(
        self,
        model: NativeModel,
        max_tokens: int,
        allowance: Allowance,
        threads: int,
        flash_attention: str,
        following: Following | None,
        adapters: tuple[float, ...] = (),
    ):
        """allowance: of a cell with F16 keys and values. threads and what follows: as for answers."""
        pooling = pooling_of(model)
        self.embedding = Embedding(pooling, width(model, pooling), max_tokens)
        self.num_slots = NUM_STATES if model.is_recurrent else NUM_SLOTS
        self.can_split = model.is_causal
        self.max_rows = MAX_ROWS
        if self.can_split:
            self.max_rows = max(1, min(MAX_ROWS, MAX_LOGITS // model.vocabulary.num_tokens) // NUM_SLOTS) * NUM_SLOTS
        self._model, self._allowance = model, allowance
        self._params = PooledParams(pooling, 0, 0, self.num_slots, threads, flash_attention, following, adapters)
        self._context: PooledContext | None = None

    def run(self, pieces: Many[Piece]) -> list[Vector]:
        try:
            context = self._roomy(pieces)
            for piece in pieces:
                for position, token in enumerate(piece.tokens, piece.begin):
                    context.add(token, position, piece.slot)
            context.run()
            return [context.vector(piece.slot) for piece in pieces]
        except (NativeError, NoMemory, MemoryError) as error:
            self.rest()
            is_of_memory = not isinstance(error, NativeError) or error.is_of_memory
            kind = FailureKind.OUT_OF_MEMORY if is_of_memory else FailureKind.INTERNAL
            raise NoVectors(kind, (NO_MEMORY if is_of_memory else BROKEN).format(error)) from error

    def forget(self, slot: int) -> None:
        if self._context:
            self._context.forget(slot)

    def rest(self) -> None:
        if self._context:
            self._context.close()
            self._context = None

    close = rest

    def _roomy(self, pieces: Many[Piece]) -> PooledContext:
        """The context, made anew where it is too small: then a text begins, and no slot holds anything."""
        num_rows = max(self.max_rows, sum(len(piece.tokens) for piece in pieces))
        longest = max(piece.length for piece in pieces)
        num_cells = num_rows + (longest if longest > num_rows else 0)  # a long one ends in a batch with others
        context = self._context
        if context and context.params.num_rows >= num_rows and context.params.num_cells >= num_cells:
            return context
        self.rest()
        self._context = self._made(-(-num_rows // PADDING) * PADDING, -(-num_cells // PADDING) * PADDING)
        return self._context

    def _made(self, num_rows: int, num_cells: int) -> PooledContext:
        num_rows = self.max_rows if self.can_split else num_rows
        self._allowance.check(0, num_cells)
        return PooledContext(self._model, replace(self._params, num_rows=num_rows, num_cells=num_cells))
