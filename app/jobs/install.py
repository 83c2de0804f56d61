"""Install: download, convert, quantize, card, add. Each step is recorded when it is done, and then never done again."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.downloads import Source, Transfer, download, kept_bytes, safe_path
from app.errors import Cancelled, InstallError, SlipstreamError
from app.hub.repository import HubFile
from app.jobs.child import OnProgress
from app.jobs.convert import convert_checkpoint, make_imatrix, quantize_file
from app.jobs.hashing import hash_file
from app.jobs.install_plan import WEIGHTS, WORDS, full_type, plan_of
from app.jobs.install_record import InstallRecord, Made, Step, read_record, write_record
from app.jobs.install_request import SUFFIX, Aim, InstallRequest
from app.jobs.job import JobContext
from app.jobs.workshop import MATRIX, Workshop
from app.library.checkpoint_folder import add_checkpoint, require_no_link, require_places
from app.library.entry import ModelEntry
from app.library.gguf import describe_parts
from app.library.store import ModelStore
from backends.child import Progress

_log = logging.getLogger(__name__)


class FileHub(Protocol):
    """Where the files come from: app.hub.client.HubClient."""

    def file_address(self, repository_id: str, commit: str, path: str) -> str: ...

    def headers(self) -> Mapping[str, str]: ...


class Lister(Protocol):
    """What the person has already, wherever it lies: app.library.library.Library."""

    def models(self) -> list[ModelEntry]: ...

    def at(self, path: Path) -> ModelEntry | None: ...


# measures the first file against the second and keeps the card
MakeCard = Callable[[Path, Path | None, OnProgress, threading.Event], object]


@dataclass(frozen=True, slots=True)
class Tools:
    """What every install works with."""

    hub: FileHub
    store: ModelStore
    logs: Path
    make_card: MakeCard | None = None
    library: Lister | None = None  # None: the store alone

    def models(self) -> list[ModelEntry]:
        return (self.library or self.store).models()


@dataclass(frozen=True, slots=True)
class Installed:
    """The result. entry: None for a checkpoint that was kept as it is. note: what did not go as hoped, or ""."""

    path: Path
    entry: ModelEntry | None
    note: str


@dataclass(frozen=True, slots=True)
class Install:
    """A job that works in a folder of its own, where install.json lies. Run again, it goes on where it stopped."""

    request: InstallRequest
    folder: Path
    tools: Tools

    @property
    def title(self) -> str:
        return self.request.title

    @property
    def steps(self) -> tuple[str, ...]:
        return tuple(WORDS[step] for step in self.plan)

    @property
    def weights(self) -> tuple[int, ...]:
        return tuple(WEIGHTS[step] for step in self.plan)

    @property
    def plan(self) -> tuple[Step, ...]:
        return plan_of(self.request, measures=self.tools.make_card is not None)

    @property
    def workshop(self) -> Workshop:
        library = self.tools.store.folder(self.request.publisher, self.request.repo)
        is_folder = self.request.aim is Aim.CHECKPOINT
        return Workshop(self.request, self.folder, library / self.request.target_name if is_folder else library)

    def reached(self, record: InstallRecord) -> tuple[int, float]:
        """The step that comes next, and how far it is already."""
        step = self.workshop.next_step(self.plan, record)
        return (step, self._begun(self.plan[step])) if step < len(self.plan) else (step - 1, 1.0)

    def run(self, context: JobContext) -> Installed:
        """Raises InstallError, HubError, DownloadError, ConversionError, ModelFileError or Cancelled."""
        try:
            return self._run(context)
        except OSError as fault:
            raise InstallError(
                f"{fault.filename or self.folder} cannot be used: {fault.strerror or fault}. What is done is kept. "
                "Look at the disk, then try again."
            ) from fault

    def _run(self, context: JobContext) -> Installed:
        record = read_record(self.folder)
        self.workshop.sweep(self.plan, record)
        start = self.workshop.next_step(self.plan, record)
        if start == 0:
            self._require_places()
            self.workshop.bring_kept_files()
            self.workshop.require_space()
        for index in range(start, len(self.plan)):
            step, on_progress = self.plan[index], context.step(index)
            # seen while it waits for its place, or its child starts
            on_progress(Progress(self._begun(step), WORDS[step]))
            record = self._do(step, record, context, on_progress)
            write_record(self.folder, record)
            self.workshop.sweep(self.plan, record)
        return self._result(record)

    def _require_places(self) -> None:
        """Told before the download and not after it. Raises ModelFileError."""
        models_dir, library = self.tools.store.models_dir, self.workshop.library
        if self.request.aim is Aim.CHECKPOINT:
            require_places(models_dir, library, [(file.name, file.bytes) for file in self.request.all_files])
        else:
            require_no_link(models_dir, library)

    def _do(self, step: Step, record: InstallRecord, context: JobContext, on_progress: OnProgress) -> InstallRecord:
        match step:
            case Step.DOWNLOAD:
                return record.with_step(step, self._download(record.request.commit, context, on_progress))
            case Step.CHECK:
                return record.with_step(step, self._check(record, context, on_progress))
            case Step.CONVERT:
                return record.with_step(step, *self._convert(context, on_progress))
            case Step.CALIBRATE:
                return record.with_step(step, self._calibrate(record, context, on_progress))
            case Step.QUANTIZE:
                return record.with_step(step, *self._quantize(record, context, on_progress))
            case Step.CARD:
                return record.with_step(step, self._final(record), self._card(record, context, on_progress))
            case Step.ADD:
                return record.with_step(step, self._add(record, on_progress))

    def _download(self, commit: str, context: JobContext, on_progress: OnProgress) -> tuple[Made, ...]:
        """commit: as it is recorded, which may be newer than the one that was first asked for."""

        def on_transfer(transfer: Transfer) -> None:
            on_progress(Progress(transfer.bytes_done / max(1, transfer.bytes_total), transfer.line))

        self.workshop.downloads.mkdir(parents=True, exist_ok=True)
        download(self._sources(commit), on_transfer, context.cancelled)
        return tuple(Made(file.name, file.bytes, file.sha256) for file in self.request.all_files)

    def _sources(self, commit: str) -> list[tuple[Source, Path]]:
        """What is downloaded, and where to."""
        hub, repository_id = self.tools.hub, self.request.repository_id
        addresses = [hub.file_address(repository_id, commit, file.path) for file in self.request.all_files]
        headers = hub.headers()
        return [
            self._source(file, address, headers)
            for file, address in zip(self.request.all_files, addresses, strict=True)
        ]

    def _source(self, file: HubFile, address: str, headers: Mapping[str, str]) -> tuple[Source, Path]:
        sha1 = None if file.sha256 else file.blob_id
        source = Source(address, headers, file.bytes, file.sha256, sha1)
        return source, safe_path(self.workshop.downloads, file.name)

    def _begun(self, step: Step) -> float:
        """How much of a step an earlier run has left: only a download is gone on with. Asks nobody for a token."""
        if step is not Step.DOWNLOAD:
            return 0.0
        kept = sum(kept_bytes(*self._source(file, "", {})) for file in self.request.all_files)
        return kept / max(1, self.request.download_bytes)

    def _check(self, record: InstallRecord, context: JobContext, on_progress: OnProgress) -> tuple[Made, ...]:
        """The header is one that the engine may be given, and the hash is known."""
        first, *others = self._final(record)
        folder = self.workshop.downloads
        describe_parts(folder / first.name, [folder / file.name for file in self.request.files[1:]])
        return (self._hashed(first, context, on_progress), *others)

    def _convert(self, context: JobContext, on_progress: OnProgress) -> tuple[tuple[Made, ...], str]:
        """Also what the converter wants to be known."""
        is_final = Step.QUANTIZE not in self.plan
        kind = full_type(self.request.quantization, self.workshop.downloads)
        target = self.workshop.made / (self.request.target_name if is_final else f"full-{kind.upper()}{SUFFIX}")
        with context.heavy():
            result = convert_checkpoint(
                self.workshop.downloads,
                target,
                kind,
                logs=self.tools.logs,
                on_progress=on_progress,
                cancelled=context.cancelled,
            )
        made = Made(target.name, result.bytes)
        return (self._hashed(made, context, on_progress) if is_final else made,), " ".join(result.notes)

    def _calibrate(self, record: InstallRecord, context: JobContext, on_progress: OnProgress) -> tuple[Made, ...]:
        (full,) = record.done[Step.CONVERT]
        target = self.workshop.made / MATRIX
        with context.heavy():
            make_imatrix(
                self.workshop.made / full.name,
                target,
                logs=self.tools.logs,
                on_progress=on_progress,
                cancelled=context.cancelled,
            )
        return (Made(MATRIX, target.stat().st_size),)

    def _quantize(
        self, record: InstallRecord, context: JobContext, on_progress: OnProgress
    ) -> tuple[tuple[Made, ...], str]:
        assert self.request.quantization is not None
        (full,) = record.done[Step.CONVERT]
        target = self.workshop.made / self.request.target_name
        with context.heavy():
            result = quantize_file(
                self.workshop.made / full.name,
                target,
                self.request.quantization,
                imatrix=self.workshop.made / MATRIX if Step.CALIBRATE in record.done else None,
                logs=self.tools.logs,
                on_progress=on_progress,
                cancelled=context.cancelled,
            )
        return (self._hashed(Made(target.name, result.bytes), context, on_progress),), " ".join(result.warnings)

    def _card(self, record: InstallRecord, context: JobContext, on_progress: OnProgress) -> str:
        """What is to be said when there is none: a model without a card is a model all the same."""
        assert self.tools.make_card is not None
        (final,), (full,) = self._final(record), record.done[Step.CONVERT]
        against = self.workshop.made / full.name if full.name != final.name else None
        try:
            with context.heavy():
                self.tools.make_card(self.workshop.made / final.name, against, on_progress, context.cancelled)
        except Cancelled:
            raise
        except Exception as error:  # the edge: whatever goes wrong with a card is not the model's fault
            if not isinstance(error, SlipstreamError):
                _log.exception("the card of %s", final.name)
            return f"Its quality could not be measured: {error}"
        return ""

    def _add(self, record: InstallRecord, on_progress: OnProgress) -> tuple[Made, ...]:
        on_progress(Progress(0.0, "Adding it to the library"))
        final, request = self._final(record), self.request
        if request.aim is Aim.CHECKPOINT:
            add_checkpoint(self.tools.store.models_dir, self.workshop.library, self.workshop.downloaded(final))
        else:
            where = self.workshop.final
            self.tools.store.add(
                where / request.target_name,
                publisher=request.publisher,
                repo=request.repo,
                parts=[where / file.name for file in request.files[1:]] if request.aim is Aim.GGUF else (),
                mmproj=where / request.mmproj.name if request.mmproj else None,
                sha256=final[0].sha256,
                source=request.repository_id,
            )
        on_progress(Progress(1.0, record.note or "It is in the library"))
        return final

    def _final(self, record: InstallRecord) -> tuple[Made, ...]:
        """The files for the library, as the last step that made some has recorded them."""
        steps = [step for step in self.plan if step in record.done and step is not Step.ADD]
        return record.done[steps[-1]]

    def _result(self, record: InstallRecord) -> Installed:
        path = self.workshop.library
        if self.request.aim is Aim.CHECKPOINT:
            return Installed(path, None, record.note)
        path = path / self.request.target_name
        listed = self.tools.library.at(path) if self.tools.library else None  # with the id that it has there
        return Installed(path, listed or self.tools.store.find(str(path)), record.note)

    def _hashed(self, made: Made, context: JobContext, on_progress: OnProgress) -> Made:
        if made.sha256:
            return made
        path = self.workshop.find(made)
        if path is None:
            raise InstallError(f"{made.name} has vanished while it was being installed. Try again.")
        on_progress(Progress(1.0, "Reading it once more for its hash"))
        return Made(made.name, made.bytes, hash_file(path, context.cancelled))
