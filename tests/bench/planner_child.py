"""What llama.cpp says that it would allocate for one model and many contexts: in a child, which it may end."""

from pathlib import Path

from backends.child import Progress, Report
from backends.llama import dry_load, native
from backends.llama.binding import lib
from backends.llama.context import ContextParams, NativeContext
from backends.llama.log import overheard
from backends.llama.native import NativeError, NativeModel
from backends.measurement import Buffers, ContextWish
from backends.protocol import EngineOptions, FlashAttention

Wished = tuple[EngineOptions, ContextWish]


def measure(report: Report, model: Path, wishes: list[Wished]) -> tuple[int, list[Buffers | str]]:
    """Bytes of the weights, and for each wish the buffers, or why there are none."""
    native.start()
    with NativeModel(model, is_dry=True) as opened:
        found: list[Buffers | str] = []
        for number, (options, wish) in enumerate(wishes):
            report(Progress(number / len(wishes), model.name))
            try:
                with overheard() as lines, NativeContext(opened, _params(options, wish)):
                    pass
                found.append(dry_load._found("".join(lines)))
            except NativeError as error:
                found.append(str(error))
        return int(lib.llama_model_size(opened.pointer)), found


def load(_report: Report, model: Path, wished: Wished) -> tuple[int, Buffers]:
    """The same of a model that is there, with weights and a cache that are really allocated."""
    native.start()
    with overheard() as lines, NativeModel(model) as opened, NativeContext(opened, _params(*wished)):
        pass
    text = "".join(lines)
    return sum(map(dry_load._bytes, dry_load.WEIGHTS.findall(text))), dry_load._found(text)


def _params(options: EngineOptions, wish: ContextWish) -> ContextParams:
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
