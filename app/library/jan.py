"""Jan's models as they lie: a folder per model with a model.yml, before 2025 a model.json. Only read."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath

from app.library.documents import read_document, read_settings
from app.library.found import Found, from_group
from app.library.origin import Origin
from app.library.scan import File, Folder, Group, Unread, folder_at, groups, walk

FOLDERS = (os.path.join("llamacpp", "models"), "models")  # below the data folder: the new place and the old one
MAX_DEPTH = 4  # of folders with a document of Jan's
SHA256 = re.compile(r"^[0-9a-f]{64}$")


def find_jan(data: str) -> Iterator[Found | Unread]:
    """`data`: Jan's data folder. Files that its documents name may lie anywhere; they are only read."""
    seen: set[str] = set()
    for below in FOLDERS:
        root = os.path.join(data, below)
        places = list(walk(root))
        folders = [each for each in places if isinstance(each, Folder)]
        yield from (each for each in places if isinstance(each, Unread))
        for found in (*_described(data, root, folders), *_others(root, folders)):
            if found.path not in seen:
                seen.add(found.path)
                yield found


def _described(data: str, root: str, folders: Sequence[Folder]) -> Iterator[Found]:
    for folder in folders:
        if folder.depth > MAX_DEPTH or not (folder.named("model.yml") or folder.named("model.json")):
            continue
        settings = read_settings(os.path.join(folder.path, "model.yml"))
        path, name = _first(settings.get("model_path") or settings.get("files")), settings.get("name")
        if not path:
            document = read_document(os.path.join(folder.path, "model.json"))
            path, name = _source(document), document.get("name")
        if not (file := _file(path, folder.path, data)):
            continue
        sha256 = _first(settings.get("model_sha256")).lower()
        projector = _file(_first(settings.get("mmproj_path")), folder.path, data)
        yield from_group(
            replace(_group(file), mmproj=projector),
            Origin.JAN,
            os.path.relpath(folder.path, root).replace(os.sep, "/"),
            name=name if isinstance(name, str) and name.strip() else None,
            sha256=sha256 if SHA256.match(sha256) else None,
        )


def _others(root: str, folders: Sequence[Folder]) -> Iterator[Found]:
    for folder in folders:
        inside = os.path.relpath(folder.path, root).replace(os.sep, "/")
        for group in groups(folder.files):
            stem = os.path.splitext(group.first.name)[0]
            yield from_group(group, Origin.JAN, stem if inside == "." else f"{inside}/{stem}")


def _group(file: File) -> Group:
    """With the other parts of it, and the image part, that lie in the same folder."""
    beside = folder_at(os.path.dirname(file.path))
    return next(
        (group for group in groups(beside.files if beside else ()) if group.first.path == file.path), Group(file)
    )


def _first(value: str | list[str] | None) -> str:
    return (value[0] if value else "") if isinstance(value, list) else value or ""


def _source(document: dict[str, object]) -> str:
    sources = document.get("sources")
    if not isinstance(sources, list) or not sources or not isinstance(sources[0], dict):
        return ""
    name = sources[0].get("filename")
    return PurePath(name).name if isinstance(name, str) else ""


def _file(path: str, folder: str, data: str) -> File | None:
    """As its description means it: absolute, beside it, or from the data folder."""
    for place in (os.path.join(folder, path), os.path.join(data, path)) if path else ():
        beside = folder_at(os.path.dirname(place))
        if beside and (file := beside.named(os.path.basename(place))):
            return file
    return None
