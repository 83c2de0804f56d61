"""How long a quantization takes beside llama-quantize: A/A first, then pairs in the order A B B A."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from app.jobs.convert import quantize_file
from tests.bench.models import LARGE, Shape, random_llama
from tests.bench.pairs import Figures, compare

TYPE = "Q4_K_M"
BYTES_PER_LAYER = 23_000_000  # of LARGE in F16


def speed(tools: Path, work: Path, megabytes: int, num_pairs: int) -> list[dict[str, Any]]:
    """Rows with the ratio ours / llama-quantize in MB of the source per second: from start to the finished file."""
    source = _source(work, megabytes)
    size = source.stat().st_size / 1e6
    threads = os.cpu_count() or 1

    def peer() -> Figures:
        begin = time.perf_counter()
        command = [tools / "llama-quantize", source, work / "peers.gguf", TYPE, str(threads)]
        subprocess.run(command, check=True, capture_output=True)
        return {"MB/s": size / (time.perf_counter() - begin)}

    def ours() -> Figures:
        begin = time.perf_counter()
        quantize_file(source, work / "ours.gguf", TYPE, logs=work)
        return {"MB/s": size / (time.perf_counter() - begin)}

    rows = []
    for name, a in (("llama-quantize again", peer), ("Slipstream", ours)):
        found = compare((name, a), ("llama-quantize", peer), num_pairs)
        row = {"who": name, "model MB": size, "type": TYPE, "threads": threads} | found.row("MB/s")
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


def _source(work: Path, megabytes: int) -> Path:
    """An F16 model of about that size, made once."""
    num_layers = max(2, round((megabytes * 1e6 - 4 * LARGE.vocab_size * LARGE.hidden) / BYTES_PER_LAYER))
    vocabulary = LARGE.vocab_size if megabytes > 600 else 32_256
    shape = Shape(f"random-{megabytes}", LARGE.hidden, LARGE.wide, num_layers, 16, 4, vocabulary, is_tied=False)
    random_llama(shape, work)
    return work / f"{shape.name}-F16.gguf"
