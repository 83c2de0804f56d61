"""Which models a request may name: ids and what a person has loaded. Never a file."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import directory
from app.errors import EngineError, UnknownModelError
from app.inference.engine_handle import MAX_RESTARTS, EngineHandle
from app.library.entry import ModelEntry
from app.paths import Paths
from app.server.api_error import from_slipstream
from app.services import Services
from backends.fake.loader import answer_to
from backends.protocol import EngineOptions
from tests.inference.conftest import SECONDS, ask
from tests.library.foreign import gguf


class FakeServices(Services):
    """The real ones, but for the backend."""

    def load_model(self, entry: ModelEntry, name: str | None = None) -> EngineHandle:
        return self.supervisor.load(name or entry.id, entry.path, EngineOptions(), backend="fake")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[FakeServices]:
    services = FakeServices(Paths.below(tmp_path / "home"))
    for name in ("stray", "other"):
        gguf(services.paths.models / f"{name}.gguf")
    yield services
    services.close()


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    return gguf(tmp_path / "elsewhere" / "stray.gguf")


def refusal(services: Services, name: str) -> str:
    with pytest.raises(UnknownModelError) as caught:
        services.directory.engine(name)
    assert services.supervisor.engines() == ()
    return re.sub("“[^”]*”", "NAME", str(caught.value))


def test_a_path_is_no_name_whether_its_file_is_there_or_not(
    services: FakeServices, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(foreign.parent)
    monkeypatch.setenv("HOME", str(foreign.parent))
    own = services.paths.models / "stray.gguf"
    answers = {
        refusal(services, name)
        for path in (foreign, own, Path("stray.gguf"), Path("~/stray.gguf"), Path("./stray.gguf"))
        for name in (str(path), str(path.with_name("gone.gguf")))
    }
    assert len(answers) == 1, answers


def test_the_stem_of_a_foreign_file_does_not_stand_for_a_model_of_the_library(
    services: FakeServices, foreign: Path
) -> None:
    entry = services.library.find(str(foreign))
    assert entry.id == "stray"
    loaded = services.supervisor.load(services.directory.free_name(entry), foreign, EngineOptions(), backend="fake")
    assert loaded.name == "stray#2"
    assert services.directory.engine("stray#2") is loaded
    own = services.directory.engine("stray")
    assert own.model == services.paths.models / "stray.gguf"
    assert services.directory.names() == ["stray#2", "stray", "other"]


def test_a_model_that_comes_into_the_library_later_is_meant_by_its_id(services: FakeServices, foreign: Path) -> None:
    (services.paths.models / "stray.gguf").unlink()
    entry = services.library.find(str(foreign))
    loaded = services.supervisor.load(services.directory.free_name(entry), foreign, EngineOptions(), backend="fake")
    assert loaded.name == "stray"
    assert services.directory.engine("stray") is loaded
    gguf(services.paths.models / "stray.gguf")
    own = services.directory.engine("stray")
    assert own is not loaded
    assert own.model == services.paths.models / "stray.gguf"
    assert services.directory.engine("stray") is own, "and is loaded once"
    assert loaded in services.supervisor.living()


def test_two_foreign_files_of_one_name_have_a_name_each(services: FakeServices, foreign: Path, tmp_path: Path) -> None:
    second = gguf(tmp_path / "stray.gguf")
    names = []
    for path in (foreign, second):
        names.append(services.directory.free_name(services.library.find(str(path))))
        services.supervisor.load(names[-1], path, EngineOptions(), backend="fake")
    assert names == ["stray#2", "stray#3"]


def test_a_long_name_is_cut_in_the_answer(services: FakeServices) -> None:
    with pytest.raises(UnknownModelError) as caught:
        services.directory.engine("x" * 100_000)
    assert len(str(caught.value)) < 300


def fail(services: FakeServices, handle: EngineHandle) -> None:
    """Down for good: it dies as often as it may."""
    for _ in range(MAX_RESTARTS):
        handle.wait_ready(SECONDS)
        ask(handle, "!kill").wait()
    assert handle not in services.supervisor.living()


def test_a_model_of_the_library_that_is_down_is_loaded_again_with_its_options(services: FakeServices) -> None:
    entry = services.library.by_id("stray")
    handle = services.supervisor.load("stray", entry.path, EngineOptions(context=320), backend="fake")
    fail(services, handle)
    again = services.directory.engine("stray")
    assert again.wait_ready(SECONDS).context == 320
    assert ask(again, "still here").wait().text == answer_to("still here").decode()


@pytest.mark.parametrize("name", ["stray#2", None])
def test_a_foreign_file_that_is_down_is_loaded_again(services: FakeServices, foreign: Path, name: str | None) -> None:
    handle = services.supervisor.load("stray#2", foreign, EngineOptions(), backend="fake")
    fail(services, handle)
    again = services.directory.engine(name)
    assert (again.name, again.model) == ("stray#2", foreign)
    again.wait_ready(SECONDS)


def test_what_goes_down_again_at_once_is_not_loaded_for_every_request(
    services: FakeServices, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = services.supervisor.load("stray#2", foreign, EngineOptions(), backend="fake")
    fail(services, handle)
    again = services.directory.engine("stray#2")
    fail(services, again)
    with pytest.raises(EngineError, match="The engine stopped") as refused:
        services.directory.engine("stray#2")
    assert from_slipstream(refused.value).status == 503
    assert services.supervisor.get("stray#2") is again
    monkeypatch.setattr(directory, "REVIVE_SECONDS", 0.0)
    services.directory.engine("stray#2").wait_ready(SECONDS)
