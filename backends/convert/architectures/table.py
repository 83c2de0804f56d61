"""What the table of architectures is made of. Knows no architecture.

A checkpoint must hold exactly these tensors in exactly these shapes; anything else is refused, never guessed.
Names left: Hugging Face transformers. Names right: llama.cpp, gguf-py `constants.py` and `src/models/*.cpp`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from backends.convert.config import Config, Raw, Size, count
from backends.convert.layout import Transform, as_it_is
from backends.convert.rope import RopeKind

Value = int | float | bool | str | list[int] | list[bool] | list[float]


@dataclass(frozen=True, slots=True)
class Row:
    """One tensor. In a layer's row the names follow "model.layers.N." and "blk.N.".

    Several rows may share a target: they are the forms in which it is stored, and one of them is there.
    A "*" in the source stands for the number of each expert; their tensors are stacked.
    """

    source: str
    target: str
    shape: tuple[Size, ...]  # of the source
    transform: Transform = as_it_is
    is_required: bool = True


EMBEDDING = Row("model.embed_tokens.weight", "token_embd.weight", (Size.VOCAB, Size.HIDDEN))
OUTPUT_NORM = Row("model.norm.weight", "output_norm.weight", (Size.HIDDEN,))
OUTPUT = Row("lm_head.weight", "output.weight", (Size.VOCAB, Size.HIDDEN))
OUTER = (EMBEDDING, OUTPUT_NORM)


@dataclass(frozen=True, slots=True)
class Key:
    """One setting of the GGUF file, below the architecture's name. None: not written."""

    name: str
    value: Callable[[Config], Value | None]


class Window(Enum):
    """What llama.cpp's graph makes of a sliding window."""

    NONE = auto()  # nothing, and the checkpoint may have none
    CAPS_CONTEXT = auto()  # nothing: exact as long as the context fits into it
    NATIVE = auto()  # the same as transformers


@dataclass(frozen=True, slots=True)
class Architecture:
    gguf: str
    layer: tuple[Row, ...]
    layers_of: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)  # more rows, by the kind of layer
    layer_if: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)  # where config.json has the key, not 0
    outer: tuple[Row, ...] = OUTER  # outside of the layers; OUTPUT comes last where it is not the embedding
    outer_if: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()
    feed_forward: Callable[[Raw], int] = lambda raw: count(raw, "intermediate_size")
    ropes: frozenset[RopeKind] = frozenset({RopeKind.PLAIN, RopeKind.LINEAR})
    activation: str = "silu"
    other_names: frozenset[str] = frozenset()  # that files give to the same activation
    fixed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # settings that the graph of llama.cpp fixes
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of transformers' class, for keys that files leave out
    sizes: Mapping[Size, tuple[str, ...]] = field(default_factory=dict)  # more of them: their keys in config.json
    optional_sizes: Mapping[Size, str] = field(default_factory=dict)
    derived: Callable[[Raw, Mapping[Size, int]], Mapping[Size, int]] = lambda _raw, _sizes: {}  # sums, products
    layer_kinds: frozenset[str] = frozenset({"full_attention"})
    kinds: Callable[[Raw], Any] | None = None  # of each layer, instead of layer_types; whoever calls looks at them
    window: Window = Window.NONE
    has_local_rope: bool = False
    has_partial_rotary: bool = False
    has_mscale: bool = False  # yarn scales attention by a factor of its own
    has_layer_settings: bool = False  # reads per_layer_config
    check: Callable[[Config], str | None] = lambda _config: None  # a reason to refuse, for what one key cannot tell
    ignored: tuple[str, ...] = ()  # prefixes of tensors that text does not need
    has_later_layers: bool = False  # beyond num_hidden_layers, which guess further tokens: left out
    renamed: Mapping[str, str] = field(default_factory=dict)  # prefixes in a checkpoint that holds more than text
    is_encoder: bool = False  # reads a text both ways, has no output matrix, and makes vectors
