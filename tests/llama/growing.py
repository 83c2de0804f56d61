"""One answer of a model in contexts that change their size at random, in a child: `run_in_child(…:say)`."""

import random
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


def say(
    _report: Report, path: Path, is_unified: bool, num_tokens: int, seeds: tuple[int | None, ...]
) -> list[list[int]]:
    """What it says for each seed of the sizes; None: they do not change. Its KV cache is the default one."""
    native.start()
    texts = []
    with NativeModel(path) as model:
        for seed in seeds:
            params = ContextParams(512, 1, 512, 1, is_unified=is_unified)
            with NativeContext(model, params) as context:
                texts.append(
                    _say(LlamaRunner(context, 1, Size(2048, 1)), model.vocabulary.num_tokens, num_tokens, seed)
                )
    return texts


def _say(runner: LlamaRunner, vocabulary: int, num_tokens: int, seed: int | None) -> list[int]:
    pick, prompt = random.Random(seed), random.Random(1)
    seq = Sequence(1, [prompt.randrange(300, vocabulary) for _ in range(PROMPT)], num_tokens, slot=0)
    while not seq.finish:
        if seed is not None and pick.random() < 0.2:
            runner.resize(Size(pick.choice(SIZES), 1))
        step = Step(seq, seq.tokens[seq.num_computed :][:CHUNK])
        (sampled,) = runner.run([step])
        seq.num_computed += len(step.tokens)
        for token in sampled:
            seq.append(token)
    return seq.completion
