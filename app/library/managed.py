"""The managed folder as the library lists it: what manifests name, and files that somebody has put there by hand."""

import os
from collections.abc import Iterator
from pathlib import Path

from app.errors import ModelFileError
from app.library.entry import ModelEntry, installed_entry
from app.library.found import Found, from_group
from app.library.manifest import FILE_NAME, Record
from app.library.origin import Origin
from app.library.scan import SUFFIX, Folder, groups, walk
from app.library.store import ModelStore

STRAY = "It was not installed by Slipstream; its header is sound, so it can be tried."


def find_managed(store: ModelStore) -> Iterator[ModelEntry | Found]:
    """Installed models as entries, whose manifest knows all of them; others as found, wherever they lie."""
    root = str(store.models_dir)
    for folder in walk(root):
        records: dict[str, Record] = {}
        problem = STRAY
        if folder.depth == 2 and folder.named(FILE_NAME):
            try:
                records = store.records(Path(folder.path))
            except ModelFileError as fault:
                problem = str(fault)
        for record in records.values():
            yield installed_entry(record, Path(folder.path))
        yield from _strays(folder, records, root, problem)


def _strays(folder: Folder, records: dict[str, Record], root: str, problem: str) -> Iterator[Found]:
    named = {name for record in records.values() for name in record.files}
    files = [file for file in folder.files if file.name not in named and file.name.lower().endswith(SUFFIX)]
    base = os.path.relpath(folder.path, root).replace(os.sep, "/")
    found = groups(files)
    for group in found:
        stem = os.path.splitext(group.first.name)[0]
        if folder.depth == 2:  # as the store names them
            id_ = f"{base}:{stem}" if records or len(found) > 1 else base
        else:
            id_ = stem if base == "." else f"{base}/{stem}"
        yield from_group(group, Origin.MANAGED, id_, problem=problem)
