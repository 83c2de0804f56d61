"""Files that lie on the disk more than once, by their SHA-256, and the space that one copy of each would win."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.library.entry import ModelEntry


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same weights in several places. wasted: bytes beyond one copy; hard links and links count once."""

    sha256: str
    entries: tuple[ModelEntry, ...]
    wasted: int


@dataclass(frozen=True, slots=True)
class Duplicates:
    """suspects: of the same size, and nobody has hashed all of them yet; checking them tells."""

    groups: tuple[Duplicate, ...]
    suspects: tuple[tuple[ModelEntry, ...], ...]

    @property
    def wasted(self) -> int:
        return sum(group.wasted for group in self.groups)


def find_duplicates(entries: Sequence[ModelEntry]) -> Duplicates:
    by_hash: dict[tuple[str, int], list[ModelEntry]] = defaultdict(list)
    by_size: dict[int, list[ModelEntry]] = defaultdict(list)
    for entry in entries:
        if not entry.is_checkpoint:
            by_size[entry.bytes].append(entry)
            if entry.sha256:
                by_hash[entry.sha256, entry.bytes].append(entry)
    found = [
        Duplicate(sha256, tuple(same), (num_copies(same) - 1) * num_bytes)
        for (sha256, num_bytes), same in by_hash.items()
        if len(same) > 1
    ]
    suspects = [
        tuple(same)
        for same in by_size.values()
        if len(same) > 1 and any(entry.sha256 is None for entry in same) and num_copies(same) > 1
    ]
    found.sort(key=lambda each: -each.wasted)
    suspects.sort(key=lambda same: -same[0].bytes)
    return Duplicates(tuple(found), tuple(suspects))


def num_copies(entries: Iterable[ModelEntry]) -> int:
    """How many times the disk holds it."""
    places = set()
    for entry in entries:
        try:
            status = os.stat(entry.path)
            places.add((status.st_dev, status.st_ino))
        except OSError:
            continue
    return max(1, len(places))
