"""What stands between two decodes, counted: `python -m tests.bench.opcodes [MODEL]`. Writes results/engine_misses.md.

A time depends on who else is on the machine; how many of Python's instructions and calls of C a step makes does not.
The steps are the engine's own, of answers that go on side by side, with a decode that does nothing: its logits are
those of the last real one. Told are all functions of a step, dearest first.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from types import FrameType, SimpleNamespace
from typing import Any

from backends.engine.engine import Engine
from backends.engine.sequence import Sequence
from backends.llama import native, threads
from backends.llama.binding import lib
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.runner import LlamaRunner
from backends.llama.sampling import sampler
from backends.llama.threads import NativeThreads
from backends.protocol import DraftMode, EngineOptions, SamplingParams
from tests.bench import misses
from tests.real import things

NUM_WARM, NUM_STEPS = 60, 64  # as many steps as go by without the scheduler, and the one that asks it
CELLS, NUM_SHOWN = 256, 16
STEP_SECONDS = 0.01  # that the thread modes are told of
COMMAND = "    .venv/bin/python -m tests.bench.opcodes"


class Counts:
    """Of the steps between `begin` and `end`."""

    def __init__(self) -> None:
        self.opcodes: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.native: Counter[str] = Counter()

    def count_opcodes(self) -> None:
        sys.settrace(self._enter)

    def count_native(self) -> None:
        sys.setprofile(self._profile)

    def end(self) -> None:
        sys.settrace(None)
        sys.setprofile(None)

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        self.calls[frame.f_code.co_qualname] += 1
        return self._step

    def _step(self, frame: FrameType, event: str, _argument: object) -> Any:
        self.opcodes[frame.f_code.co_qualname] += event == "opcode"
        return self._step

    def _profile(self, _frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            self.native[getattr(argument, "__qualname__", str(argument))] += 1


def counted(model: NativeModel, num_streams: int, is_sampled: bool) -> Counts:
    """Of NUM_STEPS steps."""
    ticks = count()
    threads.time = SimpleNamespace(perf_counter=lambda: STEP_SECONDS * next(ticks))  # type: ignore[assignment]
    following = NativeThreads(2).of_target()
    params = ContextParams(CELLS * num_streams, num_streams, 64, 1, flash_attention="off", is_unified=False)
    context = NativeContext(model, params)
    context._following = following
    engine = _engine(LlamaRunner(context, num_streams), num_streams)
    for uid in range(num_streams):
        seq = Sequence(uid, [300 + uid, 301], max_tokens=CELLS - 2)
        if is_sampled:
            seq.sampler = sampler(SamplingParams(seed=1), seq.tokens, model.vocabulary.pointer, CELLS)
        engine.add(seq)
    decode, counts = lib.llama_decode, Counts()
    for _ in range(NUM_WARM):
        engine.step()
        lib.llama_decode = lambda *_: 0
    for begin in (counts.count_opcodes, counts.count_native):
        begin()
        for _ in range(NUM_STEPS):
            engine.step()
        counts.end()
    lib.llama_decode = decode
    return counts


def _engine(runner: LlamaRunner, num_streams: int) -> Engine:
    """Around a runner, without what texts need."""
    parts = {"draft_runner": None, "pooler": None, "spell": lambda _: b"", "ready": SimpleNamespace(adapters=())}
    news: SimpleQueue[object] = SimpleQueue()
    options = EngineOptions(parallel=num_streams, draft=DraftMode.OFF)
    return Engine(SimpleNamespace(runner=runner, **parts), options, tell=news.put)  # type: ignore[arg-type]


def _section(num_streams: int, is_sampled: bool, counts: Counts) -> Iterator[str]:
    def per_step(counter: Counter[str]) -> float:
        return sum(counter.values()) / NUM_STEPS

    kind = f"{num_streams} stream{'s' if num_streams > 1 else ''}, {'sampled' if is_sampled else 'greedy'}"
    yield from ("", f"### {kind}", "")
    yield f"A step: {per_step(counts.opcodes):.0f} instructions of Python in {per_step(counts.calls):.1f} calls, "
    yield f"and {per_step(counts.native):.1f} calls of C."
    yield from ("", "| function | instructions a step | calls a step |", "|---|---|---|")
    for name, number in counts.opcodes.most_common(NUM_SHOWN):
        yield f"| `{name}` | {number / NUM_STEPS:.1f} | {counts.calls[name] / NUM_STEPS:.2f} |"
    told = ", ".join(f"{name} {number / NUM_STEPS:.2g}" for name, number in counts.native.most_common(NUM_SHOWN))
    yield from ("", f"Calls of C a step: {told}.")


def main() -> None:
    if len(sys.argv) > 2:  # in a process of its own: the counts of one kind are not those of another's caches
        native.start()
        with NativeModel(Path(sys.argv[1])) as model:
            num_streams, is_sampled = int(sys.argv[2]), sys.argv[3] == "sampled"
            sys.stdout.write("\n".join(_section(num_streams, is_sampled, counted(model, num_streams, is_sampled))))
        sys.stdout.flush()
        os._exit(0)
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else things.smollm2()
    lines = [COMMAND, "", f"{path.name}, Python {sys.version.split()[0]}."]
    for num_streams in ("1", "8"):
        for kind in ("greedy", "sampled"):
            command = [sys.executable, "-m", "tests.bench.opcodes", str(path), num_streams, kind]
            lines.append(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    misses.keep("Between two decodes, counted", lines)


if __name__ == "__main__":
    main()
