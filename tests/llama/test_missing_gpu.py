"""A build for GPUs that finds none says so at each load."""

from pathlib import Path

import pytest

from backends.llama import missing_gpu as module
from backends.llama.missing_gpu import missing_gpu
from backends.llama.native import NativeDevice
from backends.protocol import EngineOptions

CPU = NativeDevice("CPU", "AMD EPYC", False, 1, 1)
GPU = NativeDevice("CUDA0", "RTX 4090", True, 1, 1)


@pytest.fixture
def cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libggml-cuda.so").write_bytes(b"")
    monkeypatch.setattr(module, "libraries", lambda: tmp_path)


@pytest.mark.usefixtures("cuda")
def test_a_driver_that_is_gone_is_told() -> None:
    (note,) = missing_gpu((CPU,), EngineOptions())
    assert note.startswith("The GPU is not used, because the engine build for cuda finds no GPU")


@pytest.mark.usefixtures("cuda")
def test_nothing_is_told_where_one_is_found_or_none_is_wanted() -> None:
    assert missing_gpu((GPU, CPU), EngineOptions()) == ()
    assert missing_gpu((CPU,), EngineOptions(gpu_layers=0)) == ()


def test_the_build_of_the_processor_misses_none() -> None:
    assert missing_gpu((CPU,), EngineOptions()) == ()
