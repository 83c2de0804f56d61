"""What the native API can do, done by the same parts as in the window: library, engines, jobs and cards."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.inference.snapshot import EngineSnapshot, EngineState
from app.library.entry import ModelEntry
from app.server.native.shapes import Engine, Figures, JobShape, Model, Models, News, ToldCard

if TYPE_CHECKING:
    from app.inference.engine_handle import EngineHandle
    from app.jobs.job import Job
    from app.services import Services
    from app.telemetry import Sample

OUTLOOK_SECONDS = 1.0  # for whether models fit; on a slow disk the rest is found for the next who asks


class ServicesControl:
    """Thread-safe."""

    def __init__(self, services: "Services"):
        self._services = services

    def models(self) -> Models:
        handles = self._services.supervisor.engines()
        names = {handle.model: handle.name for handle in handles}
        listing = self._services.library.look()
        verdicts = self._services.outlook.of_all(listing.entries, OUTLOOK_SECONDS)
        models = [Model.of(each, names.get(each.path), verdicts.get(each.path)) for each in listing.entries]
        limits, kept = self._services.residency.room()
        return Models(models, self.engines(), list(listing.notices), dict(kept), dict(limits))

    def engines(self) -> list[Engine]:
        return [Engine.of(each) for each in self._services.residency.loaded()]

    def load(self, model: str, options: Mapping[str, Any]) -> Engine:
        services = self._services
        entry = services.directory.find(model)
        loaded = self._loaded(entry.path)
        if loaded and not options and loaded.snapshot.state in (EngineState.LOADING, EngineState.READY):
            return self._engine(loaded.snapshot)
        changes = dict(options)
        if draft := changes.get("draft_model"):
            changes["draft_model"] = services.directory.find(draft).path
        wanted = replace(services.options_for(entry), **changes)
        if loaded is None:
            services.check_memory(entry, wanted)
        name = loaded.name if loaded else None
        return self._engine(services.load_model(entry, name, wanted).snapshot)

    def unload(self, model: str) -> Engine:
        handle = self._named(model)
        self._services.unload_model(handle.name)
        return self._engine(handle.snapshot)

    def pin(self, model: str, is_pinned: bool) -> Engine:
        handle = self._named(model)
        self._services.residency.pin(handle.name, is_pinned)
        return self._engine(handle.snapshot)

    def jobs(self) -> list[JobShape]:
        return [self._told(job) for job in self._services.jobs.jobs()]

    def install(self, name: str, revision: str | None) -> JobShape:
        job_id = self._services.install(name, revision)
        return self._told(self._services.jobs.job(job_id))

    def cancel(self, job_id: int) -> JobShape | None:
        jobs = self._services.jobs
        if job_id not in {job.id for job in jobs.jobs()}:
            return None
        jobs.cancel(job_id)
        return self._told(jobs.job(job_id))

    def cards(self, model: str | None) -> list[ToldCard]:
        lab = self._services.lab
        found = lab.cards_of(self._services.directory.find(model).path) if model else lab.cards.cards()
        return [ToldCard.of(card) for card in found]

    def figures(self) -> list[Figures]:
        return [Figures(each.name, each.snapshot.stats) for each in self._services.supervisor.engines()]

    def subscribe(self, listener: Callable[[News], None]) -> Callable[[], None]:
        def hear_engine(snapshot: EngineSnapshot) -> None:
            listener(News("engine", ("engine", snapshot.name), self._engine(snapshot)))

        def hear_job(job: "Job") -> None:
            listener(News("job", ("job", job.id), self._told(job)))

        def hear_sample(sample: "Sample") -> None:
            listener(News("performance", ("performance", None), sample))

        services = self._services
        leave = (
            services.supervisor.subscribe(hear_engine),
            services.jobs.subscribe(hear_job),
            services.telemetry.subscribe(hear_sample),
            services.telemetry.watch(),
        )

        def stop() -> None:
            for function in leave:
                function()

        return stop

    def _told(self, job: "Job") -> JobShape:
        result = self._services.jobs.handle(job.id).result
        made = getattr(result, "entry", result)  # of an install, or of one of our own models
        return JobShape.of(job, made.id if isinstance(made, ModelEntry) else None)

    def _engine(self, snapshot: EngineSnapshot) -> Engine:
        return Engine.of(self._services.residency.view(snapshot))

    def _named(self, model: str) -> "EngineHandle":
        """By the engine's name or the model's id. Raises UnknownModelError."""
        services = self._services
        named = next((handle for handle in services.supervisor.engines() if handle.name == model), None)
        named = named or self._loaded(services.directory.find(model).path)
        return named or services.supervisor.get(model)  # which says what is loaded

    def _loaded(self, path: Path) -> "EngineHandle | None":
        return next((handle for handle in self._services.supervisor.engines() if handle.model == path), None)
