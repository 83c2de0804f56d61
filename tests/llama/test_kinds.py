"""A sliding window, a hybrid, a purely recurrent model: what each says alone it says in company, and after going back."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.inference.supervisor import EngineHandle
from backends.protocol import CacheMiss, DraftMode, SamplingParams
from tests.llama import tiny_models
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, start, timings

WRITERS: dict[str, Callable[[Path], Path]] = {
    "sliding": tiny_models.write_sliding,
    "hybrid": tiny_models.write_hybrid,
    "recurrent": tiny_models.write_recurrent,
}
HEAD = tuple(range(20, 120))  # far beyond the window of 16
PROMPTS = [(*HEAD[: 30 + 17 * n], *range(300 + n, 340 + 2 * n)) for n in range(4)]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("kinds")
    return {kind: write(folder / f"{kind}.gguf") for kind, write in WRITERS.items()}


@pytest.fixture(params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def alone(load: Load, model: Path, prompts: list[tuple[int, ...]], **fields: object) -> list[str]:
    """Every prompt in an engine that has seen nothing."""
    said = []
    for prompt in prompts:
        handle = load(model, name="alone", draft=DraftMode.OFF, parallel=1, **EXACT)
        said.append(start(handle, prompt, **fields).wait().text)
    return said


def test_a_batch_changes_no_text(load: Load, models: dict[str, Path], kind: str) -> None:
    expected = alone(load, models[kind], PROMPTS)
    assert len(set(expected)) == len(expected)
    handle = load(models[kind], draft=DraftMode.OFF, **EXACT)
    answers = [start(handle, prompt) for prompt in PROMPTS]
    assert [answer.wait().text for answer in answers] == expected
