"""The folder of kept prompts: which of its files are ours. What is in them is the prompt cache's business."""

import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backends.ownership.directory import Directory, open_directory
from backends.ownership.folder import OwnedFolder
from backends.ownership.mark import is_marked
from backends.ownership.removal import remove

PURPOSE = "prompts"  # as the folder's mark says
SUFFIX, TEMPORARY = ".state", ".part"
MAGIC = b"SLIPSTAT"  # every file begins with it
NAME = re.compile(r"[0-9a-f]{40}\.state|state-[0-9a-f]{16}\.part")  # so we name them, be their bytes what they may


@dataclass(frozen=True, slots=True)
class KeptFile:
    name: str
    num_bytes: int
    used: float  # time of last use, seconds since the epoch

    @property
    def is_whole(self) -> bool:
        """A prompt, and not what is still being written or was left so."""
        return self.name.endswith(SUFFIX)


def claim_folder(folder: Path) -> OwnedFolder:
    """For an engine that keeps prompts there. Raises OSError, and NotOurs for a link or what holds others' files."""
    return OwnedFolder.claim(folder, PURPOSE, _is_of_an_earlier_version)


def kept_files(directory: Directory) -> list[KeptFile]:
    """Ours, by name in a folder that bears our mark, else by content. Links and folders are none. Raises OSError."""
    files, trusts_names = [], is_marked(directory, PURPOSE)
    for name in directory.names():
        with suppress(OSError):  # another process removed it
            status = directory.status(name)
            is_ours = (trusts_names and NAME.fullmatch(name)) or _begins_so(directory, name)
            if is_ours and stat.S_ISREG(status.st_mode):
                files.append(KeptFile(name, status.st_size, status.st_mtime))
    return files


def our_files(folder: Path) -> list[KeptFile]:
    """What a person may be shown, and may have deleted. Raises OSError, and NotOurs for a link."""
    with open_directory(folder) as directory:
        return kept_files(directory)


def clear(folder: Path) -> list[KeptFile]:
    """Removes them and returns those that went. An engine that runs takes it as a miss. Raises as `our_files`."""
    with open_directory(folder) as directory:
        return [file for file in kept_files(directory) if not remove(directory, file.name)]


def _begins_so(directory: Directory, name: str) -> bool:
    return name.endswith((SUFFIX, TEMPORARY)) and directory.read(name, len(MAGIC)) == MAGIC


def _is_of_an_earlier_version(directory: Directory, name: str) -> bool:
    was_killed_early = name.endswith(TEMPORARY) and directory.read(name, 1) == b""
    return was_killed_early or _begins_so(directory, name)
