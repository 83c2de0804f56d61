"""A model answers multiple-choice items: the log probability of each ending after its beginning, batched.

The tokens that the four whole texts begin with alike are read once and shared; what is left of each ending is scored,
as tools/perplexity does it (`hellaswag_score`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from backends.child import Refusal
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeError, NativeModel
from backends.llama.threads import Following
from backends.quality.choices import NUM_ENDINGS, Answer, Item, answer
from backends.quality.softmax import Floats, Softmax

BATCH_TOKENS = 512
ITEMS_AT_ONCE = 8

Advance = Callable[[int], None]  # told how many more items were answered


@dataclass(frozen=True, slots=True)
class Cut:
    """An item in tokens: what all four texts share, at least one token, and what each has after it."""

    shared: list[int]
    endings: list[list[int]]

    @property
    def num_rows(self) -> int:
        """Of the second batch: the last token of an ending predicts nothing that is asked for."""
        return sum(len(ending) - 1 for ending in self.endings)


class Chooser:
    """Has a small context of its own beside the model's others. Close it, or use it as a context manager."""

    def __init__(
        self,
        model: NativeModel,
        name: str,
        threads: int,
        flash_attention: str = "auto",
        following: Following | None = None,
    ):
        """following: the thread mode that suits the machine's load; None: as many as `threads`, whoever else works."""
        self._model, self._name = model, name
        self._softmax = Softmax(model.vocabulary.num_tokens)
        params = ContextParams(
            num_cells=2 * BATCH_TOKENS,
            num_slots=NUM_ENDINGS * ITEMS_AT_ONCE,
            batch_tokens=BATCH_TOKENS,
            threads=threads,
            flash_attention=flash_attention,
            following=following,
        )
        try:
            self._context = NativeContext(model, params)
        except NativeError as error:
            raise Refusal(f"{name} could not be given a context: {error}. Its log says more.") from error

    def answers(self, items: Sequence[Item], advance: Advance) -> list[Answer]:
        """In the order of the items. Raises Refusal."""
        found: list[Answer] = []
        for group in self._groups([self._cut(item, number) for number, item in enumerate(items, 1)]):
            found += [answer(scores) for scores in self._scores(group)]
            advance(len(group))
        return found

    def close(self) -> None:
        self._context.close()

    def __enter__(self) -> "Chooser":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cut(self, item: Item, number: int) -> Cut:
        texts = [f"{item.beginning} {ending}" for ending in item.endings]
        tokens = [self._model.vocabulary.tokenize(text, add_special=True, parse_special=False) for text in texts]
        shortest = min(map(len, tokens))
        differs = (i for i in range(shortest) if len({text[i] for text in tokens}) > 1)
        shared = min(next(differs, shortest), shortest - 1)  # each ending keeps a token
        cut = Cut(tokens[0][:shared], [text[shared:] for text in tokens])
        if not shared or max(shared, cut.num_rows) > BATCH_TOKENS:
            raise Refusal(f"Multiple-choice item {number} is too long, or has no beginning. Leave it out.")
        return cut

    @staticmethod
    def _groups(cuts: list[Cut]) -> Iterator[list[Cut]]:
        group: list[Cut] = []
        for cut in cuts:
            together = [*group, cut]
            rows = max(sum(len(one.shared) for one in together), sum(one.num_rows for one in together))
            if group and (rows > BATCH_TOKENS or len(together) > ITEMS_AT_ONCE):
                yield group
                together = [cut]
            group = together
        if group:
            yield group

    def _scores(self, group: list[Cut]) -> Iterator[list[float]]:
        """The mean log probability of each ending's tokens, item by item."""
        first = self._read_beginnings(group)
        self._read_endings(group)
        row = 0
        logits = self._context.logits(rows) if (rows := sum(cut.num_rows for cut in group)) else None
        for begun, cut in zip(first, group, strict=True):
            scores = []
            for ending, start in zip(cut.endings, begun, strict=True):
                total = start
                for token in ending[1:]:
                    assert logits is not None
                    total += self._log_p(logits[row], token)
                    row += 1
                scores.append(total / len(ending))
            yield scores

    def _read_beginnings(self, group: list[Cut]) -> list[list[float]]:
        """The log probability of each ending's first token. Afterwards all four slots of an item hold its beginning."""
        context, row = self._context, 0
        for slot in range(NUM_ENDINGS * ITEMS_AT_ONCE):  # the group before may have had more items
            context.memory.truncate(slot, 0)
        for place, cut in enumerate(group):
            row = context.batch.put(row, cut.shared, 0, place * NUM_ENDINGS)
            context.batch.outputs[row - 1] = 1
        self._decode(row)
        logits = context.logits(len(group))
        found = [
            [self._log_p(row, ending[0]) for ending in cut.endings] for row, cut in zip(logits, group, strict=True)
        ]
        for place, cut in enumerate(group):
            for other in range(1, NUM_ENDINGS):
                context.memory.copy(place * NUM_ENDINGS, place * NUM_ENDINGS + other, len(cut.shared))
        return found

    def _read_endings(self, group: list[Cut]) -> None:
        batch, row = self._context.batch, 0
        for place, cut in enumerate(group):
            for number, ending in enumerate(cut.endings):
                row = batch.put(row, ending[:-1], len(cut.shared), place * NUM_ENDINGS + number)
        batch.outputs[:row] = 1
        if row:
            self._decode(row)

    def _decode(self, num_rows: int) -> None:
        if self._context.decode(num_rows):
            raise Refusal(f"{self._name} found no room in its KV cache for the multiple-choice items.")

    def _log_p(self, logits: Floats, token: int) -> float:
        self._softmax.of(logits)
        found = float(logits[token]) - self._softmax.normalizer
        if not np.isfinite(found):
            raise Refusal(
                f"{self._name} predicts numbers that are none (NaN or infinite): the file is damaged, or this "
                "quantization does not suit the model. Quantize it again, or to a larger type."
            )
        return found
