"""The engine's options as command-line flags, the same for every command that loads a model."""

import argparse
import re
from pathlib import Path
from typing import Any

from app.errors import UsageError
from backends.kv_layout import DEFAULT_CONTEXT, MAX_BATCH, MAX_BATCH_TOKENS, MIN_BATCH
from backends.protocol import Adapter, DraftMode, EngineOptions, FlashAttention, KVLayout, KVType

MAX_CONTEXT, MAX_PARALLEL, MAX_THREADS, MAX_LAYERS = 1 << 22, 256, 1024, 10_000
MAX_SIZE = 1 << 50  # bytes
MAX_IDLE = 365 * 24 * 3600  # seconds
MAX_SCALE = 100.0
MAX_MILLISECONDS = 60_000


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "engine options", "In brackets is what holds where neither the flag is given nor the settings say otherwise."
    )

    def add(flag: str, text: str, **rest: Any) -> None:
        group.add_argument(flag, help=text, **rest)

    context = f"most tokens of a conversation, in one pool of all together (the model's, at most {DEFAULT_CONTEXT})"
    add("--context", context, type=int, metavar="N")
    add("--parallel", "answers decoded side by side (4)", type=int, metavar="N")
    add("--gpu-layers", "layers on the GPU, from the last one on (auto: all that fit)", metavar="auto|N")
    from_disk = "load a model that is larger than the memory, and read it anew for each token"
    add("--from-disk", from_disk, action="store_true")
    add("--threads", "CPU threads, at most: fewer beside other programs (one for each core)", type=int, metavar="N")
    kinds = [kind.value for kind in KVType]
    add("--kv-type-k", f"type of the key cache: {', '.join(kinds)} (f16)", choices=kinds, metavar="T")
    add("--kv-type-v", "type of the value cache, the same names (f16)", choices=kinds, metavar="T")
    layouts = "one pool of cells for all answers (unified), a stream for each, or whichever suits the memory (auto)"
    add("--kv-layout", layouts, choices=[layout.value for layout in KVLayout])
    grow = "let the KV cache grow up to the context, or allocate all of it at once, with the same text: off (on)"
    add("--kv-grow", grow, choices=("on", "off"))
    idle = "without a question, after which the KV cache gives back what nothing needs (300)"
    add("--kv-idle", idle, type=int, metavar="SECONDS")
    add("--batch-size", f"most tokens of one step ({MAX_BATCH_TOKENS})", type=int, metavar="N")
    rows = "of a step, how many tokens are computed at once (512; 128 on a CPU without flash attention)"
    add("--ubatch-size", rows, type=int, metavar="N")
    flash = "flash attention; auto is on, but on a CPU that the self-test has found quicker without (auto)"
    add("--flash-attn", flash, choices=[mode.value for mode in FlashAttention])
    add("--draft", "where draft tokens come from (auto)", metavar="auto|off|lookup|MODEL")
    interval = "longest pause of an answer while a prompt is read beside it, if 4 of its steps are no longer"
    add("--max-interval", f"{interval}; 0: always 4 of its steps (150)", type=int, metavar="MS")
    add("--prompt-cache-ram", "memory for prompts kept, e.g. 2GiB; 0: off (512MiB)", metavar="SIZE")
    add("--prompt-cache-disk", "disk for prompts kept over restarts; 0: off (4GiB)", metavar="SIZE")
    add("--lora", "a LoRA adapter (GGUF); may be repeated", action="append", metavar="FILE[:SCALE]")


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
        batch=_in_range("--batch-size", arguments.batch_size, MIN_BATCH, MAX_BATCH) or defaults.batch,
        micro_batch=_in_range("--ubatch-size", arguments.ubatch_size, MIN_BATCH, MAX_BATCH) or defaults.micro_batch,
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
