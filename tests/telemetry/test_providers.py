"""What drivers say, read from files as Linux has them and from an NVML that is played."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.telemetry.amd import AmdProvider
from app.telemetry.host import HostProvider
from app.telemetry.intel import IntelProvider
from app.telemetry.nvidia import NvidiaProvider, is_asleep
from app.telemetry.sample import Gpu
from tests.telemetry.providers import GIB


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def test_ram_is_read_from_the_system() -> None:
    host = HostProvider().read()
    assert host.own
    assert host.used
    assert host.total
    assert 0 < host.own < host.used < host.total


def amd_card(drm: Path, card: str, used: str, total: str, state: str = "active") -> Path:
    device = drm / card / "device"
    write(device, vendor="0x1002", mem_info_vram_used=used, mem_info_vram_total=total, power__runtime_status=state)
    return device


def test_amd_tells_of_the_cards_that_are_awake(tmp_path: Path) -> None:
    assert AmdProvider(tmp_path).read() is None
    amd_card(tmp_path, "card0", "1", "512")
    device = amd_card(tmp_path, "card1", "300", "2048")
    amd_card(tmp_path, "card2", "9", "9999", state="suspended")
    write(tmp_path / "card1-DP-1" / "device", vendor="0x1002", mem_info_vram_total="7")  # a connector's way back
    write(
        device,
        product_name="Radeon",
        gpu_busy_percent="87",
        mem_info_gtt_used="64",
        pp_dpm_sclk="0: 500Mhz\n1: 1450Mhz *\n2: 2400Mhz",
        hwmon__hwmon3__temp1_input="55000",
        hwmon__hwmon3__temp2_input="71000",
        hwmon__hwmon3__power1_average="212000000",
        hwmon__hwmon3__power1_cap="300000000",
    )
    found = AmdProvider(tmp_path).read()
    assert found
    assert found[0] == Gpu(
        "Radeon",
        "amdgpu, card1",
        used=300,
        total=2048,
        shared=64,
        load=pytest.approx(0.87),
        celsius=71,
        watts=212,
        watts_limit=300,
        mhz=1450,
        mhz_limit=2400,
    )
    assert [(gpu.name, gpu.total) for gpu in found] == [("Radeon", 2048), ("AMD GPU", 512)]
    write(device, mem_info_vram_used="?", gpu_busy_percent="", pp_dpm_sclk="nonsense: of: lines\n\x00")
    found = AmdProvider(tmp_path).read()
    assert found
    assert (found[0].used, found[0].total, found[0].load, found[0].mhz) == (None, 2048, None, None)


def test_intel_tells_of_clock_power_and_why_it_is_slow(tmp_path: Path) -> None:
    device = tmp_path / "card0" / "device"
    write(device, vendor="0x8086", hwmon__hwmon1__energy1_input="1000000", hwmon__hwmon1__temp2_input="63000")
    write(device / "tile0" / "gt0" / "freq0", act_freq="1900", max_freq="2400", throttle__status="1")
    write(device / "tile0" / "gt0" / "freq0" / "throttle", reason_thermal="1", reason_pl1="0")
    now = [10.0]
    provider = IntelProvider(tmp_path, lambda: now[0])
    found = provider.read()
    assert found
    assert (found[0].mhz, found[0].mhz_limit, found[0].celsius) == (1900, 2400, 63)
    assert (found[0].throttle, found[0].watts) == ("thermal", None)
    now[0] = 12.0
    write(device, hwmon__hwmon1__energy1_input="31000000")
    found = provider.read()
    assert found
    assert found[0].watts == pytest.approx(15)


def test_intels_older_driver_is_read_too(tmp_path: Path) -> None:
    card = tmp_path / "card1"
    write(card, device__vendor="0x8086", lmem_total_bytes="1000", lmem_avail_bytes="400")
    write(card / "gt" / "gt0", rps_act_freq_mhz="300", rps_max_freq_mhz="1300", throttle_reason_status="0")
    found = IntelProvider(tmp_path).read()
    assert found
    assert (found[0].used, found[0].total, found[0].mhz, found[0].throttle) == (600, 1000, 300, "")


def pci_device(root: Path, name: str, vendor: str, kind: str, state: str) -> None:
    write(root / name, vendor=vendor, **{"class": kind}, power__runtime_status=state)


def test_a_sleeping_laptop_gpu_is_not_woken(tmp_path: Path) -> None:
    pci_device(tmp_path, "0000:00:02.0", "0x8086", "0x030000", "active")
    pci_device(tmp_path, "0000:01:00.1", "0x10de", "0x040300", "active")  # its sound device
    assert not is_asleep(tmp_path)
    pci_device(tmp_path, "0000:01:00.0", "0x10de", "0x030000", "suspended")
    assert is_asleep(tmp_path)
    assert NvidiaProvider(pci_devices=tmp_path).read() is None
    pci_device(tmp_path, "0000:02:00.0", "0x10de", "0x030200", "active")
    assert not is_asleep(tmp_path)


class PlayedNvml(SimpleNamespace):
    """Two cards; the second one tells of all, the first one of its memory alone."""

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
        return SimpleNamespace(total=self.totals[index], used=3 * GIB, free=0)

    def nvmlDeviceGetName(self, index: int) -> bytes:
        return f"card {index}".encode()

    def __getattr__(self, name: str) -> object:
        answers = {
            "UtilizationRates": SimpleNamespace(gpu=87, memory=50),
            "Temperature": 71,
            "PowerUsage": 212_500,
            "EnforcedPowerLimit": 450_000,
            "ClockInfo": 1200,
            "MaxClockInfo": 10_501,
            "MemoryBusWidth": 384,
            "CurrentClocksThrottleReasons": 0x20 | 0x04,
            "ComputeRunningProcesses": [
                SimpleNamespace(pid=7, usedGpuMemory=2 * GIB),
                SimpleNamespace(pid=8, usedGpuMemory=GIB),
            ],
        }

        def ask(index: int, *_: object) -> object:
            if index == 0:
                raise RuntimeError("Not Supported")
            return answers[name.removeprefix("nvmlDeviceGet")]

        return ask


def test_nvml_is_open_between_the_first_read_and_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = PlayedNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    provider = NvidiaProvider(lambda: [7, 99], tmp_path)
    assert nvml.num_open == 0
    found = provider.read()
    assert found
    assert found == provider.read()
    assert found[1] == Gpu("card 0", "NVML, GPU 0", used=3 * GIB, total=8 * GIB)
    assert found[0] == Gpu(
        "card 1",
        "NVML, GPU 1",
        used=3 * GIB,
        total=24 * GIB,
        own=2 * GIB,
        load=0.87,
        celsius=71,
        watts=212.5,
        watts_limit=450,
        mhz=1200,
        mhz_limit=10_501,
        throttle="too hot",
        bandwidth=pytest.approx(1008e9, rel=1e-3),  # an RTX 4090
    )
    assert nvml.num_open == 1
    provider.close()
    provider.close()
    assert nvml.num_open == 0
