"""Says from a thread of its own that the process lives, and how long it has been at one thing. Knows no engine."""

import threading
import time
from types import TracebackType

from backends.engine.sender import Sender
from backends.protocol import Pulse

INTERVAL = 0.5  # seconds; the application expects one a second


class Heartbeat:
    """Beats from its making until `close`. A `with` block is one step, or one stage of a load."""

    def __init__(self, sender: Sender):
        self._sender = sender
        # of time.monotonic(), when what it is at began; written by the thread that works, read by the one that beats
        self.since: float | None = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def __enter__(self) -> None:
        self.since = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.since = None

    def go_on(self) -> None:
        """The next stage begins."""
        self.since = time.monotonic()

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            since = self.since
            self._sender.send_pulse(Pulse(0.0 if since is None else time.monotonic() - since))
            if self._is_over.wait(INTERVAL):
                return
