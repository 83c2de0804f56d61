"""The soonest that a prompt can be read beside answers whose interval is bounded: the sum of the chunks' own costs.

`python -m tests.bench.newcomer_floor [MODEL]`, on a quiet machine. Written into results/engine_misses.md.
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
from tests.bench import misses
from tests.bench.run import machine
from tests.real import things

ROWS = (8, 16, 32, 48, 64, 128, 256)
DEPTHS = (0, 512, 1024, 2048, 3584)
LENGTH = 4096
TIMES = 5
STREAMS, NUM_STEPS = 4, 40  # answers that go on, and steps that their own time is the median of
SECTION = "The soonest that a newcomer can be read"
COMMAND = "    .venv/bin/python -m tests.bench.newcomer_floor"

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


def answers_step(model: NativeModel) -> float:
    """Seconds of a step of the answers alone."""
    params = ContextParams(256 * STREAMS, STREAMS, 64, default_threads(), flash_attention="off", is_unified=False)
    with NativeContext(model, params) as context:
        seconds = []
        for position in range(NUM_STEPS):
            for row in range(STREAMS):
                context.batch.put(row, [300 + row], position, row)
            context.batch.outputs[:STREAMS] = 1
            begin = time.perf_counter()
            context.decode(STREAMS)
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def section(path: Path, table: dict[int, dict[int, float]], answers_seconds: float) -> list[str]:
    lines = [COMMAND, "", f"{path.name}, {machine()['processor']}. A step of {STREAMS} answers alone: "]
    lines += [
        f"{1e3 * answers_seconds:.1f} ms. What a token of a chunk takes, ms, by the chunk's tokens and its depth:"
    ]
    lines += ["", f"| depth | {' | '.join(map(str, ROWS))} |", f"|---|{'---|' * len(ROWS)}"]
    for depth, row in table.items():
        lines.append(f"| {depth} | {' | '.join(f'{1e3 * row[n] / n:.1f}' for n in ROWS)} |")
    lines += ["", f"| interval, ms | of it used | {LENGTH:,} tokens, s | steps |", "|---|---|---|---|"]
    for interval in (MAX_INTERVAL, 2 * MAX_INTERVAL):
        for aim in (AIM, 1.0):
            total, num_steps = floor(between(table), answers_seconds, aim * interval)
            lines.append(f"| {1e3 * interval:.0f} | {aim:.0%} | {total:.1f} | {num_steps} |")
    return lines


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else things.smollm2()
    native.start()
    with NativeModel(path) as model:
        misses.keep(SECTION, section(path, measure(model), answers_step(model)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
