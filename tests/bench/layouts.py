"""What a bare decode takes with one pool of cells and with streams, with flash attention and without:
`python -m tests.bench.layouts [MODEL] [--depths 64 256 512 1024 4096]`. Written into results/engine_misses.md.

All four contexts lie side by side in one process and are stepped in turn, so that whatever slows the machine slows all.
Each answer has so many tokens behind it; `gap`: streams of which one in the middle is idle. With GOMP_SPINCOUNT=0 and
--cpu, the processor's time tells nearly the same on a machine that does other things as well.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from tests.bench import misses
from tests.bench.run import machine
from tests.real import things

SECTION = "A bare decode, by layout and kind of attention"
COMMAND = "    .venv/bin/python -m tests.bench.layouts"
STREAMS, DEPTHS = (1, 4, 8), (64, 256, 512, 1024, 4096)
ROUNDS, WARM = 25, 3
BATCH = 512


@dataclass(frozen=True, slots=True)
class How:
    """threads: of a decode; counts_cpu: seconds are the processor's, of all threads."""

    threads: int
    counts_cpu: bool


class Cache:
    """A context whose slots hold `depth` tokens each; steps decode one more in some of them and forget it again."""

    def __init__(self, model: NativeModel, num_slots: int, depth: int, is_unified: bool, flash: str, how: How):
        per_slot = -(-(depth + 2) // 256) * 256
        params = ContextParams(
            per_slot * num_slots, num_slots, BATCH, how.threads, flash_attention=flash, is_unified=is_unified
        )
        self._now = time.process_time if how.counts_cpu else time.perf_counter
        self._context = NativeContext(model, params)
        self._depth = depth
        self._fill(num_slots)

    def step(self, slots: list[int]) -> float:
        context = self._context
        for row, slot in enumerate(slots):
            context.batch.put(row, [300 + slot], self._depth, slot)
        context.batch.outputs[: len(slots)] = 1
        begin = self._now()
        assert context.decode(len(slots)) == 0
        seconds = self._now() - begin
        for slot in slots:
            context.memory.truncate(slot, self._depth)
        return seconds

    def close(self) -> None:
        self._context.close()

    def _fill(self, num_slots: int) -> None:
        """The same tokens for all, read once; each in cells of its own."""
        context = self._context
        for begin in range(0, self._depth, BATCH):
            size = min(BATCH, self._depth - begin)
            context.batch.put(0, [300 + at % 7000 for at in range(begin, begin + size)], begin, 0)
            context.batch.outputs[size - 1] = 1
            assert context.decode(size) == 0
        saved = context.memory.save(0, self._depth)
        for slot in range(1, num_slots):
            assert context.memory.restore(slot, saved)


def measure(path: Path, how: How, depths: list[int]) -> list[dict[str, float]]:
    native.start()
    rows = []
    with NativeModel(path, 0, True) as model:
        for depth in depths:
            for num in STREAMS:
                rows.append(_row(model, num, depth, how))
                sys.stdout.write(f"{json.dumps(rows[-1])}\n")
                sys.stdout.flush()
    return rows


def _row(model: NativeModel, num: int, depth: int, how: How) -> dict[str, float]:
    """Milliseconds of a step, medians."""
    caches = {
        f"{'pool' if is_unified else 'streams'}, {flash}": Cache(model, num + 1, depth, is_unified, flash, how)
        for is_unified in (True, False)
        for flash in ("on", "off")
    }
    whole = list(range(num))
    gap = [*whole[: num // 2], *range(num // 2 + 1, num + 1)]
    taken: dict[str, list[float]] = {}
    for _ in range(ROUNDS + WARM):
        for name, cache in caches.items():
            taken.setdefault(name, []).append(1000 * cache.step(whole))
        taken.setdefault("gap, on", []).append(1000 * caches["streams, on"].step(gap))
    for cache in caches.values():
        cache.close()
    return {"answers": num, "depth": depth} | {name: statistics.median(each[WARM:]) for name, each in taken.items()}


def section(path: Path, how: How, rows: list[dict[str, float]]) -> list[str]:
    names = list(rows[0])
    clock = "processor time" if how.counts_cpu else "time"
    where = machine()
    lines = [
        COMMAND,
        "",
        f"{path.name}, {where['processor']}, {how.threads} threads; ms of a step, medians of {ROUNDS}",
    ]
    lines += [f"in turns, by {clock}. On and off: flash attention."]
    lines += ["", f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(f'{row[name]:.4g}' for name in names)} |" for row in rows]
    return [*lines, "", *_attention(rows)]


def _attention(rows: list[dict[str, float]]) -> list[str]:
    """Whether flash attention is the better choice for all numbers of answers, in streams, as contexts are made."""
    answers = sorted({int(row["answers"]) for row in rows})
    costs = {
        num: [row["streams, on"] / row["streams, off"] for row in rows if row["answers"] == num] for num in answers
    }
    lines = ["In streams a step with flash attention takes so many times as long as one without:", ""]
    for num, found in costs.items():
        mean, least, most = statistics.geometric_mean(found), min(found), max(found)
        lines.append(f"- {num} at once: {mean:.2f} on average over the depths ({least:.2f} to {most:.2f})")
    means = [statistics.geometric_mean(found) for found in costs.values()]
    if min(means) < 1 < max(means):
        lines += [
            "",
            "So neither is better for one answer and for several. A context has one of the two for its life: without",
        ]
        lines += ["flash attention its values lie transposed, and a change between answers would change their texts."]
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=things.smollm2())
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu", action="store_true", help="processor time instead of time")
    parser.add_argument("--depths", type=int, nargs="*", default=DEPTHS)
    options = parser.parse_args()
    how = How(options.threads, options.cpu)
    misses.keep(SECTION, section(options.model, how, measure(options.model, how, options.depths)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
