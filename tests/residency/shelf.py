"""The real services over pretended models of one size each, with room for so many of them, and a real port."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from app.inference.snapshot import EngineSnapshot
from app.library.entry import ModelEntry
from app.planner.machine import Machine
from app.residency.pace import Pace
from app.residency.residency import Residency
from app.residency.room import RAM, Bytes
from app.residency.wish import Fixed, Share, Wish
from backends.protocol import DeviceMemory, EngineOptions
from tests.patience import PATIENCE
from tests.server.test_native import free_port
from tests.ui.stage import StageServices

QUICK = Pace(rest=0.0, work=0.0, least=0.0, wait=PATIENCE, unwanted=0.0)  # nobody keeps a place


class OneEach:
    """Costs, and memory for so many."""

    is_known = True

    def __init__(self, room: int):
        self.room = room

    def confirm(self, model: Path, options: EngineOptions) -> None:
        pass

    def wish(self, model: Path, options: EngineOptions) -> Wish:  # noqa: ARG002
        return Fixed({RAM: 1})

    def prepared(
        self, model: Path, options: EngineOptions, share: Share  # noqa: ARG002
    ) -> tuple[EngineOptions, tuple[str, ...]]:  # fmt: skip
        return options, ()

    def taken(self, snapshot: EngineSnapshot, share: Share | None) -> Bytes:  # noqa: ARG002
        return {}

    def measure(self, max_age: float = 0.0) -> Machine:  # noqa: ARG002
        return Machine(self.room, self.room)

    def hear(self, devices: Iterable[DeviceMemory], taken: Bytes) -> None:
        pass

    def limits(self, pids: Sequence[int]) -> Bytes:  # noqa: ARG002
        return {RAM: self.room}


@dataclass
class Shelf:
    services: StageServices
    room: OneEach
    client: httpx.Client
    skipped: float = 0.0  # seconds by which its clock is ahead

    @property
    def residency(self) -> Residency:
        return self.services.residency

    def chat(self, model: str, text: str, **fields: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.client.post("/v1/chat/completions", json=body)

    def names(self) -> list[str]:
        return [handle.name for handle in self.services.supervisor.engines()]

    def clock(self) -> float:
        return time.monotonic() + self.skipped


@contextmanager
def stocked(home: Path, entries: Sequence[ModelEntry], room: int, pace: Pace = QUICK) -> Iterator[Shelf]:
    services = StageServices(home, list(entries))
    each = OneEach(room)
    url = services.start_server(port=free_port())
    try:
        with httpx.Client(base_url=url, timeout=2 * PATIENCE) as client:
            shelf = Shelf(services, each, client)
            idle = lambda: services.settings.idle_seconds  # noqa: E731
            services.residency = Residency(services.supervisor, each, each, idle, pace, shelf.clock)
            services.directory._residency = services.residency
            yield shelf
    finally:
        services.close()


def num_engines() -> int:
    """Processes of engines that are there, as the system sees them."""
    num = 0
    for child in psutil.Process().children():
        try:
            num += child.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(child.cmdline())
        except psutil.Error:
            continue
    return num
