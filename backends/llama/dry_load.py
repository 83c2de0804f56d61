"""What llama.cpp would allocate for a model and a context, without reading the weights: it tells itself in its log.

Runs in a child: what llama.cpp does not like about a file may end the process.
"""

from pathlib import Path

from backends.child import Progress, Refusal, Report
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.log import overheard
from backends.llama.native import NativeError, NativeModel
from backends.llama.told_buffers import context_buffers
from backends.measurement import Buffers, ContextWish, Device
from backends.protocol import EngineOptions, FlashAttention


def context_params(options: EngineOptions, wish: ContextWish) -> ContextParams:
    """Of the context that is wished for."""
    return ContextParams(
        num_cells=wish.cells,
        num_slots=wish.slots,
        batch_tokens=wish.rows,
        threads=1,
        kv_type_k=options.kv_type_k,
        kv_type_v=options.kv_type_v,
        flash_attention=FlashAttention.ON if wish.flash_attention else FlashAttention.OFF,
        max_draft=wish.max_draft,
        is_unified=wish.is_unified,
        rows=wish.rows,
    )


def measure(report: Report, model: Path, options: EngineOptions, wish: ContextWish) -> Buffers:
    """Raises Refusal with a sentence."""
    report(Progress(0.0, f"Measuring {model.name}"))
    native.start()
    placement = options.placement
    layers = placement.gpu_layers if placement else options.gpu_layers or 0
    params = context_params(options, wish)
    try:
        with (
            overheard() as lines,
            NativeModel(model, layers, options.extra_buffer_types, placement=placement, is_dry=True) as opened,
            NativeContext(opened, params),
        ):
            pass
    except NativeError as error:
        raise Refusal(f"{model.name} could not be measured: {error}.") from error
    return context_buffers("".join(lines))


def devices(report: Report) -> tuple[Device, ...]:
    """Those of the installed build, with the memory that they have now."""
    report(Progress(0.0, "Asking the devices"))
    native.start()
    return tuple(
        Device(each.name, each.description, each.is_gpu, each.is_shared, each.free, each.total)
        for each in native.devices()
    )
