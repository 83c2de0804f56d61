"""What a bare decode takes with one pool of cells and with streams: `python -m tests.bench.layouts MODEL [--json FILE]`.

Both contexts lie side by side in one process and are stepped in turn, so that whatever slows the machine slows both.
Each answer has so many tokens behind it; `gap`: streams of which one in the middle is idle.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel

STREAMS, DEPTHS = (1, 2, 4, 8), (64, 256, 1024, 2048)
ROUNDS, WARM = 40, 4
BATCH, THREADS = 512, 2


class Cache:
    """A context whose slots hold `depth` tokens each; steps decode one more in some of them and forget it again."""

    def __init__(self, model: NativeModel, num_slots: int, depth: int, is_unified: bool, flash: str):
        per_slot = -(-(depth + 2) // 256) * 256
        params = ContextParams(
            per_slot * num_slots, num_slots, BATCH, THREADS, flash_attention=flash, is_unified=is_unified
        )
        self._context = NativeContext(model, params)
        self._depth = depth
        self._fill(num_slots)

    def step(self, slots: list[int]) -> float:
        context = self._context
        for row, slot in enumerate(slots):
            context.set_row(row, 300 + slot, self._depth, slot)
        begin = time.perf_counter()
        assert context.decode(len(slots)) == 0
        seconds = time.perf_counter() - begin
        for slot in slots:
            context.truncate(slot, self._depth)
        return seconds

    def close(self) -> None:
        self._context.close()

    def _fill(self, num_slots: int) -> None:
        """The same tokens for all, read once; each in cells of its own."""
        context = self._context
        for begin in range(0, self._depth, BATCH):
            size = min(BATCH, self._depth - begin)
            for row in range(size):
                context.set_row(row, 300 + (begin + row) % 7000, begin + row, 0)
            context.outputs[: size - 1] = 0
            assert context.decode(size) == 0
        saved = context.save(0, self._depth)
        for slot in range(1, num_slots):
            assert context.restore(slot, saved)


def measure(path: Path, flash: str, depths: list[int]) -> list[dict[str, float]]:
    native.start()
    rows = []
    with NativeModel(path, 0, True) as model:
        for depth in depths:
            for num in STREAMS:
                rows.append(_row(model, num, depth, flash))
                sys.stdout.write(f"{json.dumps(rows[-1])}\n")
                sys.stdout.flush()
    return rows


def _row(model: NativeModel, num: int, depth: int, flash: str) -> dict[str, float]:
    """Milliseconds of a step, medians; and the ratio of streams to one pool, step by step."""
    pool, streams = (Cache(model, num + 1, depth, is_unified, flash) for is_unified in (True, False))
    whole = list(range(num))
    split = [*whole[: num // 2], *range(num // 2 + 1, num + 1)]
    taken: dict[str, list[float]] = {"pool": [], "streams": [], "gap": []}
    for _ in range(ROUNDS + WARM):
        taken["pool"].append(1000 * pool.step(whole))
        taken["streams"].append(1000 * streams.step(whole))
        taken["gap"].append(1000 * streams.step(split))
    pool.close()
    streams.close()
    medians = {name: statistics.median(each[WARM:]) for name, each in taken.items()}
    ratios = [b / a for a, b in zip(taken["pool"][WARM:], taken["streams"][WARM:], strict=True)]
    return {"answers": num, "depth": depth, **medians, "streams / pool": statistics.median(ratios)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--flash", default="off", choices=["off", "on"])
    parser.add_argument("--depths", type=int, nargs="*", default=DEPTHS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure(options.model, options.flash, options.depths)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
