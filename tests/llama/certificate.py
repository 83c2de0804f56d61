"""Certifies that two greedy answers are the same but for a near-tie.

A batch rounds otherwise than a single row does. So two answers may part where two tokens are almost equally likely,
and nowhere else: the margin between the two must lie within the noise of a batched forward, measured here as well.
"""

from collections.abc import Sequence as Many
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backends.drafting.drafter import Drafter
from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import KVFull, Runner
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.llama.context import NativeContext
from tests.engine.restless import Restless, caches_of

Rows = npt.NDArray[np.float32]  # [tokens of the answer, vocabulary]


@dataclass(frozen=True, slots=True)
class Text:
    prompt: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """first_divergence: in tokens of the answer; None, and with it the margin, when both are the same."""

    num_tokens: int
    first_divergence: int | None
    margin: float | None  # between the two tokens that came, in logits of the answer alone
    noise: float  # greatest |Δlogit| of a position computed alone and in a batch

    @property
    def holds(self) -> bool:
        """Each of the two logits may be off by the noise."""
        return self.margin is None or self.margin <= 2 * self.noise

    def __str__(self) -> str:
        if self.first_divergence is None:
            return f"{self.num_tokens} tokens the same (noise {self.noise:.2g})"
        verdict = "within" if self.holds else "BEYOND"
        return f"token {self.first_divergence}: margin {self.margin:.2g} {verdict} noise {self.noise:.2g}"


def answers(
    runner: Runner,
    prompts: Many[Many[int]],
    max_tokens: int,
    drafters: Many[Drafter] = (),
    length: int | None = None,
    disturbed: float = 0.0,
) -> list[Sequence]:
    """The real loop's greedy answers to all prompts side by side, with guesses of a fixed length if any.

    disturbed: the share of the steps before which a cache changes its size."""
    cache = PrefixCache(runner)
    restless = Restless(cache, drafters, len(prompts), disturbed)
    scheduler = Scheduler(cache, Speculation(list(drafters), fixed_length=length), max_running=len(prompts))
    sequences = [Sequence(n, list(prompt), max_tokens) for n, prompt in enumerate(prompts)]
    for sequence in sequences:
        scheduler.add(sequence)
    while not scheduler.is_idle:
        restless.disturb()
        steps = scheduler.schedule()
        try:
            scheduler.update(steps, runner.run(steps))
        except KVFull:
            scheduler.make_room()
        scheduler.check_integrity()
    for each in (cache, *caches_of(drafters)):  # the runners are others' after this
        each.clear()
    assert not disturbed or restless.num_resizes
    return sequences


def forced(context: NativeContext, texts: Many[Text], width: int = 1) -> list[Rows]:
    """The logits for every token of each answer, with `width` tokens of every text in each batch."""
    rows = [[_decode(context, [(slot, 0, text.prompt)])[0][-1]] for slot, text in enumerate(texts)]
    for begin in range(0, max(len(text.answer) for text in texts) - 1, width):
        parts = [
            (slot, len(text.prompt) + begin, text.answer[begin : min(begin + width, len(text.answer) - 1)])
            for slot, text in enumerate(texts)
            if begin < len(text.answer) - 1
        ]
        for (slot, _, _), found in zip(parts, _decode(context, parts), strict=True):
            rows[slot] += list(found)
    for slot in range(len(texts)):
        context.memory.truncate(slot, 0)
    return [np.array(found) for found in rows]


def noise(alone: Many[Rows], others: Many[Many[Rows]]) -> float:
    """The greatest difference of a logit between `alone` and any of the others."""
    pairs = [(mine, theirs) for other in others for mine, theirs in zip(alone, other, strict=True)]
    return max(float(np.abs(mine - theirs).max()) for mine, theirs in pairs)


def certify(alone: Rows, plain: Many[int], other: Many[int], noise: float) -> Certificate:
    """`plain` is the answer that `alone` has the logits of; `other` must be the same up to a near-tie."""
    num_tokens = len(plain)
    for at, (mine, theirs) in enumerate(zip(plain, other, strict=True)):
        if mine != theirs:
            return Certificate(num_tokens, at, float(alone[at][mine] - alone[at][theirs]), noise)
    return Certificate(num_tokens, None, None, noise)


def _decode(context: NativeContext, parts: Many[tuple[int, int, Many[int]]]) -> list[Rows]:
    """One batch of (slot, first position, tokens); the logits of all its rows."""
    begin = 0
    for slot, position, tokens in parts:
        begin = context.batch.put(begin, tokens, position, slot)
    context.batch.outputs[:begin] = 1
    assert context.decode(begin) == 0
    bounds = np.cumsum([len(tokens) for _, _, tokens in parts])[:-1]
    return np.split(context.logits(begin).copy(), bounds)
