"""A start on a disk that cannot be written: logs and caches go to a folder of this run, and a sentence says so."""

import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from app.paths import Paths
from app.whole_file import reason


class Makeshift:
    """`paths` are those to use; `notice` is for a banner where they are not all that were wanted."""

    def __init__(self, wanted: Paths):
        with suppress(OSError):
            wanted.ensure()
        self.paths, self.notice = wanted, None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        problems = {folder: why for folder in _folders(wanted) if (why := _problem(folder))}
        if problems:
            self.notice = _sentence(problems)
            self._replace({wanted.logs, wanted.cache} & problems.keys())

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def _replace(self, unusable: set[Path]) -> None:
        """An engine needs a log and the self-test a cache, or nothing would run."""
        if not unusable:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="slipstream-", ignore_cleanup_errors=True)
        own = Paths.below(Path(self._folder.name))
        for name in ("logs", "cache"):
            if getattr(self.paths, name) in unusable:
                self.paths = replace(self.paths, **{name: getattr(own, name)})
                getattr(own, name).mkdir()


def _folders(paths: Paths) -> tuple[Path, ...]:
    return (paths.config, paths.data, paths.models, paths.cache, paths.logs)


def _problem(folder: Path) -> str | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        return "there is a file in its place"
    except OSError as error:
        return reason(error)
    return None if os.access(folder, os.W_OK | os.X_OK) else "it may not be written to"


def _sentence(problems: dict[Path, str]) -> str:
    where = os.path.commonpath([str(folder) for folder in problems])
    why = next(iter(problems.values()))
    return f"Slipstream cannot write to {where}: {why}. What is changed or made in this run is not kept."
