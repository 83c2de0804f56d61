"""What the attacks under tests/bench need of the application before they can begin."""

from importlib import import_module
from pathlib import Path

import pytest

from app.paths import Paths
from app.settings_file import load_settings
from tests.bench.attacks.__main__ import areas


def test_an_attack_on_the_window_finds_its_home_settled(tmp_path: Path) -> None:
    from tests.bench.attacks._window import settle

    settle(tmp_path / "home", tmp_path / "models", 18642)
    settings, notice = load_settings(Paths.below(tmp_path / "home").settings_file)
    assert (settings.port, settings.folders, notice) == (18642, (str(tmp_path / "models"),), None)


@pytest.mark.parametrize("area", areas())
def test_every_area_of_attacks_can_be_imported(area: str) -> None:
    import_module(f"tests.bench.attacks.{area}")
