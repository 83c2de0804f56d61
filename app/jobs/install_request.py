"""What a person asked to have installed: files of one commit of one repository, and what to make of them."""

import re
from dataclasses import dataclass
from enum import StrEnum

from app.errors import ModelFileError
from app.hub.quantizations import STAYS_PACKED
from app.hub.repository import HubFile, Repository, Variant, VariantKind
from app.library.names import CHECKPOINT, checked_name
from backends.formats.quantizations import COPY, Quality
from backends.formats.quantizations import QUANTIZATIONS as TYPES

MAX_FILES = 1000
MAX_BYTES = 1 << 50
COMMIT = re.compile(r"[0-9a-f]{7,64}")
SHA256 = re.compile(r"[0-9a-f]{64}")
GIT_SHA1 = re.compile(r"[0-9a-f]{40}")
SUFFIX = ".gguf"
# what a checkpoint can become: not a type that only fits weights which were trained for it
QUANTIZATIONS = tuple(
    row.name for row in TYPES.values() if row.quality is not Quality.SPECIAL and row.name not in ("F32", COPY)
)


class Aim(StrEnum):
    """What becomes of the files."""

    GGUF = "gguf"  # they are a model already
    CHECKPOINT = "checkpoint"  # they are kept as they are
    MODEL = "model"  # they are a checkpoint, and a model is made of them


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """files: the parts of a split model in their order. quantization: of the model to make, e.g. "Q4_K_M" or "F16".

    parameters: their number where the Hub knows it, for the size of what is made.
    """

    repository_id: str  # "publisher/repo"
    commit: str
    files: tuple[HubFile, ...]
    aim: Aim = Aim.GGUF
    quantization: str | None = None
    mmproj: HubFile | None = None
    parameters: int | None = None
    has_card: bool = True

    @classmethod
    def of(
        cls, repository: Repository, variant: Variant, quantization: str | None = "Q4_K_M", *, has_card: bool = True
    ) -> "InstallRequest":
        """quantization: of the model to make of a checkpoint; None keeps the checkpoint as it is."""
        aim = Aim.GGUF
        if variant.kind is VariantKind.CHECKPOINT:
            aim = Aim.MODEL if quantization else Aim.CHECKPOINT
        return cls(
            repository.id,
            repository.commit,
            variant.files,
            aim,
            quantization if aim is Aim.MODEL else variant.quantization,
            variant.mmproj,
            # what stays packed makes a file as large as the download
            None if repository.architecture in STAYS_PACKED else repository.parameters,
            has_card,
        )

    def __post_init__(self) -> None:
        """Raises ModelFileError for names that could leave their folder and numbers that cannot be."""
        names = self.repository_id.split("/")
        if len(names) != 2:
            raise ModelFileError(f"{self.repository_id[:200]!r} is no repository. Its name is “publisher/repository”.")
        for name, what in zip(names, ("publisher", "repository"), strict=True):
            checked_name(name, what)
        if not COMMIT.fullmatch(self.commit):
            raise ModelFileError(f"{self.commit[:80]!r} is no commit of a repository.")
        if not 1 <= len(self.files) <= MAX_FILES:
            raise ModelFileError(
                f"{self.repository_id} has {len(self.files)} files to install; 1 to {MAX_FILES} can be."
            )
        for file in self.all_files:
            _check_file(file)
        if len({file.name.lower() for file in self.all_files}) != len(self.all_files):
            raise ModelFileError(f"{self.repository_id} has two files of one name, which cannot lie in one folder.")
        if self.aim is Aim.MODEL and self.quantization not in QUANTIZATIONS:
            raise ModelFileError(f"{self.quantization!r} is no quantization. Q4_K_M is a good first choice.")
        if self.aim is Aim.GGUF and not all(file.name.lower().endswith(SUFFIX) for file in self.files):
            raise ModelFileError(f"{self.files[0].name} does not end with {SUFFIX}.")

    @property
    def all_files(self) -> tuple[HubFile, ...]:
        return self.files if self.mmproj is None else (*self.files, self.mmproj)

    @property
    def publisher(self) -> str:
        return self.repository_id.partition("/")[0]

    @property
    def repo(self) -> str:
        return self.repository_id.partition("/")[2]

    @property
    def download_bytes(self) -> int:
        return sum(file.bytes for file in self.all_files)

    @property
    def needs_imatrix(self) -> bool:
        return self.aim is Aim.MODEL and TYPES[self.quantization or COPY].needs_imatrix

    @property
    def target_name(self) -> str:
        """The file that the library will hold; of a split model the first part, of a checkpoint its folder."""
        match self.aim:
            case Aim.GGUF:
                return self.files[0].name
            case Aim.MODEL:
                return f"{self.repo}-{self.quantization}{SUFFIX}"
            case Aim.CHECKPOINT:
                return CHECKPOINT

    @property
    def title(self) -> str:
        what = {Aim.GGUF: self.files[0].name, Aim.CHECKPOINT: "as a checkpoint", Aim.MODEL: f"as {self.quantization}"}
        return f"{self.repository_id} {what[self.aim]}"


def _check_file(file: HubFile) -> None:
    for part in file.path.split("/"):
        checked_name(part, "file in a repository")
    is_sound = (
        type(file.bytes) is int
        and 0 <= file.bytes <= MAX_BYTES
        and (file.sha256 is None or SHA256.fullmatch(file.sha256))
        and (file.blob_id is None or GIT_SHA1.fullmatch(file.blob_id))
    )
    if not is_sound:
        raise ModelFileError(f"The Hub's description of {file.path} is not sound: its size or hash cannot be.")
