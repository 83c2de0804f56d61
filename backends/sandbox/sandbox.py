"""Runs foreign code in a child that is ended when it takes too long or too much memory, and started anew."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backends.sandbox.child import Child
from backends.sandbox.job import Bounds, Failed, Fault, Job, Tool


class Sandbox:
    """One child, one job at a time; started by its first job, or before by `start`. `imports`: modules that its jobs
    will want, for the child to have before."""

    def __init__(self, bounds: Bounds | None = None, imports: tuple[str, ...] = ()):
        self._bounds = bounds or Bounds()
        self._imports = imports
        self.log: Path | None = None  # set by who learns where words go after the child was started
        self._child: Child | None = None
        # several encoders may ask one sandbox; a thread of its own would only hand on what the child does
        self._lock = threading.Lock()
        self._closed = threading.Event()

    @property
    def is_started(self) -> bool:
        return self._child is not None

    def start(self) -> None:
        """Returns at once: the child gets ready by itself. What keeps it from starting, the first job will say."""
        with suppress(OSError), self._lock:
            self._living()

    def run(self, job: Job, **tools: Callable[[], Tool]) -> Any:
        """The job's result. `tools`: what it needs in the child, made and sent once in a child's life.
        Raises Fault. A child that does not begin is given up for a fresh one, once."""
        with self._lock:
            try:
                return self._run(job, tools)
            except Fault as fault:
                if not fault.is_ours or self._closed.is_set():
                    raise
            return self._run(job, tools)

    def close(self) -> None:
        """At once, also in the middle of a job."""
        self._closed.set()
        if child := self._child:
            child.kill()
        with self._lock:
            if self._child:
                self._child.end()
                self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self, job: Job, tools: dict[str, Callable[[], Tool]]) -> Any:
        try:
            child = self._living()
        except OSError as error:
            reason = f"the process that reads it could not be started ({error.strerror})"
            raise Fault(reason, is_final=False, is_ours=True) from None
        try:
            answer = child.do(job, tools, self.log)
        except (EOFError, OSError):
            reason = child.end()
            self._replace()
            if not child.has_begun:
                reason = "the process that reads it did not begin"
            raise Fault(reason, is_final=False, is_ours=not child.has_begun) from None
        if isinstance(answer, Failed):
            if answer.is_spent:
                child.end()
                self._replace()
            raise Fault(answer.reason, is_final=True)
        return answer.result

    def _living(self) -> Child:
        if self._closed.is_set():
            raise OSError(0, "the model is being closed")
        if self._child and not self._child.is_alive:  # ended from outside, between two jobs
            self._child.end()
            self._child = None
        if self._child is None:
            self._child = Child(self._bounds, self._imports)
            if self._closed.is_set():  # meanwhile, by who saw only the child before
                self._child.kill()
        return self._child

    def _replace(self) -> None:
        """At once, so that the next job finds it ready."""
        self._child = None
        with suppress(OSError):  # the next job tries again
            self._living()
