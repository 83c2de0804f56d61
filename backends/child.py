"""The inside of a worker child: convert, quantize, self-test. Knows the pipe and the log, not the work.

The application names a function as "package.module:function" (`app.jobs.child.run_in_child`). It is called
here as `function(report, **arguments)`, sends `Progress` while it works and returns something picklable.
Results live here as well, so that receiving one imports no native library into the application.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TextIO

from backends.bounds import sentence

SPINS = "SLIPSTREAM_SPINS"  # in children's environment: turns that a thread of ggml's spins before it sleeps
EXIT_ORPHANED = 75  # the application died first


class Refusal(Exception):
    """A failure that is understood: str() of it is one sentence for a person. Anything else is a crash."""

    def __init__(self, message: str = ""):
        super().__init__(sentence(message))


@dataclass(frozen=True, slots=True)
class Progress:
    """0 ≤ fraction ≤ 1 of this child's work, and what it does now."""

    fraction: float
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    result: Any


@dataclass(frozen=True, slots=True)
class Refused:
    message: str


Message = Progress | Done | Refused
Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class ConvertResult:
    bytes: int
    num_tensors: int
    seconds: float
    verified_texts: int = 0  # whose tokens are those of the checkpoint's own tokenizer
    notes: tuple[str, ...] = ()  # sentences about what the file does otherwise than the checkpoint


@dataclass(frozen=True, slots=True)
class Verification:
    """num_texts: whose tokens were compared. notes: sentences about what differs a little, or could not be tried."""

    num_texts: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the build says of itself, and the cost of a step with flash attention on the CPU over one without.

    waiting: the runtime whose threads wait for each other. turn_seconds: of a thread that spins, None where its turns
    are not counted. waiting_problem: why the engine cannot choose how they wait; empty where it can. wake_seconds:
    until one that slept has taken part in something, None where that was not measured.
    """

    system_info: str
    flash_cost: float
    waiting: str = ""
    turn_seconds: float | None = None
    waiting_problem: str = ""
    wake_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class QuantizeResult:
    """warnings: sentences for the person, as that the source was quantized before. fallbacks: as of a plan."""

    type: str
    bytes: int
    seconds: float
    bits_per_weight: float = 0.0
    warnings: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TypeShare:
    """The tensors of one type in a planned file."""

    type: str
    num_tensors: int
    bytes: int


@dataclass(frozen=True, slots=True)
class QuantizePlan:
    """What a quantization would write. bytes: of the file, to within 64. fallbacks: a sentence for each tensor whose
    rows do not divide into the type's blocks."""

    type: str
    bytes: int
    bits_per_weight: float
    tensors: tuple[TypeShare, ...]
    fallbacks: tuple[str, ...] = ()
    needs_imatrix: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImatrixResult:
    """num_incomplete: experts that the text never reached, whose tensors count as equally important."""

    bytes: int
    num_tensors: int
    num_chunks: int
    num_tokens: int
    seconds: float
    num_incomplete: int = 0


def main(results: Connection, lifeline: Connection, log_path: Path, target: str, arguments: Mapping[str, Any]) -> None:
    """The child's whole life. Sends Done or Refused last.

    An unknown exception goes up: multiprocessing prints it to the log and ends the child with code 1.
    """
    settle(log_path)
    threading.Thread(target=_end_with_the_application, args=(lifeline,), daemon=True).start()
    message: Message
    try:
        message = Done(resolve(target)(results.send, **arguments))
    except Refusal as refusal:
        message = Refused(str(refusal))
    results.send(message)


def resolve(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def call(target: str, *arguments: Any) -> None:
    """The whole life of a child that is no worker. The application names an engine's function, and imports nothing."""
    resolve(target)(*arguments)


def settle(log_path: Path | None) -> None:
    """What every child does first, engines too: its words go to the log, and it ends only by its application."""
    redirect_output(log_path)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the application, which then ends this child
    os.environ["GGML_NO_BACKTRACE"] = "1"  # else every abort of ggml starts a debugger first


def redirect_output(log_path: Path | None, *, is_new: bool = True) -> None:
    """Native code writes to fds 1 and 2 directly; a windowed Windows program has neither, nor sys.stderr.

    None: nowhere, until it is known. is_new: what another process has written there is written over."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if is_new else 0)
    try:  # neither through a link nor into a pipe, which would wait for a reader
        log = os.open(
            log_path or os.devnull, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o600
        )
    except OSError:
        log = os.open(os.devnull, os.O_WRONLY)
    for fd in (1, 2):
        os.dup2(log, fd)
    os.close(log)
    sys.stdout, sys.stderr = _text_stream(1), _text_stream(2)


def _text_stream(fd: int) -> TextIO:
    return os.fdopen(fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


def _end_with_the_application(lifeline: Connection) -> None:
    """The other end is never written to: it becomes readable when the application is gone."""
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(EXIT_ORPHANED)
