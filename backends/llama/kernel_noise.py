"""How far a file's predictions are from themselves when they are computed by another path that should agree.

The second path goes without flash attention, in small batches. Where weights are quantized, ggml's kernels quantize
their inputs as well, to 8 bits, and a last digit that falls otherwise in one layer is rounded otherwise in the next.
SmolLM2 135M on a CPU: 0.000002 nats in F16, 0.003 in Q8_0, 0.005 in Q4_K_M, and a quarter of a nat for single tokens.
Any change of path gives the same figure (other batches, no flash attention, plain layouts of the weights), and it is
1.2 times the divergence of the file from its own weights in F32: so it says what the kernels cost, nearly.
It cannot be subtracted: what both paths round alike is not seen, and errors of kernels and weights do not just add up.
"""

from dataclasses import replace
from itertools import chain

import numpy as np

from backends.llama.passes import record
from backends.llama.reading import Int32s, TextReader
from backends.measurement import Noise
from backends.protocol import EngineOptions, FlashAttention, KVType
from backends.quality.divergence import Comparer, join
from backends.quality.reference import RowStream
from backends.quality.sampling import Sampling
from backends.quality.softmax import Doubles
from backends.quality.statistics import mean_and_error

NUM_CHUNKS = 4  # of the text: some 1,000 predictions, which know the mean to within a twentieth
WIDTH = 32
PATH = f"without flash attention, in batches of {WIDTH}"


def kernel_noise(reader: TextReader, chunks: Int32s, options: EngineOptions, threads: int) -> Noise:
    """options: those of the reader. Its model is used for the second path, too. Raises Refusal."""
    chunks = chunks[:NUM_CHUNKS]
    sampling = Sampling.of(reader.num_tokens)
    plain = replace(options, kv_type_k=KVType.F16, kv_type_v=KVType.F16)
    second = replace(plain, flash_attention=FlashAttention.OFF)  # which a quantized cache could not do without
    with TextReader(reader.path, plain, beside=reader) as one:
        known = RowStream(iter(list(record(one, chunks, sampling, threads))))
    comparer, scores, changes = Comparer(sampling), [], []
    with TextReader(reader.path, second, beside=reader, width=WIDTH) as other:
        # one by one: side by side and in small batches, several chunks' rows would come by turns
        for logits, targets in chain.from_iterable(other.read(chunk[None]) for chunk in chunks):
            rows = known.take(len(targets))
            scores.append(comparer.score(logits, targets, rows))
            firsts = np.array([kept.log_p.max() for kept in rows.kept()])
            changes.append(np.abs(firsts - _log_p(logits, rows.tops)))
    found = join(scores)
    mean, error = mean_and_error(found.kld)
    change = float(np.percentile(np.concatenate(changes), 99))
    return Noise(mean, error, float(found.is_same_top.mean()), change, len(found.kld), PATH)


def _log_p(logits: np.ndarray, tokens: np.ndarray) -> Doubles:
    wide = logits.astype(np.float64)
    largest = wide.max(axis=1)
    totals = np.exp(wide - largest[:, None]).sum(axis=1)
    chosen: Doubles = wide[np.arange(len(tokens)), tokens] - largest - np.log(totals)
    return chosen
