"""Says in words how an engine process died, from its exit code and its log."""

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backends.system_memory import num_killed_for_memory

NUM_LOG_LINES = 12
TAIL_BYTES = 16_384

# NTSTATUS values that Windows gives as exit codes
WINDOWS_CAUSES = {
    0xC0000005: "it touched memory that is not its own (access violation)",
    0xC000001D: "it met an instruction that this processor does not have",
    0xC0000409: "it stopped itself (abort)",
    0xC0000017: "the machine ran out of memory",
}
SIGNAL_CAUSES = {
    "SIGKILL": "it was killed from outside; the system does that when memory runs out",
    "SIGABRT": "the native library stopped itself (abort)",
    "SIGSEGV": "it touched memory that is not its own (segmentation fault)",
    "SIGILL": "it met an instruction that this processor does not have",
    "SIGBUS": "a file it had mapped became unreadable (bus error)",
    "SIGTERM": "it was asked to end from outside",
}
# in a log's last lines: an allocation failed on whatever device; a device or its driver was reset, or is gone
OF_MEMORY = re.compile(
    r"out of (?:\w+ )?memory|OutOf(?:Device|Host)Memory|bad_alloc|cannot allocate memory|failed to allocate|"
    r"\bMemoryError\b",
    re.IGNORECASE,
)
LOST = re.compile(r"DeviceLost|device (?:was |is )?lost|GPU is lost|fallen off the bus", re.IGNORECASE)
OUT_OF_MEMORY = "it ran out of memory"
ADVICE = {
    "SIGKILL": "If memory was short, choose a smaller context, a quantized KV cache or a smaller model.",
    "SIGILL": "Rebuild the engine on this machine: run `make engine`.",
}
LESS_MEMORY = "Choose a smaller context, a quantized KV cache, fewer GPU layers or a smaller model."
LOST_ADVICE = "Load it again; if it happens again, look at the GPU's driver, its power and its temperature."
DEFAULT_ADVICE = "Try again; if it happens again, try another model or a smaller context."


@dataclass(frozen=True, slots=True)
class CrashReport:
    """One death, told to a person. `log` holds the last lines that the process wrote."""

    cause: str
    advice: str
    log: tuple[str, ...]
    is_of_memory: bool = False

    def __str__(self) -> str:
        return f"The engine stopped: {self.cause}. {self.advice}"


class MemoryWatch:
    """Begins with a process: whether the system has ended one for want of memory since then."""

    def __init__(self) -> None:
        self._before = num_killed_for_memory()

    def __call__(self) -> bool:
        now = num_killed_for_memory()
        return self._before is not None and now is not None and now > self._before


def crash_report(
    exitcode: int | None, log_path: Path, cause: str | None = None, is_short: Callable[[], bool] = lambda: False
) -> CrashReport:
    """exitcode as multiprocessing gives it: negative for a signal, None when it is not known.

    cause: why the application itself has ended it. is_short: whether the system kills processes for want of memory.
    """
    log = last_lines(log_path)
    if cause:
        return CrashReport(cause, DEFAULT_ADVICE, log)
    is_killed = _signal_name(exitcode) == "SIGKILL" and is_short()
    if is_killed or any(map(OF_MEMORY.search, log)):
        return CrashReport(OUT_OF_MEMORY, LESS_MEMORY, log, is_of_memory=True)
    if any(map(LOST.search, log)):
        return CrashReport("the GPU was lost", LOST_ADVICE, log)
    name = _signal_name(exitcode)
    return CrashReport(_cause(exitcode, name), ADVICE.get(name or "", DEFAULT_ADVICE), log)


def last_lines(log_path: Path, count: int = NUM_LOG_LINES) -> tuple[str, ...]:
    try:
        with log_path.open("rb") as file:
            file.seek(max(0, log_path.stat().st_size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    return tuple(line for line in text.splitlines() if line.strip())[-count:]


def _signal_name(exitcode: int | None) -> str | None:
    if exitcode is None or exitcode >= 0:
        return None
    try:
        return signal.Signals(-exitcode).name
    except ValueError:
        return None


def _cause(exitcode: int | None, signal_name: str | None) -> str:
    if signal_name:
        return SIGNAL_CAUSES.get(signal_name, f"it received {signal_name}")
    if exitcode is None:
        return "its connection broke"
    windows = WINDOWS_CAUSES.get(exitcode & 0xFFFFFFFF)
    return windows or f"it ended by itself with code {exitcode}"
