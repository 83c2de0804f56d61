from pathlib import Path

import pytest

from app.paths import HOME_VARIABLE, Paths


def test_slipstream_home_moves_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "a home with ünïcode"
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    paths = Paths.from_environment()
    paths.ensure()
    paths.ensure()
    folders = [paths.config, paths.data, paths.models, paths.cache, paths.logs]
    assert sorted(folders) == sorted(home.iterdir())
    assert paths.settings_file.parent == paths.config
    assert paths.database_file.parent == paths.data


def test_without_it_the_systems_folders_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    paths = Paths.from_environment()
    assert all("slipstream" in str(f).lower() for f in (paths.config, paths.data, paths.models, paths.cache))
    assert len({paths.config, paths.data, paths.cache, paths.logs}) >= 3 or paths.config == paths.data


def test_a_relative_home_does_not_follow_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(HOME_VARIABLE, "here")
    assert Paths.from_environment().models == tmp_path / "here" / "models"
