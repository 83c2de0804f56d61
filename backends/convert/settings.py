"""Reads config.json for the architecture that it names. Refuses what would change the result silently."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.architectures import ARCHITECTURES
from backends.convert.architectures.table import Architecture, Window
from backends.convert.bounds import MAX_SIZE
from backends.convert.config import Config, Raw, Size, base_sizes, count, number
from backends.convert.files import read_json
from backends.convert.inside import refuse_escapes
from backends.convert.rope import LOCAL, RopeKind, read_ropes
from backends.convert.sentences import quoted, shown
from backends.convert.yarn import yarn_fault

EPSILONS = ("rms_norm_eps", "norm_eps", "layer_norm_eps")


def read_config(folder: Path) -> tuple[Architecture, Config]:
    """Raises Refusal with one sentence that names the setting."""
    raw = read_json(folder / "config.json")
    name = _name(raw.get("architectures"))
    architecture = find_architecture(name)
    raw = _merged(architecture, raw)
    config = _config(name, architecture, raw)
    for fault in _faults(architecture, config):
        raise Refusal(f"{fault} is not supported for {name}.")
    return architecture, config


def require_known(folder: Path) -> None:
    """Before anything is said of its tensors. Raises Refusal for an architecture that is not in the table."""
    if folder.is_dir():  # else whoever reads the weights has the sentence
        refuse_escapes(folder)
        find_architecture(_name(read_json(folder / "config.json").get("architectures")))


def _name(names: Any) -> str:
    """Of several the first that is known, as vLLM does: what the tensors do not fit is refused later."""
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise Refusal("config.json does not name an architecture, so the checkpoint cannot be converted.")
    return next((name for name in names if name in ARCHITECTURES), str(names[0]))


def _merged(architecture: Architecture, raw: Raw) -> Raw:
    """The architecture's defaults, the file, and a nested text_config, each over the one before."""
    nested = raw.get("text_config")
    if not isinstance(nested, dict):
        return {**architecture.defaults, **raw}
    ties = [table["tie_word_embeddings"] for table in (raw, nested) if "tie_word_embeddings" in table]
    # whether the matrix is there decides
    two_answers = {"tie_word_embeddings": None} if any(tie != ties[0] for tie in ties) else {}
    return {**architecture.defaults, **raw, **nested, **two_answers}


def find_architecture(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        suffixes = ("ForCausalLM", "Model")
        known = ", ".join(re.sub("(ForCausalLM|Model)$", "", name) for name in ARCHITECTURES if name.endswith(suffixes))
        raise Refusal(f"The architecture {shown(name)} is not supported yet. These are: {known}.")
    return ARCHITECTURES[name]


def _config(name: str, architecture: Architecture, raw: Raw) -> Config:
    num_layers = count(raw, "num_hidden_layers")
    context = count(raw, "max_position_embeddings")
    window = _window(architecture, raw)
    if architecture.window is Window.CAPS_CONTEXT and window is not None:
        context = min(context, window)
    rope, local_rope = read_ropes(raw)
    return Config(
        architecture=name,
        sizes=_sizes(architecture, raw),
        num_layers=num_layers,
        context=context,
        norm_epsilon=number(raw, next((key for key in EPSILONS if key in raw), "norm_eps")),
        rope=rope,
        local_rope=local_rope,
        is_tied=_is_tied(raw),
        has_head_dim=raw.get("head_dim") is not None,
        sliding_window=window,
        layer_types=_layer_types(architecture, raw, num_layers),
        raw=raw,
    )


def _sizes(architecture: Architecture, raw: Raw) -> dict[Size, int]:
    sizes = base_sizes(raw, architecture.feed_forward(raw))
    for size, keys in architecture.sizes.items():
        sizes[size] = count(raw, next((key for key in keys if key in raw), keys[0]))
    sizes |= {size: count(raw, key) for size, key in architecture.optional_sizes.items() if raw.get(key) is not None}
    if Size.EXPERT_WIDTH in sizes:
        sizes[Size.EXPERT_GATE_UP] = 2 * sizes[Size.EXPERT_WIDTH]
    sizes |= architecture.derived(raw, sizes)
    if (size := max(sizes, key=sizes.__getitem__)) and sizes[size] > MAX_SIZE:
        raise Refusal(f"config.json does not add up: a dimension of {sizes[size]:,} ({size.value}), as in no model.")
    return sizes


def _is_tied(raw: Raw) -> bool | None:
    """LFM2 has a name of its own for it, and may have both."""
    answers = {raw[key] for key in ("tie_word_embeddings", "tie_embedding") if isinstance(raw.get(key), bool)}
    return answers.pop() if len(answers) == 1 else None


def _window(architecture: Architecture, raw: Raw) -> int | None:
    if raw.get("sliding_window") is None:
        return None
    if architecture.window is Window.NONE and not raw.get("use_sliding_window"):
        return None  # a number without its switch, which only these have
    return count(raw, "sliding_window")


def _layer_types(architecture: Architecture, raw: Raw, num_layers: int) -> tuple[str, ...]:
    kinds = architecture.kinds(raw) if architecture.kinds else raw.get("layer_types") or []
    if not isinstance(kinds, list) or not all(isinstance(kind, str) for kind in kinds):
        raise Refusal("config.json holds no valid layer_types.")
    return tuple(kinds[:num_layers])


def _faults(architecture: Architecture, config: Config) -> Iterator[str]:
    """What the graphs of llama.cpp fix; another value would run, and answer wrongly."""
    raw = config.raw
    names = ("hidden_activation", "hidden_act") if "hidden_activation" in architecture.defaults else ("hidden_act",)
    activation = next((raw[name] for name in names if raw.get(name) is not None), architecture.activation)
    if activation not in (architecture.activation, *architecture.other_names):
        yield f"The activation {quoted(activation)}"
    if raw.get("is_causal") is False and not architecture.is_encoder:
        yield "Attention to what comes later in the text (is_causal)"
    if raw.get("per_layer_config") and not architecture.has_layer_settings:
        yield "A per_layer_config"
    for key, values in architecture.fixed.items():
        if raw.get(key) is not None and raw[key] not in values:
            yield f"A {key} of {quoted(raw[key])}"
    known = architecture.layer_kinds | architecture.layers_of.keys()
    other = next((kind for kind in config.layer_types if kind not in known), None)
    if other is not None:
        yield f"A layer of the type {quoted(other)}"
    if config.layer_types and len(config.layer_types) != config.num_layers:
        yield "A list of layer_types that is not as long as the model is deep"
    yield from _window_faults(architecture, config)
    yield from _rope_faults(architecture, config)
    head = config.sizes.get(Size.FULL_HEAD, config.sizes[Size.HEAD])
    if (turned := int(head * config.rope.partial)) < 2 or turned % 2:  # llama.cpp turns pairs
        yield f"A partial_rotary_factor of {config.rope.partial:g} for heads of {head}"
    if (fault := architecture.check(config)) is not None:
        yield fault
    yield from _expert_faults(config)


def _expert_faults(config: Config) -> Iterator[str]:
    """llama.cpp ends the process on these."""
    num_experts = config.sizes.get(Size.EXPERTS)
    if num_experts is None:
        return
    used = {key: n for key in ("num_experts_per_tok", "top_k_experts") if (n := config.optional_count(key)) is not None}
    if not used:
        yield f"A mixture of {num_experts} experts of which no number is used"
    for key, n in used.items():
        if n > num_experts:
            yield f"A {key} of {n} for {num_experts} experts"


def _window_faults(architecture: Architecture, config: Config) -> Iterator[str]:
    if config.sliding_window is not None and architecture.window is Window.NONE:
        yield "A sliding window"
    has_local = not config.layer_types or any(kind.startswith(LOCAL) for kind in config.layer_types)
    if config.sliding_window is None and architecture.window is Window.NATIVE and has_local:
        yield "A sliding window of no given width"


def _rope_faults(architecture: Architecture, config: Config) -> Iterator[str]:
    rope, local = config.rope, config.local_rope
    if rope.kind not in architecture.ropes:
        yield f"The rotary scaling {rope.kind!s}"
    if rope.kind is RopeKind.YARN and (fault := yarn_fault(rope, architecture.has_mscale, config.rotary)) is not None:
        yield fault
    if rope.partial != 1 and not architecture.has_partial_rotary:
        yield f"A partial_rotary_factor of {rope.partial:g}"
    if local is not None and not architecture.has_local_rope:
        yield "A rotary embedding that differs between layers"
    if local is not None and (local.partial != 1 or local.kind is not RopeKind.PLAIN):
        yield f"The rotary scaling {local.kind!s} in layers of the type {LOCAL!r}"
