"""Folders of model files as they lie: those a person has added, and LM Studio's. Only read."""

import os
from collections.abc import Iterator

from app.library.found import Found, checkpoint, from_group
from app.library.origin import Origin
from app.library.scan import groups, walk


def find_in_folder(root: str, origin: Origin) -> Iterator[Found]:
    """Whatever the layout: an id is the path below the root, without the suffix."""
    for folder in walk(root):
        inside = os.path.relpath(folder.path, root).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        for group in groups(folder.files):
            yield from_group(group, origin, prefix + os.path.splitext(group.first.name)[0])
        name = os.path.basename(folder.path)
        if origin is Origin.FOLDER and (found := checkpoint(folder, origin, prefix.rstrip("/") or name, name)):
            yield found
