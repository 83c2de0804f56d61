"""What stands between two native decodes, and what a token costs in all, inside the real loop with its cold caches.

Between: from the return of llama_decode to the start of the next one, on the thread that steps: sampling, accepting,
notes, schedule, the batch, and whatever other threads take from it meanwhile. Text, pickling and the pipe work beside
the decode, in threads of the same process: what they keep the decode's thread from is told as its wait, and what they
cost is in the processor time per token, which is that of the whole engine but for the inside of llama_decode.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from backends.engine.encoder import Note
from backends.engine.engine import Engine
from backends.engine.heartbeat import Heartbeat
from backends.engine.news import Stopped
from backends.engine.process import SWITCH_SECONDS, Loop
from backends.engine.sender import Sender
from backends.engine.sequence import Sequence
from backends.engine.stops import NO_STOPS
from backends.engine.teller import Teller
from backends.llama.binding import lib
from backends.llama.loader import load
from backends.protocol import Close, DraftMode, EngineOptions, Generate, Load, SamplingParams
from tests.bench.table import BETWEEN

NUM_STEPS, NUM_WARM = 400, 50
THREADS = 1  # the other core is for the reader of the pipe; and all of a decode is done by its own thread


def engine_time(model: Path, num_streams: int, sampling: SamplingParams | None = None) -> dict[str, Any]:
    """Microseconds, per stream where it says so. sampling: None is greedy."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(sender, str(model), num_streams, sampling))
    child.start()
    sender.close()
    found: Found = receiver.recv()
    child.join()
    return {
        "figure": f"{BETWEEN}, {num_streams} stream{'s' if num_streams > 1 else ''}",
        **_percentiles("", found.between, num_streams),
        **_percentiles("cpu_", found.between_cpu, num_streams),
        **_percentiles("wait_", found.waits, 1),
        "cpu_per_token": 1e6 * found.cpu / num_streams,
        "steps": len(found.between),
    }


def _percentiles(name: str, seconds: list[float], num_streams: int) -> dict[str, float]:
    return {f"{name}p{q}": 1e6 * float(np.percentile(seconds, q)) / num_streams for q in (50, 99)}


def _measure(results: Connection, model: str, num_streams: int, sampling: SamplingParams | None) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    pipe, reader_end = multiprocessing.get_context("spawn").Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=_read, args=(reader_end,), daemon=True)
    reader.start()
    options = EngineOptions(context=1024, parallel=num_streams, threads=THREADS, draft=DraftMode.OFF, flash_cost=2.0)
    loaded = load(Load(Path(model), "bench", options), lambda _: None)
    notes: SimpleQueue[Note] = SimpleQueue()
    sender = Sender(pipe)
    teller = Teller(loaded, lambda uid: notes.put(Stopped(uid)))
    sender.begin(teller.events)
    engine = Engine(loaded, options, tell=sender.tell, tell_again=sender.tell_again)
    for uid in range(num_streams):
        seq = Sequence(uid, list(range(300 + uid, 330 + uid)), max_tokens=2 * NUM_STEPS)
        seq.sampler = loaded.sampler(Generate("", sampling=sampling), seq.tokens, seq.max_tokens) if sampling else None
        notes.put((seq, NO_STOPS, None))
    watch = Watch(lambda: notes.put(Close()))
    sys.setswitchinterval(SWITCH_SECONDS)
    Loop(sender, notes, engine, Heartbeat(sender)).run()
    results.send(watch.found())
    reader.terminate()
    os._exit(0)


@dataclass(frozen=True, slots=True)
class Found:
    """In seconds, one for each step; `waits`: in which a decode did not compute. cpu: of one step beside its decode."""

    between: list[float]
    between_cpu: list[float]
    waits: list[float]
    cpu: float


class Watch:
    """Sees every llama_decode, until there were enough."""

    def __init__(self, on_end: Callable[[], None]):
        # begin and end by time.perf_counter(), and by time.thread_time()
        self._decodes: list[tuple[float, float, float, float]] = []
        self._total_cpu = 0.0
        self._on_end = on_end
        self._decode = lib.llama_decode
        lib.llama_decode = self._watched

    def found(self) -> Found:
        begins, ends, begins_cpu, ends_cpu = map(np.array, zip(*self._decodes[NUM_WARM:NUM_STEPS], strict=True))
        inside = ends_cpu - begins_cpu
        between, between_cpu = begins[1:] - ends[:-1], begins_cpu[1:] - ends_cpu[:-1]
        cpu = (self._total_cpu - inside.sum()) / len(inside)
        return Found(between.tolist(), between_cpu.tolist(), (ends - begins - inside).tolist(), cpu)

    def _watched(self, *arguments: Any) -> int:
        """Its own time must not count: what else it has to do stands before the first look at the clock."""
        if len(self._decodes) == NUM_WARM:
            self._total_cpu -= time.process_time()
        elif len(self._decodes) == NUM_STEPS:
            self._total_cpu += time.process_time()
            self._on_end()
        begin_cpu, begin = time.thread_time(), time.perf_counter()
        code: int = self._decode(*arguments)
        end, end_cpu = time.perf_counter(), time.thread_time()
        self._decodes.append((begin, end, begin_cpu, end_cpu))
        return code


def _read(pipe: Connection) -> None:
    while True:
        pipe.recv()


def main() -> None:
    """MODEL.gguf: for one stream and for eight, greedy and as a chat is sampled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    model = parser.parse_args().model
    for num_streams in (1, 8):
        for sampling in (None, SamplingParams(seed=1)):
            figures = engine_time(model, num_streams, sampling)
            print(json.dumps({**figures, "sampled": sampling is not None}), flush=True)


if __name__ == "__main__":
    main()
