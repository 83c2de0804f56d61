"""The real services over a library of pretended models, which the fake backend plays."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.errors import ConversionError, UnknownModelError
from app.guide import GUIDE_NAME
from app.jobs.job import JobContext, Lane
from app.library.entry import ModelEntry
from app.library.index import Index
from app.library.library import Library, Listing, remarked
from app.library.remarks import Remarks
from app.library.store import ModelStore, Removal
from app.paths import Paths
from app.services import Services
from app.settings import Settings
from app.settings_file import save_settings
from backends.child import Progress
from backends.protocol import EngineOptions


def entry(name: str, file: str | None = None, problem: str | None = None) -> ModelEntry:
    """The file's name gives the fake backend its orders: see backends.fake.loader.load."""
    id_ = f"stage/{name.lower().replace(' ', '-')}"
    path = Path("/models") / (file or f"{name}.gguf")
    return ModelEntry(id_, name, path, 1_234_567_890, "llama", 1_200_000_000, "Q4_K_M", 4096, None, None, problem)


class StageStore(ModelStore):
    def __init__(self, entries: list[ModelEntry], models_dir: Path):
        super().__init__(models_dir)
        self.entries = entries

    def models(self) -> list[ModelEntry]:
        return list(self.entries)

    def find(self, name: str) -> ModelEntry:
        for known in self.entries:
            if name in (known.id, known.name):
                return known
        raise UnknownModelError(f"There is no model “{name}”.")

    def remove(self, model_id: str) -> None:
        self.entries.remove(self.find(model_id))


class StageLibrary(Library):
    """Lists the stage's models as they are; remarks are real."""

    def __init__(self, store: StageStore, paths: Paths, on_problem: Callable[[str], None]):
        remarks = Remarks(paths.data / "library.json", on_problem)
        super().__init__(store, Index(paths.cache / "library.sqlite3"), remarks, list)

    def look(self, patience: float | None = None) -> Listing:  # noqa: ARG002
        return Listing([remarked(entry, self._remarks.of(str(entry.path))) for entry in self.store.models()], 0)

    def find(self, name: str) -> ModelEntry:
        return self.store.find(name)

    def removal(self, model_id: str) -> Removal:
        return Removal(self.find(model_id), ((self.find(model_id).path, self.find(model_id).bytes),))

    def remove(self, model_id: str, shown: Removal | None = None) -> None:  # noqa: ARG002
        self.store.remove(model_id)


@dataclass
class PretendGuide:
    """The guide's installation without its work: waits at each step until it is let go."""

    store: StageStore
    entry: ModelEntry
    failure: str | None = None
    go_on: threading.Event = field(default_factory=threading.Event)
    title: str = "Install the guide"
    steps: tuple[str, ...] = ("Convert", "Quantize")

    def run(self, context: JobContext) -> ModelEntry:
        for number in range(len(self.steps)):
            context.step(number)(Progress(0.5, "half"))
            while not self.go_on.wait(0.02):
                context.step(number)
        if self.failure:
            raise ConversionError(self.failure)
        self.store.entries.append(self.entry)
        return self.entry


class StageServices(Services):
    backend = "fake"

    def __init__(self, home: Path, entries: list[ModelEntry]):
        paths = Paths.below(home)
        if not paths.settings_file.exists():
            paths.ensure()
            save_settings(paths.settings_file, _quiet())
        super().__init__(paths)
        self.stage_store = self.store = StageStore(entries, paths.models)
        self.library = StageLibrary(self.stage_store, self.paths, self._note)
        self.directory._library = self.library  # what the port lists, too
        self.guide = PretendGuide(self.stage_store, entry(GUIDE_NAME))
        self.small = PretendGuide(self.stage_store, entry("SmolLM2-135M-Instruct"), title="Install SmolLM2")

    def common_options(self, entry: ModelEntry) -> EngineOptions:
        return replace(super().common_options(entry), draft_model=None)

    def planned_options(self, options: EngineOptions) -> EngineOptions:
        return options  # nobody has tested a build of llama.cpp for the fake engine

    def require_readable(self, entry: ModelEntry) -> None:
        pass  # there are no files

    @property
    def guide_path(self) -> Path:
        return self.guide.entry.path

    def install_guide(self) -> int:
        return self.jobs.add(self.guide).id

    @property
    def smollm2_path(self) -> Path:
        return self.small.entry.path

    def install_smollm2(self) -> int:
        return self.jobs.add(self.small, Lane.LIGHT).id


def _quiet() -> Settings:
    return Settings(theme="light", serve=False)
