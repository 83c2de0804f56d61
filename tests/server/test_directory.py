"""Which models a request may name: ids and what a person has loaded. Never a file."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import directory
from app.errors import EngineError, ModelFileError, UnknownModelError
from app.inference.engine_handle import EngineHandle
from app.inference.restarts import MAX_RESTARTS
from app.paths import Paths
from app.server.core.directory import Capability, ModelFacts, unknown_name
from app.server.core.refusal import from_slipstream
from app.services import Services
from backends.fake.loader import answer_to
from backends.protocol import EngineOptions
from tests.inference.conftest import SECONDS, ask
from tests.library.foreign import gguf


class FakeServices(Services):
    """The real ones, but for the backend."""

    backend = "fake"


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
    services: FakeServices, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(foreign.parent)
    monkeypatch.setenv("HOME", str(foreign.parent))
    own = services.paths.models / "stray.gguf"
    names = [str(foreign), str(own), "stray.gguf", "~/stray.gguf", "./stray.gguf", str(tmp_path / "no" / "stray.gguf")]
    answers = {refusal(services, name) for name in names}
    foreign.unlink()
    answers |= {refusal(services, name) for name in names}
    assert len(answers) == 1, answers


def test_an_unknown_name_is_told_those_like_it_and_those_that_are_loaded(services: FakeServices) -> None:
    services.directory.engine("other").wait_ready(20)
    with pytest.raises(UnknownModelError, match=r"Near it: stray\. Loaded: other\.$"):
        services.directory.engine("somebody/Strey:Q4")
    with pytest.raises(UnknownModelError, match=r"Known: .*stray.*\. Loaded: other\.$"):
        services.directory.engine("gpt-9")


def test_a_loaded_model_answers_to_any_name_if_the_settings_say_so(services: FakeServices) -> None:
    services.settings = replace(services.settings, answer_any_name=True)
    with pytest.raises(UnknownModelError):
        services.directory.engine("gpt-9")
    loaded = services.directory.engine("other")
    loaded.wait_ready(SECONDS)
    assert services.directory.engine("gpt-9") is loaded
    assert services.directory.engine("stray") is not loaded


def test_the_stem_of_a_foreign_file_does_not_stand_for_a_model_of_the_library(
    services: FakeServices, foreign: Path
) -> None:
    entry = services.library.find(str(foreign))
    assert entry.id == str(foreign), "its id is nobody else's"
    loaded = services.supervisor.load(services.directory.free_name(entry), foreign, EngineOptions(), backend="fake")
    assert loaded.name == "elsewhere/stray"
    assert services.directory.engine("elsewhere/stray") is loaded
    own = services.directory.engine("stray")
    assert own.model == services.paths.models / "stray.gguf"
    assert services.directory.names() == ["elsewhere/stray", "stray", "other"]
    assert services.directory.facts()["elsewhere/stray"].quantization == "F16", "though no library knows the file"


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
    assert names == ["elsewhere/stray", f"{tmp_path.name}/stray"]


def test_files_that_are_named_together_have_names_whatever_their_order(services: FakeServices, tmp_path: Path) -> None:
    found = [services.library.find(str(gguf(tmp_path / folder / "x.gguf"))) for folder in ("a", "b")]
    for entries in (found, found[::-1]):
        names = {entry.path.parent.name: services.directory.free_name(entry, entries) for entry in entries}
        assert names == {"a": "a/x", "b": "b/x"}
    assert [services.directory.free_name(entry) for entry in found] == ["x", "x"], "alone, its own name will do"


def test_two_of_one_name_are_two_engines(services: FakeServices, tmp_path: Path) -> None:
    paths = [gguf(tmp_path / folder / "x.gguf") for folder in ("a", "b")]
    for path in paths:
        services.add_folder(path.parent)
    handles = [services.directory.engine(services.library.find(str(path)).id) for path in paths]
    assert [handle.model for handle in handles] == paths
    for handle in handles:
        handle.wait_ready(SECONDS)
    again = [services.load_model(services.library.find(str(path))) for path in paths]
    assert [handle.model for handle in again] == paths
    assert len(services.supervisor.living()) == 2, "each in its own place"


def test_a_file_from_outside_is_not_taken_for_one_of_the_library(services: FakeServices, foreign: Path) -> None:
    entry = services.library.find(str(foreign))
    for act in (services.library.removal, services.library.remove, services.verify_model):
        with pytest.raises(UnknownModelError):
            act(entry.id)
    assert (services.paths.models / "stray.gguf").exists()


def test_what_is_known_of_a_model_is_told_before_it_is_loaded_and_after(services: FakeServices) -> None:
    (services.paths.models / "stray.gguf").unlink()
    base = gguf(services.paths.models / "base.gguf", **{"tokenizer.chat_template": "", "llama.context_length": 4096})
    services.library.models()
    facts = services.directory.facts()
    assert list(facts) == services.directory.names() == ["base", "other"]
    entry = services.library.by_id("base")
    size, written = base.stat().st_size, datetime.fromtimestamp(base.stat().st_mtime, UTC)
    assert facts["base"] == ModelFacts(
        *("base", False, "llama", "F16", entry.parameters, size, 4096, None, True),
        is_embedder=False,
        modified=written,
        capabilities=frozenset({Capability.COMPLETION}),
    )
    services.directory.engine("base").wait_ready(SECONDS)
    after = services.directory.facts()["base"]
    assert (after.is_loaded, after.quantization, after.is_base, after.is_embedder) == (True, "F16", False, False), (
        "the engine knows better"
    )
    assert after.context


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
    monkeypatch.setattr(directory, "REVIVE_SECONDS", SECONDS)  # a busy machine takes longer to go down than it is for
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


def test_short_names_are_understood_and_take_nobodys_place(services: FakeServices, tmp_path: Path) -> None:
    guide = gguf(services.paths.models / "slipstream" / "guide" / "slipstream-guide-Q4_K_M.gguf")
    assert services.directory.engine("Guide").model == guide
    assert services.directory.engine("STRAY").model == services.paths.models / "stray.gguf"
    own = services.library.find(str(gguf(tmp_path / "elsewhere" / "guide.gguf")))
    loaded = services.supervisor.load(services.directory.free_name(own), own.path, EngineOptions(), backend="fake")
    assert (loaded.name, services.directory.engine("guide")) == ("guide", loaded)


def test_without_a_model_the_refusal_says_what_to_do(services: FakeServices) -> None:
    for path in services.paths.models.iterdir():
        path.unlink()
    for name in ("x", None):
        with pytest.raises(UnknownModelError, match="“slipstream install guide”"):
            services.directory.engine(name)


def test_a_file_that_can_never_load_is_not_worth_another_try(services: FakeServices) -> None:
    """OpenAI's clients send what got 408, 409, 429 or a 5xx again."""
    (services.paths.models / "page.gguf").write_bytes(b"<html><body>404</body></html>")
    with pytest.raises(ModelFileError) as caught:
        services.directory.engine("page")
    refusal = from_slipstream(caught.value)
    assert (refusal.status, refusal.code) == (400, "model_not_loadable")


def test_a_models_size_is_that_of_its_file_whether_it_is_loaded_or_not(services: FakeServices) -> None:
    path = services.paths.models / "stray.gguf"
    services.library.look()
    before = services.directory.facts()["stray"].bytes
    services.directory.engine("stray").wait_ready(SECONDS)
    assert (before, services.directory.facts()["stray"].bytes) == (path.stat().st_size, path.stat().st_size)


def test_near_names_are_near() -> None:
    known = ["someone/all-MiniLM-L6-v2", "llm/SmolLM2-135M-Instruct.Q4_1", "google/gemma-3-270m", "Qwen/Qwen3-8B-GGUF"]
    for asked, near in (("smolm2", known[1]), ("minilm", known[0]), ("gema-3", known[2]), ("qwen3-8b", known[3])):
        assert f"Near it: {near}." in unknown_name(asked, known)
    assert "Near it" not in unknown_name("claude-opus", known)


def test_what_a_file_says_of_itself_is_told_without_its_lists(services: FakeServices) -> None:
    header = services.directory.header("stray")
    assert header["general.architecture"]
    assert all(isinstance(value, str | int | float) for value in header.values())
    handle = services.directory.engine("stray")
    handle.wait_ready(SECONDS)
    assert services.directory.header(handle.name) == header
    assert services.directory.header("nobody") == {}
    assert services.directory.header(str(services.paths.models / "stray.gguf")) == {}
