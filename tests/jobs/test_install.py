"""From a repository of the Hub to a model in the library, in steps that are never done twice."""

import errno
import hashlib
import shutil
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from app.errors import AlreadyThere, ConversionError, InstallError, ModelFileError
from app.jobs.child import OnProgress
from app.jobs.job import JobState
from app.jobs.workshop import PURPOSE
from app.library.store import ModelStore
from backends.child import Progress
from backends.ownership.directory import Directory, open_directory
from backends.ownership.lock import FolderLock
from backends.ownership.mark import write_mark
from tests.hub.double import HubDouble, HubRepo
from tests.jobs.installing import REPO, all_files, application, checkpoint_repo
from tests.library import gguf_bytes
from tests.patience import PATIENCE

NAME = f"{REPO}:Q4_K_M"
FILE = "org/tiny/tiny-Q4_K_M.gguf"
STEPS = ("Download", "Convert", "Quantize", "Measure", "Add")
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> HubRepo:
    return checkpoint_repo(tmp_path_factory.mktemp("hub") / "tiny")


@pytest.fixture
def double(hub_double: HubDouble, checkpoint: HubRepo) -> HubDouble:
    hub_double.add(checkpoint)
    hub_double.add(HubRepo("org/whole-GGUF", {"whole-Q4_K_M.gguf": gguf_bytes.model(), "README.md": b"# A model"}))
    return hub_double


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home ü"


class Cards:
    """Measures nothing, but writes down what it was asked to measure."""

    def __init__(self, error: Exception | None = None):
        self.asked: list[tuple[str, str, bool]] = []
        self._error = error

    def __call__(self, file: Path, against: Path | None, on_progress: OnProgress, _cancelled: threading.Event) -> None:
        assert against is not None
        self.asked.append((file.name, against.name, against.is_file()))
        on_progress(Progress(0.5, "measuring"))
        if self._error:
            raise self._error


def test_a_checkpoint_becomes_a_model_with_its_card(double: HubDouble, home: Path) -> None:
    cards = Cards()
    with application(home, double, cards) as app:
        job_id = app.install(NAME)
        job = app.done(job_id)
        installed = app.queue.handle(job_id).result
    assert job.steps == STEPS
    fractions = [snapshot.fraction for snapshot in app.heard]
    assert fractions == sorted(fractions)
    assert {snapshot.step for snapshot in app.heard if snapshot.text} == set(range(5))
    assert cards.asked == [("tiny-Q4_K_M.gguf", "full-F16.gguf", True)]
    (entry,) = ModelStore(app.paths.models).models()
    assert (entry.quantization, entry.source, entry.problem) == ("Q4_K_M", REPO, None)
    assert entry.sha256 == hashlib.sha256(entry.path.read_bytes()).hexdigest()
    assert installed.entry == entry
    assert {file for file in all_files(home) if not file.startswith("logs/")} == {
        f"models/{FILE}",
        "models/org/tiny/manifest.json",
    }


def test_a_model_without_a_card_is_a_model_all_the_same(double: HubDouble, home: Path) -> None:
    with application(home, double, Cards(ConversionError("The text is too short."))) as app:
        job_id = app.install(NAME)
        job = app.done(job_id)
        assert "could not be measured: The text is too short." in job.text
        assert app.queue.handle(job_id).result.note == job.text
        assert len(app.store.models()) == 1


def test_unquantized_types_skip_the_step(double: HubDouble, home: Path) -> None:
    with application(home, double) as app:
        job = app.done(app.install(f"{REPO}:F16"))
    assert job.steps == ("Download", "Convert", "Add")
    (entry,) = app.store.models()
    assert (entry.path.name, entry.quantization) == ("tiny-F16.gguf", "F16")


def test_the_smallest_types_are_calibrated_first(
    double: HubDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def pretend_matrix(model: Path, target: Path, **_: object) -> None:
        asked.append((model.name, target.name))
        target.write_bytes(b"a matrix")

    monkeypatch.setattr("app.jobs.install.make_imatrix", pretend_matrix)
    with application(home, double) as app:
        job_id = app.install(f"{REPO}:IQ2_XS")
        job = app.wait_for(job_id, lambda job: job.state.is_final)
    assert job.steps == ("Download", "Convert", "Calibrate", "Quantize", "Add")
    assert asked == [("full-F16.gguf", "imatrix.gguf")]
    assert job.error  # the quantizer was handed it, and says that it is none
    assert "imatrix.gguf" in job.error


def test_a_gguf_file_is_checked_and_added(double: HubDouble, home: Path) -> None:
    with application(home, double) as app:
        job = app.done(app.install("org/whole-GGUF"))
    assert job.steps == ("Download", "Check", "Add")
    (entry,) = app.store.models()
    assert entry.sha256 == hashlib.sha256(gguf_bytes.model()).hexdigest()
    assert all_files(home) == {f"models/org/whole-GGUF/{name}" for name in ("whole-Q4_K_M.gguf", "manifest.json")}


def test_a_file_that_is_no_model_is_refused_and_can_be_removed(double: HubDouble, home: Path) -> None:
    double.add(HubRepo("org/bad", {"bad-Q4_K_M.gguf": b"GGUF" + b"\xff" * 100}))
    with application(home, double) as app:
        job_id = app.install("org/bad")
        job = app.wait(job_id, JobState.FAILED)
        assert job.error
        assert "bad-Q4_K_M.gguf" in job.error
        assert app.store.models() == []
        app.installs.cancel(job_id)
        assert app.folders() == []


def _fetched(double: HubDouble) -> set[str]:
    return {seen.path.rpartition("/")[2] for seen in double.requests if "/resolve/" in seen.path}


def test_a_checkpoint_can_be_kept_as_it_is(double: HubDouble, home: Path) -> None:
    with application(home, double) as app:
        job_id = app.install(REPO, converts=False)
        app.done(job_id)
        installed = app.queue.handle(job_id).result
    assert installed.path == app.paths.models / "org/tiny/checkpoint"
    names = {path.name for path in installed.path.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert app.folders() == []


def test_a_checkpoint_that_is_kept_once_more_is_not_fetched_again(double: HubDouble, home: Path) -> None:
    with application(home, double) as app:
        app.done(app.install(REPO, converts=False))
        before = all_files(home)
        double.requests.clear()
        app.done(app.install(REPO, converts=False))
        assert all_files(home) == before
    assert _fetched(double) == set()


def test_paused_in_every_step_it_goes_on_there(double: HubDouble, home: Path) -> None:
    throttle = double.fail(on="/cdn/*", bytes_per_second=8_000_000)
    with application(home, double, Cards()) as app:
        job_id = app.install(NAME)
        for step in range(4):
            app.wait_for(job_id, lambda job, step=step: job.step == step and bool(job.text))
            app.installs.pause(job_id)
            paused = app.wait(job_id, JobState.PAUSED)
            num_heard = len(app.heard)
            app.installs.resume(job_id)
            app.wait_for(job_id, lambda job, step=paused.step: job.state is JobState.RUNNING and job.step >= step)
            assert all(job.step >= step for job in app.heard[num_heard:])
            if throttle in double.faults:
                double.faults.remove(throttle)
        app.done(job_id)
        assert [entry.id for entry in app.store.models()] == [REPO]
        assert app.folders() == []


def test_after_a_quit_it_goes_on_by_itself_but_what_was_paused_waits(double: HubDouble, home: Path) -> None:
    double.fail(on="/cdn/*", bytes_per_second=100_000)
    with application(home, double) as app:
        goes_on, waits = app.install(NAME), app.install(f"{REPO}:F16")
        for job_id in (goes_on, waits):
            app.wait_for(job_id, lambda job: bool(job.text))
        app.installs.pause(waits)
        app.wait(waits, JobState.PAUSED)
    double.faults.clear()
    with application(home, double) as app:
        assert app.installs.recover() == []
        states = {job.title: job.state for job in app.queue.jobs()}
        assert states.pop(f"{REPO} as F16") is JobState.PAUSED
        (job_id,) = [job.id for job in app.queue.jobs() if job.state is not JobState.PAUSED]
        app.done(job_id)
        assert [entry.quantization for entry in app.store.models()] == ["Q4_K_M"]
        again = app.install(f"{REPO}:F16")  # asked for once more, it is taken up
        app.done(again)
        assert [(entry.id, entry.quantization) for entry in app.store.models()] == [
            ("org/tiny", "Q4_K_M"),
            ("org/tiny:F16", "F16"),
        ]


def test_a_download_tells_bytes_and_speed_and_a_paused_one_is_as_far_after_a_restart(
    double: HubDouble, home: Path
) -> None:
    double.fail(on="/cdn/*", bytes_per_second=1_000_000)
    with application(home, double) as app:
        job_id = app.install(NAME)
        app.wait_for(job_id, lambda job: " of " in job.text and "B/s" in job.text and job.fraction > 0)
        app.installs.pause(job_id)
        before = app.wait(job_id, JobState.PAUSED)
    with application(home, double) as app:
        assert app.installs.recover() == []
        (again,) = app.queue.jobs()
    assert again.state is JobState.PAUSED
    assert again.fraction == pytest.approx(before.fraction, abs=0.05)
    assert again.fraction > 0


def test_a_file_that_was_moved_but_not_yet_listed_is_listed_at_the_next_try(
    double: HubDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ModelFileError("The disk is full.")

    with application(home, double) as app:
        with monkeypatch.context() as patch:
            patch.setattr("app.library.store.write_manifest", full)
            job_id = app.install("org/whole-GGUF")
            assert app.wait(job_id, JobState.FAILED).error == "The disk is full."
        double.requests.clear()
        app.installs.retry(job_id)
        app.done(job_id)
        assert [entry.problem for entry in app.store.models()] == [None]
    assert double.requests == []


def test_what_is_there_or_on_its_way_is_not_fetched_again(double: HubDouble, home: Path) -> None:
    double.add(HubRepo("other/copy", {"renamed-Q4_K_M.gguf": gguf_bytes.model()}))
    with application(home, double) as app:
        double.fail(on="/cdn/*", bytes_per_second=100_000)
        job_id = app.install(NAME)
        with pytest.raises(AlreadyThere, match="being installed already") as on_its_way:
            app.install(NAME)
        assert on_its_way.value.job_id == job_id
        double.faults.clear()
        app.done(job_id)
        with pytest.raises(AlreadyThere, match="in the library already, as “org/tiny”") as there:
            app.install(NAME)
        assert there.value.model_id == REPO
        app.done(app.install("org/whole-GGUF"))
        with pytest.raises(AlreadyThere, match="as “org/whole-GGUF”"):
            app.install("other/copy")  # the same bytes under another name


def test_a_full_disk_is_told_before_the_first_byte(
    double: HubDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 1_000_000))
    with application(home, double) as app:
        job = app.wait(app.install(NAME), JobState.FAILED)
    assert job.error
    assert "more than is free in" in job.error
    assert {seen.path.split("/")[1] for seen in double.requests} == {"api"}


def test_cancelled_it_leaves_nothing(double: HubDouble, home: Path) -> None:
    double.fail(on="/cdn/*", bytes_per_second=100_000)
    with application(home, double) as app:
        running, paused = app.install(NAME), app.install(f"{REPO}:Q8_0")
        for job_id in (running, paused):
            app.wait_for(job_id, lambda job: bool(job.text))
        app.installs.pause(paused)
        app.wait(paused, JobState.PAUSED)
        for job_id in (running, paused):
            app.installs.cancel(job_id)
            app.wait(job_id, JobState.CANCELLED)
            app.queue.handle(job_id).finished.wait(PATIENCE)
        assert app.folders() == []
    assert all_files(home) == set()


def _marked(folder: Path) -> None:
    folder.mkdir(parents=True)
    with open_directory(folder) as directory:
        write_mark(directory, PURPOSE)


def test_broken_folders_are_cleared_and_foreign_ones_left_alone(double: HubDouble, home: Path) -> None:
    with application(home, double) as app:
        root = app.paths.models / ".installs"
        for name, record in {"empty": None, "damaged": "{", "hostile": '{"version": 1, "request": {}}'}.items():
            _marked(root / name)
            if record is not None:
                (root / name / "install.json").write_text(record)
        _marked(root / "busy")
        (root / "foreign").mkdir()
        (root / "foreign" / "letter").write_text("a person's")
        with open_directory(root / "busy") as busy:
            lock = FolderLock.take(busy)
        assert lock is not None
        outside = home / "outside"
        outside.mkdir()
        (root / "link").symlink_to(outside, target_is_directory=True)
        notices = app.installs.recover()
        lock.release()
        assert [folder.name for folder in app.folders()] == ["busy", "foreign", "link"]
        assert outside.is_dir()
        assert (root / "foreign" / "letter").exists()
    assert len(notices) == 2
    assert all("cleared away" in notice for notice in notices)


def test_the_library_does_not_list_what_is_unfinished(double: HubDouble, home: Path) -> None:
    with application(home, double) as app:
        folder = app.paths.models / ".installs" / "half"
        folder.mkdir(parents=True)
        (folder / "whole.gguf").write_bytes(gguf_bytes.model())
        assert app.store.models() == []


def test_a_name_that_means_nothing_is_told_with_what_there_is(double: HubDouble, home: Path) -> None:
    with application(home, double) as app:
        with pytest.raises(InstallError, match=r"org/whole-GGUF has no “Q9_Z”.*Q4_K_M"):
            app.install("org/whole-GGUF:Q9_Z")
        with pytest.raises(InstallError, match="only a checkpoint"):
            app.install(NAME, converts=False)


def test_a_checkpoint_that_was_kept_is_not_fetched_again(double: HubDouble, home: Path) -> None:
    with application(home, double) as app:
        app.done(app.install(REPO, converts=False))
        double.requests.clear()
        app.done(app.install(f"{REPO}:F16"))
        assert _fetched(double) == set()
        assert [entry.quantization for entry in app.store.models()] == ["F16"]
        kept = app.paths.models / "org/tiny/checkpoint/model.safetensors"
        kept.write_bytes(bytes(kept.stat().st_size))  # damaged since: found out by its hash
        app.done(app.install(f"{REPO}:BF16"))
        assert _fetched(double) == {"model.safetensors"}
        assert not any(kept.read_bytes())


def test_other_bytes_of_the_repository_take_the_place_of_an_install_that_rests(double: HubDouble, home: Path) -> None:
    """“Open the repository's page anew and download again”, says the failure."""
    old = gguf_bytes.model()
    new = old[:-1] + b"\1"
    double.add(HubRepo("org/moving", {"m-Q4_K_M.gguf": old}))
    with application(home, double) as app:
        double.fail(on="*/resolve/*", status=404, times=1)
        failed = app.install("org/moving")
        app.wait(failed, JobState.FAILED)
        double.add(HubRepo("org/moving", {"m-Q4_K_M.gguf": new}))
        job_id = app.install("org/moving")
        app.done(job_id)
        assert job_id != failed
        assert app.queue.job(failed).state is JobState.CANCELLED
        (entry,) = app.store.models()
        assert entry.path.read_bytes() == new
        assert app.folders() == []


def test_the_same_bytes_of_a_new_commit_are_gone_on_with(double: HubDouble, home: Path) -> None:
    """The old commit may be gone from the Hub."""
    files = {"m-Q4_K_M.gguf": gguf_bytes.model()}

    def commit(number: int) -> None:
        double.add(HubRepo("org/moving", {**files, "README.md": b"%d" % number}))

    commit(1)
    double.fail(on="*/resolve/*gguf", status=404, times=1)
    with application(home, double) as app:
        app.wait(app.install("org/moving"), JobState.FAILED)
        folders = app.folders()
    commit(2)
    double.fail(on="/cdn/*", stall_after=0)
    with application(home, double) as app:
        job_id = app.install("org/moving")
        assert app.folders() == folders
        app.wait_for(job_id, lambda job: bool(job.text))
        app.installs.pause(job_id)
        app.wait(job_id, JobState.PAUSED)
        commit(3)
        double.faults.clear()
        assert app.install("org/moving") == job_id
        app.done(job_id)


def test_what_another_process_installs_is_left_to_it(double: HubDouble, home: Path) -> None:
    double.fail(on="/cdn/*", stall_after=0)
    with application(home, double) as first, application(home, double) as second:
        job_id = first.install("org/whole-GGUF")
        with pytest.raises(AlreadyThere, match="is in the hands of another Slipstream"):
            second.install("org/whole-GGUF")
        assert len(second.folders()) == 1
        first.installs.cancel(job_id)
        first.wait(job_id, JobState.CANCELLED)
        first.queue.handle(job_id).finished.wait(PATIENCE)
        double.faults.clear()
        second.done(second.install("org/whole-GGUF"))


def test_a_disk_without_room_leaves_no_folder_and_keeps_nobody_from_pausing(
    double: HubDouble, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with application(home, double) as app:
        with monkeypatch.context() as patch:
            patch.setattr("app.jobs.install_record.replace_file", full)
            with pytest.raises(InstallError, match="no space left on device"):
                app.install("org/whole-GGUF")
        assert app.folders() == []
        double.fail(on="/cdn/*", stall_after=0)
        job_id = app.install("org/whole-GGUF")
        app.wait_for(job_id, lambda job: bool(job.text))
        with monkeypatch.context() as patch:
            patch.setattr(Directory, "create", full)
            app.installs.pause(job_id)
            app.wait(job_id, JobState.PAUSED)


def test_a_disk_that_fails_is_a_sentence(double: HubDouble, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "somewhere")

    monkeypatch.setattr("app.jobs.workshop.Workshop.require_space", broken)
    with application(home, double) as app:
        job = app.wait(app.install("org/whole-GGUF"), JobState.FAILED)
    assert job.error == (
        "somewhere cannot be used: Read-only file system. What is done is kept. Look at the disk, then try again."
    )
