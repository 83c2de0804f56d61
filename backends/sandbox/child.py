"""The engine's end of one sandbox child: its process, its pipe, and the watch that ends it when a job overruns."""

import errno
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from backends.sandbox import inside
from backends.sandbox.job import Begun, Bounds, Done, Failed, Job, Keep, Speak, Tool

START_SECONDS = 30.0  # imports from a slow disk, on a busy machine
UNPACK_SECONDS = 30.0
LOOK_EVERY = 0.05  # seconds, while a job runs
SLACK = 64 << 20  # bytes over the bound, which the child keeps itself where it can


class Child:
    """Raises EOFError or OSError when the process is gone; then `end` says why, and `has_begun` whether it had read
    what it was last told to do."""

    def __init__(self, bounds: Bounds, imports: tuple[str, ...] = ()):
        _may_have_children()
        context = multiprocessing.get_context("spawn")
        self._bounds = bounds
        self._connection, theirs = context.Pipe()
        far_end, self._lifeline = context.Pipe(duplex=False)
        self._process = context.Process(
            target=inside.main, args=(theirs, far_end, bounds, imports), name="slipstream-sandbox", daemon=True
        )
        try:
            self._process.start()
        except OSError:
            self._connection.close()
            self._lifeline.close()
            raise
        finally:
            theirs.close()  # or our end would never report its death
            far_end.close()
        self._tools: set[str] = set()
        self._is_ready = False
        self.has_begun = False
        try:
            self._watch = _Watch(self._process, bounds.memory + SLACK)
        except RuntimeError as error:  # the system has no thread left
            self._connection.close()
            self._lifeline.close()
            self.kill()
            self._process.join()
            raise OSError(errno.EAGAIN, str(error)) from None

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def do(self, job: Job, tools: dict[str, Callable[[], Tool]], log: Path | None = None) -> Done | Failed:
        """What the job needs goes first, unless this child has it; it is made while the child starts.

        log: for its words, if it was started before that was known; it is told with its first job."""
        new = [Keep(name, make()) for name, make in tools.items() if name not in self._tools]
        if not self._is_ready:
            self._exchange(None, START_SECONDS)
            self._watch.allow_from_here()
            self._is_ready = True
            if log:
                self._exchange(Speak(log), START_SECONDS)
        for keep in new:
            self._watch.allow_anything()
            self._exchange(keep, UNPACK_SECONDS)
            self._watch.allow_from_here()
            self._tools.add(keep.name)
        return self._exchange(job, self._bounds.begin, self._bounds.patience, self._bounds.deadline)

    def end(self) -> str:
        """End it, if it has not ended; why it did, in words that follow a colon."""
        self._watch.stop()
        self._connection.close()
        self._lifeline.close()
        self.kill()  # a process that has ended keeps its own exit code
        self._process.join()
        return self._watch.verdict or self._reason(self._process.exitcode)

    def kill(self) -> None:
        self._process.kill()

    def _exchange(
        self, message: Any, begin: float, patience: float | None = None, deadline: float | None = None
    ) -> Done | Failed:
        """begin and patience: seconds of the clock, until it has been read and until it is done, the same if None.
        deadline: seconds of the processor until it is done."""
        self.has_begun = False
        self._watch.begin(begin, self._bounds)
        try:
            if message is not None:
                self._connection.send(message)
            answer: Begun | Done | Failed = self._connection.recv()
            if isinstance(answer, Begun):
                self.has_begun = True
                self._watch.begin(patience or begin, self._bounds, deadline)
                answer = self._connection.recv()
            assert not isinstance(answer, Begun)
            return answer
        finally:
            self._watch.finish()

    def _reason(self, code: int | None) -> str:
        if os.name == "posix" and code in (-signal.SIGPROF, -signal.SIGALRM):
            return self._bounds.too_slow
        if os.name == "posix" and code == -signal.SIGABRT:  # Rust ends itself where Python raises MemoryError
            return self._bounds.too_large
        return "the process that reads it broke off"


class _Watch:
    """A thread that looks at the clock and at the child's memory while a job runs. Not the sender's own waiting: it
    may be in the middle of a large message that a stopped child does not read."""

    def __init__(self, process: Any, memory: int):
        self.verdict: str | None = None
        self._process = process
        self._memory = memory
        self._allowed: int | None = None  # bytes of its resident memory; None: not bounded yet
        # when it must be done, by the clock and by the processor
        self._job: tuple[float, float | None, Bounds] | None = None
        self._lock = threading.Lock()  # so that no job is ended that has just been done
        self._is_busy = threading.Event()
        self._is_open = True
        threading.Thread(target=self._run, name="sandbox-watch", daemon=True).start()

    def allow_anything(self) -> None:
        self._allowed = None

    def allow_from_here(self) -> None:
        self._allowed = self._resident() + self._memory

    def begin(self, seconds: float, bounds: Bounds, deadline: float | None = None) -> None:
        with self._lock:
            self._job = time.monotonic() + seconds, None if deadline is None else self._spent() + deadline, bounds
        self._is_busy.set()

    def finish(self) -> None:
        with self._lock:
            self._job = None
        self._is_busy.clear()

    def stop(self) -> None:
        self._is_open = False
        self._is_busy.set()

    def _run(self) -> None:
        while self._is_open:
            self._is_busy.wait()
            with self._lock:
                self.verdict = self._overrun(*self._job) if self._job else None
                if self.verdict:
                    self._process.kill()
                    return
            time.sleep(LOOK_EVERY)

    def _overrun(self, until: float, deadline: float | None, bounds: Bounds) -> str | None:
        if time.monotonic() > until or (deadline is not None and self._spent() > deadline):
            return bounds.too_slow
        if self._allowed is not None and self._resident() > self._allowed:
            return bounds.too_large
        return None

    def _spent(self) -> float:
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.Error:  # it has just ended
            return 0.0
        return float(times.user + times.system)

    def _resident(self) -> int:
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:  # it has just ended
            return 0


def _may_have_children() -> None:
    """multiprocessing forbids children to a daemon, because nobody would end them, and an engine is one so that
    quitting the application does not wait for it. A sandbox ends by its lifeline, whatever becomes of the engine."""
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
