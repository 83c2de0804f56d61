"""How a command learns that it should end: Ctrl+C, or a polite signal from outside."""

import signal
import threading


def ending() -> threading.Event:
    """An event that such a signal sets; whoever works or waits looks at it.

    Nothing is raised: an exception out of nowhere breaks imports in half and is swallowed by Qt.
    """
    asked = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if number := getattr(signal, name, None):
            signal.signal(number, lambda *_: asked.set())
    return asked
