"""Decides what a person has left open, for one model."""

from dataclasses import replace

from backends.formats.kv_shape import UNQUANTIZED
from backends.kv_layout import default_context
from backends.llama.native import NativeModel
from backends.llama.placement import default_threads
from backends.protocol import EngineOptions, FlashAttention

WORTH_LEAVING = 1.1  # flash attention reads long prompts some percent sooner


def with_defaults(model: NativeModel, options: EngineOptions, gpu_layers: int) -> EngineOptions:
    """Everything the person left open, decided for this model."""
    return replace(
        options,
        context=options.context or default_context(model.context_trained),
        threads=options.threads or default_threads(),
        flash_attention=_flash_attention(options, gpu_layers),
    )


def _flash_attention(options: EngineOptions, gpu_layers: int) -> FlashAttention:
    """AUTO: off on a CPU that was measured to be quicker without, unless a quantized V cache needs it."""
    is_slow = options.flash_cost is not None and options.flash_cost > WORTH_LEAVING
    if options.flash_attention is FlashAttention.AUTO and not gpu_layers and is_slow:
        return FlashAttention.OFF if options.kv_type_v in UNQUANTIZED else FlashAttention.ON
    return options.flash_attention
