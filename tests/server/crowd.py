"""Many clients at one port at once, of which a third leave at random. And what an engine holds on to."""

import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psutil

from app.inference.supervisor import EngineHandle
from tests.patience import until
from tests.server.conftest import Port
from tests.server.test_disconnect import send_request

NUM_CLIENTS = 64
NUM_TIMES = 4  # in which what leaks grows each time
PATH = "/v1/completions"


@dataclass(frozen=True)
class Visit:
    """A request for a completion, and what its text must be."""

    body: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class Holdings:
    """What a process holds."""

    rss: int
    num_threads: int
    num_files: int

    @property
    def counts(self) -> tuple[int, int]:
        return self.num_threads, self.num_files

    @classmethod
    def of(cls, process: psutil.Process) -> "Holdings":
        num_files = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
        return cls(process.memory_info().rss, process.num_threads(), num_files)


def assert_stays(holdings: Callable[[], Holdings], work: Callable[[], object], max_growth: int) -> None:
    """A leak grows each time. What grows once may be what a busy machine had to hold on to: it is tried again, and once
    is enough. max_growth: bytes of one time."""
    before = holdings()
    for _ in range(NUM_TIMES):
        work()
        after = holdings()
        if after.rss - before.rss < max_growth and after.counts == before.counts:
            return
        told, before = f"grew from {before} to {after}", after
    raise AssertionError(told)


def visit_all(port: Port, visits: Sequence[Visit], seed: int) -> int:
    """Send all with 64 at a time; whoever stays must get the right text. Returns how many stayed."""
    pick = random.Random(seed)
    chunks = [pick.choice([0, 1, 3, None, None, None, None, None, None]) for _ in visits]  # None: to the end
    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        texts = list(pool.map(lambda visit, limit: _visit(port, visit, limit), visits, chunks))
    for visit, text in zip(visits, texts, strict=True):
        assert text in (None, visit.text)
    return sum(text is not None for text in texts)


def _visit(port: Port, visit: Visit, num_chunks: int | None) -> str | None:
    """None for num_chunks: stay to the end; 0: leave with the request sent. The text of one who stays."""
    if num_chunks == 0:
        send_request(port, PATH, **visit.body, stream=True).close()
        return None
    with port.client.stream("POST", PATH, json={**visit.body, "stream": True}) as response:
        assert response.status_code == 200
        events = port.read(response)
        texts = [choice["text"] for chunk in islice(events, num_chunks) for choice in chunk["choices"]]
    return "".join(texts) if num_chunks is None else None


def wait_until_free(handle: EngineHandle) -> None:
    """Nothing runs or waits, and no cell is in use."""

    def is_free() -> bool:
        stats = handle.snapshot.stats
        return stats is not None and (stats.num_running, stats.num_waiting, stats.cells.used) == (0, 0, 0)

    until(is_free, lambda: f"{handle.snapshot.stats}")
