"""A real checkpoint on the Hub becomes a model that answers: download, convert, quantize, add, chat."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.inference.supervisor import Supervisor
from app.jobs.job import JobState
from backends.formats.gguf import read_header
from backends.protocol import GREEDY, EngineOptions
from tests.hub.conftest import hub_double, running_double
from tests.hub.double import HubDouble, HubRepo
from tests.inference.conftest import ask
from tests.jobs.installing import application
from tests.real import things

__all__ = ["hub_double", "running_double"]
pytestmark = pytest.mark.real
REPO = "HuggingFaceTB/SmolLM2-135M-Instruct"
PARAMETERS = 134_515_008
SECONDS = 240


@pytest.fixture
def double(hub_double: HubDouble) -> HubDouble:
    files: dict[str, bytes | Path] = {path.name: path for path in sorted(things.smollm2_checkpoint().iterdir())}
    hub_double.add(HubRepo(REPO, files, safetensors={"parameters": {"BF16": PARAMETERS}, "total": PARAMETERS}))
    return hub_double


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs")
    yield supervisor
    supervisor.close()


def test_smollm2_of_the_hub_answers(double: HubDouble, supervisor: Supervisor, tmp_path: Path) -> None:
    with application(tmp_path / "home", double) as app:
        job_id = app.install(f"{REPO}:Q4_K_M")
        with app.changed:
            assert app.changed.wait_for(lambda: app.queue.job(job_id).state.is_final, SECONDS), app.heard[-3:]
        job = app.queue.job(job_id)
        assert (job.state, job.error) == (JobState.DONE, None)
        (entry,) = app.store.models()
    assert (entry.quantization, entry.source, entry.problem) == ("Q4_K_M", REPO, None)
    header = read_header(entry.path).metadata
    assert header["tokenizer.ggml.pre"] == "smollm"
    template = json.loads((things.smollm2_checkpoint() / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert header["tokenizer.chat_template"] == template["chat_template"]
    handle = supervisor.load("smollm2", entry.path, EngineOptions(context=1024))
    handle.wait_ready(SECONDS)
    answer = ask(handle, "What is the capital of France? Answer in one sentence.", sampling=GREEDY, max_tokens=48)
    assert "Paris" in answer.wait().text
