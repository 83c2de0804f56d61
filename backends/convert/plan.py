"""Lays out a GGUF file before a byte is written: which tensor comes from where, in which type."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from backends.child import Refusal
from backends.convert.architectures.phi import rotary
from backends.convert.architectures.table import EMBEDDING, OUTPUT, Architecture, Row
from backends.convert.config import Config, Size
from backends.convert.encode import FloatType, StoredType, are_equal, num_bytes
from backends.convert.layout import Held, Layout, Run, Source, as_it_is, stacked
from backends.convert.packed import Packed
from backends.convert.rope import RopeKind, llama3_factors, longrope_factors, proportional_factors

LAYER = re.compile(r"model\.layers\.(\d{1,5})\.")
# buffers of old transformers, computed from the configuration
IGNORED_SUFFIXES = ("rotary_emb.inv_freq", "embeddings.position_ids")
# llama.cpp computes with these in F32 (conversion/base.py, `prepare_tensors`), and they weigh little
ALWAYS_F32 = (
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_inp_shexp.weight",
    "shortconv.conv.weight",
    "ssm_conv1d.weight",
    "position_embd.weight",
    "token_types.weight",
)


@dataclass(frozen=True, slots=True)
class PlannedTensor:
    name: str
    shape: tuple[int, ...]  # outermost dimension first
    type: StoredType
    runs: tuple[Run, ...]

    @property
    def num_bytes(self) -> int:
        return num_bytes(math.prod(self.shape), self.type)


def plan_tensors(
    architecture: Architecture, config: Config, entries: Mapping[str, Source], type_: FloatType
) -> list[PlannedTensor]:
    """Every tensor of the new file in order. Refuses one that is missing, unknown or of another shape."""
    sources = dict(_needed(architecture, config, entries))
    tensors: dict[str, PlannedTensor] = {}
    missing: dict[str, str] = {}
    unused = set(sources)
    if config.is_tied and OUTPUT.source in sources:  # some files carry the copy all the same
        _check_tied(sources)
        unused.discard(OUTPUT.source)
    for row, prefix, target in _rows(architecture, config, has_output=OUTPUT.source in sources):
        names = _names(row, prefix, config)
        if names[0] not in sources:
            if row.is_required:
                missing.setdefault(target, names[0])
            continue
        if target in tensors:
            raise Refusal(f"The checkpoint holds what becomes {target!r:.80} twice; {names[0]!r:.80} is one of them.")
        tensors[target] = _planned(row, names, target, sources, config, type_)
        unused.difference_update(names)
    absent = next((source for target, source in missing.items() if target not in tensors), None)
    if absent is not None:
        raise Refusal(f"The checkpoint is not complete: tensor {absent!r:.80} is missing.")
    if unused:
        raise Refusal(f"Tensor {min(unused)!r:.80} is not known for {config.architecture}, so nothing was converted.")
    return [*tensors.values(), *_factors(config)]


def _check_tied(sources: Mapping[str, Source]) -> None:
    """transformers does not tie two matrices that differ, whatever the file says."""
    embedding = sources.get(EMBEDDING.source)
    if embedding is not None and not are_equal(sources[OUTPUT.source], embedding):
        raise Refusal(
            f"config.json says that the output matrix is the embedding, but {OUTPUT.source!r} holds other numbers. "
            "Set tie_word_embeddings to false, or download the checkpoint again."
        )


def _needed(architecture: Architecture, config: Config, entries: Mapping[str, Source]) -> Iterator[tuple[str, Source]]:
    for name, entry in entries.items():
        if name.endswith(IGNORED_SUFFIXES) or name.startswith(architecture.ignored):
            continue
        layer = LAYER.match(name)
        if architecture.has_later_layers and layer and int(layer[1]) >= config.num_layers:
            continue
        prefix = next((prefix for prefix in architecture.renamed if name.startswith(prefix)), "")
        yield architecture.renamed.get(prefix, "") + name.removeprefix(prefix), entry


def _rows(architecture: Architecture, config: Config, has_output: bool) -> Iterator[tuple[Row, str, str]]:
    """Each row with the start of its source's name, and its target."""
    for row in (*architecture.outer, *_asked_for(architecture.outer_if, config)):
        yield row, "", row.target
    everywhere = (*architecture.layer, *_asked_for(architecture.layer_if, config))
    for layer in range(config.num_layers):
        for row in (*everywhere, *architecture.layers_of.get(config.kind(layer), ())):
            yield row, f"model.layers.{layer}.", f"blk.{layer}.{row.target}"
    if not architecture.is_encoder and (config.is_tied is False or (config.is_tied is None and has_output)):
        yield OUTPUT, "", OUTPUT.target


def _asked_for(rows: Mapping[str, tuple[Row, ...]], config: Config) -> Iterator[Row]:
    for key, chosen in rows.items():
        if config.raw.get(key):
            yield from chosen


def _names(row: Row, prefix: str, config: Config) -> list[str]:
    if "*" not in row.source:
        return [prefix + row.source]
    return [prefix + row.source.replace("*", str(expert)) for expert in range(config.sizes[Size.EXPERTS])]


def _planned(
    row: Row, names: Sequence[str], target: str, sources: Mapping[str, Source], config: Config, type_: FloatType
) -> PlannedTensor:
    shape = tuple(config.sizes[size] for size in row.shape)
    layouts: list[Layout] = []
    for name in names:
        if name not in sources:
            raise Refusal(f"The checkpoint is not complete: tensor {name!r:.80} is missing.")
        if sources[name].shape != shape:
            raise Refusal(
                f"Tensor {name!r:.80} has the shape {sources[name].shape}, but config.json asks for {shape}: "
                "the files do not belong together."
            )
        layouts.append(row.transform(sources[name], config))
    layout = stacked(layouts) if "*" in row.source else layouts[0]
    if isinstance(layout.runs[0].source, Packed):
        return PlannedTensor(target, layout.shape, "mxfp4", layout.runs)
    is_f32 = len(layout.shape) == 1 or not target.endswith(".weight") or target.endswith(ALWAYS_F32)
    return PlannedTensor(target, layout.shape, "f32" if is_f32 else type_, layout.runs)


def _factors(config: Config) -> Iterator[PlannedTensor]:
    """Of the rotary frequencies, which llama.cpp reads as tensors."""
    if config.rope.kind is RopeKind.LLAMA3:
        yield _held("rope_freqs.weight", Held(llama3_factors(config.rope, config.sizes[Size.HEAD])), config)
    if config.rope.kind is RopeKind.PROPORTIONAL:
        yield _held("rope_freqs.weight", Held(proportional_factors(config.rope, config.sizes[Size.FULL_HEAD])), config)
    if config.rope.kind is RopeKind.LONGROPE:
        for length in ("long", "short"):
            values = longrope_factors(config.rope, f"{length}_factor", rotary(config))
            yield _held(f"rope_factors_{length}.weight", Held(values), config)


def _held(name: str, held: Held, config: Config) -> PlannedTensor:
    layout = as_it_is(held, config)
    return PlannedTensor(name, layout.shape, "f32", layout.runs)
