"""What the models page asks of the library: remarks, checks, folders, files. All on workers; knows no widget."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.errors import SlipstreamError
from app.jobs.job import Job
from backends.bounds import sentence
from ui.bridge import Bridge
from ui.library.models_model import ModelsModel

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.services import Services

LOOK_MS = 5000  # between two looks at the folders while the page is seen


def is_checkable(entry: "ModelEntry") -> bool:
    """What is no model has its reason; that its bytes are as they were would say nothing against that."""
    return entry.is_loadable


class LibraryDesk(QObject):
    refused = Signal(str)
    removal_known = Signal(object)  # Removal

    def __init__(self, services: "Services", bridge: Bridge, models: ModelsModel):
        super().__init__(bridge)
        self._services = services
        self._bridge = bridge
        self._models = models
        self._jobs: set[int] = set()  # after which the library is another
        self._timer = QTimer(self, interval=LOOK_MS)
        self._timer.timeout.connect(models.refresh)
        bridge.job_changed.connect(self._watch)

    def begin(self) -> None:
        """The page is seen: what has changed behind our back shows at once, and from now on."""
        self._models.refresh()
        self._timer.start()

    def rest(self) -> None:
        self._timer.stop()

    def ask_removal(self, entry: "ModelEntry") -> None:
        self._call(partial(self._services.library.removal, entry.id), self.removal_known.emit)

    def rename(self, entry: "ModelEntry", name: str) -> None:
        self._call(partial(self._services.library.rename, entry.id, name), self._refresh)

    def star(self, entry: "ModelEntry", is_favourite: bool) -> None:
        self._call(partial(self._services.library.set_favourite, entry.id, is_favourite), self._refresh)

    def write_note(self, model_id: str, note: str) -> None:
        self._call(partial(self._services.library.write_note, model_id, note), self._refresh)

    def verify(self, entries: "list[ModelEntry]") -> None:
        for entry in filter(is_checkable, entries):
            self._call(partial(self._services.verify_model, entry.id), self._jobs.add)

    def convert(self, entry: "ModelEntry") -> None:
        self._call(partial(self._services.convert_model, entry.id), self._jobs.add)

    def bring_in(self, paths: list[Path], is_move: bool) -> None:
        self._call(partial(self._services.bring_in, paths, is_move=is_move), self._jobs.add)

    def add_folder(self, folder: Path) -> None:
        """Settings are written in the GUI thread alone; a disk that sleeps is woken before that."""
        self._call(folder.is_dir, lambda _: self._add_folder(folder))

    def follow(self, job_id: int) -> None:
        """Look at the library again once this job is done."""
        self._jobs.add(job_id)

    def _add_folder(self, folder: Path) -> None:
        try:
            self._services.add_folder(folder)
        except (SlipstreamError, OSError) as error:
            self._tell(error)
        self._models.refresh()

    def _watch(self, job: Job) -> None:
        if job.id in self._jobs and job.state.is_final:
            self._jobs.discard(job.id)
            self._models.refresh()

    def _refresh(self, _: object = None) -> None:
        self._models.refresh()

    def _call(self, work: Callable[[], object], done: Callable[[Any], None]) -> None:
        self._bridge.call(work, done, self._tell)

    def _tell(self, error: Exception) -> None:
        self.refused.emit(sentence(str(error) if isinstance(error, SlipstreamError) else f"That did not work: {error}"))
