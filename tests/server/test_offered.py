"""What cannot run is named by no list that a request or a command may choose from; asked for, it gives its reason."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.model_name import find_model
from app.errors import ModelFileError
from app.library.entry import ModelEntry
from app.paths import Paths
from app.server.core.refusal import from_slipstream
from app.services import Services
from app.settings import Settings
from app.settings_file import save_settings
from tests.library.real_oddities import ODDITIES, RealOddity, lay


@pytest.fixture
def services(tmp_path: Path, smollm2: Path) -> Iterator[Services]:
    lay(tmp_path / "f", smollm2)
    paths = Paths.below(tmp_path / "home")
    paths.ensure()
    save_settings(paths.settings_file, Settings(folders=(str(tmp_path / "f"),)))
    services = Services(paths)
    yield services
    services.close()


def test_a_port_that_nobody_has_looked_for_lists_what_runs(services: Services) -> None:
    assert services.directory.names() == ["good"]


@pytest.mark.parametrize("name", ["empty", "LFS pointer", "login page", "cut in its weights"])
def test_asked_for_by_id_it_says_why_and_starts_nothing(services: Services, name: str) -> None:
    services.library.look()
    with pytest.raises(ModelFileError, match=f"^{name}.gguf is ") as told:
        services.directory.engine(name)
    assert from_slipstream(told.value).status == 400
    assert services.supervisor.engines() == ()


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda oddity: oddity.name)
def test_no_command_takes_it_by_id_or_by_path(services: Services, tmp_path: Path, oddity: RealOddity) -> None:
    services.library.look()
    name = oddity.name
    for asked in (name, str(tmp_path / "f" / f"{name}.gguf")):
        with pytest.raises(ModelFileError, match=f"^{name}.gguf "):
            find_model(asked, services)
    assert find_model("good", services).is_offered


def test_the_window_starts_no_engine_for_it(services: Services) -> None:
    entry: ModelEntry = services.library.find("empty")
    with pytest.raises(ModelFileError, match="is empty"):
        services.load_model(entry)
