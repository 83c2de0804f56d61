"""What a death is called, by the last words of the process and its exit code."""

import signal
from pathlib import Path

import pytest

from app.inference.crash import crash_report

TERMINATED = "terminate called after throwing an instance of"


@pytest.mark.parametrize(
    "words",
    [
        "ggml_backend_cuda_buffer_type_alloc_buffer: cudaMalloc failed: out of memory",
        f"{TERMINATED} 'vk::OutOfDeviceMemoryError'\n  what():  vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
        f"{TERMINATED} 'std::bad_alloc'\n  what():  std::bad_alloc",
        "Traceback (most recent call last):\nMemoryError",
    ],
)
def test_a_want_of_memory_is_told_as_that(tmp_path: Path, words: str) -> None:
    log = tmp_path / "engine.log"
    log.write_text(f"load_tensors: loading\n{words}\n")
    report = crash_report(-signal.SIGABRT, log)
    assert report.is_of_memory
    assert str(report).startswith("The engine stopped: it ran out of memory. Choose a smaller context")


@pytest.mark.parametrize(
    "words",
    [
        f"{TERMINATED} 'vk::DeviceLostError'\n  what():  vk::Queue::submit: ErrorDeviceLost",
        "CUDA error: GPU is lost",
    ],
)
def test_a_gpu_that_is_lost_is_told_as_that(tmp_path: Path, words: str) -> None:
    (log := tmp_path / "engine.log").write_text(f"{words}\n")
    report = crash_report(-signal.SIGABRT, log)
    assert (report.cause, report.is_of_memory) == ("the GPU was lost", False)
    assert "driver" in report.advice


def test_any_other_death_is_told_by_its_signal(tmp_path: Path) -> None:
    (log := tmp_path / "engine.log").write_text("memory: 12 MiB, device Vulkan0\n")
    report = crash_report(-signal.SIGSEGV, log)
    assert "segmentation fault" in report.cause
    assert not report.is_of_memory


def test_a_kill_is_for_want_of_memory_where_the_system_says_so(tmp_path: Path) -> None:
    (log := tmp_path / "engine.log").write_text("decoding\n")
    from_outside = crash_report(-signal.SIGKILL, log)
    assert (from_outside.is_of_memory, "killed from outside" in from_outside.cause) == (False, True)
    by_system = crash_report(-signal.SIGKILL, log, is_short=lambda: True)
    assert (by_system.is_of_memory, by_system.cause) == (True, "it ran out of memory")
    assert not crash_report(-signal.SIGSEGV, log, is_short=lambda: True).is_of_memory
    assert not crash_report(-signal.SIGKILL, log, "it did not end", lambda: True).is_of_memory, "we have ended it"
