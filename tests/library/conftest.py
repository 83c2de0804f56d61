"""A library over an empty home, and folders that can be added to it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.library.facts import Facts, read_facts
from app.library.found import Found
from app.library.ids import Ids
from app.library.index import Index
from app.library.library import Library
from app.library.places import all_places
from app.library.remarks import Remarks
from app.library.store import ModelStore
from app.settings import FOREIGN


class Stage:
    """The parts of a library, the headers that it has read, and what it is told of loaded models."""

    def __init__(self, home: Path):
        self.home = home
        self.models = home / "managed"
        self.folders: list[str] = []
        self.shown: tuple[str, ...] = FOREIGN
        self.environ: dict[str, str] = {}
        self.read: list[str] = []
        self.loaded: set[str] = set()
        self.library = self.new_library()

    def new_library(self) -> Library:
        """As after a restart."""
        return Library(
            ModelStore(self.models),
            Index(self.home / "cache" / "library.sqlite3", self._read),
            Remarks(self.home / "data" / "library.json"),
            lambda: all_places(self.folders, self.shown, self.environ, self.home),
            lambda entry: entry.id in self.loaded,
            Ids(self.home / "data" / "model-ids.json"),
        )

    def ids(self) -> list[str]:
        return [entry.id for entry in self.library.models()]

    def _read(self, found: Found) -> Facts:
        self.read.append(found.path)
        return read_facts(found)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


@pytest.fixture
def opened() -> Callable[[], list[str]]:
    """Names of the files that this process has opened for reading since the last call; by the interpreter's audit."""
    names: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str):
            names.append(arguments[0])

    sys.addaudithook(hook)

    def take() -> list[str]:
        result = list(names)
        names.clear()
        return result

    return take
