"""What the native API says, as values: /openapi.json describes them. No path of this machine is among them."""

from dataclasses import dataclass
from typing import Any

from app.inference.snapshot import EngineState
from app.jobs.job import Job, JobState, Lane
from app.lab.card import Card
from app.lab.card import verdict as verdict_on
from app.library.entry import ModelEntry
from app.planner.verdict import Fits, Place, Verdict
from app.residency.residency import Loaded
from app.server.core.calls import LiveRequest, Logged, SeenCaller
from app.telemetry.sample import Sample
from backends.protocol import Cells, Ready, Stats


@dataclass(frozen=True, slots=True)
class Engine:
    """A loaded model. name: by which requests ask for it. fraction: of the load, 0 to 1. kv_cells: of its KV cache, in
    tokens. rss_bytes: what its process holds. error: why it failed. silent_seconds: it does not answer, for so long.
    waits: why its load cannot begin yet. memory: bytes by device, as measured; memory_limit: what is kept free for it.
    tokens_per_second: of all its answers together. users: programs that use it. unloads_in: seconds until the time-out.
    processor: a sentence while other programs are in its way. shortage: one while its KV cache cannot grow for want of
    memory.
    """

    name: str
    state: EngineState
    fraction: float
    device: str | None
    context: int | None
    parallel: int | None
    gpu_layers: int | None
    kv_cells: Cells | None
    rss_bytes: int | None
    num_running: int
    num_waiting: int
    silent_seconds: float | None
    error: str | None
    notes: tuple[str, ...]
    waits: str
    memory: dict[str, int]
    memory_limit: dict[str, int]
    tokens_per_second: float | None
    users: tuple[str, ...]
    is_pinned: bool
    unloads_in: float | None
    processor: str
    shortage: str

    @classmethod
    def of(cls, loaded: Loaded) -> "Engine":
        snapshot = loaded.snapshot
        ready: Ready | None = snapshot.ready
        stats: Stats | None = snapshot.stats
        return cls(
            snapshot.name,
            snapshot.state,
            round(snapshot.fraction, 3),
            ready.device if ready else None,
            ready.context if ready else None,
            ready.parallel if ready else None,
            ready.gpu_layers if ready else None,
            stats.cells if stats else None,
            stats.rss_bytes if stats else None,
            stats.num_running if stats else 0,
            stats.num_waiting if stats else 0,
            snapshot.silent_seconds,
            snapshot.error,
            ready.notes if ready else (),
            snapshot.waits,
            dict(loaded.taken),
            dict(loaded.cost),
            None if snapshot.speed is None else round(snapshot.speed, 2),
            loaded.users,
            loaded.is_pinned,
            None if loaded.leaves is None else round(loaded.leaves, 1),
            str(stats.processor or "") if stats else "",
            str(stats.cells) if stats else "",
        )


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether it would run here, loaded as it would be now. sentence: all of it for people. needed_bytes and
    available_bytes: the number that decides."""

    fits: Fits
    place: Place
    needed_bytes: int
    available_bytes: int
    tokens_per_second: float | None
    sentence: str

    @classmethod
    def of(cls, verdict: Verdict) -> "Fit":
        tokens = None if verdict.tokens is None else round(verdict.tokens, 2)
        return cls(verdict.fits, verdict.place, verdict.needed, verdict.available, tokens, verdict.sentence)


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the library. engine: the name of the one that has it loaded. problem: why it may not run, for people.
    is_offered: it may be loaded. fit: null where it is not known (yet)."""

    id: str
    name: str
    origin: str
    bytes: int
    architecture: str | None
    parameters: int | None
    quantization: str | None
    context: int | None
    source: str | None
    sha256: str | None
    added: str | None
    note: str
    is_favourite: bool
    is_checkpoint: bool
    is_base: bool | None
    is_embedder: bool | None
    is_offered: bool
    problem: str | None
    engine: str | None
    fit: Fit | None

    @classmethod
    def of(cls, entry: ModelEntry, engine: str | None, verdict: Verdict | None = None) -> "Model":
        return cls(
            entry.id,
            entry.name,
            entry.origin.value,
            entry.bytes,
            entry.architecture or None,
            entry.parameters or None,
            entry.quantization or None,
            entry.context,
            entry.source,
            entry.sha256,
            entry.added.isoformat() if entry.added else None,
            entry.note,
            entry.is_favourite,
            entry.is_checkpoint,
            entry.is_base if entry.is_read else None,
            entry.is_embedder if entry.is_read else None,
            entry.is_offered,
            entry.problem,
            engine,
            Fit.of(verdict) if verdict else None,
        )


@dataclass(frozen=True, slots=True)
class Models:
    """notices: sentences on places whose models are not known. memory: bytes by device that are kept for loaded models;
    memory_limit: what they may have in all."""

    models: list[Model]
    engines: list[Engine]
    notices: list[str]
    memory: dict[str, int]
    memory_limit: dict[str, int]


@dataclass(frozen=True, slots=True)
class JobShape:
    """Long work. step: index into steps. fraction: of all of it, 0 to 1. error: a sentence once it has failed. model:
    the id of the one that it has made, once it is done."""

    id: int
    title: str
    steps: tuple[str, ...]
    state: JobState
    step: int
    fraction: float
    text: str
    error: str | None
    lane: Lane
    model: str | None = None

    @classmethod
    def of(cls, job: Job, model: str | None = None) -> "JobShape":
        return cls(
            job.id,
            job.title,
            job.steps,
            job.state,
            job.step,
            round(job.fraction, 4),
            job.text,
            job.error,
            job.lane,
            model,
        )


@dataclass(frozen=True, slots=True)
class Jobs:
    jobs: list[JobShape]


@dataclass(frozen=True, slots=True)
class ToldCard:
    """verdict: the card in a sentence."""

    card: Card
    verdict: str

    @classmethod
    def of(cls, card: Card) -> "ToldCard":
        return cls(card, verdict_on(card))


@dataclass(frozen=True, slots=True)
class Cards:
    cards: list[ToldCard]


@dataclass(frozen=True, slots=True)
class Requests:
    """live: those that are being answered. callers: who has called since the start. log: the last ones that are over,
    the newest first."""

    live: list[LiveRequest]
    callers: list[SeenCaller]
    log: list[Logged]


@dataclass(frozen=True, slots=True)
class Figures:
    """stats: the engine's own account: totals since its load; None before the first."""

    engine: str
    stats: Stats | None


@dataclass(frozen=True, slots=True)
class Totals:
    """version: of Slipstream. num_requests: for text, in flight."""

    version: str
    num_requests: int
    engines: list[Figures]


@dataclass(frozen=True, slots=True)
class News:
    """One event. key: what it is about; a later one of the same key says all that an earlier one said."""

    event: str
    key: tuple[str, Any]
    value: Engine | JobShape | Sample | list[LiveRequest]
