"""One library over everything on the disk: the managed folder, other applications' models, a person's own folders.

Only the managed folder is ever written to. Headers are read once and remembered in an index.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from app.errors import ModelFileError, UnknownModelError
from app.library.defaults import ModelDefaults
from app.library.duplicates import Duplicates, find_duplicates
from app.library.entry import ModelEntry
from app.library.facts import Facts
from app.library.finding import find_entry
from app.library.found import Found
from app.library.ids import Ids
from app.library.index import Index
from app.library.managed import find_managed
from app.library.names import MAX_ID
from app.library.naming_found import found_naming, told_apart
from app.library.origin import Origin
from app.library.patience import Patience
from app.library.places import Place
from app.library.projectors import best, without_parts
from app.library.remarks import MAX_NAME, MAX_NOTE, NOTHING, Check, Remark, Remarks
from app.library.scan import Unread
from app.library.store import SUFFIX, ModelStore, Removal, unknown_model
from app.whole_file import reason
from backends.bounds import MAX_COUNT, as_name, clamped, sentence

MAX_NOTICES = 20
NAMING_SECONDS = 2.0  # for headers, so that a sentence names what can run
NOT_OPENED = Facts(True)  # what is found there says itself why
T = TypeVar("T")

_log = logging.getLogger(__name__)

RANKS = {origin: rank for rank, origin in enumerate(Origin)}


@dataclass(frozen=True, slots=True)
class Listing:
    """num_unread: entries whose header had to wait for the next listing; their figures are missing.

    notices: sentences about places whose models are not known.
    """

    entries: list[ModelEntry]
    num_unread: int
    notices: tuple[str, ...] = ()


class Library:
    """Thread-safe. `places` is asked anew each time, `is_loaded` before anything is deleted."""

    def __init__(
        self,
        store: ModelStore,
        index: Index,
        remarks: Remarks,
        places: Callable[[], Iterable[Place]],
        is_loaded: Callable[[ModelEntry], bool] = lambda _: False,
        ids: Ids | None = None,
    ):
        self.store = store
        self._index = index
        self._remarks = remarks
        self._places = places
        self._is_loaded = is_loaded
        self._ids = ids or Ids()
        self._lock = threading.Lock()  # two listings at once would read the same new headers twice
        self._built: dict[tuple[str, str], tuple[Found, Facts | None, Remark, ModelEntry]] = {}

    def models(self) -> list[ModelEntry]:
        """Every model, by origin and name. Opens only files that are new or have changed."""
        return self.look().entries

    def look(self, patience: float | None = None) -> Listing:
        """As `models`, but spends `patience` seconds on reading headers only; None: until all are read.

        Looking through the folders does not count: on a slow disk no header would ever be read.
        """
        with self._lock:
            remarks, left = self._remarks.all(), Patience(patience)
            entries: list[ModelEntry] = []
            notices: dict[str, None] = {}  # each once, in their order
            for each in self._all():
                if isinstance(each, Unread):
                    notices[each.text] = None
                elif entry := self._entry(each, remarks, left):
                    entries.append(entry)
            entries = without_parts(entries)
            self._index.save()
            entries.sort(key=lambda entry: (RANKS[entry.origin], entry.id.casefold()))
            entries = told_apart(self._ids.give(entries))
            if len(self._built) > 2 * len(entries) + 100:  # many files have gone
                self._built = {}
        return Listing(entries, sum(not entry.is_read for entry in entries), _few(list(notices)))

    def find(self, name: str) -> ModelEntry:
        """By path, id, or another name that fits one model alone; a .gguf file anywhere. Raises UnknownModelError."""
        entries = self.look(0.0).entries
        entry = find_entry(name, entries)
        if entry is not None:
            return entry if entry.is_read else self._read(entry)
        if name.lower().endswith(SUFFIX) and os.path.isfile(os.path.expanduser(name)):
            return self.store.find(name)
        raise UnknownModelError(unknown_model(name, self.look(NAMING_SECONDS).entries))

    def at(self, path: Path) -> ModelEntry | None:
        """The model whose file, or first file, lies there, as it is listed."""
        return next((entry for entry in self.look(0.0).entries if entry.path == path), None)

    def known(self, sha256: str) -> ModelEntry | None:
        """The model whose file has this hash, as far as hashes are known: so that nothing is downloaded twice."""
        return next((entry for entry in self.look(0.0).entries if entry.sha256 == sha256.lower()), None)

    def duplicates(self) -> Duplicates:
        return find_duplicates(self.look(0.0).entries)

    def removal(self, model_id: str) -> Removal:
        """What `remove` would delete. Raises UnknownModelError, and ModelFileError with why it must not be."""
        entry = self._by_id(model_id)
        if entry.origin is not Origin.MANAGED:
            raise ModelFileError(
                f"{entry.name} belongs to {_owner(entry)} and is only read here. Remove it there; it lies in "
                f"{entry.path.parent}."
            )
        if self._is_loaded(entry):
            raise ModelFileError(f"{entry.name} is loaded. Unload it first, then it can be removed.")
        return self.store.removal_of(entry)

    def remove(self, model_id: str, shown: Removal | None = None) -> None:
        """Deletes a managed model. shown: what the person has agreed to; more or less than that is refused."""
        removal = self.removal(model_id)
        if shown is not None and removal.files != shown.files:
            raise ModelFileError(
                f"The files of {removal.entry.name} have changed meanwhile. Look again before removing."
            )
        self.store.remove_files(removal)
        with suppress(OSError):  # the model is gone; what was said of it does no harm
            self._remarks.forget([str(removal.entry.path)])

    def rename(self, model_id: str, name: str) -> None:
        """The name that is shown; no file is renamed. An empty one brings back the model's own."""
        chosen = " ".join(name.split())[:MAX_NAME]
        self._remark(model_id, name=chosen or None)

    def write_note(self, model_id: str, note: str) -> None:
        self._remark(model_id, note=note.strip()[:MAX_NOTE])

    def set_favourite(self, model_id: str, is_favourite: bool) -> None:
        self._remark(model_id, is_favourite=is_favourite)

    def defaults_of(self, path: Path) -> ModelDefaults:
        """What a person has chosen for the loads of this model alone."""
        return self._remarks.of(str(path)).defaults

    def set_defaults(self, path: Path, defaults: ModelDefaults) -> None:
        """Those before are kept. Raises ModelFileError."""
        before = self.defaults_of(path)
        if defaults != before:
            self._change(str(path), defaults=defaults, before=before)

    def defaults_before(self, path: Path) -> ModelDefaults | None:
        """The last change of them; None where there is none to take back."""
        return self._remarks.of(str(path)).before

    def restore_defaults(self, path: Path) -> ModelDefaults:
        """As they were before the last change. Raises ModelFileError, also where there was none."""
        before = self.defaults_before(path)
        if before is None:
            raise ModelFileError(f"Nothing has changed the defaults of {path.name}, so there is nothing to take back.")
        self._change(str(path), defaults=before, before=None)
        return before

    def save_check(self, entry: ModelEntry, check: Check) -> None:
        """Raises ModelFileError."""
        self._change(str(entry.path), check=check)

    def by_id(self, model_id: str) -> ModelEntry:
        """Raises UnknownModelError."""
        return self._by_id(model_id)

    def _all(self) -> Iterator[ModelEntry | Found | Unread]:
        root = str(self.store.models_dir)
        yield from _to_its_end(find_managed(root), root)
        managed = f"{os.path.realpath(self.store.models_dir)}{os.sep}"
        owners: dict[str, Origin] = {}
        for place in self._places():
            root = f"{os.path.realpath(place.path).rstrip(os.sep)}{os.sep}"
            if root.startswith(managed):
                continue
            is_around = managed.startswith(root)
            for found in _to_its_end(place.models(), place.path):
                if isinstance(found, Unread):
                    yield found
                    continue
                if is_around and os.path.realpath(found.path).startswith(managed):
                    continue  # listed already, as ours
                if owners.setdefault(found.path, found.origin) is found.origin:  # Jan may name LM Studio's files
                    yield found

    def _entry(self, found: ModelEntry | Found, remarks: dict[str, Remark], patience: Patience) -> ModelEntry | None:
        """None for an image part of which nothing is known yet."""
        if isinstance(found, ModelEntry):
            remark = remarks.get(str(found.path), NOTHING)
            found = self._looked_into(found, patience) if found.is_base is None else found
            return found if remark is NOTHING else remarked(found, remark)
        remark = remarks.get(found.path, NOTHING)
        facts = self._facts(found, patience)
        if facts is None and found.is_projector:
            return None  # it may be somebody's part
        mmproj = self._mmproj(found, facts, patience)
        key = (found.id, found.path)
        built = self._built.get(key)
        if (
            built is None
            or (built[0] is not found and built[0] != found)
            or built[1] != facts
            or built[2] is not remark
            or built[3].mmproj != mmproj
        ):
            entry = remarked(_built_entry(found, facts, mmproj), remark)
            built = self._built[key] = (found, facts, remark, entry)
        return built[3]

    def _facts(self, found: Found, patience: Patience) -> Facts | None:
        """None when there is no patience left to read them."""
        facts = self._index.get(found) if found.is_readable else NOT_OPENED
        if (facts is None or facts.is_passing) and patience.is_left:
            with patience:
                facts = self._index.read(found)
        return facts

    def _mmproj(self, found: Found, facts: Facts | None, patience: Patience) -> Path | None:
        """The image part that its application names, or the one beside it that fits."""
        if found.mmproj or facts is None or facts.problem or not found.projectors:
            return Path(found.mmproj) if found.mmproj else None
        looks = [(each.path, self._facts(each, patience)) for each in found.projectors]
        known = [(path, it) for path, it in looks if it is not None]
        own = best(found.path, facts, known)
        return Path(own) if own else None

    def _looked_into(self, entry: ModelEntry, patience: Patience) -> ModelEntry:
        """Earlier versions did not record whether it is a base model: its header says it."""
        try:
            status = os.stat(entry.path)
        except OSError:
            return entry
        place = str(entry.path)
        found = Found(entry.origin, entry.id, place, entry.bytes, clamped(status.st_mtime_ns), status.st_ino)
        facts = self._index.get(found)
        if facts is None and patience.is_left and not entry.problem:
            with patience:
                facts = self._index.read(found)
        return entry if facts is None else replace(entry, is_base=facts.is_base)

    def _read(self, entry: ModelEntry) -> ModelEntry:
        with self._lock:
            for found, *_ in [each for each in self._built.values() if each[0].path == str(entry.path)]:
                self._index.read(found)
        return self._by_id(entry.id)

    def _by_id(self, model_id: str) -> ModelEntry:
        entries = self.look(0.0).entries
        found = next((entry for entry in entries if entry.id == model_id), None)
        if found is None:
            raise UnknownModelError(unknown_model(model_id, entries))
        return found

    def _remark(self, model_id: str, **changes: object) -> None:
        self._change(str(self._by_id(model_id).path), **changes)

    def _change(self, path: str, **changes: object) -> None:
        try:
            self._remarks.change(path, **changes)
        except OSError as fault:
            raise ModelFileError(f"That could not be saved: {reason(fault)}.") from fault


def _built_entry(found: Found, facts: Facts | None, mmproj: Path | None) -> ModelEntry:
    it = facts or Facts(True)
    path = Path(found.path)
    told = it.problem.replace(path.name, found.name) if it.problem and found.name else it.problem  # a blob's is a hash
    fault = (None if found.is_hint else found.problem) or told
    problem = fault or found.problem
    naming = found_naming(found, it)
    return ModelEntry(
        id=as_name(found.id, MAX_ID),
        name=naming.name,
        path=path,
        bytes=found.bytes,
        architecture=it.architecture,
        parameters=it.parameters,
        quantization=naming.quantization,
        context=it.context,
        draft=None,
        added=_moment(found.mtime_ns),
        problem=sentence(problem) if problem else None,
        origin=found.origin,
        parts=tuple(map(Path, found.parts)),
        mmproj=mmproj,
        sha256=found.sha256,
        source=as_name(found.source) if found.source else None,
        is_checkpoint=found.is_checkpoint,
        is_read=facts is not None,
        is_loadable=fault is None and it.is_model,
        details=found.details,
        is_base=it.is_base,
        is_embedder=it.is_embedder,
    )


def _moment(mtime_ns: int) -> datetime | None:
    """None for a time that no model was made at."""
    return datetime.fromtimestamp(mtime_ns / 1e9, UTC) if 0 < mtime_ns < MAX_COUNT else None


def _to_its_end(items: Iterator[T], where: str) -> Iterator[T | Unread]:
    """The edge to what other people lay out: what nobody has foreseen costs the rest of one place, not the list."""
    try:
        yield from items
    except Exception as fault:
        _log.debug("%s could not be looked through", where, exc_info=True)  # every few seconds, while it stays so
        yield Unread(sentence(f"{where} could not be looked through to its end ({fault!r})."))


def _few(notices: list[str]) -> tuple[str, ...]:
    more = len(notices) - MAX_NOTICES
    return tuple(notices) if more <= 0 else (*notices[:MAX_NOTICES], f"{more:,} more places cannot be read.")


def remarked(entry: ModelEntry, remark: Remark) -> ModelEntry:
    if remark is NOTHING:
        return entry
    check = remark.check
    problem = sentence(check.text) if check and not check.is_sound and _is_current(check) else entry.problem
    own = next((h for h in check.hashes if h.path == str(entry.path)), None) if check and _is_current(check) else None
    return replace(
        entry,
        name=as_name(remark.name or entry.name),
        note=remark.note,
        is_favourite=remark.is_favourite,
        check=check,
        problem=problem,
        sha256=entry.sha256 or (own.sha256 if own else None),
    )


def _is_current(check: Check) -> bool:
    """Whether the files are still those that were hashed."""
    try:
        return all(
            (status.st_size, status.st_mtime_ns) == (each.bytes, each.mtime_ns)
            for each in check.hashes
            for status in (os.stat(each.path),)
        )
    except OSError:
        return False


def _owner(entry: ModelEntry) -> str:
    return "a folder of your own" if entry.origin is Origin.FOLDER else entry.origin.label
