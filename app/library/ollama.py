"""Ollama's models as they lie: manifests by name, and blobs by their SHA-256. Only read.

manifests/<registry>/<namespace>/<model>/<tag> is an OCI manifest; its layers say which blob is what.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

from app.library.documents import read_document, read_text
from app.library.found import Found
from app.library.origin import Origin

REGISTRY, NAMESPACE = "registry.ollama.ai", "library"  # left out of names, as Ollama does
DIGEST = re.compile(r"^sha256[:-]([0-9a-f]{64})$")
MODEL, PROJECTOR, ADAPTER = "model", "projector", "adapter"
TEXTS = {"template": "Template", "params": "Parameters", "system": "System prompt"}
MAX_TEXT = 2000
MAX_NAMES = 20_000


def find_ollama(root: str) -> Iterator[Found]:
    for path, name in _manifests(os.path.join(root, "manifests")):
        layers = read_document(path).get("layers")
        if isinstance(layers, list) and (found := _found(root, name, layers)):
            yield found


def _found(root: str, name: str, layers: list[Any]) -> Found | None:
    blobs = {kind: blob for layer in layers if (blob := _blob(root, layer)) for kind in (_kind(layer),)}
    if MODEL not in blobs:  # one that runs in the cloud, or of a kind that is no GGUF
        return None
    path, digest, num_bytes = blobs[MODEL]
    details = [(title, read_text(blobs[kind][0], MAX_TEXT)) for kind, title in TEXTS.items() if kind in blobs]
    if ADAPTER in blobs:
        details.append(("Adapter", "It comes with a LoRA adapter, which is not applied here."))
    problem = None
    try:
        status = os.stat(path)
        if num_bytes not in (None, status.st_size):
            problem = f"Ollama has not finished downloading {name}. Run “ollama pull {name}” again."
        identity = (status.st_size, status.st_mtime_ns, status.st_ino)
    except OSError:
        identity = (num_bytes or 0, 0, 0)
        problem = f"The file of {name} is missing from Ollama's folder. Run “ollama pull {name}” again."
    projector = blobs.get(PROJECTOR)
    return Found(
        Origin.OLLAMA,
        name,
        path,
        *identity,
        name=name,
        mmproj=projector[0] if projector else None,
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


def _kind(layer: dict[str, Any]) -> str:
    return str(layer.get("mediaType", "")).rpartition("application/vnd.ollama.image.")[2]


def _manifests(folder: str) -> Iterator[tuple[str, str]]:
    """Every manifest with the name that Ollama gives it."""
    num_names = 0
    for registry in _names(folder):
        for namespace in _names(folder, registry):
            for model in _names(folder, registry, namespace):
                for tag in _names(folder, registry, namespace, model):
                    num_names += 1
                    if num_names > MAX_NAMES:
                        return
                    usual = registry == REGISTRY
                    outer = (() if usual else (registry,)) + (() if usual and namespace == NAMESPACE else (namespace,))
                    yield os.path.join(folder, registry, namespace, model, tag), "/".join((*outer, f"{model}:{tag}"))


def _names(*folders: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(os.path.join(*folders)) if not name.startswith("."))
    except OSError:
        return []
