"""The models on this machine: `<publisher>/<repo>/<file>.gguf` and a manifest per folder. Starts no engine.

A file counts as installed when its folder's manifest names it; the manifest is written last. Other files are
shown all the same, with a sentence that says what is the matter with them.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from app.errors import ModelFileError, UnknownModelError
from app.library.changing import one_at_a_time
from app.library.checkpoint_folder import contents, require_no_link
from app.library.entry import ModelEntry, file_entry, installed_entry, uninstalled_entry
from app.library.finding import find_entry
from app.library.gguf import Description, describe_parts, leading_name, part_paths, read_model, read_projector, split_of
from app.library.manifest import FILE_NAME, DamagedManifestError, Record, read_manifest, write_manifest
from app.library.names import MAX_ID, checked_name
from app.library.naming import naming_of
from app.whole_file import reason, set_aside
from backends.bounds import as_name
from backends.ownership.files import delete_below, delete_empty, delete_file, part_of
from backends.ownership.private import close_to_writers, make_folder

SUFFIX = ".gguf"
MAX_NAMED = 12  # so many known names fit into a sentence


@dataclass(frozen=True, slots=True)
class Removal:
    """What is deleted with a model: (file, bytes) in the order of deletion."""

    entry: ModelEntry
    files: tuple[tuple[Path, int], ...]
    staying: tuple[Path, ...] = ()  # in the checkpoint's folder, and not the checkpoint's

    @property
    def bytes(self) -> int:
        return sum(num_bytes for _, num_bytes in self.files)


class ModelStore:
    """The managed folder. Reads it anew each time: other processes install into it as well."""

    def __init__(self, models_dir: Path):
        self.models_dir = models_dir

    def folder(self, publisher: str, repo: str) -> Path:
        """Where the files of a repository belong. Raises ModelFileError for a name that is not one."""
        return self.models_dir / checked_name(publisher, "publisher") / checked_name(repo, "repository")

    def models(self) -> list[ModelEntry]:
        """Sorted by id. Draft models are named by their entries and not listed by themselves."""
        entries = [entry for folder in self._folders() for entry in self._entries(folder)]
        return sorted(entries, key=lambda entry: entry.id.casefold())

    def find(self, name: str) -> ModelEntry:
        """As the library finds it, or a .gguf file anywhere. Raises UnknownModelError, which names the known ones."""
        entries = self.models()
        if entry := find_entry(name, entries):
            return entry
        path = Path(os.path.expanduser(leading_name(name)))
        if path.suffix.lower() == SUFFIX and os.path.isfile(path):
            # its path, so that no other model of that name can be taken for it
            return file_entry(as_name(str(path.absolute()), MAX_ID), path.absolute())
        raise UnknownModelError(unknown_model(name, entries))

    @one_at_a_time
    def add(
        self,
        file: Path,
        *,
        publisher: str,
        repo: str,
        name: str | None = None,
        draft: Path | None = None,
        parts: Sequence[Path] = (),
        mmproj: Path | None = None,
        sha256: str | None = None,
        source: str | None = None,
    ) -> ModelEntry:
        """Takes a model's files (moved here unless they lie here already) into the library, the manifest last.

        file: the only one, or the first of several; parts: the others in their order, else its neighbours; sha256:
        of `file`. A file that an interrupted call has moved already is found at its place: the call may be repeated.
        Raises ModelFileError when one of them cannot be loaded as what it is; then nothing has been moved.
        """
        folder = self.folder(publisher, repo)
        parts = [_here(part, folder) for part in parts or part_paths(file)[1:]]
        require_no_link(self.models_dir, folder)
        file = _here(file, folder)
        mmproj, draft = mmproj and _here(mmproj, folder), draft and _here(draft, folder)
        description = describe_parts(file, parts)
        if mmproj is not None:
            read_projector(mmproj)
        if draft is not None:
            read_model(draft)
        _make(folder)
        records = _usable_manifest(folder)
        _check_places([file, *parts, *filter(None, (mmproj, draft))], folder, records)
        moved = [_moved(part, folder) for part in parts]
        path = _moved(file, folder)
        record = _record(description, _new_id(folder, path.name, description.quantization, records), path, name)
        record = replace(
            record,
            draft=None if draft is None else _moved(draft, folder).name,
            parts=tuple(part.name for part in moved),
            mmproj=None if mmproj is None else _moved(mmproj, folder).name,
            sha256=sha256,
            source=source,
        )
        write_manifest(folder, {**records, path.name: record})
        return installed_entry(record, folder)

    def is_installed(self, entry: ModelEntry) -> bool:
        """A manifest of ours names it: it came by an install, not by a person's hand."""
        return entry.path.name in _readable(entry.path.parent)

    def removal(self, model_id: str) -> Removal:
        """What `remove` would delete: every file with its size. Raises UnknownModelError or ModelFileError."""
        entry = next((entry for entry in self.models() if entry.id == model_id), None)
        if entry is None:
            raise UnknownModelError(unknown_model(model_id, self.models()))
        return self.removal_of(entry)

    def removal_of(self, entry: ModelEntry) -> Removal:
        """Raises ModelFileError for a file that does not lie in the managed folder."""
        folder = entry.path if entry.is_checkpoint else entry.path.parent
        if not folder.resolve().is_relative_to(self.models_dir.resolve()):
            raise ModelFileError(f"{entry.path} lies outside the library and is left alone.")
        if entry.is_checkpoint:
            found = contents(folder)
            return Removal(entry, tuple((path, link_bytes(path)) for path in found.files), found.others)
        others = [record for record in _readable(folder).values() if record.file != entry.path.name]
        in_use = {name for record in others for name in record.files}
        if entry.path.name not in _readable(folder) and entry.mmproj and _has_others(folder, entry):
            in_use.add(entry.mmproj.name)  # no manifest says whose it is
        # the first file goes last: as long as it lies there, the rest is seen as its parts
        doomed = [path for path in (*entry.files[1:], entry.path) if path.name not in in_use]
        return Removal(entry, tuple((path, link_bytes(path)) for path in doomed if os.path.lexists(path)))

    def remove(self, model_id: str) -> None:
        """Raises UnknownModelError, or ModelFileError for a file that does not lie in the managed folder."""
        self.remove_files(self.removal(model_id))

    @one_at_a_time
    def remove_files(self, removal: Removal) -> None:
        """Deletes exactly these, the manifest's line first. A link goes, what it points to stays. ModelFileError."""
        folder = removal.entry.path.parent
        records = _readable(folder)
        is_installed = records.pop(removal.entry.path.name, None) is not None
        try:
            if is_installed:  # else the manifest stays as it is, readable or not
                write_manifest(folder, records)
            for path, _ in removal.files:
                delete_below(self.models_dir, path)
        except OSError as fault:
            raise ModelFileError(f"{removal.entry.path} cannot be removed: {fault.strerror or fault}.") from fault
        self._remove_empty(removal.entry.path if removal.entry.is_checkpoint else folder)

    def _remove_empty(self, folder: Path) -> None:
        """The folder and those above it that are empty now, up to the library, which stays."""
        while folder != self.models_dir and folder.is_relative_to(self.models_dir):
            if not delete_empty(self.models_dir, folder):
                return
            folder = folder.parent

    def _folders(self) -> Iterator[Path]:
        for publisher in _subfolders(self.models_dir):
            yield from _subfolders(publisher)

    def _entries(self, folder: Path) -> Iterator[ModelEntry]:
        problem = None
        records: dict[str, Record] = {}
        try:
            records = read_manifest(folder)
        except ModelFileError as fault:
            problem = str(fault)
        named = {name for record in records.values() for name in record.files}
        taken = {record.id for record in records.values()}
        for record in records.values():
            yield installed_entry(record, folder)
        for path in _strays(folder, named):
            yield uninstalled_entry(as_name(_free_id(folder, path.stem, taken)), path, problem)


def _strays(folder: Path, named: set[str]) -> list[Path]:
    """Model files that no manifest names; of a model in parts the first of those that are there."""
    try:
        with os.scandir(folder) as listing:
            names = sorted(
                entry.name for entry in listing if entry.name.lower().endswith(SUFFIX) and entry.name not in named
            )
    except OSError:
        return []
    found: dict[object, str] = {}
    for name in names:
        split = split_of(name)
        found.setdefault((split[0], split[2]) if split else name, name)
    return [folder / name for name in found.values()]


def _has_others(folder: Path, entry: ModelEntry) -> bool:
    return any(name.lower().endswith(SUFFIX) and folder / name not in entry.files for name in os.listdir(folder))


def link_bytes(path: Path) -> int:
    """What deleting it frees: nothing of a link's target."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _record(description: Description, id_: str, path: Path, name: str | None) -> Record:
    """Without companions. name: instead of what the model's files are called."""
    naming = naming_of(
        path.name, repository=path.parent.name, title=description.title, quantization=description.quantization
    )
    return Record(
        id=id_,
        file=path.name,
        name=name or naming.name,
        bytes=description.bytes,
        architecture=description.architecture,
        parameters=description.parameters,
        quantization=naming.quantization,
        context=description.context,
        draft=None,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        is_base=description.is_base,
        is_embedder=description.is_embedder,
    )


def _usable_manifest(folder: Path) -> dict[str, Record]:
    """A damaged one is set aside: what it named is shown as found, and can be installed again. ModelFileError."""
    try:
        return read_manifest(folder)
    except DamagedManifestError as damage:
        try:
            set_aside(folder / FILE_NAME)
        except OSError as fault:
            raise ModelFileError(f"{damage} It could not be set aside: {reason(fault)}.") from fault
        return {}


def _make(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as fault:
        raise ModelFileError(f"{folder} cannot be made: {reason(fault)}.") from fault


def _here(file: Path, folder: Path) -> Path:
    """The file, or where an interrupted `add` has moved it."""
    target = folder / file.name
    return target if not file.exists() and target.exists() else file


def _check_places(files: Sequence[Path], folder: Path, records: dict[str, Record]) -> None:
    """A file that a person has put there is not overwritten; one that the manifest names is ours. ModelFileError."""
    ours = {name for record in records.values() for name in record.files}
    for file in files:
        target = folder / file.name
        if os.path.lexists(target) and file.name not in ours and file.absolute() != target.absolute():
            raise ModelFileError(
                f"{target} lies there already and was not installed by Slipstream. Remove it or move it away first."
            )


def _moved(file: Path, folder: Path) -> Path:
    """The file at its place in the library. Across disks it is copied beside its place first, then renamed."""
    name = checked_name(file.name, "model file")
    if not name.lower().endswith(SUFFIX):
        raise ModelFileError(f"{name} does not end with {SUFFIX}.")
    target = folder / name
    try:
        if file.absolute() == target.absolute():
            return target
        if file.is_symlink():  # a relative one would point nowhere from its new place
            raise ModelFileError(f"{file} is a link to a file that lies elsewhere, and is not moved. Copy it instead.")
        close_to_writers(file)
        try:
            os.replace(file, target)
        except OSError as fault:
            if fault.errno != errno.EXDEV:
                raise
            part = part_of(target)
            delete_file(part)
            shutil.copyfile(file, part)
            close_to_writers(part)
            os.replace(part, target)
            delete_file(file)
    except OSError as fault:
        raise ModelFileError(f"{target} cannot be written: {fault.strerror or fault}.") from fault
    return target


def _new_id(folder: Path, file_name: str, quantization: str, records: dict[str, Record]) -> str:
    """An installed file keeps its id. The first of a repository is "publisher/repo", others add what differs."""
    if file_name in records:
        return records[file_name].id
    taken = {record.id for record in records.values()}
    base = "/".join(folder.parts[-2:])
    for id_ in (base, f"{base}:{quantization}"):
        if id_ not in taken:
            return id_
    return f"{base}:{Path(file_name).stem}"


def _free_id(folder: Path, stem: str, taken: set[str]) -> str:
    base = "/".join(folder.parts[-2:])
    id_ = base if base not in taken else f"{base}:{stem}"
    taken.add(id_)
    return id_


def _readable(folder: Path) -> dict[str, Record]:
    try:
        return read_manifest(folder)
    except ModelFileError:
        return {}


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if os.path.isdir(path) and not path.name.startswith("."))
    except OSError:
        return []


def unknown_model(name: str, entries: list[ModelEntry]) -> str:
    """Names what can run, and nothing else that is listed."""
    if not entries:
        return f"There is no model “{name}”; the library is empty."
    fit = [entry.id for entry in entries if entry.is_offered]
    if not fit:
        return f"There is no model “{name}”, and no model of the library can run; “slipstream models” says why."
    more = f" and {len(fit) - MAX_NAMED:,} more" if len(fit) > MAX_NAMED else ""
    return f"There is no model “{name}”. Here are: {', '.join(fit[:MAX_NAMED])}{more}."
