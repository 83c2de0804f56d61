"""The real services over a library of pretended models, which the fake backend plays."""

from dataclasses import replace
from pathlib import Path

from app.errors import UnknownModelError
from app.inference.engine_handle import EngineHandle
from app.library.entry import ModelEntry
from app.library.store import ModelStore
from app.paths import Paths
from app.services import Services
from app.settings import Settings, save_settings


def entry(name: str, file: str | None = None, problem: str | None = None) -> ModelEntry:
    """The file's name gives the fake backend its orders: see backends.fake.loader.load."""
    id_ = f"stage/{name.lower().replace(' ', '-')}"
    path = Path("/models") / (file or f"{name}.gguf")
    return ModelEntry(id_, name, path, 1_234_567_890, "llama", 1_200_000_000, "Q4_K_M", 4096, None, None, problem)


class StageStore(ModelStore):
    def __init__(self, entries: list[ModelEntry]):
        super().__init__(Path("/models"))
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


class StageServices(Services):
    def __init__(self, home: Path, entries: list[ModelEntry]):
        paths = Paths.below(home)
        if not paths.settings_file.exists():
            paths.ensure()
            save_settings(paths.settings_file, _quiet())
        super().__init__(paths)
        self.store = StageStore(entries)

    def load_model(self, entry: ModelEntry) -> EngineHandle:
        options = replace(self.options_for(entry), draft_model=None)
        return self.supervisor.load(entry.id, entry.path, options, backend="fake")


def _quiet() -> Settings:
    return Settings(theme="light", serve=False)
