"""Install: download, convert, quantize, card, add. Each step is recorded when it is done, and then never done again."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from app.downloads import Source, Transfer, download
from app.errors import Cancelled, InstallError, SlipstreamError
from app.jobs.child import OnProgress
from app.jobs.convert import convert_checkpoint, quantize_file
from app.jobs.hashing import hash_file
from app.jobs.install_record import InstallRecord, Made, Step, read_record, write_record
from app.jobs.install_request import SUFFIX, Aim, InstallRequest
from app.jobs.job import JobContext
from app.library.entry import ModelEntry
from app.library.gguf import describe_parts
from app.library.store import ModelStore
from backends.child import Progress

PLANS = {
    Aim.GGUF: (Step.DOWNLOAD, Step.CHECK, Step.ADD),
    Aim.CHECKPOINT: (Step.DOWNLOAD, Step.ADD),
    Aim.MODEL: (Step.DOWNLOAD, Step.CONVERT, Step.QUANTIZE, Step.CARD, Step.ADD),
}
WORDS = {
    Step.DOWNLOAD: "Download",
    Step.CHECK: "Check",
    Step.CONVERT: "Convert",
    Step.QUANTIZE: "Quantize",
    Step.CARD: "Measure",
    Step.ADD: "Add",
}
# shares of the time on a usual line and machine; they only have to make one bar of several
WEIGHTS = {Step.DOWNLOAD: 60, Step.CHECK: 3, Step.CONVERT: 14, Step.QUANTIZE: 14, Step.CARD: 10, Step.ADD: 2}
UNQUANTIZED = ("F16", "BF16")


class FileHub(Protocol):
    """Where the files come from: app.hub.client.HubClient."""

    def file_address(self, repository_id: str, commit: str, path: str) -> str: ...

    def headers(self) -> Mapping[str, str]: ...


class Lister(Protocol):
    """What the person has already, wherever it lies: app.library.library.Library."""

    def models(self) -> list[ModelEntry]: ...


# measures the first file against the second and keeps the card
MakeCard = Callable[[Path, Path | None, OnProgress, threading.Event], object]


@dataclass(frozen=True, slots=True)
class Tools:
    """What every install works with. adding: two installs must not change one manifest at once."""

    hub: FileHub
    store: ModelStore
    logs: Path
    make_card: MakeCard | None = None
    library: Lister | None = None  # None: the store alone
    adding: threading.Lock = field(default_factory=threading.Lock)

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
        left_out = set()
        if self.request.quantization in UNQUANTIZED:
            left_out.add(Step.QUANTIZE)
        if self.tools.make_card is None or not self.request.has_card:
            left_out.add(Step.CARD)
        return tuple(step for step in PLANS[self.request.aim] if step not in left_out)

    @property
    def library_folder(self) -> Path:
        """Where the files will lie in the end."""
        folder = self.tools.store.folder(self.request.publisher, self.request.repo)
        return folder / self.request.target_name if self.request.aim is Aim.CHECKPOINT else folder

    def run(self, context: JobContext) -> Installed:
        """Raises InstallError, HubError, DownloadError, ConversionError, ModelFileError or Cancelled."""
        record = read_record(self.folder)
        self._sweep(record)
        start = self._next_step(record)
        if start == 0:
            self._require_space()
        for index in range(start, len(self.plan)):
            step, on_progress = self.plan[index], context.step(index)
            on_progress(Progress(0.0, WORDS[step]))  # seen while it waits for its place, or its child starts
            record = self._do(step, record, context, on_progress)
            write_record(self.folder, record)
            self._sweep(record)
        return self._result(record)

    def _next_step(self, record: InstallRecord) -> int:
        """The step after the last one whose files lie there."""
        for index in reversed(range(len(self.plan))):
            made = record.done.get(self.plan[index])
            if made is not None and all(self._find(one) for one in made):
                return index + 1
        return 0

    def _find(self, made: Made) -> Path | None:
        """Where a file lies: in one of the two workshops, or where a killed step has moved it."""
        places = (self._made, self._downloads, self.library_folder)
        return next((place / made.name for place in places if made.lies_in(place)), None)

    def _do(self, step: Step, record: InstallRecord, context: JobContext, on_progress: OnProgress) -> InstallRecord:
        match step:
            case Step.DOWNLOAD:
                return record.with_step(step, self._download(context, on_progress))
            case Step.CHECK:
                return record.with_step(step, self._check(record, context, on_progress))
            case Step.CONVERT:
                return record.with_step(step, self._convert(context, on_progress))
            case Step.QUANTIZE:
                return record.with_step(step, self._quantize(record, context, on_progress))
            case Step.CARD:
                return record.with_step(step, self._final(record), self._card(record, context, on_progress))
            case Step.ADD:
                return record.with_step(step, self._add(record, on_progress))

    def _download(self, context: JobContext, on_progress: OnProgress) -> tuple[Made, ...]:
        hub, request = self.tools.hub, self.request

        def on_transfer(transfer: Transfer) -> None:
            on_progress(Progress(transfer.bytes_done / max(1, transfer.bytes_total), transfer.text))

        sources = []
        for file in request.all_files:
            url = hub.file_address(request.repository_id, request.commit, file.path)
            sha1 = None if file.sha256 else file.blob_id
            sources.append((Source(url, hub.headers(), file.bytes, file.sha256, sha1), self._downloads / file.name))
        self._downloads.mkdir(parents=True, exist_ok=True)
        download(sources, on_transfer, context.cancelled)
        return tuple(Made(file.name, file.bytes, file.sha256) for file in request.all_files)

    def _check(self, record: InstallRecord, context: JobContext, on_progress: OnProgress) -> tuple[Made, ...]:
        """The header is one that the engine may be given, and the hash is known."""
        first, *others = self._final(record)
        names = [file.name for file in self.request.files]
        describe_parts(self._downloads / first.name, [self._downloads / name for name in names[1:]])
        return (self._hashed(first, context, on_progress), *others)

    def _convert(self, context: JobContext, on_progress: OnProgress) -> tuple[Made, ...]:
        is_final = Step.QUANTIZE not in self.plan
        kind = full_type(self.request.quantization, self._downloads)
        target = self._made / (self.request.target_name if is_final else f"full-{kind.upper()}{SUFFIX}")
        with context.heavy():
            result = convert_checkpoint(
                self._downloads,
                target,
                kind,
                logs=self.tools.logs,
                on_progress=on_progress,
                cancelled=context.cancelled,
            )
        made = Made(target.name, result.bytes)
        return (self._hashed(made, context, on_progress) if is_final else made,)

    def _quantize(self, record: InstallRecord, context: JobContext, on_progress: OnProgress) -> tuple[Made, ...]:
        assert self.request.quantization is not None
        (full,) = record.done[Step.CONVERT]
        target = self._made / self.request.target_name
        with context.heavy():
            result = quantize_file(
                self._made / full.name,
                target,
                self.request.quantization,
                logs=self.tools.logs,
                on_progress=on_progress,
                cancelled=context.cancelled,
            )
        return (self._hashed(Made(target.name, result.bytes), context, on_progress),)

    def _card(self, record: InstallRecord, context: JobContext, on_progress: OnProgress) -> str:
        """What is to be said when there is none: a model without a card is a model all the same."""
        assert self.tools.make_card is not None
        (final,), (full,) = self._final(record), record.done[Step.CONVERT]
        against = self._made / full.name if full.name != final.name else None
        try:
            with context.heavy():
                self.tools.make_card(self._made / final.name, against, on_progress, context.cancelled)
        except Cancelled:
            raise
        except SlipstreamError as error:
            return f"Its quality could not be measured: {error}"
        return ""

    def _add(self, record: InstallRecord, on_progress: OnProgress) -> tuple[Made, ...]:
        on_progress(Progress(0.0, "Adding it to the library"))
        final, request = self._final(record), self.request
        if request.aim is Aim.CHECKPOINT:
            _move(final, self._downloads, self.library_folder)
        else:
            where = self._downloads if request.aim is Aim.GGUF else self._made
            with self.tools.adding:
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
        path = self.library_folder
        if self.request.aim is Aim.CHECKPOINT:
            return Installed(path, None, record.note)
        path = path / self.request.target_name
        return Installed(path, self.tools.store.find(str(path)), record.note)

    def _hashed(self, made: Made, context: JobContext, on_progress: OnProgress) -> Made:
        if made.sha256:
            return made
        path = self._find(made)
        if path is None:
            raise InstallError(f"{made.name} has vanished while it was being installed. Try again.")
        on_progress(Progress(1.0, "Reading it once more for its hash"))
        return Made(made.name, made.bytes, hash_file(path, context.cancelled))

    def _sweep(self, record: InstallRecord) -> None:
        """What no step needs any more makes room for the next."""
        done = record.done
        if self.request.aim is Aim.MODEL and Step.CONVERT in done:
            shutil.rmtree(self._downloads.parent, ignore_errors=True)
        last_reader = Step.CARD if Step.CARD in self.plan else Step.QUANTIZE
        if Step.QUANTIZE in done and last_reader in done:
            for full in done.get(Step.CONVERT, ()):
                (self._made / full.name).unlink(missing_ok=True)

    def _require_space(self) -> None:
        """The whole road must fit before its first step. Raises InstallError with the numbers."""
        download, made = self.request.download_bytes, made_bytes(self.request)
        have = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        missing = download + made - have - shutil.disk_usage(self.folder).free
        if missing > 0:
            parts = f" (download {_gb(download)}, converted {_gb(made)})" if made else ""
            raise InstallError(
                f"{self.title} needs {_gb(download + made)} of disk while it is installed{parts}, "
                f"which is {_gb(missing)} more than is free in {self.tools.store.models_dir}. Make room and try again."
            )

    @property
    def _downloads(self) -> Path:
        # the folder's name is the repository's: a converter names the model after it
        return self.folder / "download" / self.request.repo

    @property
    def _made(self) -> Path:
        return self.folder / "made"


def made_bytes(request: InstallRequest) -> int:
    """What lies beside the download at most: the converted file. The quantized one finds the download's room."""
    if request.aim is not Aim.MODEL:
        return 0
    return 2 * request.parameters if request.parameters else request.download_bytes


def full_type(quantization: str | None, checkpoint: Path) -> str:
    """What the checkpoint is converted to: its own 16-bit type, where it has one."""
    if quantization in UNQUANTIZED:
        return quantization.lower()
    try:
        config = json.loads((checkpoint / "config.json").read_bytes())
        kind = config.get("dtype") or config.get("torch_dtype") or config["text_config"].get("dtype")
    except (OSError, ValueError, KeyError, AttributeError, RecursionError):
        kind = None  # the converter says what is wrong with it
    return "bf16" if kind == "bfloat16" else "f16"


def _move(files: tuple[Made, ...], source: Path, target: Path) -> None:
    """config.json goes last: without it the folder is no checkpoint. Raises InstallError."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file in sorted(files, key=lambda file: file.name == "config.json"):
            if file.lies_in(source):
                os.replace(source / file.name, target / file.name)
    except OSError as fault:
        raise InstallError(f"{target} cannot be written: {fault.strerror or fault}. Free it and try again.") from fault


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
