"""Models that lie in several files, name-00001-of-00003.gguf and so on: their names, and whether they belong together.

llama.cpp derives the other names from the first one (llama_split_path) and aborts on some sets that do not fit.
"""

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.formats import FormatError, UnreadableError
from backends.formats.gguf import Header, check_model, read_header

PATTERN = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)
MAX_PARTS = 1000
MAX_NAMED = 2  # missing parts, within a sentence
COUNT, NUMBER, NUM_TENSORS = "split.count", "split.no", "split.tensors.count"


def split_of(name: str) -> tuple[str, int, int] | None:
    """Stem, number from 1, and count of a part's file name; None for any other."""
    match = PATTERN.match(name)
    if not match:
        return None
    number, count = int(match["number"]), int(match["count"])
    return (match["stem"], number, count) if 1 <= number <= count <= MAX_PARTS else None


def part_paths(path: Path) -> tuple[Path, ...]:
    """All files of the model whose first file this is, in order; the file alone for a model in one piece."""
    split = split_of(path.name)
    if split is None:
        return (path,)
    stem, _, count = split
    return tuple(path.with_name(part_name(stem, number, count)) for number in range(1, count + 1))


def part_name(stem: str, number: int, count: int) -> str:
    """As llama.cpp names them (llama_split_path). number: from 1."""
    return f"{stem}-{number:05d}-of-{count:05d}.gguf"


def read_parts(path: Path, parts: Sequence[Path] = ()) -> list[Header]:
    """The headers of a model's files, wherever they lie. `parts`: those after the first; else its neighbours.

    Raises FormatError when one is missing or damaged, or when they are not all parts of one model.
    """
    paths = (path, *parts) if parts else part_paths(path)
    _check_there(paths)
    headers = [read_header(each) for each in paths]
    check_parts(headers)
    check_model(headers[0], others=headers[1:])
    return headers


def _check_there(paths: Sequence[Path]) -> None:
    """Raises UnreadableError that names the parts which are missing; of a model in one piece whoever reads it does."""
    missing = [path for path in paths if not os.path.lexists(path)]
    if len(paths) == 1 or not missing:
        return
    for path in missing:
        if name := _spelled_otherwise(path):
            raise UnreadableError(_misnamed(name, *(split_of(path.name) or (path.stem, 1, 1))))
    if len(missing) < len(paths):
        raise UnreadableError(missing_parts([path.name for path in missing]))


def _spelled_otherwise(path: Path) -> str | None:
    """What lies in its folder under a name that people read as the same."""
    try:
        return next((name for name in os.listdir(path.parent) if folded(name) == folded(path.name)), None)
    except OSError:
        return None


def folded(name: str) -> str:
    """Equal for names that differ in capitals or in the form of a letter alone."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_at(path: Path, name: str) -> bool:
    """Whether llama.cpp finds it under that name: on some disks capitals do not count."""
    try:
        return path.name == name or path.with_name(name).samefile(path)
    except OSError:
        return False


def _misnamed(name: str, stem: str, number: int, count: int) -> str:
    wanted = part_name(stem, number, count)
    return f"{name} lies here and is not named as part {number} of {count}; rename it to {wanted}."


def missing_parts(names: Sequence[str]) -> str:
    """The sentence that names them."""
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    are = "is missing: it is a part" if len(names) == 1 else "are missing: they are parts"
    named = ", ".join(names[:MAX_NAMED])
    return f"{named}{more} {are} of this model. Get the whole set, then it can be loaded."


def check_parts(headers: Sequence[Header]) -> None:
    """Raises FormatError unless these are all files of one model, in their order."""
    first = headers[0]
    count = first.metadata.get(COUNT, 1)
    if count != len(headers) and not (count == 0 and len(headers) == 1):
        raise FormatError(_torn(first, count, len(headers)))
    if len(headers) == 1:
        return
    stem = (split_of(first.path.name) or ("",))[0]
    for number, header in enumerate(headers):
        if (header.metadata.get(COUNT), header.metadata.get(NUMBER)) != (count, number):
            raise FormatError(f"{header.path.name} is not part {number + 1} of {count!s:.40}. Download it again.")
        if not _is_at(header.path, part_name(stem, number + 1, count)):
            raise FormatError(_misnamed(header.path.name, stem, number + 1, count))
    owners: dict[str, Header] = {}
    for header in headers:
        for tensor in header.tensors:
            if (owner := owners.setdefault(tensor.name, header)) is not header:
                raise FormatError(_of_another_set(header, owner))
    if first.metadata.get(NUM_TENSORS) not in (None, len(owners)):
        raise FormatError(f"The parts of {first.path.name} do not hold all its weights. Download them again.")


def _of_another_set(header: Header, owner: Header) -> str:
    return (
        f"{header.path.name} holds weights that {owner.path.name} has, so it is of another set. Get the whole set from "
        "one place."
    )


def _torn(first: Header, count: Any, num_here: int) -> str:
    """A part whose name does not say so, or a set whose names say another number than its first file."""
    name, number = first.path.name, first.metadata.get(NUMBER, 0)
    if num_here > 1 or type(count) is not int or type(number) is not int or not 0 <= number < count <= MAX_PARTS:
        return f"{name} is one of {count!s:.40} parts, and {num_here} are here. Get all of them."
    return (
        f"{name} is part {number + 1} of {count} of a model, and its name does not lead to the others. Put them side "
        f"by side and name each as llama.cpp does, this one {part_name('NAME', number + 1, count)}."
    )
