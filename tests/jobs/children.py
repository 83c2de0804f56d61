"""Functions that tests run in child processes."""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from app.jobs.child import run_in_child
from backends.child import Progress, Refusal, Report


def add(report: Report, left: int, right: int) -> int:
    report(Progress(0.5, "adding"))
    return left + right


def chatter(_report: Report) -> str:
    print("from Python")
    os.write(1, b"from native code\n")
    print("an error", file=sys.stderr)
    return os.environ["GGML_NO_BACKTRACE"]


def refuse(_report: Report) -> None:
    raise Refusal("The file has a hole.")


def fail(_report: Report) -> None:
    raise ZeroDivisionError("a defect")


def die(_report: Report, number: int) -> None:
    print("last words")
    os.kill(os.getpid(), number)
    time.sleep(30)


def touch_nothing(_report: Report) -> None:
    ctypes.string_at(0)


def leave(_report: Report, code: int) -> None:
    os._exit(code)


def unpicklable(_report: Report) -> Any:
    return lambda: None


def sleep(report: Report, pid_file: Path | None = None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a child may not listen
    if pid_file is not None:
        pid_file.write_text(str(os.getpid()))
    report(Progress(0.1, "asleep"))
    time.sleep(3600)


def application(pid_file: Path, log_path: Path) -> None:
    """Stands for the app in the test that kills it."""
    run_in_child("tests.jobs.children:sleep", log_path=log_path, pid_file=pid_file)


def start_application(pid_file: Path, log_path: Path) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=application, args=(pid_file, log_path))
    process.start()
    return process
