"""Ollama's models as they lie: manifests by name, and blobs by their SHA-256. Only read.

manifests/<registry>/<namespace>/<model>/<tag> is an OCI manifest; its layers say which blob is what.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from app.library.documents import parsed_document, read_bytes, read_text
from app.library.found import Found
from app.library.origin import Origin
from app.library.scan import NUM_REMEMBERED, Unread, names_in, unread
from backends.bounds import as_text, clamped, sentence, whole

REGISTRY, NAMESPACE = "registry.ollama.ai", "library"  # left out of names, as Ollama does
DIGEST = re.compile(r"^sha256[:-]([0-9a-f]{64})$")
MODEL, PROJECTOR, ADAPTER = "model", "projector", "adapter"
TEXTS = {"template": "Template", "params": "Parameters", "system": "System prompt"}
MAX_TEXT = 2000
MAX_MANIFEST = 64 << 10  # bytes; most have one thousand
MAX_NAMES = 20_000
LEVELS = ("registry", "namespace", "model", "tag")


def find_ollama(root: str) -> Iterator[Found | Unread]:
    for each in _manifests(f"{root}{os.sep}manifests"):
        if isinstance(each, Unread):
            yield each
            continue
        path, name = each
        manifest = _manifest(root, read_bytes(path, MAX_MANIFEST))
        if manifest.is_odd:
            yield Unread(sentence(f"Ollama's manifest of {name} cannot be understood. Run “ollama pull {name}” again."))
        if MODEL not in manifest.blobs:  # one that runs in the cloud, or of a kind that is no GGUF
            continue
        try:
            status = os.stat(manifest.blobs[MODEL].path)
            yield _found(name, manifest, (status.st_size, clamped(status.st_mtime_ns), status.st_ino))
        except OSError:
            yield _found(name, manifest, None)


class _Blob(NamedTuple):
    """size: as the manifest announces it; None where it does not. is_odd: it announces what is no size."""

    path: str
    sha256: str
    size: int | None
    is_odd: bool


@dataclass(frozen=True, eq=False)  # the same object for the same manifest, so that it may be a key
class _Manifest:
    """blobs: by kind. is_odd: it names a model, and no file could be it."""

    blobs: dict[str, _Blob]
    is_odd: bool


@lru_cache(NUM_REMEMBERED)
def _manifest(root: str, content: bytes) -> _Manifest:
    document = parsed_document(content)
    layers = document.get("layers") or []
    if not document or not isinstance(layers, list):
        return _Manifest({}, True)
    found = [(_kind(layer), _blob(root, layer)) for layer in layers]
    blobs = {kind: blob for kind, blob in found if kind and blob}
    is_odd = any(kind in (MODEL, None) for kind, _ in found) and MODEL not in blobs
    return _Manifest(blobs, is_odd)


@lru_cache(NUM_REMEMBERED)
def _found(name: str, manifest: _Manifest, identity: tuple[int, int, int] | None) -> Found:
    """Blobs are named by their content: what the small ones say cannot change."""
    blobs = manifest.blobs
    it = blobs[MODEL]
    details = [
        (title, as_text(read_text(blobs[kind].path, MAX_TEXT), MAX_TEXT))
        for kind, title in TEXTS.items()
        if kind in blobs
    ]
    if ADAPTER in blobs:
        details.append(("Adapter", "It comes with a LoRA adapter, which is not applied here."))
    problem = None
    if it.is_odd:
        problem = f"Ollama's manifest of {name} announces a size that no file has. Run “ollama pull {name}” again."
    elif identity is None:
        problem = f"The file of {name} is missing from Ollama's folder. Run “ollama pull {name}” again."
    elif it.size not in (None, identity[0]):
        problem = f"Ollama has not finished downloading {name}. Run “ollama pull {name}” again."
    return Found(
        Origin.OLLAMA,
        name,
        it.path,
        *(identity or (it.size or 0, 0, 0)),
        name=name,
        mmproj=blobs[PROJECTOR].path if PROJECTOR in blobs else None,
        sha256=it.sha256,
        source=f"ollama.com/{name}" if "." not in name.partition("/")[0] else name,
        problem=problem,
        details=tuple(details),
    )


def _blob(root: str, layer: Any) -> _Blob | None:
    """Whatever is no hash could be a path to anywhere."""
    if not isinstance(layer, dict) or not isinstance(layer.get("digest"), str):
        return None
    match = DIGEST.match(layer["digest"])
    if match is None:
        return None
    announced = layer.get("size")
    size = whole(announced)
    path = os.path.join(root, "blobs", f"sha256-{match[1]}")
    return _Blob(path, match[1], size, announced is not None and size is None)


def _kind(layer: Any) -> str | None:
    """None for what is no layer at all."""
    media = layer.get("mediaType") if isinstance(layer, dict) else None
    return media.rpartition("application/vnd.ollama.image.")[2] if isinstance(media, str) else None


def _manifests(folder: str) -> Iterator[tuple[str, str] | Unread]:
    """Every manifest with the name that Ollama gives it."""
    waiting: list[tuple[str, ...]] = [()]
    num_names = 0
    while waiting:
        inside = waiting.pop()
        if len(inside) == len(LEVELS):
            num_names += 1
            if num_names > MAX_NAMES:
                yield Unread(sentence(f"{folder} names more than {MAX_NAMES:,} models; the rest is not listed."))
                return
            yield os.path.join(folder, *inside), _name(*inside)
            continue
        place = os.path.join(folder, *inside)
        try:
            names = [name for name in names_in(place) if not name.startswith(".")]
        except OSError as fault:
            yield unread(place, fault)
            continue
        waiting += ((*inside, name) for name in reversed(names))


def _name(registry: str, namespace: str, model: str, tag: str) -> str:
    is_usual = registry == REGISTRY
    outer = (() if is_usual else (registry,)) + (() if is_usual and namespace == NAMESPACE else (namespace,))
    return "/".join((*outer, f"{model}:{tag}"))
