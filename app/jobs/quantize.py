"""A smaller file of a model, put beside it in the library; with an importance matrix made first, if that is wanted."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.errors import ConversionError
from app.jobs.convert import make_imatrix, quantize_file
from app.jobs.job import JobContext
from app.jobs.leftovers import quantizing
from app.library.entry import ModelEntry
from app.library.store import ModelStore
from backends.formats.quantizations import QUANTIZATIONS
from backends.ownership.directory import NotOurs

OWN_PUBLISHER = "local"  # of models that do not lie in the library
SPLIT = re.compile(r"-00001-of-\d{5}$")
TYPE = re.compile(rf"[-._](?:{'|'.join(map(re.escape, QUANTIZATIONS))}|FP16|FP32)$", re.IGNORECASE)
UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class Quantize:
    """A job. Its result is the new ModelEntry. text: for the matrix, None for the shipped one; imatrix: one that is
    there already."""

    store: ModelStore
    logs: Path
    source: ModelEntry
    type: str
    makes_matrix: bool = False
    text: Path | None = None
    imatrix: Path | None = None
    allow_requantize: bool = False

    @property
    def title(self) -> str:
        return f"Quantize {self.source.name} to {self.type}"

    @property
    def steps(self) -> tuple[str, ...]:
        matrix = ("Importance matrix",) if self.makes_matrix else ()
        return (*matrix, "Quantize", "Add to the library")

    def run(self, context: JobContext) -> ModelEntry:
        """Raises ConversionError, ModelFileError or Cancelled; then the library is as it was."""
        publisher, repo = self._place()
        target = self.store.folder(publisher, repo) / output_name(self.source.path, self.type)
        if target.exists():
            raise ConversionError(f"{target.name} is in the library already. Remove it first to make it anew.")
        with suppress(OSError):
            quantizing(self.store.models_dir).clear()
        with library_workshop(self.store.models_dir) as workshop:
            made = self._make(context, workshop, target.name)
            context.step(len(self.steps) - 1)
            lies_together = target.parent == self.source.path.parent
            return self.store.add(
                made,
                publisher=publisher,
                repo=repo,
                name=self.source.name,
                draft=self.source.draft if lies_together else None,
                mmproj=self.source.mmproj if lies_together else None,
                source=self.source.source,
            )

    def _make(self, context: JobContext, workshop: Path, name: str) -> Path:
        imatrix, made = self.imatrix, workshop / name
        if self.makes_matrix:
            imatrix = workshop / f"{made.stem}.imatrix"
            make_imatrix(
                self.source.path,
                imatrix,
                self.text,
                logs=self.logs,
                on_progress=context.step(0),
                cancelled=context.cancelled,
            )
        quantize_file(
            self.source.path,
            made,
            self.type,
            imatrix=imatrix,
            allow_requantize=self.allow_requantize,
            logs=self.logs,
            on_progress=context.step(len(self.steps) - 2),
            cancelled=context.cancelled,
        )
        return made

    def _place(self) -> tuple[str, str]:
        """Publisher and repository: the source's own, or a name of its own for what lies elsewhere."""
        folder = self.source.path.parent
        if folder.parent.parent == self.store.models_dir:
            return folder.parent.name, folder.name
        return OWN_PUBLISHER, safe_name(self.source.name)


def safe_name(name: str) -> str:
    """As a folder may be called."""
    return UNSAFE.sub("-", name).strip("-. ")[:100] or "model"


def output_name(source: Path, type_: str) -> str:
    """model-F16.gguf becomes model-Q4_K_M.gguf; so does model-F16-00001-of-00002.gguf."""
    stem = SPLIT.sub("", source.stem)
    return f"{TYPE.sub('', stem)}-{type_}.gguf"


@contextmanager
def library_workshop(models_dir: Path) -> Iterator[Path]:
    """A folder to work in, on the library's disk. Raises ConversionError when none can be made."""
    workshops = quantizing(models_dir)
    try:
        workshop = workshops.make()
    except NotOurs as fault:
        raise ConversionError(str(fault)) from fault
    except OSError as fault:
        why = fault.strerror or str(fault)
        raise ConversionError(f"{models_dir} cannot be written: {why}. Look who may write there.") from fault
    try:
        yield workshop.path
    finally:
        workshop.remove()
        workshops.remove_place()
