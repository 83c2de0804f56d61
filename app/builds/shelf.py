"""The folder of builds: each in one of its own, with its libraries in `lib` and `build.json`, which is written last."""

import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from app.builds.build import INSTALLED, MAX_RECORD, Build, build_from, record_of
from app.errors import BuildError
from app.whole_file import replace_file
from backends.disk_fault import told
from backends.ownership.directory import NotOurs
from backends.ownership.folder import OwnedFolder
from backends.regular_file import read_regular

PURPOSE = "builds"
RECORD, LIBRARIES = "build.json", "lib"
NAME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")
LIBRARY = {"win32": "llama.dll", "darwin": "libllama.dylib"}.get(sys.platform, "libllama.so")
MAX_BUILDS = 50


class Shelf:
    """Its methods raise BuildError. Reading it costs nothing while there is no such folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def builds(self) -> tuple[Build, ...]:
        """The installed one first; then those that are whole, the newest first."""
        try:
            names = sorted(path.name for path in self.folder.iterdir() if NAME.fullmatch(path.name))
        except OSError:
            names = []
        found = [build for name in names[:MAX_BUILDS] if (build := self._read(name))]
        return (Build(INSTALLED), *sorted(found, key=lambda build: build.made_at, reverse=True))

    def find(self, name: str) -> Build:
        for build in self.builds():
            if build.name == name:
                return build
        known = ", ".join(build.name for build in self.builds())
        raise BuildError(f"There is no engine build “{name}”. Known: {known}.")

    def place(self, name: str) -> Path:
        """A new folder for one that is being made: of this name, with a number where that is taken."""
        assert NAME.fullmatch(name)
        try:
            with OwnedFolder.claim(self.folder, PURPOSE, lambda *_: False):
                for candidate in (name, *(f"{name}-{number}" for number in range(2, MAX_BUILDS))):
                    with suppress(FileExistsError):
                        (self.folder / candidate).mkdir(0o700)
                        return self.folder / candidate
        except OSError as error:
            raise BuildError(told(error, self.folder)) from error
        raise BuildError(
            f"There are {MAX_BUILDS} builds “{name}” already. Remove some: slipstream builds --remove NAME."
        )

    def add(self, build: Build) -> Build:
        """Its libraries lie in their place already."""
        folder = self.folder / build.name
        try:
            replace_file(folder / RECORD, record_of(build))
        except OSError as error:
            raise BuildError(told(error, folder)) from error
        return replace(build, libraries=folder / LIBRARIES)

    def remove(self, name: str) -> None:
        """With all its files. What was left half-made goes as well."""
        if name == INSTALLED or not NAME.fullmatch(name):
            raise BuildError(f"“{name}” cannot be removed: it is not one of the builds in {self.folder}.")
        try:
            with OwnedFolder.open(self.folder, PURPOSE) as folder:
                is_gone = folder.remove(name)
        except (NotOurs, OSError) as error:
            raise BuildError(told(error, self.folder)) from error
        if not is_gone:
            raise BuildError(f"Not all of {self.folder / name} could be removed. Unload its models, then try again.")

    def _read(self, name: str) -> Build | None:
        folder = self.folder / name
        try:
            build = build_from(read_regular(folder / RECORD, MAX_RECORD), name, folder / LIBRARIES)
        except (OSError, ValueError):
            return None
        return build if (folder / LIBRARIES / LIBRARY).is_file() else None
