"""Repositories of the Hub, their files and what can be installed from them. Values only; knows no network."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Format(StrEnum):
    GGUF = "gguf"
    SAFETENSORS = "safetensors"


class Sort(StrEnum):
    DOWNLOADS = "downloads"
    LIKES = "likes"
    UPDATED = "last_modified"


class Gate(StrEnum):
    """Whether files are handed out only to who has asked: at once (AUTO) or when a person agrees (MANUAL)."""

    NO = "no"
    AUTO = "auto"
    MANUAL = "manual"


class VariantKind(StrEnum):
    GGUF = "gguf"
    CHECKPOINT = "checkpoint"  # to be converted here


@dataclass(frozen=True, slots=True)
class HubFile:
    """path: checked, with forward slashes. sha256: of LFS files only. blob_id: git's sha1 of the others."""

    path: str
    bytes: int
    sha256: str | None = None
    blob_id: str | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Variant:
    """What one click installs: a model file with its parts, or a checkpoint with all that its conversion needs.

    files: in the order of their parts. bytes: of these files. mmproj: what makes it see, not one of them.
    """

    label: str
    kind: VariantKind
    files: tuple[HubFile, ...]
    quantization: str | None
    bytes: int
    mmproj: HubFile | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository at one commit. card: Markdown without remote content. None: the Hub does not say."""

    id: str
    commit: str
    files: tuple[HubFile, ...]
    variants: tuple[Variant, ...]
    gate: Gate = Gate.NO
    page: str = ""  # where a person reads it and asks for access
    card: str = ""
    tags: tuple[str, ...] = ()
    downloads: int = 0
    likes: int = 0
    updated: datetime | None = None
    license: str | None = None
    architecture: str | None = None
    parameters: int | None = None
    context: int | None = None


@dataclass(frozen=True, slots=True)
class RepositorySummary:
    """One hit of a search."""

    id: str
    gate: Gate = Gate.NO
    tags: tuple[str, ...] = ()
    downloads: int = 0
    likes: int = 0
    updated: datetime | None = None
    license: str | None = None
    architecture: str | None = None
    parameters: int | None = None
    context: int | None = None
    formats: tuple[Format, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """None: any. license and architecture as the Hub tags them; parameters: how many weights."""

    text: str = ""
    format: Format | None = None
    sort: Sort = Sort.DOWNLOADS
    license: str | None = None
    architecture: str | None = None
    author: str | None = None
    min_parameters: int | None = None
    max_parameters: int | None = None
