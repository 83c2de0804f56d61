"""Runs foreign code in a child that is ended when it takes too long or too much memory, and started anew."""

import threading
from collections.abc import Callable
from contextlib import suppress
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
        self._child: Child | None = None
        # several encoders may ask one sandbox; a thread of its own would only hand on what the child does
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def is_started(self) -> bool:
        return self._child is not None

    def start(self) -> None:
        """Returns at once: the child gets ready by itself. What keeps it from starting, the first job will say."""
        with suppress(OSError), self._lock:
            self._living()

    def run(self, job: Job, **tools: Callable[[], Tool]) -> Any:
        """The job's result. `tools`: what it needs in the child, made and sent once in a child's life.
        Raises Fault."""
        with self._lock:
            try:
                child = self._living()
            except OSError as error:
                raise Fault(f"the process that reads it could not be started ({error.strerror})", False) from None
            try:
                answer = child.do(job, tools)
            except (EOFError, OSError):
                reason = child.end()
                self._replace()
                raise Fault(reason, is_final=False) from None
            if isinstance(answer, Failed):
                if answer.is_spent:
                    child.end()
                    self._replace()
                raise Fault(answer.reason, is_final=True)
            return answer.result

    def close(self) -> None:
        """At once, also in the middle of a job."""
        self._is_closed = True
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

    def _living(self) -> Child:
        if self._is_closed:
            raise OSError(0, "the model is being closed")
        if self._child and not self._child.is_alive:  # ended from outside, between two jobs
            self._child.end()
            self._child = None
        if self._child is None:
            self._child = Child(self._bounds, self._imports)
        return self._child

    def _replace(self) -> None:
        """At once, so that the next job finds it ready."""
        self._child = None
        with suppress(OSError):  # the next job tries again
            self._living()
