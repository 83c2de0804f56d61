"""The guide's checkpoint becomes an installed model with its draft; whatever stops it leaves no half."""

import threading
from pathlib import Path

import pytest

from app.jobs.install_guide import InstallGuide
from app.jobs.job import Job, JobState
from app.jobs.queue import JobQueue
from app.library.store import ModelStore
from app.paths import Paths
from backends.formats.gguf import read_header
from backends.ownership.directory import open_directory
from backends.ownership.mark import write_mark
from tests.convert import checkpoints
from tests.patience import PATIENCE


@pytest.fixture
def job(tmp_path: Path) -> InstallGuide:
    guide, draft = tmp_path / "guide", tmp_path / "guide" / "draft"
    checkpoints.write(guide, checkpoints.config(num_hidden_layers=4))
    checkpoints.write(draft, checkpoints.config(num_hidden_layers=1, tie_word_embeddings=True))
    return InstallGuide(Paths.below(tmp_path / "home ü"), guide, draft, "Slipstream Guide")


def run(job: InstallGuide, cancel_in_step: int | None = None) -> tuple[Job, list[Job]]:
    queue = JobQueue()
    heard: list[Job] = []
    in_step = threading.Event()

    def listen(snapshot: Job) -> None:
        heard.append(snapshot)
        if snapshot.text and snapshot.step == cancel_in_step:
            in_step.set()

    queue.subscribe(listen)
    handle = queue.add(job)
    if cancel_in_step is not None:
        assert in_step.wait(PATIENCE)
        handle.cancel()
    try:
        return handle.wait(PATIENCE), heard
    finally:
        queue.close()


def test_it_installs_the_guide_with_its_draft(job: InstallGuide) -> None:
    left, foreign = job.paths.cache / "guide-left", job.paths.cache / "guide-of-paris"
    for folder in (left, foreign):
        folder.mkdir(parents=True)
    with open_directory(left) as directory:  # by a killed installation
        write_mark(directory, "guide")

    done, heard = run(job)
    assert (done.state, done.error) == (JobState.DONE, None)
    assert {snapshot.step for snapshot in heard} == {0, 1, 2, 3}
    fractions = [snapshot.fraction for snapshot in heard]
    assert fractions == sorted(fractions)

    (entry,) = ModelStore(job.paths.models).models()
    assert (entry.id, entry.name, entry.problem) == ("slipstream/guide", "Slipstream Guide", None)
    assert entry.path == job.paths.models / "slipstream" / "guide" / "slipstream-guide-Q4_K_M.gguf"
    assert (entry.quantization, entry.architecture) == ("Q4_K_M", "llama")
    assert entry.draft == entry.path.with_name("slipstream-guide-draft-F16.gguf")
    assert entry.draft is not None
    assert read_header(entry.draft).number("block_count") == 1
    assert list(job.paths.cache.iterdir()) == [foreign]

    again, _ = run(job)
    assert again.state is JobState.DONE
    assert [e.id for e in ModelStore(job.paths.models).models()] == ["slipstream/guide"]


@pytest.mark.parametrize("step", [0, 1])
def test_cancelled_it_leaves_nothing(step: int, job: InstallGuide) -> None:
    done, _ = run(job, cancel_in_step=step)
    assert done.state is JobState.CANCELLED
    assert ModelStore(job.paths.models).models() == []
    assert list(job.paths.cache.iterdir()) == []


def test_a_broken_checkpoint_is_a_sentence(job: InstallGuide) -> None:
    (job.draft / "model.safetensors").unlink()
    done, _ = run(job)
    assert done.state is JobState.FAILED
    assert done.error is not None
    assert "model.safetensors is missing" in done.error
    assert ModelStore(job.paths.models).models() == []
