"""The engine's options as command-line flags, the same for every command that loads a model."""

import argparse
from pathlib import Path

from app.errors import UsageError
from backends.protocol import DraftMode, EngineOptions, FlashAttention, KVType

MAX_CONTEXT, MAX_PARALLEL, MAX_THREADS, MAX_LAYERS = 1 << 22, 256, 1024, 10_000


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("engine options")
    group.add_argument("--context", type=int, metavar="N", help="tokens that all conversations share")
    group.add_argument("--parallel", type=int, metavar="N", help="answers decoded side by side (4)")
    group.add_argument("--gpu-layers", metavar="auto|N", help="layers on the GPU (auto: all that fit)")
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    kinds = [kind.value for kind in KVType]
    group.add_argument("--kv-type-k", choices=kinds, metavar="T", help=f"type of the key cache: {', '.join(kinds)}")
    group.add_argument("--kv-type-v", choices=kinds, metavar="T", help="type of the value cache, the same names")
    group.add_argument("--flash-attn", choices=[mode.value for mode in FlashAttention])
    group.add_argument("--draft", metavar="auto|off|lookup|MODEL", help="where guesses come from (auto)")


def engine_options(arguments: argparse.Namespace, defaults: EngineOptions) -> EngineOptions:
    """Raises UsageError for a number out of range or a draft model that does not exist."""
    draft, draft_model = _draft(arguments.draft, defaults)
    kv_type_k = arguments.kv_type_k or defaults.kv_type_k
    kv_type_v = arguments.kv_type_v or defaults.kv_type_v
    return EngineOptions(
        context=_in_range("--context", arguments.context, 1, MAX_CONTEXT) or defaults.context,
        parallel=_in_range("--parallel", arguments.parallel, 1, MAX_PARALLEL) or defaults.parallel,
        gpu_layers=_gpu_layers(arguments.gpu_layers, defaults),
        threads=_in_range("--threads", arguments.threads, 1, MAX_THREADS) or defaults.threads,
        kv_type_k=KVType(kv_type_k),
        kv_type_v=KVType(kv_type_v),
        flash_attention=FlashAttention(arguments.flash_attn or defaults.flash_attention),
        draft=draft,
        draft_model=draft_model,
    )


def _in_range(flag: str, number: int | None, low: int, high: int) -> int | None:
    if number is not None and not low <= number <= high:
        raise UsageError(f"{flag} must lie between {low} and {high}, not {number}.")
    return number


def _gpu_layers(text: str | None, defaults: EngineOptions) -> int | None:
    if text is None:
        return defaults.gpu_layers
    if text == "auto":
        return None
    if not text.isdecimal():
        raise UsageError(f"--gpu-layers must be “auto” or a number, not “{text}”.")
    return _in_range("--gpu-layers", int(text), 0, MAX_LAYERS)


def _draft(text: str | None, defaults: EngineOptions) -> tuple[DraftMode, Path | None]:
    if text is None:
        return defaults.draft, defaults.draft_model
    if text in (DraftMode.AUTO, DraftMode.OFF, DraftMode.LOOKUP):
        return DraftMode(text), defaults.draft_model
    path = Path(text)
    if not path.is_file():
        raise UsageError(f"--draft takes auto, off, lookup or a model file; there is no file {text}.")
    return DraftMode.AUTO, path
