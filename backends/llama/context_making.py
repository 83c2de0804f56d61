"""Makes a model's context as the options want it, and as the memory that the weights have left allows."""

from dataclasses import replace

from backends.formats.kv_shape import KVShape
from backends.kv_layout import MAX_BATCH_TOKENS, Layout, choose, recurrent_draft
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.defaults import with_defaults
from backends.llama.native import NativeModel
from backends.llama.placement import ALL_LAYERS
from backends.llama.threads import Following
from backends.protocol import DraftMode, EngineOptions, Placement
from backends.system_memory import system_memory


def choose_layout(shape: KVShape, model: NativeModel, options: EngineOptions, on_gpu: bool) -> Layout:
    """Decided with the weights in place, by the memory that is left where the cache will lie."""
    per_token = shape.bytes_per_token(options.kv_type_k, options.kv_type_v)
    gpus = [gpu.free for gpu in native.gpus()]
    free = sum(gpus) if on_gpu else system_memory().available
    context = with_defaults(model, options, gpu_layers=ALL_LAYERS if on_gpu else 0).context
    assert context
    return choose(options, context, per_token, free, model.is_recurrent, has_window=model.window > 0)


def make_context(
    model: NativeModel,
    options: EngineOptions,
    layout: Layout,
    following: Following | None,
    planned: Placement | None = None,
) -> NativeContext:
    assert options.threads
    size = layout.start(model.is_recurrent, options.batch) if options.kv_grow else layout.limit
    params = ContextParams(
        num_cells=size.total(layout.is_unified),
        num_slots=size.slots,
        batch_tokens=options.batch or MAX_BATCH_TOKENS,
        threads=options.threads,
        kv_type_k=options.kv_type_k,
        kv_type_v=options.kv_type_v,
        flash_attention=options.flash_attention,
        is_unified=layout.is_unified,
        following=following,
        rows=options.micro_batch or (planned.rows if planned else None),
    )
    if model.is_recurrent and options.draft is not DraftMode.OFF:
        params = replace(params, max_draft=recurrent_draft(layout.num_slots, _recurrent_bytes(model, params)))
    context = NativeContext(model, params)
    if not (context.is_unified or context.memory.states.are_portable):  # states that go into as many streams alone
        context.resize(size.cells * layout.num_slots, layout.num_slots)
    return context


def _recurrent_bytes(model: NativeModel, params: ContextParams) -> int:
    """Of one sequence's state: no key of the file says it for every architecture, so one token is decoded."""
    with NativeContext(model, replace(params, num_cells=256, num_slots=1, batch_tokens=1)) as context:
        context.batch.put(0, [0], 0, 0)
        context.decode(1)
        return len(context.memory.checkpoint(0))
