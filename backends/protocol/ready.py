"""How far a load is, and what was loaded."""

from dataclasses import dataclass

from backends.protocol.options import Adapter, KVLayout


@dataclass(frozen=True, slots=True)
class Loading:
    """0 ≤ fraction ≤ 1 of the weights read."""

    fraction: float


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
