"""What of a cold start Python's imports are: `python -m tests.bench.cold_start_parts`.

Each process is started for its imports alone, some times, beside a bare interpreter; the application and the engine
start side by side, so the longer of the two is what a first token waits for, and then the load of the model. Written
into results/engine_misses.md, behind the figure of the cold start.
"""

import statistics
import subprocess
import sys
import time

from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.placement import default_threads
from tests.bench import misses
from tests.bench.run import machine
from tests.real import things

SECTION = "What a cold start is"
COMMAND = "    .venv/bin/python -m tests.bench.cold_start_parts"
TIMES = 9
STARTS = {
    "a bare interpreter": "pass",
    "the application, until its engine is started": "import app.__main__, app.inference.supervisor",
    "the port": "import app.__main__, app.server.server, app.server.application",
    "numpy": "import numpy",
    "the engine's process": "import backends.engine.process, backends.llama.entry",
    "the engine's process with llama.cpp": "import backends.engine.process, backends.llama.loader",
}


def seconds(code: str) -> float:
    """From the start of an interpreter to its end, the median."""
    taken = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def loads() -> dict[str, float]:
    """Seconds in a process that has all its imports."""
    native.start()
    begin = time.perf_counter()
    with NativeModel(things.smollm2()) as model:
        opened = time.perf_counter()
        with NativeContext(model, ContextParams(512, 1, 512, default_threads())) as context:
            made = time.perf_counter()
            context.batch.put(0, range(300, 340), 0, 0)
            context.batch.outputs[39] = 1
            context.decode(40)
            read = time.perf_counter()
    return {"the model opened": opened - begin, "its context": made - opened, "a prompt of 40 tokens": read - made}


def main() -> int:
    lines = [COMMAND, "", f"{machine()['processor']}, Python {sys.version.split()[0]}; medians of {TIMES} starts.", ""]
    lines += ["| what | ms |", "|---|---|"]
    lines += [f"| {what} | {1e3 * seconds(code):.0f} |" for what, code in STARTS.items()]
    lines += [f"| {what} (SmolLM2) | {1e3 * taken:.0f} |" for what, taken in loads().items()]
    misses.keep(SECTION, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
