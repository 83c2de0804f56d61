"""The sampler: who is asked when, and what becomes of those that raise, hang, lie or vanish."""

import math
import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from app.inference.snapshot import EngineState
from app.telemetry import Gpu, Host, Sample, Telemetry
from app.telemetry.provider import GpuProvider
from tests.patience import PATIENCE, until
from tests.telemetry.providers import CARD, GIB, GpuPlayer, Hanging, HostPlayer
from tests.telemetry.snapshots import on_cpu, snapshot

Samples = "queue.Queue[Sample]"
Start = Callable[..., tuple[Telemetry, "queue.Queue[Sample]"]]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Telemetry] = []

    def start(*providers: GpuProvider, on_gpu: bool = True) -> tuple[Telemetry, "queue.Queue[Sample]"]:
        samples: queue.Queue[Sample] = queue.Queue()
        telemetry = Telemetry(providers, HostPlayer(), interval=0.01)
        telemetry.subscribe(samples.put)
        running.append(telemetry)
        if on_gpu:
            telemetry.hear(snapshot())
        return telemetry, samples

    yield start
    for telemetry in running:
        telemetry.close()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("telemetry")])


def wait_for(samples: "queue.Queue[Sample]", is_so: Callable[[Sample], bool]) -> Sample:
    while not is_so(sample := samples.get(timeout=PATIENCE)):
        pass
    return sample


def test_a_sample_has_memory_cards_and_engines(start: Start) -> None:
    telemetry, samples = start(GpuPlayer(lambda: None), GpuPlayer())
    telemetry.watch()
    sample = wait_for(samples, lambda sample: bool(sample.gpus))
    assert sample.gpus == (CARD,)
    assert (sample.host, sample.own_ram) == (Host(8 * GIB, 32 * GIB, GIB), 2 * GIB)
    assert [engine.name for engine in sample.engines] == ["M"]


def test_nobody_watches_nothing_is_sampled_and_no_device_is_held(start: Start) -> None:
    provider = GpuPlayer()
    telemetry, samples = start(provider)
    assert provider.num_read == 0
    leave = telemetry.watch()
    wait_for(samples, lambda sample: bool(sample.gpus))
    leave()
    leave()  # twice is once
    until(lambda: provider.num_closed == 1)
    until(lambda: telemetry._latest is None)
    num_read = provider.num_read
    assert telemetry.look().gpus == (CARD,), "one who asks is somebody who watches"
    assert provider.num_read > num_read


def test_gpus_are_asked_while_an_engine_computes_on_one(start: Start) -> None:
    provider = GpuPlayer()
    telemetry, samples = start(provider, on_gpu=False)
    telemetry.watch()
    wait_for(samples, lambda _: True)
    assert provider.num_read == 0, "a sleeping GPU is left asleep"
    telemetry.hear(snapshot())
    wait_for(samples, lambda sample: bool(sample.gpus))
    telemetry.hear(snapshot(state=EngineState.CLOSED))
    wait_for(samples, lambda sample: not sample.gpus and not sample.engines)
    until(lambda: provider.num_closed > 0)


def test_an_engine_on_the_processor_has_a_short_look_for_gpus(start: Start) -> None:
    provider = GpuPlayer()
    telemetry, samples = start(provider, on_gpu=False)
    telemetry.hear(snapshot(ready=on_cpu()))
    telemetry.watch()
    wait_for(samples, lambda sample: bool(sample.gpus))
    wait_for(samples, lambda sample: not sample.gpus)
    until(lambda: provider.num_closed > 0)


def fail() -> object:
    raise OSError("driver not loaded")


@pytest.mark.parametrize("read", [fail, lambda: None, lambda: 7, lambda: (), lambda: (7,), lambda: CARD])
def test_what_is_no_answer_is_unknown_and_others_are_heard(start: Start, read: Callable[[], object]) -> None:
    telemetry, samples = start(GpuPlayer(read), GpuPlayer())
    telemetry.watch()
    assert wait_for(samples, lambda sample: bool(sample.gpus)).gpus == (CARD,)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e18, -(10**18), 10**18, "7", True, [], 1 + 2j])
def test_absurd_figures_are_unknown_and_the_others_stay(start: Start, value: object) -> None:
    names = ("used", "total", "own", "load", "watts", "celsius", "mhz", "throttle")
    absurd = Gpu("RTX", "test", **dict.fromkeys(names, value), mhz_limit=2520.0)  # type: ignore[arg-type]
    telemetry, samples = start(GpuPlayer(lambda: (absurd,)))
    telemetry.watch()
    gpu = wait_for(samples, lambda sample: bool(sample.gpus)).gpus[0]
    assert (gpu.name, gpu.mhz_limit) == ("RTX", 2520.0)
    told = {name: getattr(gpu, name) for name in names}
    told.pop("throttle" if value == "7" else "celsius" if value == -1.0 else "used")  # these may be so
    assert set(told.values()) == {None}


def test_more_in_use_than_there_is_cannot_be(start: Start) -> None:
    telemetry, samples = start(GpuPlayer(lambda: (Gpu("x", "s", used=2 * GIB, total=GIB, own=GIB),)))
    telemetry.watch()
    gpu = wait_for(samples, lambda sample: bool(sample.gpus)).gpus[0]
    assert (gpu.used, gpu.total) == (None, GIB)


def test_one_that_hangs_holds_up_neither_samples_nor_others_nor_the_end(start: Start) -> None:
    hanging, other = Hanging(), GpuPlayer(lambda: (Gpu("other", "test"),))
    telemetry, samples = start(hanging, other)
    telemetry.watch()
    assert hanging.hangs.wait(PATIENCE)
    for _ in range(3):
        assert wait_for(samples, lambda sample: bool(sample.gpus)).gpus[0].name == "other"
    assert hanging.num_read == 1, "it is not asked again while it is at it"
    hanging.let_go.set()
    wait_for(samples, lambda sample: len(sample.gpus) == 2)  # it is back
    hanging.let_go.clear()
    num_read = hanging.num_read
    until(lambda: hanging.num_read > num_read)
    telemetry.close()  # does not wait for it
    hanging.let_go.set()


def test_one_that_vanishes_is_unknown_from_then_on(start: Start) -> None:
    provider = GpuPlayer()
    telemetry, samples = start(provider)
    telemetry.watch()
    wait_for(samples, lambda sample: bool(sample.gpus))
    provider.play = fail  # the driver is unloaded, the card falls off the bus
    sample = wait_for(samples, lambda sample: not sample.gpus)
    assert sample.host.total == 32 * GIB


def test_a_listener_that_raises_does_not_end_the_samples(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    telemetry, samples = start()

    def listen(_: Sample) -> None:
        raise RuntimeError("the window is gone")

    telemetry.subscribe(listen)
    telemetry.watch()
    for _ in range(3):
        samples.get(timeout=PATIENCE)
    assert "the window is gone" in caplog.text


def test_close_does_not_wait_for_the_interval() -> None:
    seen = threading.Event()
    telemetry = Telemetry((), HostPlayer(), interval=3600)
    telemetry.subscribe(lambda _: seen.set())
    telemetry.watch()
    assert seen.wait(PATIENCE)
    telemetry.close()


def test_close_without_a_start_is_fine() -> None:
    telemetry = Telemetry(())
    telemetry.close()
    assert telemetry.look().gpus == ()
