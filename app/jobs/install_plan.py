"""Which steps an install takes, in which order, and what they need. Knows no folder and no network."""

import json
from pathlib import Path

from app.jobs.install_record import Step
from app.jobs.install_request import Aim, InstallRequest
from backends.regular_file import read_regular

MAX_CONFIG = 4 << 20
MAX_HEADER = 32 << 20  # of a safetensors file
DTYPES = ("dtype", "torch_dtype")  # of transformers 5 and 4
PLANS = {
    Aim.GGUF: (Step.DOWNLOAD, Step.CHECK, Step.ADD),
    Aim.CHECKPOINT: (Step.DOWNLOAD, Step.ADD),
    Aim.MODEL: (Step.DOWNLOAD, Step.CONVERT, Step.CALIBRATE, Step.QUANTIZE, Step.CARD, Step.ADD),
}
WORDS = {
    Step.DOWNLOAD: "Download",
    Step.CHECK: "Check",
    Step.CONVERT: "Convert",
    Step.CALIBRATE: "Calibrate",
    Step.QUANTIZE: "Quantize",
    Step.CARD: "Measure",
    Step.ADD: "Add",
}
# shares of the time on a usual line and machine; they only have to make one bar of several
WEIGHTS = {
    Step.DOWNLOAD: 60,
    Step.CHECK: 3,
    Step.CONVERT: 14,
    Step.CALIBRATE: 30,
    Step.QUANTIZE: 14,
    Step.CARD: 10,
    Step.ADD: 2,
}
UNQUANTIZED = ("F16", "BF16")


def plan_of(request: InstallRequest, *, measures: bool) -> tuple[Step, ...]:
    """measures: whether somebody is there to make a card."""
    left_out = set()
    if request.quantization in UNQUANTIZED:
        left_out.add(Step.QUANTIZE)
    if not request.needs_imatrix:
        left_out.add(Step.CALIBRATE)
    if not measures or not request.has_card:
        left_out.add(Step.CARD)
    return tuple(step for step in PLANS[request.aim] if step not in left_out)


def made_bytes(request: InstallRequest) -> int:
    """What lies beside the download at most: the converted file. The quantized one finds the download's room."""
    if request.aim is not Aim.MODEL:
        return 0
    return 2 * request.parameters if request.parameters else request.download_bytes


def full_type(quantization: str | None, checkpoint: Path) -> str:
    """What the checkpoint is converted to: its own 16-bit type, where it has one."""
    if quantization in UNQUANTIZED:
        return quantization.lower()
    try:
        config = json.loads(read_regular(checkpoint / "config.json", MAX_CONFIG))
        text = config.get("text_config") or {}
        kind = next((kind for table in (config, text) for key in DTYPES if (kind := table.get(key))), None)
    except (OSError, ValueError, AttributeError, RecursionError):
        kind = None  # the converter says what is wrong with it
    return "bf16" if (kind or _stored_type(checkpoint)) == "bfloat16" else "f16"


def _stored_type(checkpoint: Path) -> str | None:
    """Of what config.json does not tell, as gpt-oss's: whether the header of the first file names BF16 most."""
    try:
        with min(checkpoint.glob("*.safetensors")).open("rb") as file:
            header = file.read(min(int.from_bytes(file.read(8), "little"), MAX_HEADER))
    except (OSError, ValueError):
        return None
    return "bfloat16" if header.count(b'"BF16"') > header.count(b'"F16"') else None
