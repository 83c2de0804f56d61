"""Writes to the pipe in a thread of its own, while the step thread is inside the native decode.

To pickle a message and wake its reader costs more than all of the engine's other work for a token, and a reader that
does not read would hold up every stream.
"""

import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue

from backends.protocol import Event, Pulse

MAX_BEHIND = 100  # messages; an application that has stopped reading is not sent pulses for ever


class Sender:
    """The only writer of the connection. Messages arrive in the order of `send`."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)
        self._thread.start()

    def send(self, event: Event) -> None:
        self._events.put(event)

    def send_pulse(self, pulse: Pulse) -> None:
        """Unless so much waits already that it would say nothing new."""
        if self._events.qsize() < MAX_BEHIND:
            self._events.put(pulse)

    def close(self) -> None:
        """When all is written."""
        self._events.put(None)
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):  # nobody reads any more: the receiver ends the process
            while (event := self._events.get()) is not None:
                self._connection.send(event)
