"""A repository as the Hub knows it: files with their hashes, and what its page says of it."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

LFS_SUFFIXES = (".gguf", ".safetensors", ".bin", ".pt", ".model")
LFS_BYTES = 10 << 20  # any larger file is LFS as well
CHUNK = 1 << 20

Content = bytes | Path


@dataclass(frozen=True)
class HubFile:
    path: str
    content: Content

    @property
    def bytes(self) -> int:
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @property
    def is_lfs(self) -> bool:
        return self.path.lower().endswith(LFS_SUFFIXES) or self.bytes > LFS_BYTES

    @cached_property
    def sha256(self) -> str:
        if isinstance(self.content, bytes):
            return hashlib.sha256(self.content).hexdigest()
        stat = self.content.stat()
        return _hash_of_path(self.content, stat.st_size, stat.st_mtime_ns)

    @cached_property
    def oid(self) -> str:
        """git's name of the blob; of an LFS file, the name of its pointer."""
        if self.is_lfs:
            return _blob_name(pointer(self.sha256, self.bytes))
        return _blob_name(self.content if isinstance(self.content, bytes) else self.content.read_bytes())

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.oid

    def lfs(self) -> dict[str, Any] | None:
        if not self.is_lfs:
            return None
        return {"size": self.bytes, "sha256": self.sha256, "pointerSize": len(pointer(self.sha256, self.bytes))}


@dataclass
class HubRepo:
    """Change `files` at will: the commit follows, unless it is given."""

    id: str
    files: Mapping[str, Content] = field(default_factory=dict)
    gated: Literal[False, "auto", "manual"] = False
    granted: set[str] = field(default_factory=set)  # tokens that a gated or private repository lets in
    private: bool = False
    license: str | None = "apache-2.0"
    tags: tuple[str, ...] = ()
    downloads: int = 0
    likes: int = 0
    trending: int = 0
    updated: str = "2026-02-03T04:05:06.000Z"
    created: str = "2025-01-02T03:04:05.000Z"
    pipeline: str | None = "text-generation"
    gguf: dict[str, Any] | None = None  # {"total": parameters, "architecture": "llama", "context_length": 4096}
    safetensors: dict[str, Any] | None = None  # {"parameters": {"BF16": 135_000_000}, "total": 135_000_000}
    config: dict[str, Any] | None = None
    card: dict[str, Any] = field(default_factory=dict)
    commit: str | None = None
    xet: bool = False  # HEAD names a Xet hash, as the Hub does today

    @property
    def sha(self) -> str:
        if self.commit is not None:
            return self.commit
        names = "\n".join(f"{file.path} {file.oid}" for file in self.listing())
        return hashlib.sha1(f"{self.id}\n{names}".encode()).hexdigest()

    @property
    def all_tags(self) -> list[str]:
        formats = {path.rpartition(".")[2] for path in self.files} & {"gguf", "safetensors"}
        own = [f"license:{self.license}"] if self.license else []
        return [*self.tags, *sorted(formats - set(self.tags)), *own]

    @property
    def parameters(self) -> int:
        return int((self.safetensors or self.gguf or {}).get("total", 0))

    def listing(self) -> list[HubFile]:
        return [HubFile(path, self.files[path]) for path in sorted(self.files)]

    def file(self, path: str) -> HubFile | None:
        return HubFile(path, self.files[path]) if path in self.files else None


def many_repos(count: int) -> Iterator[HubRepo]:
    """A long listing, cheap to make: names, downloads and dates differ."""
    for number in range(count):
        yield HubRepo(
            f"author{number % 97}/model-{number:05}-GGUF",
            tags=("gguf", ("llama", "qwen3", "gemma3")[number % 3]),
            downloads=(number * 7919) % 1_000_003,
            likes=(number * 104_729) % 4001,
            updated=f"2026-{1 + number % 12:02}-{1 + number % 28:02}T00:00:00.000Z",
            gguf={"total": 135_000_000 * (1 + number % 50), "architecture": "llama", "context_length": 4096},
        )


def pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def _blob_name(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@lru_cache(maxsize=1024)
def _hash_of_path(path: Path, _size: int, _changed: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
