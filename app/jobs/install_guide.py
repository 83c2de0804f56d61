"""Makes the bundled model ready to run: checkpoint to F16 to Q4_K_M, its draft to F16, both into the library."""

from dataclasses import dataclass
from pathlib import Path

from app.jobs.convert import convert_checkpoint, quantize_file
from app.jobs.job import JobContext
from app.jobs.leftovers import guide
from app.library.entry import ModelEntry
from app.library.own_models import GUIDE
from app.library.store import ModelStore
from app.paths import Paths
from backends.child import Progress

PUBLISHER, REPO, MODEL_FILE = GUIDE.place
DRAFT_FILE = "slipstream-guide-draft-F16.gguf"
QUANTIZATION = "Q4_K_M"


@dataclass(frozen=True, slots=True)
class InstallGuide:
    """A job. Its result is the ModelEntry. The two folders are app.guide's GUIDE_DIR and DRAFT_DIR."""

    paths: Paths
    guide: Path
    draft: Path
    name: str
    title: str = "Install the guide"
    steps: tuple[str, ...] = ("Convert", "Quantize", "Convert the draft", "Add to the library")

    def run(self, context: JobContext) -> ModelEntry:
        """Raises ConversionError, ModelFileError or Cancelled. A model that was there before stays until the end."""
        store = ModelStore(self.paths.models)
        self.paths.ensure()
        workshops = guide(self.paths.cache)
        workshops.clear()
        workshop = workshops.make()
        try:
            return self._install(context, store, workshop.path)
        finally:
            workshop.remove()

    def _install(self, context: JobContext, store: ModelStore, workshop: Path) -> ModelEntry:
        logs, cancelled = self.paths.logs, context.cancelled
        full, model, draft = workshop / "guide-F16.gguf", workshop / MODEL_FILE, workshop / DRAFT_FILE
        convert_checkpoint(self.guide, full, "f16", logs=logs, on_progress=context.step(0), cancelled=cancelled)
        quantize_file(full, model, QUANTIZATION, logs=logs, on_progress=context.step(1), cancelled=cancelled)
        convert_checkpoint(self.draft, draft, "f16", logs=logs, on_progress=context.step(2), cancelled=cancelled)
        context.step(3)(Progress(0.0, "Adding it to the library"))
        return store.add(model, publisher=PUBLISHER, repo=REPO, name=self.name, draft=draft)
