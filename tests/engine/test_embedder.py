"""Vectors between the steps of answers: whole, in order, in turns, and never for long."""

import random

import numpy as np
import pytest

from backends.embedding import Embed, Embedded, EmbeddingRequest, Rank, Ranked
from backends.engine.embedder import Embedder, Job
from backends.engine.news import News, Told
from backends.fake.pooler import DIMENSIONS, FakePooler
from backends.protocol import Failed, FailureKind, Finish, Outputs, Pooling


class Asked:
    """An embedder, and what it has told."""

    def __init__(self, pooler: FakePooler, max_interval: float = 1000.0):
        self.pooler = pooler
        self.told: dict[int, object] = {}
        self.embedder = Embedder(pooler, max_interval, self._hear)

    def ask(self, uid: int, *texts: list[int], dimensions: int | None = None, ranks: bool = False) -> None:
        request: EmbeddingRequest = Rank("", (), uid) if ranks else Embed((), uid, dimensions)
        self.embedder.add(Job(request, list(texts)))

    def run(self, is_beside_answers: bool = False) -> None:
        for _ in range(10_000):
            if not self.embedder.jobs:
                return
            self.embedder.step(is_beside_answers)
        raise AssertionError("no progress")

    def vectors(self, uid: int) -> np.ndarray:
        event = self.told[uid]
        assert isinstance(event, Embedded)
        return np.frombuffer(event.vectors, "<f4").reshape(-1, event.dimensions)

    def _hear(self, news: News) -> None:
        assert isinstance(news, Told)
        event = news.event
        if isinstance(event, Outputs):
            self.told[event.outputs[0].uid] = event.outputs[0]
        elif not (isinstance(event, Failed) and event.uid is None):
            assert event.uid not in self.told, "told twice"
            self.told[event.uid] = event  # type: ignore[index]


def vector(text: list[int], dimensions: int = DIMENSIONS) -> np.ndarray:
    counts = np.bincount([token % DIMENSIONS for token in text], minlength=DIMENSIONS)[:dimensions].astype(np.float32)
    length = np.linalg.norm(counts)
    return counts / length if length else counts


@pytest.mark.parametrize("seed", range(40))
def test_every_text_has_its_vector_whatever_the_batches(seed: int) -> None:
    choice = random.Random(seed)
    pooler = FakePooler(
        max_rows=choice.choice([3, 8, 64]), num_slots=choice.choice([1, 2, 8]), can_split=choice.random() < 0.5
    )
    asked, texts = Asked(pooler), {}
    for uid in range(1, choice.randrange(2, 9)):
        texts[uid] = [
            [choice.randrange(300) for _ in range(choice.choice([1, 2, 5, 40, 200]))]
            for _ in range(choice.randrange(1, 12))
        ]
        asked.ask(uid, *texts[uid])
        if choice.random() < 0.5:
            asked.embedder.step(is_beside_answers=choice.random() < 0.5)
    asked.run()
    for uid, wanted in texts.items():
        assert asked.vectors(uid) == pytest.approx(np.array([vector(text) for text in wanted]), abs=1e-5)
    asked.embedder.rest()
    assert pooler.is_resting


@pytest.mark.parametrize("pooling", [Pooling.CLS, Pooling.LAST])
def test_of_a_text_in_pieces_the_right_token_counts(pooling: Pooling) -> None:
    asked = Asked(FakePooler(pooling, max_rows=4))
    text = list(range(1, 11))
    asked.ask(1, text)
    asked.run()
    assert asked.vectors(1)[0].argmax() == (1 if pooling is Pooling.CLS else 10)
    assert asked.pooler.rows == [4, 4, 2]


def test_fewer_dimensions_are_the_first_ones_normalised_again() -> None:
    asked = Asked(FakePooler())
    asked.ask(1, [1, 1, 2, 9], [9], dimensions=4)
    asked.run()
    assert asked.vectors(1) == pytest.approx(np.array([[0, 2 / 5**0.5, 1 / 5**0.5, 0], [0, 0, 0, 0]]))


def test_scores_are_told_as_the_model_gives_them() -> None:
    asked = Asked(FakePooler(Pooling.RANK))
    asked.ask(1, [1] * 5, [2] * 70, ranks=True)
    asked.run()
    assert asked.told[1] == Ranked(1, (-5.0, -70.0), 75)


def test_many_texts_of_one_do_not_hold_up_another() -> None:
    asked = Asked(FakePooler(max_rows=8))
    asked.ask(1, *[[5] * 8] * 100)
    asked.ask(2, [6] * 8)
    for _ in range(3):
        asked.embedder.step(is_beside_answers=False)
    assert 2 in asked.told
    assert 1 not in asked.told


def test_beside_answers_a_batch_takes_a_part_of_their_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(FakePooler(max_rows=64, num_slots=64), max_interval=0.04)
    asked.pooler.seconds_per_row = 0.001
    monkeypatch.setattr("backends.engine.embedder.perf_counter", lambda: asked.pooler.seconds)
    asked.ask(1, *[[1]] * 200)
    for _ in range(6):
        asked.embedder.step(is_beside_answers=True)
    assert asked.pooler.rows == [32, 10, 10, 10, 10, 10], "a quarter of the interval"
    asked.embedder.step(is_beside_answers=False)
    assert asked.pooler.rows[-1] == 64


def test_one_that_is_called_off_makes_room() -> None:
    asked = Asked(FakePooler(max_rows=4))
    asked.ask(1, [1] * 20)
    asked.ask(2, [2] * 3)
    asked.embedder.step(is_beside_answers=False)
    asked.embedder.abort(1)
    asked.embedder.abort(99)
    asked.run()
    assert asked.told[1].finish is Finish.ABORT  # type: ignore[attr-defined]
    assert asked.vectors(2)[0] == pytest.approx(vector([2]))


def test_without_memory_those_in_the_batch_hear_why_and_later_ones_are_served() -> None:
    asked = Asked(FakePooler(max_rows=4))
    asked.pooler.has_memory = False
    asked.ask(1, [1] * 20)
    asked.run()
    failed = asked.told[1]
    assert isinstance(failed, Failed)
    assert failed.kind is FailureKind.OUT_OF_MEMORY
    asked.pooler.has_memory = True
    asked.ask(2, [2] * 20)
    asked.run()
    assert asked.vectors(2)[0] == pytest.approx(vector([2]))


def test_after_a_broken_step_nobody_waits() -> None:
    asked = Asked(FakePooler(max_rows=4))
    asked.ask(1, [1] * 20)
    asked.embedder.step(is_beside_answers=False)
    asked.embedder.fail_all("The engine met an error.")
    assert isinstance(asked.told[1], Failed)
    assert not asked.embedder.jobs


@pytest.mark.parametrize("ranks", [False, True])
def test_numbers_that_are_none_are_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, ranks: bool) -> None:
    """They became an answer of status 500, for JSON has no such numbers."""
    asked = Asked(FakePooler(Pooling.RANK if ranks else Pooling.MEAN))
    make = asked.pooler._vector
    monkeypatch.setattr(asked.pooler, "_vector", lambda piece: make(piece) * np.float32("nan"))
    asked.ask(1, [5, 6], ranks=ranks)
    asked.run()
    failed = asked.told[1]
    assert isinstance(failed, Failed)
    assert failed.kind is FailureKind.BAD_MODEL
    monkeypatch.undo()
    asked.ask(2, [5, 6], ranks=ranks)
    asked.run()
    assert not isinstance(asked.told[2], Failed)
