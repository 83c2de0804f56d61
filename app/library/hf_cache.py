"""The Hugging Face cache as it lies: models--org--name/snapshots/<commit>/… with links into blobs. Only read."""

import os
import re
from collections.abc import Iterator

from app.library.documents import read_text
from app.library.found import Found, checkpoint, from_group
from app.library.origin import Origin
from app.library.scan import MAX_DEPTH, File, groups, walk

PREFIX = "models--"
SHA256 = re.compile(r"^[0-9a-f]{64}$")  # blobs of 40 digits are git's, whose hash covers more than the file


def find_hf_cache(root: str) -> Iterator[Found]:
    for name in _names(root):
        if name.startswith(PREFIX):
            yield from _repository(os.path.join(root, name), name.removeprefix(PREFIX).replace("--", "/"))


def _repository(folder: str, id_: str) -> Iterator[Found]:
    """Every file once, though several snapshots link to it: as the newest, the one that `main` names, has it."""
    main = read_text(os.path.join(folder, "refs", "main"), 80)
    snapshots = os.path.join(folder, "snapshots")
    seen: set[int] = set()
    has_checkpoint = False
    for commit in sorted(_names(snapshots), key=lambda name: (name != main, name)):
        source = f"{id_}@{commit[:12]}"
        root = os.path.join(snapshots, commit)
        for found in walk(root, MAX_DEPTH - 3):
            for group in groups(found.files):
                if group.first.inode in seen:
                    continue
                seen.add(group.first.inode)
                stem = os.path.splitext(group.first.name)[0]
                yield from_group(
                    group, Origin.HF_CACHE, f"{id_}/{stem}", sha256=blob_sha256(group.first), source=source
                )
            if found.path == root and not has_checkpoint:
                whole = checkpoint(found, Origin.HF_CACHE, id_, id_.rpartition("/")[2], source)
                has_checkpoint = whole is not None
                if whole:
                    yield whole


def blob_sha256(file: File) -> str | None:
    """The hash in the name of the blob that a snapshot's link points to."""
    try:
        name = os.path.basename(os.readlink(file.path))
    except OSError:  # no link: this system copies
        return None
    return name if SHA256.match(name) else None


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
