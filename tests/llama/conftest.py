"""A tiny random Llama and a draft for it, converted for real and loaded by a real engine child."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.inference import engine_process
from app.inference.preflight import Preflight
from app.inference.supervisor import EngineHandle, Supervisor
from app.jobs.convert import convert_checkpoint
from backends.protocol import EngineOptions
from tests.convert import checkpoints
from tests.engine.restless import MAIN, num_said
from tests.inference.conftest import SECONDS
from tests.tried import tried

Load = Callable[..., EngineHandle]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory, "tiny")


@pytest.fixture(scope="session")
def tiny_draft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The very same weights: a draft whose guesses hold."""
    return make_model(tmp_path_factory, "draft")


@pytest.fixture(scope="session")
def other_vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory, "other", kind="smollm")


def make_model(factory: pytest.TempPathFactory, name: str, kind: str = "qwen2", **changes: object) -> Path:
    folder = factory.mktemp(name)
    checkpoints.write(folder / "checkpoint", checkpoints.config(max_position_embeddings=2048, **changes), kind=kind)
    convert_checkpoint(folder / "checkpoint", folder / f"{name}.gguf", "f32", logs=folder)
    return folder / f"{name}.gguf"


@pytest.fixture
def restless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test's engines, of a supervisor that logs to `logs`, have caches that change their size at random."""
    monkeypatch.setattr(engine_process, "ENTRY", MAIN)
    yield
    assert num_said(tmp_path / "logs"), "no cache changed its size"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs", Preflight(tried(tmp_path / "cache"), tmp_path / "logs"))
    yield supervisor
    supervisor.close()


@pytest.fixture
def load(supervisor: Supervisor) -> Load:
    def load(model: Path, name: str = "tiny", **options: object) -> EngineHandle:
        handle = supervisor.load(name, model, EngineOptions(**options))  # type: ignore[arg-type]
        handle.wait_ready(SECONDS)
        return handle

    return load
