"""What a test of every pair of KV types asks of llama.cpp, in a child: an abort there is a failure here."""

from itertools import product
from pathlib import Path

import numpy as np

from backends.child import Report
from backends.engine.runner import Step
from backends.engine.sequence import Sequence
from backends.formats.gguf import read_header
from backends.formats.kv_shape import KVShape
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.kv_types import refusal
from backends.llama.native import NativeModel
from backends.llama.runner import LlamaRunner
from backends.protocol import EngineOptions, FlashAttention, KVType

Pair = tuple[KVType, KVType]
PROMPT = list(range(20, 60))


def decode_all(_report: Report, path: Path, flash_attention: FlashAttention) -> dict[Pair, str | None]:
    """For every pair the sentence that refuses it, or None when it decoded a prompt and a token to finite logits."""
    native.start()
    header = read_header(path)
    found: dict[Pair, str | None] = {}
    with NativeModel(path) as model:
        for kind_k, kind_v in product(KVType, KVType):
            options = EngineOptions(kv_type_k=kind_k, kv_type_v=kind_v, flash_attention=flash_attention)
            sentence = refusal(KVShape.of(header), header.architecture, options, is_cuda=False)
            if not sentence:
                _decode(model, ContextParams(256, 2, 128, 1, kind_k, kind_v, flash_attention))
            found[kind_k, kind_v] = sentence
    return found


def _decode(model: NativeModel, params: ContextParams) -> None:
    with NativeContext(model, params) as context:
        runner = LlamaRunner(context, params.num_slots)
        seqs = [Sequence(slot, [*PROMPT, 70 + slot], max_tokens=10, slot=slot) for slot in range(2)]
        for _ in range(2):
            steps = [Step(seq, seq.tokens[seq.num_computed :]) for seq in seqs]
            for seq, sampled in zip(seqs, runner.run(steps), strict=True):
                seq.num_computed = len(seq.tokens)
                seq.append(sampled[0])
            assert np.isfinite(context.logits(len(seqs))).all(), f"{params.kv_type_k} {params.kv_type_v}"
