"""Libraries from another folder are those that the children load, and a build that does not fit is found out."""

import ctypes
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.builds.build import INSTALLED, Build
from app.builds.shelf import Shelf
from app.builds.sign import libraries_of
from app.builds.trial import Trial
from app.errors import BuildError
from app.jobs.child import run_in_child
from backends.llama import inspection
from backends.llama.binding import lib


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The installed build, in another place."""
    folder = libraries_of(Build(INSTALLED))
    assert folder is not None
    libraries = tmp_path_factory.mktemp("other") / "lib"
    shutil.copytree(folder, libraries, symlinks=True)
    return Build("other", libraries)


def test_a_child_loads_the_libraries_of_its_build_and_no_others(other: Build, tmp_path: Path) -> None:
    loaded = run_in_child(
        "backends.with_build:run",
        log_path=tmp_path / "log",
        build=str(other.libraries),
        work="tests.builds.children:loaded_libraries",
    )
    assert {Path(path).parent for path in loaded} == {other.libraries}
    assert {"libllama", "libggml", "libggml-base", "libggml-cpu"} <= {Path(path).name.split(".")[0] for path in loaded}


def test_it_says_what_it_is_and_computes_what_the_other_does(other: Build, tmp_path: Path) -> None:
    trial = Trial(Shelf(tmp_path / "builds"), tmp_path / "state.json", tmp_path / "logs")
    version = inspection.lib.llama_version().decode()
    report = trial.inspect(other, version)
    assert report.problem is None
    assert report.devices
    assert trial.inspect(other, "9.9.9").problem == (
        f"It is llama.cpp {version}, and Slipstream's binding is for 9.9.9. Make it anew."
    )


def test_libraries_that_do_not_load_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libllama.so").write_bytes(b"no library")
    trial = Trial(Shelf(tmp_path / "builds"), tmp_path / "state.json", tmp_path / "logs")
    with pytest.raises(BuildError, match="“broken” cannot be used"):
        trial.inspect(Build("broken", tmp_path / "lib"))


def test_a_struct_of_another_size_is_found_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Longer(lib.llama_context_params):  # type: ignore[misc, name-defined]
        _fields_ = (("more", ctypes.c_void_p),)

    assert inspection.other_layout() is None
    kinds = {name: getattr(lib, name) for name in inspection.STRUCTS.values()}
    pretended = SimpleNamespace(**{**kinds, "llama_context_params": Longer, "_lib": lib._lib})
    monkeypatch.setattr(inspection, "lib", pretended)
    assert inspection.other_layout() == (
        f"Its llama_context_params has {ctypes.sizeof(lib.llama_context_params)} bytes, and that of Slipstream's "
        f"binding {ctypes.sizeof(Longer)}. Make it anew."
    )
