"""What tests ask of a pooler, in a child process: `run_in_child("tests.llama.pooling:…")`."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from backends.child import Report
from backends.embedding import Embed, Embedded
from backends.engine.embedder import Embedder, Job
from backends.engine.news import News, Told
from backends.llama import native
from backends.llama.allowance import Allowance
from backends.llama.native import NativeModel
from backends.llama.passes import score
from backends.llama.pooler import LlamaPooler
from backends.llama.reading import TextReader
from backends.protocol import EngineOptions, FlashAttention, KVType, Pooling

Vectors = dict[Pooling, np.ndarray]


def in_pieces(_report: Report, path: Path) -> tuple[Vectors, Vectors]:
    """The vector of a text of 700 tokens, read in batches of 512 and of 64 tokens."""
    native.start()
    text = np.random.default_rng(0).integers(3, 400, 700).tolist()
    with NativeModel(path) as model:
        return _vectors(model, text, 512), _vectors(model, text, 64)


def _vectors(model: NativeModel, text: list[int], num_rows: int) -> Vectors:
    found: Vectors = {}
    for pooling in (Pooling.MEAN, Pooling.LAST):
        pooler = LlamaPooler(model, 2048, Allowance(0.0, {}), 2, "off", None)
        pooler.max_rows = num_rows
        pooler._params = replace(pooler._params, pooling=pooling)
        pooler.embedding = replace(pooler.embedding, pooling=pooling)

        def hear(news: News, pooling: Pooling = pooling) -> None:
            assert isinstance(news, Told)
            assert isinstance(news.event, Embedded), news.event
            found[pooling] = np.frombuffer(news.event.vectors, "<f4")

        embedder = Embedder(pooler, 1000.0, hear)
        embedder.add(Job(Embed(()), [text]))
        while embedder.jobs:
            embedder.step(is_beside_answers=False)
        pooler.close()
    return found


def nll(_report: Report, path: Path, text: str, length: int) -> tuple[list[list[int]], np.ndarray]:
    """As `evaluate` reads a text in chunks: the tokens of each, and what it makes of their second halves, −log p."""
    native.start()
    options = EngineOptions(
        context=length, kv_type_k=KVType.F32, kv_type_v=KVType.F32, flash_attention=FlashAttention.OFF
    )
    with TextReader(path, options) as reader:
        chunks = reader.chunks(text)
        scores = score(reader, chunks, 2, lambda _: None)
    return chunks.tolist(), scores.nll.reshape(len(chunks), -1)
