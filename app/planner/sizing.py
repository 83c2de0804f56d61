"""How large a context becomes: what was asked for, and what the engine chooses where that is left open.

The choices are the engine's own (`backends.kv_layout`), so that what is planned is what will be made.
"""

from dataclasses import dataclass

from app.planner.graph.batch import Batch, row_bytes
from app.planner.model import Layer, Model
from backends.formats.kv_shape import UNQUANTIZED
from backends.kv_layout import (
    MAX_BATCH_TOKENS,
    Layout,
    choose,
    default_context,
    micro_batch,
    native_slots,
    recurrent_draft,
)
from backends.protocol import DraftMode, EngineOptions, FlashAttention, KVType

F32 = 4
WORTH_LEAVING = 1.1  # as backends.llama.defaults has it
NO_FLASH_ATTENTION = ("grok",)


@dataclass(frozen=True, slots=True)
class Sizing:
    """Of one model's context."""

    layout: Layout
    batch: Batch

    @property
    def type_k(self) -> KVType:
        return self.batch.type_k

    @property
    def type_v(self) -> KVType:
        return self.batch.type_v

    @property
    def cells(self) -> int:
        """Of all sequences together."""
        return self.layout.limit.total(self.layout.is_unified)

    def cache_bytes(self, model: Model, layer: Layer) -> int:
        """Of its keys and values, at the limit."""
        if not layer.has_attention or not layer.keeps_kv:
            return 0
        keys = self.batch.key_bytes(layer)
        if layer.is_latent:
            return self.cells * keys
        values = layer.kv_heads * layer.value_length
        if not self.batch.flash_attention:  # transposed, and so of one length in all layers
            values = max(each.kv_heads * each.value_length for each in model.layers if each.has_attention)
        return self.cells * (keys + row_bytes(values, self.type_v))

    def state_bytes(self, model: Model, layer: Layer) -> int:
        if not layer.is_recurrent:
            return 0
        return (model.conv_state + model.state) * F32 * self.batch.slots * (1 + self.batch.snapshots)

    def output_bytes(self, model: Model) -> int:
        """Of the logits that a step hands over, in RAM."""
        return model.num_vocabulary * F32 * max(self.batch.outputs, self.batch.slots)


def size(
    model: Model,
    options: EngineOptions,
    free: int,
    *,
    on_gpu: bool,
    rows: int | None = None,
    like: Layout | None = None,
) -> Sizing:
    """free: bytes where the cache will lie, with the weights in place. rows: of a micro-batch, else as the engine has
    it. like: the layout of the model that this one drafts for."""
    layout = like or lay_out(model, options, free)
    flash = uses_flash_attention(model, options, on_gpu=on_gpu)
    rows = (
        options.micro_batch
        or rows
        or micro_batch(FlashAttention.ON if flash else FlashAttention.OFF, on_gpu, model.has_experts)
    )
    slots = native_slots(layout.num_slots, model.window > 0, layout.is_unified)
    states = sum(layer.is_recurrent for layer in model.layers) * (model.conv_state + model.state) * F32
    is_drafting = options.draft is not DraftMode.OFF and model.is_recurrent
    batch = Batch(
        tokens=min(rows, options.batch or MAX_BATCH_TOKENS, layout.context),
        cells=layout.context,
        window_cells=layout.context,  # the engine keeps a window's layers as long as the others
        slots=slots,
        is_unified=layout.is_unified,
        flash_attention=flash,
        type_k=options.kv_type_k,
        type_v=options.kv_type_v,
        snapshots=recurrent_draft(layout.num_slots, states) if is_drafting else 0,
    )
    return Sizing(layout, batch)


def lay_out(model: Model, options: EngineOptions, free: int) -> Layout:
    context = options.context or default_context(model.context)
    return choose(
        options, context, bytes_per_token(model, options), free, model.is_recurrent, has_window=model.window > 0
    )  # fmt: skip


def bytes_per_token(model: Model, options: EngineOptions) -> float:
    """Of all layers' keys and values."""
    total = 0
    for layer in model.layers:
        if layer.has_attention and layer.keeps_kv:
            total += row_bytes(layer.kv_heads * layer.key_length, options.kv_type_k)
            total += 0 if layer.is_latent else row_bytes(layer.kv_heads * layer.value_length, options.kv_type_v)
    return total


def uses_flash_attention(model: Model, options: EngineOptions, *, on_gpu: bool) -> bool:
    """As the engine decides it where it is left open."""
    if model.architecture in NO_FLASH_ATTENTION or options.flash_attention is FlashAttention.OFF:
        return False
    is_slow = options.flash_cost is not None and options.flash_cost > WORTH_LEAVING
    if options.flash_attention is FlashAttention.AUTO and not on_gpu and is_slow:
        return options.kv_type_v not in UNQUANTIZED
    return True
