"""Which model a name means: never one of two in silence. Knows the list, and opens no file."""

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from app.errors import UnknownModelError
from app.library.entry import ModelEntry
from app.library.origin import Origin
from backends.bounds import as_name

MAX_NAMED = 12


def find_entry(name: str, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """By path, else by id, else by what fits one of them alone; any part of a model in several files stands for all of
    it. A letter in another form (NFC, NFD) counts where nothing is named so. Raises UnknownModelError for what fits
    several."""
    path = os.path.abspath(os.path.expanduser(name))
    for form in (str, _composed):
        for rule in _rules(name, path, form):
            fits = [entry for entry in entries if rule(entry)]
            if len({entry.path for entry in fits}) > 1:
                known = ", ".join(entry.id for entry in fits[:MAX_NAMED]) + (", …" if len(fits) > MAX_NAMED else "")
                raise UnknownModelError(f"“{as_name(name)}” may be any of several models. Name one by its id: {known}.")
            if fits:
                return fits[0]
    return _behind_links(Path(path), entries) if os.sep in name else None


def _rules(name: str, path: str, form: Callable[[str], str]) -> Iterator[Callable[[ModelEntry], bool]]:
    """Best first. form: in which spellings are compared."""
    name, path = form(name), form(path)
    yield lambda entry: any(form(str(file)) in (name, path) for file in (entry.path, *entry.parts))
    yield lambda entry: form(entry.id) == name
    yield lambda entry: entry.origin is Origin.OLLAMA and form(entry.id) == f"{name}:latest"
    yield lambda entry: form(f"{'/'.join(entry.path.parent.parts[-2:])}:{entry.quantization}") == name
    yield lambda entry: any(form(file.name) == name for file in (entry.path, *entry.parts))
    yield lambda entry: name in (form(f"{entry.name} {entry.quantization}"), form(entry.full_name))
    yield lambda entry: form(entry.name) == name


def _composed(name: str) -> str:
    """As most keyboards write it; macOS hands out file names in the other form."""
    return unicodedata.normalize("NFC", name)


def _behind_links(path: Path, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """The same file of the same folder, which a link may lead to."""
    try:
        folder = os.path.realpath(path.parent)
        return next(
            (e for e in entries if e.path.name == path.name and os.path.realpath(e.path.parent) == folder), None
        )
    except (OSError, ValueError):
        return None
