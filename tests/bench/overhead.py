"""What the engine's own loop costs beside llama_decode, per token, inside the real loop with its cold caches."""

import math
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from backends.engine.engine import Engine
from backends.engine.heartbeat import Heartbeat
from backends.engine.process import Loop, Note
from backends.engine.sender import Sender
from backends.engine.sequence import Sequence
from backends.llama.context import NativeContext
from backends.llama.loader import load
from backends.protocol import DraftMode, EngineOptions, Load

NUM_TOKENS, NUM_WARM = 400, 50
THREADS = 1  # the other core is for the reader of the pipe


def engine_time(model: Path, num_streams: int) -> dict[str, Any]:
    """Microseconds per token of schedule, fill, argmax, update, text and the message, without the native decode."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(sender, str(model), num_streams))
    child.start()
    sender.close()
    own: list[float] = receiver.recv()
    child.join()
    return {
        "figure": f"engine µs per token, {num_streams} stream{'s' if num_streams > 1 else ''}",
        "p50": float(np.percentile(own, 50)),
        "p99": float(np.percentile(own, 99)),
        "steps": len(own),
    }


def _measure(results: Connection, model: str, num_streams: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    pipe, reader_end = multiprocessing.get_context("spawn").Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=_read, args=(reader_end,), daemon=True)
    reader.start()
    options = EngineOptions(context=1024, parallel=num_streams, threads=THREADS, draft=DraftMode.OFF, flash_cost=2.0)
    loaded = load(Load(Path(model), "bench", options), lambda _: None)
    engine = Engine(loaded, num_streams, DraftMode.OFF)
    sender = Sender(pipe)
    loop = Loop(sender, loaded, SimpleQueue[Note](), engine, Heartbeat(sender))
    for uid in range(num_streams):
        engine.add(Sequence(uid, list(range(300 + uid, 330 + uid)), max_tokens=NUM_TOKENS))
    native = _Watch()
    own = []
    while not engine.is_idle:
        begin, native.seconds = time.perf_counter(), 0.0
        loop._take_notes()
        loop._step()
        own.append(1e6 * (time.perf_counter() - begin - native.seconds) / num_streams)
    results.send([us for us in own[NUM_WARM:-1] if math.isfinite(us)])
    reader.terminate()
    os._exit(0)


class _Watch:
    """Adds up the seconds inside llama_decode."""

    def __init__(self) -> None:
        self.seconds = 0.0
        decode = NativeContext.decode

        def timed(context: NativeContext, num_rows: int) -> int:
            begin = time.perf_counter()
            try:
                return decode(context, num_rows)
            finally:
                self.seconds += time.perf_counter() - begin

        NativeContext.decode = timed  # type: ignore[method-assign]


def _read(pipe: Connection) -> None:
    while True:
        pipe.recv()
