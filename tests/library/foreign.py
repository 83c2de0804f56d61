"""Makes folders of models as LM Studio, Ollama, Jan and the Hugging Face cache lay them out."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from tests.library.gguf_bytes import SETTINGS, model, write

SMALL = {**SETTINGS, "tokenizer.ggml.tokens": ["a", "b"]}


def gguf(path: Path, name: str = "a model", **settings: Any) -> Path:
    return write(path, settings={**SMALL, "general.name": name, **settings})


def parts(folder: Path, stem: str, count: int = 2) -> list[Path]:
    """A model in several files, each with one tensor."""
    result = []
    for number in range(count):
        split = {"split.count": count, "split.no": number, "split.tensors.count": count}
        settings = {**SMALL, **split} if number == 0 else {"general.architecture": "llama", **split}
        path = folder / f"{stem}-{number + 1:05d}-of-{count:05d}.gguf"
        result.append(write(path, settings=settings, tensors=[(f"blk.{number}.attn_norm.weight", [64], 0)]))
    return result


def projector(path: Path, width: int = 64, kind: str = "mlp", **settings: Any) -> Path:
    """width: of the text model's embedding, 64 in all that this module makes."""
    own = {"general.architecture": "clip", "general.type": "mmproj", "clip.projector_type": kind}
    return write(path, settings={**own, "clip.vision.projection_dim": width, **settings})


def ollama(root: Path, name: str, content: bytes | None = None, **texts: str) -> Path:
    """`name` as in `ollama run`: model:tag. Returns the blob."""
    model_, _, tag = name.partition(":")
    data = model(settings={**SMALL, "general.name": name}) if content is None else content
    layers = [_layer(root, "model", data)]
    layers += [_layer(root, kind, text.encode()) for kind, text in texts.items()]
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / model_ / (tag or "latest")
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}))
    return root / "blobs" / layers[0]["digest"].replace(":", "-")


def _layer(root: Path, kind: str, data: bytes) -> dict[str, Any]:
    sha = hashlib.sha256(data).hexdigest()
    blob = root / "blobs" / f"sha256-{sha}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(data)
    return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": f"sha256:{sha}", "size": len(data)}


def hf_cache(root: Path, id_: str, files: dict[str, bytes], commit: str = "c0ffee") -> Path:
    """Returns the snapshot, whose files are links to blobs."""
    folder = root / f"models--{id_.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    for name, data in files.items():
        blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot


def jan(data: Path, id_: str, file: Path) -> None:
    folder = data / "llamacpp" / "models" / id_
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yml").write_text(
        f"# written by Jan\nname: {id_.title()}\nmodel_path: {os.path.relpath(file, data)}\nsize_bytes: 1\n"
        f"model_sha256: {hashlib.sha256(file.read_bytes()).hexdigest()}\nembedding: false\n"
    )


def everything_below(*folders: Path) -> dict[str, tuple[int, int, int]]:
    """What must be the same after the library has looked: sizes and times of all that lies there."""
    return {
        str(path): (status.st_size, status.st_mtime_ns, status.st_mode)
        for folder in folders
        for path in (folder, *folder.rglob("*"))
        for status in (path.lstat(),)
    }
