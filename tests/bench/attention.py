"""What rows cost behind a context, by kind of attention and of cache: `python -m tests.bench.attention [MODEL]`.

On one thread, in its processor time, the least of some runs: other programs change little of that. It is what stands
behind the figures of warm prompts, prefill and a quantized cache. Written into results/engine_misses.md.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from tests.bench import misses
from tests.bench.newcomer_floor import decode
from tests.real import things

SECTION = "Attention behind a context"
COMMAND = "    .venv/bin/python -m tests.bench.attention"
KINDS = (("f16", "off"), ("f16", "on"), ("q8_0", "on"))  # type of the cache, and flash attention
DEPTHS, ROWS = (0, 1024, 4096), (1, 8, 64, 256)
READ, TIMES, THREADS = 256, 3, 1
SPACE = 512  # cells behind the deepest

Row = tuple[int, int, float]  # depth, rows, seconds


def measured(model: NativeModel, kv_type: str, flash: str) -> Iterator[Row]:
    params = ContextParams(DEPTHS[-1] + SPACE, 1, 512, THREADS, kv_type, kv_type, flash, is_unified=False)
    with NativeContext(model, params) as context:
        held = 0
        for depth in DEPTHS:
            while held < depth:
                decode(context, READ, held)
                held += READ
            for num_rows in ROWS:
                yield depth, num_rows, min(_spent(context, num_rows, depth) for _ in range(TIMES))
        begin = time.thread_time()
        state = context.memory.save(0, held)
        context.memory.truncate(0, 0)
        context.memory.restore(0, state)
        yield held, 0, time.thread_time() - begin


def _spent(context: NativeContext, num_rows: int, depth: int) -> float:
    begin = time.process_time()
    decode(context, num_rows, depth)
    seconds = time.process_time() - begin
    context.memory.truncate(0, depth)
    return seconds


def section(path: Path, found: dict[tuple[str, str], list[Row]]) -> list[str]:
    names = [f"{kv_type}, flash {flash}" for kv_type, flash in found]
    first, *others = names
    head = [*names, *(f"{name}: {first}" for name in others)]
    lines = [
        COMMAND,
        "",
        f"{path.name}, one thread: ms of processor time. The last line: that of a state of so many tokens,",
    ]
    lines += ["saved and restored, which is what a branch of a conversation costs where slots share no cells."]
    lines += ["", f"| behind | rows | {' | '.join(head)} |", f"|---|---|{'---|' * len(head)}"]
    for rows in zip(*found.values(), strict=True):
        depth, num_rows, own = rows[0]
        shown = [f"{1000 * seconds:,.1f}" for *_, seconds in rows]
        shown += [f"{seconds / own:.2f}" for *_, seconds in rows[1:]]
        lines.append(f"| {depth:,} | {num_rows or 'a state'} | {' | '.join(shown)} |")
    return lines


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else things.smollm2()
    native.start()
    with NativeModel(path) as model:
        found = {kind: list(measured(model, *kind)) for kind in KINDS}
    misses.keep(SECTION, section(path, found))


if __name__ == "__main__":
    main()
