"""What the models take up on the disk, by origin; a file that two entries share counts once."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from app.library.entry import ModelEntry
from app.library.origin import Origin


@dataclass(frozen=True, slots=True)
class Share:
    """Models of one origin, the largest first, with the bytes that each adds."""

    origin: Origin
    models: tuple[tuple[ModelEntry, int], ...]

    @property
    def bytes(self) -> int:
        return sum(num_bytes for _, num_bytes in self.models)


def disk_use(entries: Sequence[ModelEntry]) -> list[Share]:
    """In the order of origins, those without models left out."""
    seen: set[tuple[int, int]] = set()
    by_origin: dict[Origin, list[tuple[ModelEntry, int]]] = {}
    for entry in entries:
        files = entry.parts if entry.is_checkpoint else entry.files
        num_bytes = sum(_new_bytes(path, seen) for path in files)
        by_origin.setdefault(entry.origin, []).append((entry, num_bytes))
    return [
        Share(origin, tuple(sorted(by_origin[origin], key=lambda pair: -pair[1])))
        for origin in Origin
        if origin in by_origin
    ]


def _new_bytes(path: os.PathLike[str], seen: set[tuple[int, int]]) -> int:
    try:
        status = os.stat(path)
    except OSError:
        return 0
    place = (status.st_dev, status.st_ino)
    if place in seen:
        return 0
    seen.add(place)
    return status.st_size
