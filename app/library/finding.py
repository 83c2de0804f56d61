"""Which model a name means: never one of two in silence. Knows the list, and opens no file."""

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from app.errors import UnknownModelError
from app.library.entry import ModelEntry
from app.library.origin import Origin
from app.library.own_models import OWN_MODELS
from backends.bounds import as_name

Form = Callable[[str], str]
Names = Callable[[ModelEntry], tuple[str, ...]]
Rule = Callable[[ModelEntry], bool]

MAX_NAMED = 12


def find_entry(name: str, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """By path, else by id, else by what fits one of them alone; any part of a model in several files stands for all of
    it. Forms of a letter (NFC, NFD) and capitals count only where they tell two apart. Raises UnknownModelError for
    what fits several."""
    path = os.path.abspath(os.path.expanduser(name))
    for rule in _rules(name, path):
        fits = [entry for entry in entries if rule(entry)]
        if len({entry.path for entry in fits}) > 1:
            known = ", ".join(entry.id for entry in fits[:MAX_NAMED]) + (", …" if len(fits) > MAX_NAMED else "")
            raise UnknownModelError(f"“{as_name(name)}” may be any of several models. Name one by its id: {known}.")
        if fits:
            return fits[0]
    return _behind_links(Path(path), entries) if os.sep in name else None


def find_short(name: str, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """By a word of ours, or by an id in other capitals that is one model's alone. No file is looked for."""
    if own := next((entry for entry in entries if is_own(entry, name)), None):
        return own
    fits = [entry for entry in entries if entry.id.casefold() == name.casefold()]
    return fits[0] if len(fits) == 1 else None


def is_own(entry: ModelEntry, word: str) -> bool:
    """Whether it is the model that `slipstream install WORD` brings."""
    own = OWN_MODELS.get(word.casefold())
    return own is not None and entry.origin is Origin.MANAGED and entry.path.parts[-3:] == own.place


def _rules(name: str, path: str) -> Iterator[Rule]:
    """Best first."""
    for form in (str, _composed):
        yield partial(_is_at, form, {form(name), form(path)})
        for names in (_ids, _tags, _repo_ids, _files, _full_names, _own_names):
            yield partial(_is_named, form, names, form(name))
    yield lambda entry: is_own(entry, name)
    # no path: two files may differ by capitals alone, and one of them be none of the library's
    yield partial(_is_named, _folded, _all_names, _folded(name))


def _is_at(form: Form, paths: set[str], entry: ModelEntry) -> bool:
    return any(form(str(file)) in paths for file in (entry.path, *entry.parts))


def _is_named(form: Form, names: Names, name: str, entry: ModelEntry) -> bool:
    return any(form(each) == name for each in names(entry))


def _ids(entry: ModelEntry) -> tuple[str, ...]:
    return (entry.id,)


def _tags(entry: ModelEntry) -> tuple[str, ...]:
    return (entry.id.removesuffix(":latest"),) if entry.origin is Origin.OLLAMA else ()


def _repo_ids(entry: ModelEntry) -> tuple[str, ...]:
    return (f"{'/'.join(entry.path.parent.parts[-2:])}:{entry.quantization}",)


def _files(entry: ModelEntry) -> tuple[str, ...]:
    return tuple(file.name for file in (entry.path, *entry.parts))


def _full_names(entry: ModelEntry) -> tuple[str, ...]:
    return (f"{entry.name} {entry.quantization}", entry.full_name)


def _own_names(entry: ModelEntry) -> tuple[str, ...]:
    return (entry.name,)


def _all_names(entry: ModelEntry) -> tuple[str, ...]:
    kinds = (_ids, _tags, _repo_ids, _files, _full_names, _own_names)
    return tuple(name for names in kinds for name in names(entry))


def _composed(name: str) -> str:
    """As most keyboards write it; macOS hands out file names in the other form."""
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name).casefold()


def _behind_links(path: Path, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """The same file of the same folder, which a link may lead to."""
    try:
        folder = os.path.realpath(path.parent)
        return next(
            (e for e in entries if e.path.name == path.name and os.path.realpath(e.path.parent) == folder), None
        )
    except (OSError, ValueError):
        return None
