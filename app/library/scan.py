"""Looks through a folder for model files: names, sizes and times only. Opens no file and writes nothing."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.library.gguf import split_of

SUFFIX = ".gguf"
WEIGHTS = ".safetensors"
CONFIG = "config.json"
DOCUMENTS = frozenset({CONFIG, "manifest.json", "model.yml", "model.json"})
PROJECTOR = "mmproj"
MAX_DEPTH = 6
MAX_FOLDERS = 20_000
MAX_FILES = 50_000


class File(NamedTuple):
    """A regular file, or a link to one: then bytes, time and inode are the target's."""

    path: str
    name: str
    bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Folder:
    path: str
    depth: int
    files: tuple[File, ...]  # only those that may belong to a model, by name

    def named(self, name: str) -> File | None:
        return next((file for file in self.files if file.name == name), None)


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one model. num_missing: parts that its name announces and that are not here."""

    first: File
    parts: tuple[File, ...] = ()
    num_missing: int = 0
    mmproj: File | None = None

    @property
    def bytes(self) -> int:
        return self.first.bytes + sum(part.bytes for part in self.parts)

    @property
    def mtime_ns(self) -> int:
        return max(self.first.mtime_ns, *(part.mtime_ns for part in self.parts)) if self.parts else self.first.mtime_ns


def walk(root: str, max_depth: int = MAX_DEPTH) -> Iterator[Folder]:
    """Every folder below that holds files of models, the root too. Hidden folders and what cannot be read are left out.

    Links to folders are followed, each folder once, so that a link to a folder above ends nowhere.
    """
    waiting, seen, num_files = [(root, 0)], set[tuple[int, int]](), 0
    while waiting and len(seen) < MAX_FOLDERS and num_files < MAX_FILES:
        path, depth = waiting.pop()
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            folder, below = _look(path, depth)
        except OSError:
            continue
        num_files += len(folder.files)
        if depth < max_depth:
            waiting += ((child, depth + 1) for child in sorted(below, reverse=True))
        if folder.files:
            yield folder


def _look(path: str, depth: int) -> tuple[Folder, list[str]]:
    files, below = [], []
    with os.scandir(path) as listing:
        for entry in listing:
            name = entry.name
            if name.lower().endswith((SUFFIX, WEIGHTS)) or name in DOCUMENTS:
                if entry.is_file():  # no pipe, no device, no folder of that name
                    status = entry.stat()
                    files.append(File(entry.path, name, status.st_size, status.st_mtime_ns, status.st_ino))
            elif name[0] != "." and entry.is_dir():
                below.append(entry.path)
    files.sort()
    return Folder(path, depth, tuple(files)), below


def groups(files: Sequence[File]) -> list[Group]:
    """The GGUF models among the files of one folder: parts as one, image parts with the models beside them."""
    projectors = [file for file in files if PROJECTOR in file.name.lower() and file.name.lower().endswith(SUFFIX)]
    found: list[Group] = []
    in_parts: dict[tuple[str, int], dict[int, File]] = {}
    for file in files:
        if not file.name.lower().endswith(SUFFIX) or file in projectors:
            continue
        split = split_of(file.name)
        if split is None:
            found.append(Group(file, mmproj=_projector(file.name, projectors)))
        else:
            in_parts.setdefault((split[0], split[2]), {})[split[1]] = file
    for (_, count), parts in in_parts.items():
        first, *others = (parts[number] for number in sorted(parts))
        found.append(Group(first, tuple(others), count - len(parts), _projector(first.name, projectors)))
    return found


def _projector(name: str, projectors: Sequence[File]) -> File | None:
    """The one whose name has most in common with the model's."""
    words = set(name.lower().split("-"))
    return max(projectors, key=lambda file: len(words & set(file.name.lower().split("-"))), default=None)
