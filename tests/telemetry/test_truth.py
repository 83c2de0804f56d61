"""What is found of made-up samples: a model on the CPU that should not be, memory that spilled or was taken, heat."""

from dataclasses import replace

import pytest

from app.telemetry import EngineFigures, Gpu, Sample
from app.telemetry.alarms import Alarms
from app.telemetry.finding import Kind, Remedy
from app.telemetry.truth import CONSTANT, Placed, judge
from backends.protocol import Cells, DeviceMemory
from tests.telemetry.snapshots import GIB, MIB, READY, STATS, on_cpu, snapshot

BEFORE = (DeviceMemory("CUDA0", 23 * GIB, 24 * GIB),)
AFTER = (DeviceMemory("CUDA0", 14 * GIB, 24 * GIB),)
GOOD = Gpu(
    "RTX 4090",
    "test",
    used=10 * GIB,
    total=24 * GIB,
    own=9 * GIB,
    load=0.9,
    celsius=65.0,
    mhz=2500.0,
    mhz_limit=2520.0,
    throttle="power limit",
    bandwidth=1008e9,
)
FIGURES = EngineFigures("M", "CUDA0", num_running=1, bandwidth=600e9, devices=AFTER)
PLACED = Placed("M", "M", READY, None, BEFORE, AFTER)


def samples(gpu: Gpu | None = GOOD, figures: EngineFigures = FIGURES, count: int = CONSTANT) -> list[Sample]:
    return [Sample(float(i), gpus=(gpu,) if gpu else (), engines=(figures,)) for i in range(count)]


def found(placed: Placed = PLACED, gpu: Gpu | None = GOOD, figures: EngineFigures = FIGURES) -> tuple[Kind, str] | None:
    finding = judge(placed, samples(gpu, figures))
    return (finding.kind, finding.sentence) if finding else None


def test_all_is_well_and_nothing_is_said() -> None:
    assert found() is None
    assert found(gpu=None) is None, "nothing is known, so nothing is claimed"


def test_a_model_that_fell_back_to_the_cpu() -> None:
    placed = replace(PLACED, ready=on_cpu())
    assert found(placed) == (Kind.FALLBACK, "“M” runs on the CPU: 24.7 GB of 25.8 GB were free on CUDA0.")
    assert found(replace(placed, asked_layers=0)) is None, "as it was asked for"
    unable = replace(placed, before=(), after=())
    sentence = "“M” runs on the CPU, because this build of the engine cannot use the RTX 4090."
    assert found(unable) == (Kind.FALLBACK, sentence)
    assert found(unable, gpu=replace(GOOD, total=GIB)) is None, "a processor's own small one"
    assert found(unable, gpu=None) is None


def test_fewer_layers_than_were_asked_for() -> None:
    placed = replace(PLACED, ready=replace(READY, gpu_layers=20), asked_layers=33)
    sentence = "Only 20 of the 33 layers of “M” that were asked for are on the GPU."
    assert found(placed) == (Kind.FALLBACK, sentence)
    assert found(replace(placed, asked_layers=20)) is None
    assert found(replace(placed, asked_layers=None)) is None


def test_weights_that_did_not_come_onto_the_gpu() -> None:
    kind, sentence = found(gpu=replace(GOOD, own=2 * GIB)) or (None, "")
    assert kind is Kind.SPILL
    assert sentence.startswith("“M” should have 8.6 GB on the GPU and has 2.1 GB")
    unknown = replace(GOOD, own=None)
    assert found(gpu=unknown) is None
    little = (DeviceMemory("CUDA0", 21 * GIB, 24 * GIB),)
    assert (found(replace(PLACED, after=little), gpu=unknown) or (None,))[0] is Kind.SPILL
    silent = (DeviceMemory("Vulkan0", 24 * GIB, 24 * GIB),)  # a backend that always calls all of it free
    assert found(replace(PLACED, before=silent, after=silent), gpu=unknown) is None
    in_part = replace(READY, gpu_layers=12, gpu_bytes=3 * GIB)
    half = replace(PLACED, ready=in_part, after=(DeviceMemory("CUDA0", 20 * GIB, 24 * GIB),))
    assert found(half, gpu=unknown) is None, "no more was to come"


def test_experts_that_a_plan_keeps_in_ram_are_not_missed_on_the_gpu() -> None:
    """All layers are there, by their number, and a fifth of the weights."""
    placed = replace(PLACED, ready=replace(READY, gpu_bytes=GIB), after=(DeviceMemory("CUDA0", 21 * GIB, 24 * GIB),))
    assert found(placed, replace(GOOD, own=None)) is None
    cool = replace(GOOD, own=2 * GIB, throttle="")
    assert found(placed, cool, replace(FIGURES, bandwidth=41e9)) is None, "most of it is read from RAM, as planned"


def test_another_model_that_comes_and_goes_is_no_spill() -> None:
    two = [replace(sample, engines=(FIGURES, replace(FIGURES, name="N"))) for sample in samples(replace(GOOD, own=GIB))]
    assert judge(PLACED, two) is None


def test_weights_that_are_read_far_too_slowly() -> None:
    cool = replace(GOOD, throttle="")
    kind, sentence = found(gpu=cool, figures=replace(FIGURES, bandwidth=41e9)) or (None, "")
    assert kind is Kind.SPILL
    assert sentence.startswith(
        "“M” reads its weights at 41 GB/s, the GPU could 1,008: part of it may lie in system memory"
    )
    for harmless in (
        replace(FIGURES, bandwidth=41e9, num_running=4),
        replace(FIGURES, bandwidth=None),
        replace(FIGURES, bandwidth=200e9),
    ):
        assert found(gpu=cool, figures=harmless) is None
    unknown = replace(cool, bandwidth=None)
    assert found(gpu=unknown, figures=replace(FIGURES, bandwidth=41e9)) is None, "no limit is known"
    reached = replace(PLACED, best=500e9)
    assert "at 41 GB/s, it did 500 before" in (found(reached, unknown, replace(FIGURES, bandwidth=41e9)) or ("", ""))[1]
    assert found(reached, unknown, replace(FIGURES, bandwidth=250e9)) is None, "a long context"
    small = replace(PLACED, ready=replace(READY, model_bytes=GIB))
    assert found(small, gpu=cool, figures=replace(FIGURES, bandwidth=41e9)) is None, "its launches cost more"


def test_a_card_that_is_slowed_down_by_heat() -> None:
    hot = replace(GOOD, throttle="too hot", mhz=1200.0, celsius=91.0)
    assert found(gpu=hot) == (Kind.THROTTLED, "The RTX 4090 runs at 1,200 of 2,520 MHz: too hot (91 °C).")
    assert found(gpu=replace(hot, celsius=None)) == (
        Kind.THROTTLED,
        "The RTX 4090 runs at 1,200 of 2,520 MHz: too hot.",
    )
    for harmless in (
        replace(hot, load=0.1),
        replace(hot, throttle=""),
        replace(hot, mhz=2400.0),
        replace(hot, mhz=None),
    ):
        assert found(gpu=harmless) is None


def test_memory_that_others_have_taken() -> None:
    full = replace(GOOD, used=24 * GIB - 100, own=10 * GIB)
    kind, sentence = found(gpu=full) or (None, "")
    assert kind is Kind.SQUEEZED
    assert sentence.startswith("Other programs hold 15.0 GB of the 25.8 GB of the RTX 4090, and 0.0 GB are left")
    assert found(gpu=replace(full, own=24 * GIB - 200)) is None, "it is ours"
    assert found(gpu=replace(full, own=None)) is None


def test_memory_that_others_have_taken_where_no_driver_tells() -> None:
    """The engine's own backend does; what its cache has grown by is no other program's."""
    alarms, ready = Alarms(), replace(READY, devices=BEFORE, cell_bytes=float(MIB))
    alarms.place(snapshot(replace(STATS, devices=AFTER), ready), None)
    full = (DeviceMemory("CUDA0", 100 * MIB, 24 * GIB),)

    def told(cells: int) -> list[Kind]:
        figures = replace(FIGURES, devices=full, cells=Cells(0, cells, 1 << 20), bandwidth=None)
        for number in range(CONSTANT):
            findings = list(alarms.findings(Sample(float(number), engines=(figures,))))
        return [finding.kind for finding in findings]

    assert told(STATS.cells.allocated) == [Kind.SQUEEZED]
    assert told(STATS.cells.allocated + 14 * 1024) == [], "the cache has grown by 14 GiB"


def test_one_sample_alone_says_nothing() -> None:
    hot = replace(GOOD, throttle="too hot", mhz=1200.0)
    assert judge(PLACED, samples(hot, count=CONSTANT - 1)) is None
    assert judge(PLACED, [*samples(hot), *samples(count=1)]) is None
    assert judge(PLACED, [*samples(), *samples(hot)]) is not None


@pytest.mark.parametrize("figures", [EngineFigures("M"), EngineFigures("another")])
def test_an_engine_of_which_little_is_known_is_no_error(figures: EngineFigures) -> None:
    assert judge(PLACED, samples(Gpu("x", "s"), figures)) is None


def test_a_fallback_is_told_until_the_model_is_loaded_anew() -> None:
    alarms = Alarms()
    alarms.place(snapshot(STATS, on_cpu()), None)
    for sample in samples():
        findings = list(alarms.findings(sample))
    assert [(finding.kind, finding.remedy) for finding in findings] == [(Kind.FALLBACK, Remedy.SETTINGS)]
    blind = Sample(9.0, engines=(FIGURES,))  # the GPU is not asked any more
    assert [finding.kind for finding in alarms.findings(blind)] == [Kind.FALLBACK]
    alarms.place(snapshot(), None)
    assert not list(alarms.findings(blind))
    alarms.forget("M")
    assert not list(alarms.findings(blind))


def test_what_was_reached_once_is_the_limit_where_no_driver_tells_one() -> None:
    alarms, gpu = Alarms(), replace(GOOD, bandwidth=None, throttle="")
    alarms.place(snapshot(STATS, replace(READY, devices=BEFORE)), None)
    told = [
        list(alarms.findings(Sample(float(number), gpus=(gpu,), engines=(replace(FIGURES, bandwidth=rate),))))
        for number, rate in enumerate((480e9, 500e9, 490e9, 40e9, 40e9, 40e9))
    ]
    assert [bool(findings) for findings in told] == [False] * 5 + [True]
