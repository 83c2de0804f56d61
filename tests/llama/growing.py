"""Answers of a model side by side in a context that changes its size at random, in a child: `run_in_child(…:say)`."""

import random
from dataclasses import dataclass
from pathlib import Path

from backends.child import Report
from backends.engine.runner import Size, Step
from backends.engine.sequence import Sequence
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.runner import LlamaRunner

PROMPT, CHUNK = 300, 128  # tokens
SIZES = (512, 768, 1024, 1536)  # cells


@dataclass(frozen=True, slots=True)
class Cache:
    """Of `num_answers` answers to the same prompt."""

    is_unified: bool
    kv_type: str = "f16"
    num_answers: int = 1


def say(
    _report: Report, path: Path, cache: Cache, num_tokens: int, seeds: tuple[int | None, ...]
) -> list[list[list[int]]]:
    """What they say for each seed of the sizes; None: they do not change."""
    native.start()
    texts = []
    with NativeModel(path) as model:
        prompt = random.Random(1)
        tokens = [prompt.randrange(300, model.vocabulary.num_tokens) for _ in range(PROMPT)]
        for seed in seeds:
            num_cells = SIZES[0] * (1 if cache.is_unified and cache.num_answers == 1 else cache.num_answers)
            kinds = cache.kv_type, cache.kv_type
            params = ContextParams(num_cells, cache.num_answers, 512, 1, *kinds, is_unified=cache.is_unified)
            with NativeContext(model, params) as context:
                runner = LlamaRunner(context, cache.num_answers, Size(4096, cache.num_answers))
                texts.append(_say(runner, tokens, num_tokens, seed))
    return texts


def _say(runner: LlamaRunner, prompt: list[int], num_tokens: int, seed: int | None) -> list[list[int]]:
    pick, num_answers = random.Random(seed), runner.num_slots
    seqs = [Sequence(slot, list(prompt), num_tokens, slot=slot) for slot in range(num_answers)]
    while not all(seq.finish for seq in seqs):
        if seed is not None and pick.random() < 0.2:
            cells = pick.choice(SIZES) * (num_answers if runner.shares_cells else 1)
            runner.resize(Size(cells, num_answers))
        steps = [Step(seq, seq.tokens[seq.num_computed :][:CHUNK]) for seq in seqs]
        for step, sampled in zip(steps, runner.run(steps), strict=True):
            step.seq.num_computed += len(step.tokens)
            for token in sampled:
                step.seq.append(token)
    return [seq.completion for seq in seqs]
