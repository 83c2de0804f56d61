"""A model is loaded by its real path, whatever that is called, and its log has a name that a disk takes."""

from pathlib import Path

import pytest

from app.inference.supervisor import Supervisor
from backends.protocol import EngineOptions
from tests.lab.conftest import make
from tests.library.oddities import ESCAPES, NO_UTF8


@pytest.mark.parametrize("name", [NO_UTF8, ESCAPES.replace("/", ""), "n" * 240])
def test_a_file_of_any_name_is_loaded(name: str, supervisor: Supervisor, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.gguf"
    make(tmp_path, "tiny").file.rename(path)
    handle = supervisor.load("语" * 250, path, EngineOptions(context=128, parallel=1))
    assert handle.wait_ready(60).architecture == "llama"
    assert handle.log_path.exists()
