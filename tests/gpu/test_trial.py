"""A build for GPUs beside the installed one, measured by the children that a load would measure it by."""

import os
from pathlib import Path

import pytest

from app.builds.build import Build
from app.builds.comparison import wrong
from app.builds.shelf import Shelf
from app.builds.trial import Trial
from backends.with_build import LIBRARIES

pytestmark = pytest.mark.gpu


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(Shelf(tmp_path / "builds"), tmp_path / "state.json", tmp_path / "logs")


@pytest.fixture
def build() -> Build:
    return Build("gpu", Path(os.environ[LIBRARIES]))


def test_it_says_which_devices_it_finds(trial: Trial, build: Build) -> None:
    report = trial.inspect(build, trial.inspect(Build("installed")).version)
    assert report.problem is None
    assert report.supports_gpu
    assert report.gpus
    assert report.gpus[0].total > 1 << 30


def test_it_computes_what_the_processor_does_and_stays_only_if_it_is_as_quick(trial: Trial, build: Build) -> None:
    own, installed = (trial._canary(each, None) for each in (build, Build("installed")))
    assert wrong(own, installed) is None
    assert own.device != "CPU"
    outcome = trial.judge(build)
    assert outcome.build.name in ("gpu", "installed")
    assert (outcome.note is None) is (outcome.build.name == "gpu")
    if outcome.note:
        assert "tokens/s where the other does" in outcome.note
