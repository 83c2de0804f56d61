"""What a quantized KV cache does to the guide's predictions, and how many bytes it takes."""

import multiprocessing
import os
import tomllib
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.formats.gguf import read_header
from backends.formats.kv_shape import KVShape
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.protocol import KVType
from tests.bench.workloads import QUESTIONS

NUM_TOKENS = 2000
CELL_BYTES = 12  # of each saved cell's own bookkeeping: position, flags and sequence


def kv_cache(model: Path) -> list[dict[str, Any]]:
    """Mean KL divergence from f16, and bytes per token against the formula, for K and V of one type."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(sender, str(model)))
    child.start()
    sender.close()
    rows: list[dict[str, Any]] = receiver.recv()
    child.join()
    return rows


def _measure(results: Connection, path: str) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    native.start()
    shape = KVShape.of(read_header(Path(path)))
    rows = []
    with NativeModel(Path(path)) as model:
        tokens = model.vocabulary.tokenize(_text(), add_special=True, parse_special=False)[:NUM_TOKENS]
        truth, _ = _log_probabilities(model, tokens, KVType.F16)
        for kind in (KVType.F16, KVType.Q8_0, KVType.Q5_1, KVType.Q4_0):
            found, size = _log_probabilities(model, tokens, kind)
            divergence = (np.exp(truth) * (truth - found)).sum(axis=1)
            rows.append(
                {
                    "figure": f"KV {kind}/{kind} on the guide, {len(tokens)} tokens",
                    "mean KLD": float(divergence.mean()),
                    "same top-1": float((truth.argmax(axis=1) == found.argmax(axis=1)).mean()),
                    "bytes per token": size / len(tokens),
                    "formula": shape.bytes_per_token(kind, kind),
                }
            )
    results.send(rows)


def _log_probabilities(model: NativeModel, tokens: list[int], kind: KVType) -> tuple[npt.NDArray[np.float64], int]:
    """[tokens, vocabulary], decoded one after the other as an answer is; and the bytes of its KV cache."""
    params = ContextParams(2048, 1, 512, 2, kv_type_k=kind, kv_type_v=kind, flash_attention="on")
    logits = []
    with NativeContext(model, params) as context:
        for position, token in enumerate(tokens):
            context.batch.put(0, [token], position, 0)
            context.batch.outputs[0] = 1
            context.decode(1)
            logits.append(context.logits(1)[0].astype(np.float64))
        size = len(context.memory.save(0, len(tokens))) - CELL_BYTES * len(tokens)
    rows = np.stack(logits)
    rows -= rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True)), size


def _text() -> str:
    topics = tomllib.loads(QUESTIONS.read_text("utf-8"))
    return "\n".join(entry["answer"] for topic in topics.values() for entry in topic)
