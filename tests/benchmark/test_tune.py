"""Tuning: what it tries, that luck is no gain, and that what it finds is taken with consent alone.

The engines are those of the fake backend in real children; how long an answer takes is pretended.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.bench import asking
from app.bench.engines import Engines
from app.bench.knobs import knobs
from app.bench.tune import Tune
from app.bench.tuned import Purpose, Tuned
from app.bench.tuned_page import named, offered, summary, tuned_page
from app.errors import Cancelled, EngineError, EvaluationError
from app.inference.engine_handle import EngineHandle
from app.inference.supervisor import Supervisor
from app.lab.settings import Settings
from app.library.defaults import NO_DEFAULTS, ModelDefaults
from backends.measurement import Evaluation
from backends.protocol import EngineOptions, FlashAttention, KVLayout, KVType, Ready
from tests.benchmark.figures import DIVERGENCE, compared
from tests.benchmark.test_history import TUNED

Start = Callable[..., Tune]
Pretend = Callable[[EngineOptions], float]  # turns a minute


class PretendTune(Tune):
    """Its scores are those that its engines' options are worth, with some luck. One engine is real: the first."""

    def __init__(self, *given: Any, worth: Pretend, luck: Iterator[float], refused: Callable[[EngineOptions], bool]):
        super().__init__(*given)
        self._worth, self._luck, self._refused = worth, luck, refused
        self.asked: list[ModelDefaults] = []

    def _scores(self, options: ModelDefaults) -> list[float]:
        self.asked.append(options)
        whole = options.applied(self._options)
        if self._refused(whole):
            raise EngineError("It does not fit.")
        return [self._worth(whole) * next(self._luck) for _ in range(3)]


def steady() -> Iterator[float]:
    while True:
        yield from (1.0, 1.01, 0.99, 1.005)


def evaluation(_: Settings) -> Evaluation:
    return Evaluation(10.0, 0.1, 100, 512, "q8_0", "q8_0", 1.0, kld=DIVERGENCE)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    supervisor, cancelled = Supervisor(tmp_path / "logs"), threading.Event()

    def begin(
        worth: Pretend,
        purpose: Purpose = Purpose.CHAT,
        refused: Callable[[EngineOptions], bool] = lambda _: False,
        luck: Iterator[float] | None = None,
        evaluate: Callable[[Settings], Evaluation] = evaluation,
        stop_at: str = "never",
        own: ModelDefaults = NO_DEFAULTS,
    ) -> Tune:
        def load(options: EngineOptions) -> EngineHandle:
            model = tmp_path / "fake.gguf"
            model.touch()
            return supervisor.load(f"bench-{len(supervisor.engines())}", model, options, backend="fake")

        def hear(doing: str, done: float) -> None:
            assert 0 <= done <= 1
            if doing.startswith(stop_at):
                cancelled.set()

        engines = Engines(load, lambda handle: supervisor.unload(handle.name), cancelled)
        return PretendTune(
            *("0123", "Fake", EngineOptions(), own, purpose, engines, evaluate, hear),
            worth=worth,
            luck=luck or steady(),
            refused=refused,
        )

    yield begin
    assert supervisor.engines() == (), "every engine was ended"
    supervisor.close()


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "STATS_SECONDS", 0.2)
    monkeypatch.setattr("psutil.cpu_count", lambda logical=True: 4 if logical else 2)


def quick_without_flash(options: EngineOptions) -> float:
    return 25.0 if options.flash_attention is FlashAttention.OFF else 20.0


def test_what_is_better_is_found_and_measured_again_in_engines_of_its_own(start: Start) -> None:
    tune = start(quick_without_flash)
    found = tune.run()
    assert found.after == ModelDefaults({"flash_attention": FlashAttention.OFF})
    assert found.is_gain
    assert found.gain
    assert found.gain.ratio == pytest.approx(1.25, rel=0.02)
    assert [trial.words for trial in found.trials if trial.is_taken] == ["flash attention off"]
    assert isinstance(tune, PretendTune)
    assert tune.asked[:4] == [NO_DEFAULTS] * 4, "first of all, equal engines beside each other"
    assert found.before == NO_DEFAULTS
    assert "With flash attention off: 25% more, 25.1 turns a minute (24.8 to 25.2) instead of 20.0" in summary(found)


def test_luck_in_the_search_is_no_gain(start: Start) -> None:
    """One trial of many looks far better, once."""
    chances = iter([*[1.0, 1.01, 0.99] * 4, *[1.0] * 3, *[1.5, 1.51, 1.52], *[1.0, 1.01, 0.99] * 30])
    found = start(lambda _: 20.0, luck=chances).run()
    assert found.after != NO_DEFAULTS, "the search has taken it"
    assert not found.is_gain
    assert "leave it" in summary(found)


def test_a_gain_within_what_equal_engines_differ_by_is_none() -> None:
    assert replace(TUNED, equal=compared((20, 20), (20.2, 20.2))).is_gain
    assert not replace(TUNED, equal=compared((20, 20), (26, 26))).is_gain
    assert not replace(TUNED, equal=compared((20, 27), (20, 20))).is_gain
    assert not replace(TUNED, gain=None).is_gain


def test_a_load_that_is_refused_is_told_and_passed_over(start: Start) -> None:
    found = start(quick_without_flash, refused=lambda options: options.flash_attention is FlashAttention.OFF).run()
    (refused,) = [trial for trial in found.trials if trial.problem]
    assert refused.score is None
    assert refused.words == "flash attention off"
    assert found.after == NO_DEFAULTS
    assert "| flash attention off | – | – | – | " in tuned_page(found)


def test_a_quantized_cache_is_offered_with_its_price_and_never_taken(start: Start) -> None:
    found = start(lambda options: 30.0 if options.kv_type_k is KVType.Q8_0 else 20.0).run()
    assert found.after == NO_DEFAULTS
    assert not found.is_gain
    assert found.offer
    assert found.is_offer_gain
    assert found.offer.divergence is DIVERGENCE
    assert "Its price: at 1.2% of the words" in offered(found)


def test_a_price_that_cannot_be_measured_is_told(start: Start) -> None:
    def fail(_: Settings) -> Evaluation:
        raise EvaluationError("No text.")

    found = start(lambda options: 30.0 if options.kv_type_k is KVType.Q8_0 else 20.0, evaluate=fail).run()
    assert "was not measured" in offered(found)


def test_who_calls_it_off_while_an_engine_works_ends_it(start: Start) -> None:
    with pytest.raises(Cancelled):
        start(quick_without_flash, stop_at="Measuring it as it is").run()


def test_scores_are_turns_a_minute_or_tokens_a_second_of_real_answers(start: Start) -> None:
    for purpose, least in ((Purpose.CHAT, 1.0), (Purpose.BATCH, 100.0)):
        tune = start(quick_without_flash, purpose)
        tune._first()
        scores = Tune._scores(tune, NO_DEFAULTS)
        assert len(scores) == 3
        assert min(scores) > least


def test_the_models_own_options_are_where_the_search_begins(start: Start) -> None:
    found = start(quick_without_flash, own=ModelDefaults({"context": 512})).run()
    assert found.before == ModelDefaults({"context": 512})
    assert found.after == ModelDefaults({"context": 512, "flash_attention": FlashAttention.OFF})


READY = Ready(
    "a", "llama", 1, 1, 4096, 4096, 4, 30, 0, "CPU", 2, "f16", "f16", "auto", "off", "1", 0.0, False,
    kv_layout=KVLayout.UNIFIED,
)  # fmt: skip


def choices(purpose: Purpose, ready: Ready = READY, **options: Any) -> dict[str, list[dict[str, Any]]]:
    found = knobs(replace(EngineOptions(), **options), ready, purpose)
    return {knob.name: [dict(choice.change) for choice in knob.choices] for knob in found}


def test_a_processor_and_a_gpu_have_knobs_of_their_own() -> None:
    on_cpu = choices(Purpose.CHAT)
    assert set(on_cpu) == {"threads", "flash attention", "batch"}
    assert on_cpu["threads"] == [{"threads": 1}, {"threads": 4}], "not those that it has"
    whole = choices(Purpose.CHAT, replace(READY, gpu_layers=31, device="CUDA0"))
    assert set(whole) == {"placement", "flash attention", "batch"}
    assert whole["placement"] == [{"gpu_layers": 0}]
    part = choices(Purpose.CHAT, replace(READY, gpu_layers=20, device="CUDA0"))
    assert [each["gpu_layers"] for each in part["placement"]] == [21, 22, 24, 0]
    assert "threads" in part


def test_for_many_requests_more_answers_run_side_by_side() -> None:
    found = choices(Purpose.BATCH)
    assert [each["parallel"] for each in found["answers side by side"]] == [8, 16, 32]
    assert found["layout of the KV cache"] == [{"kv_layout": KVLayout.STREAMS}]


@pytest.mark.parametrize("purpose", Purpose)
def test_nothing_is_turned_that_changes_what_is_answered(purpose: Purpose) -> None:
    for ready in (READY, replace(READY, gpu_layers=31)):
        for changes in choices(purpose, ready).values():
            assert not {"kv_type_k", "kv_type_v", "context"} & {name for each in changes for name in each}
    assert "flash attention" not in choices(purpose, kv_type_v=KVType.Q8_0), "a quantized cache needs it"


@pytest.mark.parametrize("purpose", Purpose)
def test_all_that_is_turned_can_be_a_models_default(purpose: Purpose) -> None:
    for ready in (READY, replace(READY, gpu_layers=20)):
        for changes in choices(purpose, ready).values():
            for change in changes:
                assert ModelDefaults.of(change).values == change


def test_options_are_named_in_words() -> None:
    assert named(NO_DEFAULTS) == "as in the settings"
    assert named(ModelDefaults({"threads": 3, "kv_type_k": KVType.Q8_0})) == "threads 3, keys q8_0"
    assert named(ModelDefaults({"gpu_layers": None})) == "GPU layers automatic"


def test_a_busy_machine_is_not_to_be_trusted() -> None:
    busy: Tuned = replace(TUNED, others=(0.1, 1.5))
    assert "**The machine was busy.**" in tuned_page(busy)
    assert "busy" not in tuned_page(replace(TUNED, others=(0.1,)))
