"""Whether a model that is not here yet would run on this machine: a view of the plan for it."""

from collections import deque

from app.planner.machine import MIB, Machine
from app.planner.model import Model
from app.planner.planner import plan
from app.planner.verdict import Fits, Place, Verdict
from backends.formats.gguf import Header
from backends.protocol import DraftMode, EngineOptions, KVLayout

CONTEXT = 4096  # tokens that a conversation needs at least
BUFFERS = 300 * MIB
UNKNOWN_KV = 0.12  # of the weights, where no header says
# what a chat needs at least: the plan for a load reckons with more answers and with prompts that are kept
CHAT = EngineOptions(context=CONTEXT, parallel=1, kv_layout=KVLayout.UNIFIED, draft=DraftMode.OFF, prompt_cache_ram=0)
NUM_REMEMBERED = 4

_models: deque[tuple[Header, Model]] = deque(maxlen=NUM_REMEMBERED)  # of the headers that were asked for last


def fit(num_bytes: int, machine: Machine, header: Header | None = None) -> Verdict:
    """num_bytes: of all files that are loaded. header: of the model, or of another quantization of it."""
    model = _model_of(header) if header else None
    if model is None or not model.num_bytes or not model.width:
        return _roughly(num_bytes, machine)
    return plan(model, machine, CHAT, scale=num_bytes / model.num_bytes).verdict


def _model_of(header: Header) -> Model:
    """Made once of a header that a page asks about again and again."""
    for known, model in _models:
        if known is header:
            return model
    model = Model.of(header)
    _models.append((header, model))
    return model


def _roughly(num_bytes: int, machine: Machine) -> Verdict:
    """By its size alone."""
    needed = num_bytes + int(UNKNOWN_KV * num_bytes) + BUFFERS
    vram = sum(gpu.usable for gpu in machine.gpus)
    if needed <= vram:
        return Verdict(Fits.YES, Place.GPU, needed, vram)
    if needed <= machine.ram_usable:
        place = (Fits.WITH, Place.SHARED) if vram else (Fits.YES, Place.RAM)
        return Verdict(*place, needed, machine.ram_usable)
    if needed <= machine.all_usable:
        return Verdict(Fits.WITH, Place.SHARED, needed, machine.all_usable)
    return Verdict(Fits.NO, Place.NOWHERE, needed, machine.all_usable)
