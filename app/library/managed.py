"""The managed folder as the library lists it: what manifests name, and files that somebody has put there by hand."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from app.errors import ModelFileError
from app.library.entry import ModelEntry, installed_entry
from app.library.found import Found, checkpoint, from_group
from app.library.manifest import FILE_NAME, Record, read_manifest
from app.library.names import CHECKPOINT
from app.library.origin import Origin
from app.library.scan import NUM_REMEMBERED, SUFFIX, Folder, Unread, groups, walk

STRAY = "It was not installed by Slipstream; its header is sound, so it can be tried."


def find_managed(root: str) -> Iterator[ModelEntry | Found | Unread]:
    """Installed models as entries, whose manifest knows all of them; others as found, wherever they lie."""
    for folder in walk(root):
        if isinstance(folder, Unread):
            yield folder
        else:
            yield from _found_in(folder, root)


@lru_cache(NUM_REMEMBERED)
def _found_in(folder: Folder, root: str) -> tuple[ModelEntry | Found, ...]:
    """The same for the same files: the manifest is one of them, and is replaced whenever it changes."""
    records: dict[str, Record] = {}
    problem = STRAY
    if folder.depth == 2 and folder.named(FILE_NAME):
        try:
            records = read_manifest(Path(folder.path))
        except ModelFileError as fault:
            problem = str(fault)
    installed = (installed_entry(record, Path(folder.path)) for record in records.values())
    return (*installed, *_strays(folder, records, root, problem), *_checkpoints(folder, root))


def _strays(folder: Folder, records: dict[str, Record], root: str, problem: str) -> Iterator[Found]:
    named = {name for record in records.values() for name in record.files}
    files = [file for file in folder.files if file.name not in named and file.name.lower().endswith(SUFFIX)]
    base = os.path.relpath(folder.path, root).replace(os.sep, "/")
    found = groups(files)
    num_models = sum(not group.is_projector for group in found)
    for group in found:
        stem = os.path.splitext(group.first.name)[0]
        if folder.depth == 2:  # as the store names them
            id_ = f"{base}:{stem}" if records or num_models > 1 or group.is_projector else base
        else:
            id_ = stem if base == "." else f"{base}/{stem}"
        yield from_group(group, Origin.MANAGED, id_, problem=problem, is_hint=True)


def _checkpoints(folder: Folder, root: str) -> Iterator[Found]:
    """At most one: `<publisher>/<repo>/checkpoint` as `pull` leaves it, or a folder that somebody has put here."""
    id_ = os.path.relpath(folder.path, root).replace(os.sep, "/")
    repository = id_.removesuffix(f"/{CHECKPOINT}")
    source = repository if folder.depth == 3 and repository != id_ else None
    if found := checkpoint(folder, Origin.MANAGED, id_, os.path.basename(repository), source):
        yield found
