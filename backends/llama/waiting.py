"""How ggml's threads wait for each other at the barriers between operations: spinning for a while, or asleep at once.

That is the OpenMP runtime's doing. libgomp reads GOMP_SPINCOUNT when it is loaded, and heeds it only while a process
has no more OpenMP threads than processors; else it spins 100 times, or under OMP_WAIT_POLICY=passive not at all (its
manual says so of that variable). So threads that merely exist, and sleep, send all others to sleep at their barriers;
and when they end, these spin again. libomp (clang, Intel) has a call for it: kmp_set_blocktime.
"""

import ctypes
import os
import threading
import time
from contextlib import suppress
from statistics import median
from typing import Any, Protocol

from backends.child import SPINS
from backends.llama import OURS, WAITING
from backends.llama.binding import lib

BLOCK_MILLISECONDS = 1  # libomp's own default is 200
NUM_RUNS, RUN_SECONDS = 5, 0.01
NUM_WAKES = 15
PERSON = "{} is set, so the engine leaves it to that how its threads wait"
NO_RUNTIME = (
    "this build's threads spin at every barrier without end, as ggml's own do (a build without OpenMP) or Microsoft's "
    "runtime does: only fewer of them help beside other programs"
)


class Waiting(Protocol):
    """One way for all threads of a process. Its calls are for the thread that decodes."""

    name: str
    problem: str  # why nothing can be chosen; empty if it can

    def turn_seconds(self) -> float | None:
        """Processor time of one turn of a spinning thread; None where turns are not counted."""

    def wake_seconds(self) -> float | None:
        """From the moment when a team is called until it has done nothing together, of which one thread slept."""

    def spin(self) -> None:
        """What is quickest on a quiet machine; how every process begins."""

    def sleep(self) -> None: ...


class GompWaiting:
    name = "libgomp"
    problem = ""

    def __init__(self, parallel: Any):
        self._parallel = parallel
        self._idlers: _Idlers | None = None

    def turn_seconds(self) -> float | None:
        """A team's second thread spins as often as it may when the team has done its work."""
        num_turns = int(os.environ[SPINS])
        spent = []
        for _ in range(NUM_RUNS):
            begin = _others_time()
            _run_nothing(self._parallel, 2)
            time.sleep(RUN_SECONDS)  # it may have to wait for a core
            spent.append(_others_time() - begin)
        return min(spent) / num_turns

    def wake_seconds(self) -> float | None:
        spent = []
        for _ in range(NUM_WAKES):
            time.sleep(RUN_SECONDS)  # longer than it spins
            begin = time.perf_counter()
            _run_nothing(self._parallel, 2)
            spent.append(time.perf_counter() - begin)
        return median(spent)

    def spin(self) -> None:
        if self._idlers:
            self._idlers.close()
            self._idlers = None

    def sleep(self) -> None:
        if not self._idlers:
            self._idlers = _Idlers(self._parallel)


class KmpWaiting:
    name = "libomp"
    problem = ""

    def __init__(self, set_block_time: Any):
        self._set_block_time = set_block_time

    def turn_seconds(self) -> float | None:
        return None

    def wake_seconds(self) -> float | None:
        return None

    def spin(self) -> None:
        self._set_block_time(ctypes.c_int(BLOCK_MILLISECONDS))

    def sleep(self) -> None:
        self._set_block_time(ctypes.c_int(0))


class FixedWaiting:
    """Nothing to choose."""

    def __init__(self, name: str, problem: str):
        self.name = name
        self.problem = problem

    def turn_seconds(self) -> float | None:
        return None

    def wake_seconds(self) -> float | None:
        return None

    def spin(self) -> None:
        pass

    def sleep(self) -> None:
        pass


class _Idlers:
    """One thread more of libgomp's than there are processors. They sleep until they are closed."""

    def __init__(self, parallel: Any):
        self._parallel = parallel
        self._are_there, self._are_over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold, name="openmp-idlers", daemon=True)
        self._thread.start()
        self._are_there.wait()

    def close(self) -> None:
        self._are_over.set()
        self._thread.join()

    def _hold(self) -> None:
        """A thread's team lives, and counts, until the thread ends."""
        _run_nothing(self._parallel, (os.cpu_count() or 1) + 1)
        self._are_there.set()
        self._are_over.wait()


def _others_time() -> float:
    """Processor time of this process's other threads, in seconds."""
    return time.process_time() - time.thread_time()


def _run_nothing(parallel: Any, num_threads: int) -> None:
    """In a team of so many, which stays when it is done."""
    nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # free(NULL)
    parallel(nothing, None, ctypes.c_uint(num_threads), ctypes.c_uint(0))


def waiting() -> Waiting:
    """Of the loaded build; the person's own choice is left alone."""
    runtime = _runtime()
    if OURS in os.environ:
        return runtime
    own = next(name for name in WAITING if name in os.environ)  # or it were ours
    return FixedWaiting(runtime.name, PERSON.format(own))


def _runtime() -> Waiting:
    if set_block_time := _function("kmp_set_blocktime"):
        return KmpWaiting(set_block_time)
    if parallel := _function("GOMP_parallel"):
        return GompWaiting(parallel)
    return FixedWaiting("no OpenMP that is known", NO_RUNTIME)


def _function(name: str) -> Any:
    """Through libllama's handle, which reaches what it depends on; a backend that was loaded later is asked by name."""
    with suppress(AttributeError):
        return getattr(lib._lib, name)
    for file in ("libgomp.so.1", "libomp.so", "libomp.dylib", "libomp140.x86_64.dll"):
        with suppress(OSError, AttributeError):
            return getattr(ctypes.CDLL(file, mode=getattr(os, "RTLD_NOLOAD", 0) | ctypes.DEFAULT_MODE), name)
    return None
