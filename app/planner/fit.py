"""Whether a model would run on this machine: the verdict of its plan, also before there is more of it than a header."""

from collections import deque

from app.planner.machine import MIB, Machine
from app.planner.model import Model
from app.planner.planner import plan
from app.planner.verdict import Fits, Holder, Place, Verdict
from backends.formats.gguf import Header
from backends.protocol import EngineOptions

BUFFERS = 300 * MIB
UNKNOWN_KV = 0.12  # of the weights, where no header says
NUM_REMEMBERED = 4

_models: deque[tuple[Header, Model]] = deque(maxlen=NUM_REMEMBERED)  # of the headers that were asked for last


def fit(
    num_bytes: int, machine: Machine, header: Header | None = None, options: EngineOptions | None = None
) -> Verdict:  # fmt: skip
    """num_bytes: of all files that are loaded. header: of the model, or of another quantization of it; None: by its
    size alone."""
    model = _model_of(header) if header else None
    if model is None or not model.num_bytes or not model.width:
        return _roughly(num_bytes, machine)
    return plan(model, machine, options, scale=num_bytes / model.file_bytes).verdict


def _model_of(header: Header) -> Model:
    """Made once of a header that a page asks about again and again."""
    for known, model in _models:
        if known is header:
            return model
    model = Model.of(header)
    _models.append((header, model))
    return model


def _roughly(num_bytes: int, machine: Machine) -> Verdict:
    needed = num_bytes + int(UNKNOWN_KV * num_bytes) + BUFFERS
    vram = sum(gpu.usable for gpu in machine.gpus)
    if needed <= vram:
        return Verdict(Fits.YES, Place.GPU, needed, vram, Holder.GPU)
    if needed > machine.all_usable:
        return Verdict(Fits.NO, Place.NOWHERE, needed, machine.all_usable, Holder.ALL if vram else Holder.RAM)
    if not vram:
        return Verdict(Fits.YES, Place.RAM, needed, machine.ram_usable, Holder.RAM)
    return Verdict(Fits.WITH, Place.SHARED, needed, vram, Holder.GPU, how="a part of it in RAM")
