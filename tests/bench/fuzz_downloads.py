"""Random faults, versions and pauses over several lives of many files: `python -m tests.bench.fuzz_downloads`.

Writes results/fuzz_downloads.{json,md}. Ends with an error at the first file that ever has wrong bytes under its final
name, leaves something beside it, or cannot be fetched once the faults are over; the seed repeats it.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.bench.run import RESULTS
from tests.downloads.lives import live
from tests.hub.double import HubDouble


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    ends: Counter[str] = Counter()
    chance, begin = random.Random(arguments.seed), time.perf_counter()
    with HubDouble() as double, tempfile.TemporaryDirectory(prefix="slipstream-fuzz-") as folder:
        for number in range(arguments.files):
            live(double, Path(folder) / str(number), chance, ends)
            shutil.rmtree(Path(folder) / str(number))
    report = {
        **vars(arguments),
        "seconds": round(time.perf_counter() - begin),
        "lives": sum(ends.values()),
        "ends": ends,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "fuzz_downloads.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    lines = [
        "# Downloads under random faults",
        "",
        f"{report['files']:,} files over {report['lives']:,} lives with random faults, versions and pauses (seed "
        f"{report['seed']}, `python -m tests.bench.fuzz_downloads`): no wrong byte under a final name, nothing left "
        "beside it, and every file whole once the faults were over. How the lives ended:",
        "",
        *(f"- {count} × {end}" for end, count in ends.most_common()),
        "",
    ]
    (RESULTS / "fuzz_downloads.md").write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
