"""Copies or moves model files that a person has dropped into the library; other parts of a set come along."""

import errno
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.disk import sync_folder
from app.errors import Cancelled, ModelFileError
from app.jobs.job import JobContext
from app.jobs.leftovers import incoming
from app.library.entry import ModelEntry
from app.library.gguf import describe_parts, part_paths
from app.library.names import FORBIDDEN, MAX_NAME
from app.library.store import ModelStore
from backends.child import Progress
from backends.ownership.files import delete_file
from backends.ownership.private import make_folder
from backends.ownership.workshop import Workshop

PUBLISHER = "local"
CHUNK_BYTES = 4 << 20
SPARE_BYTES = 64 << 20  # of the disk stay free


@dataclass(frozen=True, slots=True)
class BringIn:
    """A job. Its result is the list of ModelEntry. paths: files; the first file stands for a model in parts."""

    store: ModelStore
    paths: tuple[Path, ...]
    is_move: bool = False
    steps: tuple[str, ...] = ("Look at the files", "Bring them in")

    @property
    def title(self) -> str:
        what = self.paths[0].name if len(self.paths) == 1 else f"{len(self.paths)} files"
        return f"{'Move' if self.is_move else 'Copy'} {what} into the library"

    def run(self, context: JobContext) -> list[ModelEntry]:
        """Nothing is brought in unless all of them are sound and fit. Raises ModelFileError or Cancelled."""
        context.step(0)
        sets = list(dict.fromkeys(part_paths(path.absolute()) for path in self.paths))
        make_folder(self.store.models_dir)
        total = to_copy = 0
        for files in sets:
            for file in files:
                self._check_place(file)
            describe_parts(files[0], files[1:])
            size = sum(file.stat().st_size for file in files)
            total, to_copy = total + size, to_copy + (0 if self._is_renamed(files) else size)
        with suppress(OSError):
            incoming(self.store.models_dir).clear()
        self._check_space(to_copy)
        report, done, entries = context.step(1), 0, []
        for files in sets:

            def on_bytes(count: int, before: int = done, name: str = files[0].name) -> None:
                report(Progress((before + count) / max(1, total), name))

            entries.append(self._bring_in(files, on_bytes, context.cancelled))
            done += entries[-1].bytes
        return entries

    def _bring_in(
        self, files: tuple[Path, ...], on_bytes: Callable[[int], None], cancelled: threading.Event
    ) -> ModelEntry:
        repo = repository_name(files[0])
        folder = self.store.folder(PUBLISHER, repo)
        if taken := next((file.name for file in files if (folder / file.name).exists()), None):
            raise ModelFileError(f"The library has {taken} already, in {folder}. Remove that one first.")
        if self._is_renamed(files):
            return self._add(files, repo)
        workshop = self._workshop()
        try:
            done, copies = 0, []
            for file in files:
                copies.append(workshop.path / file.name)

                def on_more(count: int, before: int = done) -> None:
                    on_bytes(before + count)

                done += _copy(file, copies[-1], on_more, cancelled)
            entry = self._add(tuple(copies), repo)
        finally:
            workshop.remove()
        if self.is_move:
            sync_folder(folder)
            for file in files:  # not before the copies will last; what cannot be deleted stays
                with suppress(OSError):
                    delete_file(file)
        return entry

    def _workshop(self) -> Workshop:
        try:
            return incoming(self.store.models_dir).make()
        except OSError as fault:
            raise ModelFileError(
                f"{self.store.models_dir} cannot be written: {fault.strerror or fault}. Look who may write there."
            ) from fault

    def _add(self, files: tuple[Path, ...], repo: str) -> ModelEntry:
        return self.store.add(files[0], publisher=PUBLISHER, repo=repo, parts=files[1:])

    def _is_renamed(self, files: tuple[Path, ...]) -> bool:
        """Moved within one disk, at once; to another each file is copied, which can be called off, then deleted."""
        return self.is_move and len({path.stat().st_dev for path in (self.store.models_dir, *files)}) == 1

    def _check_place(self, file: Path) -> None:
        """Moving would take a model from its place in the library, and leave a link that points nowhere."""
        if self.is_move and file.resolve().is_relative_to(self.store.models_dir.resolve()):
            raise ModelFileError(f"{file.name} lies in the library already, in {file.parent}.")
        if self.is_move and file.is_symlink():
            raise ModelFileError(f"{file} is a link to a file that lies elsewhere. Copy it, or list its folder.")

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.store.models_dir).free
        if needed and needed + SPARE_BYTES > free:
            raise ModelFileError(
                f"{needed / 1e9:.2f} GB are to be copied, and {free / 1e9:.2f} GB are free. Make room, move the "
                "files instead if they lie on the same disk, or add their folder to the library."
            )


def repository_name(file: Path) -> str:
    """A folder name made from the file's, which may have been anything."""
    stem = part_paths(file)[0].stem
    name = "".join("-" if c in FORBIDDEN or not c.isprintable() else c for c in stem).strip(" .-")[:MAX_NAME]
    return name.rstrip(" .") or "model"


def _copy(source: Path, target: Path, on_bytes: Callable[[int], None], cancelled: threading.Event) -> int:
    count = 0
    try:
        with source.open("rb") as reader, target.open("xb") as writer:
            while chunk := reader.read(CHUNK_BYTES):
                if cancelled.is_set():
                    raise Cancelled("Cancelled.")
                writer.write(chunk)
                count += len(chunk)
                on_bytes(count)
            writer.flush()
            os.fsync(writer.fileno())
    except OSError as fault:
        why = "the disk is full" if fault.errno == errno.ENOSPC else fault.strerror or str(fault)
        raise ModelFileError(
            f"{source.name} could not be copied: {why}. It stays where it is; look at both disks, then try again."
        ) from fault
    return count
