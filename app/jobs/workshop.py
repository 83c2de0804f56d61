"""The folder of one install: where its files lie, which of them are still needed, and whether they have room."""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.errors import InstallError
from app.jobs.install_plan import made_bytes
from app.jobs.install_record import InstallRecord, Made, Step
from app.jobs.install_request import Aim, InstallRequest
from app.library.names import CHECKPOINT
from backends.ownership.folder import OwnedFolder

MATRIX = "imatrix.gguf"
PURPOSE = "installs"  # as the folder's mark says
DOWNLOAD, MADE = "download", "made"


@dataclass(frozen=True, slots=True)
class Workshop:
    """library: the folder where the files will lie in the end."""

    request: InstallRequest
    folder: Path
    library: Path

    @property
    def downloads(self) -> Path:
        # the folder's name is the repository's: a converter names the model after it
        return self.folder / DOWNLOAD / self.request.repo

    @property
    def made(self) -> Path:
        return self.folder / MADE

    @property
    def final(self) -> Path:
        """Where the files for the library are found when they are whole."""
        return self.made if self.request.aim is Aim.MODEL else self.downloads

    def find(self, made: Made) -> Path | None:
        """Where a file lies: in one of the two workshops, or where a killed step has moved it."""
        places = (self.made, self.downloads, self.library)
        return next((place / made.name for place in places if made.lies_in(place)), None)

    def next_step(self, plan: tuple[Step, ...], record: InstallRecord) -> int:
        """The step after the last one whose files lie there."""
        for index in reversed(range(len(plan))):
            made = record.done.get(plan[index])
            if made is not None and all(self.find(one) for one in made):
                return index + 1
        return 0

    def sweep(self, plan: tuple[Step, ...], record: InstallRecord) -> None:
        """What no step needs any more makes room for the next."""
        done, unneeded = record.done, list[tuple[str, ...]]()
        if self.request.aim is Aim.MODEL and Step.CONVERT in done:
            unneeded.append((DOWNLOAD,))
        last_reader = Step.CARD if Step.CARD in plan else Step.QUANTIZE
        if Step.QUANTIZE in done and last_reader in done:
            unneeded += [(MADE, name) for name in (MATRIX, *(full.name for full in done[Step.CONVERT]))]
        if unneeded:
            with suppress(OSError), OwnedFolder.open(self.folder, PURPOSE) as owned:
                for names in unneeded:
                    owned.remove(*names)

    def require_space(self) -> None:
        """The whole road must fit before its first step. Raises InstallError with the numbers."""
        download, made = self.request.download_bytes, made_bytes(self.request)
        have = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        missing = download + made - have - shutil.disk_usage(self.folder).free
        if missing > 0:
            parts = f" (download {_gb(download)}, converted {_gb(made)})" if made else ""
            raise InstallError(
                f"{self.request.title} needs {_gb(download + made)} of disk while it is installed{parts}, which is "
                f"{_gb(missing)} more than is free in {self.folder.parent.parent}. Make room and try again."
            )

    def bring_kept_files(self) -> None:
        """Files of a checkpoint that was kept need no download: it checks whatever lies under their names."""
        if self.request.aim is Aim.GGUF:
            return
        folder = self.library if self.request.aim is Aim.CHECKPOINT else self.library / CHECKPOINT
        self.downloads.mkdir(parents=True, exist_ok=True)
        for file in self.request.all_files:
            kept, target = folder / file.name, self.downloads / file.name
            if Made(file.name, file.bytes).lies_in(folder) and not kept.is_symlink() and not target.exists():
                with suppress(OSError):  # a file system without links: then it is downloaded
                    os.link(kept, target)

    def downloaded(self, files: tuple[Made, ...]) -> list[Path]:
        """Those that no killed step has moved into the library yet."""
        return [self.downloads / file.name for file in files if file.lies_in(self.downloads)]


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
