"""The names of models as they were found on the disk, and what tells two of one name apart. Opens no file."""

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from app.library.entry import ModelEntry
from app.library.facts import Facts
from app.library.found import Found
from app.library.naming import Naming, naming_of, without_type
from app.library.origin import Origin
from backends.bounds import as_name

MAX_PLACE = 60
MAX_LEVELS = 6  # of folders in a place


def found_naming(found: Found, facts: Facts) -> Naming:
    """As its application calls it, else by its repository, file and header."""
    file, folder = os.path.basename(found.path), os.path.dirname(found.path)
    naming = naming_of(
        file, repository=_repository(found), folder=folder, title=facts.title, quantization=facts.quantization
    )
    if found.name and found.origin is Origin.OLLAMA:  # its tag is all that people know
        return Naming(as_name(found.name), naming.quantization)
    if found.name:
        return Naming(as_name(without_type(found.name)[0] or found.name), naming.quantization)
    return naming


def _repository(found: Found) -> str | None:
    """Where the layout says it."""
    match found.origin:
        case Origin.HF_CACHE:
            return found.source.partition("@")[0] if found.source else None
        case Origin.MANAGED | Origin.LM_STUDIO:
            parts = found.id.partition(":")[0].split("/")
            return "/".join(parts[:2]) if len(parts) > 1 else None
    return None


def told_apart(entries: list[ModelEntry]) -> list[ModelEntry]:
    """The same entries; those of one name and quantization with a place each."""
    alike: dict[tuple[str, str, bool], list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        alike[entry.name.casefold(), entry.quantization, entry.is_checkpoint].append(number)
    result = entries
    for numbers in alike.values():
        if len(numbers) > 1:
            result = list(result) if result is entries else result
            for number, place in zip(numbers, _places([entries[number] for number in numbers]), strict=True):
                result[number] = replace(entries[number], place=place)
    return result


def _places(entries: list[ModelEntry]) -> list[str]:
    """As short as they can be: whose it is, the end of its folder, else its id."""
    labels = [entry.origin.label for entry in entries]
    if _are_unlike(labels):
        return labels
    for level in range(1, MAX_LEVELS):
        folders = ["/".join(entry.path.parent.parts[-level:]) for entry in entries]
        if _are_unlike(folders):
            return [as_name(folder, MAX_PLACE) for folder in folders]
    names = [as_name(entry.path.name, MAX_PLACE) for entry in entries]
    return names if _are_unlike(names) else [as_name(entry.id, MAX_PLACE) for entry in entries]


def _are_unlike(texts: Iterable[str]) -> bool:
    texts = list(texts)
    return len({text.casefold() for text in texts}) == len(texts)
