"""What a model consists of, by the header of its file: layers, their tensors, heads and states. Weights are not read.

Names and formulas are those of llama.cpp's llama-hparams.cpp and gguf's tensor names; what a header leaves out is what
llama.cpp would take.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import Any

from backends.bounds import whole
from backends.formats.gguf import MAX_FIGURE, Header, TensorInfo

MAX_LAYERS = 4096
# layers between two that see everything, where the file gives no list (`load_swa_pattern` in src/models/*.cpp)
WINDOW_PATTERN = {
    "afmoe": 4, "cohere2": 4, "cohere2moe": -4, "exaone-moe": 4, "exaone4": 4, "gemma2": 2, "gemma3": 6, "gemma3n": 5,
    "gpt-oss": 2, "laguna": -4, "llama4": 4, "mellum": 4, "muse-glimmer": 4, "olmo2": 4, "plamo3": 8,
    "smallthinker": -4,
}  # fmt: skip
DEFAULT_WINDOW = {"gemma2": 4096, "llama4": 8192}
RECURRENT = ("ssm_", "shortconv.", "time_mix_", "channel_mix_")
EXPERTS = ("ffn_gate_exps", "ffn_up_exps", "ffn_down_exps", "ffn_gate_up_exps")
OUTPUT = ("output", "output_norm", "output_norm_enc", "cls", "result_norm")
# laid out anew for the CPU (ggml-cpu/repack.cpp), on ARM more of them
PACKED = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "Q2_K", "MXFP4"})
PACKED_ON_ARM = PACKED | {"Q5_K", "Q6_K", "Q8_0"}


@dataclass(frozen=True)
class Layer:
    """tensors: by name, without "blk.N." and ".weight"; biases keep their ".bias". heads: of queries."""

    number: int
    tensors: Mapping[str, TensorInfo]
    heads: int
    kv_heads: int
    key_length: int
    value_length: int
    has_window: bool = False  # sees the last tokens alone
    keeps_kv: bool = True  # False: it reads those of a layer before it

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def rows(self, name: str) -> int:
        """Of a matrix: numbers that it makes of a token; 0 without it."""
        tensor = self.tensors.get(name)
        return tensor.shape[1] if tensor and len(tensor.shape) > 1 else 0

    @cached_property
    def is_recurrent(self) -> bool:
        return any(name.startswith(RECURRENT) for name in self.tensors)

    @cached_property
    def is_latent(self) -> bool:
        """MLA with keys that serve as values."""
        return "attn_k_b" in self and "attn_kv_a_mqa" in self

    @cached_property
    def has_attention(self) -> bool:
        return self.kv_heads > 0 and any(name in self for name in ("attn_output", "attn_out")) and (
            "attn_q" in self or "attn_qkv" in self or "attn_q_b" in self or "attn_kv_a_mqa" in self
        )  # fmt: skip

    @cached_property
    def has_experts(self) -> bool:
        return any(name in self for name in EXPERTS)

    @cached_property
    def num_bytes(self) -> int:
        return sum(tensor.num_bytes for tensor in self.tensors.values())

    @cached_property
    def signature(self) -> tuple[Any, ...]:
        """Equal for layers that are computed alike."""
        shapes = tuple(sorted((name, tensor.shape) for name, tensor in self.tensors.items()))
        return shapes, self.heads, self.kv_heads, self.key_length, self.value_length, self.has_window, self.keeps_kv


@dataclass(frozen=True)
class Model:
    """others: tensors of no layer, by name without ".weight"."""

    architecture: str
    layers: tuple[Layer, ...]
    others: Mapping[str, TensorInfo]
    metadata: Mapping[str, Any]
    width: int  # numbers that stand for a token between two layers
    context: int | None  # tokens that it was trained for
    file_bytes: int

    @classmethod
    def of(cls, header: Header, more: Sequence[Header] = ()) -> "Model":
        """more: the further parts of a model in several files."""
        reader = _Reader(header)
        by_layer: dict[int, dict[str, TensorInfo]] = {}
        others: dict[str, TensorInfo] = {}
        for tensor in (each for part in (header, *more) for each in part.tensors):
            number, name = _place(tensor.name)
            if number is None:
                others[name] = tensor
            elif number < reader.num_layers:
                by_layer.setdefault(number, {})[name] = tensor
        _fill(by_layer, reader.num_layers)
        return cls(
            header.architecture,
            tuple(reader.layer(number, by_layer.get(number, {})) for number in range(reader.num_layers)),
            others,
            header.metadata,
            reader.width,
            header.number("context_length"),
            sum(part.file_bytes for part in (header, *more)),
        )

    def number(self, key: str, default: int = 0) -> int:
        """A setting of its architecture; the first of a list."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        value = value[0] if isinstance(value, list) and value else value
        found = whole(value, MAX_FIGURE)
        return default if found is None else found

    def real(self, key: str) -> float:
        value = self.metadata.get(f"{self.architecture}.{key}")
        return float(value) if isinstance(value, int | float) else 0.0

    @cached_property
    def kinds(self) -> tuple[int, ...]:
        """For each layer the number of its kind: those of one number are computed alike."""
        numbers: dict[object, int] = {}
        return tuple(numbers.setdefault(layer.signature, len(numbers)) for layer in self.layers)

    @cached_property
    def computed(self) -> dict[object, tuple[int, ...]]:
        """What has been found of its graphs; kept here, so that it goes with the model."""
        return {}

    @cached_property
    def num_vocabulary(self) -> int:
        head = self.others.get("output") or self.others.get("token_embd")
        return head.shape[1] if head and len(head.shape) > 1 else 0

    @cached_property
    def window(self) -> int:
        found = self.number("attention.sliding_window", DEFAULT_WINDOW.get(self.architecture, 0))
        return found if any(layer.has_window for layer in self.layers) else 0

    @cached_property
    def is_recurrent(self) -> bool:
        """Also hybrids."""
        return any(layer.is_recurrent for layer in self.layers)

    @cached_property
    def is_latent(self) -> bool:
        return any(layer.is_latent for layer in self.layers)

    @cached_property
    def has_experts(self) -> bool:
        return any(layer.has_experts for layer in self.layers)

    @cached_property
    def num_used_experts(self) -> int:
        return self.number("expert_used_count")

    @cached_property
    def input_bytes(self) -> int:
        """What is looked up for each token, and always lies in RAM."""
        return sum(tensor.num_bytes for name, tensor in self.others.items() if not name.startswith(OUTPUT))

    @cached_property
    def output_bytes(self) -> int:
        """What makes logits, where it has weights of its own."""
        return sum(tensor.num_bytes for name, tensor in self.others.items() if name.startswith(OUTPUT))

    @cached_property
    def tied_bytes(self) -> int:
        """Of the input's weights that make the logits, too: lying elsewhere, they are there twice."""
        embedding = self.others.get("token_embd")
        return embedding.num_bytes if embedding and "output" not in self.others else 0

    @cached_property
    def is_tied_and_packed(self) -> bool:
        """Whether the CPU lays the output's weights out anew, and needs those of the input as they are."""
        embedding = self.others.get("token_embd")
        packed = PACKED_ON_ARM if platform.machine().lower() in ("arm64", "aarch64") else PACKED
        return bool(self.tied_bytes) and embedding is not None and embedding.type in packed

    @cached_property
    def num_bytes(self) -> int:
        """Of all its weights."""
        return self.input_bytes + self.output_bytes + sum(layer.num_bytes for layer in self.layers)

    @cached_property
    def conv_state(self) -> int:
        """Numbers that a recurrent layer keeps of one sequence's last tokens (`n_embd_r`)."""
        if head := self.number("wkv.head_size"):
            return (self.number("token_shift_count", 2) if head else 0) * self.width
        if length := self.number("shortconv.l_cache"):
            return self.width * (length - 1)
        before = max(0, self.number("ssm.conv_kernel") - 1)
        if head := self.number("kda.head_dim"):
            return 3 * (before or 3) * self.number("attention.head_count") * head
        return before * (self.number("ssm.inner_size") + 2 * self._num_groups * self.number("ssm.state_size"))

    @cached_property
    def state(self) -> int:
        """Numbers of its state (`n_embd_s`)."""
        if head := self.number("wkv.head_size"):
            return self.width * head
        if self.number("shortconv.l_cache"):
            return 0
        if head := self.number("kda.head_dim"):
            return head * head * self.number("attention.head_count")
        return self.number("ssm.state_size") * self.number("ssm.inner_size")

    @property
    def _num_groups(self) -> int:
        return self.number("ssm.group_count")

    @property
    def common_head(self) -> int:
        """The widest square that turns every layer's keys (`build_input_k_rot`); 0 when their lengths differ."""
        lengths = {layer.key_length for layer in self.layers if layer.has_attention}
        if len(lengths) != 1:
            return 0
        length = lengths.pop()
        return gcd(length, 1 << 20) if length % 64 == 0 else 0


class _Reader:
    """What the settings say of each layer."""

    def __init__(self, header: Header):
        self._header = header
        declared = min(header.number("block_count") or 0, MAX_LAYERS)
        nextn = header.number("nextn_predict_layers") or 0
        self.num_layers = max(0, declared - nextn)  # those for guesses are not loaded
        self.width = header.number("embedding_length") or 0
        self._heads = self._each("attention.head_count", 0)
        self._kv_heads = self._each("attention.head_count_kv", None)
        most = max(self._heads, default=0) or 1
        plain = self.width // most
        self._key = header.number("attention.key_length") or plain
        self._value = header.number("attention.value_length") or plain
        self._key_window = header.number("attention.key_length_swa") or self._key
        self._value_window = header.number("attention.value_length_swa") or self._value
        shared = header.number("attention.shared_kv_layers") or 0
        self._num_keeping = self.num_layers - shared
        self._windows = self._windowed()

    def layer(self, number: int, tensors: dict[str, TensorInfo]) -> Layer:
        is_window = self._windows[number]
        heads = self._heads[number]
        kv_heads = self._kv_heads[number]
        return Layer(
            number,
            tensors,
            heads,
            heads if kv_heads is None else kv_heads,
            self._key_window if is_window else self._key,
            self._value_window if is_window else self._value,
            is_window,
            number < self._num_keeping,
        )

    def _each(self, key: str, default: int | None) -> list[Any]:
        value = self._header.metadata.get(f"{self._header.architecture}.{key}")
        values = value if isinstance(value, list) else [value] * self.num_layers
        found = [int(v) if type(v) is int and 0 <= v <= MAX_FIGURE else default for v in values[: self.num_layers]]
        return found + [found[-1] if found else default] * (self.num_layers - len(found))

    def _windowed(self) -> list[bool]:
        header, architecture = self._header, self._header.architecture
        window = header.number("attention.sliding_window") or DEFAULT_WINDOW.get(architecture)
        pattern = header.metadata.get(f"{architecture}.attention.sliding_window_pattern")
        if not window:
            return [False] * self.num_layers
        if isinstance(pattern, list):
            found = [bool(each) for each in pattern[: self.num_layers]]
            return found + [False] * (self.num_layers - len(found))
        period = pattern if type(pattern) is int and pattern > 0 else abs(WINDOW_PATTERN.get(architecture, 0))
        first = WINDOW_PATTERN.get(architecture, 0) < 0
        if not period or architecture not in WINDOW_PATTERN:
            return [False] * self.num_layers
        if first:
            return [number % period != 0 for number in range(self.num_layers)]
        return [number % period < period - 1 for number in range(self.num_layers)]


def _fill(by_layer: dict[int, dict[str, TensorInfo]], num_layers: int) -> None:
    """Layers of further files, where only the first is known, are like those before them."""
    known: dict[str, TensorInfo] = {}
    for number in range(num_layers):
        known = by_layer.setdefault(number, known)


def _place(name: str) -> tuple[int | None, str]:
    """The layer of a tensor, and its name there."""
    short = name.removesuffix(".weight")
    if name.startswith("blk."):
        number, _, rest = short[len("blk.") :].partition(".")
        if number.isdecimal() and len(number) < 6:
            return int(number), rest
    return None, short
