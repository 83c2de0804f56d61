"""The soonest that a prompt can be read beside answers whose interval is bounded: the sum of the chunks' own costs.

`python -m tests.bench.newcomer_floor MODEL [ANSWERS_MS]`, on a quiet machine. ANSWERS_MS: a step of the answers alone.
A chunk is timed in a context of one slot, without flash attention as in streams; it takes a part of what an interval
leaves beside the answers.
"""

import statistics
import sys
import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

import numpy as np

from backends.drafting.pace import AIM, MAX_INTERVAL
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.placement import default_threads

ROWS = (8, 16, 32, 48, 64, 128, 256)
DEPTHS = (0, 512, 1024, 2048, 3584)
LENGTH = 4096
TIMES = 5
ANSWERS_SECONDS = 0.016  # four of them, of a 110 M model on two cores

Seconds = Callable[[int, int], float]  # of so many tokens behind so many others


def floor(seconds: Seconds, answers_seconds: float, interval: float, length: int = LENGTH) -> tuple[float, int]:
    """Seconds until the prompt is read, and in how many steps. interval: what each may take, in seconds."""
    depth = num_steps = 0
    total, left = 0.0, interval - answers_seconds
    while depth < length:
        fitting = bisect_right(range(1, ROWS[-1] + 1), left, key=lambda n, depth=depth: seconds(n, depth))
        num_tokens = min(max(fitting, 1), length - depth)
        total += answers_seconds + seconds(num_tokens, depth)
        depth += num_tokens
        num_steps += 1
    return total, num_steps


def between(table: dict[int, dict[int, float]]) -> Seconds:
    """Straight lines between what was measured: seconds by depth and rows."""
    depths = sorted(table)

    def seconds(num_tokens: int, depth: int) -> float:
        at = [np.interp(num_tokens, sorted(table[d]), [table[d][n] for n in sorted(table[d])]) for d in depths]
        return float(np.interp(depth, depths, at))

    return seconds


def measure(model: NativeModel) -> dict[int, dict[int, float]]:
    params = ContextParams(LENGTH + ROWS[-1], 1, 512, default_threads(), flash_attention="off", is_unified=False)
    table: dict[int, dict[int, float]] = {depth: {} for depth in DEPTHS}
    with NativeContext(model, params) as context:
        for depth in DEPTHS:
            while (held := context.memory.num_held(0)) < depth:
                decode(context, min(256, depth - held), held)
            for num_rows in ROWS:
                table[depth][num_rows] = statistics.median(timed(context, num_rows, depth) for _ in range(TIMES))
    return table


def timed(context: NativeContext, num_rows: int, depth: int) -> float:
    begin = time.perf_counter()
    decode(context, num_rows, depth)
    seconds = time.perf_counter() - begin
    context.memory.truncate(0, depth)
    return seconds


def decode(context: NativeContext, num_rows: int, depth: int) -> None:
    context.batch.put(0, range(300, 300 + num_rows), depth, 0)
    if context.decode(num_rows):
        raise SystemExit("The KV cache is full.")


def tell(seconds: Seconds, answers_seconds: float) -> None:
    for interval in (MAX_INTERVAL, 2 * MAX_INTERVAL):
        for aim in (AIM, 0.85, 1.0):
            total, num_steps = floor(seconds, answers_seconds, aim * interval)
            print(f"{1000 * interval:.0f} ms, of which {aim:.0%}: {LENGTH} tokens in {total:.1f} s, {num_steps} steps")


if __name__ == "__main__":
    native.start()
    with NativeModel(Path(sys.argv[1])) as opened:
        measured = measure(opened)
    for at, row in measured.items():
        print(f"depth {at}: ms a token " + ", ".join(f"{n}: {1000 * s / n:.1f}" for n, s in row.items()))
    tell(between(measured), float(sys.argv[2]) / 1000 if len(sys.argv) > 2 else ANSWERS_SECONDS)
