"""Ollama's models as they lie: manifests by name, and blobs by their SHA-256. Only read.

manifests/<registry>/<namespace>/<model>/<tag> is an OCI manifest; its layers say which blob is what.
"""

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from app.library.documents import parsed_document, read_bytes, read_text
from app.library.found import Found
from app.library.origin import Origin
from app.library.scan import NUM_REMEMBERED

REGISTRY, NAMESPACE = "registry.ollama.ai", "library"  # left out of names, as Ollama does
DIGEST = re.compile(r"^sha256[:-]([0-9a-f]{64})$")
MODEL, PROJECTOR, ADAPTER = "model", "projector", "adapter"
TEXTS = {"template": "Template", "params": "Parameters", "system": "System prompt"}
MAX_TEXT = 2000
MAX_NAMES = 20_000


def find_ollama(root: str) -> Iterator[Found]:
    for path, name in _manifests(f"{root}{os.sep}manifests"):
        blobs = _blobs(root, read_bytes(path))
        if blobs is None:  # one that runs in the cloud, or of a kind that is no GGUF
            continue
        try:
            status = os.stat(blobs[MODEL][0])
            yield _found(name, blobs, (status.st_size, status.st_mtime_ns, status.st_ino))
        except OSError:
            yield _found(name, blobs, None)


class _Blobs(dict[str, tuple[str, str, int | None]]):
    """By kind: path, hash and announced size. Of one manifest, so that it may be a key."""

    __hash__ = object.__hash__  # type: ignore[assignment]


@lru_cache(NUM_REMEMBERED)
def _blobs(root: str, manifest: bytes) -> _Blobs | None:
    layers = parsed_document(manifest).get("layers")
    found = ((_kind(layer), _blob(root, layer)) for layer in layers) if isinstance(layers, list) else ()
    blobs = _Blobs({kind: blob for kind, blob in found if blob})
    return blobs if MODEL in blobs else None


@lru_cache(NUM_REMEMBERED)
def _found(name: str, blobs: _Blobs, identity: tuple[int, int, int] | None) -> Found:
    """Blobs are named by their content: what the small ones say cannot change."""
    path, digest, num_bytes = blobs[MODEL]
    details = [(title, read_text(blobs[kind][0], MAX_TEXT)) for kind, title in TEXTS.items() if kind in blobs]
    if ADAPTER in blobs:
        details.append(("Adapter", "It comes with a LoRA adapter, which is not applied here."))
    problem = None
    if identity is None:
        problem = f"The file of {name} is missing from Ollama's folder. Run “ollama pull {name}” again."
    elif num_bytes not in (None, identity[0]):
        problem = f"Ollama has not finished downloading {name}. Run “ollama pull {name}” again."
    return Found(
        Origin.OLLAMA,
        name,
        path,
        *(identity or (num_bytes or 0, 0, 0)),
        name=name,
        mmproj=blobs[PROJECTOR][0] if PROJECTOR in blobs else None,
        sha256=digest,
        source=f"ollama.com/{name}" if "." not in name.partition("/")[0] else name,
        problem=problem,
        details=tuple(details),
    )


def _blob(root: str, layer: Any) -> tuple[str, str, int | None] | None:
    """Path, hash and announced size. Whatever is no hash could be a path to anywhere."""
    if not isinstance(layer, dict) or not isinstance(layer.get("digest"), str):
        return None
    match = DIGEST.match(layer["digest"])
    size = layer.get("size")
    if match is None:
        return None
    return os.path.join(root, "blobs", f"sha256-{match[1]}"), match[1], size if type(size) is int else None


def _kind(layer: Any) -> str:
    media = layer.get("mediaType") if isinstance(layer, dict) else ""
    return str(media).rpartition("application/vnd.ollama.image.")[2]


def _manifests(folder: str) -> Iterator[tuple[str, str]]:
    """Every manifest with the name that Ollama gives it."""
    num_names = 0
    for registry in _names(folder):
        for namespace in _names(folder, registry):
            for model in _names(folder, registry, namespace):
                place = os.path.join(folder, registry, namespace, model)
                for tag in _names(place):
                    num_names += 1
                    if num_names > MAX_NAMES:
                        return
                    usual = registry == REGISTRY
                    outer = (() if usual else (registry,)) + (() if usual and namespace == NAMESPACE else (namespace,))
                    yield f"{place}{os.sep}{tag}", "/".join((*outer, f"{model}:{tag}"))


def _names(*folders: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(os.path.join(*folders)) if not name.startswith("."))
    except OSError:
        return []
