"""Wakes a task at once."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Any


class Bell(asyncio.Future[None]):
    """Awaited by one task, once. That goes on within `ring`: asyncio's own way has it wait for the loop's next round,
    before which the loop looks at all sockets again."""

    _waiting: tuple[Callable[[Any], object], Context] | None = None

    def add_done_callback(self, fn: Callable[[Any], object], /, *, context: Context | None = None) -> None:
        if context is not None:
            self._waiting = fn, context
        super().add_done_callback(fn, context=context)

    def ring(self) -> None:
        """Outside of any task. One that has rung, or whose task was cancelled, does nothing."""
        if self.done():
            return
        if self._waiting is None:
            self.set_result(None)
            return
        wake, context = self._waiting
        self.remove_done_callback(wake)
        self.set_result(None)
        context.run(wake, self)
