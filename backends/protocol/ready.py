"""How far a load is, and what was loaded."""

from dataclasses import dataclass, field
from enum import StrEnum

from backends.protocol.options import Adapter, KVLayout
from backends.protocol.stats import DeviceMemory


@dataclass(frozen=True, slots=True)
class Loading:
    """0 ≤ fraction ≤ 1 of the weights read."""

    fraction: float


class Pooling(StrEnum):
    """What is made of the vectors of a text's tokens. The names are llama.cpp's."""

    MEAN = "mean"
    CLS = "cls"  # the first token's
    LAST = "last"
    RANK = "rank"  # no vector but a score: how well the second of two texts answers the first


@dataclass(frozen=True, slots=True)
class Embedding:
    """What a model makes of a text."""

    pooling: Pooling
    dimensions: int  # of a vector
    max_tokens: int  # of one text, with those that the tokenizer puts around it


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What programs that read prompts themselves ask about a vocabulary."""

    named: tuple[tuple[str, str], ...] = ()  # "bos_token" and others, as transformers calls them, and their texts
    ends: tuple[int, ...] = ()  # tokens that end an answer
    num_tokens: int = 0
    chat_template: str | None = None  # as it lies in the file; None: there is none
    fills_in: bool = False  # it has tokens for the middle of a text


@dataclass(frozen=True, slots=True)
class Ready:
    """What was loaded, and what the engine chose where the options left it open."""

    name: str
    architecture: str
    num_parameters: int
    model_bytes: int
    context: int  # tokens that one request may have, its answer included
    context_trained: int
    parallel: int
    num_layers: int
    gpu_layers: int
    device: str  # "CPU", or the backend's name and description
    threads: int
    kv_type_k: str
    kv_type_v: str
    flash_attention: str
    draft: str  # "off", "lookup", or "lookup + NAME"
    build: str  # version of the native library
    load_seconds: float
    has_chat_template: bool
    notes: tuple[str, ...] = ()
    kv_layout: KVLayout = KVLayout.UNIFIED  # never AUTO
    kv_layout_reason: str = ""  # a sentence
    adapters: tuple[Adapter, ...] = ()
    max_characters: int | None = None  # no longer text has so few tokens as the context holds; None: not known
    embedding: Embedding | None = None  # None: it makes no vectors
    generates: bool = True  # False: it was made for vectors alone
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    devices: tuple[DeviceMemory, ...] = ()  # the build's GPUs as they were before the load
    cell_bytes: float = 0.0  # of its KV cache, for one token
    gpu_bytes: int = 0  # of its weights on the GPUs, as llama.cpp reports it
    takes_tools: bool = False  # its template tells the model of tools; else they are written into the prompt
    thinks: bool = False  # its template writes reasoning, or asks whether there shall be any

    @property
    def is_base(self) -> bool:
        """It completes text and has no chat format."""
        return self.generates and not self.has_chat_template
