"""What is told of a device that is not as it should be: seen on a real backend, with real memory taken."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.inference.supervisor import Supervisor
from app.planner.machine import LEAST_MARGIN
from app.telemetry import Sample, Telemetry
from app.telemetry.finding import Finding, Kind, Remedy
from backends.protocol import DraftMode
from tests.gpu import weights
from tests.gpu.conftest import Load
from tests.patience import until

pytestmark = pytest.mark.gpu

MIB = 1 << 20
FIELDS = {"context": 512, "parallel": 1, "draft": DraftMode.OFF, "prompt_cache_ram": 0}


@pytest.fixture
def told(supervisor: Supervisor) -> Iterator[list[Finding]]:
    """What is found now, of all models."""
    found: list[Finding] = []

    def hear(sample: Sample) -> None:
        found[:] = sample.findings

    telemetry = Telemetry(interval=0.05)
    telemetry.subscribe(hear)
    supervisor.subscribe(telemetry.hear)
    leave = telemetry.watch()
    yield found
    leave()
    telemetry.close()


def test_a_model_that_had_to_go_to_the_cpu(
    load: Load, told: list[Finding], tiny: Path, small_card: Callable[[int], None]
) -> None:
    small_card(LEAST_MARGIN)
    load(tiny, **FIELDS)
    until(lambda: told)
    assert told[0].kind is Kind.FALLBACK
    assert told[0].sentence.startswith("“tiny” runs on the CPU: 0.1 GB of 0.1 GB were free on ")


def test_memory_that_others_take(load: Load, told: list[Finding], take_all: Callable[[], None], tiny: Path) -> None:
    """No driver tells of the software device: the engine's own backend does."""
    handle = load(tiny, **FIELDS)
    until(lambda: handle.snapshot.stats)
    assert not told
    take_all()
    until(lambda: told, lambda: handle.snapshot.stats)
    assert (told[0].kind, told[0].remedy) == (Kind.SQUEEZED, Remedy.RELOAD)
    assert "Other programs hold 2.1 GB of the 2.1 GB of the Vulkan0" in told[0].sentence


def test_weights_that_a_driver_puts_into_system_memory(
    load: Load, told: list[Finding], tiny: Path, tmp_path: Path, small_card: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """As Windows' drivers do it without a word, and llama.cpp where it may."""
    path = weights.write(tmp_path / "m.gguf", weights.Shape(layers=3), like=tiny)
    small_card(16 * MIB)
    monkeypatch.setenv("GGML_VK_ALLOW_SYSMEM_FALLBACK", "1")
    handle = load(path, "spilled", gpu_layers=999, **FIELDS)
    assert handle.snapshot.ready
    assert handle.snapshot.ready.gpu_bytes > 256 * MIB, "llama.cpp reports them on the device"
    until(lambda: told)
    assert told[0].kind is Kind.SPILL
    assert told[0].sentence.startswith("“spilled” should have 0.4 GB on the GPU and has 0.0 GB")
