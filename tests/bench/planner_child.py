"""What llama.cpp says that it would allocate for one model and many contexts: in a child, which it may end."""

from pathlib import Path

from backends.child import Progress, Report
from backends.llama import dry_load, native
from backends.llama.binding import lib
from backends.llama.context import NativeContext
from backends.llama.log import overheard
from backends.llama.native import NativeError, NativeModel
from backends.llama.told_buffers import WEIGHTS, by_device, context_buffers, told_buffers
from backends.measurement import Buffers, ContextWish
from backends.protocol import EngineOptions

Wished = tuple[EngineOptions, ContextWish]


def measure(report: Report, model: Path, wishes: list[Wished]) -> tuple[int, list[Buffers | str]]:
    """Bytes of the weights, and for each wish the buffers, or why there are none."""
    native.start()
    with NativeModel(model, is_dry=True) as opened:
        found: list[Buffers | str] = []
        for number, (options, wish) in enumerate(wishes):
            report(Progress(number / len(wishes), model.name))
            try:
                with overheard() as lines, NativeContext(opened, dry_load.context_params(options, wish)):
                    pass
                found.append(context_buffers("".join(lines)))
            except NativeError as error:
                found.append(str(error))
        return int(lib.llama_model_size(opened.pointer)), found


def load(_report: Report, model: Path, wished: Wished) -> tuple[int, Buffers]:
    """The same of a model that is there, with weights and a cache that are really allocated."""
    native.start()
    with overheard() as lines, NativeModel(model) as opened, NativeContext(opened, dry_load.context_params(*wished)):
        pass
    text = "".join(lines)
    return sum(by_device(told_buffers(text), WEIGHTS).values()), context_buffers(text)
