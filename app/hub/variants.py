"""What of a repository can be installed: its model files by quantization, and its checkpoint. Reads names alone."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from app.hub.checkpoint import checkpoint
from app.hub.repository import HubFile, Variant, VariantKind

PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
LABEL = re.compile(
    r"(?:^|[-._ /])((?:UD-)?(?:I?Q[1-8]_[A-Z0-9]+(?:_[A-Z0-9]+)*|TQ[12]_0|MXFP4(?:_MOE)?|NVFP4|BF16|F16|F32|FP16|FP32))"
    r"(?=$|[-._ /])",
    re.IGNORECASE,
)
NO_MODEL = re.compile(r"(?:^|[-._])(?:mmproj|lora|adapter|vocab)(?:[-._]|$)", re.IGNORECASE)
MATRIX = re.compile(r"imatrix", re.IGNORECASE)
MMPROJ = re.compile(r"mmproj", re.IGNORECASE)
MMPROJ_ORDER = ("F16", "BF16", "F32")  # what most engines are tried with comes first
MAX_PARTS = 999


def variants(files: Iterable[HubFile], shards: frozenset[str] | None = None) -> tuple[Variant, ...]:
    """Smallest first, the checkpoint last. shards: what the checkpoint's index names, where it could be read."""
    known = tuple(files)
    models = [file for file in known if _is_model(file)]
    projectors = [file for file in known if _is_gguf(file) and MMPROJ.search(file.name)]
    found = [_variant(group, projectors) for group in _groups(models)]
    found = sorted(_distinct(found), key=lambda variant: (variant.bytes, variant.label))
    unconverted = checkpoint(known, shards)
    return (*found, unconverted) if unconverted else tuple(found)


def label(path: str) -> str | None:
    """The quantization that a file's name or else its folder's tells, e.g. "Q4_K_M" or "UD-Q2_K_XL"."""
    stem = PART.sub(r"\g<stem>", path.rpartition("/")[2]).removesuffix(".gguf").removesuffix(".GGUF")
    for text in (stem, path.rpartition("/")[0]):
        if found := LABEL.findall(text):
            return str(found[-1]).upper().replace("FP16", "F16").replace("FP32", "F32")
    return None


def _is_gguf(file: HubFile) -> bool:
    return file.path.lower().endswith(".gguf")


def _is_model(file: HubFile) -> bool:
    if not _is_gguf(file) or NO_MODEL.search(file.name):
        return False
    return not MATRIX.search(file.name) or label(file.name) is not None


def _groups(models: list[HubFile]) -> list[tuple[HubFile, ...]]:
    """Single files, and the parts of split ones in order; a split file that lacks a part is none."""
    groups: list[tuple[HubFile, ...]] = []
    split: dict[tuple[str, int], dict[int, HubFile]] = {}
    for file in models:
        match = PART.fullmatch(file.path)
        if match is None:
            groups.append((file,))
        else:
            split.setdefault((match["stem"], int(match["count"])), {})[int(match["number"])] = file
    for (_, count), parts in split.items():
        if 1 <= count <= MAX_PARTS and sorted(parts) == list(range(1, count + 1)):
            groups.append(tuple(parts[number] for number in sorted(parts)))
    return groups


def _variant(group: tuple[HubFile, ...], projectors: list[HubFile]) -> Variant:
    named = label(group[0].path)
    return Variant(
        label=named or _stem(group[0]),
        kind=VariantKind.GGUF,
        files=group,
        quantization=named.removeprefix("UD-") if named else None,
        bytes=sum(file.bytes for file in group),
        mmproj=_projector(group[0], projectors),
    )


def _distinct(found: list[Variant]) -> list[Variant]:
    """Where two models share a repository, the label alone does not tell them apart: the name does."""
    times = Counter(variant.label for variant in found)
    return [
        replace(variant, label=_stem(variant.files[0])) if times[variant.label] > 1 else variant for variant in found
    ]


def _stem(file: HubFile) -> str:
    return PART.sub(r"\g<stem>.gguf", file.name)[: -len(".gguf")]


def _projector(model: HubFile, projectors: list[HubFile]) -> HubFile | None:
    """Beside the model if there is one, else at the top."""
    folder = model.path.rpartition("/")[0]
    beside = [file for file in projectors if file.path.rpartition("/")[0] == folder]
    return min(beside or projectors, key=_projector_rank, default=None)


def _projector_rank(file: HubFile) -> tuple[int, str]:
    named = label(file.path)
    return (MMPROJ_ORDER.index(named) if named in MMPROJ_ORDER else len(MMPROJ_ORDER), file.path)
