"""A repository's checkpoint: the weights as they were trained, with all that their conversion reads. No code."""

import re
from collections.abc import Sequence

from app.hub import fields
from app.hub.repository import HubFile, Variant, VariantKind

INDEX = "model.safetensors.index.json"
BIN_INDEX = "pytorch_model.bin.index.json"
COMPANIONS = frozenset(
    {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "spiece.model",
        "tekken.json",
        "chat_template.json",
        "chat_template.jinja",
        "quantize_config.json",
        "quantization_config.json",
        "hf_quant_config.json",
    }
)
SHARD = re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")
BIN_SHARD = re.compile(r"pytorch_model-(\d{5})-of-(\d{5})\.bin")
NO_WEIGHTS = re.compile(r"adapter|lora|consolidated|optimizer|training|scheduler", re.IGNORECASE)
MAX_SHARDS = 2000


def checkpoint(files: Sequence[HubFile], shards: frozenset[str] | None = None) -> Variant | None:
    """None when something that it needs is missing. shards: file names that its index lists, where that is known."""
    top = {file.path: file for file in files if "/" not in file.path}
    weights = _named(top, shards) or _safetensors(top)
    extra = [INDEX] if weights and INDEX in top else []
    if not weights and not any(path.endswith(".safetensors") for path in top):
        weights = _bins(top)
        extra = [BIN_INDEX] if weights and BIN_INDEX in top else []
    if not weights or "config.json" not in top:
        return None
    companions = [file for path, file in sorted(top.items()) if path in COMPANIONS or path in extra]
    return Variant(
        label="Checkpoint",
        kind=VariantKind.CHECKPOINT,
        files=(*companions, *weights),
        quantization=None,
        bytes=sum(file.bytes for file in (*companions, *weights)),
    )


def is_part_of_checkpoint(name: str) -> bool:
    """Whether a file of this name belongs to a checkpoint, wherever it came from."""
    is_weights = name.endswith(".safetensors") or name == "pytorch_model.bin" or BIN_SHARD.fullmatch(name) is not None
    return is_weights or name in COMPANIONS or name in (INDEX, BIN_INDEX)


def shards_of(index: bytes) -> frozenset[str] | None:
    """The file names in an index; None when it is not one."""
    try:
        weight_map = fields.mapping(fields.mapping(fields.parse(index)).get("weight_map"))
    except ValueError:
        return None
    names = set(map(str, weight_map.values()))
    return frozenset(names) if 0 < len(names) <= MAX_SHARDS else None


def _named(top: dict[str, HubFile], shards: frozenset[str] | None) -> list[HubFile]:
    """All of them, or none: half a checkpoint is of no use."""
    if not shards or not all(name in top and name.endswith(".safetensors") for name in shards):
        return []
    return [top[name] for name in sorted(shards)]


def _safetensors(top: dict[str, HubFile]) -> list[HubFile]:
    if "model.safetensors" in top:
        return [top["model.safetensors"]]
    if parts := _parts(top, SHARD):
        return parts
    others = [file for path, file in top.items() if path.endswith(".safetensors") and not NO_WEIGHTS.search(path)]
    return others if len(others) == 1 else []


def _bins(top: dict[str, HubFile]) -> list[HubFile]:
    return [top["pytorch_model.bin"]] if "pytorch_model.bin" in top else _parts(top, BIN_SHARD)


def _parts(top: dict[str, HubFile], pattern: re.Pattern[str]) -> list[HubFile]:
    """Shards 1 to n, if all of them are there."""
    found = {(int(match[1]), int(match[2])): file for path, file in top.items() if (match := pattern.fullmatch(path))}
    count = max((count for _, count in found), default=0)
    if not 0 < count <= MAX_SHARDS or any((number, count) not in found for number in range(1, count + 1)):
        return []
    return [found[number, count] for number in range(1, count + 1)]
