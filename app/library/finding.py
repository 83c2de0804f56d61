"""Which model a name means: never one of two in silence. Knows the list, and opens no file."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from app.errors import UnknownModelError
from app.library.entry import ModelEntry
from app.library.origin import Origin
from app.library.own_models import OWN_MODELS
from backends.bounds import as_name

MAX_NAMED = 12


def find_entry(name: str, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """By path, else by id, else by what fits one of them alone; any part of a model in several files stands for all of
    it; capitals count only where they tell two apart. Raises UnknownModelError for what fits several."""
    path = os.path.abspath(os.path.expanduser(name))
    rules: tuple[Callable[[ModelEntry], bool], ...] = (
        lambda entry: any(str(file) in (name, path) for file in (entry.path, *entry.parts)),
        lambda entry: entry.id == name,
        lambda entry: entry.origin is Origin.OLLAMA and entry.id == f"{name}:latest",
        lambda entry: _repo_id(entry) == name,
        lambda entry: any(file.name == name for file in (entry.path, *entry.parts)),
        lambda entry: name in (f"{entry.name} {entry.quantization}", entry.full_name),
        lambda entry: entry.name == name,
        lambda entry: is_own(entry, name),
        lambda entry: any(name.casefold() == each.casefold() for each in _names(entry)),
    )
    for rule in rules:
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


def _repo_id(entry: ModelEntry) -> str:
    return f"{'/'.join(entry.path.parent.parts[-2:])}:{entry.quantization}"


def _names(entry: ModelEntry) -> Iterator[str]:
    yield from (entry.id, _repo_id(entry), entry.name, entry.full_name, f"{entry.name} {entry.quantization}")
    yield from (file.name for file in (entry.path, *entry.parts))
    if entry.origin is Origin.OLLAMA:
        yield entry.id.removesuffix(":latest")


def _behind_links(path: Path, entries: Sequence[ModelEntry]) -> ModelEntry | None:
    """The same file of the same folder, which a link may lead to."""
    try:
        folder = os.path.realpath(path.parent)
        return next(
            (e for e in entries if e.path.name == path.name and os.path.realpath(e.path.parent) == folder), None
        )
    except (OSError, ValueError):
        return None
