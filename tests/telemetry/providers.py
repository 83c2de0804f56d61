"""Providers that do as they are told, also what no good one does."""

import threading
from collections.abc import Callable

from app.telemetry import Gpu, Host
from tests.patience import PATIENCE

GIB = 2**30
CARD = Gpu("RTX", "test", used=3 * GIB, total=24 * GIB, load=0.5, celsius=61.0, watts=210.0, throttle="")


class GpuPlayer:
    def __init__(self, read: Callable[[], object] = lambda: (CARD,)):
        self.play = read
        self.num_read = self.num_closed = 0

    def read(self) -> tuple[Gpu, ...] | None:
        self.num_read += 1
        return self.play()  # type: ignore[return-value]

    def close(self) -> None:
        self.num_closed += 1


class HostPlayer:
    def read(self) -> Host:
        return Host(8 * GIB, 32 * GIB, GIB)

    def close(self) -> None:
        pass


class Hanging(GpuPlayer):
    """Until it is let go."""

    def __init__(self) -> None:
        super().__init__(self._hang)
        self.let_go = threading.Event()
        self.hangs = threading.Event()

    def _hang(self) -> tuple[Gpu, ...]:
        self.hangs.set()
        assert self.let_go.wait(PATIENCE)
        return (CARD,)
