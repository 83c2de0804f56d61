"""The road through a benchmark, on engines of the fake backend in real children."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.bench import asking, guessing, speeds
from app.bench import bench as module
from app.bench.bench import Bench
from app.bench.engines import Engines
from app.bench.limit import Limit
from app.bench.page import page
from app.errors import Cancelled, EngineError, EvaluationError
from app.inference.engine_handle import EngineHandle
from app.inference.supervisor import Supervisor
from app.lab.settings import Settings
from app.library.entry import ModelEntry
from backends.measurement import Evaluation
from backends.protocol import EngineOptions, KVType, Ready
from tests.benchmark.figures import DIVERGENCE

Start = Callable[..., Bench]


class KnownLimit(Limit):
    def __init__(self) -> None:
        pass

    def prepare(self) -> None:
        pass

    def num_bytes(self, depth: int) -> int | None:
        return 1000 + depth

    def bandwidth(self, ready: Ready) -> float | None:
        return 1e9 if ready.device == "CPU" else None


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "SECONDS", 0.0)
    monkeypatch.setattr(guessing, "LEARNING_SECONDS", 0.0)
    monkeypatch.setattr(asking, "STATS_SECONDS", 0.5)
    monkeypatch.setattr(module, "DEPTHS", (64, 256))
    monkeypatch.setattr(module, "DEEP", 32)
    monkeypatch.setattr(module, "COUNTS", (2, 8))
    monkeypatch.setattr(module, "ANSWER", 16)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    supervisor, cancelled = Supervisor(tmp_path / "logs"), threading.Event()

    def evaluate(settings: Settings) -> Evaluation:
        assert settings.kv_type_k is KVType.Q8_0
        return Evaluation(10.0, 0.1, 100, 512, "q8_0", "q8_0", 1.0, kld=DIVERGENCE)

    def begin(
        name: str = "fake.gguf",
        options: EngineOptions | None = None,
        refused: Callable[[EngineOptions], bool] = lambda _: False,
        stop_at: str = "never",
        evaluate: Callable[[Settings], Evaluation] = evaluate,
    ) -> Bench:
        path = tmp_path / name
        path.touch()

        def load(changed: EngineOptions) -> EngineHandle:
            assert changed.prompt_cache_folder is None, "what is asked here is kept nowhere"
            model = path.with_name("bad.gguf") if refused(changed) else path
            return supervisor.load(f"bench-{len(supervisor.engines())}", model, changed, backend="fake")

        def hear(doing: str, done: float) -> None:
            assert 0 <= done <= 1
            if doing.startswith(stop_at):
                cancelled.set()

        entry = ModelEntry("fake", "Fake", path, 5, "fake", 0, "F32", 4096, None, None)
        engines = Engines(load, lambda handle: supervisor.unload(handle.name), cancelled)
        options = options or EngineOptions(prompt_cache_folder=tmp_path)
        return Bench(entry, options, engines, evaluate, hear, KnownLimit(), "its content")

    yield begin
    assert supervisor.engines() == (), "every engine was ended"
    supervisor.close()


def test_everything_is_measured_more_than_once(start: Start) -> None:
    figures = start().run()
    assert figures.is_whole
    assert figures.left_out == ()
    assert [len(reading.speed.values) for reading in figures.readings] == [2, 2]
    assert [reading.num_tokens for reading in figures.readings] == pytest.approx([64, 256], rel=0.1)
    assert [answer.depth for answer in figures.answers] == [0, 64, 256]
    assert all(answer.interval > 0 and answer.num_bytes == 1000 + answer.depth for answer in figures.answers)
    assert [(each.count, each.depth) for each in figures.together] == [(2, 0), (2, 32), (8, 0), (8, 32)]
    assert figures.equal
    assert len(figures.equal.without.values) == len(figures.equal.within.values) == 2
    assert figures.bandwidth == 1e9
    assert figures.subject.identity == "its content"
    assert figures.processor is None, "there is no GPU to do without"
    assert figures.starts
    assert len(figures.starts.values) == 2
    assert figures.growth
    assert figures.growth.is_own
    assert len(figures.growth.without.answer.values) == 4
    assert figures.quantized
    assert figures.quantized.divergence is DIVERGENCE
    assert {drafts.source for drafts in figures.drafts} == {"look-up"}
    assert figures.memory
    assert figures.memory.chat.cells.allocated > figures.memory.first.cells.allocated
    assert figures.others
    assert "Fake on this machine" in page(figures)


def test_a_person_without_growth_and_with_a_quantized_cache_is_compared_with_the_others(start: Start) -> None:
    figures = start(options=EngineOptions(kv_grow=False, kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0)).run()
    assert figures.growth
    assert not figures.growth.is_own
    assert figures.growth.within.first_bytes.median > 0
    assert figures.quantized
    assert figures.quantized.option
    assert figures.quantized.option.is_own


def test_what_was_measured_before_it_was_stopped_is_kept(start: Start) -> None:
    bench = start(stop_at="Starting anew")
    with pytest.raises(Cancelled):
        bench.run()
    assert bench.figures
    assert not bench.figures.is_whole
    assert bench.figures.answers
    assert bench.figures.starts is None


def test_what_cannot_be_loaded_or_compared_is_left_out_with_its_reason(start: Start) -> None:
    def fail(_: Settings) -> Evaluation:
        raise EvaluationError("The text is too short.")

    figures = start(refused=lambda options: options.kv_type_k is KVType.Q8_0, evaluate=fail).run()
    assert [sentence.partition(":")[0] for sentence in figures.left_out] == [
        "An engine with another KV cache",
        "What a KV cache of q8_0 changes in the answers",
    ]
    assert "The text is too short." in page(figures)
    assert figures.growth
    assert figures.quantized
    assert figures.quantized.option is None


def test_a_model_that_does_not_load_is_an_error(start: Start) -> None:
    bench = start("bad.gguf")
    with pytest.raises(EngineError):
        bench.run()
    assert bench.figures is None


def test_no_part_is_begun_once_the_time_is_over(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MINUTES", 0.0)
    figures = start().run()
    assert figures.readings, "what a person notices is measured all the same"
    assert figures.starts is None
    assert any("not begun" in sentence for sentence in figures.left_out)
