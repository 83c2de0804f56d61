"""The engine's options as command-line flags, the same for every command that loads a model."""

import argparse
import re
from pathlib import Path

from app.errors import UsageError
from backends.protocol import Adapter, DraftMode, EngineOptions, FlashAttention, KVLayout, KVType

MAX_CONTEXT, MAX_PARALLEL, MAX_THREADS, MAX_LAYERS = 1 << 22, 256, 1024, 10_000
MAX_SIZE = 1 << 50  # bytes
MAX_IDLE = 365 * 24 * 3600  # seconds
MAX_SCALE = 100.0
MAX_MILLISECONDS = 60_000


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("engine options")
    group.add_argument("--context", type=int, metavar="N", help="tokens of a conversation, or of all in one pool")
    group.add_argument("--parallel", type=int, metavar="N", help="answers decoded side by side (4)")
    group.add_argument("--gpu-layers", metavar="auto|N", help="layers on the GPU (auto: all that fit)")
    disk_help = "load a model that is larger than the memory, and read it anew for each token"
    group.add_argument("--from-disk", action="store_true", help=disk_help)
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    kinds = [kind.value for kind in KVType]
    group.add_argument("--kv-type-k", choices=kinds, metavar="T", help=f"type of the key cache: {', '.join(kinds)}")
    group.add_argument("--kv-type-v", choices=kinds, metavar="T", help="type of the value cache, the same names")
    layouts = [layout.value for layout in KVLayout]
    layout_help = "one pool of cells for all answers, or a stream for each (auto)"
    group.add_argument("--kv-layout", choices=layouts, help=layout_help)
    grow_help = "let the KV cache grow with the conversations, up to the context (on), or allocate all at once (off)"
    group.add_argument("--kv-grow", choices=("on", "off"), help=grow_help)
    idle_help = "without a question, after which the KV cache gives back what nothing needs (300)"
    group.add_argument("--kv-idle", type=int, metavar="SECONDS", help=idle_help)
    group.add_argument("--flash-attn", choices=[mode.value for mode in FlashAttention])
    group.add_argument("--draft", metavar="auto|off|lookup|MODEL", help="where draft tokens come from (auto)")
    interval_help = "longest pause of an answer while a prompt is read beside it, if 4 of its steps are no longer (150)"
    group.add_argument("--max-interval", type=int, metavar="MS", help=interval_help)
    group.add_argument("--prompt-cache-ram", metavar="SIZE", help="memory for prompts kept, e.g. 2GiB (512MiB; 0: off)")
    group.add_argument("--prompt-cache-disk", metavar="SIZE", help="disk for prompts kept over restarts (4GiB; 0: off)")
    group.add_argument("--lora", action="append", metavar="FILE[:SCALE]", help="a LoRA adapter (GGUF); may be repeated")


def engine_options(arguments: argparse.Namespace, defaults: EngineOptions) -> EngineOptions:
    """Raises UsageError for a number out of range or a draft model that does not exist."""
    draft, draft_model = _draft(arguments.draft, defaults)
    kv_type_k = arguments.kv_type_k or defaults.kv_type_k
    kv_type_v = arguments.kv_type_v or defaults.kv_type_v
    return EngineOptions(
        context=_in_range("--context", arguments.context, 1, MAX_CONTEXT) or defaults.context,
        parallel=_in_range("--parallel", arguments.parallel, 1, MAX_PARALLEL) or defaults.parallel,
        gpu_layers=_gpu_layers(arguments.gpu_layers, defaults),
        from_disk=arguments.from_disk or defaults.from_disk,
        threads=_in_range("--threads", arguments.threads, 1, MAX_THREADS) or defaults.threads,
        kv_type_k=KVType(kv_type_k),
        kv_type_v=KVType(kv_type_v),
        kv_layout=KVLayout(arguments.kv_layout or defaults.kv_layout),
        kv_grow=arguments.kv_grow == "on" if arguments.kv_grow else defaults.kv_grow,
        kv_idle_seconds=_in_range("--kv-idle", arguments.kv_idle, 1, MAX_IDLE) or defaults.kv_idle_seconds,
        flash_attention=FlashAttention(arguments.flash_attn or defaults.flash_attention),
        draft=draft,
        draft_model=draft_model,
        max_interval=_seconds("--max-interval", arguments.max_interval, defaults.max_interval),
        prompt_cache_ram=_size("--prompt-cache-ram", arguments.prompt_cache_ram, defaults.prompt_cache_ram),
        prompt_cache_folder=defaults.prompt_cache_folder,
        prompt_cache_disk=_size("--prompt-cache-disk", arguments.prompt_cache_disk, defaults.prompt_cache_disk or 0)
        or None,
        adapters=tuple(_adapter(text) for text in arguments.lora) if arguments.lora else defaults.adapters,
    )


def _adapter(text: str) -> Adapter:
    """FILE or FILE:SCALE, where a drive's colon is no scale's."""
    name, _, number = text.rpartition(":")
    try:
        path, scale = (Path(name), float(number)) if name else (Path(text), 1.0)
    except ValueError:
        path, scale = Path(text), 1.0
    if not -MAX_SCALE <= scale <= MAX_SCALE:
        raise UsageError(f"The scale of --lora must lie between -{MAX_SCALE:.0f} and {MAX_SCALE:.0f}, not {number}.")
    if not path.is_file():
        raise UsageError(f"--lora takes an adapter's file, as FILE or FILE:SCALE; there is no file {path}.")
    return Adapter(path.absolute(), scale)


def _in_range(flag: str, number: int | None, low: int, high: int) -> int | None:
    if number is not None and not low <= number <= high:
        raise UsageError(f"{flag} must lie between {low} and {high}, not {number}.")
    return number


def _seconds(flag: str, milliseconds: int | None, default: float) -> float:
    return default if milliseconds is None else (_in_range(flag, milliseconds, 0, MAX_MILLISECONDS) or 0) / 1000


def _gpu_layers(text: str | None, defaults: EngineOptions) -> int | None:
    if text is None:
        return defaults.gpu_layers
    if text == "auto":
        return None
    if not text.isdecimal():
        raise UsageError(f"--gpu-layers must be “auto” or a number, not “{text}”.")
    return _in_range("--gpu-layers", int(text), 0, MAX_LAYERS)


def _size(flag: str, text: str | None, default: int) -> int:
    """Bytes of “512MiB”, “2GB”, “4G” or a plain number of bytes."""
    if text is None:
        return default
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?B?)", text.strip().upper())
    if not match:
        raise UsageError(f"{flag} takes a size such as 512MiB, 2GB or 0, not “{text}”.")
    number, prefix, suffix = match.groups()
    size = int(float(number) * (1000 if suffix == "B" else 1024) ** " KMGT".index(prefix or " "))
    return _in_range(flag, size, 0, MAX_SIZE) or 0


def _draft(text: str | None, defaults: EngineOptions) -> tuple[DraftMode, Path | None]:
    if text is None:
        return defaults.draft, defaults.draft_model
    if text in (DraftMode.AUTO, DraftMode.OFF, DraftMode.LOOKUP):
        return DraftMode(text), defaults.draft_model
    from app.library.gguf import leading_name

    path = Path(leading_name(text))
    if not path.is_file():
        raise UsageError(f"--draft takes auto, off, lookup or a model file; there is no file {text}.")
    return DraftMode.AUTO, path
