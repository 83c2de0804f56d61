"""A GGUF header as a document that can be spoilt piece by piece, and tiny models that llama.cpp really loads."""

import struct
from dataclasses import dataclass, field
from functools import partial
from typing import Any

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}
SIZES = {0: (1, 4), 1: (1, 2), 8: (32, 34), 30: (1, 2)}  # elements and bytes of a block: F32, F16, Q8_0, BF16


@dataclass
class Setting:
    """count: what the header announces for an array or a text, when that is to be a lie."""

    key: bytes
    type: int
    value: Any
    element: int = STRING
    count: int | None = None

    def to_bytes(self) -> bytes:
        return text(self.key) + struct.pack("<I", self.type & 0xFFFFFFFF) + self._payload()

    def _payload(self) -> bytes:
        if self.type == ARRAY:
            count = len(self.value) if self.count is None else self.count
            start = struct.pack("<IQ", self.element & 0xFFFFFFFF, count)
            return start + b"".join(packed(self.element, item) for item in self.value)
        if self.type == STRING and isinstance(self.value, bytes):
            return text(self.value, self.count)
        return packed(self.type, self.value)


@dataclass
class Tensor:
    name: bytes
    shape: list[int]
    type: int = 0
    offset: int | None = None  # None: behind the one before it

    @property
    def num_bytes(self) -> int:
        elements, size = SIZES.get(self.type, (1, 4))
        count = 1
        for dim in self.shape:
            count *= dim
        return count // elements * size


@dataclass
class Draft:
    settings: list[Setting]
    tensors: list[Tensor]
    version: int = 3
    num_settings: int | None = None
    num_tensors: int | None = None
    alignment: int = 32
    data: bytes = field(default=b"", repr=False)

    def header(self) -> bytes:
        num_tensors = len(self.tensors) if self.num_tensors is None else self.num_tensors
        num_settings = len(self.settings) if self.num_settings is None else self.num_settings
        out = b"GGUF" + struct.pack("<IQQ", self.version, num_tensors, num_settings)
        out += b"".join(setting.to_bytes() for setting in self.settings)
        offset = 0
        for tensor in self.tensors:
            at = offset if tensor.offset is None else tensor.offset
            dims = [dim & (2**64 - 1) for dim in tensor.shape]
            out += text(tensor.name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
            out += struct.pack("<IQ", tensor.type & 0xFFFFFFFF, at & (2**64 - 1))
            offset = (offset + -(-tensor.num_bytes // self.alignment) * self.alignment) & (2**63 - 1)
        return out

    @property
    def data_bytes(self) -> int:
        return sum(-(-tensor.num_bytes // self.alignment) * self.alignment for tensor in self.tensors)

    def setting(self, key: bytes) -> Setting:
        return next(each for each in self.settings if each.key == key)


def text(raw: bytes, count: int | None = None) -> bytes:
    return struct.pack("<Q", len(raw) if count is None else count) + raw


def packed(type_: int, value: Any) -> bytes:
    """The value as this type; a value that cannot be one becomes bits of it."""
    if type_ == STRING:
        return text(value if isinstance(value, bytes) else str(value).encode())
    format_ = FORMATS.get(type_)
    if format_ is None:
        return bytes(8)
    number = value if isinstance(value, int | float) else 0
    if type_ in (F32, F64):
        try:
            return struct.pack(f"<{format_}", float(number))
        except OverflowError:
            return struct.pack(f"<{format_}", float("inf"))
    size = struct.calcsize(format_)
    whole = int(number) if isinstance(number, int) or abs(number) < 2**63 else 0
    return (whole & (2 ** (8 * size) - 1)).to_bytes(size, "little")


WORDS = [b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % number for number in range(256)), "▁the".encode(), b"he", b"llo"]
EMBED, FF, VOCAB = 32, 64, len(WORDS)


def llama(architecture: str = "llama", *, tokenizer: str = "llama", experts: int = 0, layers: int = 2) -> Draft:
    """Small enough to be loaded in milliseconds: two layers of 32."""
    a = architecture.encode()
    settings = [
        Setting(b"general.architecture", STRING, a),
        Setting(b"general.name", STRING, b"tiny"),
        Setting(b"general.file_type", U32, 0),
        Setting(a + b".block_count", U32, layers),
        Setting(a + b".context_length", U32, 128),
        Setting(a + b".embedding_length", U32, EMBED),
        Setting(a + b".feed_forward_length", U32, FF),
        Setting(a + b".attention.head_count", U32, 4),
        Setting(a + b".attention.head_count_kv", U32, 2),
        Setting(a + b".attention.key_length", U32, 8),
        Setting(a + b".attention.value_length", U32, 8),
        Setting(a + b".attention.layer_norm_rms_epsilon", F32, 1e-5),
        Setting(a + b".rope.dimension_count", U32, 8),
        Setting(a + b".rope.freq_base", F32, 10000.0),
        Setting(a + b".vocab_size", U32, VOCAB),
        *([Setting(a + b".expert_count", U32, experts), Setting(a + b".expert_used_count", U32, 2)] if experts else []),
        *([Setting(a + b".expert_feed_forward_length", U32, FF)] if experts else []),
        *([Setting(a + b".attention.sliding_window", U32, 16)] if architecture.startswith(("gemma", "phi")) else []),
        *_tokenizer(tokenizer),
    ]
    tensors = [Tensor(b"token_embd.weight", [EMBED, VOCAB]), Tensor(b"output_norm.weight", [EMBED])]
    for layer in range(layers):
        tensors += _layer(architecture, b"blk.%d." % layer, experts)
    return Draft(settings, tensors)


def _layer(architecture: str, prefix: bytes, experts: int) -> list[Tensor]:
    names: dict[bytes, list[int]] = {
        b"attn_norm": [EMBED],
        b"attn_q": [EMBED, 32],
        b"attn_k": [EMBED, 16],
        b"attn_v": [EMBED, 16],
        b"attn_output": [32, EMBED],
        b"ffn_norm": [EMBED],
    }
    if architecture.startswith(("qwen3", "gemma3")):
        names |= {b"attn_q_norm": [8], b"attn_k_norm": [8]}
    if architecture.startswith("gemma"):
        names |= {b"post_attention_norm": [EMBED], b"post_ffw_norm": [EMBED]}
    if experts:
        names |= {b"ffn_gate_inp": [EMBED, experts], b"ffn_gate_exps": [EMBED, FF, experts]}
        names |= {b"ffn_down_exps": [FF, EMBED, experts], b"ffn_up_exps": [EMBED, FF, experts]}
    else:
        names |= {b"ffn_gate": [EMBED, FF], b"ffn_down": [FF, EMBED], b"ffn_up": [EMBED, FF]}
    result = [Tensor(prefix + name + b".weight", shape) for name, shape in names.items()]
    if architecture == "qwen2":
        result += [Tensor(prefix + b"attn_%s.bias" % n, [d]) for n, d in ((b"q", 32), (b"k", 16), (b"v", 16))]
    return result


def _tokenizer(model: str) -> list[Setting]:
    kinds = [2, 3, 3, *([6] * 256), 1, 1, 1]
    settings = [
        Setting(b"tokenizer.ggml.model", STRING, model.encode()),
        Setting(b"tokenizer.ggml.tokens", ARRAY, list(WORDS)),
        Setting(b"tokenizer.ggml.scores", ARRAY, [-float(n) for n in range(VOCAB)], F32),
        Setting(b"tokenizer.ggml.token_type", ARRAY, kinds, I32),
        Setting(b"tokenizer.ggml.bos_token_id", U32, 1),
        Setting(b"tokenizer.ggml.eos_token_id", U32, 2),
        Setting(b"tokenizer.ggml.unknown_token_id", U32, 0),
        Setting(b"tokenizer.ggml.add_bos_token", BOOL, 1),
        Setting(b"tokenizer.chat_template", STRING, b"{{ messages }}"),
    ]
    if model == "gpt2":
        settings.insert(1, Setting(b"tokenizer.ggml.pre", STRING, b"qwen2"))
        settings.append(Setting(b"tokenizer.ggml.merges", ARRAY, [b"h e", b"l l", b"ll o"]))
    return settings


BUILDERS = (
    llama,
    partial(llama, tokenizer="gpt2"),
    partial(llama, experts=4),
    partial(llama, "qwen2", tokenizer="gpt2"),
    partial(llama, "qwen3", tokenizer="gpt2"),
    partial(llama, "qwen3moe", tokenizer="gpt2", experts=4),
    partial(llama, "gemma2"),
    partial(llama, "gemma3"),
)


def bases() -> list[Draft]:
    return [build() for build in BUILDERS]
