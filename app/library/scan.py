"""Looks through a folder for model files: names, sizes and times only. Opens no file and writes nothing."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.library.gguf import folded, part_name, split_of
from backends.bounds import clamped, sentence

SUFFIX = ".gguf"
WEIGHTS = ".safetensors"
CONFIG = "config.json"
DOCUMENTS = frozenset({CONFIG, "manifest.json", "model.yml", "model.json"})
PROJECTOR = "mmproj"
NO_FILE = "{} is no file but a device, a pipe or the like."
MAX_DEPTH = 6
MAX_FOLDERS = 20_000
MAX_FILES = 50_000
NUM_REMEMBERED = 16_384  # folders whose models need not be worked out again


class File(NamedTuple):
    """A regular file, or a link to one: then bytes, time and inode are the target's.

    fault: why it is none and must not be opened, as a sentence; then bytes, time and inode are 0.
    """

    path: str
    name: str
    bytes: int
    mtime_ns: int
    inode: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """A place whose models are not known, with the sentence that says why."""

    text: str


@dataclass(frozen=True, slots=True)
class Folder:
    path: str
    depth: int
    files: tuple[File, ...]  # only those that may belong to a model, by name

    def named(self, name: str) -> File | None:
        return next((file for file in self.files if file.name == name), None)


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one model. missing: names of parts that its own name announces and that are not here.

    projectors: image parts beside it, of which one may be its own. is_projector: it is such a part itself.
    """

    first: File
    parts: tuple[File, ...] = ()
    missing: tuple[str, ...] = ()
    projectors: tuple[File, ...] = ()
    is_projector: bool = False
    mmproj: File | None = None  # that its application names as its own

    @property
    def bytes(self) -> int:
        return clamped(self.first.bytes + sum(part.bytes for part in self.parts))

    @property
    def fault(self) -> str:
        return next((file.fault for file in (self.first, *self.parts) if file.fault), "")

    @property
    def mtime_ns(self) -> int:
        return max(self.first.mtime_ns, *(part.mtime_ns for part in self.parts)) if self.parts else self.first.mtime_ns


def walk(root: str, max_depth: int = MAX_DEPTH) -> Iterator[Folder | Unread]:
    """Every folder below that holds files of models, the root too, and what cannot be read. Not hidden folders.

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
            look = _Look(path)
        except FileNotFoundError:  # it has gone since
            continue
        except (OSError, ValueError) as fault:
            yield unread(path, fault)
            continue
        yield from look.unread
        num_files += len(look.files)
        if depth < max_depth:
            waiting += ((child, depth + 1) for child in sorted(look.below, reverse=True))
        if look.files:
            yield Folder(path, depth, tuple(sorted(look.files)))
    if waiting:
        yield Unread(sentence(f"{root} holds too much: the folders from {waiting[-1][0]} on were not looked at."))


def folder_at(path: str) -> Folder | None:
    """One folder without those below, if it holds files of models."""
    return next((each for each in walk(path, 0) if isinstance(each, Folder)), None)


def names_in(folder: str) -> list[str]:
    """In their order; none where there is no such folder. Raises OSError."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def unread(path: str, fault: OSError | ValueError) -> Unread:
    return Unread(sentence(f"{_reason(path, fault)} Models in it are not listed."))


def fault_of(path: str) -> str | None:
    """Why what lies there is no file that could be opened; None for a file, and where nothing lies. Opens nothing."""
    try:
        return None if stat.S_ISREG(os.stat(path).st_mode) else NO_FILE.format(path)
    except (OSError, ValueError) as fault:
        return _reason(path, fault) if os.path.islink(path) or not isinstance(fault, FileNotFoundError) else None


class _Look:
    """What lies in one folder. Raises OSError for the folder, never for what is in it."""

    def __init__(self, path: str):
        self.files: list[File] = []
        self.below: list[str] = []
        self.unread: list[Unread] = []
        with os.scandir(path) as listing:
            for entry in listing:
                is_of_model = entry.name.lower().endswith((SUFFIX, WEIGHTS)) or entry.name in DOCUMENTS
                if is_of_model or entry.name[0] != ".":
                    self._take(entry, is_of_model)
                if len(self.files) + len(self.below) >= MAX_FILES:
                    self.unread.append(Unread(sentence(f"{path} holds too much: not all of it was looked at.")))
                    break

    def _take(self, entry: "os.DirEntry[str]", is_of_model: bool) -> None:
        try:
            if entry.is_dir():
                self.below += [entry.path] if entry.name[0] != "." else []
            elif is_of_model:
                status = entry.stat()
                is_regular = stat.S_ISREG(status.st_mode)
                self.files.append(_file(entry, status) if is_regular else _odd(entry, NO_FILE.format(entry.name)))
        except OSError as fault:
            if is_of_model and (entry.is_symlink() or not isinstance(fault, FileNotFoundError)):
                self.files.append(_odd(entry, _reason(entry.name, fault)))
            elif not isinstance(fault, FileNotFoundError):  # else it has gone since it was listed
                self.unread.append(unread(entry.path, fault))


def _file(entry: "os.DirEntry[str]", status: os.stat_result) -> File:
    return File(entry.path, entry.name, status.st_size, clamped(status.st_mtime_ns), status.st_ino)


def _odd(entry: "os.DirEntry[str]", fault: str) -> File:
    return File(entry.path, entry.name, 0, 0, 0, sentence(fault))


def _reason(name: str, fault: OSError | ValueError) -> str:
    if isinstance(fault, FileNotFoundError):
        return f"{name} is a link to a file that is not there. Bring the file back, or delete the link."
    if isinstance(fault, OSError) and fault.errno == errno.ELOOP:
        return f"{name} is a link that goes round in a circle."
    why = fault.strerror or fault if isinstance(fault, OSError) else "that is no path"
    return f"{name} cannot be read: {why}."


def groups(files: Sequence[File]) -> list[Group]:
    """The GGUF models among the files of one folder, parts as one, then the image parts that lie beside them."""
    projectors = tuple(file for file in files if _is_projector(file))
    found: list[Group] = []
    sets: dict[tuple[str, int], dict[int, File]] = {}
    for file in files:
        if not file.name.lower().endswith(SUFFIX) or file in projectors:
            continue
        split = split_of(file.name)
        if split is None:
            found.append(Group(file, projectors=projectors))
        else:
            sets.setdefault((split[0], split[2]), {})[split[1]] = file
    for (stem, count), parts in _joined(sets).items():
        first, *others = (parts[number] for number in sorted(parts))
        missing = tuple(part_name(stem, number, count) for number in range(1, count + 1) if number not in parts)
        found.append(Group(first, tuple(others), missing, projectors))
    return found + [Group(file, is_projector=True) for file in projectors]


def _joined(sets: dict[tuple[str, int], dict[int, File]]) -> dict[tuple[str, int], dict[int, File]]:
    """Parts that differ in spelling alone are one set, under the first one's name, unless two claim one place."""
    alike: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for key in sorted(sets, key=lambda key: min(sets[key])):
        alike.setdefault((folded(key[0]), key[1]), []).append(key)
    result = {}
    for keys in alike.values():
        numbers = [number for key in keys for number in sets[key]]
        if len(set(numbers)) == len(numbers):
            result[keys[0]] = {number: file for key in keys for number, file in sets[key].items()}
        else:
            result |= {key: sets[key] for key in keys}
    return result


def _is_projector(file: File) -> bool:
    return PROJECTOR in file.name.lower() and file.name.lower().endswith(SUFFIX) and not file.fault
