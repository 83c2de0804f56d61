"""Folders of model files as they lie: those a person has added, and LM Studio's. Only read."""

import os
from collections.abc import Iterator
from functools import lru_cache

from app.library.found import Found, checkpoint, from_group
from app.library.origin import Origin
from app.library.scan import NUM_REMEMBERED, Folder, Unread, groups, walk


def find_in_folder(root: str, origin: Origin) -> Iterator[Found | Unread]:
    """Whatever the layout: an id is the path below the root, without the suffix."""
    for folder in walk(root):
        if isinstance(folder, Unread):
            yield folder
        else:
            yield from _found_in(folder, root, origin)


@lru_cache(NUM_REMEMBERED)
def _found_in(folder: Folder, root: str, origin: Origin) -> tuple[Found, ...]:
    """The same for the same files, with the same sizes and times: most folders never change."""
    inside = os.path.relpath(folder.path, root).replace(os.sep, "/")
    prefix = "" if inside == "." else f"{inside}/"
    found = [
        from_group(group, origin, prefix + os.path.splitext(group.first.name)[0]) for group in groups(folder.files)
    ]
    name = os.path.basename(folder.path)
    if origin is Origin.FOLDER and (whole := checkpoint(folder, origin, prefix.rstrip("/") or name, name)):
        found.append(whole)
    return tuple(found)
