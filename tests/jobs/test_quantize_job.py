"""A model of the library gets a smaller file beside it; whatever stops the job leaves the library as it was."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from app.jobs.job import Job, JobState
from app.jobs.leftovers import clear_leftovers
from app.jobs.quantize import Quantize, output_name
from app.jobs.queue import JobQueue
from app.library.entry import ModelEntry
from app.library.store import ModelStore
from app.paths import Paths
from backends.formats.gguf import read_header
from backends.ownership.directory import open_directory
from backends.ownership.lock import FolderLock
from backends.ownership.mark import write_mark
from tests.convert import sources
from tests.patience import PATIENCE

TEXT = "The quick brown fox doesn't jump over 12345 lazy dogs; it has slept.\n" * 60


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models ü")


@pytest.fixture
def entry(store: ModelStore, tmp_path: Path) -> ModelEntry:
    made = sources.write_llama(tmp_path)
    return store.add(made, publisher="tiny", repo="llama", name="Tiny", source="tiny/llama")


def run(work: Quantize, cancel_at_step: int | None = None) -> Job:
    queue, in_step = JobQueue(), threading.Event()

    def listen(snapshot: Job) -> None:
        if snapshot.step == cancel_at_step and snapshot.text:
            in_step.set()

    queue.subscribe(listen)
    handle = queue.add(work)
    try:
        if cancel_at_step is not None:
            assert in_step.wait(PATIENCE)
            handle.cancel()
        return handle.wait(PATIENCE)
    finally:
        queue.close()


def files(store: ModelStore) -> set[str]:
    return {path.name for path in store.models_dir.rglob("*")}


def test_the_smaller_file_lies_beside_its_source(store: ModelStore, entry: ModelEntry, tmp_path: Path) -> None:
    text = tmp_path / "my text.txt"
    text.write_text(TEXT)
    work = Quantize(store, tmp_path / "logs", entry, "Q2_K_S", makes_matrix=True, text=text)

    done = run(work)

    assert (done.title, done.error) == ("Quantize Tiny to Q2_K_S", None)
    assert done.steps == ("Importance matrix", "Quantize", "Add to the library")
    old, new = store.models()
    assert old == entry
    assert (new.id, new.name, new.source) == ("tiny/llama:Q2_K_S", "Tiny", "tiny/llama")
    assert new.path == entry.path.with_name("llama-Q2_K_S.gguf")
    assert read_header(new.path).metadata["quantize.imatrix.dataset"] == "my text.txt"
    assert not any(name.startswith(".") for name in files(store))

    again = run(work)

    assert again.state is JobState.FAILED
    assert again.error == "llama-Q2_K_S.gguf is in the library already. Remove it first to make it anew."


def test_called_off_or_refused_it_leaves_nothing(store: ModelStore, entry: ModelEntry, tmp_path: Path) -> None:
    before = files(store)
    called_off = run(Quantize(store, tmp_path / "logs", entry, "Q4_K_M", makes_matrix=True), cancel_at_step=0)
    refused = run(Quantize(store, tmp_path / "logs", entry, "IQ1_S"))
    assert called_off.state is JobState.CANCELLED
    assert refused.error is not None
    assert refused.error.startswith("IQ1_S needs an importance matrix")
    assert files(store) == before


def test_a_model_from_elsewhere_goes_into_the_library(store: ModelStore, tmp_path: Path) -> None:
    entry = store.find(str(sources.write_llama(tmp_path)))
    assert run(Quantize(store, tmp_path / "logs", entry, "Q8_0")).error is None
    (new,) = store.models()
    assert new.path.parent.parent.name == "local"


def test_what_a_killed_job_has_left_is_removed_and_what_is_at_work_stays(store: ModelStore) -> None:
    root = store.models_dir / ".quantizing"
    left, at_work = root / "left", root / "at-work"
    for folder in (left, at_work):
        folder.mkdir(parents=True)
        with open_directory(folder) as directory:
            write_mark(directory, "quantizing")
        (folder / "model.gguf.part").write_bytes(b"half")
    with open_directory(at_work) as directory:
        lock = FolderLock.take(directory)
    assert lock
    paths = replace(Paths.below(store.models_dir.parent), models=store.models_dir)
    assert clear_leftovers(paths) == []
    assert [folder.name for folder in root.iterdir()] == ["at-work"]
    lock.release()
    assert clear_leftovers(Paths.below(store.models_dir / "which is not there")) == []


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Model-7B-F16.gguf", "Model-7B-Q4_K_M.gguf"),
        ("model.bf16.gguf", "model-Q4_K_M.gguf"),
        ("model-Q8_0-00001-of-00003.gguf", "model-Q4_K_M.gguf"),
        ("q8_0.gguf", "q8_0-Q4_K_M.gguf"),
        ("Modell.gguf", "Modell-Q4_K_M.gguf"),
    ],
)
def test_the_new_name_says_the_new_type(source: str, target: str) -> None:
    assert output_name(Path(source), "Q4_K_M") == target


def test_a_workshop_that_another_process_takes_for_abandoned_is_not_worked_in(
    store: ModelStore, entry: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderLock, "take", lambda _directory: None)  # the other one was faster
    refused = run(Quantize(store, tmp_path / "logs", entry, "Q4_K_M"))
    assert refused.error is not None
    assert refused.error.startswith("Another Slipstream is tidying up")
    assert store.models() == [entry]
