"""Makes vectors of texts between the steps of answers, a batch at a time. Knows texts and slots, no llama.cpp.

Beside answers a batch takes a quarter of the interval that they are promised, so that both go on. Who asks for many
texts takes turns with the others; a text that is longer than a batch is read in pieces where the model can.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from backends.embedding import Embed, Embedded, EmbeddingRequest, Ranked
from backends.engine.news import News, Told
from backends.engine.pooler import NoVectors, Piece, Pooler, Vector
from backends.protocol import Failed, FailureKind, Finish, Output, Outputs, Pooling, Timings

ALONE_SECONDS = 0.5  # of a batch with no answer beside it: a question may come at any time
SHARE = 0.25  # of the answers' interval, of a batch beside them
FIRST_ROWS = 32  # of the first batch beside answers, before it is known what a row costs

NO_NUMBERS = (
    "The model made vectors of numbers that are none (NaN or infinite): its file is damaged, or this quantization does "
    "not suit it. Download it again, or quantize it to a larger type."
)


@dataclass(eq=False, slots=True)
class Job:
    """One request, and how far it has been read. texts: the tokens of each, none of them empty."""

    request: EmbeddingRequest
    texts: list[list[int]]
    vectors: list[Vector] = field(default_factory=list)  # of the texts that are read
    num_read: int = 0  # tokens of the next one
    part: Vector | None = None  # what those made

    @property
    def next_text(self) -> list[int]:
        return self.texts[len(self.vectors)]

    @property
    def is_done(self) -> bool:
        return len(self.vectors) == len(self.texts)

    def take(self, piece: Piece, vector: Vector, pooling: Pooling) -> None:
        if pooling is Pooling.MEAN:
            vector = vector * np.float32(len(piece.tokens) / piece.length)
            self.part = vector if self.part is None else self.part + vector
        elif pooling is not Pooling.CLS or self.part is None:  # the first token's vector came with the first piece
            self.part = vector
        self.num_read += len(piece.tokens)
        if piece.is_last:
            assert self.part is not None
            self.vectors.append(self.part)
            self.part, self.num_read = None, 0

    def result(self) -> Embedded | Ranked | Failed:
        num_tokens = sum(map(len, self.texts))
        if not all(np.isfinite(vector).all() for vector in self.vectors):
            return Failed(self.request.uid, FailureKind.BAD_MODEL, NO_NUMBERS)
        if not isinstance(self.request, Embed):
            scores = tuple(float(vector[0]) for vector in self.vectors)
            return Ranked(self.request.uid, scores, num_tokens)
        vectors = np.array(self.vectors, "<f4")[:, : self.request.dimensions]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        return Embedded(self.request.uid, vectors.tobytes(), vectors.shape[1], num_tokens)


class Embedder:
    def __init__(self, pooler: Pooler | None, max_interval: float, tell: Callable[[News], None]):
        """pooler None: nothing is ever asked. max_interval: seconds, as in `EngineOptions`."""
        self.jobs: deque[Job] = deque()
        self._pooler = pooler
        self._beside_seconds = SHARE * max_interval
        self._tell = tell
        self._row_seconds: float | None = None

    def add(self, job: Job) -> None:
        self.jobs.append(job)

    def abort(self, uid: int) -> None:
        """Unknown uids are ignored."""
        if job := next((job for job in self.jobs if job.request.uid == uid), None):
            self._drop(job)
            self._tell(Told(Outputs((Output(uid, "", 0, Finish.ABORT, Timings()),))))

    def fail_all(self, sentence: str) -> None:
        for job in list(self.jobs):
            self._lose(job, FailureKind.INTERNAL, sentence)

    def rest(self) -> None:
        if self._pooler and not self.jobs:
            self._pooler.rest()

    def step(self, is_beside_answers: bool) -> None:
        """Read one batch."""
        assert self._pooler, "a model that makes no vectors was asked for one"
        batch = self._batch(self._num_rows(is_beside_answers))
        pieces = [piece for _, piece in batch]
        begin = perf_counter()
        try:
            vectors = self._pooler.run(pieces)
        except NoVectors as error:
            for job in {job for job, _ in batch}:
                self._lose(job, error.kind, str(error))
            return
        self._learn(perf_counter() - begin, sum(len(piece.tokens) for piece in pieces))
        for (job, piece), vector in zip(batch, vectors, strict=True):
            job.take(piece, vector, self._pooler.embedding.pooling)
            if piece.is_last:
                self._pooler.forget(piece.slot)
            if job.is_done:
                self.jobs.remove(job)
                self._tell(Told(job.result()))
        if self.jobs and not self.jobs[0].num_read:
            self.jobs.rotate(-1)

    def _num_rows(self, is_beside_answers: bool) -> int:
        assert self._pooler
        most = self._pooler.max_rows
        if self._row_seconds is None:
            return min(FIRST_ROWS, most) if is_beside_answers else most
        seconds = self._beside_seconds if is_beside_answers else ALONE_SECONDS
        return max(1, min(most, int(seconds / self._row_seconds)))

    def _batch(self, num_rows: int) -> list[tuple[Job, Piece]]:
        """Texts of the first job, then of the next ones, as far as they go in; one at least."""
        assert self._pooler
        batch: list[tuple[Job, Piece]] = []
        for job in self.jobs:
            for at in range(len(job.vectors), len(job.texts)):
                text, begin = job.texts[at], job.num_read if at == len(job.vectors) else 0
                tokens = text[begin:]
                if len(tokens) > num_rows and (batch or self._pooler.can_split):
                    tokens = [] if batch else tokens[:num_rows]
                if not tokens or len(batch) == self._pooler.num_slots:
                    return batch
                batch.append((job, Piece(len(batch), tokens, begin, len(text))))
                num_rows -= len(tokens)
                if not batch[-1][1].is_last or num_rows <= 0:
                    return batch
        return batch

    def _learn(self, seconds: float, num_rows: int) -> None:
        """The first batch makes a context, too: the next ones soon outweigh that."""
        each = seconds / num_rows
        self._row_seconds = each if self._row_seconds is None else (self._row_seconds + each) / 2

    def _lose(self, job: Job, kind: FailureKind, sentence: str) -> None:
        self._drop(job)
        self._tell(Told(Failed(job.request.uid, kind, sentence)))

    def _drop(self, job: Job) -> None:
        self.jobs.remove(job)
        if job.num_read and self._pooler:
            self._pooler.forget(0)  # a text that is read in pieces is the first of its batch
