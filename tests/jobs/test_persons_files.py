"""What a person has put into the models' folder is never written over, and no link on the way is followed."""

import os
import sys
from pathlib import Path

import pytest

from app.jobs.job import Job, JobState
from app.library.checkpoint_folder import contents
from tests.hub.double import HubDouble, HubRepo
from tests.jobs.installing import REPO, Application, application, checkpoint_repo
from tests.library import gguf_bytes


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> HubRepo:
    return checkpoint_repo(tmp_path_factory.mktemp("hub") / "tiny")


@pytest.fixture
def double(hub_double: HubDouble, checkpoint: HubRepo) -> HubDouble:
    hub_double.add(checkpoint)
    hub_double.add(HubRepo("org/whole-GGUF", {"whole-Q4_K_M.gguf": gguf_bytes.model()}))
    return hub_double


def failed(app: Application, name: str) -> Job:
    job_id = app.install(name, converts=False)
    job = app.wait_for(job_id, lambda job: job.state in (JobState.FAILED, JobState.DONE))
    assert job.state is JobState.FAILED
    return job


def _fetched(double: HubDouble) -> list[str]:
    return [seen.path for seen in double.requests if "/resolve/" in seen.path]


@pytest.mark.parametrize("is_of_that_size", [False, True])
def test_a_persons_own_config_stays(
    double: HubDouble, checkpoint: HubRepo, tmp_path: Path, is_of_that_size: bool
) -> None:
    mine = b"m" * len(checkpoint.files["config.json"]) if is_of_that_size else b"mine"
    with application(tmp_path, double) as app:
        config = app.paths.models / REPO / "checkpoint" / "config.json"
        config.parent.mkdir(parents=True)
        config.write_bytes(mine)
        job = failed(app, REPO)
        assert job.error
        assert f"{config} lies there already" in job.error
        assert bool(_fetched(double)) is is_of_that_size, "else it is known before the download"
    assert config.read_bytes() == mine
    assert os.listdir(config.parent) == ["config.json"]


def test_what_an_earlier_pull_has_brought_is_renewed_and_what_a_person_added_is_kept(
    double: HubDouble, checkpoint: HubRepo, tmp_path: Path
) -> None:
    with application(tmp_path, double) as app:
        app.done(app.install(REPO, converts=False))
        folder = app.paths.models / REPO / "checkpoint"
        (folder / "config.json").write_bytes(b"{}")
        (folder / "thesis.safetensors").write_text("mine")
        app.done(app.install(REPO, converts=False))
    assert (folder / "config.json").read_bytes() == checkpoint.files["config.json"]
    assert (folder / "thesis.safetensors").read_text() == "mine"


def test_the_same_files_of_a_version_that_kept_no_record_are_taken_over(double: HubDouble, tmp_path: Path) -> None:
    with application(tmp_path, double) as app:
        app.done(app.install(REPO, converts=False))
        folder = app.paths.models / REPO / "checkpoint"
        (folder / ".slipstream-checkpoint.json").unlink()
        double.requests.clear()
        app.done(app.install(REPO, converts=False))
        assert _fetched(double) == []
        (folder / "thesis.safetensors").write_text("mine")
        assert [path.name for path in contents(folder).others] == ["thesis.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("link", ["org", "org/tiny", "org/tiny/checkpoint"])
def test_no_link_on_the_way_is_followed_by_a_checkpoint(double: HubDouble, tmp_path: Path, link: str) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "config.json").write_text("mine")
    with application(tmp_path / "home", double) as app:
        path = app.paths.models / link
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(precious, target_is_directory=True)
        job = failed(app, REPO)
        assert job.error
        assert f"{path} is a link" in job.error
    assert _fetched(double) == []
    assert {file.name: file.read_text() for file in precious.iterdir()} == {"config.json": "mine"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_no_link_on_the_way_is_followed_by_a_model(double: HubDouble, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    with application(tmp_path / "home", double) as app:
        path = app.paths.models / "org" / "whole-GGUF"
        path.parent.mkdir(parents=True)
        path.symlink_to(precious, target_is_directory=True)
        job = failed(app, "org/whole-GGUF")
        assert job.error
        assert f"{path} is a link" in job.error
    assert list(precious.iterdir()) == []
