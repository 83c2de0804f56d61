"""Quantizes a GGUF file with llama.cpp. Runs in a child: the native call cannot be interrupted and may abort.

llama.cpp has no progress callback and returns no reason, so both are read from its log
(src/llama-quant.cpp, `llama_model_quantize_impl`).
"""

import ctypes
import os
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import llama_cpp

from backends.child import Progress, QuantizeResult, Refusal, Report
from backends.convert.files import part_of, publish, require_space
from backends.formats import FormatError
from backends.formats.gguf import Header, read_header, read_model
from backends.formats.gguf_tables import FILE_TYPES, UNQUANTIZED

# TYPE names of llama.h's LLAMA_FTYPE; these need an importance matrix, which comes later
NEEDS_IMATRIX = frozenset({"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "Q2_K_S"})
NOT_OFFERED = frozenset({"MXFP4_MOE", "NVFP4", "Q1_0", "Q2_0"})
NUMBERS = {name: number for number, name in FILE_TYPES.items() if name not in NEEDS_IMATRIX | NOT_OFFERED}

PROGRESS = re.compile(r"\[ *(\d+)/ *(\d+)\] +(\S+)")
SIZE = re.compile(r"quant size += +([0-9.]+) MiB")
NUM_LOG_LINES = 20
ERROR_LEVEL = 4  # ggml.h GGML_LOG_LEVEL_ERROR


def quantize(
    report: Report, source: Path, target: Path, type: str = "Q4_K_M", threads: int | None = None
) -> QuantizeResult:
    """Writes `source` (F32, F16 or BF16) to `target` in the mix `type`. Raises Refusal with one sentence."""
    start = time.perf_counter()
    if type not in NUMBERS:
        raise Refusal(f"{type!r} is not a type to quantize to. These are: {', '.join(NUMBERS)}.")
    header = _read(source)
    part = part_of(target)
    require_space(target.parent, _planned_bytes(source, part, type, threads, header))
    try:
        with _native_log() as log:
            log.report = report
            _run(source, part, type, threads, log, dry_run=False)
        read_header(part)  # what was written is whole
        publish(part, target)
    except FormatError as fault:
        raise Refusal(f"{source.name} could not be quantized: {fault}") from fault
    finally:
        part.unlink(missing_ok=True)
    report(Progress(1.0, "Quantized"))
    return QuantizeResult(type, target.stat().st_size, time.perf_counter() - start)


class NativeLog:
    """Collects what llama.cpp says, as lines, and turns its tensor lines into progress."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=NUM_LOG_LINES)
        self.planned_bytes: int | None = None
        self.report: Report | None = None
        self._line = ""

    def hear(self, text: str) -> None:
        """Text comes in pieces; the piece with the tensor's name comes before its work is done."""
        os.write(2, text.encode("utf-8", "replace"))
        self._line += text
        while "\n" in self._line:
            line, _, self._line = self._line.partition("\n")
            self._hear_line(line.strip())
        if self.report is not None and (found := PROGRESS.search(self._line)):
            done, total, name = int(found[1]) - 1, int(found[2]), found[3]
            self.report(Progress(done / total, f"Quantizing {name}"))

    def _hear_line(self, line: str) -> None:
        if line:
            self.lines.append(line)
        if found := SIZE.search(line):
            self.planned_bytes = int(float(found[1]) * (1 << 20))


@contextmanager
def _native_log() -> Iterator[NativeLog]:
    log = NativeLog()

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def hear(_level: int, text: bytes, _user_data: ctypes.c_void_p) -> None:
        log.hear(text.decode("utf-8", "replace"))

    llama_cpp.llama_log_set(hear, ctypes.c_void_p(0))
    try:
        yield log
    finally:
        llama_cpp.llama_log_set(_SILENT, ctypes.c_void_p(0))  # `hear` ends here, and must not be called after


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def _SILENT(_level: int, _text: bytes, _user_data: ctypes.c_void_p) -> None:
    pass


def _run(source: Path, part: Path, type_: str, threads: int | None, log: NativeLog, dry_run: bool) -> None:
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = NUMBERS[type_]
    parameters.nthread = threads or os.cpu_count() or 1
    parameters.dry_run = dry_run
    code = llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(part), ctypes.byref(parameters))
    if code != 0:
        said = log.lines[-1] if log.lines else "no reason was given"
        raise Refusal(f"{source.name} could not be quantized to {type_}: {said.rstrip('.')}.")


def _read(source: Path) -> Header:
    try:
        header = read_model(source)
    except FormatError as fault:
        raise Refusal(str(fault)) from fault
    quantized = next((t for t in header.tensors if t.type not in UNQUANTIZED and not t.type.startswith("I")), None)
    if quantized is not None:
        raise Refusal(
            f"{source.name} is already quantized (tensor {quantized.name!r} is {quantized.type}). "
            "Start from its F16, BF16 or F32 file."
        )
    return header


def _planned_bytes(source: Path, part: Path, type_: str, threads: int | None, header: Header) -> int:
    """What the new file will take, by llama.cpp's own dry run; the source's size when it does not say."""
    with _native_log() as log:
        _run(source, part, type_, threads, log, dry_run=True)
    weights = log.planned_bytes
    return header.file_bytes if weights is None else header.data_offset + weights
