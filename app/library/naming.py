"""What a model is called, and which quantization is shown beside it: decided from names alone. Opens no file."""

import os
import re
from dataclasses import dataclass

from backends.bounds import as_name
from backends.formats.gguf_split import split_of
from backends.formats.gguf_tables import FILE_TYPES

SUFFIX = ".gguf"
TYPE = r"(?:UD-)?(?:I?Q[1-8](?:_(?:K|XXS|XS|S|M|L|XL|NL|[0-9]))*|TQ[12]_0|I2_S|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32)"
TYPE_AT_END = re.compile(rf"(?:^|[-._ /])(?P<type>(?:i1-)?{TYPE})(?:[-._]i?mat(?:rix)?)?$", re.IGNORECASE)
GGUF_AT_END = re.compile(r"(?:^|[-._ ])(?:i1[-._ ])?gguf$", re.IGNORECASE)
FLOAT = re.compile(r"^FP(?=\d\d$)")
DIGITS = re.compile(r"\d+")
STANDARD = frozenset(FILE_TYPES.values())
# words that programs give to files and folders: no publisher calls a model so
EMPTY_WORDS = frozenset(
    """
    checkpoint consolidated content converted default download final gguf ggml hf llm main merged model models none out
    output pytorch quantized root safetensors sha256 snapshot snapshots test tmp unknown unsloth weights workspace
    """.split()  # noqa: SIM905 - 35 lines otherwise
)
HASH = re.compile(r"(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])(?:[0-9a-f]{40}|[0-9a-f]{64})")  # no word, no number


@dataclass(frozen=True, slots=True)
class Naming:
    name: str
    quantization: str


def naming_of(
    file: str, *, repository: str | None = None, folder: str = "", title: str = "", quantization: str = ""
) -> Naming:
    """The name that the publisher gave: the repository's where it says what the file's says or more, else the file's;
    the header's own title only where those say nothing.

    file: its name without folders. repository: "owner/name" or "name" on the Hub. folder: the one that it lies in.
    title: general.name of its header. quantization: by its header, which a file name only refines.
    """
    stem, type_ = without_type(stem_of(file))
    beside = os.path.basename(folder)
    repository = repository or (beside if GGUF_AT_END.search(beside) else "")
    published = without_type(_without_gguf(repository.rpartition("/")[2]))[0]
    return Naming(as_name(_name(stem, published, folder, title) or stem_of(file)), _type(type_, quantization))


def stem_of(file: str) -> str:
    """model-00001-of-00003.gguf is "model"."""
    split = split_of(file)
    if split:
        return split[0]
    return file[: -len(SUFFIX)] if file.lower().endswith(SUFFIX) else file


def without_type(name: str) -> tuple[str, str]:
    """A name without the quantization at its end, and that."""
    match = TYPE_AT_END.search(name)
    return (name[: match.start()], match["type"]) if match else (name, "")


def _name(stem: str, published: str, folder: str, title: str) -> str:
    is_named = not _is_empty(stem)
    if not _is_empty(published) and (not is_named or _letters(published).startswith(_letters(stem))):
        return published
    if is_named:
        return stem
    beside = without_type(_without_gguf(os.path.basename(folder)))[0]
    return next((name for name in (title, beside) if not _is_empty(name)), "")


def _is_empty(name: str) -> bool:
    words = re.split(r"[-._ :/]+", name.strip().lower())
    return all(not word or word.isdecimal() or word in EMPTY_WORDS or HASH.fullmatch(word) for word in words)


def is_same_name(one: str, other: str) -> bool:
    """But for spelling: "Slipstream Guide" and "slipstream-guide"."""
    return _letters(one) == _letters(other)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _without_gguf(name: str) -> str:
    return GGUF_AT_END.sub("", name)


def _type(by_name: str, by_header: str) -> str:
    """The header's, unless the name tells of a mix that headers have no word for: UD-Q4_K_XL is a Q4_K_M there."""
    named = FLOAT.sub("F", by_name.upper()).replace("I1-", "i1-")
    if not by_header:
        return named
    is_of_its_kind = DIGITS.findall(named.removeprefix("i1-"))[:1] == DIGITS.findall(by_header)[:1]
    is_a_mix = named and named not in STANDARD and not by_header.startswith(named)
    return named if is_a_mix and is_of_its_kind else by_header
