"""What each thread mode gives beside other programs: `python -m tests.bench.thread_modes [MODEL]`.

Bare decodes of one answer and of eight, beside 0, 1, 2 and 4 programs that spin, in the modes that the engine chooses
from, in turns of a second. The best of them is all that a choice can reach. Written into results/engine_misses.md.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

from backends.engine.threads import ThreadMode, thread_modes
from backends.llama import native
from backends.llama.binding import lib
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.waiting import waiting
from tests.bench import misses
from tests.bench.neighbours import neighbours
from tests.bench.run import machine
from tests.real import things

SECTION = "What each thread mode gives beside other programs"
COMMAND = "    .venv/bin/python -m tests.bench.thread_modes"
ANSWERS, COUNTS, DEPTH = (1, 8), (0, 1, 2, 4), 64
TURNS, SECONDS = 5, 1.0
Speeds = dict[ThreadMode, list[float]]  # tokens per second, one of each turn


class Bench:
    """One context, decoded in one mode after the other."""

    def __init__(self, model: NativeModel, num_answers: int, most: int):
        self._context = NativeContext(model, ContextParams(256 * num_answers, num_answers, 512, most))
        self._waiting = waiting()
        self._slots = range(num_answers)
        self.modes = thread_modes(most, can_sleep=not self._waiting.problem)

    def turn(self, mode: ThreadMode) -> float:
        """Tokens per second, of a second and of one step at least."""
        (self._waiting.spin if mode.is_spinning else self._waiting.sleep)()
        lib.llama_set_n_threads(self._context.pointer, mode.num_threads, mode.num_threads)
        num, begin = 0, time.perf_counter()
        while (seconds := time.perf_counter() - begin) < SECONDS:
            self._step()
            num += len(self._slots)
        return num / seconds

    def _step(self) -> None:
        context = self._context
        for row, slot in enumerate(self._slots):
            context.batch.put(row, [300 + slot], DEPTH, slot)
        context.batch.outputs[: len(self._slots)] = 1
        assert context.decode(len(self._slots)) == 0
        for slot in self._slots:
            context.memory.truncate(slot, DEPTH)

    def close(self) -> None:
        self._waiting.spin()
        self._context.close()


def measure(path: Path, most: int) -> dict[tuple[int, int], Speeds]:
    """By answers and neighbours."""
    native.start()
    found = {}
    with NativeModel(path, 0, True) as model:
        for num_answers in ANSWERS:
            bench = Bench(model, num_answers, most)
            for count in COUNTS:
                speeds: Speeds = {mode: [] for mode in bench.modes}
                with neighbours(count):
                    for _ in range(TURNS):
                        for mode, each in speeds.items():
                            each.append(bench.turn(mode))
                found[num_answers, count] = speeds
                sys.stdout.write(f"{_row(num_answers, count, speeds)}\n")
                sys.stdout.flush()
            bench.close()
    return found


def section(path: Path, found: dict[tuple[int, int], Speeds]) -> list[str]:
    where = machine()
    modes = next(iter(found.values()))
    names = [f"{mode.num_threads} {'spinning' if mode.is_spinning else 'asleep'}" for mode in modes]
    return [
        COMMAND,
        "",
        f"{path.name}, {where['processor']}, {where['cores']} cores; tokens per second of all answers together,",
        f"medians of {TURNS} turns (lowest to highest). llama-server always spins: what that gets beside others",
        "is luck, as the system shares the cores out. No choice is better than the best of a row.",
        "",
        f"| answers | neighbours | {' | '.join(names)} |",
        f"|---|---|{'---|' * len(names)}",
        *(_row(num, count, speeds) for (num, count), speeds in found.items()),
    ]


def _row(num_answers: int, count: int, speeds: Speeds) -> str:
    told = [f"{statistics.median(each):.3g} ({min(each):.3g}-{max(each):.3g})" for each in speeds.values()]
    return f"| {num_answers} | {count} | {' | '.join(told)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=things.smollm2())
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    misses.keep(SECTION, section(options.model, measure(options.model, options.threads)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
