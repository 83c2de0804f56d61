"""A checkpoint of the library as a GGUF file in the managed folder. What is converted stays as it lies."""

from dataclasses import dataclass
from pathlib import Path

from app.errors import ConversionError
from app.jobs.convert import convert_checkpoint
from app.jobs.install_plan import full_type
from app.jobs.job import JobContext
from app.jobs.quantize import OWN_PUBLISHER, library_workshop, output_name, safe_name
from app.library.entry import ModelEntry
from app.library.store import ModelStore


@dataclass(frozen=True, slots=True)
class ConvertModel:
    """A job. Its result is the new ModelEntry, in the checkpoint's own 16-bit type."""

    store: ModelStore
    logs: Path
    source: ModelEntry
    steps: tuple[str, ...] = ("Convert", "Add to the library")
    weights: tuple[int, ...] = (99, 1)

    @property
    def title(self) -> str:
        return f"Convert {self.source.name}"

    def run(self, context: JobContext) -> ModelEntry:
        """Raises ConversionError, ModelFileError or Cancelled; then the library is as it was."""
        publisher, repo = self._place()
        type_ = full_type(None, self.source.path)
        name = output_name(Path(f"{repo}.gguf"), type_.upper())
        if (self.store.folder(publisher, repo) / name).exists():
            raise ConversionError(f"{name} is in the library already. Remove it first to make it anew.")
        with library_workshop(self.store.models_dir) as workshop:
            convert_checkpoint(
                self.source.path,
                workshop / name,
                type_,
                logs=self.logs,
                on_progress=context.step(0),
                cancelled=context.cancelled,
            )
            context.step(1)
            return self.store.add(
                workshop / name, publisher=publisher, repo=repo, name=self.source.name, source=self.source.source
            )

    def _place(self) -> tuple[str, str]:
        """Publisher and repository: beside a checkpoint that Slipstream has installed, else one of its own."""
        if self.source.path.is_relative_to(self.store.models_dir):
            publisher, repo, *_ = self.source.path.relative_to(self.store.models_dir).parts
            return publisher, repo
        return OWN_PUBLISHER, safe_name(self.source.name)
