"""SmolLM2 in a real engine child, loaded once for a module's tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.inference.preflight import Preflight
from app.inference.supervisor import EngineHandle, Supervisor
from backends.protocol import EngineOptions, KVType
from tests.inference.conftest import SECONDS
from tests.tried import tried

KV_Q8 = EngineOptions(context=2048, kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0)


@pytest.fixture(scope="module")
def real_supervisor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    yield from _supervisor(tmp_path_factory.mktemp("real"))


@pytest.fixture
def own_supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Of one test."""
    yield from _supervisor(tmp_path)


def _supervisor(folder: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(folder / "logs", Preflight(tried(folder / "cache"), folder / "logs"))
    yield supervisor
    supervisor.close()


@pytest.fixture(scope="module")
def engine(real_supervisor: Supervisor, smollm2: Path) -> EngineHandle:
    """With a quantized KV cache and drafting by look-up, as the settings' defaults may have it."""
    handle = real_supervisor.load("smollm2", smollm2, KV_Q8)
    handle.wait_ready(SECONDS)
    return handle


@pytest.fixture
def own_copy(smollm2: Path, tmp_path: Path) -> Path:
    """Where a test may write beside it."""
    return Path(shutil.copy(smollm2, tmp_path / smollm2.name))
