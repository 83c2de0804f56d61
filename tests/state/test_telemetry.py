import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.telemetry import GpuMemory, GpuProvider, MemorySample, Telemetry
from app.telemetry.amd import AmdProvider
from app.telemetry.nvidia import NvidiaProvider, is_asleep
from tests.patience import PATIENCE

GIB = 2**30
CARD = GpuMemory("RTX", 3 * GIB, 24 * GIB, "test")


class Provider:
    def __init__(self, read: Callable[[], GpuMemory | None]):
        self.read = read
        self.num_closed = 0

    def close(self) -> None:
        self.num_closed += 1


def fail() -> GpuMemory | None:
    raise OSError("driver not loaded")


Start = Callable[..., tuple[Telemetry, "queue.Queue[MemorySample]"]]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Telemetry] = []

    def start(*providers: GpuProvider, active: bool = True) -> tuple[Telemetry, "queue.Queue[MemorySample]"]:
        samples: queue.Queue[MemorySample] = queue.Queue()
        telemetry = Telemetry(samples.put, providers, interval=0.01)
        telemetry.set_active(active)
        telemetry.start()
        running.append(telemetry)
        return telemetry, samples

    yield start
    for telemetry in running:
        telemetry.close()
    assert all(thread.name != "telemetry" for thread in threading.enumerate())


def test_a_sample_has_ram_and_the_card(start: Start) -> None:
    _, samples = start(Provider(lambda: None), Provider(lambda: CARD))
    sample = samples.get(timeout=PATIENCE)
    assert 0 < sample.app_rss < sample.ram_used < sample.ram_total
    assert (sample.gpu_name, sample.vram_used, sample.vram_total, sample.source) == (
        "RTX",
        3 * GIB,
        24 * GIB,
        "test",
    )


@pytest.mark.parametrize(
    "read",
    [
        fail,
        lambda: None,
        lambda: GpuMemory("x", -1, GIB, "s"),
        lambda: GpuMemory("x", 2**64 - 1, GIB, "s"),
        lambda: GpuMemory("x", 1, 2**51, "s"),
        lambda: GpuMemory("x", 1, 0, "s"),
        lambda: GpuMemory("x", "7", GIB, "s"),  # type: ignore[arg-type]
        lambda: 7,
    ],
)
def test_nonsense_is_unknown_and_the_next_provider_is_asked(start: Start, read: Callable[[], GpuMemory | None]) -> None:
    _, samples = start(Provider(read))
    sample = samples.get(timeout=PATIENCE)
    assert (sample.gpu_name, sample.vram_used, sample.vram_total) == (None, None, None)
    _, samples = start(Provider(read), Provider(lambda: CARD))
    assert samples.get(timeout=PATIENCE).vram_used == 3 * GIB


def test_a_card_that_knows_only_its_size_keeps_it(start: Start) -> None:
    _, samples = start(Provider(lambda: GpuMemory("x", None, GIB, "s")))
    sample = samples.get(timeout=PATIENCE)
    assert (sample.vram_used, sample.vram_total) == (None, GIB)


def test_the_gpu_is_asked_only_while_active_and_let_go_after(start: Start) -> None:
    provider = Provider(lambda: CARD)
    telemetry, samples = start(provider, active=False)
    assert samples.get(timeout=PATIENCE).vram_total is None
    telemetry.set_active(True)
    while samples.get(timeout=PATIENCE).vram_total is None:
        pass
    telemetry.set_active(False)
    num_closed = provider.num_closed
    while samples.get(timeout=PATIENCE).vram_total is not None:
        pass
    assert provider.num_closed > num_closed


def test_a_listener_that_raises_does_not_end_the_samples(caplog: pytest.LogCaptureFixture) -> None:
    calls: queue.Queue[MemorySample] = queue.Queue()

    def listen(sample: MemorySample) -> None:
        calls.put(sample)
        raise RuntimeError("the window is gone")

    telemetry = Telemetry(listen, (), interval=0.01)
    telemetry.start()
    for _ in range(3):
        calls.get(timeout=PATIENCE)
    telemetry.close()
    assert "the window is gone" in caplog.text


def test_close_does_not_wait_for_the_interval() -> None:
    seen = threading.Event()
    telemetry = Telemetry(lambda _: seen.set(), (), interval=3600)
    telemetry.start()
    assert seen.wait(PATIENCE)
    telemetry.close()


def test_close_without_start_is_fine() -> None:
    Telemetry(lambda _: None, ()).close()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def amd_card(drm: Path, card: str, used: str, total: str, state: str = "active") -> None:
    write(drm / card / "device" / "mem_info_vram_used", used)
    write(drm / card / "device" / "mem_info_vram_total", total)
    write(drm / card / "device" / "power" / "runtime_status", state)


def test_amd_reads_the_biggest_card_that_is_awake(tmp_path: Path) -> None:
    assert AmdProvider(tmp_path).read() is None
    amd_card(tmp_path, "card0", "1\n", "512\n")
    amd_card(tmp_path, "card1", "300\n", "2048\n")
    amd_card(tmp_path, "card2", "9", "9999", state="suspended\n")
    memory = AmdProvider(tmp_path).read()
    assert memory is not None
    assert (memory.name, memory.used, memory.total) == ("AMD GPU", 300, 2048)
    write(tmp_path / "card1" / "device" / "product_name", "Radeon\n")
    write(tmp_path / "card1" / "device" / "mem_info_vram_used", "?")
    memory = AmdProvider(tmp_path).read()
    assert memory is not None
    assert (memory.name, memory.used, memory.total) == ("Radeon", None, 2048)


def pci_device(root: Path, name: str, vendor: str, kind: str, state: str) -> None:
    write(root / name / "vendor", f"{vendor}\n")
    write(root / name / "class", f"{kind}\n")
    write(root / name / "power" / "runtime_status", f"{state}\n")


def test_a_sleeping_laptop_gpu_is_not_woken(tmp_path: Path) -> None:
    pci_device(tmp_path, "0000:00:02.0", "0x8086", "0x030000", "active")
    pci_device(tmp_path, "0000:01:00.1", "0x10de", "0x040300", "active")  # its sound device
    assert not is_asleep(tmp_path)
    pci_device(tmp_path, "0000:01:00.0", "0x10de", "0x030000", "suspended")
    assert is_asleep(tmp_path)
    assert NvidiaProvider(tmp_path).read() is None
    pci_device(tmp_path, "0000:02:00.0", "0x10de", "0x030200", "active")
    assert not is_asleep(tmp_path)


class FakeNvml(SimpleNamespace):
    num_open = 0
    totals = (8 * GIB, 24 * GIB)

    def nvmlInit(self) -> None:
        self.num_open += 1

    def nvmlShutdown(self) -> None:
        self.num_open -= 1

    def nvmlDeviceGetCount(self) -> int:
        return len(self.totals)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(total=self.totals[index], used=GIB, free=0)

    def nvmlDeviceGetName(self, index: int) -> bytes:
        return f"card {index}".encode()


def test_nvml_is_open_between_the_first_read_and_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()
    monkeypatch.setitem(__import__("sys").modules, "pynvml", nvml)
    provider = NvidiaProvider(tmp_path)
    assert nvml.num_open == 0
    assert provider.read() == provider.read() == GpuMemory("card 1", GIB, 24 * GIB, "NVML, GPU 1, all programs")
    assert nvml.num_open == 1
    provider.close()
    provider.close()
    assert nvml.num_open == 0
