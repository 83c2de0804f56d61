"""What a download costs beside curl's: `python -m tests.bench.download_parts [--bytes 500000000]`. Linux and macOS.

One file from the Hub double over the loopback, fetched by each in turn: seconds, and the processor time of the fetching
process. Beside them what its parts take alone: the sha256 that curl does not compute, and the file written and synced.
Written into results/engine_misses.md, behind the figure of downloads beside curl.
"""

import argparse
import hashlib
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from app.downloads import Source
from tests.bench import misses
from tests.bench.downloads import NAME, REPO, curl, hub, slipstream
from tests.bench.run import machine
from tests.hub.double.repo import HubFile

SECTION = "What a download costs"
COMMAND = "    .venv/bin/python -m tests.bench.download_parts"
BLOCK, TIMES = 1 << 20, 5


def taken(run: Callable[[], object], who: int = resource.RUSAGE_SELF) -> tuple[float, float]:
    """Medians: seconds, and those of the processor."""
    found = []
    for _ in range(TIMES):
        begin, before = time.perf_counter(), resource.getrusage(who)
        run()
        after = resource.getrusage(who)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found.append((time.perf_counter() - begin, cpu))
    return statistics.median(seconds for seconds, _ in found), statistics.median(cpu for _, cpu in found)


def measured(folder: Path, size: int) -> dict[str, tuple[float, float]]:
    origin, target = folder / "hub" / REPO / NAME, folder / "downloaded.gguf"
    origin.parent.mkdir(parents=True)
    origin.write_bytes(b"".join(os.urandom(BLOCK) for _ in range(size // BLOCK)))
    block = os.urandom(BLOCK)

    def hash_all() -> None:
        digest = hashlib.sha256()
        for _ in range(size // BLOCK):
            digest.update(block)

    def write_all() -> None:
        with target.open("wb") as file:
            for _ in range(size // BLOCK):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())

    with hub(folder / "hub") as endpoint:
        file = HubFile(NAME, origin)
        url = f"{endpoint}/{REPO}/resolve/main/{NAME}"
        source = Source(url, {}, origin.stat().st_size, file.sha256)
        curl(url, target)  # the double has hashed the file
        return {
            "curl": taken(lambda: curl(url, target), resource.RUSAGE_CHILDREN),
            "slipstream": taken(lambda: slipstream(source, target)),
            "sha256 alone": taken(hash_all),
            "write and sync alone": taken(write_all),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=500_000_000)
    size = parser.parse_args().bytes
    with tempfile.TemporaryDirectory(prefix="slipstream-downloads-") as folder:
        found = measured(Path(folder), size)
    lines = [
        COMMAND,
        "",
        f"{size / 1e6:,.0f} MB, medians of {TIMES}; {machine()['processor']}, {os.cpu_count()} cores,",
    ]
    lines += ["which sender and receiver share.", "", "| | s | s of the processor |", "|---|---|---|"]
    lines += [f"| {what} | {seconds:.2f} | {cpu:.2f} |" for what, (seconds, cpu) in found.items()]
    misses.keep(SECTION, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
