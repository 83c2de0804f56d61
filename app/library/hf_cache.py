"""The Hugging Face cache as it lies: models--org--name/snapshots/<commit>/… with links into blobs. Only read."""

import os
import re
from collections.abc import Iterator
from functools import lru_cache

from app.library.documents import read_text
from app.library.found import Found, checkpoint, from_group
from app.library.origin import Origin
from app.library.scan import MAX_DEPTH, NUM_REMEMBERED, File, Folder, Unread, groups, names_in, unread, walk

PREFIX = "models--"
SHA256 = re.compile(r"^[0-9a-f]{64}$")  # blobs of 40 digits are git's, whose hash covers more than the file


def find_hf_cache(root: str) -> Iterator[Found | Unread]:
    try:
        names = names_in(root)
    except OSError as fault:
        yield unread(root, fault)
        return
    for name in names:
        if name.startswith(PREFIX):
            place = os.path.join(root, name)
            try:
                yield from _repository(place, name.removeprefix(PREFIX).replace("--", "/") or name)
            except OSError as fault:
                yield unread(place, fault)


def _repository(folder: str, id_: str) -> Iterator[Found | Unread]:
    """Every file once, though several snapshots link to it: as the newest, the one that `main` names, has it."""
    main = read_text(os.path.join(folder, "refs", "main"), 80)
    snapshots = os.path.join(folder, "snapshots")
    seen: set[int | str] = set()
    has_checkpoint = False
    for commit in sorted(names_in(snapshots), key=lambda name: (name != main, name)):
        root = f"{snapshots}{os.sep}{commit}"
        for folder_ in walk(root, MAX_DEPTH - 3):
            if isinstance(folder_, Unread):
                yield folder_
                continue
            for found in _found_in(folder_, id_, f"{id_}@{commit[:12]}", folder_.path == root):
                key = found.inode or found.id  # a listing on Windows gives no inodes, and there may be no links
                if key in seen or (found.is_checkpoint and has_checkpoint):
                    continue
                seen.add(key)
                has_checkpoint |= found.is_checkpoint
                yield found


@lru_cache(NUM_REMEMBERED)
def _found_in(folder: Folder, id_: str, source: str, is_top: bool) -> tuple[Found, ...]:
    """Of one folder of a snapshot; the same for the same files."""
    found = [
        from_group(
            group,
            Origin.HF_CACHE,
            f"{id_}/{os.path.splitext(group.first.name)[0]}",
            sha256=blob_sha256(group.first),
            source=source,
        )
        for group in groups(folder.files)
    ]
    whole = checkpoint(folder, Origin.HF_CACHE, id_, id_.rpartition("/")[2], source) if is_top else None
    return (*found, whole) if whole else tuple(found)


def blob_sha256(file: File) -> str | None:
    """The hash in the name of the blob that a snapshot's link points to."""
    try:
        name = os.path.basename(os.readlink(file.path))
    except OSError:  # no link: this system copies
        return None
    return name if SHA256.match(name) else None
