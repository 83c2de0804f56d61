"""Opens the model that answers, on the GPU if it fits there."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from backends.engine.runner import LoadError
from backends.formats.kv_shape import KVShape
from backends.kv_layout import Layout
from backends.llama import native
from backends.llama.allowance import Allowance
from backends.llama.context_making import choose_layout, make_context
from backends.llama.defaults import with_defaults
from backends.llama.first_checks import check_generates
from backends.llama.native import NativeError, NativeModel
from backends.llama.placement import Placement
from backends.llama.runner import LlamaRunner
from backends.llama.threads import NativeThreads
from backends.llama.told_buffers import on_gpus
from backends.protocol import EngineOptions, FailureKind
from backends.protocol import Placement as Planned


@dataclass(frozen=True, slots=True)
class Target:
    """The model, its context, and what was decided for both. They are closed by whoever has opened them."""

    path: Path
    model: NativeModel
    runner: LlamaRunner
    layout: Layout
    options: EngineOptions  # with nothing left open
    gpu_layers: int
    threads: NativeThreads | None  # None: no thread of the processor's computes
    cache_shares: Mapping[str, float]  # of its KV cache, by device

    @property
    def gpu_bytes(self) -> int:
        """Of the weights."""
        return sum(on_gpus(self.model.weights).values())

    @property
    def is_on_gpu(self) -> bool:
        """Any of it, and so its KV cache."""
        return self.gpu_layers > 0


def open_target(
    path: Path,
    shape: KVShape,
    options: EngineOptions,
    placement: Placement,
    threads: NativeThreads,
    notes: list[str],
    report: Callable[[float], None],
    resources: ExitStack,
) -> Target:
    """Raises LoadError. notes: takes a sentence for the person where it is not on the GPU as was hoped."""
    for layers in placement.attempts:
        planned = placement.planned if layers == placement.attempts[0] else None
        with ExitStack() as attempt:
            try:
                model = attempt.enter_context(
                    NativeModel(path, layers, options.extra_buffer_types, report, placement=planned)
                )
                check_generates(model, path)
                for adapter in options.adapters:
                    model.adapters.add(adapter.path)
                layout = choose_layout(shape, model, options, layers > 0)
                own_threads = None if _is_on_gpu(model, layers, planned) else threads
                following = own_threads.of_target() if own_threads else None
                chosen = with_defaults(model, options, layers)
                context = attempt.enter_context(make_context(model, chosen, layout, following, planned))
            except NativeError as error:
                if layers == placement.attempts[-1]:
                    kind = FailureKind.OUT_OF_MEMORY if error.is_of_memory else FailureKind.BAD_MODEL
                    raise LoadError(kind, _refusal(path, error)) from error
                notes.append(_left_gpu(error))
            else:
                resources.enter_context(attempt.pop_all())
                per_cell = shape.bytes_per_token(chosen.kv_type_k, chosen.kv_type_v)
                allowance = Allowance(per_cell, context.cache_shares)
                runner = LlamaRunner(context, context.num_slots, layout.limit, allowance)
                return Target(path, model, runner, layout, chosen, layers, own_threads, context.cache_shares)
    raise AssertionError("a placement has at least one attempt")


def _is_on_gpu(model: NativeModel, layers: int, planned: Planned | None) -> bool:
    """All of it: no thread of the processor's computes."""
    return layers > model.num_layers and native.has_gpu() and not (planned and planned.kept)


def _left_gpu(error: NativeError) -> str:
    if error.is_of_memory:
        return "The model did not fit on the GPU, so it runs on the CPU."
    return f"The model could not be loaded on the GPU, so it runs on the CPU ({error})."


def _refusal(path: Path, error: NativeError) -> str:
    if error.is_of_memory:
        cure = "Try a smaller context, a quantized KV cache, fewer GPU layers or a smaller quantization"
        return f"{path.name} does not fit into memory: {error}. {cure}."
    cure = "If the file is damaged or made for another version of llama.cpp, download or convert it again"
    return f"{path.name} could not be loaded: {error}. {cure}; the engine's log says more."
