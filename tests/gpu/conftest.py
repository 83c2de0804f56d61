"""A device that llama.cpp takes for a GPU: the software one of `make gpu-test`, or a real one.

Models are tiny: the software device computes a few million weights in a second.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.inference.supervisor import EngineHandle, Supervisor
from app.jobs.child import run_in_child
from backends.protocol import EngineOptions
from backends.with_build import LIBRARIES
from tests.gpu import stand_in
from tests.inference.conftest import SECONDS
from tests.llama.conftest import make_model

Load = Callable[..., EngineHandle]
LAYER = "VK_LAYER_SLIPSTREAM_lost"


@pytest.fixture(autouse=True)
def _device() -> None:
    if LIBRARIES not in os.environ:
        pytest.fail("These tests need an engine build with a GPU. Run: make gpu-test")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory, "tiny", num_hidden_layers=4)


@pytest.fixture(scope="session")
def draft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory, "draft", num_hidden_layers=4)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Without the self-test: its prompt of 1,024 tokens takes minutes on a software device."""
    supervisor = Supervisor(tmp_path / "logs")
    yield supervisor
    supervisor.close()


@pytest.fixture
def load(supervisor: Supervisor) -> Load:
    def load(model: Path, name: str = "tiny", **options: object) -> EngineHandle:
        handle = supervisor.load(name, model, EngineOptions(**options))  # type: ignore[arg-type]
        handle.wait_ready(SECONDS)
        return handle

    return load


@pytest.fixture
def in_child(tmp_path: Path) -> Callable[..., object]:
    """Calls a function of `tests.gpu.children` in a process of its own."""

    def call(name: str, **arguments: object) -> object:
        return run_in_child(f"tests.gpu.children:{name}", log_path=tmp_path / f"{name}.log", **arguments)

    return call


@pytest.fixture
def lost_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Loses the device of the engines that start from now on, when it is called."""
    headers = stand_in.home() / "headers" / "root" / "usr" / "include"
    if not headers.is_dir():
        pytest.skip("only a software device can be lost at will")
    sign, layer = tmp_path / "lost", tmp_path / "layer"
    layer.mkdir()
    source = Path(__file__).with_name("lost_device.c")
    command = ["cc", "-shared", "-fPIC", "-O1", f"-I{headers}", "-o", str(layer / "liblost.so"), str(source)]
    subprocess.run(command, check=True)
    described = {
        "name": LAYER,
        "type": "GLOBAL",
        "library_path": str(layer / "liblost.so"),
        "api_version": "1.3.0",
        "implementation_version": "1",
        "description": "loses a device",
    }
    (layer / "lost.json").write_text(json.dumps({"file_format_version": "1.1.0", "layer": described}))
    monkeypatch.setenv("VK_LAYER_PATH", str(layer))
    monkeypatch.setenv("VK_INSTANCE_LAYERS", LAYER)
    monkeypatch.setenv("SLIPSTREAM_LOST", str(sign))
    return sign.touch
